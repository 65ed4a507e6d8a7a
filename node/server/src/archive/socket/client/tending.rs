//! What is kept up between the archive and its node without being asked for: what the node leads, and what it need not
//! keep for the archive any more.

use super::connections::Connections;
use crate::archive::socket::message::{ARCHIVED, ArchivedNote, LedPartition, PARTITIONS};
use cairn_archive::{SourceError, SourcePartition};
use cairn_model::ids::PartitionId;
use cairn_replication::{Clock, SystemClock};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};

const INTERVAL: Duration = Duration::from_millis(500);
/// For how long a node that does not answer is taken to lead what it led: what is under way for it goes on meanwhile.
const ABSENCE_MS_MAX: u64 = 10_000;

#[derive(Debug, Default)]
pub(super) struct Tended {
    led: Mutex<Vec<SourcePartition>>,
    /// Up to where partitions are archived, as long as the node was not told.
    notes: Mutex<HashMap<PartitionId, u64>>,
}

impl Tended {
    pub(super) fn partitions(&self) -> Vec<SourcePartition> {
        self.led.lock().clone()
    }

    /// At most one a partition waits: the newest says all.
    pub(super) fn note(&self, partition: PartitionId, index: u64) {
        let mut notes = self.notes.lock();
        let noted = notes.entry(partition).or_default();
        *noted = index.max(*noted);
    }
}

pub(super) async fn tend(connections: Arc<Connections>, tended: Arc<Tended>) {
    let mut heard_ms = SystemClock.now().boot_ms;
    let mut reached = true;
    loop {
        match round(&connections, &tended).await {
            Ok(()) => {
                heard_ms = SystemClock.now().boot_ms;
                if !reached {
                    tracing::info!("reached the node again");
                }
                reached = true;
            }
            Err(error) => {
                if reached {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "failed to ask the node what it leads: trying on"
                    );
                }
                reached = false;
                if SystemClock.now().boot_ms.saturating_sub(heard_ms) > ABSENCE_MS_MAX {
                    tended.led.lock().clear();
                }
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn round(connections: &Connections, tended: &Tended) -> Result<(), SourceError> {
    let led: Vec<LedPartition> = connections.get(PARTITIONS).await?;
    *tended.led.lock() = led.into_iter().map(SourcePartition::from).collect();
    let notes = std::mem::take(&mut *tended.notes.lock());
    if notes.is_empty() {
        return Ok(());
    }
    let told: Vec<ArchivedNote> =
        notes.iter().map(|(partition_id, index)| ArchivedNote { partition_id: *partition_id, index: *index }).collect();
    let told = connections.post_for(ARCHIVED, &told, async |_| Ok(())).await;
    if told.is_err() {
        notes.into_iter().for_each(|(partition, index)| tended.note(partition, index));
    }
    told
}
