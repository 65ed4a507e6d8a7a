//! The driver on real disks and in real time: one node alone, and three that talk through channels.
#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use cairn_engine::{Engine, FjallOptions, FjallStore, Folder, Owner};
use cairn_model::{
    AttributeValue, Item,
    codec::EncodedItem,
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId, RequestId, TableId},
    key::EncodedKey,
    node::{Order, OrderOutcome, ReplicaState},
    stream::RETENTION_MS,
    table::{GlobalReplicas, KeyAttribute, KeySchema, ScalarType, StreamViewType, TableDefinition},
    time::Timestamp,
};
use cairn_replication::{
    Clock, CoreConfig, Host, HostConfig, Now, SystemClock, Transport,
    log::{EngineLog, OnDamage},
    operation::{
        GetRequest, PartitionError, PartitionOutcome, PartitionRequest, ReturnValues, StreamRequest, WriteAction,
        WriteRequest,
    },
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const PARTITION: PartitionId = PartitionId([7; 16]);
const TABLE: TableId = TableId([8; 16]);
const TICK: Duration = Duration::from_millis(20);

fn node_id(node: u8) -> NodeId {
    NodeId([node + 1; 16])
}

fn descriptor(voters: u8) -> PartitionDescriptor {
    let member = |node: u8| Member {
        replica_id: ReplicaId(u64::from(node) + 1),
        node_id: node_id(node),
        zone: format!("zone-{node}"),
        address: format!("node-{node}:7400"),
        role: MemberRole::Voter,
    };
    PartitionDescriptor::first(PARTITION, TABLE, KeyRange::default(), (0..voters).map(member).collect())
}

fn definition() -> TableDefinition {
    TableDefinition::new(
        "local",
        "users",
        TABLE,
        KeySchema { partition: KeyAttribute { name: "id".into(), scalar_type: ScalarType::S }, sort: None },
    )
}

fn item(id: u64) -> Item {
    Item::from([("id".to_owned(), AttributeValue::S(format!("item-{id}")))])
}

fn key(id: u64) -> EncodedKey {
    EncodedKey::from_key(&definition().key_schema, &item(id)).unwrap()
}

fn put(id: u64) -> PartitionRequest {
    let mut request_id = [0; 16];
    request_id[..8].copy_from_slice(&id.to_be_bytes());
    PartitionRequest::Write(WriteRequest {
        request_id: RequestId(request_id),
        key: key(id),
        action: WriteAction::Put(EncodedItem::encode(&item(id))),
        condition: None,
        return_values: ReturnValues::None,
        return_item_on_condition_failure: false,
    })
}

fn get(id: u64, consistent: bool) -> PartitionRequest {
    PartitionRequest::Get(GetRequest { keys: vec![key(id)], projection: None, consistent })
}

async fn is_there(host: &Host, id: u64, consistent: bool) -> bool {
    match host.request(PARTITION, 1, get(id, consistent)).await {
        Ok(PartitionOutcome::Get(outcome)) => outcome.items[0].is_some(),
        other => panic!("not read: {other:?}"),
    }
}

/// Delivers frames to the hosts in this process that are up.
#[derive(Debug, Default)]
struct Channels(Mutex<BTreeMap<NodeId, Host>>);

#[derive(Debug)]
struct From {
    own: NodeId,
    channels: Arc<Channels>,
}

impl Transport for From {
    fn send(&self, to: &Member, frame: Bytes) {
        let hosts = self.channels.0.lock().unwrap();
        // A node that is gone hears nothing and says nothing.
        if hosts.contains_key(&self.own)
            && let Some(host) = hosts.get(&to.node_id)
        {
            host.deliver(self.own, frame);
        }
    }
}

fn start(node: u8, folder: &Path, channels: &Arc<Channels>) -> (Host, Folder) {
    start_at(node, folder, channels, Arc::new(SystemClock))
}

fn start_at(node: u8, folder: &Path, channels: &Arc<Channels>, clock: Arc<dyn Clock>) -> (Host, Folder) {
    let owner = Owner { region: "east".into(), account: "local".into(), group: "default".into() };
    let folder = Folder::open(folder, &owner, node_id(node)).unwrap();
    let store = FjallStore::open(&folder.items(), &folder.marker(), FjallOptions::default()).unwrap();
    let engine = Arc::new(Engine::open(store).unwrap());
    let log = EngineLog::open(&folder.log(), &engine, OnDamage::Refuse).unwrap().log;
    let config = HostConfig {
        core: CoreConfig::new(node_id(node), u64::from(node)),
        tick: TICK,
        on_fatal: Box::new(|error| panic!("{error}")),
    };
    let transport = Arc::new(From { own: node_id(node), channels: channels.clone() });
    let host = Host::start(config, engine, log, clock, transport).unwrap();
    channels.0.lock().unwrap().insert(node_id(node), host.clone());
    (host, folder)
}

async fn await_leader(hosts: &[Host]) -> usize {
    for _ in 0..500 {
        for (position, host) in hosts.iter().enumerate() {
            let reports = host.replicas();
            if reports.iter().any(|report| report.state == ReplicaState::Leader && report.caught_up) {
                return position;
            }
        }
        tokio::time::sleep(TICK).await;
    }
    panic!("nobody leads");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_alone_writes_and_reads_and_keeps_it_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let channels = Arc::new(Channels::default());
    let (host, lock) = start(0, folder.path(), &channels);
    let order = Order::Bootstrap { descriptor: descriptor(1), definition: definition() };
    assert_eq!(host.order(order).await, OrderOutcome::Done);
    await_leader(std::slice::from_ref(&host)).await;
    let writes: Vec<_> = (0..200)
        .map(|id| {
            let host = host.clone();
            tokio::spawn(async move { host.request(PARTITION, 1, put(id)).await })
        })
        .collect();
    for write in writes {
        assert!(write.await.unwrap().is_ok());
    }
    assert!(is_there(&host, 199, true).await);
    assert!(is_there(&host, 199, false).await);
    assert!(!is_there(&host, 999, true).await);
    let unknown = host.request(PartitionId([1; 16]), 1, get(1, true)).await;
    assert_eq!(unknown, Err(PartitionError::UnknownPartition));
    let other_epoch = host.request(PARTITION, 2, get(1, true)).await;
    assert_eq!(other_epoch, Err(PartitionError::EpochMismatch { epoch: 1 }));

    host.stop().await;
    channels.0.lock().unwrap().clear();
    drop((host, lock));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (host, _lock) = start(0, folder.path(), &channels);
    await_leader(std::slice::from_ref(&host)).await;
    for id in 0..200 {
        assert!(is_there(&host, id, true).await, "item {id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_go_on_when_their_leader_is_gone() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let channels = Arc::new(Channels::default());
    let (mut hosts, _locks): (Vec<_>, Vec<_>) =
        folders.iter().enumerate().map(|(node, folder)| start(node as u8, folder.path(), &channels)).unzip();
    let order = Order::Bootstrap { descriptor: descriptor(3), definition: definition() };
    assert_eq!(hosts[0].order(order).await, OrderOutcome::Done);
    let leader = await_leader(&hosts).await;
    for id in 0..50 {
        assert!(hosts[leader].request(PARTITION, 1, put(id)).await.is_ok());
    }
    assert!(is_there(&hosts[leader], 49, true).await);
    let follower = &hosts[(leader + 1) % 3];
    assert!(matches!(
        follower.request(PARTITION, 1, put(50)).await,
        Err(PartitionError::NotLeader { leader: Some(_) })
    ));
    let gone = hosts.remove(leader);
    channels.0.lock().unwrap().remove(&node_id(leader as u8));
    gone.stop().await;
    let leader = await_leader(&hosts).await;
    for id in 0..50 {
        assert!(is_there(&hosts[leader], id, true).await, "item {id}");
    }
    assert!(hosts[leader].request(PARTITION, 1, put(51)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_have_every_acknowledged_write_and_are_the_leaders_to_give() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let channels = Arc::new(Channels::default());
    let (hosts, _locks): (Vec<_>, Vec<_>) =
        folders.iter().enumerate().map(|(node, folder)| start(node as u8, folder.path(), &channels)).unzip();
    let order = Order::Bootstrap { descriptor: descriptor(3), definition: definition() };
    assert_eq!(hosts[0].order(order).await, OrderOutcome::Done);
    let leader = await_leader(&hosts).await;
    for count in 1..=20 {
        assert!(hosts[leader].request(PARTITION, 1, put(count)).await.is_ok());
        assert_eq!(hosts[leader].counts(PARTITION).await.unwrap().item_count, count);
    }
    assert_eq!(hosts[(leader + 1) % 3].counts(PARTITION).await, None);
    assert_eq!(hosts[leader].counts(PartitionId([1; 16])).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_hands_its_leadership_over_first() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let channels = Arc::new(Channels::default());
    let (hosts, _locks): (Vec<_>, Vec<_>) =
        folders.iter().enumerate().map(|(node, folder)| start(node as u8, folder.path(), &channels)).unzip();
    let order = Order::Bootstrap { descriptor: descriptor(3), definition: definition() };
    assert_eq!(hosts[0].order(order).await, OrderOutcome::Done);
    let leader = await_leader(&hosts).await;
    assert!(hosts[leader].request(PARTITION, 1, put(1)).await.is_ok());
    hosts[leader].hand_over().await;
    let next = await_leader(&hosts).await;
    assert_ne!(next, leader);
    assert!(hosts[next].request(PARTITION, 1, put(2)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_regions_have_a_table_in_common() {
    let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut hosts = Vec::new();
    let mut locks = Vec::new();
    for (folder, region) in folders.iter().zip(["east", "west"]) {
        let (host, lock) = start(0, folder.path(), &Arc::new(Channels::default()));
        let members = ["east".to_owned(), "west".to_owned()].into();
        let replicas = Some(GlobalReplicas { members, ..GlobalReplicas::in_region(region) });
        let definition = TableDefinition { replicas, ..definition() };
        assert_eq!(host.order(Order::Bootstrap { descriptor: descriptor(1), definition }).await, OrderOutcome::Done);
        await_leader(std::slice::from_ref(&host)).await;
        hosts.push(host);
        locks.push(lock);
    }
    let (east, west) = (hosts[0].clone(), hosts[1].clone());
    for id in 0..50 {
        assert!(east.request(PARTITION, 1, put(id)).await.is_ok());
    }
    let unheard = west.hello(PARTITION, "east").unwrap();
    east.remote(PARTITION, unheard).await.unwrap();
    let hello = east.hello(PARTITION, "west").unwrap();
    let mut reader = west.remote(PARTITION, hello).await.unwrap();
    let mut batches = 0;
    while reader.place.is_none() || !is_there(&west, 50, true).await {
        let claim = east.close(PARTITION).await.unwrap();
        let batch = east.changes(PARTITION, &reader, Some(claim), 300).unwrap();
        reader = west.remote(PARTITION, batch).await.unwrap();
        batches += 1;
        if batches == 3 {
            assert!(east.request(PARTITION, 1, put(50)).await.is_ok());
        }
        assert!(batches < 200, "it gets nowhere: {reader:?}");
    }
    for id in 0..=50 {
        assert!(is_there(&west, id, true).await, "item {id}");
    }
    assert_eq!(west.set_aside(PARTITION, "east").unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_the_log_to_go_on_is_told_within_a_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (host, _lock) = start(0, folder.path(), &Arc::new(Channels::default()));
    let long = Duration::from_secs(60);
    assert_eq!(host.applied_beyond(PARTITION, 0, long).await, Err(PartitionError::UnknownPartition));
    let order = Order::Bootstrap { descriptor: descriptor(1), definition: definition() };
    assert_eq!(host.order(order).await, OrderOutcome::Done);
    await_leader(std::slice::from_ref(&host)).await;
    let applied = host.applied_beyond(PARTITION, 0, long).await.unwrap();
    assert_eq!(host.applied_beyond(PARTITION, applied, 2 * TICK).await, Ok(applied), "nothing comes");
    let waiting = tokio::spawn({
        let host = host.clone();
        async move { host.applied_beyond(PARTITION, applied, long).await }
    });
    tokio::time::sleep(2 * TICK).await;
    assert!(host.request(PARTITION, 1, put(1)).await.is_ok());
    assert_eq!(tokio::time::timeout(long / 2, waiting).await.unwrap().unwrap(), Ok(applied + 1));
    let waiting = host.applied_beyond(PARTITION, applied + 1, long);
    let drop = Order::DropPartition { partition_id: PARTITION, table_id: TABLE, deleted_at_ms: None };
    let (ended, dropped) = tokio::join!(waiting, host.order(drop));
    assert_eq!((ended, dropped), (Err(PartitionError::UnknownPartition), OrderOutcome::Done));
}

/// The machine's clock, but for the time of day, which is so many milliseconds ahead.
#[derive(Debug, Default)]
struct Ahead(AtomicU64);

impl Clock for Ahead {
    fn now(&self) -> Now {
        let now = SystemClock.now();
        Now { wall_ms: now.wall_ms + self.0.load(Ordering::Relaxed), ..now }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_a_deleted_table_is_read_for_a_day_and_then_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Ahead::default());
    let (host, _lock) = start_at(0, folder.path(), &Arc::default(), clock.clone());
    let mut definition = definition();
    definition.set_stream(Some(StreamViewType::KeysOnly), 1_000);
    assert_eq!(host.order(Order::Bootstrap { descriptor: descriptor(1), definition }).await, OrderOutcome::Done);
    await_leader(std::slice::from_ref(&host)).await;
    for id in 0..3 {
        assert!(host.request(PARTITION, 1, put(id)).await.is_ok());
    }
    let deleted_at_ms = Some(clock.now().wall_ms);
    let drop = Order::DropPartition { partition_id: PARTITION, table_id: TABLE, deleted_at_ms };
    assert_eq!(host.order(drop).await, OrderOutcome::Done);
    assert!(host.replicas().is_empty());
    assert_eq!(host.request(PARTITION, 1, get(1, true)).await, Err(PartitionError::UnknownPartition));
    let of_stream = |stream| {
        let horizon = Timestamp(1);
        PartitionRequest::Stream(StreamRequest { stream, after: None, horizon, limit: 9, page_bytes: 1 << 20 })
    };
    let not_known = Err(PartitionError::NotLeader { leader: None });
    assert_eq!(
        host.request(PARTITION, 1, of_stream(1_001)).await,
        not_known,
        "it may have been behind: others are asked"
    );
    let request = of_stream(1_000);
    match host.request(PARTITION, 1, request.clone()).await {
        Ok(PartitionOutcome::Stream(page)) => assert_eq!((page.records.len(), page.ended), (3, true)),
        other => panic!("not read: {other:?}"),
    }
    clock.0.store(RETENTION_MS, Ordering::Relaxed);
    for _ in 0..1_000 {
        if host.retired().is_empty() {
            break;
        }
        tokio::time::sleep(TICK).await;
    }
    assert_eq!(host.request(PARTITION, 1, request).await, Err(PartitionError::UnknownPartition));
}
