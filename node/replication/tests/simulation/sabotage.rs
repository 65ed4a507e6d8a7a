//! Deliberately broken behaviour, to see that the simulation catches it.

use crate::client::Sent;
use cairn_model::ids::RequestId;
use cairn_replication::operation::PartitionRequest;
use rand::{Rng, rngs::StdRng};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Consistent reads are served by any replica, from what it happens to have.
    ReadsAreStale,
    /// Every node acknowledges alone, without a quorum.
    EveryNodeAlone,
    /// Disks say they synced, and did not.
    DisksLie,
    /// Every retry goes under another request id.
    RetriesAreNewRequests,
}

impl Sabotage {
    /// Changes a request on its way to a node.
    pub fn tamper(self, sent: &mut Sent, random: &mut StdRng) {
        match (self, &mut sent.request) {
            (Self::ReadsAreStale, PartitionRequest::Get(get)) => {
                get.consistent = false;
                sent.node = random.random_range(0..crate::plan::NODES);
            }
            (Self::ReadsAreStale, PartitionRequest::Range(range)) => {
                range.consistent = false;
                sent.node = random.random_range(0..crate::plan::NODES);
            }
            (Self::RetriesAreNewRequests, PartitionRequest::Write(write)) => {
                write.request_id = RequestId(random.random());
            }
            _ => {}
        }
    }
}
