//! A restore on its way out, from a thread of the archive.

use super::{connections::Connections, outgoing::Outgoing};
use crate::archive::{
    Adoption,
    socket::{
        frame::Frame,
        message::{AdoptOrder, RESTORE},
    },
};
use cairn_archive::restore::RestoreSink;
use cairn_model::{descriptor::PartitionDescriptor, table::TableDefinition};
use cairn_replication::log::LogEntry;

type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// One partition on its way into the node. Dropped before it was adopted, the node gives it up.
pub(super) struct SocketAdoption(Outgoing);

impl SocketAdoption {
    /// Blocks, as all of it does.
    pub(super) fn begin(connections: &Connections) -> anyhow::Result<Self> {
        Outgoing::begin(connections, RESTORE).map(Self)
    }
}

impl RestoreSink for SocketAdoption {
    fn chunk(&mut self, chunk: &[u8]) -> Result<(), SinkError> {
        self.0.chunk(chunk)
    }

    fn chunks_done(&mut self) -> Result<(), SinkError> {
        self.0.chunks_done()
    }

    fn entry(&mut self, entry: LogEntry) -> Result<(), SinkError> {
        self.0.entry(entry)
    }
}

impl Adoption for SocketAdoption {
    fn adopt(mut self: Box<Self>, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()> {
        let order = serde_json::to_vec(&AdoptOrder { descriptor, definition })?;
        self.0.end(&Frame::Adopt(order.into())).map(drop)
    }
}
