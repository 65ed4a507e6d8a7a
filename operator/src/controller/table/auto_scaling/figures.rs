//! What a table or an index consumed in each of the last minutes, on all the nodes that hold it.

use crate::controller::table::observation::{Answers, Observation};
use cairn_model::{
    consumption::{Consumption, MINUTES_KEPT, MinuteConsumption},
    ids::{NodeId, PartitionId},
};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Minute {
    pub(super) read_half_units: u64,
    pub(super) write_half_units: u64,
    /// Every node that counts it was heard, and knows the whole minute: there was no more than this.
    pub(super) complete: bool,
}

/// The last minutes that are over, the newest last, of what was consumed of a table or of an index; none where no node tells of
/// any. `table`: whose writes an index pays for, at the nodes that have the table.
pub(super) fn minutes(counted: &Observation<'_>, table: Option<&Observation<'_>>, answers: Answers<'_>) -> Vec<Minute> {
    let partitions: BTreeSet<PartitionId> = counted.partitions.keys().copied().collect();
    if partitions.is_empty() {
        return Vec::new();
    }
    let held = std::iter::once(counted).chain(table).flat_map(|observation| observation.partitions.values());
    let holders: BTreeSet<NodeId> =
        held.flat_map(|partition| &partition.descriptor.members).map(|member| member.node_id).collect();
    let reports = answers.reports.iter().flatten().filter(|report| holders.contains(&report.node_id));
    let told: Vec<&Consumption> = reports.filter_map(|report| report.consumption.as_ref()).collect();
    // Whoever was asked a moment before the others ends with the minute before theirs.
    let Some(last) = told.iter().map(|consumption| consumption.last_minute).min() else { return Vec::new() };
    let first = (last + 1).saturating_sub(MINUTES_KEPT);
    let of_minute = |minute: u64| {
        let mut sum = Minute {
            complete: told.len() == holders.len() && told.iter().all(|consumption| consumption.first_minute <= minute),
            ..Minute::default()
        };
        for counted in told.iter().flat_map(|consumption| counted_in(consumption, &partitions, minute)) {
            sum.read_half_units = sum.read_half_units.saturating_add(counted.read_half_units);
            sum.write_half_units = sum.write_half_units.saturating_add(counted.write_half_units);
        }
        sum
    };
    (first..=last).map(of_minute).collect()
}

fn counted_in<'a>(
    consumption: &'a Consumption,
    partitions: &'a BTreeSet<PartitionId>,
    minute: u64,
) -> impl Iterator<Item = &'a MinuteConsumption> {
    let of_table = consumption.partitions.iter().filter(|partition| partitions.contains(&partition.partition_id));
    of_table.flat_map(|partition| &partition.minutes).filter(move |counted| counted.minute == minute)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;
    use cairn_model::{consumption::PartitionConsumption, node::NodeReport};
    use std::sync::Arc;

    const LAST: u64 = 1_000;

    fn consumption(partition: u8, read_half_units: u64) -> Option<Consumption> {
        let counted = MinuteConsumption { minute: LAST, read_half_units, write_half_units: 1 };
        let partition_id = PartitionId([partition; 16]);
        Some(Consumption {
            first_minute: LAST - 5,
            last_minute: LAST,
            partitions: vec![PartitionConsumption { partition_id, minutes: vec![counted] }],
        })
    }

    fn minutes_of(told: [Option<Consumption>; 3]) -> Vec<Minute> {
        let reports = fixture::reports_of_one_table(3)
            .into_iter()
            .zip(told)
            .map(|(report, consumption)| Some(Arc::new(NodeReport { consumption, ..NodeReport::clone(&report) })));
        let reports: Vec<_> = reports.collect();
        let nodes = fixture::nodes();
        let answers = Answers { nodes: &nodes, reports: &reports };
        minutes(&Observation::of(fixture::table_id(), answers), None, answers)
    }

    #[test]
    fn a_minute_is_the_sum_of_all_replicas_of_the_table() {
        let minutes = minutes_of([consumption(5, 10), consumption(5, 20), consumption(9, 40)]);
        assert_eq!(minutes.len() as u64, MINUTES_KEPT);
        assert_eq!(minutes.last(), Some(&Minute { read_half_units: 30, write_half_units: 2, complete: true }));
        let known = minutes.iter().filter(|minute| minute.complete).count();
        assert_eq!(known, 6, "before, nobody knows");
    }

    #[test]
    fn a_node_that_tells_nothing_leaves_every_minute_open() {
        let minutes = minutes_of([consumption(5, 10), None, consumption(5, 20)]);
        assert_eq!(minutes.last(), Some(&Minute { read_half_units: 30, write_half_units: 2, complete: false }));
        assert!(minutes.iter().all(|minute| !minute.complete));
        assert_eq!(minutes_of([None, None, None]), []);
    }

    #[test]
    fn what_an_index_consumed_is_told_by_the_nodes_of_its_table_too() {
        let mut reports = fixture::reports_of_one_table(3);
        for (number, report) in reports.iter_mut().enumerate() {
            let report = Arc::make_mut(report);
            report.consumption = consumption(6, 10);
            // The index lies at the first alone.
            let mut of_index = report.replicas[0].clone();
            (of_index.descriptor.partition_id, of_index.descriptor.table_id) =
                (PartitionId([6; 16]), fixture::index_id());
            of_index.descriptor.members.truncate(1);
            report.replicas.extend(Some(of_index).filter(|_| number == 0));
        }
        let minutes_where = |count: usize| {
            let reports: Vec<_> = (0..).zip(&reports).map(|(n, report)| (n < count).then(|| report.clone())).collect();
            let nodes = fixture::nodes();
            let answers = Answers { nodes: &nodes, reports: &reports };
            let [index, table] = [fixture::index_id(), fixture::table_id()].map(|id| Observation::of(id, answers));
            minutes(&index, Some(&table), answers).last().copied()
        };
        assert_eq!(minutes_where(3), Some(Minute { read_half_units: 30, write_half_units: 3, complete: true }));
        assert_eq!(minutes_where(1).map(|minute| minute.complete), Some(false));
        assert_eq!(minutes_where(0), None);
    }

    #[test]
    fn a_minute_counts_when_it_is_over_for_all() {
        let mut early = consumption(5, 10).unwrap();
        early.last_minute = LAST - 1;
        early.partitions.clear();
        let minutes = minutes_of([Some(early), consumption(5, 10), consumption(5, 10)]);
        assert_eq!(minutes.last(), Some(&Minute { read_half_units: 0, write_half_units: 0, complete: true }));
    }
}
