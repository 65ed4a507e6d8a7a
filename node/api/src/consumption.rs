//! What a partition's answer consumed, in half units: what the storage node that gave it charges the table for.

use crate::capacity::HalfUnits;
use cairn_model::ServiceError;
use cairn_replication::{
    operation::{GetOutcome, RangeOutcome, WriteOutcome},
    transaction::TransactGetOutcome,
};

/// Of the item, and of each local index that changed with it.
pub fn of_write(outcome: &WriteOutcome) -> u64 {
    let item = HalfUnits::write(outcome.size_before, outcome.size_after);
    let of_local = outcome.indexes.iter().filter(|write| write.global_slot().is_none());
    of_local.map(HalfUnits::index_write).fold(item, HalfUnits::plus).halves()
}

/// Of the item that the condition met.
pub fn of_failed_condition(error: &ServiceError) -> u64 {
    HalfUnits::failed_condition(error).halves()
}

/// Of each global index that changed with it, by its slot: what the index is charged for and not the table, in a transaction
/// no more than without one.
pub fn of_global_indexes(outcome: &WriteOutcome) -> impl Iterator<Item = (u8, u64)> {
    outcome.indexes.iter().filter_map(|write| Some((write.global_slot()?, HalfUnits::index_write(write).halves())))
}

/// Of each item on its own, found or not.
pub fn of_get(outcome: &GetOutcome, consistent: bool) -> u64 {
    HalfUnits::gets(outcome, consistent).halves()
}

/// Of a page, and of what was fetched for it from the table.
pub fn of_range(outcome: &RangeOutcome, consistent: bool) -> u64 {
    let page = HalfUnits::read(outcome.bytes_read, consistent);
    page.plus(HalfUnits::fetches(outcome.fetched_units, consistent)).halves()
}

/// Of the actions of a transaction: twice that of the items, not of the indexes.
pub fn of_transaction(outcomes: &[WriteOutcome]) -> u64 {
    let of_item = |outcome: &WriteOutcome| HalfUnits::write(outcome.size_before, outcome.size_after).halves();
    outcomes.iter().map(|outcome| of_write(outcome) + of_item(outcome)).sum()
}

/// Of a transaction that was done before under the same token: its items are read, and nothing is written (reference,
/// TransactWriteItems, `ClientRequestToken`).
pub fn of_replay(outcomes: &[WriteOutcome]) -> u64 {
    let size = |outcome: &WriteOutcome| u64::from(outcome.size_before.max(outcome.size_after));
    outcomes.iter().map(|outcome| 2 * HalfUnits::read(size(outcome), true).halves()).sum()
}

/// Of each item that a transaction reads, found or not.
pub fn of_transact_get(outcome: &TransactGetOutcome) -> u64 {
    let size = |item: Option<&(_, u32)>| item.map_or(0, |(_, size): &(_, u32)| u64::from(*size));
    outcome.items.iter().map(|got| 2 * HalfUnits::read(size(got.item.as_ref()), true).halves()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_replication::operation::IndexWrite;

    fn write(size_before: u32, size_after: u32, indexes: Vec<IndexWrite>) -> u64 {
        of_write(&WriteOutcome { attributes: None, size_before, size_after, indexes, collection_bytes: None })
    }

    fn index(size_before: u32, size_after: u32, moved: bool) -> IndexWrite {
        IndexWrite { slot: 1, size_before, size_after, moved }
    }

    #[test]
    fn a_write_is_charged_for_the_larger_item_and_for_every_index_it_changed() {
        assert_eq!(write(3_000, 10, Vec::new()), 6);
        assert_eq!(write(0, 10, vec![index(0, 10, false)]), 4);
        assert_eq!(write(10, 10, vec![index(10, 10, true), index(10, 0, false)]), 2 + 4 + 2);
    }

    #[test]
    fn a_write_is_charged_to_each_global_index_that_it_changed_and_not_to_the_table() {
        let of_global = |slot, size_before, size_after, moved| IndexWrite {
            slot: cairn_engine::global_index(slot),
            ..index(size_before, size_after, moved)
        };
        let outcome = WriteOutcome {
            attributes: None,
            size_before: 10,
            size_after: 10,
            indexes: vec![index(0, 10, false), of_global(0, 10, 1_500, false), of_global(7, 1_500, 10, true)],
            collection_bytes: None,
        };
        assert_eq!(of_write(&outcome), 4);
        assert_eq!(of_global_indexes(&outcome).collect::<Vec<_>>(), [(0, 4), (7, 6)]);
    }

    #[test]
    fn a_transaction_is_charged_twice_for_its_items_and_once_for_its_indexes() {
        let outcome = |indexes| WriteOutcome {
            attributes: None,
            size_before: 0,
            size_after: 10,
            indexes,
            collection_bytes: None,
        };
        assert_eq!(of_transaction(&[outcome(Vec::new()), outcome(vec![index(0, 10, false)])]), 4 + 4 + 2);
        assert_eq!(of_transact_get(&TransactGetOutcome { items: Vec::new() }), 0);
    }

    #[test]
    fn a_transaction_that_was_done_before_is_charged_for_reading_its_items() {
        let outcome = |size_before, size_after| WriteOutcome {
            attributes: None,
            size_before,
            size_after,
            indexes: vec![index(0, 10, false)],
            collection_bytes: None,
        };
        assert_eq!(of_replay(&[outcome(0, 10), outcome(4_097, 10)]), 4 + 8);
    }

    #[test]
    fn a_read_is_charged_for_what_it_looked_at() {
        let get = GetOutcome { items: vec![None, None, None] };
        assert_eq!((of_get(&get, true), of_get(&get, false)), (6, 3));
        let page = RangeOutcome {
            items: Vec::new(),
            count: 0,
            scanned_count: 0,
            bytes_read: 1_048_576,
            fetched_units: 10,
            last_evaluated_key: None,
        };
        assert_eq!((of_range(&page, true), of_range(&page, false)), (512 + 20, 256 + 10));
    }
}
