//! A global index's part: what its table's log changes in it, taken in order, each batch in one entry with the place it leads to.

use super::{Answer, Beside, Propose, Proposer, ProposerError, Round, Undecided, answer_one};
use crate::{
    entry::{EntryBody, FedWrites, RemoteEffect, RemoteWrite},
    feed::{Fed, FeedBatch, FeedChanges, FeedWrite},
    indexes,
    operation::{PartitionError, PartitionOutcome},
};
use bytes::Bytes;
use cairn_engine::{Kept, Store};
use cairn_model::{
    ServiceError,
    codec::StoredVersion,
    ids::{PartitionId, TableId},
    key::EncodedKey,
};
use std::collections::{HashMap, VecDeque};

/// Batches of one partition that wait.
const WAITING_MAX: usize = 8;

#[derive(Debug)]
struct WaitingFeed {
    token: u64,
    deadline_ms: u64,
    batch: FeedBatch,
}

/// Of a leader of a partition of a global index.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    waiting: VecDeque<WaitingFeed>,
    /// How much of each log is in the index as of every entry proposed; none: to be read from the engine.
    known: HashMap<PartitionId, Fed>,
    /// Of a table: up to which entry each of its indexes was said to have the log. It has that, whatever becomes of this leader.
    pub(super) told: HashMap<TableId, u64>,
}

/// A batch in an entry under way.
#[derive(Debug)]
pub(super) struct FeedInFlight {
    keys: Vec<EncodedKey>,
    /// Who waits, and until when by the boot-time clock.
    waiter: Option<(u64, u64)>,
    fed: Fed,
}

impl Feeds {
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What was evaluated on entries that are worth nothing is read anew.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    pub(super) fn refuse_waiting(&mut self, error: &PartitionError, answers: &mut Vec<Answer>) {
        answers.extend(self.waiting.drain(..).map(|waiting| (waiting.token, Err(error.clone()))));
    }

    pub(super) fn expire(&mut self, boot_ms: u64, error: &PartitionError, answers: &mut Vec<Answer>) {
        while self.waiting.front().is_some_and(|waiting| waiting.deadline_ms <= boot_ms) {
            answers.extend(self.waiting.pop_front().map(|waiting| (waiting.token, Err(error.clone()))));
        }
    }
}

impl FeedInFlight {
    pub(super) fn keys(&self) -> &[EncodedKey] {
        &self.keys
    }

    pub(super) fn answer(self, result: Result<(), PartitionError>, answers: &mut Vec<Answer>) {
        if let Some((token, _)) = self.waiter {
            answers.push((token, result.map(|()| PartitionOutcome::Fed(self.fed))));
        }
    }

    pub(super) fn expire(&mut self, boot_ms: u64, error: &PartitionError, answers: &mut Vec<Answer>) {
        if let Some((token, _)) = self.waiter.take_if(|(_, deadline_ms)| *deadline_ms <= boot_ms) {
            answers.push((token, Err(error.clone())));
        }
    }
}

impl Proposer {
    /// Takes in a batch of a table's log; gives the answer if there is no room.
    pub(crate) fn enqueue_feed(&mut self, token: u64, batch: FeedBatch, deadline_ms: u64) -> Option<Answer> {
        if self.feeds.waiting.len() >= WAITING_MAX {
            let reason = "too many batches for the index wait".into();
            return Some((token, Err(PartitionError::Overloaded { reason })));
        }
        self.feeds.waiting.push_back(WaitingFeed { token, deadline_ms, batch });
        None
    }

    /// Evaluates the next batch that waits, and proposes what it comes to.
    pub(super) fn take_feed<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        propose: Propose<'_>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), ProposerError> {
        let Some(WaitingFeed { token, deadline_ms, batch }) = self.feeds.waiting.pop_front() else { return Ok(()) };
        if batch.index != round.definition.table_id || round.definition.index_of.is_none() {
            let message = "the batch is of an index that has no partition here";
            answers.push(answer_one(token, ServiceError::validation(message)));
            return Ok(());
        }
        let what = Kept::Fed(batch.source);
        let applied =
            || -> Result<Fed, ProposerError> { Ok(Fed::of(round.engine.kept(round.storage_id, &what)?.as_ref())?) };
        let known = match self.feeds.known.get(&batch.source) {
            Some(fed) => *fed,
            None => applied()?,
        };
        let changes = match batch.changes {
            Some(changes) if changes.after == known.place => changes,
            // Another than what comes next: it is told what is here for certain.
            _ => {
                answers.push((token, Ok(PartitionOutcome::Fed(applied()?))));
                return Ok(());
            }
        };
        let fed = Fed { place: Some(changes.through), complete: known.complete || changes.complete };
        let (writes, keys) = match self.take_feed_batch(round, changes) {
            Ok(writes) => writes,
            Err(Undecided::Fatal(error)) => return Err(error),
            Err(Undecided::Refused(error)) => {
                // Some of it may be in the overlay.
                self.discard(std::iter::empty());
                answers.push(answer_one(token, error));
                return Ok(());
            }
        };
        let source = batch.source;
        let body = EntryBody::Fed(FedWrites { source, fed: fed.encode()?, writes });
        self.last_time = self.last_time.next(round.wall_ms);
        let Some(entry) = self.propose(round, body, Beside::default(), propose)? else {
            answers.push((token, Err(PartitionError::Overloaded { reason: "the entry was not taken".into() })));
            self.discard(std::iter::empty());
            return Ok(());
        };
        entry.feed = Some(FeedInFlight { keys, waiter: Some((token, deadline_ms)), fed });
        self.feeds.known.insert(source, fed);
        Ok(())
    }

    fn take_feed_batch<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        changes: FeedChanges,
    ) -> Result<(Vec<RemoteWrite>, Vec<EncodedKey>), Undecided> {
        // Of several to one key the last counts.
        let mut newest: HashMap<EncodedKey, Option<Bytes>> = HashMap::with_capacity(changes.writes.len());
        let mut order = Vec::with_capacity(changes.writes.len());
        for FeedWrite { key, version } in changes.writes {
            if newest.insert(key.clone(), version).is_none() {
                order.push(key);
            }
        }
        let mut writes = Vec::with_capacity(order.len());
        for key in &order {
            let version = newest.remove(key).flatten();
            let current = self.current(round, key)?;
            let before = indexes::item_of(current.as_ref()).map(|item| item.size()).transpose()?;
            let after = version
                .clone()
                .map(StoredVersion::parse)
                .transpose()?
                .map(|version| version.item.size())
                .transpose()?;
            self.overlay.put(key.clone(), version.clone(), round.next_index);
            writes.push(RemoteWrite {
                key: key.clone(),
                effect: if version.is_some() { RemoteEffect::Put } else { RemoteEffect::Delete },
                size_change: i64::from(after.unwrap_or(0)) - i64::from(before.unwrap_or(0)),
                count_change: i8::from(after.is_some()) - i8::from(before.is_some()),
                version: version.unwrap_or_default(),
            });
        }
        Ok((writes, order))
    }
}
