//! A partition on its way back from the archive into a node.

use crate::disk::Disk;
use bytes::Bytes;
use cairn_archive::restore::RestoreSink;
use cairn_engine::FjallStore;
use cairn_model::{descriptor::PartitionDescriptor, table::TableDefinition, time::Timestamp};
use cairn_replication::{
    Host,
    log::LogEntry,
    restore::{Loaded, Restoration, RestoreError, Restored},
};
use std::sync::Arc;

type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Nothing more of it is taken while the volume has no room to spare: clients' writes need what is left.
#[derive(Debug)]
pub(crate) struct RestoringPartition {
    disk: Arc<Disk>,
    restoration: Restoration<FjallStore>,
}

impl RestoringPartition {
    /// Blocks, as all of it does.
    pub(crate) fn begin(host: &Host, disk: &Arc<Disk>) -> anyhow::Result<Self> {
        disk.check_room()?;
        Ok(Self { disk: disk.clone(), restoration: host.restore()? })
    }

    /// What is deleted after this time is kept; then it can only be read.
    pub(crate) fn keep_deletions(&mut self, after: Timestamp) {
        self.restoration.keep_deletions(after);
    }

    /// Whether what was restored can become that partition of that table.
    pub(crate) fn check_fit(
        &self,
        descriptor: &PartitionDescriptor,
        definition: &TableDefinition,
    ) -> anyhow::Result<()> {
        let (was, of) = self.restoration.archived().ok_or_else(|| anyhow::anyhow!("the snapshot is not complete"))?;
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
        self.restoration.read()
    }

    pub(crate) fn finish(self) -> Result<Restored, RestoreError> {
        self.restoration.finish()
    }
}

impl RestoreSink for RestoringPartition {
    fn chunk(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        self.disk.check_room()?;
        Ok(self.restoration.chunk(&chunk)?)
    }

    fn chunks_done(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn entry(&mut self, entry: LogEntry) -> Result<(), SinkError> {
        self.disk.check_room()?;
        Ok(self.restoration.entry(&entry)?)
    }

    fn entry_behind(&mut self, entry: LogEntry, at: Timestamp) -> Result<(), SinkError> {
        self.disk.check_room()?;
        Ok(self.restoration.entry_behind(&entry, at)?)
    }
}
