//! What a transaction consumed, table by table.

use crate::{
    capacity::{CapacityReport, ConsumedCapacity, HalfUnits, Side},
    output::Object,
};
use std::collections::BTreeMap;

/// By the names under which the request has the tables.
pub(crate) struct Consumed<'n> {
    side: Side,
    tables: BTreeMap<&'n str, ConsumedCapacity>,
}

impl<'n> Consumed<'n> {
    /// One after the other, each with the name of its table.
    pub(super) fn of(side: Side, consumed: impl IntoIterator<Item = (&'n str, ConsumedCapacity)>) -> Self {
        let mut tables: BTreeMap<&str, ConsumedCapacity> = BTreeMap::new();
        for (name, consumed) in consumed {
            tables.entry(name).or_default().add(&consumed);
        }
        Self { side, tables }
    }

    /// The field `ConsumedCapacity`, where it is asked for.
    pub(crate) fn write(&self, report: CapacityReport, answer: &mut Object<'_>) {
        let tables = self.tables.iter().map(|(name, consumed)| (*name, consumed));
        report.write_transaction(tables, self.side, answer);
    }
}

/// A read of an item of this size.
pub(super) fn read(size: u32) -> ConsumedCapacity {
    ConsumedCapacity::from(HalfUnits::read(size.into(), true)).in_transaction()
}
