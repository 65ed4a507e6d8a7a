//! The way of data into this process's own node.

use super::{Adopter, Adoption, FillingPartition, Intake, ItemSink, RestoringPartition};
use crate::node::Node;
use async_trait::async_trait;
use bytes::Bytes;
use cairn_archive::restore::RestoreSink;
use cairn_model::{
    codec::EncodedItem, descriptor::PartitionDescriptor, ids::PartitionId, key::EncodedKey, node::OrderOutcome,
    table::TableDefinition, time::Timestamp,
};
use cairn_replication::{Host, log::LogEntry, restore::Restored};
use std::sync::Arc;
use tokio::runtime::Handle;

type SinkError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug)]
pub(crate) struct HostAdopter(pub(crate) Arc<Node>);

#[async_trait]
impl Adopter for HostAdopter {
    async fn has(&self, partition: PartitionId) -> anyhow::Result<bool> {
        Ok(self.0.host().replicas().iter().any(|replica| replica.descriptor.partition_id == partition))
    }

    fn begin(&self) -> anyhow::Result<Box<dyn Adoption>> {
        let partition = RestoringPartition::begin(self.0.host(), self.0.disk())?;
        Ok(Box::new(HostAdoption { host: self.0.host().clone(), partition }))
    }

    fn fill(&self) -> anyhow::Result<Box<dyn Intake>> {
        let partition = FillingPartition::begin(self.0.host(), self.0.disk())?;
        Ok(Box::new(HostIntake { host: self.0.host().clone(), partition }))
    }
}

struct HostAdoption {
    host: Host,
    partition: RestoringPartition,
}

impl RestoreSink for HostAdoption {
    fn chunk(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        self.partition.chunk(chunk)
    }

    fn chunks_done(&mut self) -> Result<(), SinkError> {
        self.partition.chunks_done()
    }

    fn entry(&mut self, entry: LogEntry) -> Result<(), SinkError> {
        self.partition.entry(entry)
    }

    fn entry_behind(&mut self, entry: LogEntry, at: Timestamp) -> Result<(), SinkError> {
        self.partition.entry_behind(entry, at)
    }
}

impl Adoption for HostAdoption {
    fn adopt(self: Box<Self>, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()> {
        let Self { host, partition } = *self;
        partition.check_fit(&descriptor, &definition)?;
        adopt(&host, partition.finish()?, descriptor, definition)
    }
}

struct HostIntake {
    host: Host,
    partition: FillingPartition,
}

impl ItemSink for HostIntake {
    fn items(&mut self, items: Vec<(EncodedKey, EncodedItem)>) -> anyhow::Result<()> {
        self.partition.items(items)
    }
}

impl Intake for HostIntake {
    fn adopt(self: Box<Self>, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()> {
        let Self { host, partition } = *self;
        let restored = partition.finish()?;
        anyhow::ensure!(
            descriptor.range == *restored.range(),
            "the descriptor's range is {:?}, but items are taken for all keys",
            descriptor.range
        );
        adopt(&host, restored, descriptor, definition)
    }
}

fn adopt(
    host: &Host,
    restored: Restored,
    descriptor: PartitionDescriptor,
    definition: TableDefinition,
) -> anyhow::Result<()> {
    match Handle::current().block_on(host.adopt(restored, descriptor, definition)) {
        OrderOutcome::Done => Ok(()),
        OrderOutcome::Refused { message } | OrderOutcome::InProgress { message } => {
            anyhow::bail!("the node did not take the data: {message}")
        }
        OrderOutcome::NotLeader { .. } => anyhow::bail!("the node did not take the data: it does not lead"),
    }
}
