//! Where feeders send: the partition of an index, on whatever node leads it.

use crate::{
    internal::client::{CallError, GroupName, NodeClient},
    node::Node,
};
use async_trait::async_trait;
use cairn_model::{descriptor::Member, ids::PartitionId};
use cairn_replication::{
    feed::{Fed, FeedBatch},
    operation::{PartitionError, PartitionOutcome, PartitionRequest},
    wire::{self, PartitionCall},
};
use std::{fmt, sync::Arc, time::Duration};

/// The path of such a call between storage nodes of one group.
pub(crate) const PATH: &str = "/v1/feed";
const DEADLINE: Duration = Duration::from_secs(10);

/// Why an index did not take a batch, or may not have.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error(transparent)]
    Partition(#[from] PartitionError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the node's answer can't be understood: {0}")]
    Answer(String),
}

#[async_trait]
pub(crate) trait Sink: fmt::Debug + Send + Sync + 'static {
    /// Gives a batch to one replica of the index's partition; tells where the index is then.
    async fn feed(&self, to: &Member, partition: PartitionId, batch: FeedBatch) -> Result<Fed, NotTaken>;
}

/// The nodes of a group, and this one among them.
#[derive(Debug)]
pub(crate) struct NodeSink {
    pub(crate) node: Arc<Node>,
    /// None where there is no other node.
    pub(crate) others: Option<(Arc<NodeClient>, GroupName)>,
}

#[async_trait]
impl Sink for NodeSink {
    async fn feed(&self, to: &Member, partition: PartitionId, batch: FeedBatch) -> Result<Fed, NotTaken> {
        let answer = match &self.others {
            Some((client, group)) if to.node_id != self.node.id() => {
                let call = PartitionCall { partition, epoch: 0, request: PartitionRequest::Feed(batch) };
                let body = wire::encode_call(&call).map_err(|error| NotTaken::Answer(error.to_string()))?;
                let answer = client.post(group, &to.address, PATH, body, DEADLINE).await?;
                wire::decode_answer(answer).map_err(|error| NotTaken::Answer(error.to_string()))?
            }
            _ => self.node.feed(partition, batch).await,
        };
        match answer? {
            PartitionOutcome::Fed(fed) => Ok(fed),
            _ => Err(NotTaken::Answer("it is of another request".into())),
        }
    }
}
