//! What a transaction consumed: twice the units of the same reads and writes alone; indexes are not doubled.

use super::Addressed;
use crate::{
    TableView,
    capacity::{CapacityReport, HalfUnits},
    output::{Object, write_list},
};
use cairn_replication::operation::WriteOutcome;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
}

/// By the names under which the request has the tables.
pub(crate) struct Consumed<'n> {
    kind: Kind,
    tables: BTreeMap<&'n str, TableUnits>,
}

#[derive(Default)]
struct TableUnits {
    table: HalfUnits,
    local_indexes: BTreeMap<String, HalfUnits>,
}

fn doubled(units: HalfUnits) -> HalfUnits {
    units.plus(units)
}

impl<'n> Consumed<'n> {
    /// Of items of these sizes.
    pub(crate) fn by_reads(sizes: impl IntoIterator<Item = (&'n str, u32)>) -> Self {
        let mut consumed = Self { kind: Kind::Read, tables: BTreeMap::new() };
        for (name, size) in sizes {
            consumed.add(name, doubled(HalfUnits::read(size.into(), true)));
        }
        consumed
    }

    /// By these actions, on tables of these names.
    pub(crate) fn by_writes<T>(names: &'n [String], actions: &[Addressed<T>], outcomes: &[WriteOutcome]) -> Self {
        let mut consumed = Self { kind: Kind::Write, tables: BTreeMap::new() };
        for ((name, Addressed { table, .. }), outcome) in names.iter().zip(actions).zip(outcomes) {
            consumed.add(name, units_of(outcome));
            let units = &mut consumed.tables.entry(name).or_default().local_indexes;
            for write in &outcome.indexes {
                let index = table.definition.local_indexes.iter().find(|index| index.slot == write.slot);
                let Some(index) = index else { continue };
                let one = |size| HalfUnits::write(0, size);
                let of_index = match write.moved {
                    true => one(write.size_before).plus(one(write.size_after)),
                    false => HalfUnits::write(write.size_before, write.size_after),
                };
                let sum = units.entry(index.index_name.clone()).or_default();
                *sum = sum.plus(of_index);
            }
        }
        consumed
    }

    fn add(&mut self, name: &'n str, units: HalfUnits) {
        let sum = &mut self.tables.entry(name).or_default().table;
        *sum = sum.plus(units);
    }

    /// The field `ConsumedCapacity`, where it is asked for.
    pub(crate) fn write(&self, report: CapacityReport, answer: &mut Object<'_>) {
        if report == CapacityReport::None {
            return;
        }
        write_list(answer.field("ConsumedCapacity"), &self.tables, |(name, units), out| {
            let mut table = Object::begin(out);
            let all = units.local_indexes.values().fold(units.table, |sum, index| sum.plus(*index));
            self.write_units(all, &mut table);
            if report == CapacityReport::Indexes {
                let mut own = table.object("Table");
                self.write_units(units.table, &mut own);
                own.end();
                if !units.local_indexes.is_empty() {
                    let mut indexes = table.object("LocalSecondaryIndexes");
                    for (name, units) in &units.local_indexes {
                        let mut index = Object::begin(indexes.escaped_field(name));
                        self.write_units(*units, &mut index);
                        index.end();
                    }
                    indexes.end();
                }
            }
            table.text("TableName", name);
            table.end();
        });
    }

    fn write_units(&self, units: HalfUnits, out: &mut Object<'_>) {
        out.literal("CapacityUnits", units);
        out.literal(if self.kind == Kind::Read { "ReadCapacityUnits" } else { "WriteCapacityUnits" }, units);
    }
}

/// Of the item alone.
pub(super) fn units_of(outcome: &WriteOutcome) -> HalfUnits {
    doubled(HalfUnits::write(outcome.size_before, outcome.size_after))
}

/// Of a read of an item of this size.
pub(super) fn units_of_read(size: u32) -> HalfUnits {
    doubled(HalfUnits::read(size.into(), true))
}

/// The names of the tables of actions, with what came of each.
pub(super) fn named<'n, 'o, T, O>(
    names: &'n [String],
    addressed: &'n [Addressed<T>],
    outcomes: &'o [O],
) -> impl Iterator<Item = (&'n str, &'n TableView, &'o O)> {
    let tables = addressed.iter().map(|addressed| &*addressed.table);
    names.iter().map(String::as_str).zip(tables).zip(outcomes).map(|((name, table), outcome)| (name, table, outcome))
}
