//! The transactions that are applied everywhere, until their primaries are told: with the next that one is to decide, so that it
//! costs nothing. What is never told here, whoever looks after what is left behind finds out.

use cairn_model::ids::TableId;
use cairn_replication::transaction::{FINISHED_MAX, TransactionId};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Primaries that are remembered at one time.
const PRIMARIES_MAX: usize = 4_096;

#[derive(Debug, Default)]
pub(crate) struct Finished(Mutex<HashMap<TableId, Vec<TransactionId>>>);

impl Finished {
    /// All participants have applied it.
    pub(super) fn note(&self, primary: TableId, transaction: TransactionId) {
        let mut finished = self.0.lock();
        if finished.len() >= PRIMARIES_MAX && !finished.contains_key(&primary) {
            return;
        }
        let of_primary = finished.entry(primary).or_default();
        if of_primary.len() < FINISHED_MAX {
            of_primary.push(transaction);
        }
    }

    /// What the primary is to be told.
    pub(super) fn take(&self, primary: TableId) -> Vec<TransactionId> {
        self.0.lock().remove(&primary).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_is_told_its_own_once() {
        let (finished, id) = (Finished::default(), |n| TransactionId([n; 16]));
        let (one, two) = (TableId([1; 16]), TableId([2; 16]));
        finished.note(one, id(1));
        finished.note(two, id(2));
        finished.note(one, id(3));
        assert_eq!(finished.take(one), [id(1), id(3)]);
        assert_eq!(finished.take(one), []);
        assert_eq!(finished.take(two), [id(2)]);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let finished = Finished::default();
        let table = |n: usize| TableId((n as u128).to_be_bytes());
        (0..=FINISHED_MAX).for_each(|_| finished.note(table(0), TransactionId([1; 16])));
        assert_eq!(finished.take(table(0)).len(), FINISHED_MAX);
        (0..=PRIMARIES_MAX).for_each(|n| finished.note(table(n), TransactionId([1; 16])));
        assert_eq!(finished.take(table(PRIMARIES_MAX)), []);
    }
}
