//! When a table's throughput went up and down, whoever asked for it: what the nodes hold is compared with what they held before.

use super::indexes::index_of;
use crate::controller::Refusal;
use cairn_crds::{TableResourceStatus, table::throughput::ThroughputStatus};
use cairn_model::{
    table::{ProvisionedThroughput, TableDefinition},
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

/// Why a table that the nodes hold so can't have this throughput yet, itself or one of its indexes.
pub fn too_soon(
    status: &TableResourceStatus,
    held: &TableDefinition,
    wanted: &TableDefinition,
    now: Timestamp,
) -> Option<Refusal> {
    let of_table = || {
        let of = "spec.provisionedThroughput is less than the table's";
        decrease(status.throughput.as_ref(), held.provisioned_throughput, wanted.provisioned_throughput, of, now)
    };
    let of_indexes = || {
        status.global_secondary_indexes.iter().find_map(|entry| {
            let id = entry.id().ok()?;
            let (held, wanted) = (index_of(held, id)?, index_of(wanted, id)?);
            let name = &entry.index_name;
            let of = format!(
                "provisionedThroughput of spec.globalSecondaryIndexes[indexName={name}] is less than the index's"
            );
            decrease(entry.throughput.as_ref(), held.provisioned_throughput, wanted.provisioned_throughput, &of, now)
        })
    };
    of_table().or_else(of_indexes)
}

fn decrease(
    known: Option<&ThroughputStatus>,
    held: Option<ProvisionedThroughput>,
    wanted: Option<ProvisionedThroughput>,
    of: &str,
    now: Timestamp,
) -> Option<Refusal> {
    let (before, after) = held.zip(wanted)?;
    if !is_decrease(before, after) {
        return None;
    }
    let next_ms = history(known).next_decrease_ms(millis(now))?;
    let next = i64::try_from(next_ms).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok())?;
    Some(Refusal::new(
        "ThroughputDecreaseLimited",
        format!(
            "{of}, which can go down 4 times a UTC day and then once an hour: \
             it will at {next}, unless it is changed before, and so will what else was changed with it"
        ),
    ))
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

    #[test]
    fn a_fifth_decrease_of_a_manifest_waits_for_its_time() {
        let mut status = TableResourceStatus::default();
        for number in 0..5 {
            assert_eq!(too_soon(&status, &held(20), &held(10), at(number)).map(|refusal| refusal.reason), None);
            note(&mut status, &held(20 - u64::try_from(number).unwrap()), at(number));
        }
        let refusal = too_soon(&status, &held(16), &held(10), at(10)).unwrap();
        assert!(refusal.message.contains("it will at 1970-01-01T01:00:04Z"), "{refusal:?}");
        for wanted in [held(16), held(17), fixture::definition()] {
            assert!(too_soon(&status, &held(16), &wanted, at(10)).is_none());
        }
        assert!(too_soon(&status, &held(16), &held(10), at(3_604)).is_none());
    }
}
