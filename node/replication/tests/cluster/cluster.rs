//! Nodes with cores on disks in memory, and a network that delivers everything at once except where it is cut.

use crate::requests::{self, PARTITION, node_id};
use bytes::Bytes;
use cairn_engine::{Engine, MemoryStore};
use cairn_model::{
    Item,
    ids::{PartitionId, ReplicaId},
    node::{Order, OrderOutcome, ReplicaReport, ReplicaState},
};
use cairn_replication::{
    CoreConfig, Now,
    core::{Claim, Core, Input, Output},
    global::Reader,
    log::{LogEntry, LogStore, MemoryLog},
    operation::{PartitionError, PartitionOutcome, PartitionRequest, WriteOutcome},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

pub const TICK_MS: u64 = 100;

pub type Answer = Result<PartitionOutcome, PartitionError>;

pub struct Node {
    pub store: MemoryStore,
    pub log: MemoryLog,
    pub engine: Option<Arc<Engine<MemoryStore>>>,
    pub core: Option<Core<MemoryStore, MemoryLog>>,
    pub wall_offset_ms: i64,
}

pub struct Cluster {
    pub nodes: Vec<Node>,
    pub boot_ms: u64,
    configure: Box<dyn Fn(&mut CoreConfig)>,
    frames: VecDeque<(usize, usize, Bytes)>,
    /// From and to: lost.
    pub cut: BTreeSet<(usize, usize)>,
    pub answers: BTreeMap<u64, Answer>,
    pub order_answers: BTreeMap<u64, OrderOutcome>,
    pub claims: BTreeMap<u64, Result<Claim, PartitionError>>,
    pub taken: BTreeMap<u64, Result<Reader, PartitionError>>,
    next_token: u64,
    starts: u64,
    pub frames_sent: usize,
}

impl Cluster {
    pub fn new(nodes: usize) -> Self {
        Self::configured(nodes, |_| {})
    }

    pub fn configured(nodes: usize, configure: impl Fn(&mut CoreConfig) + 'static) -> Self {
        let node = |_| Node {
            store: MemoryStore::default(),
            log: MemoryLog::default(),
            engine: None,
            core: None,
            wall_offset_ms: 0,
        };
        let mut cluster = Self {
            nodes: (0..nodes).map(node).collect(),
            boot_ms: 1_000,
            configure: Box::new(configure),
            frames: VecDeque::new(),
            cut: BTreeSet::new(),
            answers: BTreeMap::new(),
            order_answers: BTreeMap::new(),
            claims: BTreeMap::new(),
            taken: BTreeMap::new(),
            next_token: 0,
            starts: 0,
            frames_sent: 0,
        };
        (0..nodes).for_each(|node| cluster.start(node));
        cluster
    }

    /// With the partition initialised on node 0, voters on the first `voters` nodes, and a leader.
    pub fn with_partition(nodes: usize, voters: usize) -> Self {
        let mut cluster = Self::new(nodes);
        cluster.bootstrap(voters);
        cluster
    }

    pub fn bootstrap(&mut self, voters: usize) {
        let order = Order::Bootstrap { descriptor: requests::descriptor(voters), definition: requests::definition() };
        assert_eq!(self.order(0, order), OrderOutcome::Done);
        self.ticks(5);
        assert_eq!(self.leader(), Some(0));
    }

    pub fn now(&self, node: usize) -> Now {
        let wall_ms = 1_000_000_000 + self.boot_ms as i64 + self.nodes[node].wall_offset_ms;
        Now { wall_ms: wall_ms as u64, boot_ms: self.boot_ms }
    }

    pub fn start(&mut self, node: usize) {
        self.starts += 1;
        let mut config = CoreConfig::new(node_id(node), self.starts);
        (self.configure)(&mut config);
        let now = self.now(node);
        let node = &mut self.nodes[node];
        let engine = Arc::new(Engine::open(node.store.clone()).unwrap());
        node.core = Some(Core::open(config, engine.clone(), node.log.clone(), now).unwrap());
        node.engine = Some(engine);
    }

    /// The process dies; the disks keep what was synced.
    pub fn crash(&mut self, node: usize) {
        self.frames.retain(|(from, to, _)| *from != node && *to != node);
        let node = &mut self.nodes[node];
        node.core = None;
        node.engine = None;
        node.store.crash();
        node.log.crash();
    }

    pub fn isolate(&mut self, node: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.cut.insert((node, other));
            self.cut.insert((other, node));
        }
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    pub fn step(&mut self, node: usize, input: Input) {
        let now = self.now(node);
        if let Some(core) = &mut self.nodes[node].core {
            core.step(input, now);
        }
    }

    /// Flushes one node; its frames go on their way.
    pub fn flush(&mut self, node: usize) {
        let now = self.now(node);
        let Some(core) = &mut self.nodes[node].core else { return };
        let mut outputs = Vec::new();
        core.flush(now, &mut |output| outputs.push(output)).unwrap();
        for output in outputs {
            match output {
                Output::Frame { to, bytes } => {
                    let to = (0..self.nodes.len()).find(|other| node_id(*other) == to.node_id);
                    self.frames_sent += 1;
                    if let Some(to) = to.filter(|to| !self.cut.contains(&(node, *to))) {
                        self.frames.push_back((node, to, bytes));
                    }
                }
                Output::Answer { token, result } => {
                    assert!(self.answers.insert(token, result).is_none(), "answered twice");
                }
                Output::ReadReady { .. } => {}
                Output::Closed { token, result } => {
                    assert!(self.claims.insert(token, result).is_none(), "answered twice");
                }
                Output::RemoteTaken { token, result } => {
                    assert!(self.taken.insert(token, result).is_none(), "answered twice");
                }
                Output::OrderAnswer { token, outcome } => {
                    assert!(self.order_answers.insert(token, outcome).is_none(), "answered twice");
                }
                Output::Persist { marks } => {
                    self.nodes[node].engine.as_ref().unwrap().persist(&marks).unwrap();
                    self.step(node, Input::Persisted);
                }
            }
        }
    }

    /// Flushes and delivers until all is quiet.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.round() {
                return;
            }
        }
        panic!("the cluster never falls quiet");
    }

    /// Flushes every node and delivers what they sent; false if that was nothing.
    pub fn round(&mut self) -> bool {
        (0..self.nodes.len()).for_each(|node| self.flush(node));
        let frames = std::mem::take(&mut self.frames);
        let any = !frames.is_empty();
        for (from, to, bytes) in frames {
            self.step(to, Input::Frame { from: node_id(from), bytes });
        }
        any
    }

    pub fn ticks(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.boot_ms += TICK_MS;
            (0..self.nodes.len()).for_each(|node| self.step(node, Input::Tick));
            self.settle();
        }
    }

    pub fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    pub fn order(&mut self, node: usize, order: Order) -> OrderOutcome {
        let token = self.token();
        self.step(node, Input::Order { token, order });
        self.settle();
        self.order_answers.remove(&token).unwrap()
    }

    /// Sends a request without waiting for its answer.
    pub fn send(&mut self, node: usize, request: PartitionRequest) -> u64 {
        self.send_to(node, PARTITION, request)
    }

    fn send_to(&mut self, node: usize, partition: PartitionId, request: PartitionRequest) -> u64 {
        let token = self.token();
        let epoch = self.report(node).map_or(1, |report| report.descriptor.epoch);
        self.step(node, Input::Request { token, partition, epoch, request });
        token
    }

    /// Sends a request and waits until all is quiet; none without an answer by then.
    pub fn ask(&mut self, node: usize, request: PartitionRequest) -> Option<Answer> {
        self.ask_at(node, PARTITION, request)
    }

    pub fn ask_at(&mut self, node: usize, partition: PartitionId, request: PartitionRequest) -> Option<Answer> {
        let token = self.send_to(node, partition, request);
        self.settle();
        self.answers.remove(&token)
    }

    pub fn write(&mut self, node: usize, request: PartitionRequest) -> WriteOutcome {
        self.write_at(node, PARTITION, request)
    }

    pub fn write_at(&mut self, node: usize, partition: PartitionId, request: PartitionRequest) -> WriteOutcome {
        match self.ask_at(node, partition, request) {
            Some(Ok(PartitionOutcome::Write(outcome))) => outcome,
            other => panic!("not written: {other:?}"),
        }
    }

    /// What a strongly consistent get of node `node` finds.
    pub fn get(&mut self, node: usize, id: &str) -> Option<Item> {
        match self.ask(node, requests::get(id, true)) {
            Some(Ok(PartitionOutcome::Get(outcome))) => {
                outcome.items[0].as_ref().map(|(item, _)| item.decode().unwrap())
            }
            other => panic!("not read: {other:?}"),
        }
    }

    /// What a node's replica holds, consistent or not.
    pub fn peek(&mut self, node: usize, id: &str) -> Option<Item> {
        self.peek_at(node, PARTITION, id)
    }

    pub fn peek_at(&mut self, node: usize, partition: PartitionId, id: &str) -> Option<Item> {
        match self.ask_at(node, partition, requests::get(id, false)) {
            Some(Ok(PartitionOutcome::Get(outcome))) => {
                outcome.items[0].as_ref().map(|(item, _)| item.decode().unwrap())
            }
            other => panic!("not read: {other:?}"),
        }
    }

    /// Asks for a time to be closed; gives the token of the answer.
    pub fn close(&mut self, node: usize) -> u64 {
        let token = self.token();
        self.step(node, Input::Close { token, partition: PARTITION });
        self.settle();
        token
    }

    /// The entries that a node's log holds and has applied.
    pub fn committed(&self, node: usize) -> Vec<LogEntry> {
        let replica = self.nodes[node].engine.as_ref().unwrap().replica(PARTITION).unwrap();
        let log = &self.nodes[node].log;
        let first = log.state(replica.log_id).unwrap().start.index + 1;
        log.entries(replica.log_id, first, replica.applied.index + 1, u64::MAX).unwrap()
    }

    pub fn report(&self, node: usize) -> Option<ReplicaReport> {
        self.nodes[node].core.as_ref()?.replicas().into_iter().next()
    }

    pub fn replica_id(&self, node: usize) -> ReplicaId {
        self.report(node).unwrap().replica_id
    }

    /// The node that leads, in the highest term.
    pub fn leader(&self) -> Option<usize> {
        (0..self.nodes.len())
            .filter_map(|node| {
                self.report(node)
                    .filter(|report| report.state == ReplicaState::Leader)
                    .map(|report| (report.term, node))
            })
            .max()
            .map(|(_, node)| node)
    }

    /// Ticks until another node than `not` leads.
    pub fn await_leader(&mut self, not: Option<usize>) -> usize {
        for _ in 0..100 {
            self.ticks(1);
            if let Some(leader) = self.leader().filter(|leader| Some(*leader) != not) {
                self.ticks(2);
                return leader;
            }
        }
        panic!("nobody leads");
    }
}
