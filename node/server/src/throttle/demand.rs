//! What a request asks of its table's capacity, and what it turns out to have cost. All in half units.

use cairn_api::consumption;
use cairn_model::{ErrorKind, throttling::CapacityKind};
use cairn_replication::{
    operation::{PartitionError, PartitionOutcome, PartitionRequest},
    transaction::TransactOutcome,
    wire::PartitionAnswer,
};

/// As the caller asked it: what a node makes of it does not make it dearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(super) capacity: CapacityKind,
    pub(super) consistent: bool,
    /// What it costs at least.
    pub(super) least: u64,
}

impl Demand {
    /// None of what a table's capacity has nothing to do with: its stream is read beside it, and what an index is fed was paid
    /// for by the write.
    pub(crate) fn of(request: &PartitionRequest) -> Option<Self> {
        let read = |items: usize, consistent: bool| Self {
            capacity: CapacityKind::Read,
            consistent,
            least: items as u64 * if consistent { 2 } else { 1 },
        };
        Some(match request {
            PartitionRequest::Write(_) => Self { capacity: CapacityKind::Write, consistent: true, least: 2 },
            PartitionRequest::Get(get) => read(get.keys.len(), get.consistent),
            PartitionRequest::Range(range) => read(1, range.consistent),
            // What is prepared has been paid for, and must end.
            PartitionRequest::Transact(request) => {
                let least = 4 * request.step.write()?.actions.len() as u64;
                Self { capacity: CapacityKind::Write, consistent: true, least }
            }
            // Of two looks at the items, the one is charged that brings them.
            PartitionRequest::TransactGet(get) if get.versions_only => return None,
            PartitionRequest::TransactGet(get) => read(2 * get.gets.len(), true),
            PartitionRequest::Stream(_) | PartitionRequest::Feed(_) => return None,
        })
    }

    /// What a write that is asked for so asks of a global index: it may change nothing in it.
    pub(super) fn of_index(self) -> Self {
        Self { least: 0, ..self }
    }

    /// Whether only the partition's leader can serve it.
    pub(crate) fn needs_leader(self) -> bool {
        self.consistent
    }

    /// What it cost; nothing where nothing was done.
    pub(super) fn cost(self, answer: &PartitionAnswer) -> u64 {
        match answer {
            Ok(PartitionOutcome::Write(outcome)) => consumption::of_write(outcome),
            Ok(PartitionOutcome::Get(outcome)) => consumption::of_get(outcome, self.consistent),
            Ok(PartitionOutcome::Range(outcome)) => consumption::of_range(outcome, self.consistent),
            Ok(PartitionOutcome::Transact(outcome)) => match outcome {
                TransactOutcome::Cancelled(_) => self.least,
                outcome => consumption::of_transaction(outcome.writes()),
            },
            Ok(PartitionOutcome::TransactGet(outcome)) => consumption::of_transact_get(outcome),
            Ok(PartitionOutcome::Stream(_) | PartitionOutcome::Locked(_) | PartitionOutcome::Fed(_)) => 0,
            Err(PartitionError::Service(error)) if error.kind == ErrorKind::ConditionalCheckFailedException => {
                consumption::of_failed_condition(error)
            }
            Err(PartitionError::Unknown { .. }) => self.least,
            Err(_) => 0,
        }
    }
}

/// What a transaction read that was done before, which nobody knew when it was admitted as one that writes.
pub(super) fn cost_of_replay(answer: &PartitionAnswer) -> u64 {
    match answer {
        Ok(PartitionOutcome::Transact(TransactOutcome::Replayed { outcomes, .. })) => consumption::of_replay(outcomes),
        _ => 0,
    }
}

/// What writes cost global indexes, by their slots.
pub(super) fn costs_of_indexes(answer: &PartitionAnswer) -> Vec<(u8, u64)> {
    let outcomes = match answer {
        Ok(PartitionOutcome::Write(outcome)) => std::slice::from_ref(outcome),
        Ok(PartitionOutcome::Transact(outcome)) => outcome.writes(),
        _ => &[],
    };
    outcomes.iter().flat_map(consumption::of_global_indexes).collect()
}
