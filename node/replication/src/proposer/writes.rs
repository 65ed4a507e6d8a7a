//! Clients' writes: each is evaluated on the item as of every earlier one, and as many as there are become an entry.

use super::{
    Answer, Propose, Proposer, ProposerError, Round,
    effects::{Beside, Taken, stream_change, with_indexes},
    remote::Undecided,
    waiting::{Waiting, done_before},
};
use crate::{
    entry::{EntryBody, EntryWrite},
    evaluate::{self, Change},
    operation::{PartitionError, PartitionOutcome, WriteOutcome, WriteRequest},
    read,
    stream::StreamChange,
    wire,
};
use cairn_engine::Store;
use cairn_model::{ServiceError, time::Timestamp};

/// What a client is answered, as its outcome is kept.
pub(super) type WriteResult = Result<WriteOutcome, ServiceError>;

type WaitingWrite = Waiting<WriteRequest>;

/// An entry that still takes writes.
#[derive(Debug, Default)]
pub(super) struct OpenEntry {
    writes: Vec<(WaitingWrite, WriteResult, EntryWrite)>,
    beside: Beside,
    bytes: usize,
}

impl OpenEntry {
    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

impl Proposer {
    /// Evaluates a write into the open entry, and proposes that once it is full.
    pub(super) fn take_write<S: Store>(
        &mut self,
        round: &mut Round<'_, S>,
        entry: &mut OpenEntry,
        write: WaitingWrite,
        propose: Propose<'_>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), ProposerError> {
        let Some(write) = self.answer_retry(round, entry, write, answers)? else { return Ok(()) };
        if !read::contains(round.range, &write.request.key) {
            write.answer(Err(PartitionError::EpochMismatch { epoch: round.epoch }), answers);
            return Ok(());
        }
        if let Some(met) = self.transactions.lock_on(&write.request) {
            write.answer(Ok(PartitionOutcome::Locked(vec![met])), answers);
            return Ok(());
        }
        self.evaluate(round, entry, write, answers)?;
        if entry.bytes >= self.limits.entry_bytes_max || entry.writes.len() >= self.limits.entry_writes_max {
            self.close(round, entry, propose)?;
        }
        Ok(())
    }

    /// A request id that is under way gets the answer of the attempt under way; one that is done gets its outcome.
    fn answer_retry<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        entry: &mut OpenEntry,
        write: WaitingWrite,
        answers: &mut Vec<Answer>,
    ) -> Result<Option<WaitingWrite>, ProposerError> {
        let request_id = write.request.request_id;
        if let Some(&index) = self.ids_in_flight.get(&request_id) {
            let under_way = if index == round.next_index {
                entry.writes.iter_mut().map(|(first, _, _)| first).find(|first| first.request.request_id == request_id)
            } else {
                let entry = self.in_flight.iter_mut().find(|entry| entry.index == index);
                entry.and_then(|entry| {
                    entry.writes.iter_mut().map(|(first, _)| first).find(|first| first.request.request_id == request_id)
                })
            };
            if let Some(first) = under_way {
                first.join(write);
                return Ok(None);
            }
        }
        let Some(answer) = done_before(round, &request_id, PartitionOutcome::Write)? else { return Ok(Some(write)) };
        write.answer(answer, answers);
        Ok(None)
    }

    fn evaluate<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        entry: &mut OpenEntry,
        mut write: WaitingWrite,
        answers: &mut Vec<Answer>,
    ) -> Result<(), ProposerError> {
        let key = &write.request.key;
        let current = match self.current(round, key) {
            Ok(current) => current,
            Err(Undecided::Fatal(error)) => return Err(error),
            // Of this replica's disk only, so no outcome.
            Err(Undecided::Refused(error)) => {
                write.answer(Err(PartitionError::Service(error)), answers);
                return Ok(());
            }
        };
        write.evaluations += 1;
        let replaced = current.as_ref().map_or(Timestamp(0), |version| version.version_time);
        let current = current.filter(|version| !version.is_tombstone());
        self.last_time = self.last_time.max(replaced).next(round.wall_ms);
        let version_time = self.last_time;
        let evaluated = evaluate::evaluate(round.definition, &write.request, current.as_ref())
            .and_then(|evaluated| with_indexes(round, key, current.as_ref(), evaluated, false));
        let (change, index_changes, result) = match evaluated {
            Ok((change, index_changes, outcome)) => (change, index_changes, Ok(outcome)),
            Err(error) => (Change::Nothing, Vec::new(), Err(error)),
        };
        let stream_change = stream_change(round, current.as_ref(), &change);
        self.ids_in_flight.insert(write.request.request_id, round.next_index);
        let sizes = result.as_ref().map_or((0, 0), |outcome| (outcome.size_before, outcome.size_after));
        let taken = Taken { key: key.clone(), version_time, change, held_item: current.is_some(), sizes };
        let outcome = wire::encode_outcome(&result)?;
        let entry_write = self.take_in(round, write.request.request_id, taken, outcome);
        entry.bytes += entry_write.encoded_bytes()
            + index_changes.iter().map(|change| change.key.len()).sum::<usize>()
            + stream_change.as_ref().map_or(0, StreamChange::encoded_bytes);
        entry.beside.index_changes.extend(index_changes);
        entry.beside.stream_changes.extend(stream_change);
        entry.writes.push((write, result, entry_write));
        Ok(())
    }

    /// Proposes the open entry and begins the next.
    pub(super) fn close<S>(
        &mut self,
        round: &mut Round<'_, S>,
        entry: &mut OpenEntry,
        propose: Propose<'_>,
    ) -> Result<(), ProposerError> {
        if entry.writes.is_empty() {
            return Ok(());
        }
        let OpenEntry { writes: evaluated, beside, .. } = std::mem::take(entry);
        let mut writes = Vec::with_capacity(evaluated.len());
        let mut effects = Vec::with_capacity(evaluated.len());
        for (write, result, effect) in evaluated {
            writes.push((write, result));
            effects.push(effect);
        }
        match self.propose(round, EntryBody::Writes(effects), beside, propose)? {
            Some(in_flight) => in_flight.writes = writes,
            None => self.discard(writes.into_iter().map(|(write, _)| write)),
        }
        Ok(())
    }
}
