//! What the tasks found, kept for who asks: windows, problems, failures.

use crate::{
    ArchiveError, Metrics, Recovery, SourcePartition,
    window::{self, Window},
};
use cairn_model::{
    ids::{PartitionId, TableId},
    time::Timestamp,
};
use parking_lot::Mutex;
use std::collections::HashMap;

const DAY_MS: u64 = 24 * 3600 * 1000;

#[derive(Debug, Default)]
pub(super) struct Statuses {
    partitions: Mutex<HashMap<PartitionId, PartitionStatus>>,
    /// Why the bucket is not shipped to at all.
    unreachable: Mutex<Option<String>>,
}

#[derive(Clone, Debug, Default)]
struct PartitionStatus {
    table_id: Option<TableId>,
    /// No earlier time can be asked for.
    enabled_at_ms: u64,
    period_days: u64,
    windows: Vec<Window>,
    problems: Vec<String>,
    failure: Option<String>,
}

impl Statuses {
    /// True where that is news.
    pub(super) fn unreachable(&self, error: &ArchiveError) -> bool {
        self.unreachable.lock().replace(error.text()).is_none()
    }

    pub(super) fn reached(&self) {
        *self.unreachable.lock() = None;
    }

    pub(super) fn succeeded(&self, partition: &SourcePartition, windows: Vec<Window>, problems: Vec<String>) {
        let mut partitions = self.partitions.lock();
        let status = entry(&mut partitions, partition);
        (status.windows, status.problems) = (windows, problems);
        if status.failure.take().is_some() {
            tracing::info!(
                partition = %partition.descriptor.partition_id,
                table = partition.definition.table_name,
                "the partition is archived again"
            );
        }
    }

    /// True where that is news.
    pub(super) fn failed(&self, partition: &SourcePartition, error: &ArchiveError) -> bool {
        let mut partitions = self.partitions.lock();
        entry(&mut partitions, partition).failure.replace(error.text()).is_none()
    }

    /// Forgets the partitions that are not led any more.
    pub(super) fn retain(&self, led: &HashMap<PartitionId, SourcePartition>) {
        self.partitions.lock().retain(|id, _| led.contains_key(id));
    }

    /// What of a table can be restored by now.
    pub(super) fn recovery(&self, table_id: TableId, now_ms: u64) -> Option<Recovery> {
        let partitions = self.partitions.lock();
        let mut windows: Option<Vec<Window>> = None;
        let mut problems: Vec<String> = self.unreachable.lock().iter().cloned().collect();
        let mut floor_ms = 0;
        for status in partitions.values().filter(|status| status.table_id == Some(table_id)) {
            windows = Some(match windows {
                None => status.windows.clone(),
                Some(others) => window::intersection(&others, &status.windows),
            });
            problems.extend(status.problems.iter().chain(&status.failure).cloned());
            floor_ms = floor_ms.max(status.enabled_at_ms).max(now_ms.saturating_sub(status.period_days * DAY_MS));
        }
        let floor = Window { earliest: Timestamp::from_millis(floor_ms), latest: Timestamp(u64::MAX) };
        Some(Recovery { windows: window::intersection(&windows?, &[floor]), problems })
    }

    pub(super) fn measure(&self, metrics: &Metrics, now_ms: u64) {
        let partitions = self.partitions.lock();
        let latest =
            partitions.values().filter_map(|status| status.windows.last()).map(|window| window.latest.millis());
        let lag_ms = latest.map(|latest_ms| now_ms.saturating_sub(latest_ms)).max().unwrap_or(0);
        metrics.lag_seconds.set((lag_ms / 1000) as i64);
        metrics.failing_partitions.set(partitions.values().filter(|status| status.failure.is_some()).count() as i64);
    }
}

fn entry<'a>(
    partitions: &'a mut HashMap<PartitionId, PartitionStatus>,
    partition: &SourcePartition,
) -> &'a mut PartitionStatus {
    let SourcePartition { descriptor, definition, .. } = partition;
    let status = partitions.entry(descriptor.partition_id).or_default();
    status.table_id = Some(definition.table_id);
    let (enabled_at_ms, days) = definition
        .continuous_backups
        .map_or((0, u64::MAX / DAY_MS), |on| (on.enabled_at_ms, u64::from(on.recovery_period_days)));
    status.enabled_at_ms = enabled_at_ms.max(definition.creation_time_ms);
    status.period_days = days;
    status
}
