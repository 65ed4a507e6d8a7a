//! Three tables, each with a partition of one replica on the true machine, behind a network that loses, repeats and
//! delays; and clients that die. All of it in one thread, under virtual time, from one seed.

use super::{
    restores::{Archived, Taken},
    runner::encoded,
};
use crate::{
    Catalog, Environment, NewTable, Partitions, Room, RoutingKey, TableUpdate, TableView, TagUpdate, Tags, errors,
};
use async_trait::async_trait;
use cairn_engine::{Engine, MemoryStore};
use cairn_model::{
    ErrorKind, ServiceError, TableDefinition,
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId, TableId},
    node::{Counts, Order},
    table::{KeyAttribute, KeySchema, ScalarType, StreamViewType, TableStatus},
    throughput::ThroughputHistory,
    time::Timestamp,
    transaction::LeftTransaction,
};
use cairn_replication::{
    CoreConfig, Now,
    core::{Claim, Core, Input, Output},
    log::{LogStore, MemoryLog},
    operation::{GetRequest, PartitionError, PartitionOutcome, PartitionRequest, StreamRecord, StreamRequest},
    transaction::{ItemVersion, TransactGetOutcome, TransactGetRequest, TransactGot},
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

pub(super) const TABLES: usize = 3;
const TICK_MS: u64 = 100;
const TRIES_MAX: usize = 5;
const EPOCH_MS: u64 = 1_000_000_000;
/// When the tables' streams were enabled.
const STREAM_MS: u64 = EPOCH_MS;

/// No two nodes' clocks are alike.
const CLOCK_OFFSET_MS_MAX: u64 = 2_000;

struct Partition {
    store: MemoryStore,
    log: MemoryLog,
    engine: Arc<Engine<MemoryStore>>,
    core: Core<MemoryStore, MemoryLog>,
    clock_ahead_ms: u64,
    snapshots: Vec<Taken>,
    claims: Vec<Claim>,
}

pub(super) struct State {
    partitions: Vec<Partition>,
    now_ms: u64,
    starts: u64,
    next_token: u64,
    pub(super) random: StdRng,
    /// Requests that arrive, perhaps once more, when nobody waits for them.
    late: Vec<(usize, PartitionRequest)>,
    pub(super) calm: bool,
    /// Transactions read their items as anybody does, whoever has them locked.
    pub(super) sabotage: bool,
    /// A table that was deleted.
    pub(super) deleted: Option<usize>,
    /// Not all tables are known yet: they are from the first look-up of one on.
    pub(super) learning: bool,
    pub(super) tally: Tally,
}

/// What happened: that which never does tests nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) lost: u64,
    pub(super) repeated: u64,
    pub(super) crashes: u64,
    pub(super) deaths: u64,
    pub(super) done: u64,
    pub(super) conflicts: u64,
    pub(super) replays: u64,
    pub(super) checks_failed: u64,
    pub(super) left: u64,
    /// Restores with what was decided before their time, and committed after it.
    pub(super) cut: u64,
}

impl Tally {
    fn counts(&mut self) -> [&mut u64; 10] {
        [
            &mut self.lost,
            &mut self.repeated,
            &mut self.crashes,
            &mut self.deaths,
            &mut self.done,
            &mut self.conflicts,
            &mut self.replays,
            &mut self.checks_failed,
            &mut self.left,
            &mut self.cut,
        ]
    }

    pub(super) fn add(&mut self, other: &Self) {
        let mut other = *other;
        self.counts().into_iter().zip(other.counts()).for_each(|(sum, count)| *sum += *count);
    }

    pub(super) fn has_all(&self) -> bool {
        let mut own = *self;
        own.counts().iter().all(|count| **count > 0)
    }
}

/// Its clones are one.
#[derive(Clone)]
pub(super) struct World(pub(super) Arc<Mutex<State>>);

fn partition_id(table: usize) -> PartitionId {
    PartitionId([100 + table as u8; 16])
}

fn definition(table: usize) -> TableDefinition {
    let mut definition = TableDefinition::new(
        "game",
        format!("table-{table}"),
        TableId([table as u8 + 1; 16]),
        KeySchema { partition: KeyAttribute { name: "id".into(), scalar_type: ScalarType::S }, sort: None },
    );
    definition.set_stream(Some(StreamViewType::NewAndOldImages), STREAM_MS);
    definition
}

pub(super) fn table(table: usize) -> Arc<TableView> {
    let definition = definition(table);
    Arc::new(TableView {
        definition,
        status: TableStatus::Active,
        is_warming: false,
        item_count: 0,
        size_bytes: 0,
        arn: String::new(),
        global_indexes: Vec::new(),
    })
}

fn open(
    store: &MemoryStore,
    log: &MemoryLog,
    start: u64,
    now: Now,
) -> (Arc<Engine<MemoryStore>>, Core<MemoryStore, MemoryLog>) {
    let engine = Arc::new(Engine::open(store.clone()).unwrap());
    // All of the log is archived in the end.
    let log_entries_kept = u64::MAX;
    let config = CoreConfig { persist_interval_ms: 1_000, log_entries_kept, ..CoreConfig::new(NodeId([1; 16]), start) };
    (engine.clone(), Core::open(config, engine, log.clone(), now).unwrap())
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut state = State {
            partitions: Vec::new(),
            now_ms: 1_000,
            starts: 0,
            next_token: 0,
            random: StdRng::seed_from_u64(seed),
            late: Vec::new(),
            calm: false,
            sabotage: false,
            deleted: None,
            learning: false,
            tally: Tally::default(),
        };
        for table in 0..TABLES {
            let (store, log) = (MemoryStore::default(), MemoryLog::default());
            let clock_ahead_ms = state.random.random_range(0..=CLOCK_OFFSET_MS_MAX);
            let (engine, core) = open(&store, &log, table as u64, state.now(clock_ahead_ms));
            let (snapshots, claims) = (Vec::new(), Vec::new());
            state.partitions.push(Partition { store, log, engine, core, clock_ahead_ms, snapshots, claims });
            state.starts += 1;
            let member = Member {
                replica_id: ReplicaId(1),
                node_id: NodeId([1; 16]),
                zone: "zone".into(),
                address: "node:7400".into(),
                role: MemberRole::Voter,
            };
            let table_id = definition(table).table_id;
            let descriptor =
                PartitionDescriptor::first(partition_id(table), table_id, KeyRange::default(), vec![member]);
            let order = Order::Bootstrap { descriptor, definition: definition(table) };
            state.run(table, Input::Order { token: 0, order }, 0);
            state.elect(table);
            state.take_snapshot(table);
        }
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.0.lock().now_ms
    }

    /// A moment passes, in which things may go wrong.
    pub(super) fn pass(&self) {
        let mut state = self.0.lock();
        state.now_ms += state.random.random_range(0..=4);
        if !state.late.is_empty() && state.random.random_ratio(1, 12) {
            let count = state.late.len();
            let at = state.random.random_range(0..count);
            let (table, request) = state.late.swap_remove(at);
            let _ = state.deliver(table, request);
        }
        let table = state.random.random_range(0..TABLES);
        if !state.calm && state.random.random_ratio(1, 700) {
            state.crash(table);
        }
        if state.random.random_ratio(1, 200) {
            state.take_snapshot(table);
        }
        if state.random.random_ratio(1, 20) {
            state.run(table, Input::Close { token: 0, partition: partition_id(table) }, 0);
        }
    }

    /// What an archive has of a table by now.
    pub(super) fn archived(&self, table: usize) -> Archived {
        let mut state = self.0.lock();
        let partition = &mut state.partitions[table];
        let replica = partition.engine.replica(partition_id(table)).unwrap();
        let first = partition.log.state(replica.log_id).unwrap().start.index + 1;
        Archived {
            entries: partition.log.entries(replica.log_id, first, replica.applied.index + 1, u64::MAX).unwrap(),
            snapshots: std::mem::take(&mut partition.snapshots),
            claims: std::mem::take(&mut partition.claims),
        }
    }

    /// No fault happens from now on; nothing is under way any more.
    pub(super) fn calm(&self) {
        let mut state = self.0.lock();
        state.calm = true;
        for (table, request) in std::mem::take(&mut state.late) {
            let _ = state.deliver(table, request);
        }
        state.now_ms += 10_000;
    }

    /// So long nothing happens.
    pub(super) fn wait(&self, millis: u64) {
        let mut state = self.0.lock();
        state.now_ms += millis;
        (0..TABLES).for_each(|table| state.elect(table));
    }

    /// What the partitions' leaders wait for.
    pub(super) fn left_transactions(&self) -> Vec<LeftTransaction> {
        let state = self.0.lock();
        let there = (0..).zip(&state.partitions).filter(|(table, _)| state.deleted != Some(*table));
        let reports = there.flat_map(|(_, partition)| partition.core.replicas());
        reports.flat_map(|report| report.left_transactions).collect()
    }

    /// All that is in a table's stream.
    pub(super) fn records(&self, table: usize) -> Vec<StreamRecord> {
        let (mut records, mut after) = (Vec::new(), None);
        loop {
            let (horizon, page_bytes) = (Timestamp::from_millis(STREAM_MS), 1 << 20);
            let request = StreamRequest { stream: STREAM_MS, after, horizon, limit: 100, page_bytes };
            match self.0.lock().deliver(table, PartitionRequest::Stream(request)) {
                Ok(PartitionOutcome::Stream(page)) if page.records.is_empty() => return records,
                Ok(PartitionOutcome::Stream(page)) => {
                    after = Some(page.last);
                    records.extend(page.records);
                }
                other => panic!("no page: {other:?}"),
            }
        }
    }

    /// Whether the item of a table's own number is there.
    pub(super) fn there(&self, table: usize) -> bool {
        let state = self.0.lock();
        let engine = &state.partitions[table].engine;
        let storage_id = engine.replica(partition_id(table)).unwrap().storage_id;
        engine.get(storage_id, &encoded(table)).unwrap().is_some()
    }

    pub(super) fn yields(&self) -> Yields {
        let count = self.0.lock().random.random_range(0..6);
        Yields(count)
    }

    pub(super) fn client(&self) -> Client {
        Client { world: self.clone(), fuse: Arc::default() }
    }
}

impl State {
    fn now(&self, ahead_ms: u64) -> Now {
        Now { wall_ms: EPOCH_MS + self.now_ms + ahead_ms, boot_ms: self.now_ms }
    }

    fn take_snapshot(&mut self, table: usize) {
        let partition = &mut self.partitions[table];
        let storage_id = partition.engine.replica(partition_id(table)).unwrap().storage_id;
        let mut reader = partition.engine.snapshot_of_items(storage_id).unwrap();
        let time = reader.record().applied.entry_time;
        let chunks = std::iter::from_fn(|| reader.next_chunk().unwrap()).collect();
        partition.snapshots.push(Taken { time, chunks });
    }

    /// What comes out for a request of this token, if anything does.
    fn run(&mut self, table: usize, input: Input, token: u64) -> Option<Result<PartitionOutcome, PartitionError>> {
        let now = self.now(self.partitions[table].clock_ahead_ms);
        let Partition { core, claims, .. } = &mut self.partitions[table];
        core.step(input, now);
        let mut answer = None;
        core.flush(now, &mut |output| match output {
            Output::Answer { token: of, result } if of == token => answer = Some(result),
            Output::Closed { result: Ok(claim), .. } => claims.push(claim),
            _ => {}
        })
        .unwrap();
        answer
    }

    fn elect(&mut self, table: usize) {
        for _ in 0..30 {
            self.now_ms += TICK_MS / 4;
            self.run(table, Input::Tick, 0);
        }
    }

    fn crash(&mut self, table: usize) {
        self.tally.crashes += 1;
        self.starts += 1;
        let (start, now) = (self.starts, self.now(self.partitions[table].clock_ahead_ms));
        let partition = &mut self.partitions[table];
        partition.store.crash();
        partition.log.crash();
        (partition.engine, partition.core) = open(&partition.store, &partition.log, start, now);
        self.elect(table);
    }

    fn deliver(&mut self, table: usize, request: PartitionRequest) -> Result<PartitionOutcome, PartitionError> {
        if self.sabotage
            && let PartitionRequest::TransactGet(request) = &request
        {
            return self.read_carelessly(table, request);
        }
        self.next_token += 1;
        let token = self.next_token;
        let input = Input::Request { token, partition: partition_id(table), epoch: 1, request };
        if let Some(answer) = self.run(table, input, token) {
            return answer;
        }
        (0..20)
            .find_map(|_| self.run(table, Input::Tick, token))
            .unwrap_or_else(|| Err(PartitionError::Unknown { reason: "nobody answered".into() }))
    }
}

impl State {
    fn read_carelessly(
        &mut self,
        table: usize,
        request: &TransactGetRequest,
    ) -> Result<PartitionOutcome, PartitionError> {
        let keys = request.gets.iter().map(|get| get.key.clone()).collect();
        let get = PartitionRequest::Get(GetRequest { keys, projection: None, consistent: true });
        let PartitionOutcome::Get(outcome) = self.deliver(table, get)? else { panic!("no items") };
        let got = |item| TransactGot { item, version: ItemVersion::Absent { last_deletion: 0 } };
        Ok(PartitionOutcome::TransactGet(TransactGetOutcome { items: outcome.items.into_iter().map(got).collect() }))
    }
}

/// Lets others go first, so many times.
pub(super) struct Yields(u32);

impl Future for Yields {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        context.waker().wake_by_ref();
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        Poll::Pending
    }
}

struct Sleep {
    world: World,
    until_ms: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        context.waker().wake_by_ref();
        if self.world.now_ms() >= self.until_ms { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Environment for World {
    fn wall_ms(&self) -> u64 {
        self.0.lock().now(0).wall_ms
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.now_ms())
    }

    fn unique_id(&self) -> [u8; 16] {
        self.0.lock().random.random()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let until_ms = self.now_ms() + duration.as_millis() as u64;
        Box::pin(Sleep { world: self.clone(), until_ms })
    }
}

/// One router on behalf of one client.
pub(super) struct Client {
    world: World,
    /// Requests, and answers, until it dies; none: it lives on.
    pub(super) fuse: Arc<Mutex<Option<u32>>>,
}

impl Client {
    pub(super) fn is_dead(&self) -> bool {
        *self.fuse.lock() == Some(0)
    }

    fn burn(&self) {
        let mut fuse = self.fuse.lock();
        *fuse = fuse.map(|left| left.saturating_sub(1));
    }
}

#[async_trait]
impl Partitions for Client {
    async fn request(
        &self,
        table: &TableView,
        _key: RoutingKey<'_>,
        request: PartitionRequest,
        _room: &Room,
    ) -> Result<PartitionOutcome, ServiceError> {
        let table = usize::from(table.definition.table_id.0[0]) - 1;
        let mut perhaps_done = false;
        let unknown = || ServiceError::new(ErrorKind::InternalServerError, "not known");
        for _ in 0..TRIES_MAX {
            self.world.yields().await;
            self.burn();
            if self.is_dead() {
                std::future::pending::<()>().await;
            }
            let answer = {
                let mut state = self.world.0.lock();
                let fate = if state.calm { 99 } else { state.random.random_range(0..100) };
                if fate < 6 {
                    state.tally.lost += 1;
                    perhaps_done |= fate < 3;
                    if fate < 3 {
                        state.late.push((table, request.clone()));
                    }
                    continue;
                }
                if fate < 12 {
                    // One before this one is under way, and nobody waits for it any more.
                    state.tally.repeated += 1;
                    perhaps_done = true;
                    state.late.push((table, request.clone()));
                }
                let answer = state.deliver(table, request.clone());
                if (12..18).contains(&fate) {
                    state.tally.lost += 1;
                    perhaps_done = true;
                    continue;
                }
                answer
            };
            self.world.yields().await;
            self.burn();
            if self.is_dead() {
                std::future::pending::<()>().await;
            }
            // As the router has it.
            match answer {
                Ok(PartitionOutcome::Locked(_)) if perhaps_done && request.writes() => return Err(unknown()),
                Ok(outcome) => return Ok(outcome),
                Err(PartitionError::Service(error)) => return Err(error),
                Err(PartitionError::Unknown { .. }) => perhaps_done = true,
                Err(PartitionError::Overloaded { .. }) => return Err(errors::overloaded()),
                Err(_) => {}
            }
        }
        Err(if perhaps_done { unknown() } else { errors::transaction_aborted() })
    }

    async fn counts(&self, _table: &TableView) -> Option<Counts> {
        None
    }

    fn left_transactions(&self) -> Vec<(String, Vec<LeftTransaction>)> {
        vec![("game".to_owned(), self.world.left_transactions())]
    }
}

#[async_trait]
impl Catalog for World {
    fn table(&self, _account: &str, name: &str) -> Option<Arc<TableView>> {
        let mut state = self.0.lock();
        if std::mem::take(&mut state.learning) {
            return None;
        }
        let deleted = state.deleted;
        let tables = (0..TABLES).filter(|table| Some(*table) != deleted).map(table);
        tables.into_iter().find(|table| table.definition.table_name == name)
    }

    fn list_tables(&self, _account: &str) -> Vec<String> {
        (0..TABLES).map(|table| definition(table).table_name).collect()
    }

    fn knows_all(&self) -> bool {
        !self.0.lock().learning
    }

    async fn create_table(&self, _account: &str, _table: NewTable) -> Result<Arc<TableView>, ServiceError> {
        Err(errors::internal())
    }

    async fn update_table(
        &self,
        _account: &str,
        _name: &str,
        _update: TableUpdate,
    ) -> Result<Arc<TableView>, ServiceError> {
        Err(errors::internal())
    }

    async fn delete_table(&self, _account: &str, _name: &str) -> Result<Arc<TableView>, ServiceError> {
        Err(errors::internal())
    }

    fn throughput_history(&self, _table: &TableView) -> ThroughputHistory {
        ThroughputHistory::default()
    }

    async fn tags(&self, _table: &TableView) -> Result<Tags, ServiceError> {
        Err(errors::internal())
    }

    async fn update_tags(&self, _account: &str, _name: &str, _update: TagUpdate) -> Result<(), ServiceError> {
        Err(errors::internal())
    }
}
