use super::*;
use crate::controller::table::fixture;
use cairn_crds::table::GlobalSecondaryIndexStatus;
use cairn_model::{
    consumption::{Consumption, MINUTES_KEPT, MinuteConsumption, PartitionConsumption},
    ids::PartitionId,
    index::GlobalIndex,
    node::NodeReport,
    table::{BillingMode, TableStatus},
};
use std::sync::Arc;

const LAST: u64 = 10_000;

fn units(read_capacity_units: i64, write_capacity_units: i64) -> ProvisionedThroughput {
    ProvisionedThroughput { read_capacity_units, write_capacity_units }
}

/// Reads from 5 to 100 units; writes as declared.
fn spec(declared: ProvisionedThroughput) -> TableSpec {
    let mut spec = fixture::table("users").spec;
    spec.billing_mode = BillingMode::Provisioned;
    spec.provisioned_throughput = Some(declared);
    let read = TargetTracking { min_units: 5, max_units: 100, target_utilization_percent: 70, disable_scale_in: false };
    spec.auto_scaling = Some(AutoScaling { read: Some(read), write: None, restarts: 0 });
    spec
}

/// Nodes that hold this throughput, and read so many units a second in all the kept minutes.
fn reports(held: ProvisionedThroughput, read: Option<u64>) -> Vec<Option<Arc<NodeReport>>> {
    let mut reports = fixture::reports_of_one_table(3);
    for (number, report) in reports.iter_mut().enumerate() {
        let report = Arc::make_mut(report);
        report.replicas[0].definition.provisioned_throughput = Some(held.units().unwrap());
        let half_units = if number == 0 { read.unwrap_or_default() * 120 } else { 0 };
        let minutes = (LAST + 1 - MINUTES_KEPT..=LAST).map(|minute| MinuteConsumption {
            minute,
            read_half_units: half_units,
            write_half_units: 0,
        });
        let partition = PartitionConsumption { partition_id: PartitionId([5; 16]), minutes: minutes.collect() };
        report.consumption =
            read.map(|_| Consumption { first_minute: 0, last_minute: LAST, partitions: vec![partition] });
    }
    reports.into_iter().map(Some).collect()
}

fn stamped(
    status: &mut TableResourceStatus,
    spec: &TableSpec,
    reports: &[Option<Arc<NodeReport>>],
    second: i64,
) -> (ProvisionedThroughput, Standing) {
    let nodes = fixture::nodes();
    let answers = Answers { nodes: &nodes, reports };
    let observation = Observation::of(fixture::table_id(), answers);
    let now = Timestamp::from_second(second).unwrap();
    throughput::note(status, observation.definition().unwrap(), now);
    let indexes = Indexes::of(status, answers).unwrap();
    let standing = stamp(status, spec, &observation, &indexes, answers, now).unwrap();
    (status.auto_scaling.as_ref().unwrap().units, standing)
}

#[test]
fn it_begins_with_what_is_declared_within_the_bounds() {
    for (declared, begins) in
        [(units(10, 10), units(10, 10)), (units(1, 1), units(5, 1)), (units(500, 500), units(100, 500))]
    {
        let mut status = TableResourceStatus::default();
        assert_eq!(stamped(&mut status, &spec(declared), &reports(declared, Some(0)), 0).0, begins);
        assert_eq!(status.auto_scaling.unwrap().last_scaled_at, None);
    }
}

#[test]
fn it_follows_what_is_consumed_and_says_when_it_changed() {
    let (declared, mut status) = (units(10, 10), TableResourceStatus::default());
    stamped(&mut status, &spec(declared), &reports(declared, Some(5)), 0);
    let before = status.clone();
    assert_eq!(
        stamped(&mut status, &spec(declared), &reports(declared, Some(14)), 60),
        (units(20, 10), Standing::Tracks)
    );
    assert_eq!(status.auto_scaling.as_ref().unwrap().last_scaled_at, Some(Time(Timestamp::from_second(60).unwrap())));
    let told = told(&before, &status);
    assert_eq!(told, ["the throughput goes from 10 to 20 read and from 10 to 10 write capacity units"]);
    let held = units(20, 10);
    assert_eq!(stamped(&mut status, &spec(declared), &reports(held, Some(14)), 120).0, held);
    assert_eq!(stamped(&mut status, &spec(declared), &reports(held, Some(0)), 2_000).0, units(5, 10));
    assert_eq!(
        stamped(&mut status, &spec(declared), &reports(units(5, 10), Some(99)), 2_100).1,
        Standing::AtMaximum { index_name: None }
    );
}

#[test]
fn what_is_declared_anew_is_where_it_begins_anew() {
    let mut status = TableResourceStatus::default();
    stamped(&mut status, &spec(units(10, 10)), &reports(units(10, 10), Some(14)), 0);
    stamped(&mut status, &spec(units(10, 10)), &reports(units(10, 10), Some(14)), 60);
    assert_eq!(stamped(&mut status, &spec(units(50, 7)), &reports(units(20, 10), Some(14)), 120).0, units(50, 7));
}

#[test]
fn units_that_are_set_again_are_where_it_begins_anew() {
    let (declared, mut status) = (units(10, 10), TableResourceStatus::default());
    let mut spec = spec(declared);
    stamped(&mut status, &spec, &reports(declared, Some(14)), 0);
    assert_eq!(stamped(&mut status, &spec, &reports(declared, Some(14)), 60).0, units(20, 10));
    spec.auto_scaling.as_mut().unwrap().restarts = 1;
    assert_eq!(stamped(&mut status, &spec, &reports(units(20, 10), Some(14)), 120).0, declared);
    assert_eq!(
        stamped(&mut status, &spec, &reports(declared, Some(14)), 180).0,
        units(20, 10),
        "it goes on from there"
    );
}

#[test]
fn a_decrease_waits_until_the_throughput_may_go_down() {
    let mut status = TableResourceStatus::default();
    for number in 0..5 {
        let held = units(100 - number, 10);
        let nodes = fixture::nodes();
        let reports = reports(held, Some(14));
        let observation = Observation::of(fixture::table_id(), Answers { nodes: &nodes, reports: &reports });
        throughput::note(&mut status, observation.definition().unwrap(), Timestamp::from_second(number).unwrap());
    }
    let (declared, held) = (units(96, 10), units(96, 10));
    assert_eq!(stamped(&mut status, &spec(declared), &reports(held, Some(0)), 10).0, held);
    assert_eq!(stamped(&mut status, &spec(declared), &reports(held, Some(0)), 20).0, held, "the fifth of the day");
    let anew = spec(units(40, 20));
    assert_eq!(stamped(&mut status, &anew, &reports(held, Some(0)), 30).0, units(96, 20), "more it may have");
    assert_eq!(stamped(&mut status, &anew, &reports(units(96, 20), Some(0)), 3_700).0, units(40, 20), "an hour later");
}

#[test]
fn what_is_declared_anew_of_one_kind_leaves_the_other_where_it_is() {
    let mut spec = spec(units(5, 5));
    let scaling = spec.auto_scaling.as_mut().unwrap();
    scaling.write = scaling.read;
    let mut status = TableResourceStatus::default();
    stamped(&mut status, &spec, &reports(units(5, 5), Some(0)), 0);
    status.auto_scaling.as_mut().unwrap().units = units(5, 80);
    spec.provisioned_throughput = Some(units(10, 5));
    assert_eq!(stamped(&mut status, &spec, &reports(units(5, 80), None), 1).0, units(10, 80));
}

#[test]
fn while_a_decrease_waits_it_goes_up_with_what_is_consumed() {
    let mut status = TableResourceStatus::default();
    stamped(&mut status, &spec(units(10, 1)), &reports(units(10, 1), Some(0)), 0);
    for (second, held) in (1..).zip([40, 39, 38, 37, 30]) {
        stamped(&mut status, &spec(units(held, 1)), &reports(units(held, 1), None), second);
    }
    let declared = spec(units(20, 1));
    assert_eq!(stamped(&mut status, &declared, &reports(units(30, 1), None), 6).0, units(30, 1), "it may not go down");
    assert_eq!(stamped(&mut status, &declared, &reports(units(30, 1), Some(42)), 7).0, units(60, 1));
    assert_eq!(stamped(&mut status, &declared, &reports(units(60, 1), Some(42)), 8).0, units(60, 1));
}

#[test]
fn without_figures_it_stays_where_it_is_and_says_so() {
    let (declared, mut status) = (units(10, 10), TableResourceStatus::default());
    stamped(&mut status, &spec(declared), &reports(declared, Some(14)), 0);
    stamped(&mut status, &spec(declared), &reports(declared, Some(14)), 60);
    let (still, standing) = stamped(&mut status, &spec(declared), &reports(units(20, 10), None), 120);
    assert_eq!((still, &standing), (units(20, 10), &Standing::Blind));
    note(&mut status, &standing, Some(1), Timestamp::UNIX_EPOCH);
    assert!(!condition::is_true(&status.conditions, AUTO_SCALING));
    note(&mut status, &Standing::Tracks, Some(1), Timestamp::UNIX_EPOCH);
    assert!(condition::is_true(&status.conditions, AUTO_SCALING));
}

#[test]
fn switched_off_it_leaves_nothing() {
    let (declared, mut status) = (units(10, 10), TableResourceStatus::default());
    let (_, standing) = stamped(&mut status, &spec(declared), &reports(declared, Some(14)), 0);
    note(&mut status, &standing, Some(1), Timestamp::UNIX_EPOCH);
    let off = TableSpec { auto_scaling: None, ..spec(declared) };
    let nodes = fixture::nodes();
    let answers = Answers { nodes: &nodes, reports: &[] };
    let (observation, indexes) = (Observation::default(), Indexes::default());
    let standing = stamp(&mut status, &off, &observation, &indexes, answers, Timestamp::UNIX_EPOCH).unwrap();
    note(&mut status, &standing, Some(1), Timestamp::UNIX_EPOCH);
    assert_eq!((status.auto_scaling, status.conditions.len()), (None, 0));
}

const INDEX_PARTITION: PartitionId = PartitionId([6; 16]);

/// Of an index `by-team` alone the writes are scaled, from 5 to 100 units.
fn index_spec(declared: ProvisionedThroughput) -> TableSpec {
    let mut spec = spec(units(10, 10));
    spec.auto_scaling = None;
    let index = GlobalIndex { provisioned_throughput: declared.units().ok(), ..fixture::global_index("by-team", 0) };
    let mut index = cairn_crds::table::GlobalSecondaryIndex::of(&index);
    let write =
        TargetTracking { min_units: 5, max_units: 100, target_utilization_percent: 70, disable_scale_in: false };
    index.auto_scaling = Some(AutoScaling { read: None, write: Some(write), restarts: 0 });
    spec.global_secondary_indexes = Some(vec![index]);
    spec
}

fn index_status() -> TableResourceStatus {
    let mut entry = GlobalSecondaryIndexStatus::new(&fixture::global_index("by-team", 0), Vec::new());
    (entry.index_status, entry.schema_version) = (TableStatus::Active, Some(1));
    TableResourceStatus { global_secondary_indexes: vec![entry], ..TableResourceStatus::default() }
}

/// Nodes that hold the table and the index with this throughput; writes cost the index so many units a second.
fn index_reports(held: ProvisionedThroughput, written: u64) -> Vec<Option<Arc<NodeReport>>> {
    let index = GlobalIndex { provisioned_throughput: held.units().ok(), ..fixture::global_index("by-team", 0) };
    let mut reports = reports(units(10, 10), Some(0));
    for (number, report) in reports.iter_mut().flatten().enumerate() {
        let report = Arc::make_mut(report);
        report.replicas[0].definition.global_indexes = vec![index.clone()];
        let mut of_index = report.replicas[0].clone();
        (of_index.descriptor.partition_id, of_index.descriptor.table_id) = (INDEX_PARTITION, index.index_id);
        of_index.definition = report.replicas[0].definition.of_index(&index);
        report.replicas.push(of_index);
        let partition = &mut report.consumption.as_mut().unwrap().partitions[0];
        partition.partition_id = INDEX_PARTITION;
        let half_units = if number == 0 { written * 120 } else { 0 };
        partition.minutes.iter_mut().for_each(|minute| minute.write_half_units = half_units);
    }
    reports
}

fn index_stamped(
    status: &mut TableResourceStatus,
    spec: &TableSpec,
    reports: &[Option<Arc<NodeReport>>],
    second: i64,
) -> (ProvisionedThroughput, Standing) {
    let nodes = fixture::nodes();
    let answers = Answers { nodes: &nodes, reports };
    let observation = Observation::of(fixture::table_id(), answers);
    let indexes = Indexes::of(status, answers).unwrap();
    let now = Timestamp::from_second(second).unwrap();
    let standing = stamp(status, spec, &observation, &indexes, answers, now).unwrap();
    (status.global_secondary_indexes[0].auto_scaling.as_ref().unwrap().units, standing)
}

#[test]
fn an_index_follows_what_writes_cost_it_and_its_table_stays() {
    let (declared, mut status) = (units(3, 10), index_status());
    let spec = index_spec(declared);
    assert_eq!(index_stamped(&mut status, &spec, &index_reports(declared, 5), 0), (declared, Standing::Tracks));
    let before = status.clone();
    let scaled = index_stamped(&mut status, &spec, &index_reports(declared, 14), 60);
    assert_eq!((scaled.0, &status.auto_scaling), (units(3, 20), &None));
    let told = told(&before, &status);
    assert_eq!(
        told,
        ["the throughput of the index by-team goes from 3 to 3 read and from 10 to 20 write capacity units"]
    );
    let (most, standing) = index_stamped(&mut status, &spec, &index_reports(units(3, 20), 99), 120);
    assert_eq!((most, &standing), (units(3, 100), &Standing::AtMaximum { index_name: Some("by-team".into()) }));
    note(&mut status, &standing, Some(1), Timestamp::UNIX_EPOCH);
    assert!(status.conditions[0].message.contains("spec.globalSecondaryIndexes[indexName=by-team]"));
    assert_eq!(index_stamped(&mut status, &spec, &index_reports(most, 0), 2_000).0, units(3, 5));
}

#[test]
fn an_index_begins_anew_with_what_is_declared_anew() {
    let (declared, mut status) = (units(3, 10), index_status());
    index_stamped(&mut status, &index_spec(declared), &index_reports(declared, 14), 0);
    index_stamped(&mut status, &index_spec(declared), &index_reports(declared, 14), 60);
    let anew = index_stamped(&mut status, &index_spec(units(4, 50)), &index_reports(units(3, 20), 14), 120);
    assert_eq!(anew.0, units(4, 50));
}

#[test]
fn an_index_goes_down_when_its_own_throughput_may() {
    let mut status = index_status();
    for number in 0..5 {
        let spec = index_spec(units(3, 100 - number));
        index_stamped(&mut status, &spec, &index_reports(units(3, 100 - number), 60), number);
    }
    let (spec, held) = (index_spec(units(3, 96)), index_reports(units(3, 96), 0));
    assert_eq!(index_stamped(&mut status, &spec, &held, 10).0, units(3, 96), "the fifth of the day");
    assert_eq!(index_stamped(&mut status, &spec, &held, 3_700).0, units(3, 5), "an hour later");
}

#[test]
fn an_index_that_is_not_made_yet_begins_with_what_is_declared_and_is_not_called_blind() {
    let mut status = index_status();
    status.global_secondary_indexes[0].schema_version = None;
    let of_table_alone = reports(units(10, 10), Some(0));
    let begun = index_stamped(&mut status, &index_spec(units(3, 1)), &of_table_alone, 0);
    assert_eq!(begun, (units(3, 5), Standing::Tracks));
}

#[test]
fn an_index_that_goes_or_is_not_scaled_any_more_leaves_nothing() {
    let (declared, mut status) = (units(3, 10), index_status());
    let spec = index_spec(declared);
    let reports = index_reports(declared, 0);
    index_stamped(&mut status, &spec, &reports, 0);
    let mut off = spec.clone();
    off.global_secondary_indexes.as_mut().unwrap()[0].auto_scaling = None;
    let mut deleting = status.clone();
    deleting.global_secondary_indexes[0].index_status = TableStatus::Deleting;
    for (mut status, spec) in [(status, off), (deleting, spec)] {
        let nodes = fixture::nodes();
        let answers = Answers { nodes: &nodes, reports: &reports };
        let observation = Observation::of(fixture::table_id(), answers);
        let standing =
            stamp(&mut status, &spec, &observation, &Indexes::default(), answers, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((&status.global_secondary_indexes[0].auto_scaling, standing), (&None, Standing::Off));
    }
}
