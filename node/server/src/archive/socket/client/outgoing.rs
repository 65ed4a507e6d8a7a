//! Frames on their way to the node from a thread of the archive, and what it answers to all of them.

use super::connections::{self, Connections};
use crate::archive::socket::{
    NODE_IDLE_MAX,
    body::{self, PIECE_BYTES, Pieces},
    frame::{Frame, FrameWriter},
};
use anyhow::Context;
use bytes::Bytes;
use cairn_archive::SourceError;
use cairn_model::time::Timestamp;
use cairn_replication::log::LogEntry;
use hyper::{Method, body::Incoming};
use std::time::Duration;
use tokio::{runtime::Handle, task::JoinHandle};

/// For a node that took no more to say why.
const REASON_DEADLINE: Duration = Duration::from_secs(5);

type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// One partition on its way into the node. Dropped before its end, the node gives it up. All of it blocks.
pub(super) struct Outgoing {
    pub(super) runtime: Handle,
    frames: FrameWriter,
    /// None once the body has ended.
    pieces: Option<Pieces>,
    answer: JoinHandle<Result<Incoming, SourceError>>,
}

impl Outgoing {
    pub(super) fn begin(connections: &Connections, path: &'static str) -> anyhow::Result<Self> {
        let runtime = Handle::try_current().context("the node is given data by a thread of the runtime")?;
        let mut sender = runtime.block_on(connections.connect())?;
        let (pieces, body) = body::piped(NODE_IDLE_MAX);
        let request = connections::request(Method::POST, path, body);
        let answer = runtime.spawn(async move { connections::send(&mut sender, request).await });
        Ok(Self { runtime, frames: FrameWriter::new(), pieces: Some(pieces), answer })
    }

    pub(super) fn put(&mut self, frame: &Frame) -> anyhow::Result<()> {
        self.frames.put(frame)?;
        if self.frames.bytes() >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    pub(super) fn chunk(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        Ok(self.put(&Frame::Chunk(chunk))?)
    }

    pub(super) fn chunks_done(&mut self) -> Result<(), SinkError> {
        Ok(self.put(&Frame::ChunksDone)?)
    }

    pub(super) fn entry(&mut self, entry: LogEntry) -> Result<(), SinkError> {
        // The entry has its time within it, for who knows entries.
        Ok(self.put(&Frame::Entry(entry, Timestamp(0)))?)
    }

    pub(super) fn entry_behind(&mut self, entry: LogEntry, at: Timestamp) -> Result<(), SinkError> {
        Ok(self.put(&Frame::EntryBehind(entry, at))?)
    }

    /// Sends the last frame, and waits for the node's answer.
    pub(super) fn end(&mut self, last: &Frame) -> anyhow::Result<Incoming> {
        self.put(last)?;
        self.flush()?;
        self.pieces = None;
        self.answered(NODE_IDLE_MAX)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let pieces = self.pieces.as_ref().context("it has ended")?;
        if pieces.send(self.frames.take()).is_ok() {
            return Ok(());
        }
        self.pieces = None;
        // It has answered before the end: what it says is the reason.
        drop(self.answered(REASON_DEADLINE)?);
        anyhow::bail!("the node takes no more")
    }

    fn answered(&mut self, deadline: Duration) -> anyhow::Result<Incoming> {
        let Self { runtime, answer, .. } = self;
        let answered = runtime.block_on(async { tokio::time::timeout(deadline, answer).await });
        let answered = answered.with_context(|| format!("the node did not answer within {deadline:?}"))?;
        Ok(answered.context("it was cut off")??)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        // A body that just ended would be given up as well; this says it sooner.
        self.answer.abort();
    }
}
