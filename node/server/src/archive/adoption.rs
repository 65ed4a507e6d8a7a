//! The way of data into a node, restored or imported: loaded piece by piece, then made a partition's or given up.

use async_trait::async_trait;
use cairn_archive::restore::RestoreSink;
use cairn_model::{
    codec::EncodedItem, descriptor::PartitionDescriptor, ids::PartitionId, key::EncodedKey, table::TableDefinition,
};

/// A node that data can be restored into.
#[async_trait]
pub trait Adopter: Send + Sync {
    /// Whether the node has a replica of the partition.
    async fn has(&self, partition: PartitionId) -> anyhow::Result<bool>;

    /// Begins to load one partition. Blocks.
    fn begin(&self) -> anyhow::Result<Box<dyn Adoption>>;

    /// Begins to take the items of one partition with all keys. Blocks.
    fn fill(&self) -> anyhow::Result<Box<dyn Intake>>;
}

/// One partition on its way in. Dropped before its end, nothing of it stays. Every call blocks.
pub trait Adoption: RestoreSink {
    /// The end: what was loaded becomes the first replica of the partition that the descriptor names.
    fn adopt(self: Box<Self>, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()>;
}

/// Takes items in any order; of two under one key the later one counts. Blocks.
pub trait ItemSink: Send {
    /// Some megabytes of them at most.
    fn items(&mut self, items: Vec<(EncodedKey, EncodedItem)>) -> anyhow::Result<()>;
}

/// The items of one partition on their way in. Dropped before its end, nothing of it stays. Every call blocks.
pub trait Intake: ItemSink {
    /// The end: what was taken becomes the first replica of the partition that the descriptor names.
    fn adopt(self: Box<Self>, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()>;
}

impl<I: ItemSink + ?Sized> ItemSink for Box<I> {
    fn items(&mut self, items: Vec<(EncodedKey, EncodedItem)>) -> anyhow::Result<()> {
        (**self).items(items)
    }
}
