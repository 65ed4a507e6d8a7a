//! Strongly consistent reads that wait: for proof that this replica leads, then for what was committed by then.

use crate::{core::Claim, operation::PartitionRequest};

#[derive(Debug)]
pub(crate) struct PendingRead {
    pub(crate) token: u64,
    pub(crate) kind: ReadKind,
    /// Not to be served before this index is applied, whatever is proved.
    applied_min: u64,
    deadline_ms: u64,
    stage: Stage,
}

#[derive(Debug)]
pub(crate) enum ReadKind {
    /// The driver reads by itself.
    Barrier,
    Request(Box<PartitionRequest>),
    /// The time was closed, and waits to become a claim.
    Close(Claim),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    /// A read index of this number was asked for.
    Asked(u64),
    /// May be served once this index is applied.
    Proved(u64),
}

/// The reads of one partition, and the numbers of the read indexes it asks Raft for.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    pending: Vec<PendingRead>,
    last_number: u64,
}

impl Reads {
    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(crate) fn push(&mut self, token: u64, kind: ReadKind, deadline_ms: u64) {
        let applied_min = if let ReadKind::Close(claim) = &kind { claim.index } else { 0 };
        self.pending.push(PendingRead { token, kind, applied_min, deadline_ms, stage: Stage::New });
    }

    /// Whether a read waits for a read index that has not been asked for.
    pub(crate) fn has_new(&self) -> bool {
        self.pending.iter().any(|read| read.stage == Stage::New)
    }

    /// A read index is asked for, for all that are new: gives its number.
    pub(crate) fn ask(&mut self) -> u64 {
        self.last_number += 1;
        for read in self.pending.iter_mut().filter(|read| read.stage == Stage::New) {
            read.stage = Stage::Asked(self.last_number);
        }
        self.last_number
    }

    /// Read index `number` came back.
    pub(crate) fn proved(&mut self, number: u64, index: u64) {
        for read in &mut self.pending {
            if matches!(read.stage, Stage::Asked(asked) if asked <= number) {
                read.stage = Stage::Proved(index);
            }
        }
    }

    /// The reads that may be served at this applied index.
    pub(crate) fn take_ready(&mut self, applied_index: u64) -> Vec<PendingRead> {
        self.take(|read| matches!(read.stage, Stage::Proved(index) if index.max(read.applied_min) <= applied_index))
    }

    pub(crate) fn take_expired(&mut self, boot_ms: u64) -> Vec<PendingRead> {
        self.take(|read| read.deadline_ms <= boot_ms)
    }

    pub(crate) fn take_all(&mut self) -> Vec<PendingRead> {
        std::mem::take(&mut self.pending)
    }

    fn take(&mut self, wanted: impl Fn(&PendingRead) -> bool) -> Vec<PendingRead> {
        if !self.pending.iter().any(&wanted) {
            return Vec::new();
        }
        let (taken, kept) = std::mem::take(&mut self.pending).into_iter().partition(wanted);
        self.pending = kept;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_waits_for_a_proof_asked_for_after_it_came() {
        let mut reads = Reads::default();
        reads.push(1, ReadKind::Barrier, 100);
        assert_eq!(reads.ask(), 1);
        reads.push(2, ReadKind::Barrier, 100);
        reads.proved(1, 10);
        assert!(reads.take_ready(9).is_empty(), "what was committed by then is not applied");
        let ready: Vec<u64> = reads.take_ready(10).iter().map(|read| read.token).collect();
        assert_eq!(ready, [1]);
        assert!(reads.has_new());
    }
}
