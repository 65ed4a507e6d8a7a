//! Three storage nodes as processes, with an archive's client at the socket of each.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod support;

use bytes::Bytes;
use cairn_api::TableView;
use cairn_archive::{
    ArchiveConfig, Bucket, Metrics, Shipper, ShipperOptions, Source, TablePath,
    restore::{self, RestorePlan},
};
use cairn_model::{
    AttributeValue, Item, TableDefinition,
    codec::EncodedItem,
    descriptor::PartitionDescriptor,
    ids::{PartitionId, RequestId, TableId},
    key::EncodedKey,
    table::ContinuousBackups,
    time::Timestamp,
};
use cairn_replication::{
    Clock, SystemClock,
    operation::{GetRequest, PartitionOutcome, PartitionRequest, ReturnValues, WriteAction, WriteRequest},
    wire::PartitionCall,
};
use cairn_server::archive::{Adopter, SocketNode};
use std::{sync::Arc, time::Duration};
use support::group::{ACCOUNT, Group, definition, view};
use tempfile::TempDir;
use tokio::{net::UnixStream, task::JoinSet};

const CLUSTER: &str = "east";
const TABLE: TableId = TableId([7; 16]);
const PARTITION: PartitionId = PartitionId([8; 16]);
const NEW_TABLE: TableId = TableId([17; 16]);
const NEW_PARTITION: PartitionId = PartitionId([18; 16]);

fn item(id: u64, value: u64) -> Item {
    Item::from([
        ("Id".to_owned(), AttributeValue::S(id.to_string())),
        ("Value".to_owned(), AttributeValue::S(value.to_string())),
    ])
}

fn key(table: &TableView, id: u64) -> EncodedKey {
    EncodedKey::new(&table.definition.key_schema, &item(id, 0)).unwrap()
}

async fn put(group: &Group, table: &TableView, id: u64, value: u64) {
    let key = key(table, id);
    let write = WriteRequest {
        request_id: RequestId(*uuid::Uuid::new_v4().as_bytes()),
        key: key.clone(),
        action: WriteAction::Put(EncodedItem::encode(&item(id, value))),
        condition: None,
        return_values: ReturnValues::None,
        return_item_on_condition_failure: false,
    };
    group.request(table, &key.0, PartitionRequest::Write(write)).await.unwrap();
}

/// What one node has of an item, whether it leads or not.
async fn value_at(group: &Group, node: usize, partition: PartitionId, table: &TableView, id: u64) -> Option<Item> {
    let get = GetRequest { keys: vec![key(table, id)], projection: None, consistent: false };
    let call = PartitionCall { partition, epoch: 1, request: PartitionRequest::Get(get) };
    match group.request_at(node, &call).await.unwrap() {
        PartitionOutcome::Get(outcome) => outcome.items[0].as_ref().map(|(item, _)| item.decode().unwrap()),
        other => panic!("{other:?}"),
    }
}

fn archived_definition() -> TableDefinition {
    let on = ContinuousBackups { recovery_period_days: 35, enabled_at_ms: 1 };
    TableDefinition { continuous_backups: Some(on), ..definition(TABLE) }
}

fn new_table() -> TableView {
    view(TableDefinition { table_name: "restored".to_owned(), ..definition(NEW_TABLE) })
}

async fn eventually(what: &str, done: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within thirty seconds: {what}");
}

/// A bucket, and an archive beside each node that ships to it.
struct Archives {
    folder: TempDir,
    bucket: Bucket,
    nodes: Vec<Arc<SocketNode>>,
    /// Ends them when it is dropped.
    _shipping: JoinSet<()>,
}

impl Archives {
    async fn start(group: &Group) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = ArchiveConfig { url: format!("file://{}", folder.path().display()), ..Default::default() };
        let bucket = Bucket::open(&config).await.unwrap();
        let nodes: Vec<_> = (0..3).map(|node| Arc::new(SocketNode::start(group.socket(node)))).collect();
        let mut shipping = JoinSet::new();
        for (number, node) in nodes.iter().enumerate() {
            let options = ShipperOptions {
                seal_interval: Duration::from_millis(100),
                close_interval: Duration::from_millis(300),
                // As soon as anything was written since the last.
                snapshot_ratio: 0.0,
                snapshot_log_bytes_min: 1,
                ..ShipperOptions::default()
            };
            let shipper = Shipper::new(
                bucket.clone(),
                CLUSTER.to_owned(),
                format!("node-{number}"),
                node.clone(),
                Arc::new(SystemClock),
                options,
                Metrics::new().unwrap(),
            );
            shipping.spawn(async move { shipper.run(std::future::pending()).await });
        }
        Self { folder, bucket, nodes, _shipping: shipping }
    }

    fn path() -> TablePath {
        TablePath { cluster: CLUSTER.to_owned(), account: ACCOUNT.to_owned(), table_id: TABLE }
    }

    /// Waits until all that was written by now is in the bucket; gives how it is restored.
    async fn plan_now(&self) -> RestorePlan {
        let now = Timestamp::from_millis(SystemClock.now().wall_ms);
        eventually("what was written can be restored", async || {
            let recovery = restore::recoverable(&self.bucket, &Self::path()).await;
            recovery.is_ok_and(|recovery| recovery.latest_ms() >= Some(now.millis()))
        })
        .await;
        restore::plan(&self.bucket, &Self::path(), now, &[]).await.unwrap()
    }

    fn snapshots(&self) -> usize {
        let folder = format!("{CLUSTER}/{ACCOUNT}/{TABLE}/{PARTITION}/snapshots");
        std::fs::read_dir(self.folder.path().join(folder)).unwrap().count()
    }
}

async fn restored_into(
    node: &Arc<SocketNode>,
    plan: RestorePlan,
    descriptor: PartitionDescriptor,
    definition: TableDefinition,
) -> anyhow::Result<()> {
    let node = node.clone();
    let restoring = tokio::task::spawn_blocking(move || {
        let mut adoption = node.begin()?;
        plan.partitions[0].run(&mut *adoption, &mut |_| {})?;
        adoption.adopt(descriptor, definition)
    });
    restoring.await.unwrap()
}

/// All that the partition holds, as the node beside the archive has it.
async fn chunks_of(node: &SocketNode) -> Vec<Bytes> {
    let chunks = node.snapshot(PARTITION).await.unwrap().chunks;
    tokio::task::spawn_blocking(|| chunks.map(Result::unwrap).collect()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_archived_by_whoever_leads_and_comes_back_on_all_nodes() {
    let mut group = Group::start_archived().await;
    let archives = Archives::start(&group).await;
    let table = group.create_table_of(archived_definition()).await;
    for id in 0..30 {
        put(&group, &table, id, 1).await;
    }
    archives.plan_now().await;
    let leader = group.leader().await;
    group.kill_node(leader);
    for id in 20..60 {
        put(&group, &table, id, 2).await;
    }
    let plan = archives.plan_now().await;
    put(&group, &table, 0, 3).await;
    let recovery = restore::recoverable(&archives.bucket, &Archives::path()).await.unwrap();
    assert_eq!((recovery.windows.len(), recovery.problems), (1, Vec::new()), "there is no hole between the leaders");
    eventually("there is a snapshot besides the first", async || archives.snapshots() > 1).await;
    // The node that was killed is reached again without a word, and it is the one to restore into.
    group.start_node(leader);
    group.report(leader).await;
    let new = new_table();
    let descriptor = group.descriptor(NEW_PARTITION, NEW_TABLE).await;
    let node = &archives.nodes[leader];
    eventually("the node can be asked again", async || matches!(node.has(NEW_PARTITION).await, Ok(false))).await;
    restored_into(node, plan, descriptor, new.definition.clone()).await.unwrap();
    assert!(node.has(NEW_PARTITION).await.unwrap());
    for node in 0..3 {
        eventually("each node has all of it", async || {
            let report = group.report(node).await;
            let replica = report.replicas.iter().find(|replica| replica.descriptor.partition_id == NEW_PARTITION);
            replica.is_some_and(|replica| replica.caught_up && replica.item_count == 60)
        })
        .await;
        for id in 0..60 {
            let value = if id < 20 { 1 } else { 2 };
            assert_eq!(value_at(&group, node, NEW_PARTITION, &new, id).await, Some(item(id, value)), "{id} at {node}");
        }
    }
    put(&group, &new, 60, 4).await;
    eventually("nothing is left that the archive lacks", async || {
        let mut replicas = Vec::new();
        for node in 0..3 {
            replicas.extend(group.report(node).await.replicas);
        }
        replicas.len() == 6 && replicas.iter().all(|replica| replica.unarchived_bytes == 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_does_not_end_or_does_not_fit_leaves_nothing() {
    let group = Group::start_archived().await;
    let table = group.create_table_of(archived_definition()).await;
    for id in 0..10 {
        put(&group, &table, id, 1).await;
    }
    let leader = group.leader().await;
    let node = Arc::new(SocketNode::start(group.socket(leader)));
    let chunks = chunks_of(&node).await;
    let (descriptor, definition) = (group.descriptor(NEW_PARTITION, NEW_TABLE).await, new_table().definition);
    let restore = |whole: bool, descriptor: PartitionDescriptor, definition: TableDefinition| {
        let (node, chunks) = (node.clone(), chunks.clone());
        let restoring = tokio::task::spawn_blocking(move || {
            let mut adoption = node.begin()?;
            for chunk in &chunks {
                adoption.chunk(chunk.clone()).map_err(anyhow::Error::from_boxed)?;
            }
            adoption.chunks_done().map_err(anyhow::Error::from_boxed)?;
            if whole { adoption.adopt(descriptor, definition) } else { Ok(()) }
        });
        async { restoring.await.unwrap() }
    };
    restore(false, descriptor.clone(), definition.clone()).await.unwrap();
    let mut narrow = descriptor.clone();
    narrow.range.start = Bytes::from_static(b"m");
    let mut foreign = descriptor.clone();
    foreign.members.retain(|member| member.address != group.address(leader));
    let mut sorted = definition.clone();
    sorted.key_schema.partition.name = "Other".to_owned();
    for (descriptor, definition, reason) in [
        (narrow, definition.clone(), "the descriptor's range"),
        (foreign, definition.clone(), "is no voter in the descriptor"),
        (descriptor.clone(), sorted, "the definition's key schema"),
    ] {
        let refused = restore(true, descriptor, definition).await.unwrap_err();
        assert!(format!("{refused:#}").contains(reason), "{refused:#}");
    }
    assert!(!node.has(NEW_PARTITION).await.unwrap());
    for node in 0..3 {
        let partitions: Vec<_> =
            group.report(node).await.replicas.into_iter().map(|r| r.descriptor.partition_id).collect();
        assert_eq!(partitions, [PARTITION]);
    }
    // None of it stands in the way of a whole one; and what the node has, it need not have twice.
    for _ in 0..2 {
        restore(true, descriptor.clone(), definition.clone()).await.unwrap();
    }
    assert!(node.has(NEW_PARTITION).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_an_archive_at_its_socket_or_with_one_that_says_nothing_works_as_ever() {
    let group = Group::start_archived().await;
    let table = group.create_table_of(archived_definition()).await;
    for id in 0..20 {
        put(&group, &table, id, 1).await;
    }
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(UnixStream::connect(group.socket(0)).await.unwrap());
    }
    for id in 20..40 {
        put(&group, &table, id, 1).await;
    }
    for node in 0..3 {
        eventually("each node has it", async || group.report(node).await.replicas[0].item_count == 40).await;
        assert!(group.report(node).await.replicas[0].unarchived_bytes > 0, "it is kept for an archive to come");
        assert_eq!(value_at(&group, node, PARTITION, &table, 39).await, Some(item(39, 1)));
    }
}
