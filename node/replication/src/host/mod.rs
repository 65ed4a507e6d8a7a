//! The machine's driver on a real node: one thread runs it, the others bring requests and take answers.

mod driver;
mod feed;
mod gathering;
mod persister;
mod readers;
mod regions;
mod tail;
mod waits;

pub use tail::TailError;

use crate::{
    clock::Clock,
    config::CoreConfig,
    core::{Core, FatalError, ReadPoint, Views, serve_read},
    log::LogStore,
    operation::{PartitionError, PartitionOutcome, PartitionRequest},
    restore::{Filling, Restoration, RestoreError, Restored},
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use cairn_engine::{Engine, FjallStore, Kept, RetiredReplica, Store};
use cairn_model::{
    descriptor::{Member, PartitionDescriptor},
    ids::{NodeId, PartitionId},
    index::LocalIndex,
    key::HASH_BYTES,
    node::{Counts, IndexCounts, Order, OrderOutcome, ReplicaReport, RetiredReport, TimeToLiveState},
    table::TableDefinition,
    time::Timestamp,
};
use driver::{Adoption, Command, Driver};
use readers::{Readers, Unread};
use std::{
    fmt,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, TrySendError},
    },
    time::Duration,
};
use tokio::sync::oneshot;
use waits::Waits;

/// Commands that wait for the driver. Requests may take half of it: frames and orders always find a place before them.
const QUEUE_MAX: usize = 16_384;
const REQUESTS_MAX: usize = QUEUE_MAX / 2;

/// For how long restored data waits for a place in the queue, and how often it looks.
const ADOPTION_WAIT_MAX: Duration = Duration::from_secs(60);
const ADOPTION_PAUSE: Duration = Duration::from_millis(5);

/// Carries frames to other nodes.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Must not block; may drop the frame.
    fn send(&self, to: &Member, frame: Bytes);
}

/// Called once, when the process must end: it knows no more what is on its disk. It should not return.
pub type OnFatal = Box<dyn Fn(&(dyn std::error::Error + 'static)) + Send + Sync>;

pub struct HostConfig {
    pub core: CoreConfig,
    /// The length of a tick; elections and heartbeats are counted in ticks.
    pub tick: Duration,
    pub on_fatal: OnFatal,
}

impl fmt::Debug for HostConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostConfig").field("core", &self.core).field("tick", &self.tick).finish_non_exhaustive()
    }
}

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("failed to take up the replicas")]
    Core(#[from] FatalError),
    #[error("failed to start a thread")]
    Thread(#[source] std::io::Error),
}

/// All partitions of this node, to be asked from anywhere.
pub struct Host<S = FjallStore> {
    engine: Arc<Engine<S>>,
    log: Arc<dyn LogStore>,
    commands: SyncSender<Command>,
    requests: Arc<AtomicUsize>,
    views: Arc<Views>,
    readers: Arc<Readers>,
    told: Arc<Told>,
}

/// What the driver tells those who do not ask the machine.
struct Told {
    reports: ArcSwap<Vec<ReplicaReport>>,
    waits: Waits,
}

impl<S: Store> Host<S> {
    /// Takes up the node's replicas and drives them from now on.
    pub fn start<L: LogStore>(
        config: HostConfig,
        engine: Arc<Engine<S>>,
        log: L,
        clock: Arc<dyn Clock>,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, StartError> {
        let core = Core::open(config.core, engine.clone(), log, clock.now())?;
        let (commands, queue) = std::sync::mpsc::sync_channel(QUEUE_MAX);
        let host = Self {
            engine: engine.clone(),
            log: core.log(),
            commands: commands.clone(),
            requests: Arc::default(),
            views: core.views(),
            readers: Arc::new(Readers::start().map_err(StartError::Thread)?),
            told: Arc::new(Told { reports: ArcSwap::from_pointee(core.replicas()), waits: Waits::default() }),
        };
        let on_fatal = Arc::new(config.on_fatal);
        let persister =
            persister::start(engine, commands, clock.clone(), on_fatal.clone()).map_err(StartError::Thread)?;
        Driver::new(core, queue, clock, transport, config.tick, persister, host.told.clone())
            .start(on_fatal)
            .map_err(StartError::Thread)?;
        Ok(host)
    }

    /// Asks a partition, under the epoch of the descriptor that the asker knows.
    pub async fn request(
        &self,
        partition: PartitionId,
        epoch: u64,
        request: PartitionRequest,
    ) -> Result<PartitionOutcome, PartitionError> {
        let consistent = match &request {
            PartitionRequest::Write(_) | PartitionRequest::Transact(_) | PartitionRequest::Feed(_) => {
                let request = Box::new(request);
                return self.ask(|answer| Command::Request { partition, epoch, request, answer }).await?;
            }
            PartitionRequest::Get(get) => get.consistent,
            PartitionRequest::Range(range) => range.consistent,
            PartitionRequest::Stream(_) | PartitionRequest::TransactGet(_) => true,
        };
        let beside = match self.ended(partition, &request)? {
            Some(point) => Some(point),
            None => self.point_beside(partition, epoch, consistent)?,
        };
        let point = match beside {
            Some(point) => point,
            None => self.ask(|answer| Command::ReadBarrier { partition, epoch, answer }).await??,
        };
        let engine = self.engine.clone();
        let is_short = is_short(&request);
        let read = move || serve_read(&engine, &point, &request);
        let read = match is_short {
            true => self.readers.read(read).await,
            false => tokio::task::spawn_blocking(read).await.map_err(|_| Unread::Broken),
        };
        read.unwrap_or_else(|unread| {
            Err(match unread {
                Unread::Overloaded => PartitionError::Overloaded { reason: "too many reads wait".into() },
                Unread::Broken => PartitionError::NotLeader { leader: None },
            })
        })
    }

    /// From where to read a stream that takes no more, if that is asked for: whoever has applied its end has all of it, whether it
    /// leads or not, under whatever epoch, and where nothing else is left of the table. What was behind when it was dropped may not know
    /// of the stream: others do.
    fn ended(&self, partition: PartitionId, request: &PartitionRequest) -> Result<Option<ReadPoint>, PartitionError> {
        let PartitionRequest::Stream(asked) = request else { return Ok(None) };
        let has_ended = |definition: &TableDefinition| {
            definition.stream.as_ref().is_some_and(|streams| streams.has_ended(asked.stream))
        };
        if let Some(RetiredReplica { storage_id, descriptor, definition, .. }) = self.engine.retired(partition) {
            return match has_ended(&definition) {
                true => {
                    Ok(Some(ReadPoint { storage_id, descriptor: descriptor.into(), definition: definition.into() }))
                }
                false => Err(PartitionError::NotLeader { leader: None }),
            };
        }
        let views = self.views.load();
        let point = views.get(&partition).map(|view| &view.point);
        Ok(point.filter(|point| has_ended(&point.definition)).cloned())
    }

    /// From where to read at once, if the machine need not be asked.
    fn point_beside(
        &self,
        partition: PartitionId,
        epoch: u64,
        consistent: bool,
    ) -> Result<Option<ReadPoint>, PartitionError> {
        let views = self.views.load();
        let view = views.get(&partition).ok_or(PartitionError::UnknownPartition)?;
        let known = view.point.descriptor.epoch;
        if known != epoch {
            return Err(PartitionError::EpochMismatch { epoch: known });
        }
        if !consistent && !view.is_current {
            return Err(PartitionError::NotLeader { leader: view.leader.clone() });
        }
        Ok((!consistent || view.reads_alone).then(|| view.point.clone()))
    }

    /// Sends a command and waits for its answer.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, PartitionError> {
        let overloaded = |reason: &str| PartitionError::Overloaded { reason: reason.into() };
        let place = Place::take(&self.requests).ok_or_else(|| overloaded("too many requests wait"))?;
        let (sender, receiver) = oneshot::channel();
        match self.commands.try_send(command(sender)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(overloaded("too many requests wait")),
            Err(TrySendError::Disconnected(_)) => return Err(overloaded("the node is stopping")),
        }
        let answer = receiver.await;
        drop(place);
        answer.map_err(|_| PartitionError::Unknown { reason: "the node stopped meanwhile".into() })
    }

    pub async fn order(&self, order: Order) -> OrderOutcome {
        match self.ask(|answer| Command::Order { order: Box::new(order), answer }).await {
            Ok(outcome) => outcome,
            Err(error) => OrderOutcome::InProgress { message: error.to_string() },
        }
    }

    /// Begins to load data for a partition to come. Blocks.
    pub fn restore(&self) -> Result<Restoration<S>, RestoreError> {
        Restoration::begin(self.engine.clone())
    }

    /// Begins to take items for a partition to come, as versions of this time. Blocks.
    pub fn fill(&self, time: Timestamp) -> Result<Filling<S>, RestoreError> {
        Filling::begin(self.engine.clone(), time)
    }

    /// Initialises a partition with restored data, as [`Order::Bootstrap`] does without.
    pub async fn adopt(
        &self,
        restored: Restored,
        descriptor: PartitionDescriptor,
        definition: TableDefinition,
    ) -> OrderOutcome {
        let engine = self.engine.clone();
        let built = tokio::task::spawn_blocking(move || {
            let built = restored.build_indexes(&engine, &definition);
            (restored, definition, built)
        });
        let Ok((restored, definition, built)) = built.await else {
            return OrderOutcome::InProgress { message: "the node is stopping".into() };
        };
        if let Err(error) = built {
            tracing::error!(error = &error as &dyn std::error::Error, "failed to index what was restored");
            return self.give_up(restored, format!("what was restored can't be indexed: {error}"));
        }
        let (answer, answered) = oneshot::channel();
        let mut command = Command::Adopt { adoption: Box::new(Adoption { restored, descriptor, definition }), answer };
        let mut waited = Duration::ZERO;
        // It is worth waiting for a place, unlike a request: loading it all again would take longer.
        while let Err(full) = self.commands.try_send(command) {
            match full {
                TrySendError::Full(back) if waited < ADOPTION_WAIT_MAX => command = back,
                TrySendError::Full(Command::Adopt { adoption, .. })
                | TrySendError::Disconnected(Command::Adopt { adoption, .. }) => {
                    return self.give_up(adoption.restored, "the node is too busy, or stopping".into());
                }
                TrySendError::Full(_) | TrySendError::Disconnected(_) => break,
            }
            tokio::time::sleep(ADOPTION_PAUSE).await;
            waited += ADOPTION_PAUSE;
        }
        answered.await.unwrap_or_else(|_| OrderOutcome::InProgress { message: "the node stopped meanwhile".into() })
    }

    /// What was restored is reclaimed.
    fn give_up(&self, restored: Restored, message: String) -> OrderOutcome {
        if let Err(error) = self.engine.abandon(restored.writer) {
            tracing::error!(error = &error as &dyn std::error::Error, "failed to give up what was restored");
        }
        OrderOutcome::Refused { message }
    }

    /// Takes in a frame that another node's transport sent; drops it if too much waits.
    pub fn deliver(&self, from: NodeId, frame: Bytes) {
        let _ = self.commands.try_send(Command::Frame { from, frame });
    }

    /// The replicas on this node, as of the last tick or the last order, whichever was later.
    pub fn replicas(&self) -> Vec<ReplicaReport> {
        Vec::clone(&self.told.reports.load())
    }

    /// The same, to look at.
    pub fn reports(&self) -> Arc<Vec<ReplicaReport>> {
        self.told.reports.load_full()
    }

    /// One of them.
    pub fn replica(&self, partition: PartitionId) -> Option<ReplicaReport> {
        self.told.reports.load().iter().find(|replica| replica.descriptor.partition_id == partition).cloned()
    }

    /// What is left here of tables that were deleted lately.
    pub fn retired(&self) -> Vec<RetiredReport> {
        let report = |RetiredReplica { descriptor, definition, .. }| RetiredReport { descriptor, definition };
        self.engine.all_retired().into_iter().map(report).collect()
    }

    /// What a partition holds with every write that was acknowledged; none where the replica here does not lead it.
    pub async fn counts(&self, partition: PartitionId) -> Option<Counts> {
        let own = self.reports().iter().find(|report| report.descriptor.partition_id == partition)?.replica_id;
        let point = {
            let views = self.views.load();
            let view = views.get(&partition)?;
            view.leader.as_ref().filter(|leader| leader.replica_id == own)?;
            view.point.clone()
        };
        let engine = self.engine.clone();
        let counted = tokio::task::spawn_blocking(move || {
            let applied = engine.applied(point.storage_id)?;
            // Before what is kept: a change of it comes with work to do.
            let asked = engine.replica(partition)?.definition.time_to_live;
            let is_changing = engine.kept(point.storage_id, &Kept::Expirations).ok()?.is_some();
            let attribute_name = asked.map(|asked| asked.attribute_name);
            let totals = engine.index_totals(point.storage_id).inspect_err(|error| {
                tracing::error!(%partition, error = error as &dyn std::error::Error, "failed to read the totals of local indexes");
            });
            Some((applied, TimeToLiveState { attribute_name, is_changing }, totals.ok()?, point))
        });
        let (applied, time_to_live, totals, point) = counted.await.ok()??;
        let of_index = |index: &LocalIndex| {
            let totals = totals.get(usize::from(index.slot).checked_sub(1)?)?;
            Some(IndexCounts { slot: index.slot, item_count: totals.entry_count, size_bytes: totals.size_bytes })
        };
        Some(Counts {
            item_count: applied.item_count,
            size_bytes: applied.size_bytes,
            indexes: point.definition.local_indexes.iter().filter_map(of_index).collect(),
            time_to_live: Some(time_to_live),
        })
    }

    /// The definition of a partition's table, if it is such a one; none where it is not, and where no replica is here.
    pub fn definition_if(
        &self,
        partition: PartitionId,
        is_such: impl FnOnce(&TableDefinition) -> bool,
    ) -> Option<Arc<TableDefinition>> {
        let views = self.views.load();
        let definition = &views.get(&partition)?.point.definition;
        is_such(definition).then(|| definition.clone())
    }

    /// The replica believed to lead a partition of which this node holds one.
    pub fn leader(&self, partition: PartitionId) -> Option<Member> {
        self.views.load().get(&partition).and_then(|view| view.leader.clone())
    }

    /// Gives all leadership away and waits a moment for it to be taken.
    pub async fn hand_over(&self) {
        let (done, handed_over) = oneshot::channel();
        if self.commands.try_send(Command::HandOver { done }).is_ok() {
            let _ = handed_over.await;
        }
    }

    /// Makes everything durable and stops the driver; requests are answered no more.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.commands.try_send(Command::Stop { done }).is_ok() {
            let _ = stopped.await;
        }
    }
}

/// Whether a read is of some items or of one item collection: what goes through a table may take long.
fn is_short(request: &PartitionRequest) -> bool {
    let PartitionRequest::Range(range) = request else { return true };
    fn hash(bound: &Bound<Bytes>) -> Option<&[u8]> {
        match bound {
            Bound::Included(key) | Bound::Excluded(key) => key.get(..HASH_BYTES),
            Bound::Unbounded => None,
        }
    }
    hash(&range.lower).is_some_and(|lower| Some(lower) == hash(&range.upper))
}

/// One of the places for requests in the queue.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(requests: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(requests.clone());
        (requests.fetch_add(1, Ordering::Relaxed) < REQUESTS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S> Clone for Host<S> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            log: self.log.clone(),
            commands: self.commands.clone(),
            requests: self.requests.clone(),
            views: self.views.clone(),
            readers: self.readers.clone(),
            told: self.told.clone(),
        }
    }
}

impl<S> fmt::Debug for Host<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("replicas", &self.views.load().len()).finish_non_exhaustive()
    }
}
