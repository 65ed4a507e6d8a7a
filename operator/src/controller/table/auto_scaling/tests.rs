use super::*;
use crate::controller::table::fixture;
use cairn_crds::table::TargetTracking;
use cairn_model::{
    consumption::{Consumption, MINUTES_KEPT, MinuteConsumption, PartitionConsumption},
    ids::PartitionId,
    node::NodeReport,
    table::BillingMode,
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
    let read = TargetTracking { min_units: 5, max_units: 100, target_utilization_percent: 70 };
    spec.auto_scaling = Some(AutoScaling { read: Some(read), write: None });
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
    let standing = stamp(status, spec, &observation, answers, now);
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
    let told = told(&before, &status).unwrap();
    assert!(told.contains("from 10 to 20 read and from 10 to 10 write"), "{told}");
    let held = units(20, 10);
    assert_eq!(stamped(&mut status, &spec(declared), &reports(held, Some(14)), 120).0, held);
    assert_eq!(stamped(&mut status, &spec(declared), &reports(held, Some(0)), 2_000).0, units(5, 10));
    assert_eq!(stamped(&mut status, &spec(declared), &reports(units(5, 10), Some(99)), 2_100).1, Standing::AtMaximum);
}

#[test]
fn what_is_declared_anew_is_where_it_begins_anew() {
    let mut status = TableResourceStatus::default();
    stamped(&mut status, &spec(units(10, 10)), &reports(units(10, 10), Some(14)), 0);
    stamped(&mut status, &spec(units(10, 10)), &reports(units(10, 10), Some(14)), 60);
    assert_eq!(stamped(&mut status, &spec(units(50, 7)), &reports(units(20, 10), Some(14)), 120).0, units(50, 7));
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
fn without_figures_it_stays_where_it_is_and_says_so() {
    let (declared, mut status) = (units(10, 10), TableResourceStatus::default());
    stamped(&mut status, &spec(declared), &reports(declared, Some(14)), 0);
    stamped(&mut status, &spec(declared), &reports(declared, Some(14)), 60);
    let (still, standing) = stamped(&mut status, &spec(declared), &reports(units(20, 10), None), 120);
    assert_eq!((still, standing), (units(20, 10), Standing::Blind));
    note(&mut status, standing, Some(1), Timestamp::UNIX_EPOCH);
    assert!(!condition::is_true(&status.conditions, AUTO_SCALING));
    note(&mut status, Standing::Tracks, Some(1), Timestamp::UNIX_EPOCH);
    assert!(condition::is_true(&status.conditions, AUTO_SCALING));
}

#[test]
fn switched_off_it_leaves_nothing() {
    let (declared, mut status) = (units(10, 10), TableResourceStatus::default());
    let (_, standing) = stamped(&mut status, &spec(declared), &reports(declared, Some(14)), 0);
    note(&mut status, standing, Some(1), Timestamp::UNIX_EPOCH);
    let off = TableSpec { auto_scaling: None, ..spec(declared) };
    let nodes = fixture::nodes();
    let answers = Answers { nodes: &nodes, reports: &[] };
    let standing = stamp(&mut status, &off, &Observation::default(), answers, Timestamp::UNIX_EPOCH);
    note(&mut status, standing, Some(1), Timestamp::UNIX_EPOCH);
    assert_eq!((status.auto_scaling, status.conditions.len()), (None, 0));
}
