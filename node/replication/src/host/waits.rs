//! Who waits until a partition's log has been applied beyond an entry.

use cairn_model::ids::PartitionId;
use parking_lot::Mutex;
use std::collections::HashMap;
use tokio::sync::watch;

/// By partition, how far it is applied: only of those for which someone waits.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<HashMap<PartitionId, watch::Sender<u64>>>);

impl Waits {
    /// Tells of every entry applied from now on.
    pub(super) fn subscribe(&self, partition: PartitionId) -> watch::Receiver<u64> {
        self.0.lock().entry(partition).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// After a flush. A partition that is not here any more ends all waiting for it.
    pub(super) fn tell(&self, applied: impl Fn(PartitionId) -> Option<u64>) {
        self.0.lock().retain(|partition, waiting| {
            let now = applied(*partition).filter(|_| waiting.receiver_count() > 0);
            waiting.send_if_modified(|known| now.is_some_and(|now| std::mem::replace(known, now) != now));
            now.is_some()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITION: PartitionId = PartitionId([7; 16]);

    #[test]
    fn nothing_is_kept_of_a_partition_that_nobody_waits_for_any_more() {
        let waits = Waits::default();
        let waiting = waits.subscribe(PARTITION);
        waits.tell(|_| Some(3));
        assert_eq!((*waiting.borrow(), waits.0.lock().len()), (3, 1));
        drop(waiting);
        waits.tell(|_| Some(4));
        assert!(waits.0.lock().is_empty());
    }

    #[test]
    fn waiting_for_a_partition_ends_with_it() {
        let waits = Waits::default();
        let waiting = waits.subscribe(PARTITION);
        waits.tell(|_| None);
        assert!(waiting.has_changed().is_err());
    }
}
