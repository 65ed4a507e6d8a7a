//! A node that serves what a test expects, and notes what it is told.

use crate::archive::{Adopter, Adoption, Intake, ItemSink, PastItem, PastItems, Reader, Reading};
use async_trait::async_trait;
use bytes::Bytes;
use cairn_archive::{Claim, Source, SourceError, SourcePartition, SourceSnapshot, restore::RestoreSink};
use cairn_model::{
    AttributeValue, Item,
    codec::{EncodedItem, StoredVersion},
    descriptor::{KeyRange, PartitionDescriptor},
    ids::{PartitionId, TableId},
    key::EncodedKey,
    table::{ContinuousBackups, KeyAttribute, KeySchema, ScalarType, TableDefinition},
    time::Timestamp,
};
use cairn_replication::{log::LogEntry, restore::LoadedVersion};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

pub(super) const LED: PartitionId = PartitionId([1; 16]);
pub(super) const NOT_LED: PartitionId = PartitionId([2; 16]);
/// Its log begins at entry 10.
pub(super) const COMPACTED: PartitionId = PartitionId([3; 16]);
/// Its disk can't be read.
pub(super) const BROKEN: PartitionId = PartitionId([4; 16]);
/// Its snapshot breaks off after two chunks.
pub(super) const BREAKING: PartitionId = PartitionId([5; 16]);
/// Its snapshot has no end.
pub(super) const ENDLESS: PartitionId = PartitionId([6; 16]);

/// With deletions after this time kept, it has no room.
pub(super) const NO_ROOM: Timestamp = Timestamp(13);
/// Items of a past.
pub(super) const ITEMS: u32 = 20_000;

/// The item of this number, from one on: every third is deleted. The last can't be read.
pub(super) fn past_item(number: u32) -> Option<PastItem> {
    let key = EncodedKey(number.to_be_bytes().to_vec().into());
    let item = EncodedItem::encode(&Item::from([("Id".to_owned(), AttributeValue::S("x".repeat(1_000)))]));
    let version = StoredVersion { version_time: Timestamp(number.into()), origin: Bytes::new(), item };
    match number {
        ..ITEMS if number.is_multiple_of(3) => Some(Ok((key, LoadedVersion::Deleted(Timestamp(number.into()))))),
        ..ITEMS => Some(Ok((key, LoadedVersion::Item(version)))),
        ITEMS => Some(Err(anyhow::anyhow!("bad sector"))),
        _ => None,
    }
}

type SinkError = Box<dyn std::error::Error + Send + Sync>;

fn broken() -> SourceError {
    SourceError::Failed(anyhow::anyhow!("bad sector").context("failed to read the disk").into())
}

pub(super) fn descriptor(partition_id: PartitionId) -> PartitionDescriptor {
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

pub(super) fn definition() -> TableDefinition {
    TableDefinition {
        schema_version: 2,
        creation_time_ms: 5,
        continuous_backups: Some(ContinuousBackups { recovery_period_days: 7, enabled_at_ms: 6 }),
        ..TableDefinition::new(
            "game",
            "users",
            TableId([7; 16]),
            KeySchema { partition: KeyAttribute { name: "Id".into(), scalar_type: ScalarType::S }, sort: None },
        )
    }
}

pub(super) fn entry(index: u64, bytes: usize) -> (LogEntry, Timestamp) {
    let entry = LogEntry { index, term: 2, kind: (index % 2) as u8, payload: vec![index as u8; bytes].into() };
    (entry, Timestamp(index * 1_000))
}

/// What happened to a restore, or to items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Chunk(Bytes),
    ChunksDone,
    Entry(LogEntry),
    EntryBehind(LogEntry, Timestamp),
    Items(Vec<(EncodedKey, EncodedItem)>),
    Adopted(PartitionId),
    LaidOut(Option<Timestamp>),
    Read,
    GivenUp,
}

#[derive(Debug, Default)]
struct State {
    archived: Mutex<HashMap<PartitionId, u64>>,
    events: Mutex<Vec<Event>>,
    /// Chunks of the endless snapshot that were made.
    made: AtomicUsize,
}

/// A node that has a partition for each thing that can happen.
#[derive(Clone, Debug, Default)]
pub(super) struct FakeNode(Arc<State>);

impl FakeNode {
    pub(super) fn archived_up_to(&self, partition: PartitionId) -> Option<u64> {
        self.0.archived.lock().get(&partition).copied()
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.0.events.lock().clone()
    }

    pub(super) fn chunks_made(&self) -> usize {
        self.0.made.load(Ordering::Relaxed)
    }
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
            BROKEN => return Err(broken()),
            _ => return Err(SourceError::NotLeader),
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
        match partition {
            LED => Ok(Claim { index: 9, time: Timestamp(77) }),
            _ => Err(SourceError::NotLeader),
        }
    }

    fn archived(&self, partition: PartitionId, index: u64) {
        self.0.archived.lock().insert(partition, index);
    }
}

struct FakeAdoption {
    node: Arc<State>,
    adopted: bool,
}

impl FakeAdoption {
    fn tell(&self, event: Event) {
        self.node.events.lock().push(event);
    }
}

impl RestoreSink for FakeAdoption {
    fn chunk(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        if chunk == "damaged" {
            return Err(anyhow::anyhow!("the chunk is damaged").into());
        }
        self.tell(Event::Chunk(chunk));
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

    fn entry_behind(&mut self, entry: LogEntry, at: Timestamp) -> Result<(), SinkError> {
        self.tell(Event::EntryBehind(entry, at));
        Ok(())
    }
}

impl FakeAdoption {
    fn end(mut self, descriptor: &PartitionDescriptor, definition: &TableDefinition) -> anyhow::Result<()> {
        anyhow::ensure!(descriptor.partition_id != NOT_LED, "this node is no member");
        assert_eq!(
            (descriptor, definition),
            (&super::fake_node::descriptor(descriptor.partition_id), &super::fake_node::definition())
        );
        self.tell(Event::Adopted(descriptor.partition_id));
        self.adopted = true;
        Ok(())
    }
}

impl Adoption for FakeAdoption {
    fn adopt(self: Box<Self>, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()> {
        self.end(&descriptor, &definition)
    }
}

impl ItemSink for FakeAdoption {
    fn items(&mut self, items: Vec<(EncodedKey, EncodedItem)>) -> anyhow::Result<()> {
        anyhow::ensure!(items.len() < 100, "the volume is nearly full");
        self.tell(Event::Items(items));
        Ok(())
    }
}

impl Intake for FakeAdoption {
    fn adopt(self: Box<Self>, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()> {
        self.end(&descriptor, &definition)
    }
}

impl Drop for FakeAdoption {
    fn drop(&mut self) {
        if !self.adopted {
            self.tell(Event::GivenUp);
        }
    }
}

impl Reader for FakeNode {
    fn begin(&self, deletions_after: Option<Timestamp>) -> anyhow::Result<Box<dyn Reading>> {
        anyhow::ensure!(deletions_after != Some(NO_ROOM), "the volume is nearly full");
        let laid_out = FakeAdoption { node: self.0.clone(), adopted: false };
        laid_out.tell(Event::LaidOut(deletions_after));
        Ok(Box::new(laid_out))
    }
}

impl Reading for FakeAdoption {
    fn read(self: Box<Self>) -> anyhow::Result<PastItems> {
        self.tell(Event::Read);
        let mut number = 0;
        let items = std::iter::from_fn(move || {
            number += 1;
            self.node.made.fetch_add(1, Ordering::Relaxed);
            past_item(number)
        });
        Ok(PastItems { definition: definition(), size_bytes: 99, items: Box::new(items) })
    }
}

#[async_trait]
impl Adopter for FakeNode {
    async fn has(&self, partition: PartitionId) -> anyhow::Result<bool> {
        Ok(self.0.events.lock().contains(&Event::Adopted(partition)))
    }

    fn begin(&self) -> anyhow::Result<Box<dyn Adoption>> {
        Ok(Box::new(FakeAdoption { node: self.0.clone(), adopted: false }))
    }

    fn fill(&self) -> anyhow::Result<Box<dyn Intake>> {
        Ok(Box::new(FakeAdoption { node: self.0.clone(), adopted: false }))
    }
}
