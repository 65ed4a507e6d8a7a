//! What the simulation looks at: every replica after every flush, and at the end everything together.

use crate::{
    client::ItemId,
    history::Action,
    history::Operation,
    indexed,
    linearizability::{self, Verdict},
    node::Process,
    operator,
    plan::FAULTS_US,
    request::Asked,
    streamed,
    witness::Sighting,
    world::World,
};
use bytes::Bytes;
use cairn_engine::{Applied, LogMark, ReplicaRecord, Store, StoreSnapshot};
use cairn_model::{descriptor::MemberRole, node::ReplicaState};
use cairn_replication::core::Input;
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Bound,
};

/// Clients begin nothing new after this.
const CLOSING_US: u64 = FAULTS_US + 2_000_000;
/// Outcomes are compared at indexes that this divides, everything else at each.
const OUTCOMES_COMPARED_EVERY: u64 = 16;

impl World {
    /// Compares the replicas of a node with what was seen before.
    pub fn observe(&mut self, slot: usize) -> Result<(), String> {
        let Some(process) = &self.nodes[slot].process else { return Ok(()) };
        let life = self.nodes[slot].life;
        for report in process.core.replicas() {
            let Some(record) = process.engine.replica(report.descriptor.partition_id) else { continue };
            let applied = record.applied;
            let storage_before = self.storage_ids.insert((record.partition_id, life), record.storage_id);
            self.tally.snapshots += u64::from(storage_before.is_some_and(|before| before != record.storage_id));
            if self.sabotage.is_some() {
                continue;
            }
            if let ReplicaState::Damaged(reason) = &report.state {
                if self.nodes[slot].lost_log {
                    continue;
                }
                return Err(format!("node {slot} found itself damaged: {reason}"));
            }
            let mut seen = Sighting {
                partition: record.partition_id,
                replica: report.replica_id,
                life,
                term: report.term,
                leads: report.state == ReplicaState::Leader,
                applied_index: applied.index,
                applied_term: applied.term,
                sequence: applied.sequence,
                entry_time: applied.entry_time,
                digest: 0,
            };
            if self.witness.is_news(&seen) {
                if seen.leads && self.traces && !self.witness.knows_leader_of(&seen) {
                    println!(
                        "{:>10} us  node {slot} leads {} in term {}",
                        self.now_us, record.definition.table_name, seen.term
                    );
                }
                // All of it each time would be most of the simulation's work.
                let outcomes_too = applied.index.is_multiple_of(OUTCOMES_COMPARED_EVERY);
                seen.digest = digest(process, &record, outcomes_too);
                self.witness.see(seen).map_err(|error| format!("table {}: {error}", record.definition.table_name))?;
            }
        }
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
            let mut replicas = Vec::new();
            for node in &self.nodes {
                let process = node.process.as_ref();
                let record = process.and_then(|process| process.engine.replica(operator::partition_id(table)));
                let (Some(process), Some(record)) = (process, record) else {
                    return Some(format!("node {} has no replica of table {table}", node.slot));
                };
                replicas.push((process, record));
            }
            for (process, record) in &replicas {
                if let Some(flaw) = indexed::flaw(&process.engine, record.storage_id, &record.definition) {
                    return Some(format!("table {table}: {flaw}"));
                }
                if let Some(flaw) = streamed::flaw(&process.engine, record.storage_id, &record.definition) {
                    return Some(format!("table {table}: {flaw}"));
                }
            }
            let applied: Vec<Applied> = replicas.iter().map(|(_, record)| record.applied).collect();
            if applied.iter().any(|each| *each != applied[0]) {
                return Some(format!("the replicas of table {table} have not applied the same: {applied:?}"));
            }
            let digests: Vec<u64> = replicas.iter().map(|(process, record)| digest(process, record, true)).collect();
            if digests.iter().any(|each| *each != digests[0]) {
                return Some(format!("the replicas of table {table} hold different data: {digests:x?}"));
            }
        }
        None
    }

    pub fn why_unsettled(&self) -> String {
        let mut text = String::from("after the faults ended, not everything came to rest:");
        for client in self.clients.iter().filter(|client| !client.is_idle()) {
            text +=
                &format!("\n  client {} waits for an answer: {}", client.attempt.client, client.what_it_waits_for());
        }
        for job in self.operator.unfinished() {
            text += &format!("\n  the operator waits for {job}");
        }
        if let Some(divergence) = self.divergence() {
            text += &format!("\n  {divergence}");
        }
        for report in self.reports() {
            let members: Vec<_> = report.descriptor.members.iter().map(|each| (each.replica_id.0, each.role)).collect();
            text += &format!(
                "\n  {} replica {}: {:?} in term {}, leader {:?}, applied {}, epoch {}, schema {}, members {members:?}",
                report.definition.table_name,
                report.replica_id.0,
                report.state,
                report.term,
                report.leader,
                report.applied_index,
                report.descriptor.epoch,
                report.definition.schema_version,
            );
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
        self.tally.claims = self.witness.claims();
        self.witness.check_claims()?;
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

/// Of what replicas must have alike where they have applied alike.
fn digest(process: &Process, record: &ReplicaRecord, outcomes_too: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    let applied = &record.applied;
    (applied.index, applied.term, applied.sequence, applied.entry_time).hash(&mut hasher);
    (applied.item_count, applied.size_bytes).hash(&mut hasher);
    (record.descriptor.epoch, record.descriptor.next_replica_id, record.definition.schema_version).hash(&mut hasher);
    for member in &record.descriptor.members {
        (member.replica_id, member.node_id, &member.address, member.role == MemberRole::Voter).hash(&mut hasher);
    }
    // What lies under a storage id (the engine's layout): items in index 0, local indexes from 1 on, then outcomes, then the applied state.
    let bound = |storage_id: u64, index: u8| Bytes::from([&storage_id.to_be_bytes()[..], &[index]].concat());
    let lower = Bound::Included(bound(record.storage_id, 0));
    let upper = Bound::Excluded(bound(record.storage_id, if outcomes_too { u8::MAX } else { 2 }));
    for pair in process.engine.store().snapshot().range(lower, upper, true) {
        let (key, value) = pair.unwrap();
        (&key[8..], &value[..]).hash(&mut hasher);
    }
    hasher.finish()
}
