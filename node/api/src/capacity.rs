//! Capacity units: what an operation consumed, and how it is reported (SEMANTICS: Capacity).

use crate::output::{Object, write_list};
use cairn_model::limits;

/// Read units in halves, so that they add up exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HalfUnits(u64);

impl HalfUnits {
    /// A read of so many bytes, rounded up once; of nothing, too, costs one unit.
    pub(crate) fn read(bytes: u64, consistent: bool) -> Self {
        let units = bytes.div_ceil(limits::READ_UNIT_BYTES as u64).max(1);
        Self(if consistent { units * 2 } else { units })
    }

    /// A write of one item: the larger of what it was and what it is.
    pub(crate) fn write(size_before: u32, size_after: u32) -> Self {
        let larger = u64::from(size_before.max(size_after));
        Self(larger.div_ceil(limits::WRITE_UNIT_BYTES as u64).max(1) * 2)
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
    pub(crate) fn write(self, table_name: &str, units: HalfUnits, answer: &mut Object<'_>) {
        if self != Self::None {
            self.write_table(table_name, units, answer.field("ConsumedCapacity"));
        }
    }

    /// The field `ConsumedCapacity` of a batch: a list.
    pub(crate) fn write_tables<'t>(
        self,
        tables: impl IntoIterator<Item = (&'t str, HalfUnits)>,
        answer: &mut Object<'_>,
    ) {
        if self != Self::None {
            write_list(answer.field("ConsumedCapacity"), tables, |(name, units), out| {
                self.write_table(name, units, out)
            });
        }
    }

    fn write_table(self, table_name: &str, units: HalfUnits, out: &mut Vec<u8>) {
        let mut consumed = Object::begin(out);
        consumed.literal("CapacityUnits", units);
        if self == Self::Indexes {
            let mut table = consumed.object("Table");
            table.literal("CapacityUnits", units);
            table.end();
        }
        consumed.text("TableName", table_name);
        consumed.end();
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
        CapacityReport::Indexes.write("users", HalfUnits::read(0, true), &mut answer);
        answer.end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"ConsumedCapacity":{"CapacityUnits":1.0,"Table":{"CapacityUnits":1.0},"TableName":"users"}}"#
        );
    }
}
