//! The way of restored data into this process's own node.

use super::{Adopter, Adoption, RestoringPartition};
use async_trait::async_trait;
use bytes::Bytes;
use cairn_archive::restore::RestoreSink;
use cairn_model::{descriptor::PartitionDescriptor, ids::PartitionId, node::OrderOutcome, table::TableDefinition};
use cairn_replication::{Host, log::LogEntry};
use tokio::runtime::Handle;

type SinkError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug)]
pub(crate) struct HostAdopter(pub(crate) Host);

#[async_trait]
impl Adopter for HostAdopter {
    async fn has(&self, partition: PartitionId) -> anyhow::Result<bool> {
        Ok(self.0.replicas().iter().any(|replica| replica.descriptor.partition_id == partition))
    }

    fn begin(&self) -> anyhow::Result<Box<dyn Adoption>> {
        let partition = RestoringPartition::begin(&self.0)?;
        Ok(Box::new(HostAdoption { host: self.0.clone(), partition }))
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
}

impl Adoption for HostAdoption {
    fn adopt(self: Box<Self>, descriptor: PartitionDescriptor, definition: TableDefinition) -> anyhow::Result<()> {
        let Self { host, partition } = *self;
        partition.check_fit(&descriptor, &definition)?;
        let restored = partition.finish()?;
        match Handle::current().block_on(host.adopt(restored, descriptor, definition)) {
            OrderOutcome::Done => Ok(()),
            OrderOutcome::Refused { message } | OrderOutcome::InProgress { message } => {
                anyhow::bail!("the node did not take the data: {message}")
            }
            OrderOutcome::NotLeader { .. } => anyhow::bail!("the node did not take the data: it does not lead"),
        }
    }
}
