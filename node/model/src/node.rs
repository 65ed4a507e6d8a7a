//! What a storage node reports of itself and what it can be ordered to do: the JSON between
//! storage nodes, routers and the operator.

use crate::{
    descriptor::PartitionDescriptor,
    ids::{NodeId, PartitionId, ReplicaId, TableId},
    region::RegionReport,
    table::TableDefinition,
    transaction::LeftTransaction,
};
use serde::{Deserialize, Serialize};

/// The answer of `GET /v1/node`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeReport {
    pub node_id: NodeId,
    pub region: String,
    pub account: String,
    pub group: String,
    pub zone: String,
    /// Version of the program.
    pub version: String,
    pub replicas: Vec<ReplicaReport>,
    /// What is left here of tables that were deleted lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<RetiredReport>,
    /// Bytes free and in all on the volume.
    pub disk_free_bytes: u64,
    pub disk_total_bytes: u64,
    /// Set while the node refuses writes because its disk is nearly full.
    #[serde(default)]
    pub disk_full: bool,
    /// Absent where the node has no throttling, and so counts nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumption: Option<crate::consumption::Consumption>,
}

/// What a node has of a partition whose table was deleted: all records of its streams, which never change again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetiredReport {
    /// As it was last.
    pub descriptor: PartitionDescriptor,
    /// [`TableDefinition::retired`].
    pub definition: TableDefinition,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaReport {
    pub replica_id: ReplicaId,
    pub descriptor: PartitionDescriptor,
    pub definition: TableDefinition,
    pub state: ReplicaState,
    /// The replica this one believes leads.
    pub leader: Option<ReplicaId>,
    pub term: u64,
    pub applied_index: u64,
    /// True when it has applied all that the leader had committed when it last heard from it.
    pub caught_up: bool,
    pub item_count: u64,
    pub size_bytes: u64,
    /// Of the log, what is kept because the archive does not have it yet. 0 where nothing is archived.
    #[serde(default)]
    pub unarchived_bytes: u64,
    /// Of a global table, by the leader alone: how it stands with each other member that it has a [`crate::table::PeerCluster`] of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionReport>,
    /// Of a partition of a global index: the partitions of its table that it has something of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fed_by: Vec<FedReport>,
    /// By the leader alone: some of the transactions that wait for somebody to end them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_transactions: Vec<LeftTransaction>,
}

impl ReplicaReport {
    /// Of one that has applied nothing and heard of no leader.
    pub fn new(
        replica_id: ReplicaId,
        state: ReplicaState,
        descriptor: PartitionDescriptor,
        definition: TableDefinition,
    ) -> Self {
        Self {
            replica_id,
            descriptor,
            definition,
            state,
            leader: None,
            term: 0,
            applied_index: 0,
            caught_up: false,
            item_count: 0,
            size_bytes: 0,
            unarchived_bytes: 0,
            regions: Vec::new(),
            fed_by: Vec::new(),
            left_transactions: Vec::new(),
        }
    }
}

/// How much of one of its table's partitions a replica of a global index has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FedReport {
    pub partition_id: PartitionId,
    /// All that was there before the index is in it.
    pub complete: bool,
    /// Up to which entry of that partition's log.
    pub through: u64,
}

/// How much a partition, or all of a table's, holds. As JSON the answer of `POST /v1/counts`, whose body is a partition's id;
/// null where the node's replica of it does not lead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub item_count: u64,
    /// In DynamoDB's bytes.
    pub size_bytes: u64,
    /// Of the local indexes, in any order. Of one that is missing here nothing is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<IndexCounts>,
    /// How it stands with the deletion of expired items; none where nobody could say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_live: Option<TimeToLiveState>,
}

/// How much a local index holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexCounts {
    pub slot: u8,
    pub item_count: u64,
    /// In DynamoDB's bytes, of what the index shows of the items.
    pub size_bytes: u64,
}

/// How it stands with the deletion of expired items in a partition, or in all of a table's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeToLiveState {
    /// By which attribute items expire; none where they don't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute_name: Option<String>,
    /// The index of expirations is still being made, or cleared of what was in it before.
    pub is_changing: bool,
}

impl Counts {
    /// Those of a table that holds nothing yet.
    pub fn of_new(table: &TableDefinition) -> Self {
        let slots = table.local_indexes.iter().map(|index| index.slot);
        let indexes = slots.map(|slot| IndexCounts { slot, item_count: 0, size_bytes: 0 }).collect();
        Self { indexes, ..Self::default() }
    }

    /// What the local index at this slot holds, if it is known.
    pub fn of_index(&self, slot: u8) -> Option<IndexCounts> {
        self.indexes.iter().find(|index| index.slot == slot).copied()
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut all, one| {
            all.item_count += one.item_count;
            all.size_bytes += one.size_bytes;
            for index in one.indexes {
                match all.indexes.iter_mut().find(|known| known.slot == index.slot) {
                    Some(known) => {
                        known.item_count += index.item_count;
                        known.size_bytes += index.size_bytes;
                    }
                    None => all.indexes.push(index),
                }
            }
            all.time_to_live = match (all.time_to_live, one.time_to_live) {
                (Some(all), Some(one)) => Some(TimeToLiveState {
                    is_changing: all.is_changing || one.is_changing || all.attribute_name != one.attribute_name,
                    ..all
                }),
                (all, one) => all.or(one),
            };
            all
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "role", content = "reason")]
pub enum ReplicaState {
    Leader,
    Follower,
    Candidate,
    Learner,
    /// Does not vote and serves nothing; waits to be replaced. The reason names the file and the damage.
    Damaged(String),
}

/// The body of `POST /v1/orders`: what the operator (or `cairn dev`'s catalog) may order.
/// Every order is idempotent. The answer is [`OrderOutcome`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "order")]
pub enum Order {
    /// Initialise the partition with its full first membership, on the one node recorded for it. Done already: fine.
    #[serde(rename_all = "camelCase")]
    Bootstrap { descriptor: PartitionDescriptor, definition: TableDefinition },
    /// Replace the table's definition, to the leader; `schemaVersion` must be one above the present one
    /// (equal definitions: fine already).
    #[serde(rename_all = "camelCase")]
    UpdateDefinition { partition_id: PartitionId, definition: TableDefinition },
    /// To the leader: take `replace` out, add a new replica on the node at `address` and make it a voter once it has caught up.
    #[serde(rename_all = "camelCase")]
    ReplaceReplica { partition_id: PartitionId, replace: ReplicaId, node_id: NodeId, zone: String, address: String },
    /// Drop the partition's data on this node, for good; where there is none, it is not begun here any more. The table id must match.
    /// With `deletedAtMs`, when the table was deleted in milliseconds since the Unix epoch, the records of its streams stay as long as
    /// they can be read: [`crate::stream::RETENTION_MS`] from then on. Without, as older versions say it, nothing stays.
    #[serde(rename_all = "camelCase")]
    DropPartition {
        partition_id: PartitionId,
        table_id: TableId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deleted_at_ms: Option<u64>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum OrderOutcome {
    Done,
    /// Under way: ask again.
    #[serde(rename_all = "camelCase")]
    InProgress {
        message: String,
    },
    /// Not the leader: ask the node at `leader` (host and port), if known.
    #[serde(rename_all = "camelCase")]
    NotLeader {
        leader: Option<String>,
    },
    /// Can't be done; the message says why and what to do.
    #[serde(rename_all = "camelCase")]
    Refused {
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_reports_of_older_versions_are_read() {
        let id = "07070707-0707-0707-0707-070707070707";
        let order = format!(r#"{{"order":"dropPartition","partitionId":"{id}","tableId":"{id}"}}"#);
        let (partition_id, table_id) = (PartitionId([7; 16]), TableId([7; 16]));
        let read: Order = serde_json::from_str(&order).unwrap();
        assert_eq!(read, Order::DropPartition { partition_id, table_id, deleted_at_ms: None });
        assert_eq!(serde_json::to_string(&read).unwrap(), order, "and an older node is told what it knows");
        let report = format!(
            r#"{{"nodeId":"{id}","region":"east","account":"game","group":"default","zone":"a","version":"0",
                "replicas":[],"diskFreeBytes":1,"diskTotalBytes":2}}"#
        );
        assert_eq!(serde_json::from_str::<NodeReport>(&report).unwrap().retired, []);
    }

    /// What an older node makes of a newer operator's order is to drop the partition at once; of a newer node's report, nothing.
    #[test]
    fn what_newer_versions_tell_besides_is_passed_over() {
        let id = "07070707-0707-0707-0707-070707070707";
        let drop = Order::DropPartition {
            partition_id: PartitionId([7; 16]),
            table_id: TableId([7; 16]),
            deleted_at_ms: Some(5_000),
        };
        let order = format!(r#"{{"order":"dropPartition","partitionId":"{id}","tableId":"{id}","deletedAtMs":5000}}"#);
        assert_eq!(serde_json::to_string(&drop).unwrap(), order);
        let newer = order.replace('}', r#","keptUntil":{"day":1}}"#);
        assert_eq!(serde_json::from_str::<Order>(&newer).unwrap(), drop);
        assert!(serde_json::from_str::<Order>(&newer.replace("dropPartition", "moveShard")).is_err());

        let retired = format!(
            r#"{{"descriptor":{{"partitionId":"{id}","tableId":"{id}","range":{{"start":"","end":""}},"epoch":1,"members":[],"nextReplicaId":1,"parents":[]}},"definition":{{"account":"game","tableName":"users","tableId":"{id}","schemaVersion":1,"keySchema":{{"partition":{{"name":"Id","scalarType":"S"}}}},"billingMode":"PAY_PER_REQUEST","deletionProtectionEnabled":false,"creationTimeMs":0}}}}"#
        );
        let report = format!(
            r#"{{"nodeId":"{id}","region":"east","account":"game","group":"default","zone":"a","version":"0","replicas":[],"retired":[{retired}],"diskFreeBytes":1,"diskTotalBytes":2,"diskFull":false}}"#
        );
        let read: NodeReport = serde_json::from_str(&report).unwrap();
        assert_eq!((read.retired.len(), read.retired[0].definition.table_name.as_str()), (1, "users"));
        assert_eq!(serde_json::to_string(&read).unwrap(), report);
        let newer = report.replace(r#""replicas":[]"#, r#""replicas":[],"resting":[{"since":1}]"#);
        assert_eq!(serde_json::from_str::<NodeReport>(&newer).unwrap(), read);
    }

    #[test]
    fn the_counts_of_partitions_add_up_index_by_index() {
        let index = |slot, item_count| IndexCounts { slot, item_count, size_bytes: 10 * item_count };
        let counts = |indexes: &[IndexCounts]| Counts {
            item_count: 5,
            size_bytes: 50,
            indexes: indexes.to_vec(),
            time_to_live: None,
        };
        let all: Counts = [counts(&[index(1, 2)]), counts(&[index(3, 1), index(1, 1)])].into_iter().sum();
        assert_eq!((all.item_count, all.size_bytes), (10, 100));
        assert_eq!([all.of_index(1), all.of_index(2), all.of_index(3)], [Some(index(1, 3)), None, Some(index(3, 1))]);
    }
}
