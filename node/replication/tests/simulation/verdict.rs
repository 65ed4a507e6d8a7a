//! What the simulation looks at: every replica after every flush, and at the end everything together.

use crate::{
    client::ItemId,
    history::Action,
    history::Operation,
    linearizability::{self, Verdict},
    node::Process,
    operator,
    plan::FAULTS_US,
    request::Asked,
    witness::Sighting,
    world::World,
};
use cairn_engine::{LogMark, ReplicaRecord, Store, StoreSnapshot};
use cairn_model::node::ReplicaState;
use cairn_replication::core::Input;
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Bound,
};

/// Clients begin nothing new after this.
const CLOSING_US: u64 = FAULTS_US + 2_000_000;

impl World {
    /// Compares the replicas of a node with what was seen before.
    pub fn observe(&mut self, slot: usize) -> Result<(), String> {
        let Some(process) = &self.nodes[slot].process else { return Ok(()) };
        let life = self.nodes[slot].life;
        let mut snapshots = 0;
        for report in process.core.replicas() {
            let Some(record) = process.engine.replica(report.descriptor.partition_id) else { continue };
            let applied = record.applied;
            let storage_before = self.storage_ids.insert((record.partition_id, life), record.storage_id);
            snapshots += u64::from(storage_before.is_some_and(|before| before != record.storage_id));
            let seen = Sighting {
                partition: record.partition_id,
                replica: report.replica_id,
                life,
                term: report.term,
                leads: report.state == ReplicaState::Leader,
                applied_index: applied.index,
                applied_term: applied.term,
                sequence: applied.sequence,
                entry_time: applied.entry_time,
                digest: digest(process, &record),
            };
            if self.sabotage.is_none() {
                if let ReplicaState::Damaged(reason) = &report.state {
                    return Err(format!("node {slot} found itself damaged: {reason}"));
                }
                self.witness.see(seen).map_err(|error| format!("table {}: {error}", record.definition.table_name))?;
            }
        }
        self.tally.snapshots += snapshots;
        Ok(())
    }

    /// What a node does on a thread of its own: makes durable what it has applied, and tells the machine.
    pub fn persist(&mut self, slot: usize, life: u64, marks: &BTreeMap<u64, LogMark>) -> Result<(), String> {
        let node = &mut self.nodes[slot];
        let Some(process) = node.process.as_ref().filter(|_| node.life == life) else { return Ok(()) };
        process.engine.persist(marks).map_err(|error| format!("node {slot} failed to persist: {error}"))?;
        self.give(slot, Input::Persisted);
        Ok(())
    }

    /// After the faults: lets the clients finish, writes and reads every item once more, and tells whether everything
    /// has come to rest.
    pub fn is_settled(&mut self) -> bool {
        self.closing = self.now_us >= CLOSING_US;
        if !self.closing || !self.clients.iter().all(|client| client.is_idle()) {
            return false;
        }
        if let Some((table, asked)) = self.last_requests.pop() {
            let asked = match asked {
                Asked::Item(key, _) => Asked::Item(key, Action::Put { written: self.fresh() }),
                other => other,
            };
            self.ask(0, table, asked);
            return false;
        }
        self.operator.is_idle() && self.divergence().is_none()
    }

    /// How the replicas differ, if they do.
    fn divergence(&self) -> Option<String> {
        for table in 0..self.plan.tables {
            let mut states = BTreeMap::new();
            for node in &self.nodes {
                let record = node.process.as_ref()?.engine.replica(operator::partition_id(table));
                let digest =
                    node.process.as_ref().zip(record.as_ref()).map(|(process, record)| digest(process, record));
                states.insert(node.slot, (record.map(|record| record.applied), digest));
            }
            let first = &states[&0];
            if first.0.is_none() || states.values().any(|state| state != first) {
                return Some(format!("the replicas of table {table} are not alike: {states:x?}"));
            }
        }
        None
    }

    pub fn why_unsettled(&self) -> String {
        let mut text = String::from("after the faults ended, not everything came to rest:");
        for client in self.clients.iter().filter(|client| !client.is_idle()) {
            text += &format!("\n  client {} waits for an answer: {client:?}", client.attempt.client);
        }
        for job in self.operator.unfinished() {
            text += &format!("\n  the operator waits for {job}");
        }
        if let Some(divergence) = self.divergence() {
            text += &format!("\n  {divergence}");
        }
        for report in self.reports() {
            text += &format!("\n  {report:?}");
        }
        text
    }

    pub fn check_histories(&mut self) -> Result<(), String> {
        let mut histories: BTreeMap<ItemId, Vec<Operation>> = BTreeMap::new();
        for client in &mut self.clients {
            client.give_up();
            self.tally.answered += client.answered;
            for (item, operation) in client.history.drain(..) {
                self.tally.unknown += u64::from(operation.completed.is_none());
                histories.entry(item).or_default().push(operation);
            }
        }
        self.tally.leaders = self.witness.leaders();
        for ((table, key), history) in histories {
            match linearizability::check(&history) {
                Verdict::Linearizable => {}
                Verdict::Violated(how) => return Err(format!("table {table}, key {key} is not linearizable: {how}")),
                Verdict::Undecided => return Err(format!("table {table}, key {key}: the checker gave up")),
            }
        }
        Ok(())
    }
}

/// The requests to end with: a put and a get of every item.
pub fn last_requests(tables: usize, keys: usize) -> Vec<(usize, Asked)> {
    let of_table = |table| {
        let puts = (0..keys).map(move |key| (table, Asked::Item(key, Action::Put { written: 0 })));
        // Popped from the end.
        [(table, Asked::EveryItem)].into_iter().chain(puts).chain([(table, Asked::EveryItem)])
    };
    (0..tables).flat_map(of_table).collect()
}

/// Of everything that replicas must have alike where they have applied alike.
fn digest(process: &Process, record: &ReplicaRecord) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?} {:?} {:?}", record.applied, record.descriptor, record.definition).hash(&mut hasher);
    // What lies under a storage id (the engine's layout): items, outcomes and their places, the applied state.
    let bound = |storage_id: u64| bytes::Bytes::copy_from_slice(&storage_id.to_be_bytes());
    let (lower, upper) = (Bound::Included(bound(record.storage_id)), Bound::Excluded(bound(record.storage_id + 1)));
    for pair in process.engine.store().snapshot().range(lower, upper, true) {
        let (key, value) = pair.unwrap();
        (&key[8..], &value[..]).hash(&mut hasher);
    }
    hasher.finish()
}
