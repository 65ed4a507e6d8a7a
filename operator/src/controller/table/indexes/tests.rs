use super::{
    ending, identity,
    status::{are_allocated, are_made, leaderless, observe, told_leaderless},
    *,
};
use crate::controller::table::fixture::{self, global_index, index_id};
use cairn_crds::{StorageGroup, StorageGroupStatus, table::recovery::time_of_millis};
use cairn_model::{
    arn::TableArn,
    ids::{NodeId, PartitionId, ReplicaId},
    node::{FedReport, NodeReport, ReplicaReport, ReplicaState},
    table::TableStatus,
};
use jiff::Timestamp;
use std::sync::Arc;

type Reports = Vec<Option<Arc<NodeReport>>>;

const ARN: TableArn<'_> = TableArn { region: "east", account: "game", table_name: "users" };
const SOURCE: PartitionId = PartitionId([5; 16]);
const INDEX_PARTITION: PartitionId = PartitionId([6; 16]);

fn group() -> StorageGroup {
    let mut group = StorageGroup::new("default", crate::build::fixture::spec());
    group.status = Some(StorageGroupStatus { zones: fixture::zones(), ..StorageGroupStatus::default() });
    group
}

fn definition(indexes: &[GlobalIndex]) -> TableDefinition {
    TableDefinition { global_indexes: indexes.to_vec(), ..fixture::definition() }
}

fn spec(names: &[&str]) -> TableSpec {
    let indexes: Vec<_> = names.iter().map(|name| global_index(name, 0)).collect();
    TableSpec::from_definition(&definition(&indexes))
}

fn status() -> TableResourceStatus {
    TableResourceStatus {
        table_id: Some(fixture::table_id().to_string()),
        creation_date_time: Some(time_of_millis(1_000)),
        ..TableResourceStatus::default()
    }
}

/// What nodes say that hold the table with these indexes.
fn reports(indexes: &[GlobalIndex]) -> Reports {
    let mut reports = fixture::reports_of_one_table(3);
    reports.iter_mut().for_each(|report| Arc::make_mut(report).replicas[0].definition = definition(indexes));
    reports.into_iter().map(Some).collect()
}

/// And the index's partition too, led by the second.
fn add_index(reports: &mut Reports, index: &GlobalIndex, complete: bool) {
    for report in reports.iter_mut().flatten() {
        let report = Arc::make_mut(report);
        let of_table = report.replicas[0].clone();
        let mut descriptor = of_table.descriptor.clone();
        (descriptor.partition_id, descriptor.table_id) = (INDEX_PARTITION, index.index_id);
        let leads = of_table.replica_id == ReplicaId(2);
        report.replicas.push(ReplicaReport {
            descriptor,
            definition: of_table.definition.of_index(index),
            state: if leads { ReplicaState::Leader } else { ReplicaState::Follower },
            fed_by: vec![FedReport { partition_id: SOURCE, complete, through: 9 }],
            left_transactions: Vec::new(),
            item_count: 3,
            size_bytes: 30,
            ..of_table
        });
    }
}

fn with<T>(reports: &Reports, look: impl FnOnce(Answers<'_>) -> T) -> T {
    let nodes = fixture::nodes();
    look(Answers { nodes: &nodes, reports })
}

fn stamp(status: &mut TableResourceStatus, names: &[&str]) -> Result<(), String> {
    with(&reports(&[]), |answers| identity::stamp(status, &spec(names), &group(), answers)).unwrap()
}

/// A status with one index, and that index with its identity.
fn stamped(name: &str) -> (TableResourceStatus, GlobalIndex) {
    let mut status = status();
    stamp(&mut status, &[name]).unwrap();
    let index = status.global_secondary_indexes[0].index().unwrap();
    (status, index)
}

fn observed(status: &mut TableResourceStatus, reports: &Reports) -> Option<bool> {
    with(reports, |answers| {
        let table = Observation::of(fixture::table_id(), answers);
        let indexes = Indexes::of(status, answers).unwrap();
        let wanted = table.definition().cloned();
        observe(status, &indexes, &table, wanted.as_ref(), ARN, Timestamp::UNIX_EPOCH).unwrap();
        are_allocated(status, &indexes, &table).ok()
    })
}

fn states(status: &TableResourceStatus) -> Vec<TableStatus> {
    status.global_secondary_indexes.iter().map(|entry| entry.index_status).collect()
}

#[test]
fn an_index_gets_its_identity_and_its_place_once() {
    let (mut status, index) = stamped("by-team");
    assert_eq!((index.slot, index.partitions.len(), index.partitions[0].members.len()), (0, 1, 3));
    let before = status.clone();
    stamp(&mut status, &["by-team"]).unwrap();
    assert_eq!(status, before);
    stamp(&mut status, &["by-team", "by-rank"]).unwrap();
    let entries = &status.global_secondary_indexes;
    assert_eq!((entries[1].slot, entries.len()), (1, 2));
    assert_ne!(entries[0].index_id, entries[1].index_id);
}

#[test]
fn an_index_that_is_asked_for_again_is_another() {
    let (mut status, _) = stamped("by-team");
    stamp(&mut status, &[]).unwrap();
    assert_eq!(states(&status), [TableStatus::Deleting]);
    stamp(&mut status, &["by-team"]).unwrap();
    assert_eq!(states(&status), [TableStatus::Deleting, TableStatus::Creating]);
    let entries = &status.global_secondary_indexes;
    assert!(entries[0].index_id != entries[1].index_id && entries[0].slot != entries[1].slot);
}

#[test]
fn an_index_waits_for_a_slot_and_for_nodes_to_lie_on() {
    let names: Vec<String> = (0..20).map(|number| format!("by-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut status = status();
    stamp(&mut status, &names).unwrap();
    let told = stamp(&mut status, &[&names[1..], &["one-more"]].concat()).unwrap_err();
    assert!(told.contains("one-more") && told.contains("being deleted"), "{told}");
    let mut fresh = self::status();
    let silent: Reports = vec![None, None, None];
    let told = with(&silent, |answers| identity::stamp(&mut fresh, &spec(&["by-team"]), &group(), answers)).unwrap();
    assert!(told.unwrap_err().contains("StorageGroup default") && fresh.global_secondary_indexes.is_empty());
}

#[test]
fn indexes_that_nodes_hold_and_nobody_wrote_down_are_noted() {
    let index = global_index("by-team", 4);
    let mut reports = reports(std::slice::from_ref(&index));
    add_index(&mut reports, &index, true);
    let mut status = status();
    with(&reports, |answers| identity::recall(&mut status, &definition(std::slice::from_ref(&index)), answers));
    let entry = &status.global_secondary_indexes[0];
    assert_eq!((entry.slot, entry.index_id.clone()), (4, index_id().to_string()));
    assert_eq!(entry.placements[0].partition_id, INDEX_PARTITION.to_string());
    assert!(entry.schema_version.is_some(), "it is never made again");
    stamp(&mut status, &[]).unwrap();
    assert_eq!(states(&status), [TableStatus::Deleting]);
}

/// A status of this version, with one index that served under another id than the nodes hold one of its name under.
fn outdated(schema_version: i64) -> (TableResourceStatus, GlobalIndex) {
    let (mut status, index) = stamped("by-team");
    status.schema_version = Some(schema_version);
    let entry = &mut status.global_secondary_indexes[0];
    (entry.index_status, entry.schema_version) = (TableStatus::Active, Some(schema_version));
    (status, index)
}

fn recall(status: &mut TableResourceStatus, held: &TableDefinition, reports: &Reports) {
    with(reports, |answers| identity::recall(status, held, answers));
}

fn ids(definition: &TableDefinition) -> Vec<TableId> {
    definition.global_indexes.iter().map(|index| index.index_id).collect()
}

#[test]
fn an_index_that_was_made_anew_stays_whatever_an_older_status_says() {
    let (mut status, old) = outdated(3);
    let new = global_index("by-team", 4);
    let held = TableDefinition { schema_version: 7, ..definition(std::slice::from_ref(&new)) };
    let mut reports = reports(std::slice::from_ref(&new));
    add_index(&mut reports, &new, true);
    recall(&mut status, &held, &reports);
    stamp(&mut status, &["by-team"]).unwrap();
    observed(&mut status, &reports);
    assert_eq!(states(&status), [TableStatus::Deleting, TableStatus::Active]);
    let mut table = fixture::table("users");
    (table.spec, table.status) = (spec(&["by-team"]), Some(status.clone()));
    assert_eq!(ids(&table.definition().unwrap()), [new.index_id], "the definition stays as the nodes have it");
    let drops = with(&reports, |answers| {
        ending::take_gone(&mut status, &Observation::of(fixture::table_id(), answers), &group()).unwrap()
    });
    let dropped: Vec<_> = drops.iter().map(|drop| drop.table_id.clone()).collect();
    assert_eq!(dropped, [old.index_id.to_string()], "what no leader feeds");
    assert_eq!(states(&status), [TableStatus::Active]);
    let settled = status.clone();
    recall(&mut status, &held, &reports);
    assert_eq!(status, settled);
}

#[test]
fn an_index_that_was_deleted_since_comes_back_as_another_only() {
    let (mut status, old) = outdated(3);
    let held = TableDefinition { schema_version: 7, ..definition(&[]) };
    recall(&mut status, &held, &reports(&[]));
    assert_eq!(states(&status), [TableStatus::Deleting], "it has missed what was written since");
    stamp(&mut status, &["by-team"]).unwrap();
    assert_eq!(states(&status), [TableStatus::Deleting, TableStatus::Creating]);
    assert_ne!(status.global_secondary_indexes[1].id().unwrap(), old.index_id);
}

#[test]
fn an_index_that_is_being_deleted_is_in_nobodys_way() {
    let (mut status, _) = outdated(3);
    status.global_secondary_indexes[0].index_status = TableStatus::Deleting;
    let new = global_index("by-team", 4);
    let held = TableDefinition { schema_version: 7, ..definition(std::slice::from_ref(&new)) };
    recall(&mut status, &held, &reports(std::slice::from_ref(&new)));
    assert_eq!(states(&status), [TableStatus::Deleting, TableStatus::Creating]);
}

#[test]
fn a_leader_that_was_voted_out_takes_no_index_away_and_brings_none_back() {
    let (mut status, index) = outdated(8);
    let earlier = global_index("by-team", 4);
    let held = TableDefinition { schema_version: 7, ..definition(std::slice::from_ref(&earlier)) };
    recall(&mut status, &held, &reports(std::slice::from_ref(&earlier)));
    assert_eq!(states(&status), [TableStatus::Active, TableStatus::Deleting]);
    assert_eq!(status.global_secondary_indexes[0].id(), Ok(index.index_id));
}

#[test]
fn an_index_that_is_being_made_is_not_taken_for_one_that_was_deleted() {
    let (mut status, _) = stamped("by-team");
    status.schema_version = Some(1);
    let before = status.clone();
    recall(&mut status, &definition(&[]), &reports(&[]));
    assert_eq!(status, before);
}

/// The reports once another node is in the place of the one that was chosen to begin the index.
fn without_chosen(status: &TableResourceStatus) -> (Reports, String) {
    let chosen = status.global_secondary_indexes[0].placements[0].bootstrap_node.clone();
    let mut reports = reports(&[]);
    let lost = reports.iter_mut().flatten().find(|report| report.node_id.to_string() == chosen).unwrap();
    let lost = Arc::make_mut(lost);
    lost.node_id = NodeId([9; 16]);
    lost.replicas.clear();
    let next = reports.iter_mut().flatten().find(|report| report.node_id != NodeId([9; 16])).unwrap();
    Arc::make_mut(next).replicas[0].state = ReplicaState::Leader;
    (reports, chosen)
}

fn give_up(status: &mut TableResourceStatus, reports: &Reports) -> Vec<String> {
    with(reports, |answers| identity::give_up(status, answers)).unwrap()
}

#[test]
fn an_index_whose_chosen_node_is_gone_is_made_anew_under_another_id() {
    let (mut status, lost) = stamped("by-team");
    let (reports, gone) = without_chosen(&status);
    assert_eq!(give_up(&mut status, &reports), ["by-team"]);
    with(&reports, |answers| identity::stamp(&mut status, &spec(&["by-team"]), &group(), answers)).unwrap().unwrap();
    assert_eq!(states(&status), [TableStatus::Deleting, TableStatus::Creating]);
    let anew = &status.global_secondary_indexes[1];
    assert_ne!(anew.id().unwrap(), lost.index_id);
    assert!(anew.placements[0].partition_id != lost.partitions[0].partition_id.to_string());
    assert!(anew.placements[0].members.iter().all(|member| member.node_id != gone));
    let wanted = definition(&[anew.index().unwrap()]);
    let Due { orders, waits } = with(&reports, |answers| {
        Indexes::of(&status, answers).unwrap().orders(&status, &wanted, None, answers).unwrap()
    });
    assert_eq!((orders.len(), waits), (1, None), "and only the other is begun");
    let before = status.clone();
    assert!(give_up(&mut status, &reports).is_empty());
    assert_eq!(status, before);
}

#[test]
fn what_a_lost_index_may_have_left_is_dropped_once_no_leader_feeds_it() {
    let (mut status, lost) = stamped("by-team");
    let (reports, _) = without_chosen(&status);
    give_up(&mut status, &reports);
    let mut fed = self::reports(std::slice::from_ref(&lost));
    let mut take_gone = |reports: &Reports| {
        with(reports, |answers| {
            ending::take_gone(&mut status, &Observation::of(fixture::table_id(), answers), &group()).unwrap()
        })
    };
    assert!(take_gone(&fed).is_empty(), "a table that was made with it is told first");
    fed = reports;
    let drops = take_gone(&fed);
    assert_eq!(drops.len(), 1);
    assert_eq!(drops[0].partition_id, lost.partitions[0].partition_id.to_string());
}

#[test]
fn an_index_that_was_led_or_whose_node_may_come_back_is_not_given_up() {
    let (mut led, _) = stamped("by-team");
    let (reports, _) = without_chosen(&led);
    led.global_secondary_indexes[0].schema_version = Some(1);
    assert!(give_up(&mut led, &reports).is_empty());
    let (mut status, index) = stamped("by-team");
    let (mut reports, chosen) = without_chosen(&status);
    for report in &mut reports {
        report.take_if(|report| report.node_id == NodeId([9; 16]));
    }
    assert!(give_up(&mut status, &reports).is_empty());
    let waits = with(&reports, |answers| {
        let indexes = Indexes::of(&status, answers).unwrap();
        indexes.orders(&status, &definition(std::slice::from_ref(&index)), None, answers).unwrap().waits.unwrap()
    });
    assert!(waits.contains("by-team") && waits.contains(&chosen) && waits.contains("add it again"), "{waits}");
}

#[test]
fn the_recorded_node_makes_the_index_under_its_own_id() {
    let (status, index) = stamped("by-team");
    let reports = reports(&[]);
    let Due { orders, waits } = with(&reports, |answers| {
        let indexes = Indexes::of(&status, answers).unwrap();
        indexes.orders(&status, &definition(std::slice::from_ref(&index)), None, answers).unwrap()
    });
    assert_eq!((orders.len(), waits), (1, None));
    let Order::Bootstrap { descriptor, definition } = &orders[0].1 else { panic!("{orders:?}") };
    assert_eq!((descriptor.table_id, definition.table_id), (index.index_id, index.index_id));
    assert_eq!(definition.index_of.as_ref().unwrap().table_id, fixture::table_id());
    assert_eq!(descriptor.partition_id, index.partitions[0].partition_id);
}

#[test]
fn a_table_is_told_of_an_index_once_that_is_led() {
    let (_, index) = stamped("by-rank");
    let wanted = definition(std::slice::from_ref(&index));
    let told = |reports: &Reports, held: &TableDefinition| {
        with(reports, |answers| {
            let indexes = Indexes(BTreeMap::from([(index.index_id, Observation::of(index.index_id, answers))]));
            indexes.made(&wanted, held).global_indexes.len()
        })
    };
    let mut there = reports(&[]);
    assert_eq!(told(&there, &definition(&[])), 0, "nobody leads it");
    assert_eq!(told(&there, &wanted), 1, "the table knows of it already");
    add_index(&mut there, &index, false);
    assert_eq!(told(&there, &definition(&[])), 1);
}

#[test]
fn an_index_follows_the_version_of_its_table_step_by_step() {
    let (mut status, index) = stamped("by-team");
    status.global_secondary_indexes[0].schema_version = Some(1);
    let mut reports = reports(std::slice::from_ref(&index));
    add_index(&mut reports, &index, true);
    let held = TableDefinition { schema_version: 3, ..definition(std::slice::from_ref(&index)) };
    let Due { orders, .. } = with(&reports, |answers| {
        Indexes::of(&status, answers).unwrap().orders(&status, &held, Some(&held), answers).unwrap()
    });
    let Order::UpdateDefinition { partition_id, definition } = &orders[0].1 else { panic!("{orders:?}") };
    assert_eq!((*partition_id, definition.schema_version, orders.len()), (INDEX_PARTITION, 2, 1));
    assert_eq!(orders[0].0, fixture::nodes()[1].target, "to its own leader");
}

#[test]
fn the_table_is_told_where_the_index_is_now() {
    let (status, index) = stamped("by-team");
    let mut reports = reports(std::slice::from_ref(&index));
    add_index(&mut reports, &index, true);
    for report in reports.iter_mut().flatten() {
        let member = &mut Arc::make_mut(report).replicas[1].descriptor.members[2];
        (member.node_id, member.replica_id) = (NodeId([9; 16]), ReplicaId(4));
    }
    let located = |reports: &Reports, held: Option<&TableDefinition>| {
        with(reports, |answers| {
            let wanted = definition(std::slice::from_ref(&index));
            Indexes::of(&status, answers).unwrap().locate(wanted, held)
        })
    };
    let now = located(&reports, None);
    assert_eq!(now.global_indexes[0].partitions[0].members[2].node_id, NodeId([9; 16]));
    let without: Reports = vec![None, None, None];
    assert_eq!(located(&without, Some(&now)), now, "nobody knows better");
    let placed = located(&without, None);
    assert_ne!(placed, now);
    assert!(are_same_elsewhere(&placed, &now));
}

#[test]
fn an_index_is_active_once_it_has_all_of_every_partition() {
    let (mut status, index) = stamped("by-team");
    let unfed = reports(&[]);
    assert_eq!(observed(&mut status, &unfed), Some(false));
    let mut filling = reports(std::slice::from_ref(&index));
    add_index(&mut filling, &index, false);
    assert_eq!(observed(&mut status, &filling), Some(true), "the table serves while it fills");
    assert_eq!(
        (states(&status), status.global_secondary_indexes[0].backfilling),
        (vec![TableStatus::Creating], Some(true))
    );
    assert!(!are_made(&status));
    let mut filled = reports(std::slice::from_ref(&index));
    add_index(&mut filled, &index, true);
    observed(&mut status, &filled);
    let entry = &status.global_secondary_indexes[0];
    assert_eq!((entry.index_status, entry.backfilling, entry.item_count), (TableStatus::Active, None, Some(3)));
    assert_eq!(entry.index_arn.as_deref(), Some("arn:aws:dynamodb:east:game:table/users/index/by-team"));
    assert_eq!(status.indexes_ready.as_deref(), Some("1/1"));
    observed(&mut status, &filling);
    assert_eq!(states(&status), [TableStatus::Active], "it stays so");
}

#[test]
fn an_index_without_a_leader_is_named() {
    let (mut status, index) = stamped("by-team");
    let mut filled = reports(std::slice::from_ref(&index));
    add_index(&mut filled, &index, true);
    observed(&mut status, &filled);
    let named = |reports: &Reports| {
        with(reports, |answers| leaderless(&status, &Indexes::of(&status, answers).unwrap()).map(str::to_owned))
    };
    assert_eq!(named(&filled), None);
    Arc::make_mut(filled[1].as_mut().unwrap()).replicas[1].state = ReplicaState::Follower;
    assert_eq!(named(&filled).as_deref(), Some("by-team"));
    let told = told_leaderless("by-team");
    assert!(told.contains("the index by-team has no leader") && told.contains("take the index out"), "{told}");
}

#[test]
fn the_data_of_an_index_goes_only_once_no_leader_feeds_it() {
    let (mut status, index) = stamped("by-team");
    stamp(&mut status, &[]).unwrap();
    let gone = |status: &mut TableResourceStatus, reports: &Reports| {
        with(reports, |answers| {
            ending::take_gone(status, &Observation::of(fixture::table_id(), answers), &group()).unwrap()
        })
    };
    assert!(gone(&mut status, &reports(std::slice::from_ref(&index))).is_empty());
    let mut leaderless = reports(&[]);
    Arc::make_mut(leaderless[0].as_mut().unwrap()).replicas[0].state = ReplicaState::Follower;
    assert!(gone(&mut status, &leaderless).is_empty());
    assert_eq!(states(&status), [TableStatus::Deleting]);
    let drops = gone(&mut status, &reports(&[]));
    assert_eq!((drops.len(), drops[0].table_id.clone()), (1, index.index_id.to_string()));
    assert_eq!(drops[0].nodes.len(), 3);
    assert!(status.global_secondary_indexes.is_empty());
}

#[test]
fn an_index_that_is_asked_for_with_other_keys_is_refused() {
    let (status, _) = stamped("by-team");
    assert_eq!(unchangeable(&spec(&["by-team"]), &status).unwrap(), None);
    let mut other = spec(&["by-team"]);
    other.attribute_definitions[1].attribute_type = cairn_model::table::ScalarType::N;
    let refusal = unchangeable(&other, &status).unwrap().unwrap();
    assert_eq!(refusal.reason, "Unchangeable");
    assert!(refusal.message.contains("by-team") && refusal.message.contains("keySchema"), "{refusal:?}");
    let mut other = spec(&["by-team"]);
    let index = &mut other.global_secondary_indexes.as_mut().unwrap()[0];
    index.projection.projection_type = cairn_model::index::ProjectionType::All;
    assert!(unchangeable(&other, &status).unwrap().unwrap().message.contains("projection"));
}
