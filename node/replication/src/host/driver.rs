//! The thread that runs the machine: it takes what has come, steps it all in, and flushes once.

use super::{OnFatal, Told, Transport, gathering::Gathering, persister::Persister};
use crate::{
    clock::Clock,
    core::{Claim, Core, FatalError, Input, Output, ReadPoint},
    global::{Reader, RemoteBatch},
    log::LogStore,
    operation::{PartitionError, PartitionOutcome, PartitionRequest},
    restore::Restored,
};
use bytes::Bytes;
use cairn_engine::Store;
use cairn_model::{
    descriptor::PartitionDescriptor,
    ids::{NodeId, PartitionId, TableId},
    node::{Order, OrderOutcome},
    table::TableDefinition,
};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Commands taken in before a flush: enough for a good group, few enough that it ends.
const COMMANDS_A_FLUSH: usize = 1_024;

/// How long a step that deletes expired items waits for requests to come before it.
const GOING_ON_PAUSE_MS: u64 = 2;

type RequestAnswer = oneshot::Sender<Result<PartitionOutcome, PartitionError>>;
type ReadAnswer = oneshot::Sender<Result<ReadPoint, PartitionError>>;

type RemoteAnswer = oneshot::Sender<Result<Reader, PartitionError>>;
type CloseAnswer = oneshot::Sender<Result<Claim, PartitionError>>;

/// Restored data, and what it is to become.
pub(super) struct Adoption {
    pub(super) restored: Restored,
    pub(super) descriptor: PartitionDescriptor,
    pub(super) definition: TableDefinition,
}

pub(super) enum Command {
    Request { partition: PartitionId, epoch: u64, request: Box<PartitionRequest>, answer: RequestAnswer },
    ReadBarrier { partition: PartitionId, epoch: u64, answer: ReadAnswer },
    Close { partition: PartitionId, answer: CloseAnswer },
    Remote { partition: PartitionId, batch: Box<RemoteBatch>, answer: RemoteAnswer },
    Order { order: Box<Order>, answer: oneshot::Sender<OrderOutcome> },
    Adopt { adoption: Box<Adoption>, answer: oneshot::Sender<OrderOutcome> },
    Archived { partition: PartitionId, index: u64 },
    Fed { partition: PartitionId, index: TableId, upto: u64 },
    LogLacks { partition: PartitionId },
    Frame { from: NodeId, frame: Bytes },
    Persisted,
    HandOver { done: oneshot::Sender<()> },
    Stop { done: oneshot::Sender<()> },
}

enum Waiter {
    Request(RequestAnswer),
    Read(ReadAnswer),
    Close(CloseAnswer),
    Remote(RemoteAnswer),
    Order(oneshot::Sender<OrderOutcome>),
}

pub(super) struct Driver<S: Store, L: LogStore> {
    core: Core<S, L>,
    queue: Receiver<Command>,
    clock: Arc<dyn Clock>,
    transport: Arc<dyn Transport>,
    tick_ms: u64,
    next_tick_ms: u64,
    persister: Persister,
    told: Arc<Told>,
    waiters: HashMap<u64, Waiter>,
    next_token: u64,
    gathering: Gathering,
    /// Who waits for leadership to be taken over, and until when.
    handing_over: Vec<(u64, oneshot::Sender<()>)>,
    stopping: Option<oneshot::Sender<()>>,
}

impl<S: Store, L: LogStore> Driver<S, L> {
    pub(super) fn new(
        core: Core<S, L>,
        queue: Receiver<Command>,
        clock: Arc<dyn Clock>,
        transport: Arc<dyn Transport>,
        tick: Duration,
        persister: Persister,
        told: Arc<Told>,
    ) -> Self {
        let tick_ms = (tick.as_millis() as u64).max(1);
        let next_tick_ms = clock.now().boot_ms + tick_ms;
        Self {
            core,
            queue,
            clock,
            transport,
            tick_ms,
            next_tick_ms,
            persister,
            told,
            waiters: HashMap::new(),
            next_token: 0,
            gathering: Gathering::default(),
            handing_over: Vec::new(),
            stopping: None,
        }
    }

    pub(super) fn start(self, on_fatal: Arc<OnFatal>) -> std::io::Result<()> {
        let run = move || {
            // The raft library panics where its state can't be right; going on without this thread would be no better.
            let panicked = PanicGuard(on_fatal.clone());
            if let Err(error) = self.run() {
                on_fatal(&error);
            }
            drop(panicked);
        };
        std::thread::Builder::new().name("cairn-partitions".into()).spawn(run).map(drop)
    }

    fn run(mut self) -> Result<(), FatalError> {
        loop {
            let mut wait_ms = self.next_tick_ms.saturating_sub(self.clock.now().boot_ms);
            if self.core.goes_on() {
                wait_ms = wait_ms.min(GOING_ON_PAUSE_MS);
            }
            match self.queue.recv_timeout(Duration::from_millis(wait_ms)) {
                Ok(command) => {
                    self.take(command);
                    if let Some(wait) = self.gathering.wait() {
                        std::thread::sleep(wait);
                    }
                    for _ in 1..COMMANDS_A_FLUSH {
                        let Ok(command) = self.queue.try_recv() else { break };
                        self.take(command);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            let now = self.clock.now();
            let ticked = now.boot_ms >= self.next_tick_ms;
            if ticked {
                // A thread that stood still does not make up for the ticks it missed.
                self.next_tick_ms = now.boot_ms + self.tick_ms;
                self.core.step(Input::Tick, now);
                self.gathering.ticked();
            }
            let waiting = self.waiters.len();
            let begun = monotonic();
            self.flush()?;
            self.gathering.flushed(waiting - self.waiters.len(), monotonic().saturating_duration_since(begun));
            if ticked {
                self.told.reports.store(Arc::new(self.core.replicas()));
                self.end_hand_over();
            }
            if let Some(done) = self.stopping.take() {
                self.persister.persist(self.core.log_marks());
                self.persister.finish();
                let _ = done.send(());
                return Ok(());
            }
        }
    }

    fn take(&mut self, command: Command) {
        let now = self.clock.now();
        let input = match command {
            Command::Request { partition, epoch, request, answer } => {
                let token = self.wait(Waiter::Request(answer));
                Input::Request { token, partition, epoch, request: *request }
            }
            Command::ReadBarrier { partition, epoch, answer } => {
                Input::ReadBarrier { token: self.wait(Waiter::Read(answer)), partition, epoch }
            }
            Command::Close { partition, answer } => Input::Close { token: self.wait(Waiter::Close(answer)), partition },
            Command::Remote { partition, batch, answer } => {
                Input::Remote { token: self.wait(Waiter::Remote(answer)), partition, batch }
            }
            Command::Adopt { adoption, answer } => {
                let Adoption { restored, descriptor, definition } = *adoption;
                let token = self.wait(Waiter::Order(answer));
                Input::Adopt { token, restored: Box::new(restored), descriptor, definition }
            }
            Command::Archived { partition, index } => Input::Archived { partition, index },
            Command::Fed { partition, index, upto } => Input::Fed { partition, index, upto },
            Command::LogLacks { partition } => Input::LogLacks { partition },
            Command::Order { order, answer } => Input::Order { token: self.wait(Waiter::Order(answer)), order: *order },
            Command::Frame { from, frame } => {
                self.gathering.heard_peer();
                Input::Frame { from, bytes: frame }
            }
            Command::Persisted => Input::Persisted,
            Command::HandOver { done } => {
                // One election timeout: after that Raft gives it up as well.
                self.handing_over.push((now.boot_ms + 10 * self.tick_ms, done));
                Input::HandOver
            }
            Command::Stop { done } => {
                self.stopping = Some(done);
                return;
            }
        };
        self.core.step(input, now);
    }

    fn wait(&mut self, waiter: Waiter) -> u64 {
        self.next_token += 1;
        self.waiters.insert(self.next_token, waiter);
        self.next_token
    }

    fn flush(&mut self) -> Result<(), FatalError> {
        let Self { core, transport, persister, waiters, .. } = self;
        let mut orders = Vec::new();
        core.flush(self.clock.now(), &mut |output| match output {
            Output::Frame { to, bytes } => transport.send(&to, bytes),
            // Whoever asked may be gone: then nobody hears the answer.
            Output::Answer { token, result } => {
                if let Some(Waiter::Request(answer)) = waiters.remove(&token) {
                    let _ = answer.send(result);
                }
            }
            Output::ReadReady { token, result } => {
                if let Some(Waiter::Read(answer)) = waiters.remove(&token) {
                    let _ = answer.send(result);
                }
            }
            Output::Closed { token, result } => {
                if let Some(Waiter::Close(answer)) = waiters.remove(&token) {
                    let _ = answer.send(result);
                }
            }
            Output::RemoteTaken { token, result } => {
                if let Some(Waiter::Remote(answer)) = waiters.remove(&token) {
                    let _ = answer.send(result);
                }
            }
            Output::OrderAnswer { token, outcome } => {
                if let Some(Waiter::Order(answer)) = waiters.remove(&token) {
                    orders.push((answer, outcome));
                }
            }
            Output::Persist { marks } => persister.persist(marks),
        })?;
        self.told.waits.tell(|partition| self.core.applied_index(partition));
        if !orders.is_empty() {
            // Before the answers: whoever gave an order finds it done in the reports.
            self.told.reports.store(Arc::new(self.core.replicas()));
        }
        for (answer, outcome) in orders {
            let _ = answer.send(outcome);
        }
        Ok(())
    }

    fn end_hand_over(&mut self) {
        if self.handing_over.is_empty() {
            return;
        }
        let now_ms = self.clock.now().boot_ms;
        let leads = self.core.leads_with_others();
        for (until_ms, done) in std::mem::take(&mut self.handing_over) {
            if leads && now_ms < until_ms {
                self.handing_over.push((until_ms, done));
            } else {
                let _ = done.send(());
            }
        }
    }
}

#[allow(clippy::disallowed_methods)] // only for how long to wait, never for what is right
fn monotonic() -> Instant {
    Instant::now()
}

/// Ends the process if the driver's thread panics.
struct PanicGuard(Arc<OnFatal>);

#[derive(Debug, thiserror::Error)]
#[error("the thread that drives the partitions panicked")]
struct Panicked;

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)(&Panicked);
        }
    }
}
