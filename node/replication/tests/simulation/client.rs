//! A client with the manners of a router: it retries under the same request id, possibly at another node, for as long as
//! the outcome is unknown, and writes down what it asked and what it was told.

use crate::{
    history::{Action, Answer, Attributes, Completion, Operation},
    node::slot_of,
    plan::{NODES, Plan},
    request::{self, Asked},
};
use cairn_model::ids::RequestId;
use cairn_replication::operation::{PartitionError, PartitionOutcome, PartitionRequest};
use rand::{Rng, rngs::StdRng};
use std::collections::{BTreeMap, BTreeSet};

/// How long one attempt may take before the client tries again elsewhere.
const ATTEMPT_US: u64 = 1_500_000;
/// How long a client tries before it leaves an operation's outcome unknown.
const GIVE_UP_US: u64 = 6_000_000;
const BACKOFF_US_MAX: u64 = 200_000;

/// One attempt at one operation; what an answer is matched by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub client: usize,
    pub operation: u64,
    pub number: u64,
}

/// An attempt on its way to a node.
#[derive(Clone, Debug)]
pub struct Sent {
    pub attempt: Attempt,
    pub node: usize,
    pub table: usize,
    pub epoch: u64,
    pub request: PartitionRequest,
}

/// The item an operation is about: table and key.
pub type ItemId = (usize, usize);

#[derive(Debug)]
struct Pending {
    table: usize,
    asked: Asked,
    request_id: RequestId,
    invoked_at_us: u64,
    /// Attempts that may have had an effect, or may still.
    in_doubt: BTreeSet<u64>,
}

#[derive(Debug)]
pub struct Client {
    pub attempt: Attempt,
    pub answered: u64,
    pub history: Vec<(ItemId, Operation)>,
    pending: Option<Pending>,
    keys: usize,
    /// The node believed to lead each table, and the epoch believed to hold there.
    leaders: Vec<usize>,
    /// Where the last answer pointed.
    hint: Option<usize>,
    epochs: Vec<u64>,
    /// The values last seen in `written`, for conditional puts to expect.
    seen: BTreeMap<ItemId, u64>,
}

/// What the client does next.
#[derive(Debug)]
pub enum Next {
    /// Sends this, and looks again at the time given.
    Send(Box<Sent>, u64),
    /// Looks again at the time given.
    Wait(u64),
    /// Goes on as it was: the answer was to an attempt that no longer matters.
    Nothing,
}

impl Client {
    pub fn new(client: usize, plan: &Plan) -> Self {
        Self {
            attempt: Attempt { client, operation: 0, number: 0 },
            answered: 0,
            history: Vec::new(),
            pending: None,
            keys: plan.keys,
            leaders: vec![client % NODES; plan.tables],
            hint: None,
            epochs: vec![1; plan.tables],
            seen: BTreeMap::new(),
        }
    }

    pub fn is_idle(&self) -> bool {
        self.pending.is_none()
    }

    pub fn what_it_waits_for(&self) -> String {
        format!("{:?}", self.pending)
    }

    /// Draws an operation; `fresh` is a value never written before.
    pub fn draw(&self, table: usize, fresh: u64, random: &mut StdRng) -> Asked {
        let key = random.random_range(0..self.keys);
        let action = match random.random_range(0..20) {
            0..=3 => Action::Put { written: fresh },
            4..=5 => Action::PutIfAbsent { written: fresh },
            6..=7 => {
                let expected = self.seen.get(&(table, key)).copied().unwrap_or(0);
                Action::PutIfWritten { written: fresh, expected }
            }
            8..=11 => Action::Add { amount: random.random_range(1..=3) },
            12..=13 => Action::Delete,
            14..=17 => Action::Get,
            18 => return Asked::EveryItem,
            _ => return Asked::Range,
        };
        Asked::Item(key, action)
    }

    pub fn begin(&mut self, table: usize, asked: Asked, now_us: u64, random: &mut StdRng) -> Next {
        self.attempt.operation += 1;
        let request_id = RequestId(random.random());
        self.pending = Some(Pending { table, asked, request_id, invoked_at_us: now_us, in_doubt: BTreeSet::new() });
        self.send(now_us)
    }

    /// The present attempt was not answered in time, or its backoff is over. Gives up where it has tried for long.
    pub fn retry(&mut self, now_us: u64, random: &mut StdRng) -> Next {
        let Some(pending) = &self.pending else { return Next::Nothing };
        if now_us >= pending.invoked_at_us + GIVE_UP_US {
            self.give_up();
            return Next::Wait(now_us);
        }
        self.leaders[pending.table] = self.hint.take().unwrap_or_else(|| random.random_range(0..NODES));
        self.send(now_us)
    }

    pub fn receive(
        &mut self,
        attempt: Attempt,
        result: &Result<PartitionOutcome, PartitionError>,
        now_us: u64,
        random: &mut StdRng,
    ) -> Next {
        let Some(pending) = &mut self.pending else { return Next::Nothing };
        if attempt.operation != self.attempt.operation {
            return Next::Nothing;
        }
        let error = match result {
            Ok(_) | Err(PartitionError::Service(_)) => {
                self.complete(result, now_us);
                return Next::Wait(now_us);
            }
            Err(error) => error,
        };
        if !matches!(error, PartitionError::Unknown { .. }) {
            pending.in_doubt.remove(&attempt.number);
        }
        if attempt != self.attempt {
            return Next::Nothing;
        }
        match error {
            PartitionError::EpochMismatch { epoch } => {
                self.epochs[pending.table] = *epoch;
                self.hint = Some(self.leaders[pending.table]);
            }
            PartitionError::NotLeader { leader: Some(leader) } => self.hint = slot_of(&leader.address),
            _ => {}
        }
        Next::Wait(now_us + random.random_range(1_000..BACKOFF_US_MAX))
    }

    /// Leaves the pending operation's outcome unknown; forgets it where every attempt was answered that nothing was
    /// done, for then nothing may ever be seen of it.
    pub fn give_up(&mut self) {
        if let Some(Pending { table, asked: Asked::Item(key, action), invoked_at_us, in_doubt, .. }) =
            self.pending.take()
            && !in_doubt.is_empty()
        {
            let client = self.attempt.client;
            self.history.push(((table, key), Operation { client, action, invoked_at_us, completed: None }));
        }
    }

    fn send(&mut self, now_us: u64) -> Next {
        let Some(pending) = &mut self.pending else { return Next::Nothing };
        self.attempt.number += 1;
        pending.in_doubt.insert(self.attempt.number);
        let sent = Sent {
            attempt: self.attempt,
            node: self.leaders[pending.table],
            table: pending.table,
            epoch: self.epochs[pending.table],
            request: request::encode(pending.asked, self.keys, pending.request_id),
        };
        Next::Send(Box::new(sent), now_us + ATTEMPT_US)
    }

    fn complete(&mut self, result: &Result<PartitionOutcome, PartitionError>, now_us: u64) {
        let Some(pending) = self.pending.take() else { return };
        for (key, action, answer) in request::decode(pending.asked, self.keys, result) {
            let item = (pending.table, key);
            if let Answer::Item(Some(Attributes { written: Some(written), .. })) = answer {
                self.seen.insert(item, written);
            }
            let completed = Some(Completion { at_us: now_us, answer });
            let invoked_at_us = pending.invoked_at_us;
            self.history.push((item, Operation { client: self.attempt.client, action, invoked_at_us, completed }));
        }
        self.answered += 1;
        self.attempt.number += 1;
    }
}
