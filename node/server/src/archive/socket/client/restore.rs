//! A restore, or the items of an import, on its way out, from a thread of the archive.

use super::{connections::Connections, outgoing::Outgoing};
use crate::archive::{
    Adoption, Intake, ItemSink,
    socket::{frame::Frame, items, message::AdoptOrder},
};
use bytes::Bytes;
use cairn_archive::restore::RestoreSink;
use cairn_model::{
    codec::EncodedItem, descriptor::PartitionDescriptor, key::EncodedKey, table::TableDefinition, time::Timestamp,
};
use cairn_replication::log::LogEntry;

type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// One partition on its way into the node. Dropped before it was adopted, the node gives it up.
pub(super) struct SocketAdoption(Outgoing);

impl SocketAdoption {
    /// By the call of this path. Blocks, as all of it does.
    pub(super) fn begin(connections: &Connections, path: &'static str) -> anyhow::Result<Self> {
        Outgoing::begin(connections, path).map(Self)
    }

    fn end(mut self, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()> {
        let order = serde_json::to_vec(&AdoptOrder { descriptor, definition })?;
        self.0.end(&Frame::Adopt(order.into())).map(drop)
    }
}

impl RestoreSink for SocketAdoption {
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

impl Adoption for SocketAdoption {
    fn adopt(self: Box<Self>, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()> {
        self.end(descriptor, definition)
    }
}

impl ItemSink for SocketAdoption {
    fn items(&mut self, items: Vec<(EncodedKey, EncodedItem)>) -> anyhow::Result<()> {
        self.0.put(&Frame::Items(items::encode(&items)))
    }
}

impl Intake for SocketAdoption {
    fn adopt(self: Box<Self>, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()> {
        self.end(descriptor, definition)
    }
}
