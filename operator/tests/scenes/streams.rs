//! A table with a stream is deleted: the nodes keep its stream for a day, and nothing else waits for that.

use crate::{
    merge,
    support::{World, api_server::ApiServer, wait},
};
use cairn_crds::{StorageGroup, Table, TableResourceStatus, storage_group::PendingDrop};
use cairn_model::{
    ids::PartitionId,
    node::{NodeReport, Order, ReplicaState, RetiredReport},
    table::TableStatus,
};
use kube::api::DeleteParams;
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};

const STREAM: &str = ", streamSpecification: {streamEnabled: true, streamViewType: KEYS_ONLY}";

pub(crate) async fn play(server: &ApiServer) {
    the_name_is_free_at_once_and_every_node_keeps_the_stream_that_ended(server).await;
    a_node_that_was_away_while_the_others_dropped_it_keeps_nothing(server).await;
    a_group_stays_as_long_as_its_nodes_keep_a_stream(server).await;
}

async fn create(world: &World) -> TableResourceStatus {
    world.create_table("users", STREAM).await;
    world.wait_active("users").await.status.unwrap()
}

/// Deletes the table and waits until it is gone, with its finalizers.
async fn delete(world: &World) {
    let tables = world.api::<Table>();
    tables.delete("users", &DeleteParams::default()).await.unwrap();
    wait("the table to go", || async { tables.get_opt("users").await.unwrap().is_none().then_some(()) }).await;
}

async fn pending(world: &World) -> Vec<PendingDrop> {
    world.group("default").await.status.unwrap().pending_drops
}

async fn wait_dropped(world: &World) {
    wait("the data to be dropped", || async { pending(world).await.is_empty().then_some(()) }).await;
}

fn partition(status: &TableResourceStatus) -> PartitionId {
    status.placements.as_ref().unwrap()[0].partition_id.parse().unwrap()
}

fn retired(world: &World) -> Vec<RetiredReport> {
    world.fleet.with(|nodes| nodes.values().flat_map(|node| node.retired.clone()).collect())
}

/// The addresses of the node whose replica leads and of those that follow.
fn leader_and_followers(world: &World) -> (String, Vec<String>) {
    let leads = |node: &NodeReport| node.replicas.iter().any(|replica| replica.state == ReplicaState::Leader);
    world.fleet.with(|nodes| {
        let (leader, followers): (Vec<_>, Vec<_>) = nodes.iter().partition(|(_, node)| leads(node));
        (leader[0].0.clone(), followers.into_iter().map(|(address, _)| address.clone()).collect())
    })
}

async fn the_name_is_free_at_once_and_every_node_keeps_the_stream_that_ended(server: &ApiServer) {
    let world = World::new(server, "deleted-stream").await;
    let first = create(&world).await;
    let stream = first.latest_stream_arn.clone().unwrap();
    let (leader, _) = leader_and_followers(&world);
    world.fleet.take_drops(false);
    delete(&world).await;
    let second = create(&world).await;
    assert_eq!(second.table_status, Some(TableStatus::Active));
    assert_ne!(first.table_id, second.table_id);
    let waiting = pending(&world).await;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!((waiting[0].partition_id.parse(), waiting[0].nodes.len()), (Ok(partition(&first)), 3));
    let deleted_at_ms = u64::try_from(waiting[0].deleted_at.as_ref().unwrap().0.as_millisecond()).unwrap();

    world.fleet.take_drops(true);
    wait_dropped(&world).await;
    let drops = world.fleet.drops();
    let order = Order::DropPartition {
        partition_id: partition(&first),
        table_id: first.table_id.as_ref().unwrap().parse().unwrap(),
        deleted_at_ms: Some(deleted_at_ms),
    };
    assert!(drops.iter().all(|(_, given)| *given == order), "{drops:?}");
    // Each is told again where another write got ahead of the operator's note that it is done.
    let mut told = BTreeSet::new();
    let addresses: Vec<_> = drops.iter().map(|(address, _)| address).filter(|address| told.insert(*address)).collect();
    assert_eq!((addresses.len(), addresses.last()), (3, Some(&&leader)), "the leader goes last");
    let kept = retired(&world);
    assert_eq!(kept.len(), 3);
    for RetiredReport { descriptor, definition } in kept {
        assert_eq!(descriptor.partition_id, partition(&first));
        let streams: Vec<_> = definition.readable_streams(deleted_at_ms).map(|(_, is_on)| is_on).collect();
        assert_eq!(streams, [false]);
    }
    let status = world.wait_active("users").await.status.unwrap();
    assert_eq!(status.table_id, second.table_id);
    assert_ne!(status.latest_stream_arn, Some(stream));
    let held = world.fleet.with(|nodes| nodes.values().map(|node| node.replicas.len()).sum::<usize>());
    assert_eq!(held, 3, "of the second table nothing went");
}

async fn a_node_that_was_away_while_the_others_dropped_it_keeps_nothing(server: &ApiServer) {
    let world = World::new(server, "away-stream").await;
    create(&world).await;
    let (_, followers) = leader_and_followers(&world);
    let away = world.fleet.with(|nodes| nodes.remove(&followers[0])).unwrap();
    delete(&world).await;
    wait("the others to drop it", || async {
        let waiting = pending(&world).await;
        (waiting.len() == 1 && waiting[0].nodes == [away.node_id.to_string()]).then_some(())
    })
    .await;
    assert_eq!(retired(&world).len(), 2);
    world.fleet.with(|nodes| nodes.insert(followers[0].clone(), away));
    wait_dropped(&world).await;
    let (address, order) = world.fleet.drops().pop().unwrap();
    assert_eq!(address, followers[0]);
    assert!(matches!(order, Order::DropPartition { deleted_at_ms: None, .. }), "{order:?}");
    assert_eq!(retired(&world).len(), 2);
}

async fn a_group_stays_as_long_as_its_nodes_keep_a_stream(server: &ApiServer) {
    let flags = ["--empty-group-retention-seconds=1"];
    let world = World::with_defaults(server, "kept-stream", "{volume: {size: 1Gi}}", &flags).await;
    create(&world).await;
    delete(&world).await;
    wait_dropped(&world).await;
    wait("the group to be empty", || async { world.group("default").await.status?.empty_since }).await;
    for look in ["once", "twice"] {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let again = json!({"metadata": {"annotations": {"tests/look": look}}});
        merge(&world.api::<StorageGroup>(), "default", again).await;
    }
    assert_eq!(retired(&world).len(), 3);
    // The day is over: nodes forget by themselves.
    world.fleet.with(|nodes| nodes.values_mut().for_each(|node| node.retired.clear()));
    merge(&world.api::<StorageGroup>(), "default", json!({"metadata": {"annotations": {"tests/look": "at last"}}}))
        .await;
    wait("the group to go", || async {
        world.api::<StorageGroup>().get_opt("default").await.unwrap().is_none().then_some(())
    })
    .await;
}
