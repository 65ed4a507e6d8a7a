//! The archive's side: the node beside it, as if it were in this process.

mod connections;
mod outgoing;
mod read;
mod restore;
mod snapshot;
mod tending;

use super::{
    ENTRIES_BYTES_MAX, NODE_IDLE_MAX,
    body::Frames,
    frame::{Frame, FrameError},
    message::{CLOSE, ClosedTime, ENTRIES, EntriesCall, FILL, HAS, PartitionCall, RESTORE, SNAPSHOT},
};
use crate::archive::{Adopter, Adoption, Intake, Reader, Reading};
use async_trait::async_trait;
use cairn_archive::{Claim, Source, SourceError, SourcePartition, SourceSnapshot};
use cairn_model::{ids::PartitionId, time::Timestamp};
use cairn_replication::log::LogEntry;
use connections::{Connections, failed};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tending::Tended;
use tokio::task::JoinHandle;

/// A node whose disk has much to do takes a while to read its log.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// The storage node that listens at a socket. It may come, go and come back: what is asked meanwhile fails.
#[derive(Debug)]
pub struct SocketNode {
    connections: Arc<Connections>,
    tended: Arc<Tended>,
    tending: JoinHandle<()>,
}

impl SocketNode {
    /// Asks the node what it leads from now on, until it is dropped. To be called in a tokio runtime.
    pub fn start(socket: PathBuf) -> Self {
        Self::start_within(socket, CALL_DEADLINE)
    }

    /// As [`Self::start`], with a deadline for each of its calls.
    pub(super) fn start_within(socket: PathBuf, deadline: Duration) -> Self {
        let connections = Arc::new(Connections::new(socket, deadline));
        let tended = Arc::new(Tended::default());
        let tending = tokio::spawn(tending::tend(connections.clone(), tended.clone()));
        Self { connections, tended, tending }
    }
}

impl Drop for SocketNode {
    fn drop(&mut self) {
        self.tending.abort();
    }
}

#[async_trait]
impl Source for SocketNode {
    fn partitions(&self) -> Vec<SourcePartition> {
        self.tended.partitions()
    }

    async fn entries(
        &self,
        partition: PartitionId,
        from: u64,
        bytes_max: u64,
    ) -> Result<Vec<(LogEntry, Timestamp)>, SourceError> {
        let call = EntriesCall { partition_id: partition, from, bytes_max: bytes_max.min(ENTRIES_BYTES_MAX) };
        self.connections
            .post_for(ENTRIES, &call, async |body| read_entries(Frames::of(body, NODE_IDLE_MAX)).await)
            .await
    }

    async fn snapshot(&self, partition: PartitionId) -> Result<SourceSnapshot, SourceError> {
        let body = self.connections.stream(SNAPSHOT, &PartitionCall { partition_id: partition }).await?;
        snapshot::read(Frames::of(body, NODE_IDLE_MAX)).await
    }

    async fn close(&self, partition: PartitionId) -> Result<Claim, SourceError> {
        let closed: ClosedTime = self.connections.post(CLOSE, &PartitionCall { partition_id: partition }).await?;
        Ok(closed.into())
    }

    fn archived(&self, partition: PartitionId, index: u64) {
        self.tended.note(partition, index);
    }
}

#[async_trait]
impl Adopter for SocketNode {
    async fn has(&self, partition: PartitionId) -> anyhow::Result<bool> {
        Ok(self.connections.post(HAS, &PartitionCall { partition_id: partition }).await?)
    }

    fn begin(&self) -> anyhow::Result<Box<dyn Adoption>> {
        Ok(Box::new(restore::SocketAdoption::begin(&self.connections, RESTORE)?))
    }

    fn fill(&self) -> anyhow::Result<Box<dyn Intake>> {
        Ok(Box::new(restore::SocketAdoption::begin(&self.connections, FILL)?))
    }
}

impl Reader for SocketNode {
    fn begin(&self, deletions_after: Option<Timestamp>) -> anyhow::Result<Box<dyn Reading>> {
        Ok(Box::new(read::SocketReading::begin(&self.connections, deletions_after)?))
    }
}

async fn read_entries(mut frames: Frames) -> Result<Vec<(LogEntry, Timestamp)>, SourceError> {
    let (mut entries, mut bytes) = (Vec::new(), 0);
    loop {
        match frames.next().await.map_err(unreadable)? {
            Frame::Entry(entry, time) if entries.is_empty() || bytes <= ENTRIES_BYTES_MAX => {
                bytes += entry.payload.len() as u64;
                entries.push((entry, time));
            }
            Frame::End => return Ok(entries),
            _ => return Err(failed(anyhow::anyhow!("the node gave more, or something else, than it was asked for"))),
        }
    }
}

fn unreadable(error: FrameError) -> SourceError {
    failed(anyhow::Error::from(error).context("failed to read the node's answer"))
}
