//! The simulation itself: nodes, clients, operator and network in one thread, under virtual time, from one seed.

use crate::{
    client::{Attempt, Client, Next, Sent},
    clock::{Clock, DRIFT_PPM_MAX},
    event::{Agenda, Event},
    network::{Network, Weather},
    node::{Node, slot_of},
    operator::{self, Operator},
    plan::{FAULTS_US, NODES, Plan},
    request::Asked,
    sabotage::Sabotage,
    tally::Tally,
    verdict,
    witness::{Life, Witness},
};
use cairn_model::{
    ids::{NodeId, PartitionId},
    node::ReplicaReport,
};
use cairn_replication::core::{Input, Output};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::BTreeMap;

const TICK_US: u64 = 100_000;
const SLOW_FLUSH_US_MAX: u64 = 400_000;
/// From the end of the faults on: within this long every client must have been answered, every replica be where the
/// others are, and the operator have nothing left to do.
const SETTLE_US: u64 = 20_000_000;

pub struct World {
    pub plan: Plan,
    pub now_us: u64,
    pub agenda: Agenda,
    pub network: Network,
    pub nodes: Vec<Node>,
    pub clients: Vec<Client>,
    pub operator: Operator,
    pub witness: Witness,
    /// Where each replica's data lay when it was last seen: it moves when a snapshot is installed.
    pub storage_ids: BTreeMap<(PartitionId, Life), u64>,
    pub tally: Tally,
    pub random: StdRng,
    pub sabotage: Option<Sabotage>,
    /// Prints what happens.
    pub traces: bool,
    /// Requests at the nodes, by the token they were given.
    tokens: BTreeMap<u64, Waiter>,
    counter: u64,
    /// Node that runs are due at, so that there is one at a time.
    run_due: [bool; NODES],
    /// Clients begin nothing new of their own.
    pub closing: bool,
    /// What is still to be asked before the end.
    pub last_requests: Vec<(usize, Asked)>,
}

#[derive(Clone, Copy, Debug)]
enum Waiter {
    Client(Attempt),
    Operator(usize),
    Closing(PartitionId),
}

impl World {
    pub fn new(seed: u64, sabotage: Option<Sabotage>, traces: bool) -> Self {
        let plan = Plan::new(seed);
        let mut random = StdRng::seed_from_u64(seed);
        let nodes = (0..NODES)
            .map(|slot| {
                let drift_ppm = random.random_range(-DRIFT_PPM_MAX..=DRIFT_PPM_MAX);
                let clock = Clock::new(drift_ppm, random.random_range(-50..=50));
                Node::new(slot, clock, sabotage == Some(Sabotage::DisksLie), &mut random)
            })
            .collect();
        let clients = (0..plan.clients).map(|client| Client::new(client, &plan)).collect();
        Self {
            last_requests: verdict::last_requests(plan.tables, plan.keys),
            network: Network::new(plan.weather),
            plan,
            now_us: 0,
            agenda: Agenda::default(),
            nodes,
            clients,
            operator: Operator::default(),
            witness: Witness::default(),
            storage_ids: BTreeMap::new(),
            tally: Tally::default(),
            random,
            sabotage,
            traces,
            tokens: BTreeMap::new(),
            counter: 0,
            run_due: [false; NODES],
            closing: false,
        }
    }

    pub fn trace(&self, what: impl FnOnce() -> String) {
        if self.traces {
            println!("{:>10} us  {}", self.now_us, what());
        }
    }

    /// A number never given before.
    pub fn fresh(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Runs to the end; gives what happened, or what must not have.
    pub fn run(mut self) -> Result<Tally, String> {
        let rested = self.prepare().and_then(|()| self.run_until_rest());
        let checked = self.check_histories();
        match (rested, checked) {
            (Ok(()), Ok(())) => Ok(self.tally),
            (Err(error), Ok(())) | (Ok(()), Err(error)) => Err(error),
            (Err(first), Err(second)) => Err(format!("{first}\n\nand {second}")),
        }
    }

    fn run_until_rest(&mut self) -> Result<(), String> {
        while let Some((at_us, event)) = self.agenda.pop() {
            self.now_us = at_us;
            self.tally.print(at_us);
            self.happen(event)?;
            if self.now_us > FAULTS_US && self.is_settled() {
                break;
            }
            if self.now_us > FAULTS_US + SETTLE_US {
                return Err(self.why_unsettled());
            }
        }
        Ok(())
    }

    fn prepare(&mut self) -> Result<(), String> {
        for slot in 0..NODES {
            self.start_node(slot)?;
            let first_us = self.random.random_range(0..TICK_US);
            self.agenda.at(first_us, Event::Tick(slot));
        }
        let all: Vec<(usize, NodeId)> = self.nodes.iter().map(|node| (node.slot, node.id)).collect();
        for table in 0..self.plan.tables {
            if self.sabotage == Some(Sabotage::EveryNodeAlone) {
                for &node in &all {
                    self.operator.bootstrap(table, node.0, operator::descriptor(table, &[node]));
                }
            } else {
                let slot = self.random.random_range(0..NODES);
                self.operator.bootstrap(table, slot, operator::descriptor(table, &all));
            }
        }
        self.agenda.at(0, Event::OperatorWakes);
        for client in 0..self.clients.len() {
            self.agenda.at(1_000, Event::ClientWakes(self.clients[client].attempt));
        }
        for at in 0..self.plan.faults.len() {
            self.agenda.at(self.plan.faults[at].from_us, Event::FaultBegins(at));
            self.agenda.at(self.plan.faults[at].to_us, Event::FaultEnds(at));
        }
        self.agenda.at(FAULTS_US, Event::Calm);
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Tick(slot) => {
                self.agenda.at(self.now_us + TICK_US, Event::Tick(slot));
                self.give(slot, Input::Tick);
            }
            Event::Run(slot) => self.run_node(slot)?,
            Event::FrameArrives { to, from, bytes } => self.give(to, Input::Frame { from, bytes }),
            Event::RequestArrives(sent) => self.request_arrives(*sent),
            Event::AnswerArrives { attempt, result } => {
                self.trace(|| format!("client {} is answered {result:?}", attempt.client));
                let next = self.clients[attempt.client].receive(attempt, &result, self.now_us, &mut self.random);
                self.client_goes_on(attempt.client, next);
            }
            Event::ClientWakes(attempt) => self.client_wakes(attempt),
            Event::OperatorWakes => self.operator_wakes(),
            Event::OrderArrives { slot, job, order } => {
                let token = self.token(Waiter::Operator(job));
                self.give(slot, Input::Order { token, order: *order });
            }
            Event::OrderAnswered { job, outcome } => {
                self.trace(|| format!("the operator is answered {outcome:?}"));
                self.operator.receive(job, &outcome);
            }
            Event::Persisted { slot, life, marks } => self.persist(slot, life, &marks)?,
            Event::FaultBegins(at) => self.fault_begins(at),
            Event::FaultEnds(at) => self.fault_ends(at)?,
            Event::NodeStarts(slot) => self.start_node(slot)?,
            Event::Calm => self.calm()?,
        }
        Ok(())
    }

    pub fn start_node(&mut self, slot: usize) -> Result<(), String> {
        if self.nodes[slot].is_up() {
            return Ok(());
        }
        let life = self.fresh();
        self.nodes[slot].start(life, self.plan.log_entries_kept, self.now_us, &mut self.random)?;
        self.trace(|| format!("node {slot} starts as {}", self.nodes[slot].id));
        Ok(())
    }

    fn calm(&mut self) -> Result<(), String> {
        self.trace(|| "all faults end".to_owned());
        self.network.heal();
        self.network.weather = Weather::FAIR;
        for slot in 0..NODES {
            let node = &mut self.nodes[slot];
            node.fuse.clear();
            node.slow_disk = false;
            node.busy_until_us = node.busy_until_us.min(self.now_us + SLOW_FLUSH_US_MAX);
            node.clock.synchronise(self.now_us);
            self.start_node(slot)?;
        }
        Ok(())
    }

    /// Hands an input to a node and sees to it that the node runs.
    pub fn give(&mut self, slot: usize, input: Input) {
        if self.nodes[slot].take(input) && !self.run_due[slot] {
            self.run_due[slot] = true;
            self.agenda.at(self.now_us.max(self.nodes[slot].busy_until_us), Event::Run(slot));
        }
    }

    fn run_node(&mut self, slot: usize) -> Result<(), String> {
        let node = &mut self.nodes[slot];
        if node.busy_until_us > self.now_us {
            self.agenda.at(node.busy_until_us, Event::Run(slot));
            return Ok(());
        }
        self.run_due[slot] = false;
        let run = node.run(self.now_us)?;
        let flush_us_max = if node.slow_disk { SLOW_FLUSH_US_MAX } else { self.plan.flush_us_max };
        let flush_us = self.random.random_range(1..=flush_us_max);
        node.busy_until_us = self.now_us + flush_us;
        for output in run.outputs {
            self.put_out(slot, output, flush_us);
        }
        if let Some(point) = run.killed_at {
            self.tally.killed_at(point);
            self.trace(|| format!("node {slot} is killed at {point:?}"));
            self.crash(slot);
            return Ok(());
        }
        self.observe(slot)
    }

    pub fn crash(&mut self, slot: usize) {
        if self.nodes[slot].is_up() {
            self.tally.crashes += 1;
            self.nodes[slot].crash(&mut self.random);
        }
    }

    fn put_out(&mut self, slot: usize, output: Output, flush_us: u64) {
        match output {
            Output::Frame { to, bytes } => {
                let Some(to) = slot_of(&to.address) else { return };
                let from = self.nodes[slot].id;
                self.tally.print(u64::from(crc32fast::hash(&bytes)));
                for delay_us in self.network.arrivals_us(slot, to, &mut self.random) {
                    let at_us = self.now_us + delay_us;
                    self.agenda.at(at_us, Event::FrameArrives { to, from, bytes: bytes.clone() });
                }
            }
            Output::Answer { token, result } => {
                let Some(Waiter::Client(attempt)) = self.tokens.remove(&token) else { return };
                if let Some(delay_us) = self.network.arrival_us(&mut self.random) {
                    self.agenda.at(self.now_us + flush_us + delay_us, Event::AnswerArrives { attempt, result });
                }
            }
            Output::OrderAnswer { token, outcome } => {
                let Some(Waiter::Operator(job)) = self.tokens.remove(&token) else { return };
                if let Some(delay_us) = self.network.arrival_us(&mut self.random) {
                    self.agenda.at(self.now_us + flush_us + delay_us, Event::OrderAnswered { job, outcome });
                }
            }
            Output::Persist { marks } => {
                let life = self.nodes[slot].life;
                let takes_us = flush_us + self.random.random_range(1_000..100_000);
                self.agenda.at(self.now_us + takes_us, Event::Persisted { slot, life, marks });
            }
            Output::Closed { token, result } => {
                if let (Some(Waiter::Closing(partition)), Ok(claim)) = (self.tokens.remove(&token), result) {
                    self.trace(|| format!("node {slot} claims {claim:x?}"));
                    self.witness.hear(partition, claim);
                }
            }
            Output::ReadReady { .. } | Output::RemoteTaken { .. } => {}
        }
    }

    fn token(&mut self, waiter: Waiter) -> u64 {
        let token = self.fresh();
        self.tokens.insert(token, waiter);
        token
    }

    fn request_arrives(&mut self, sent: Sent) {
        let token = self.token(Waiter::Client(sent.attempt));
        let partition = operator::partition_id(sent.table);
        self.give(sent.node, Input::Request { token, partition, epoch: sent.epoch, request: sent.request });
    }

    fn client_wakes(&mut self, attempt: Attempt) {
        let client = &mut self.clients[attempt.client];
        if attempt != client.attempt {
            return;
        }
        if !client.is_idle() {
            let next = client.retry(self.now_us, &mut self.random);
            return self.client_goes_on(attempt.client, next);
        }
        if self.closing {
            return;
        }
        let table = self.random.random_range(0..self.plan.tables);
        let fresh = self.fresh();
        let asked = self.clients[attempt.client].draw(table, fresh, &mut self.random);
        self.ask(attempt.client, table, asked);
    }

    pub fn ask(&mut self, client: usize, table: usize, asked: Asked) {
        self.trace(|| format!("client {client} asks table {table} for {asked:?}"));
        let next = self.clients[client].begin(table, asked, self.now_us, &mut self.random);
        self.client_goes_on(client, next);
    }

    fn client_goes_on(&mut self, client: usize, next: Next) {
        match next {
            Next::Send(mut sent, look_again_us) => {
                self.agenda.at(look_again_us, Event::ClientWakes(sent.attempt));
                if let Some(sabotage) = self.sabotage {
                    sabotage.tamper(&mut sent, &mut self.random);
                }
                self.trace(|| format!("client {client} sends to node {}", sent.node));
                if let Some(delay_us) = self.network.arrival_us(&mut self.random) {
                    self.agenda.at(self.now_us + delay_us, Event::RequestArrives(sent));
                }
            }
            Next::Wait(until_us) => {
                let client = &self.clients[client];
                let think_us = if client.is_idle() { self.random.random_range(0..self.plan.think_us_max) } else { 0 };
                self.agenda.at(until_us + think_us, Event::ClientWakes(client.attempt));
            }
            Next::Nothing => {}
        }
    }

    /// What the live nodes report.
    pub fn reports(&self) -> Vec<ReplicaReport> {
        self.nodes.iter().filter_map(|node| node.process.as_ref()).flat_map(|process| process.core.replicas()).collect()
    }

    fn operator_wakes(&mut self) {
        let wakes_us = self.now_us + self.random.random_range(100_000..400_000);
        self.agenda.at(wakes_us, Event::OperatorWakes);
        let (slot, table) = (self.random.random_range(0..NODES), self.random.random_range(0..self.plan.tables));
        let partition = operator::partition_id(table);
        let token = self.token(Waiter::Closing(partition));
        self.give(slot, Input::Close { token, partition });
        let reports = self.reports();
        for (job, slot, order) in self.operator.orders(&reports, &mut self.random) {
            self.trace(|| format!("the operator orders {order:?} from node {slot}"));
            if let Some(delay_us) = self.network.arrival_us(&mut self.random) {
                let event = Event::OrderArrives { slot, job, order: Box::new(order) };
                self.agenda.at(self.now_us + delay_us, event);
            }
        }
    }
}
