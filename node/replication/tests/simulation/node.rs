//! One storage node of the simulation: the true machine on disks that lose what was not synced, and its lives and deaths.

use crate::{
    clock::Clock,
    disk::{FaultyLog, FaultyStore},
    fuse::{Fuse, Point},
};
use cairn_engine::{Engine, MemoryStore};
use cairn_model::ids::NodeId;
use cairn_replication::{
    config::CoreConfig,
    core::{Core, FatalError, Input, Output},
    log::MemoryLog,
};
use rand::{Rng, rngs::StdRng};
use std::{collections::VecDeque, sync::Arc};

/// How many inputs wait for a node; past that they are lost, as a socket's buffer would lose them.
const INBOX_MAX: usize = 10_000;

pub fn address(slot: usize) -> String {
    format!("node-{slot}:7400")
}

pub fn slot_of(address: &str) -> Option<usize> {
    address.strip_prefix("node-")?.strip_suffix(":7400")?.parse().ok()
}

pub fn zone(slot: usize) -> String {
    format!("zone-{slot}")
}

#[derive(Debug)]
pub struct Process {
    pub core: Core<FaultyStore, FaultyLog>,
    pub engine: Arc<Engine<FaultyStore>>,
}

#[derive(Debug)]
pub struct Node {
    pub slot: usize,
    pub id: NodeId,
    /// Of the process: every start of any node is another.
    pub life: u64,
    pub clock: Clock,
    pub fuse: Fuse,
    pub process: Option<Process>,
    pub slow_disk: bool,
    /// Its replicas may well call themselves damaged.
    pub lost_log: bool,
    /// The process stands still until then, or is inside a flush.
    pub busy_until_us: u64,
    store: MemoryStore,
    log: MemoryLog,
    inbox: VecDeque<Input>,
    /// A disk that says it synced and did not.
    lying_disk: bool,
}

/// What came of running a node once.
#[derive(Debug, Default)]
pub struct Run {
    pub outputs: Vec<Output>,
    /// The fuse blew.
    pub killed_at: Option<Point>,
}

impl Node {
    pub fn new(slot: usize, clock: Clock, lying_disk: bool, random: &mut StdRng) -> Self {
        Self {
            slot,
            id: NodeId(random.random()),
            life: 0,
            clock,
            fuse: Fuse::default(),
            process: None,
            slow_disk: false,
            lost_log: false,
            busy_until_us: 0,
            store: MemoryStore::default(),
            log: MemoryLog::default(),
            inbox: VecDeque::new(),
            lying_disk,
        }
    }

    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Starts the process on what its disks hold.
    pub fn start(&mut self, life: u64, log_entries_kept: u64, now_us: u64, random: &mut StdRng) -> Result<(), String> {
        self.life = life;
        self.fuse.clear();
        self.busy_until_us = now_us;
        let failed = |error: &dyn std::error::Error| format!("node {} failed to start: {}", self.slot, chain(error));
        let store = FaultyStore { inner: self.store.clone(), fuse: self.fuse.clone(), lies: self.lying_disk };
        let engine = Arc::new(Engine::open(store).map_err(|error| failed(&error))?);
        let log = FaultyLog { inner: self.log.clone(), fuse: self.fuse.clone(), lies: self.lying_disk };
        let config = CoreConfig {
            log_entries_kept,
            request_timeout_ms: 2_000,
            persist_bytes: 2_000,
            persist_interval_ms: 1_000,
            snapshot_timeout_ms: 3_000,
            ..CoreConfig::new(self.id, random.random())
        };
        let core = Core::open(config, engine.clone(), log, self.clock.read(now_us)).map_err(|error| failed(&error))?;
        self.process = Some(Process { core, engine });
        Ok(())
    }

    /// The process dies; the disks lose what was not synced, or the later part of it.
    pub fn crash(&mut self, random: &mut StdRng) {
        self.process = None;
        self.inbox.clear();
        self.slow_disk = false;
        self.store.crash_keeping(random.random_range(0..=self.store.commits_at_risk()));
        self.log.crash_keeping(random.random_range(0..=self.log.writes_at_risk()));
    }

    /// A new and empty volume: another node.
    pub fn lose_volume(&mut self, random: &mut StdRng) {
        self.process = None;
        self.inbox.clear();
        self.id = NodeId(random.random());
        self.store = MemoryStore::default();
        self.log = MemoryLog::default();
        self.lost_log = false;
    }

    /// The process dies, and its log is gone when it comes back.
    pub fn lose_log(&mut self, random: &mut StdRng) {
        self.crash(random);
        self.log = MemoryLog::default();
        self.lost_log = true;
    }

    /// Takes an input in, unless there is nobody to take it. True if the node should run.
    pub fn take(&mut self, input: Input) -> bool {
        let takes = self.is_up() && self.inbox.len() < INBOX_MAX;
        if takes {
            self.inbox.push_back(input);
        }
        takes
    }

    /// Steps all that has come in, and flushes.
    pub fn run(&mut self, now_us: u64) -> Result<Run, String> {
        let mut run = Run::default();
        let Some(process) = &mut self.process else { return Ok(run) };
        let now = self.clock.read(now_us);
        self.fuse.begin_flush();
        for input in self.inbox.drain(..) {
            process.core.step(input, now);
        }
        let flushed = process.core.flush(now, &mut |output| {
            if self.fuse.let_out() {
                run.outputs.push(output);
            }
        });
        run.killed_at = self.fuse.blown();
        match flushed {
            Err(error) if run.killed_at.is_none() => {
                Err(format!("node {} stopped itself: {}", self.slot, chain::<FatalError>(&error)))
            }
            _ => Ok(run),
        }
    }
}

fn chain<E: std::error::Error + ?Sized>(error: &E) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
