//! A partition on its way back from the archive into a node.

use cairn_archive::restore::RestoreSink;
use cairn_engine::FjallStore;
use cairn_model::time::Timestamp;
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

    pub(crate) fn read(self) -> Result<Loaded<FjallStore>, RestoreError> {
        self.0.read()
    }

    pub(crate) fn finish(self) -> Result<Restored, RestoreError> {
        self.0.finish()
    }
}

impl RestoreSink for RestoringPartition {
    fn chunk(&mut self, chunk: &[u8]) -> Result<(), SinkError> {
        Ok(self.0.chunk(chunk)?)
    }

    fn chunks_done(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn entry(&mut self, entry: LogEntry) -> Result<(), SinkError> {
        Ok(self.0.entry(&entry)?)
    }
}
