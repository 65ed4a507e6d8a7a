//! A node of the tests' own at one end of a socket, the archive's client at the other.

use super::{Offer, SocketNode, listen, serve};
use crate::archive::{Adopter, Adoption};
use async_trait::async_trait;
use bytes::Bytes;
use cairn_archive::{Claim, Source, SourceError, SourcePartition, SourceSnapshot, restore::RestoreSink};
use cairn_model::{
    descriptor::{KeyRange, PartitionDescriptor},
    ids::{PartitionId, TableId},
    table::{BillingMode, ContinuousBackups, KeyAttribute, KeySchema, ScalarType, TableDefinition},
    time::Timestamp,
};
use cairn_replication::log::LogEntry;
use parking_lot::Mutex;
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

const LED: PartitionId = PartitionId([1; 16]);
const NOT_LED: PartitionId = PartitionId([2; 16]);
/// Its log begins at entry 10.
const COMPACTED: PartitionId = PartitionId([3; 16]);
/// Its disk can't be read.
const BROKEN: PartitionId = PartitionId([4; 16]);
/// Its snapshot breaks off after two chunks.
const BREAKING: PartitionId = PartitionId([5; 16]);
/// Its snapshot has no end.
const ENDLESS: PartitionId = PartitionId([6; 16]);

type SinkError = Box<dyn std::error::Error + Send + Sync>;

fn broken() -> SourceError {
    SourceError::Failed(anyhow::anyhow!("bad sector").context("failed to read the disk").into())
}

fn descriptor(partition_id: PartitionId) -> PartitionDescriptor {
    PartitionDescriptor {
        partition_id,
        table_id: TableId([7; 16]),
        range: KeyRange { start: Bytes::from_static(b"a"), end: Bytes::new() },
        epoch: 4,
        members: Vec::new(),
        next_replica_id: 1,
        parents: vec![PartitionId([8; 16])],
    }
}

fn definition() -> TableDefinition {
    TableDefinition {
        account: "game".into(),
        table_name: "users".into(),
        table_id: TableId([7; 16]),
        schema_version: 2,
        key_schema: KeySchema { partition: KeyAttribute { name: "Id".into(), scalar_type: ScalarType::S }, sort: None },
        billing_mode: BillingMode::PayPerRequest,
        provisioned_throughput: None,
        table_class: None,
        deletion_protection_enabled: false,
        creation_time_ms: 5,
        continuous_backups: Some(ContinuousBackups { recovery_period_days: 7, enabled_at_ms: 6 }),
        restored_from: None,
    }
}

fn entry(index: u64, bytes: usize) -> (LogEntry, Timestamp) {
    let entry = LogEntry { index, term: 2, kind: (index % 2) as u8, payload: vec![index as u8; bytes].into() };
    (entry, Timestamp(index * 1_000))
}

/// What happened to a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Chunk(Bytes),
    ChunksDone,
    Entry(LogEntry),
    Adopted(PartitionId),
    GivenUp,
}

#[derive(Debug, Default)]
struct FakeNode {
    archived: Mutex<Vec<(PartitionId, u64)>>,
    events: Mutex<Vec<Event>>,
    /// Chunks of the endless snapshot that were made.
    made: AtomicUsize,
}

#[async_trait]
impl Source for FakeNode {
    fn partitions(&self) -> Vec<SourcePartition> {
        vec![SourcePartition { descriptor: descriptor(LED), definition: definition(), applied_index: 3 }]
    }

    async fn entries(
        &self,
        partition: PartitionId,
        from: u64,
        bytes_max: u64,
    ) -> Result<Vec<(LogEntry, Timestamp)>, SourceError> {
        match partition {
            LED => Ok((from..from + bytes_max / 1_000).map(|index| entry(index, 1_000)).collect()),
            COMPACTED => Err(SourceError::Compacted { first: 10 }),
            BROKEN => Err(broken()),
            _ => Err(SourceError::NotLeader),
        }
    }

    async fn snapshot(&self, partition: PartitionId) -> Result<SourceSnapshot, SourceError> {
        Err(if partition == NOT_LED { SourceError::NotLeader } else { broken() })
    }

    async fn close(&self, partition: PartitionId) -> Result<Claim, SourceError> {
        match partition {
            LED => Ok(Claim { index: 9, time: Timestamp(77) }),
            _ => Err(SourceError::NotLeader),
        }
    }

    fn archived(&self, partition: PartitionId, index: u64) {
        self.archived.lock().push((partition, index));
    }
}

/// As the node is offered: its snapshots and adoptions look back at it.
#[derive(Debug)]
struct Shared(Arc<FakeNode>);

#[async_trait]
impl Source for Shared {
    fn partitions(&self) -> Vec<SourcePartition> {
        self.0.partitions()
    }

    async fn entries(
        &self,
        partition: PartitionId,
        from: u64,
        bytes_max: u64,
    ) -> Result<Vec<(LogEntry, Timestamp)>, SourceError> {
        self.0.entries(partition, from, bytes_max).await
    }

    async fn snapshot(&self, partition: PartitionId) -> Result<SourceSnapshot, SourceError> {
        let node = self.0.clone();
        let chunks: Box<dyn Iterator<Item = Result<Bytes, SourceError>> + Send> = match partition {
            LED => Box::new((0..200_u8).map(|n| Ok(Bytes::from(vec![n; 100_000])))),
            BREAKING => {
                Box::new([Ok(Bytes::from_static(b"a")), Ok(Bytes::from_static(b"b")), Err(broken())].into_iter())
            }
            ENDLESS => Box::new(std::iter::from_fn(move || {
                node.made.fetch_add(1, Ordering::Relaxed);
                Some(Ok(Bytes::from(vec![0; 200_000])))
            })),
            other => return self.0.snapshot(other).await,
        };
        Ok(SourceSnapshot {
            descriptor: descriptor(partition),
            definition: definition(),
            index: 11,
            term: 2,
            entry_time: Timestamp(12),
            size_bytes: 13,
            item_count: 14,
            chunks,
        })
    }

    async fn close(&self, partition: PartitionId) -> Result<Claim, SourceError> {
        self.0.close(partition).await
    }

    fn archived(&self, partition: PartitionId, index: u64) {
        self.0.archived(partition, index);
    }
}

struct FakeAdoption {
    node: Arc<FakeNode>,
    adopted: bool,
}

impl FakeAdoption {
    fn tell(&self, event: Event) {
        self.node.events.lock().push(event);
    }
}

impl RestoreSink for FakeAdoption {
    fn chunk(&mut self, chunk: &[u8]) -> Result<(), SinkError> {
        if chunk == b"damaged" {
            return Err(anyhow::anyhow!("the chunk is damaged").into());
        }
        self.tell(Event::Chunk(Bytes::copy_from_slice(chunk)));
        Ok(())
    }

    fn chunks_done(&mut self) -> Result<(), SinkError> {
        self.tell(Event::ChunksDone);
        Ok(())
    }

    fn entry(&mut self, entry: LogEntry) -> Result<(), SinkError> {
        self.tell(Event::Entry(entry));
        Ok(())
    }
}

impl Adoption for FakeAdoption {
    fn adopt(mut self: Box<Self>, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()> {
        anyhow::ensure!(descriptor.partition_id != NOT_LED, "this node is no member");
        assert_eq!((&descriptor, definition), (&self::descriptor(descriptor.partition_id), self::definition()));
        self.tell(Event::Adopted(descriptor.partition_id));
        self.adopted = true;
        Ok(())
    }
}

impl Drop for FakeAdoption {
    fn drop(&mut self) {
        if !self.adopted {
            self.tell(Event::GivenUp);
        }
    }
}

#[async_trait]
impl Adopter for Shared {
    async fn has(&self, partition: PartitionId) -> anyhow::Result<bool> {
        Ok(self.0.events.lock().contains(&Event::Adopted(partition)))
    }

    fn begin(&self) -> anyhow::Result<Box<dyn Adoption>> {
        Ok(Box::new(FakeAdoption { node: self.0.clone(), adopted: false }))
    }
}

struct Pair {
    folder: TempDir,
    node: Arc<FakeNode>,
    serving: tokio::runtime::Runtime,
    archive: Arc<SocketNode>,
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("archive.sock")
}

/// A node in a runtime of its own, so that it can die at once.
fn serving(folder: &Path, node: &Arc<FakeNode>) -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let entered = runtime.enter();
    let listener = listen(&socket(folder)).unwrap();
    drop(entered);
    runtime.spawn(serve(listener, Offer::new(Arc::new(Shared(node.clone())), Arc::new(Shared(node.clone())))));
    runtime
}

impl Pair {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = Arc::new(FakeNode::default());
        let serving = serving(folder.path(), &node);
        let archive = Arc::new(SocketNode::start(socket(folder.path())));
        Self { folder, node, serving, archive }
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&SocketNode) -> T + Send + 'static) -> T {
        let archive = self.archive.clone();
        tokio::task::spawn_blocking(move || work(&archive)).await.unwrap()
    }

    fn stop(self) {
        self.serving.shutdown_background();
    }
}

async fn eventually(done: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen within ten seconds");
}

fn message(error: SourceError) -> String {
    match error {
        SourceError::Failed(error) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_leads_is_known() {
    let pair = Pair::start();
    eventually(|| pair.archive.partitions() == pair.node.partitions()).await;
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_and_claims_arrive_as_they_are() {
    let pair = Pair::start();
    let expected: Vec<_> = (20..520).map(|index| entry(index, 1_000)).collect();
    assert_eq!(pair.archive.entries(LED, 20, 500_000).await.unwrap(), expected);
    assert_eq!(pair.archive.entries(LED, 20, 1).await.unwrap(), []);
    assert_eq!(pair.archive.close(LED).await.unwrap(), Claim { index: 9, time: Timestamp(77) });
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_keep_their_kinds_and_say_why() {
    let pair = Pair::start();
    let compacted = pair.archive.entries(COMPACTED, 1, 1).await;
    assert!(matches!(compacted, Err(SourceError::Compacted { first: 10 })), "{compacted:?}");
    assert!(matches!(pair.archive.entries(NOT_LED, 1, 1).await, Err(SourceError::NotLeader)));
    assert!(matches!(pair.archive.close(NOT_LED).await, Err(SourceError::NotLeader)));
    assert!(matches!(pair.archive.snapshot(NOT_LED).await, Err(SourceError::NotLeader)));
    let failed = message(pair.archive.entries(BROKEN, 1, 1).await.unwrap_err());
    assert_eq!(failed, "failed to read the disk: bad sector");
    assert_eq!(message(pair.archive.snapshot(BROKEN).await.unwrap_err()), failed);
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_arrives_as_it_is() {
    let pair = Pair::start();
    let snapshot = pair.archive.snapshot(LED).await.unwrap();
    assert_eq!((&snapshot.descriptor, &snapshot.definition), (&descriptor(LED), &definition()));
    assert_eq!((snapshot.index, snapshot.term, snapshot.entry_time), (11, 2, Timestamp(12)));
    assert_eq!((snapshot.size_bytes, snapshot.item_count), (13, 14));
    let chunks = pair.blocking(|_| snapshot.chunks.collect::<Result<Vec<_>, _>>()).await.unwrap();
    assert!(chunks.iter().eq((0..200_u8).map(|n| Bytes::from(vec![n; 100_000])).collect::<Vec<_>>().iter()));
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_can_not_be_read_on_is_no_whole_one() {
    let pair = Pair::start();
    let mut chunks = pair.archive.snapshot(BREAKING).await.unwrap().chunks;
    let read = pair.blocking(move |_| [chunks.next(), chunks.next(), chunks.next(), chunks.next()]).await;
    let [Some(Ok(_)), Some(Ok(_)), Some(Err(error)), None] = read else { panic!("{read:?}") };
    assert_eq!(message(error), "failed to read the disk: bad sector");
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_whose_node_dies_is_no_whole_one() {
    let pair = Pair::start();
    let mut chunks = pair.archive.snapshot(ENDLESS).await.unwrap().chunks;
    let first = pair.blocking(move |_| chunks.next().unwrap().map(|_| chunks)).await;
    let Pair { archive, serving, .. } = pair;
    serving.shutdown_background();
    let read = tokio::task::spawn_blocking(move || first.unwrap().find_map(Result::err)).await.unwrap();
    assert!(read.is_some(), "it ended as if it were whole");
    drop(archive);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_read_only_as_fast_as_it_is_taken_and_no_further_when_nobody_wants_it() {
    let pair = Pair::start();
    let snapshot = pair.archive.snapshot(ENDLESS).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let made = pair.node.made.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(pair.node.made.load(Ordering::Relaxed), made, "the node waits");
    assert!(made < 100, "{made} chunks of 200 kB are on their way");
    // Meanwhile calls are answered.
    pair.archive.close(LED).await.unwrap();
    drop(snapshot);
    // The place of the stream is free again.
    for _ in 0..20 {
        let more = pair.archive.snapshot(ENDLESS).await;
        drop(more);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(pair.archive.snapshot(LED).await.is_ok());
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_hears_up_to_where_a_partition_is_archived() {
    let pair = Pair::start();
    for index in [5, 7, 6] {
        pair.archive.archived(LED, index);
    }
    eventually(|| pair.node.archived.lock().contains(&(LED, 7))).await;
    assert_eq!(*pair.node.archived.lock(), [(LED, 7)], "the newest says all");
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_arrives_as_it_is_and_the_node_has_the_partition() {
    let pair = Pair::start();
    assert!(!pair.archive.has(LED).await.unwrap());
    let entries: Vec<LogEntry> = (12..15).map(|index| entry(index, 300_000).0).collect();
    let sent = entries.clone();
    pair.blocking(move |archive| {
        let mut adoption = archive.begin().unwrap();
        for n in 0..100 {
            adoption.chunk(&[n; 50_000]).unwrap();
        }
        adoption.chunks_done().unwrap();
        sent.into_iter().for_each(|entry| adoption.entry(entry).unwrap());
        adoption.adopt(descriptor(LED), definition()).unwrap();
    })
    .await;
    assert!(pair.archive.has(LED).await.unwrap());
    let mut expected: Vec<Event> = (0..100).map(|n| Event::Chunk(Bytes::from(vec![n; 50_000]))).collect();
    expected.push(Event::ChunksDone);
    expected.extend(entries.into_iter().map(Event::Entry));
    expected.push(Event::Adopted(LED));
    assert!(*pair.node.events.lock() == expected);
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_dropped_is_given_up() {
    let pair = Pair::start();
    pair.blocking(|archive| {
        let mut adoption = archive.begin().unwrap();
        for _ in 0..20 {
            adoption.chunk(&[1; 100_000]).unwrap();
        }
    })
    .await;
    eventually(|| pair.node.events.lock().last() == Some(&Event::GivenUp)).await;
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_refuses_is_told() {
    let pair = Pair::start();
    let refused = |adopted: anyhow::Result<()>| format!("{:#}", adopted.unwrap_err());
    let adopted = pair.blocking(|archive| {
        let mut adoption = archive.begin()?;
        adoption.chunk(b"chunk").map_err(anyhow::Error::from_boxed)?;
        adoption.adopt(descriptor(NOT_LED), definition())
    });
    assert_eq!(refused(adopted.await), "this node is no member");
    // Also where it takes no more of it in the middle.
    let adopted = pair.blocking(|archive| {
        let mut adoption = archive.begin()?;
        adoption.chunk(b"damaged").map_err(anyhow::Error::from_boxed)?;
        for _ in 0..1_000 {
            adoption.chunk(&[1; 100_000]).map_err(anyhow::Error::from_boxed)?;
        }
        anyhow::bail!("it took a hundred megabytes")
    });
    assert_eq!(refused(adopted.await), "the chunk is damaged");
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_have_a_limit_beyond_which_they_are_refused() {
    let pair = Pair::start();
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(pair.archive.snapshot(ENDLESS).await.unwrap());
    }
    assert_eq!(
        message(pair.archive.snapshot(ENDLESS).await.unwrap_err()),
        "8 snapshots and restores are under way: ask again later"
    );
    drop(open);
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_there_is_an_error_until_it_is() {
    let pair = Pair::start();
    pair.archive.close(LED).await.unwrap();
    let Pair { folder, node, serving, archive } = pair;
    serving.shutdown_background();
    let down = || async { archive.close(LED).await.is_err() };
    while !down().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    archive.archived(LED, 3);
    let refused = message(archive.close(LED).await.unwrap_err());
    assert!(refused.starts_with("failed to reach the node at"), "{refused}");
    assert!(archive.has(LED).await.is_err());
    tokio::time::sleep(Duration::from_millis(700)).await;
    let serving = self::serving(folder.path(), &node);
    archive.close(LED).await.unwrap();
    eventually(|| node.archived.lock().contains(&(LED, 3))).await;
    serving.shutdown_background();
}

#[tokio::test]
async fn the_socket_is_for_its_user_alone_and_takes_no_file_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = socket(folder.path());
    drop(listen(&path).unwrap());
    let again = listen(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(again);
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let refused = listen(&file).unwrap_err().to_string();
    assert!(refused.contains("is no socket"), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}
