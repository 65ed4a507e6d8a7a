//! A partition whose every past state is known: a map of numbers, its log, and a clock that is moved by hand.

use async_trait::async_trait;
use bytes::Bytes;
use cairn_archive::{
    Bucket, Claim, Metrics, Shipper, ShipperOptions, Source, SourceError, SourcePartition, SourceSnapshot, TablePath,
    restore::{RestorePlan, RestoreSink},
};
use cairn_model::{
    descriptor::{KeyRange, PartitionDescriptor},
    ids::{PartitionId, TableId},
    table::{ContinuousBackups, KeyAttribute, KeySchema, ScalarType, TableDefinition},
    time::Timestamp,
};
use cairn_replication::{Clock, Now, log::LogEntry};
use parking_lot::Mutex;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub(crate) type State = BTreeMap<u32, u64>;

pub(crate) const CLUSTER: &str = "cluster";
pub(crate) const TABLE_ID: TableId = TableId([7; 16]);
pub(crate) const PARTITION_ID: PartitionId = PartitionId([9; 16]);
pub(crate) const START_MS: u64 = 1_700_000_000_000;

#[derive(Debug)]
pub(crate) struct Model {
    log: Mutex<Log>,
}

#[derive(Debug)]
struct Log {
    /// All of them, also those that were compacted; the first has index 1.
    entries: Vec<(LogEntry, Timestamp)>,
    first: u64,
    archived: u64,
    now_ms: u64,
    term: u64,
    newest: Timestamp,
    leads: bool,
    overloaded: bool,
    /// Bytes of nothing in each entry, so that segments and snapshots get large.
    padding: usize,
    rng: StdRng,
}

impl Model {
    pub(crate) fn new() -> Arc<Self> {
        let log = Log {
            entries: Vec::new(),
            first: 1,
            archived: 0,
            now_ms: START_MS,
            term: 1,
            newest: Timestamp(0),
            leads: true,
            overloaded: false,
            padding: 0,
            rng: StdRng::seed_from_u64(1),
        };
        let model = Arc::new(Self { log: Mutex::new(log) });
        // As a new leader does.
        model.nothing();
        model
    }

    pub(crate) fn pad(&self, bytes: usize) {
        self.log.lock().padding = bytes;
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.log.lock().now_ms += ms;
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.log.lock().now_ms
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms())
    }

    pub(crate) fn lead(&self, leads: bool) {
        self.log.lock().leads = leads;
    }

    pub(crate) fn write(&self, key: u32, value: u64) -> Timestamp {
        let mut log = self.log.lock();
        log.newest = log.newest.next(log.now_ms);
        let mut payload = [key.to_be_bytes().as_slice(), &value.to_be_bytes()].concat();
        let mut padding = vec![0; log.padding];
        log.rng.fill_bytes(&mut padding);
        payload.extend(padding);
        let time = log.newest;
        log.append(payload, time);
        time
    }

    /// An entry that prepares a transaction (`entry` and `transaction::kept` of the replication have the bytes).
    pub(crate) fn prepare(&self) -> Timestamp {
        let mut log = self.log.lock();
        log.newest = log.newest.next(log.now_ms);
        let mut payload = vec![0; 42];
        payload[..2].copy_from_slice(&[1, 7]);
        // No outcome, one thing kept, no write.
        payload.extend([0, 1, 0, 0, 0, 17, 0, 1]);
        payload.extend([5; 16]);
        payload.extend([1, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
        let time = log.newest;
        log.append(payload, time);
        time
    }

    /// An entry without a time, as a new leader's first.
    pub(crate) fn nothing(&self) {
        self.log.lock().append(Vec::new(), Timestamp(0));
    }

    pub(crate) fn new_term(&self) {
        self.log.lock().term += 1;
        self.nothing();
    }

    /// Drops the log's entries before `first`.
    pub(crate) fn compact(&self, first: u64) {
        self.log.lock().first = first;
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.log.lock().entries.len() as u64
    }

    pub(crate) fn archived_index(&self) -> u64 {
        self.log.lock().archived
    }

    /// Forgets the last entries and goes on in another term, as after a loss of acknowledged writes.
    pub(crate) fn lose(&self, entries: usize) {
        self.set_back(entries);
        self.log.lock().term += 1;
    }

    /// Forgets the last entries and goes on in a term that they were in, as a copy of a data folder may.
    pub(crate) fn set_back(&self, entries: usize) {
        let mut log = self.log.lock();
        let left = log.entries.len() - entries;
        log.entries.truncate(left);
    }

    /// Refuses to close timestamps, as a node does that has too much to do.
    pub(crate) fn overload(&self, overloaded: bool) {
        self.log.lock().overloaded = overloaded;
    }

    /// What the partition held at `at`.
    pub(crate) fn state_at(&self, at: Timestamp) -> State {
        let log = self.log.lock();
        state(log.entries.iter().take_while(|(_, time)| *time <= at).map(|(entry, _)| entry))
    }

    pub(crate) fn times(&self) -> Vec<Timestamp> {
        self.log.lock().entries.iter().map(|(_, time)| *time).filter(|time| time.0 != 0).collect()
    }

    fn partition(log: &Log) -> SourcePartition {
        SourcePartition { descriptor: descriptor(), definition: definition(), applied_index: log.entries.len() as u64 }
    }

    pub(crate) fn snapshot_now(&self) -> SourceSnapshot {
        let log = self.log.lock();
        let partition = Self::partition(&log);
        let state = state(log.entries.iter().map(|(entry, _)| entry));
        let mut pairs: Vec<Vec<u8>> =
            state.iter().map(|(key, value)| [key.to_be_bytes().as_slice(), &value.to_be_bytes()].concat()).collect();
        let item_count = pairs.len() as u64;
        // Padding beside the pairs, by the same amount.
        let padding = log.padding;
        let mut rng = StdRng::seed_from_u64(3);
        for pair in &mut pairs {
            let mut bytes = vec![0; padding];
            rng.fill_bytes(&mut bytes);
            pair.extend(bytes);
        }
        let chunks: Vec<Result<Bytes, SourceError>> = pairs.into_iter().map(|pair| Ok(Bytes::from(pair))).collect();
        SourceSnapshot {
            descriptor: partition.descriptor,
            definition: partition.definition,
            index: log.entries.len() as u64,
            term: log.entries.last().map_or(0, |(entry, _)| entry.term),
            entry_time: log.newest,
            size_bytes: item_count * 12,
            item_count,
            chunks: Box::new(chunks.into_iter()),
        }
    }
}

impl Log {
    fn append(&mut self, payload: Vec<u8>, time: Timestamp) {
        let index = self.entries.len() as u64 + 1;
        self.entries.push((LogEntry { index, term: self.term, kind: 0, payload: payload.into() }, time));
    }
}

fn state<'a>(entries: impl Iterator<Item = &'a LogEntry>) -> State {
    let mut state = State::new();
    entries.for_each(|entry| apply(&mut state, &entry.payload));
    state
}

fn apply(state: &mut State, pair: &[u8]) {
    if let (Some(key), Some(value)) = (pair.get(..4), pair.get(4..12)) {
        state.insert(u32::from_be_bytes(key.try_into().unwrap()), u64::from_be_bytes(value.try_into().unwrap()));
    }
}

pub(crate) fn descriptor() -> PartitionDescriptor {
    PartitionDescriptor::first(PARTITION_ID, TABLE_ID, KeyRange::default(), Vec::new())
}

pub(crate) fn definition() -> TableDefinition {
    TableDefinition {
        creation_time_ms: START_MS - 1_000,
        continuous_backups: Some(ContinuousBackups { recovery_period_days: 35, enabled_at_ms: START_MS }),
        ..TableDefinition::new(
            "local",
            "numbers",
            TABLE_ID,
            KeySchema { partition: KeyAttribute { name: "key".into(), scalar_type: ScalarType::N }, sort: None },
        )
    }
}

pub(crate) fn table() -> TablePath {
    TablePath { cluster: CLUSTER.into(), account: "local".into(), table_id: TABLE_ID }
}

#[async_trait]
impl Source for Model {
    fn partitions(&self) -> Vec<SourcePartition> {
        let log = self.log.lock();
        if log.leads { vec![Self::partition(&log)] } else { Vec::new() }
    }

    async fn entries(
        &self,
        _: PartitionId,
        from: u64,
        bytes_max: u64,
    ) -> Result<Vec<(LogEntry, Timestamp)>, SourceError> {
        let log = self.log.lock();
        if from < log.first {
            return Err(SourceError::Compacted { first: log.first });
        }
        let mut bytes = 0;
        let fits = |(entry, _): &&(LogEntry, Timestamp)| {
            bytes += entry.payload.len() as u64;
            bytes <= bytes_max || entry.index == from
        };
        Ok(log.entries.iter().skip(from as usize - 1).take_while(fits).cloned().collect())
    }

    async fn snapshot(&self, _: PartitionId) -> Result<SourceSnapshot, SourceError> {
        Ok(self.snapshot_now())
    }

    async fn close(&self, _: PartitionId) -> Result<Claim, SourceError> {
        let mut log = self.log.lock();
        if log.overloaded {
            return Err(SourceError::Failed("too much to do".into()));
        }
        // Later entries have to be above it.
        log.newest = log.newest.max(Timestamp::from_millis(log.now_ms));
        Ok(Claim { index: log.entries.len() as u64, time: log.newest })
    }

    fn archived(&self, _: PartitionId, index: u64) {
        let mut log = self.log.lock();
        assert!(index <= log.entries.len() as u64, "only what is there can be archived");
        log.archived = log.archived.max(index);
    }
}

impl Clock for Model {
    fn now(&self) -> Now {
        let now_ms = self.now_ms();
        Now { wall_ms: now_ms, boot_ms: now_ms }
    }
}

pub(crate) fn shipper(bucket: &Bucket, model: &Arc<Model>, node: &str, options: ShipperOptions) -> Shipper {
    let metrics = Metrics::new().unwrap();
    Shipper::new(bucket.clone(), CLUSTER.into(), node.into(), model.clone(), model.clone(), options, metrics)
}

pub(crate) fn often() -> ShipperOptions {
    ShipperOptions {
        seal_interval: Duration::from_millis(2),
        close_interval: Duration::from_millis(0),
        backoff_max: Duration::from_millis(5),
        last_round: Duration::from_millis(500),
        ..ShipperOptions::default()
    }
}

/// Ships until all that the model holds by now is in the archive, and can be restored to now.
pub(crate) async fn ship_all(shipper: &Shipper, model: &Model) {
    shipper.run(shipped(shipper, model)).await;
}

/// As [`ship_all`], of a shipper that runs.
pub(crate) async fn shipped(shipper: &Shipper, model: &Model) {
    let (now_ms, last) = (model.now_ms(), model.last_index());
    eventually(async || {
        let latest = shipper.status(TABLE_ID).and_then(|recovery| recovery.latest_ms());
        latest.is_some_and(|latest_ms| latest_ms >= now_ms) && model.archived_index() >= last
    })
    .await;
}

pub(crate) async fn eventually(done: impl AsyncFn() -> bool) {
    let waiting = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), waiting).await.expect("it happens in the end");
}

/// What a restore makes of a plan.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    pub(crate) state: State,
    pub(crate) whole: bool,
    pub(crate) entries: u64,
    /// The indexes of those after the time restored to.
    pub(crate) behind: Vec<u64>,
    last_index: Option<u64>,
}

impl RestoreSink for Restored {
    fn chunk(&mut self, chunk: Bytes) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        assert!(!self.whole);
        apply(&mut self.state, &chunk);
        Ok(())
    }

    fn chunks_done(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.whole = true;
        Ok(())
    }

    fn entry(&mut self, entry: LogEntry) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        assert!(self.whole);
        assert!(self.last_index.is_none_or(|last| entry.index == last + 1));
        self.last_index = Some(entry.index);
        self.entries += 1;
        apply(&mut self.state, &entry.payload);
        Ok(())
    }

    fn entry_behind(&mut self, entry: LogEntry, _: Timestamp) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        assert!(self.whole);
        assert!(self.last_index.is_none_or(|last| entry.index == last + 1));
        self.last_index = Some(entry.index);
        self.behind.push(entry.index);
        Ok(())
    }
}

pub(crate) async fn run(plan: RestorePlan) -> Result<Restored, cairn_archive::ArchiveError> {
    assert_eq!(plan.partitions.len(), 1);
    let running = tokio::task::spawn_blocking(move || {
        let (mut restored, mut bytes) = (Restored::default(), 0);
        plan.partitions[0].run(&mut restored, &mut |read| bytes += read)?;
        assert!(restored.whole);
        assert_eq!(bytes, plan.bytes);
        Ok(restored)
    });
    running.await.unwrap()
}
