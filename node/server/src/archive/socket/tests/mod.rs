//! A node of the tests' own at one end of a socket, the archive's client at the other.

mod fake_node;
mod reading;

use super::{Offer, SocketNode, listen, serve};
use crate::archive::Adopter;
use bytes::Bytes;
use cairn_archive::{Claim, Source, SourceError};
use cairn_model::{codec::EncodedItem, key::EncodedKey, time::Timestamp};
use cairn_replication::log::LogEntry;
use fake_node::{BREAKING, BROKEN, COMPACTED, ENDLESS, Event, FakeNode, LED, NOT_LED, definition, descriptor, entry};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

struct Pair {
    folder: TempDir,
    node: FakeNode,
    serving: tokio::runtime::Runtime,
    archive: Arc<SocketNode>,
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("archive.sock")
}

/// A node in a runtime of its own, so that it can die at once.
fn serving(folder: &Path, node: &FakeNode) -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let entered = runtime.enter();
    let listener = listen(&socket(folder)).unwrap();
    drop(entered);
    runtime.spawn(serve(listener, Offer::new(Arc::new(node.clone()), Arc::new(node.clone()), Arc::new(node.clone()))));
    runtime
}

impl Pair {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = FakeNode::default();
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
    for _ in 0..6_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen within a minute");
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
    let made = pair.node.chunks_made();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(pair.node.chunks_made(), made, "the node waits");
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
    for index in [5, 7] {
        pair.archive.archived(LED, index);
    }
    eventually(|| pair.node.archived_up_to(LED) == Some(7)).await;
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
            adoption.chunk(vec![n; 50_000].into()).unwrap();
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
    assert!(pair.node.events() == expected);
    pair.stop();
}

fn some_items(count: u8) -> Vec<(EncodedKey, EncodedItem)> {
    let pair = |n: u8| (EncodedKey(Bytes::from(vec![n; 20])), EncodedItem(Bytes::from(vec![n; 50_000])));
    (0..count).map(pair).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn items_arrive_as_they_are_and_the_node_has_the_partition() {
    let pair = Pair::start();
    pair.blocking(move |archive| {
        let mut intake = archive.fill().unwrap();
        intake.items(some_items(99)).unwrap();
        intake.items(some_items(3)).unwrap();
        intake.adopt(descriptor(LED), definition()).unwrap();
    })
    .await;
    assert!(pair.archive.has(LED).await.unwrap());
    let expected = [Event::Items(some_items(99)), Event::Items(some_items(3)), Event::Adopted(LED)];
    assert!(pair.node.events() == expected);
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_the_node_does_not_take_are_given_up_and_it_says_why() {
    let pair = Pair::start();
    let why = pair.blocking(move |archive| {
        let mut intake = archive.fill().unwrap();
        // The node may say no while more is on its way.
        let sent = intake.items(some_items(120)).and_then(|()| intake.items(some_items(1)));
        sent.and_then(|()| intake.adopt(descriptor(LED), definition())).unwrap_err()
    });
    let why = format!("{:#}", why.await);
    assert!(why.contains("the volume is nearly full"), "{why}");
    eventually(|| pair.node.events().last() == Some(&Event::GivenUp)).await;
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_dropped_is_given_up() {
    let pair = Pair::start();
    let adoption = pair.blocking(|archive| {
        let mut adoption = archive.begin().unwrap();
        for _ in 0..20 {
            adoption.chunk(vec![1; 100_000].into()).unwrap();
        }
        adoption
    });
    let adoption = adoption.await;
    eventually(|| !pair.node.events().is_empty()).await;
    drop(adoption);
    eventually(|| pair.node.events().last() == Some(&Event::GivenUp)).await;
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_whose_archive_dies_is_given_up() {
    let pair = Pair::start();
    let dying = tokio::runtime::Runtime::new().unwrap();
    let path = socket(pair.folder.path());
    dying.spawn_blocking(|| {
        let archive = SocketNode::start(path);
        let mut adoption = archive.begin().unwrap();
        // It ends by what the death of its runtime does to it.
        while adoption.chunk(vec![1; 300_000].into()).is_ok() {}
        std::mem::forget(adoption);
    });
    eventually(|| !pair.node.events().is_empty()).await;
    dying.shutdown_background();
    eventually(|| pair.node.events().last() == Some(&Event::GivenUp)).await;
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_refuses_is_told() {
    let pair = Pair::start();
    let refused = |adopted: anyhow::Result<()>| format!("{:#}", adopted.unwrap_err());
    let adopted = pair.blocking(|archive| {
        let mut adoption = archive.begin()?;
        adoption.chunk("chunk".into()).map_err(anyhow::Error::from_boxed)?;
        adoption.adopt(descriptor(NOT_LED), definition())
    });
    assert_eq!(refused(adopted.await), "this node is no member");
    // Also where it takes no more of it in the middle.
    let adopted = pair.blocking(|archive| {
        let mut adoption = archive.begin()?;
        adoption.chunk("damaged".into()).map_err(anyhow::Error::from_boxed)?;
        for _ in 0..1_000 {
            adoption.chunk(vec![1; 100_000].into()).map_err(anyhow::Error::from_boxed)?;
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
        "8 snapshots, restores and readings are under way: ask again later"
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
    let unreached = async || match archive.close(LED).await {
        Err(SourceError::Failed(error)) => error.to_string().starts_with("failed to reach the node at"),
        _ => false,
    };
    while !unreached().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    archive.archived(LED, 3);
    assert!(archive.has(LED).await.is_err());
    tokio::time::sleep(Duration::from_millis(700)).await;
    let serving = self::serving(folder.path(), &node);
    archive.close(LED).await.unwrap();
    eventually(|| node.archived_up_to(LED) == Some(3)).await;
    serving.shutdown_background();
}

#[tokio::test]
async fn a_node_that_says_nothing_is_an_error_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = socket(folder.path());
    let silent = listen(&path).unwrap();
    let listening = tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            streams.push(stream);
        }
    });
    let archive = SocketNode::start_within(path, Duration::from_millis(200));
    for error in [
        archive.close(LED).await.map(drop).unwrap_err(),
        archive.entries(LED, 1, 1).await.map(drop).unwrap_err(),
        archive.snapshot(LED).await.map(drop).unwrap_err(),
    ] {
        let error = message(error);
        assert!(error.contains("did not answer"), "{error}");
    }
    listening.abort();
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
