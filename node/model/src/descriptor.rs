//! Where a partition lies: its range of keys and its members.

use crate::ids::{NodeId, PartitionId, ReplicaId, TableId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A range of encoded keys (see [`crate::key`]): from `start`, inclusive, to `end`, exclusive; an empty `end` is unbounded.
/// Bounds are byte strings everywhere, so that any key can become one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    #[serde(with = "crate::hex_bytes")]
    pub start: Bytes,
    #[serde(with = "crate::hex_bytes")]
    pub end: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MemberRole {
    Voter,
    Learner,
}

/// One replica of a partition and the node that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub replica_id: ReplicaId,
    pub node_id: NodeId,
    pub zone: String,
    /// Host name and port of the node's internal listener. A hint: who answers there must be `node_id`.
    pub address: String,
    pub role: MemberRole,
}

/// A partition's range, epoch and members; replicated with the partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionDescriptor {
    pub partition_id: PartitionId,
    pub table_id: TableId,
    pub range: KeyRange,
    /// Rises with every change of the descriptor; an entry evaluated under another is void.
    pub epoch: u64,
    pub members: Vec<Member>,
    /// The next replica id to give away; one given is never given again.
    pub next_replica_id: u64,
    /// The partitions this one was split from; none for a table's first.
    #[serde(default)]
    pub parents: Vec<PartitionId>,
}

impl PartitionDescriptor {
    /// The first of a partition, with the members that it begins with.
    pub fn first(partition_id: PartitionId, table_id: TableId, range: KeyRange, members: Vec<Member>) -> Self {
        let next_replica_id = members.iter().map(|member| member.replica_id.0 + 1).max().unwrap_or(1);
        Self { partition_id, table_id, range, epoch: 1, members, next_replica_id, parents: Vec::new() }
    }
}
