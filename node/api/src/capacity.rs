//! Capacity units: what an operation consumed, and how it is reported (SEMANTICS: Capacity).

use crate::output::{Object, write_list};
use cairn_model::{ServiceError, TableDefinition, limits};
use cairn_replication::operation::{GetOutcome, IndexWrite, RangeOutcome, WriteOutcome};
use std::collections::BTreeMap;

/// Read units in halves, so that they add up exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HalfUnits(u64);

impl HalfUnits {
    /// A read of so many bytes, rounded up once; of nothing, too, costs one unit.
    pub(crate) fn read(bytes: u64, consistent: bool) -> Self {
        let units = bytes.div_ceil(limits::READ_UNIT_BYTES as u64).max(1);
        Self(if consistent { units * 2 } else { units })
    }

    /// Of each item on its own, found or not.
    pub(crate) fn gets(outcome: &GetOutcome, consistent: bool) -> Self {
        let sizes = outcome.items.iter().map(|found| found.as_ref().map_or(0, |(_, size)| u64::from(*size)));
        sizes.map(|size| Self::read(size, consistent)).fold(Self::default(), Self::plus)
    }

    /// A write of one item: the larger of what it was and what it is.
    pub(crate) fn write(size_before: u32, size_after: u32) -> Self {
        let larger = u64::from(size_before.max(size_after));
        Self(larger.div_ceil(limits::WRITE_UNIT_BYTES as u64).max(1) * 2)
    }

    /// A write whose condition failed: it costs what the item has that was met, and not what it would have become (Developer Guide,
    /// conditional writes).
    pub(crate) fn failed_condition(error: &ServiceError) -> Self {
        Self::write(error.met_bytes, 0)
    }

    /// A write of what an index shows of an item; where the item's place in it changed, a deletion and a write.
    pub(crate) fn index_write(write: &IndexWrite) -> Self {
        if write.moved && write.size_before > 0 && write.size_after > 0 {
            return Self::write(write.size_before, 0).plus(Self::write(0, write.size_after));
        }
        Self::write(write.size_before, write.size_after)
    }

    /// So many units of single items.
    pub(crate) fn fetches(units: u64, consistent: bool) -> Self {
        Self(if consistent { units * 2 } else { units })
    }

    pub(crate) fn halves(self) -> u64 {
        self.0
    }

    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::fmt::Display for HalfUnits {
    /// As DynamoDB writes it: `1.0`, `0.5`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0 / 2, (self.0 % 2) * 5)
    }
}

/// Who pays for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charged<'n> {
    Table,
    LocalIndex(&'n str),
    GlobalIndex(&'n str),
}

/// What was consumed of one table and its indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConsumedCapacity {
    table: HalfUnits,
    /// By the names of those that were read or changed.
    local_indexes: BTreeMap<String, HalfUnits>,
    global_indexes: BTreeMap<String, HalfUnits>,
    /// Of statements of a batch that failed: in the total, and in no part of it, as was measured at DynamoDB.
    failed: HalfUnits,
}

impl From<HalfUnits> for ConsumedCapacity {
    /// Of the table alone.
    fn from(table: HalfUnits) -> Self {
        Self { table, ..Self::default() }
    }
}

impl ConsumedCapacity {
    /// A page of the table, or of an index: then the table is charged for what was fetched from it, which for a global one is
    /// nothing.
    pub(crate) fn range(charged: Charged<'_>, outcome: &RangeOutcome, consistent: bool) -> Self {
        let read = HalfUnits::read(outcome.bytes_read, consistent);
        let of = |name: &str| BTreeMap::from([(name.to_owned(), read)]);
        match charged {
            Charged::Table => read.into(),
            Charged::LocalIndex(name) => {
                Self { local_indexes: of(name), ..HalfUnits::fetches(outcome.fetched_units, consistent).into() }
            }
            Charged::GlobalIndex(name) => Self { global_indexes: of(name), ..Self::default() },
        }
    }

    pub(crate) fn write(table: &TableDefinition, outcome: &WriteOutcome) -> Self {
        let mut consumed = Self::from(HalfUnits::write(outcome.size_before, outcome.size_after));
        for write in &outcome.indexes {
            let (indexes, name) = match write.global_slot() {
                None => {
                    let index = table.local_indexes.iter().find(|index| index.slot == write.slot);
                    (&mut consumed.local_indexes, index.map(|index| &index.index_name))
                }
                Some(slot) => {
                    let index = table.global_indexes.iter().find(|index| index.slot == slot);
                    (&mut consumed.global_indexes, index.map(|index| &index.index_name))
                }
            };
            indexes.extend(name.map(|name| (name.clone(), HalfUnits::index_write(write))));
        }
        consumed
    }

    /// The same in a transaction: the table's part is twice that, an index's is not.
    #[must_use]
    pub(crate) fn in_transaction(self) -> Self {
        Self { table: self.table.plus(self.table), ..self }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.table = self.table.plus(other.table);
        self.failed = self.failed.plus(other.failed);
        for (indexes, others) in
            [(&mut self.local_indexes, &other.local_indexes), (&mut self.global_indexes, &other.global_indexes)]
        {
            for (name, units) in others {
                let sum = indexes.entry(name.clone()).or_default();
                *sum = sum.plus(*units);
            }
        }
    }

    pub(crate) fn add_failed(&mut self, units: HalfUnits) {
        self.failed = self.failed.plus(units);
    }

    pub(crate) fn total(&self) -> HalfUnits {
        self.global_indexes.values().fold(self.of_table().plus(self.failed), |sum, units| sum.plus(*units))
    }

    /// What is taken from the table's throughput: global indexes have their own.
    pub(crate) fn of_table(&self) -> HalfUnits {
        self.local_indexes.values().fold(self.table, |sum, units| sum.plus(*units))
    }

    /// By name, those that were read or changed.
    pub(crate) fn global_indexes(&self) -> impl Iterator<Item = (&str, HalfUnits)> {
        self.global_indexes.iter().map(|(name, units)| (name.as_str(), *units))
    }
}

/// What a transaction did with its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

/// `ReturnConsumedCapacity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CapacityReport {
    None,
    Total,
    Indexes,
}

impl CapacityReport {
    /// The parameter, checked already.
    pub(crate) fn of(parameter: Option<&str>) -> Self {
        match parameter {
            Some("TOTAL") => Self::Total,
            Some("INDEXES") => Self::Indexes,
            _ => Self::None,
        }
    }

    /// The field `ConsumedCapacity` of an operation on one table.
    pub(crate) fn write(self, table_name: &str, consumed: &ConsumedCapacity, answer: &mut Object<'_>) {
        if self != Self::None {
            self.write_table(table_name, consumed, None, answer.field("ConsumedCapacity"));
        }
    }

    /// The field `ConsumedCapacity` of a batch: a list.
    pub(crate) fn write_tables<'t>(
        self,
        tables: impl IntoIterator<Item = (&'t str, &'t ConsumedCapacity)>,
        answer: &mut Object<'_>,
    ) {
        if self != Self::None {
            write_list(answer.field("ConsumedCapacity"), tables, |(name, consumed), out| {
                self.write_table(name, consumed, None, out)
            });
        }
    }

    /// The field `ConsumedCapacity` of a transaction, which says whether it read or wrote.
    pub(crate) fn write_transaction<'t>(
        self,
        tables: impl IntoIterator<Item = (&'t str, &'t ConsumedCapacity)>,
        side: Side,
        answer: &mut Object<'_>,
    ) {
        if self != Self::None {
            write_list(answer.field("ConsumedCapacity"), tables, |(name, consumed), out| {
                self.write_table(name, consumed, Some(side), out)
            });
        }
    }

    fn write_table(self, table_name: &str, consumed: &ConsumedCapacity, side: Option<Side>, out: &mut Vec<u8>) {
        let write_units = |units: HalfUnits, object: &mut Object<'_>| {
            object.literal("CapacityUnits", units);
            match side {
                None => {}
                Some(Side::Read) => object.literal("ReadCapacityUnits", units),
                Some(Side::Write) => object.literal("WriteCapacityUnits", units),
            }
        };
        let mut capacity = Object::begin(out);
        write_units(consumed.total(), &mut capacity);
        if self == Self::Indexes {
            let mut table = capacity.object("Table");
            write_units(consumed.table, &mut table);
            table.end();
            for (field, indexes) in [
                ("LocalSecondaryIndexes", &consumed.local_indexes),
                ("GlobalSecondaryIndexes", &consumed.global_indexes),
            ] {
                if indexes.is_empty() {
                    continue;
                }
                let mut of_indexes = capacity.object(field);
                for (name, units) in indexes {
                    let mut index = Object::begin(of_indexes.escaped_field(name));
                    write_units(*units, &mut index);
                    index.end();
                }
                of_indexes.end();
            }
        }
        capacity.text("TableName", table_name);
        capacity.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_round_up_to_four_kilobytes_and_cost_half_when_eventual() {
        for (bytes, consistent, expected) in
            [(0, true, "1.0"), (0, false, "0.5"), (4_096, true, "1.0"), (4_097, true, "2.0"), (8_193, false, "1.5")]
        {
            assert_eq!(HalfUnits::read(bytes, consistent).to_string(), expected);
        }
    }

    #[test]
    fn writes_cost_the_larger_of_before_and_after() {
        assert_eq!(HalfUnits::write(0, 0).to_string(), "1.0");
        assert_eq!(HalfUnits::write(1_025, 3).to_string(), "2.0");
        assert_eq!(HalfUnits::write(0, 400 * 1_024).to_string(), "400.0");
    }

    #[test]
    fn indexes_adds_the_tables_own_part() {
        let mut out = Vec::new();
        let mut answer = Object::begin(&mut out);
        CapacityReport::Indexes.write("users", &HalfUnits::read(0, true).into(), &mut answer);
        answer.end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"ConsumedCapacity":{"CapacityUnits":1.0,"Table":{"CapacityUnits":1.0},"TableName":"users"}}"#
        );
    }
    #[test]
    fn an_indexs_write_costs_two_where_its_key_changed_each_rounded_up() {
        let write = |size_before, size_after, moved| {
            HalfUnits::index_write(&IndexWrite { slot: 1, size_before, size_after, moved }).to_string()
        };
        assert_eq!(write(0, 1_025, false), "2.0");
        assert_eq!(write(3, 0, false), "1.0");
        assert_eq!(write(1_025, 3, false), "2.0");
        assert_eq!(write(1_025, 3, true), "3.0");
        assert_eq!(write(0, 3, true), "1.0");
    }

    #[test]
    fn what_a_read_of_an_index_fetches_is_charged_to_the_table() {
        let outcome = RangeOutcome {
            items: vec![],
            count: 3,
            scanned_count: 3,
            bytes_read: 5_000,
            fetched_units: 3,
            last_evaluated_key: None,
        };
        let mut consumed = ConsumedCapacity::range(Charged::LocalIndex("by \"x\""), &outcome, false);
        assert_eq!(consumed.total().to_string(), "2.5");
        consumed.add(&ConsumedCapacity::range(Charged::LocalIndex("by \"x\""), &outcome, true));
        let mut out = Vec::new();
        let mut answer = Object::begin(&mut out);
        CapacityReport::Indexes.write("users", &consumed, &mut answer);
        answer.end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"ConsumedCapacity":{"CapacityUnits":7.5,"Table":{"CapacityUnits":4.5},"LocalSecondaryIndexes":{"by \"x\"":{"CapacityUnits":3.0}},"TableName":"users"}}"#
        );
        assert_eq!(ConsumedCapacity::range(Charged::Table, &outcome, true), HalfUnits::read(5_000, true).into());
    }

    #[test]
    fn what_is_read_of_a_global_index_is_no_charge_to_the_table() {
        let outcome = RangeOutcome {
            items: vec![],
            count: 3,
            scanned_count: 3,
            bytes_read: 5_000,
            fetched_units: 0,
            last_evaluated_key: None,
        };
        let consumed = ConsumedCapacity::range(Charged::GlobalIndex("by-rank"), &outcome, false);
        assert_eq!((consumed.total().to_string(), consumed.of_table().to_string()), ("1.0".into(), "0.0".into()));
        let mut out = Vec::new();
        let mut answer = Object::begin(&mut out);
        CapacityReport::Indexes.write("users", &consumed, &mut answer);
        answer.end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"ConsumedCapacity":{"CapacityUnits":1.0,"Table":{"CapacityUnits":0.0},"GlobalSecondaryIndexes":{"by-rank":{"CapacityUnits":1.0}},"TableName":"users"}}"#
        );
    }
}
