//! What the archive takes from a node's host.

use async_trait::async_trait;
use cairn_archive::{Claim, Source, SourceError, SourcePartition, SourceSnapshot};
use cairn_model::{ids::PartitionId, node::ReplicaState, time::Timestamp};
use cairn_replication::{Host, host::TailError, log::LogEntry, operation::PartitionError};

#[derive(Debug)]
pub(crate) struct HostSource(pub(crate) Host);

/// The partition as this node has it now. Blocks.
fn snapshot_of(host: &Host, partition: PartitionId) -> Result<SourceSnapshot, SourceError> {
    let mut reader = host.snapshot(partition).map_err(from_tail)?;
    let record = reader.record().clone();
    Ok(SourceSnapshot {
        descriptor: record.descriptor,
        definition: record.definition,
        index: record.applied.index,
        term: record.applied.term,
        entry_time: record.applied.entry_time,
        size_bytes: record.applied.size_bytes,
        item_count: record.applied.item_count,
        chunks: Box::new(std::iter::from_fn(move || {
            reader.next_chunk().map_err(|error| SourceError::Failed(Box::new(error))).transpose()
        })),
    })
}

impl HostSource {
    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Host) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let host = self.0.clone();
        let called = tokio::task::spawn_blocking(move || call(&host)).await;
        called.unwrap_or_else(|error| Err(SourceError::Failed(Box::new(error))))
    }
}

#[async_trait]
impl Source for HostSource {
    fn partitions(&self) -> Vec<SourcePartition> {
        let replicas = self.0.replicas().into_iter();
        let led = replicas
            .filter(|replica| replica.state == ReplicaState::Leader && replica.definition.continuous_backups.is_some());
        led.map(|replica| SourcePartition {
            descriptor: replica.descriptor,
            definition: replica.definition,
            applied_index: replica.applied_index,
        })
        .collect()
    }

    async fn entries(
        &self,
        partition: PartitionId,
        from: u64,
        bytes_max: u64,
    ) -> Result<Vec<(LogEntry, Timestamp)>, SourceError> {
        self.blocking(move |host| host.committed(partition, from, bytes_max).map_err(from_tail)).await
    }

    async fn snapshot(&self, partition: PartitionId) -> Result<SourceSnapshot, SourceError> {
        self.blocking(move |host| snapshot_of(host, partition)).await
    }

    async fn close(&self, partition: PartitionId) -> Result<Claim, SourceError> {
        self.0.close(partition).await.map_err(|error| match error {
            PartitionError::NotLeader { .. } | PartitionError::UnknownPartition => SourceError::NotLeader,
            error => SourceError::Failed(error.to_string().into()),
        })
    }

    fn archived(&self, partition: PartitionId, index: u64) {
        self.0.archived(partition, index);
    }
}

fn from_tail(error: TailError) -> SourceError {
    match error {
        TailError::Compacted { first } => SourceError::Compacted { first },
        TailError::UnknownPartition => SourceError::NotLeader,
        error => SourceError::Failed(Box::new(error)),
    }
}
