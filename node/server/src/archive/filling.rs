//! A partition that is filled with items, in this process's own node.

use super::ItemSink;
use crate::{
    environment,
    node::{DISK_FULL, Node},
};
use cairn_engine::FjallStore;
use cairn_model::{codec::EncodedItem, key::EncodedKey, time::Timestamp};
use cairn_replication::restore::{Filling, RestoreError, Restored};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct FillingPartition {
    node: Arc<Node>,
    filling: Filling<FjallStore>,
}

impl FillingPartition {
    /// Blocks, as all of it does.
    pub(crate) fn begin(node: Arc<Node>) -> anyhow::Result<Self> {
        let filling = node.host().fill(Timestamp::from_millis(environment::wall_ms()))?;
        Ok(Self { node, filling })
    }

    pub(crate) fn finish(self) -> Result<Restored, RestoreError> {
        self.filling.finish()
    }
}

impl ItemSink for FillingPartition {
    fn items(&mut self, items: Vec<(EncodedKey, EncodedItem)>) -> anyhow::Result<()> {
        anyhow::ensure!(!self.node.disk().full(), DISK_FULL);
        Ok(self.filling.items(items)?)
    }
}
