use crate::{
    cluster::Cluster,
    requests::{PARTITION, TABLE, add, definition, descriptor, item, put},
};
use cairn_model::{
    ids::TableId,
    index::{IndexProjection, LocalIndex, ProjectionType},
    node::{Order, OrderOutcome},
    table::{KeyAttribute, ScalarType, TableDefinition},
};

fn update(version: u64) -> Order {
    let mut definition = definition();
    definition.schema_version = version;
    definition.deletion_protection_enabled = version.is_multiple_of(2);
    Order::UpdateDefinition { partition_id: PARTITION, definition }
}

#[test]
fn orders_are_idempotent() {
    let mut cluster = Cluster::with_partition(3, 3);
    let bootstrap = Order::Bootstrap { descriptor: descriptor(3), definition: definition() };
    assert_eq!(cluster.order(0, bootstrap), OrderOutcome::Done);
    assert_eq!(cluster.order(0, update(2)), OrderOutcome::Done);
    assert_eq!(cluster.order(0, update(2)), OrderOutcome::Done);
    let drop = Order::DropPartition { partition_id: PARTITION, table_id: TABLE, deleted_at_ms: None };
    for node in 0..3 {
        assert_eq!(cluster.order(node, drop.clone()), OrderOutcome::Done);
        assert_eq!(cluster.order(node, drop.clone()), OrderOutcome::Done);
    }
}

#[test]
fn a_definition_changes_on_every_replica_and_skips_no_version() {
    let mut cluster = Cluster::with_partition(3, 3);
    assert!(matches!(cluster.order(0, update(3)), OrderOutcome::Refused { .. }));
    assert!(matches!(cluster.order(1, update(2)), OrderOutcome::NotLeader { leader: Some(_) }));
    assert_eq!(cluster.order(0, update(2)), OrderOutcome::Done);
    cluster.ticks(3);
    for node in 0..3 {
        assert_eq!(cluster.report(node).unwrap().definition.schema_version, 2);
    }
}

#[test]
fn a_definition_never_changes_the_keys_or_the_local_indexes() {
    let mut cluster = Cluster::with_partition(1, 1);
    let changed = |change: fn(&mut TableDefinition)| {
        let mut definition = TableDefinition { schema_version: 2, ..definition() };
        change(&mut definition);
        Order::UpdateDefinition { partition_id: PARTITION, definition }
    };
    for order in [
        changed(|definition| definition.key_schema.partition.name = "Other".into()),
        changed(|definition| definition.local_indexes.push(by_rank(1))),
    ] {
        let outcome = cluster.order(0, order);
        assert!(
            matches!(&outcome, OrderOutcome::Refused { message } if message.contains("never change")),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_partition_does_not_begin_with_local_indexes_that_have_no_place() {
    let mut cluster = Cluster::new(1);
    for local_indexes in [vec![by_rank(0)], vec![by_rank(6)], vec![by_rank(1), by_rank(1)]] {
        let definition = TableDefinition { local_indexes, ..definition() };
        let outcome = cluster.order(0, Order::Bootstrap { descriptor: descriptor(1), definition });
        assert!(
            matches!(&outcome, OrderOutcome::Refused { message } if message.contains("localIndexes")),
            "{outcome:?}"
        );
    }
}

fn by_rank(slot: u8) -> LocalIndex {
    LocalIndex {
        index_name: "by-rank".into(),
        slot,
        sort: KeyAttribute { name: "Rank".into(), scalar_type: ScalarType::N },
        projection: IndexProjection { projection_type: ProjectionType::All, non_key_attributes: [].into() },
    }
}

#[test]
fn writes_under_way_while_the_definition_changes_are_all_done_once() {
    let mut cluster = Cluster::with_partition(3, 3);
    let mut tokens = Vec::new();
    for n in 0..30 {
        tokens.push(cluster.send(0, add(n, "a", 1)));
        if n % 10 == 5 {
            let token = cluster.token();
            let order = update(2 + n / 10);
            cluster.step(0, cairn_replication::core::Input::Order { token, order });
        }
        if n % 3 == 0 {
            cluster.flush(0);
        }
    }
    cluster.ticks(5);
    assert!(tokens.iter().all(|token| cluster.answers[token].is_ok()));
    assert_eq!(cluster.get(0, "a"), Some(item("a", 30)));
}

/// An order may be on its way when the table is deleted, and come when its node was told to drop what it did not hold.
#[test]
fn a_partition_that_was_dropped_before_it_was_begun_is_not_begun() {
    let mut cluster = Cluster::new(1);
    let drop = Order::DropPartition { partition_id: PARTITION, table_id: TABLE, deleted_at_ms: None };
    assert_eq!(cluster.order(0, drop.clone()), OrderOutcome::Done);
    assert_eq!(cluster.order(0, drop), OrderOutcome::Done);
    cluster.crash(0);
    cluster.start(0);
    let late = Order::Bootstrap { descriptor: descriptor(1), definition: definition() };
    let outcome = cluster.order(0, late);
    assert!(
        matches!(&outcome, OrderOutcome::Refused { message } if message.contains("was dropped from node")),
        "{outcome:?}"
    );
    assert!(cluster.report(0).is_none());
}

#[test]
fn no_message_begins_a_partition_on_a_node_that_was_told_to_drop_it() {
    let mut cluster = Cluster::new(3);
    cluster.isolate(0);
    let bootstrap = Order::Bootstrap { descriptor: descriptor(3), definition: definition() };
    assert_eq!(cluster.order(0, bootstrap), OrderOutcome::Done);
    cluster.ticks(5);
    let drop = Order::DropPartition { partition_id: PARTITION, table_id: TABLE, deleted_at_ms: None };
    for node in 1..3 {
        assert_eq!(cluster.order(node, drop.clone()), OrderOutcome::Done);
    }
    cluster.heal();
    cluster.ticks(30);
    assert!(cluster.report(1).is_none() && cluster.report(2).is_none());
    assert_eq!(cluster.order(0, drop), OrderOutcome::Done);
}

/// "A node never drops data because a Table is absent; only an explicit order does it": and that names the table.
#[test]
fn a_partition_is_dropped_only_for_its_own_table() {
    let mut cluster = Cluster::with_partition(1, 1);
    cluster.write(0, put(1, "a", 1));
    let order = Order::DropPartition { partition_id: PARTITION, table_id: TableId([1; 16]), deleted_at_ms: None };
    assert!(matches!(cluster.order(0, order), OrderOutcome::Refused { .. }));
    assert_eq!(cluster.get(0, "a"), Some(item("a", 1)));
    let order = Order::DropPartition { partition_id: PARTITION, table_id: TABLE, deleted_at_ms: None };
    assert_eq!(cluster.order(0, order), OrderOutcome::Done);
    assert!(cluster.report(0).is_none());
    // Gone for good, across a restart too.
    cluster.crash(0);
    cluster.start(0);
    let again = Order::Bootstrap { descriptor: descriptor(1), definition: definition() };
    assert!(matches!(cluster.order(0, again), OrderOutcome::Refused { .. }));
}
