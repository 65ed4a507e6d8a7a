//! The way of restored data into a node: loaded piece by piece, then made a partition's or given up.

use async_trait::async_trait;
use cairn_archive::restore::RestoreSink;
use cairn_model::{descriptor::PartitionDescriptor, ids::PartitionId, table::TableDefinition};

/// A node that data can be restored into.
#[async_trait]
pub trait Adopter: Send + Sync {
    /// Whether the node has a replica of the partition.
    async fn has(&self, partition: PartitionId) -> anyhow::Result<bool>;

    /// Begins to load one partition. Blocks.
    fn begin(&self) -> anyhow::Result<Box<dyn Adoption>>;
}

/// One partition on its way in. Dropped before its end, nothing of it stays. Every call blocks.
pub trait Adoption: RestoreSink {
    /// The end: what was loaded becomes the first replica of the partition that the descriptor names.
    fn adopt(self: Box<Self>, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()>;
}
