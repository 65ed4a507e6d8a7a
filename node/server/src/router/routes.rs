//! The map of the fleet: which partition holds a key, where its replicas are and which one leads; learnt from what
//! the nodes report.

use crate::internal::client::GroupName;
use cairn_model::{
    TableDefinition,
    descriptor::{Member, PartitionDescriptor},
    ids::{PartitionId, ReplicaId, TableId},
    node::{NodeReport, ReplicaState},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// What one node said last, and where it was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownNode {
    pub address: String,
    pub report: NodeReport,
}

/// One partition: its descriptor, and who leads it as far as the reports tell.
#[derive(Clone, Debug)]
pub struct Route {
    pub group: GroupName,
    pub descriptor: PartitionDescriptor,
    pub leader: Option<ReplicaId>,
}

impl Route {
    pub fn member(&self, replica: ReplicaId) -> Option<&Member> {
        self.descriptor.members.iter().find(|member| member.replica_id == replica)
    }
}

/// A table as the nodes that hold it know it.
#[derive(Clone, Debug)]
pub struct KnownTable {
    pub definition: TableDefinition,
    pub item_count: u64,
    pub size_bytes: u64,
    /// In the order of their ranges.
    pub routes: Vec<Arc<Route>>,
}

/// The fleet at one moment.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    tables: HashMap<TableId, KnownTable>,
}

impl Routes {
    /// Puts the reports together: of a partition's descriptors the one with the highest epoch counts, of its leaders
    /// the one of the highest term, of a table's definitions the one with the highest version.
    pub fn from_reports<'a>(nodes: impl IntoIterator<Item = &'a KnownNode>) -> Self {
        let mut partitions: BTreeMap<PartitionId, Candidate<'a>> = BTreeMap::new();
        for node in nodes {
            let group = GroupName { account: node.report.account.clone(), group: node.report.group.clone() };
            for replica in &node.report.replicas {
                let candidate = partitions.entry(replica.descriptor.partition_id).or_insert_with(|| Candidate {
                    group: group.clone(),
                    descriptor: &replica.descriptor,
                    definition: &replica.definition,
                    leader: None,
                    counted: (0, 0, 0),
                });
                if replica.descriptor.epoch > candidate.descriptor.epoch {
                    candidate.descriptor = &replica.descriptor;
                }
                if replica.definition.schema_version > candidate.definition.schema_version {
                    candidate.definition = &replica.definition;
                }
                if replica.state == ReplicaState::Leader && candidate.leader.is_none_or(|(term, _)| term < replica.term) {
                    candidate.leader = Some((replica.term, replica.replica_id));
                }
                candidate.counted =
                    candidate.counted.max((replica.applied_index, replica.item_count, replica.size_bytes));
            }
        }
        let mut tables: HashMap<TableId, KnownTable> = HashMap::new();
        for candidate in partitions.into_values() {
            let table = tables.entry(candidate.descriptor.table_id).or_insert_with(|| KnownTable {
                definition: candidate.definition.clone(),
                item_count: 0,
                size_bytes: 0,
                routes: Vec::new(),
            });
            if candidate.definition.schema_version > table.definition.schema_version {
                table.definition = candidate.definition.clone();
            }
            table.item_count += candidate.counted.1;
            table.size_bytes += candidate.counted.2;
            table.routes.push(Arc::new(Route {
                group: candidate.group,
                descriptor: candidate.descriptor.clone(),
                leader: candidate.leader.map(|(_, replica)| replica),
            }));
        }
        for table in tables.values_mut() {
            table.routes.sort_by(|a, b| a.descriptor.range.start.cmp(&b.descriptor.range.start));
        }
        Self { tables }
    }

    pub fn table(&self, id: TableId) -> Option<&KnownTable> {
        self.tables.get(&id)
    }

    pub fn tables(&self) -> impl Iterator<Item = &KnownTable> {
        self.tables.values()
    }

    /// The partition whose range holds the key; none when the table, or that part of it, is not known.
    pub fn find(&self, table: TableId, key: &[u8]) -> Option<Arc<Route>> {
        let routes = &self.tables.get(&table)?.routes;
        let after = routes.partition_point(|route| route.descriptor.range.start.as_ref() <= key);
        let route = routes.get(after.checked_sub(1)?)?;
        let end = &route.descriptor.range.end;
        (end.is_empty() || key < end.as_ref()).then(|| route.clone())
    }
}

struct Candidate<'a> {
    group: GroupName,
    descriptor: &'a PartitionDescriptor,
    definition: &'a TableDefinition,
    leader: Option<(u64, ReplicaId)>,
    /// Applied index, items and bytes of the replica that has applied the most.
    counted: (u64, u64, u64),
}
