//! When a table's throughput went up and down, whoever asked for it: what the nodes hold is compared with what they held before.

use super::indexes::index_of;
use cairn_crds::{TableResourceStatus, table::throughput::ThroughputStatus};
use cairn_model::{
    table::{ProvisionedThroughput, TableDefinition, WarmThroughput},
    throughput::{ThroughputHistory, is_decrease},
};
use jiff::Timestamp;

/// Takes note of what the nodes hold.
pub fn note(status: &mut TableResourceStatus, held: &TableDefinition, now: Timestamp) {
    let mut history = history(status.throughput.as_ref());
    history.note_mode(held.provisioned_throughput, held.creation_time_ms, millis(now));
    history.note(held.provisioned_throughput, millis(now));
    status.throughput = ThroughputStatus::of(history);
}

/// The units of one of its indexes.
pub fn note_units(known: &mut Option<ThroughputStatus>, held: Option<ProvisionedThroughput>, now: Timestamp) {
    let mut history = history(known.as_ref());
    history.note(held, millis(now));
    *known = ThroughputStatus::of(history);
}

/// Has what is wanted keep the units that the nodes hold wherever they can't go down yet, those of the table and those of each of its
/// indexes: what goes up does, and so does everything else. Says of each what it waits for.
pub fn hold_back(
    status: &TableResourceStatus,
    held: &TableDefinition,
    wanted: &mut TableDefinition,
    now: Timestamp,
) -> Vec<String> {
    let (units, warm) = (&mut wanted.provisioned_throughput, &mut wanted.warm_throughput);
    let of_table = decrease(status.throughput.as_ref(), held.provisioned_throughput, *units, now).map(|waits| {
        (*units, *warm) = waits.beside(*warm);
        waits.told("spec.provisionedThroughput is less than the table's")
    });
    let of_indexes = wanted.global_indexes.iter_mut().filter_map(|index| {
        let entry = status.global_secondary_indexes.iter().find(|entry| entry.id() == Ok(index.index_id))?;
        let held = index_of(held, index.index_id)?.provisioned_throughput;
        let waits = decrease(entry.throughput.as_ref(), held, index.provisioned_throughput, now)?;
        (index.provisioned_throughput, index.warm_throughput) = waits.beside(index.warm_throughput);
        let name = &index.index_name;
        Some(waits.told(&format!(
            "provisionedThroughput of spec.globalSecondaryIndexes[indexName={name}] is less than the index's"
        )))
    });
    of_table.into_iter().chain(of_indexes).collect()
}

/// A decrease before its time.
struct Waiting {
    /// What the table or the index is to have until then: the more of what it has and what it is asked to have.
    units: ProvisionedThroughput,
    until: Timestamp,
}

impl Waiting {
    /// The units, and what is taken at once with them, as a definition has both.
    fn beside(&self, warm: Option<WarmThroughput>) -> (Option<ProvisionedThroughput>, Option<WarmThroughput>) {
        let units = Some(self.units);
        (units, warm.and_then(|warm| warm.beside(units)))
    }

    fn told(&self, of: &str) -> String {
        format!(
            "{of}, which can go down 4 times a UTC day and then once an hour: it will at {}, unless it is changed before",
            self.until
        )
    }
}

fn decrease(
    known: Option<&ThroughputStatus>,
    held: Option<ProvisionedThroughput>,
    wanted: Option<ProvisionedThroughput>,
    now: Timestamp,
) -> Option<Waiting> {
    let (before, after) = held.zip(wanted)?;
    if !is_decrease(before, after) {
        return None;
    }
    let mut history = history(known);
    // The last decrease may be one that was not noted yet.
    history.note(held, millis(now));
    let next_ms = history.next_decrease_ms(millis(now))?;
    let until = i64::try_from(next_ms).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok())?;
    let units = ProvisionedThroughput {
        read_capacity_units: before.read_capacity_units.max(after.read_capacity_units),
        write_capacity_units: before.write_capacity_units.max(after.write_capacity_units),
    };
    Some(Waiting { units, until })
}

/// Whether the throughput of a table or of an index may go down now.
pub fn may_decrease(known: Option<&ThroughputStatus>, now: Timestamp) -> bool {
    history(known).next_decrease_ms(millis(now)).is_none()
}

fn history(known: Option<&ThroughputStatus>) -> ThroughputHistory {
    known.map(ThroughputStatus::history).unwrap_or_default()
}

fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;
    use cairn_crds::table::GlobalSecondaryIndexStatus;
    use cairn_model::index::GlobalIndex;

    fn held(read_capacity_units: u64) -> TableDefinition {
        let provisioned_throughput = units(read_capacity_units);
        TableDefinition { provisioned_throughput, ..fixture::definition() }
    }

    fn units(read_capacity_units: u64) -> Option<ProvisionedThroughput> {
        Some(ProvisionedThroughput { read_capacity_units, write_capacity_units: 1 })
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_the_nodes_hold_is_noted_once() {
        let mut status = TableResourceStatus::default();
        let on_demand = TableDefinition { creation_time_ms: 1_000, ..fixture::definition() };
        note(&mut status, &on_demand, at(1));
        let since = ThroughputHistory { last_on_demand_ms: Some(1_000), ..ThroughputHistory::default() };
        assert_eq!(history(status.throughput.as_ref()), since);
        for (read, second) in [(10, 1), (10, 2), (9, 3), (9, 4), (12, 5)] {
            note(&mut status, &held(read), at(second));
        }
        let history = history(status.throughput.as_ref());
        assert_eq!((history.last_decrease_ms, history.last_increase_ms), (Some(3_000), Some(5_000)));
        assert_eq!((history.decreases, history.units), (1, units(12)));
    }

    /// What becomes of what is wanted, and what waits.
    fn held_back(
        status: &TableResourceStatus,
        held: &TableDefinition,
        wanted: &TableDefinition,
        second: i64,
    ) -> (TableDefinition, Vec<String>) {
        let mut wanted = wanted.clone();
        let waits = hold_back(status, held, &mut wanted, at(second));
        (wanted, waits)
    }

    /// A table of 16 units that went down to them four times, at the first seconds of a day.
    fn often_decreased() -> TableResourceStatus {
        let mut status = TableResourceStatus::default();
        for number in 0..5 {
            assert_eq!(held_back(&status, &held(20), &held(10), number), (held(10), Vec::new()));
            note(&mut status, &held(20 - u64::try_from(number).unwrap()), at(number));
        }
        status
    }

    #[test]
    fn a_fifth_decrease_of_a_manifest_waits_for_its_time() {
        let status = often_decreased();
        let (kept, waits) = held_back(&status, &held(16), &held(10), 10);
        assert_eq!(kept, held(16));
        assert!(waits.len() == 1 && waits[0].contains("it will at 1970-01-01T01:00:04Z"), "{waits:?}");
        for wanted in [held(16), held(17), fixture::definition()] {
            assert_eq!(held_back(&status, &held(16), &wanted, 10), (wanted, Vec::new()));
        }
        assert_eq!(held_back(&status, &held(16), &held(10), 3_604), (held(10), Vec::new()));
    }

    #[test]
    fn the_last_decrease_counts_before_it_is_noted() {
        let mut status = TableResourceStatus::default();
        (0..4).for_each(|number| note(&mut status, &held(20 - number), at(i64::try_from(number).unwrap())));
        assert_eq!(held_back(&status, &held(16), &held(10), 4).0, held(16));
    }

    #[test]
    fn a_decrease_that_waits_holds_back_only_itself() {
        let status = often_decreased();
        let more_writes = ProvisionedThroughput { read_capacity_units: 10, write_capacity_units: 5 };
        let warm = Some(WarmThroughput { read_units_per_second: 12, write_units_per_second: 7 });
        let wanted = TableDefinition {
            provisioned_throughput: Some(more_writes),
            warm_throughput: warm,
            deletion_protection_enabled: true,
            ..held(10)
        };
        let kept = ProvisionedThroughput { read_capacity_units: 16, write_capacity_units: 5 };
        let warm = Some(WarmThroughput { read_units_per_second: 16, write_units_per_second: 7 });
        let expected = TableDefinition { provisioned_throughput: Some(kept), warm_throughput: warm, ..wanted.clone() };
        assert_eq!(held_back(&status, &held(16), &wanted, 10).0, expected);
    }

    #[test]
    fn an_index_waits_for_itself_and_its_table_does_not() {
        let indexed = |of_table, of_index| TableDefinition {
            global_indexes: vec![GlobalIndex {
                provisioned_throughput: units(of_index),
                ..fixture::global_index("by-team", 0)
            }],
            ..held(of_table)
        };
        let mut status = TableResourceStatus {
            global_secondary_indexes: vec![GlobalSecondaryIndexStatus::new(
                &fixture::global_index("by-team", 0),
                Vec::new(),
            )],
            ..TableResourceStatus::default()
        };
        status.global_secondary_indexes[0].throughput = often_decreased().throughput;
        let (kept, waits) = held_back(&status, &indexed(16, 16), &indexed(10, 10), 10);
        assert_eq!(kept, indexed(10, 16));
        assert!(waits.len() == 1 && waits[0].contains("spec.globalSecondaryIndexes[indexName=by-team]"), "{waits:?}");
    }
}
