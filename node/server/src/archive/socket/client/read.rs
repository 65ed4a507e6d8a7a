//! A table's past that is laid out in the node, and read back in the order of its keys.

use super::{connections::Connections, outgoing::Outgoing};
use crate::archive::{
    PastItem, PastItems, Reading,
    socket::{
        NODE_IDLE_MAX,
        body::Frames,
        frame::Frame,
        message::{PastHead, READ, Refusal},
    },
};
use anyhow::Context;
use bytes::Bytes;
use cairn_archive::{SourceError, restore::RestoreSink};
use cairn_model::{codec::StoredVersion, time::Timestamp};
use cairn_replication::{log::LogEntry, restore::LoadedVersion};
use tokio::runtime::Handle;

type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// One partition on its way into the node. Dropped before all of it was read, the node gives it up.
pub(super) struct SocketReading(Outgoing);

impl SocketReading {
    /// Blocks, as all of it does.
    pub(super) fn begin(connections: &Connections, deletions_after: Option<Timestamp>) -> anyhow::Result<Self> {
        let mut outgoing = Outgoing::begin(connections, READ)?;
        outgoing.put(&Frame::Layout(deletions_after))?;
        Ok(Self(outgoing))
    }
}

impl RestoreSink for SocketReading {
    fn chunk(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        self.0.chunk(chunk)
    }

    fn chunks_done(&mut self) -> Result<(), SinkError> {
        self.0.chunks_done()
    }

    fn entry(&mut self, entry: LogEntry) -> Result<(), SinkError> {
        self.0.entry(entry)
    }

    fn entry_behind(&mut self, entry: LogEntry, at: Timestamp) -> Result<(), SinkError> {
        self.0.entry_behind(entry, at)
    }
}

impl Reading for SocketReading {
    fn read(mut self: Box<Self>) -> anyhow::Result<PastItems> {
        let mut frames = Frames::of(self.0.end(&Frame::Read)?, NODE_IDLE_MAX);
        let runtime = self.0.runtime.clone();
        let head = match runtime.block_on(frames.next())? {
            Frame::Head(head) => head,
            frame => return Err(failure(frame)),
        };
        let PastHead { definition, size_bytes } =
            serde_json::from_slice(&head).context("failed to read what the node has laid out")?;
        Ok(PastItems { definition, size_bytes, items: Box::new(Items { runtime, frames, over: false }) })
    }
}

struct Items {
    runtime: Handle,
    frames: Frames,
    over: bool,
}

impl Iterator for Items {
    type Item = PastItem;

    fn next(&mut self) -> Option<PastItem> {
        if self.over {
            return None;
        }
        let item = match self.runtime.block_on(self.frames.next()) {
            Ok(Frame::Item(key, stored)) => match StoredVersion::parse(stored) {
                Ok(version) => Ok((key, LoadedVersion::Item(version))),
                Err(error) => Err(error.into()),
            },
            Ok(Frame::Deleted(key, at)) => Ok((key, LoadedVersion::Deleted(at))),
            Ok(Frame::End) => {
                self.over = true;
                return None;
            }
            Ok(other) => Err(failure(other)),
            Err(error) => Err(error.into()),
        };
        self.over = item.is_err();
        Some(item)
    }
}

fn failure(frame: Frame) -> anyhow::Error {
    match frame {
        Frame::Failed(refusal) => match serde_json::from_slice::<Refusal>(&refusal) {
            Ok(refusal) => SourceError::from(refusal).into(),
            Err(error) => error.into(),
        },
        _ => anyhow::anyhow!("the node sent frames of what it laid out out of turn"),
    }
}
