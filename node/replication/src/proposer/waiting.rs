//! Requests that wait to be evaluated, and whoever waits for what they come to.

use super::{Answer, ProposerError, Round, internal};
use crate::{
    operation::{PartitionError, PartitionOutcome},
    wire,
};
use cairn_engine::Store;
use cairn_model::{ServiceError, ids::RequestId};
use serde::de::DeserializeOwned;
use std::collections::VecDeque;

/// Who waits for an answer, and until when by the boot-time clock.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    token: u64,
    deadline_ms: u64,
}

/// A client's write, or a step of a transaction.
#[derive(Debug)]
pub(super) struct Waiting<R> {
    waiters: Vec<Waiter>,
    pub(super) request: R,
    pub(super) evaluations: u32,
}

impl<R> Waiting<R> {
    /// Whoever waits for `other` waits for this one.
    pub(super) fn join(&mut self, other: Self) {
        self.waiters.extend(other.waiters);
    }

    pub(super) fn answer(&self, result: Result<PartitionOutcome, PartitionError>, answers: &mut Vec<Answer>) {
        answers.extend(self.waiters.iter().map(|waiter| (waiter.token, result.clone())));
    }

    pub(super) fn expire(&mut self, boot_ms: u64, error: &PartitionError, answers: &mut Vec<Answer>) {
        let expired = self.waiters.extract_if(.., |waiter| waiter.deadline_ms <= boot_ms);
        answers.extend(expired.map(|waiter| (waiter.token, Err(error.clone()))));
    }
}

/// Requests of one kind, in their order.
#[derive(Debug)]
pub(super) struct Queue<R> {
    waiting: VecDeque<Waiting<R>>,
    /// To be evaluated anew, before the others, once all that is under way is applied.
    retries: Vec<Waiting<R>>,
}

impl<R> Default for Queue<R> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), retries: Vec::new() }
    }
}

impl<R> Queue<R> {
    pub(super) fn push(&mut self, token: u64, request: R, deadline_ms: u64) {
        let waiters = vec![Waiter { token, deadline_ms }];
        self.waiting.push_back(Waiting { waiters, request, evaluations: 0 });
    }

    pub(super) fn pop(&mut self) -> Option<Waiting<R>> {
        self.waiting.pop_front()
    }

    /// Whether any can be evaluated now.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.retries.len()
    }

    /// What was evaluated in vain.
    pub(super) fn retry(&mut self, requests: impl IntoIterator<Item = Waiting<R>>) {
        self.retries.extend(requests);
    }

    /// All that was under way is applied: what was in vain waits again, before what came later.
    pub(super) fn settle(&mut self, evaluations_max: u32, answers: &mut Vec<Answer>) {
        for request in self.retries.drain(..).rev() {
            if request.waiters.is_empty() {
                continue;
            }
            if request.evaluations >= evaluations_max {
                let reason = format!("the request was evaluated {} times in vain", request.evaluations);
                request.answer(Err(PartitionError::Overloaded { reason }), answers);
            } else {
                self.waiting.push_front(request);
            }
        }
    }

    /// What is to be evaluated anew stays.
    pub(super) fn refuse_waiting(&mut self, error: &PartitionError, answers: &mut Vec<Answer>) {
        self.waiting.drain(..).for_each(|request| request.answer(Err(error.clone()), answers));
    }

    pub(super) fn refuse(&mut self, error: &PartitionError, answers: &mut Vec<Answer>) {
        self.retries.drain(..).for_each(|request| request.answer(Err(error.clone()), answers));
        self.refuse_waiting(error, answers);
    }

    pub(super) fn expire(&mut self, boot_ms: u64, error: &PartitionError, answers: &mut Vec<Answer>) {
        for request in self.waiting.iter_mut().chain(&mut self.retries) {
            request.expire(boot_ms, error, answers);
        }
        self.waiting.retain(|request| !request.waiters.is_empty());
    }
}

/// What a request under this id is answered that was done before; none: it was not.
pub(super) fn done_before<S: Store, T: DeserializeOwned>(
    round: &Round<'_, S>,
    request_id: &RequestId,
    outcome: fn(T) -> PartitionOutcome,
) -> Result<Option<Result<PartitionOutcome, PartitionError>>, ProposerError> {
    match round.engine.outcome(round.storage_id, request_id) {
        Ok(None) => Ok(None),
        Ok(Some(kept)) => Ok(Some(match wire::decode_outcome(&kept) {
            Ok(result) => answer_of(result, outcome),
            Err(error) => Err(PartitionError::Unknown { reason: error.to_string() }),
        })),
        Err(error) if error.is_fatal() => Err(error.into()),
        // Whether it was done already is not known: it must not be done again.
        Err(error) => Ok(Some(Err(PartitionError::Service(internal(&error))))),
    }
}

/// What a request is answered, by what is kept of it.
pub(super) fn answer_of<T>(
    result: Result<T, ServiceError>,
    outcome: fn(T) -> PartitionOutcome,
) -> Result<PartitionOutcome, PartitionError> {
    result.map(outcome).map_err(PartitionError::Service)
}
