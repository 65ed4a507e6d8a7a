//! What a batch brings, and where the reading stands with it, for whoever watches.

use cairn_model::region::{CopyProgress, RegionState};
use cairn_replication::{
    LogPlace,
    global::{BatchBody, CopyPosition, RemoteBatch},
};

/// What a batch brings.
#[derive(Debug)]
pub(super) struct Came {
    /// Of entries of the source region itself: version times and records.
    pub(super) written: Vec<(u64, u64)>,
    pub(super) records: u64,
    pub(super) pending: u64,
    begins_copy: bool,
}

impl Came {
    pub(super) fn of(batch: &RemoteBatch, region: &str) -> Self {
        let mut came = Self { written: Vec::new(), records: 0, pending: batch.pending, begins_copy: false };
        match &batch.body {
            BatchBody::Hello => {}
            BatchBody::Changes { groups, .. } => {
                for group in groups.iter().filter(|group| !group.records.is_empty()) {
                    let records = group.records.len() as u64;
                    came.records += records;
                    if let Some(origin) = group.origin.as_ref().filter(|origin| origin.lineage.region == region) {
                        came.written.push((origin.time.millis(), records));
                    }
                }
            }
            BatchBody::Copy { page, records, .. } => {
                came.records = records.len() as u64;
                came.begins_copy = page.after.is_empty();
            }
        }
        came
    }

    /// How far a copy is with it.
    pub(super) fn progress(&self, before: Option<CopyProgress>, items_of: u64) -> CopyProgress {
        let before = before.filter(|_| !self.begins_copy).map_or(0, |copy| copy.items);
        CopyProgress { items: (before + self.records).min(items_of), items_of }
    }
}

/// How a partition stands with a region of which it has read this much.
pub(super) fn state_of(place: Option<&LogPlace>, copy: Option<&CopyPosition>) -> RegionState {
    match (place, copy) {
        (_, Some(_)) => RegionState::Copying,
        (Some(_), None) => RegionState::Replicating,
        (None, None) => RegionState::Connecting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(begins_copy: bool, records: u64) -> Came {
        Came { written: Vec::new(), records, pending: 0, begins_copy }
    }

    #[test]
    fn a_copy_gets_on_page_by_page_and_begins_anew_with_its_first() {
        let first = page(true, 40).progress(None, 100);
        assert_eq!(first, CopyProgress { items: 40, items_of: 100 });
        let second = page(false, 40).progress(Some(first), 100);
        assert_eq!(second.items, 80);
        assert_eq!(page(false, 40).progress(Some(second), 100).items, 100, "never more than there are");
        assert_eq!(page(true, 40).progress(Some(second), 100).items, 40);
    }
}
