//! A partition that is filled with items, in this process's own node.

use super::ItemSink;
use crate::{disk::Disk, environment};
use cairn_engine::FjallStore;
use cairn_model::{codec::EncodedItem, key::EncodedKey, time::Timestamp};
use cairn_replication::{
    Host,
    restore::{Filling, RestoreError, Restored},
};
use std::sync::Arc;

/// Nothing more of it is taken while the volume has no room to spare: clients' writes need what is left.
#[derive(Debug)]
pub(crate) struct FillingPartition {
    disk: Arc<Disk>,
    filling: Filling<FjallStore>,
}

impl FillingPartition {
    /// Blocks, as all of it does.
    pub(crate) fn begin(host: &Host, disk: &Arc<Disk>) -> anyhow::Result<Self> {
        disk.check_room()?;
        let filling = host.fill(Timestamp::from_millis(environment::wall_ms()))?;
        Ok(Self { disk: disk.clone(), filling })
    }

    pub(crate) fn finish(self) -> Result<Restored, RestoreError> {
        self.filling.finish()
    }
}

impl ItemSink for FillingPartition {
    fn items(&mut self, items: Vec<(EncodedKey, EncodedItem)>) -> anyhow::Result<()> {
        self.disk.check_room()?;
        Ok(self.filling.items(items)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{RestoringPartition, testing::TestNode};
    use cairn_archive::restore::RestoreSink;
    use cairn_replication::ShortOfRoom;

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_restored_or_imported_while_there_is_no_room_to_spare() {
        let (node, folder) = (TestNode::start().await, tempfile::tempdir().unwrap());
        let disk = Arc::new(Disk::new(folder.path().to_path_buf(), ShortOfRoom::default()));
        let mut filling = FillingPartition::begin(node.host(), &disk).unwrap();
        let mut restoring = RestoringPartition::begin(node.host(), &disk).unwrap();
        filling.items(Vec::new()).unwrap();
        disk.run_short();
        let refused = [
            filling.items(Vec::new()).unwrap_err().to_string(),
            restoring.chunk(bytes::Bytes::new()).unwrap_err().to_string(),
            FillingPartition::begin(node.host(), &disk).unwrap_err().to_string(),
            RestoringPartition::begin(node.host(), &disk).unwrap_err().to_string(),
        ];
        for message in refused {
            assert!(message.contains("too little room") && message.ends_with("grow it or delete data"), "{message}");
        }
        drop((filling, restoring));
    }
}
