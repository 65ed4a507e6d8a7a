//! A partition on its way back from the archive into a node.

use bytes::Bytes;
use cairn_archive::restore::RestoreSink;
use cairn_engine::FjallStore;
use cairn_model::{descriptor::PartitionDescriptor, table::TableDefinition, time::Timestamp};
use cairn_replication::{
    Host,
    log::LogEntry,
    restore::{Loaded, Restoration, RestoreError, Restored},
};

type SinkError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug)]
pub(crate) struct RestoringPartition(Restoration<FjallStore>);

impl RestoringPartition {
    /// Blocks, as all of it does.
    pub(crate) fn begin(host: &Host) -> Result<Self, RestoreError> {
        host.restore().map(Self)
    }

    /// What is deleted after this time is kept; then it can only be read.
    pub(crate) fn keep_deletions(&mut self, after: Timestamp) {
        self.0.keep_deletions(after);
    }

    /// Whether what was restored can become that partition of that table.
    pub(crate) fn check_fit(
        &self,
        descriptor: &PartitionDescriptor,
        definition: &TableDefinition,
    ) -> anyhow::Result<()> {
        let (was, of) = self.0.archived().ok_or_else(|| anyhow::anyhow!("the snapshot is not complete"))?;
        anyhow::ensure!(
            descriptor.range == was.range,
            "the descriptor's range is {:?}, but what was restored has the keys of {:?}",
            descriptor.range,
            was.range
        );
        anyhow::ensure!(
            definition.key_schema == of.key_schema,
            "the definition's key schema is not that of table {}, which was restored",
            of.table_name
        );
        Ok(())
    }

    pub(crate) fn read(self) -> Result<Loaded<FjallStore>, RestoreError> {
        self.0.read()
    }

    pub(crate) fn finish(self) -> Result<Restored, RestoreError> {
        self.0.finish()
    }
}

impl RestoreSink for RestoringPartition {
    fn chunk(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        Ok(self.0.chunk(&chunk)?)
    }

    fn chunks_done(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn entry(&mut self, entry: LogEntry) -> Result<(), SinkError> {
        Ok(self.0.entry(&entry)?)
    }
}
