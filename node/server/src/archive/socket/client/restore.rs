//! A restore on its way out, from a thread of the archive.

use super::connections::{self, Connections};
use crate::archive::{
    Adoption,
    socket::{
        NODE_IDLE_MAX,
        body::{self, PIECE_BYTES, Pieces},
        frame::{Frame, FrameWriter},
        message::{AdoptOrder, RESTORE},
    },
};
use anyhow::Context;
use bytes::Bytes;
use cairn_archive::{SourceError, restore::RestoreSink};
use cairn_model::{descriptor::PartitionDescriptor, table::TableDefinition, time::Timestamp};
use cairn_replication::log::LogEntry;
use hyper::Method;
use std::time::Duration;
use tokio::{runtime::Handle, task::JoinHandle};

/// For a node that took no more to say why.
const REASON_DEADLINE: Duration = Duration::from_secs(5);

/// One partition on its way into the node. Dropped before it was adopted, the node gives it up.
pub(super) struct SocketAdoption {
    runtime: Handle,
    frames: FrameWriter,
    /// None once the body has ended.
    pieces: Option<Pieces>,
    answer: JoinHandle<Result<(), SourceError>>,
}

impl SocketAdoption {
    /// Blocks, as all of it does.
    pub(super) fn begin(connections: &Connections) -> anyhow::Result<Self> {
        let runtime = Handle::try_current().context("a restore needs a thread of the runtime")?;
        let mut sender = runtime.block_on(connections.connect())?;
        let (pieces, body) = body::piped(NODE_IDLE_MAX);
        let request = connections::request(Method::POST, RESTORE, body);
        let answer = runtime.spawn(async move { connections::send(&mut sender, request).await.map(drop) });
        Ok(Self { runtime, frames: FrameWriter::new(), pieces: Some(pieces), answer })
    }

    fn put(&mut self, frame: &Frame) -> anyhow::Result<()> {
        self.frames.put(frame)?;
        if self.frames.bytes() >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let pieces = self.pieces.as_ref().context("the restore has ended")?;
        if pieces.send(self.frames.take()).is_ok() {
            return Ok(());
        }
        self.pieces = None;
        // It has answered before the end: what it says is the reason.
        self.answered(REASON_DEADLINE)?;
        anyhow::bail!("the node takes no more of the restore")
    }

    fn answered(&mut self, deadline: Duration) -> anyhow::Result<()> {
        let Self { runtime, answer, .. } = self;
        let answered = runtime.block_on(async { tokio::time::timeout(deadline, answer).await });
        let answered = answered.with_context(|| format!("the node did not answer within {deadline:?}"))?;
        Ok(answered.context("the restore was cut off")??)
    }
}

impl RestoreSink for SocketAdoption {
    fn chunk(&mut self, chunk: Bytes) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.put(&Frame::Chunk(chunk))?)
    }

    fn chunks_done(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.put(&Frame::ChunksDone)?)
    }

    fn entry(&mut self, entry: LogEntry) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        // The entry has its time within it, for who knows entries.
        Ok(self.put(&Frame::Entry(entry, Timestamp(0)))?)
    }
}

impl Adoption for SocketAdoption {
    fn adopt(mut self: Box<Self>, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()> {
        let order = serde_json::to_vec(&AdoptOrder { descriptor, definition })?;
        self.put(&Frame::Adopt(order.into()))?;
        self.flush()?;
        self.pieces = None;
        self.answered(NODE_IDLE_MAX)
    }
}

impl Drop for SocketAdoption {
    fn drop(&mut self) {
        // A body that just ended would be given up as well; this says it sooner.
        self.answer.abort();
    }
}
