//! The map of the fleet: which partition holds a key, where its replicas are and which one leads; learnt from what
//! the nodes report.

use crate::internal::client::GroupName;
use cairn_model::{
    TableDefinition,
    descriptor::{Member, PartitionDescriptor},
    ids::{PartitionId, ReplicaId, TableId},
    node::{FedReport, NodeReport, ReplicaReport, ReplicaState, RetiredReport},
    region::RegionReport,
    transaction::LeftTransaction,
};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Ordering,
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
    /// What the partitions' leaders say of the other regions, where the table is global.
    pub regions: Vec<RegionReport>,
    /// What the partitions' leaders say that they have of their table's, where these are a global index's.
    pub fed_by: Vec<FedReport>,
    /// Some of the transactions that wait for somebody to end them.
    pub left_transactions: Vec<LeftTransaction>,
}

/// The fleet at one moment.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    tables: HashMap<TableId, KnownTable>,
    retired: HashMap<TableId, RetiredTable>,
}

/// What is left of a table that was deleted: its streams.
#[derive(Clone, Debug)]
struct RetiredTable {
    definition: TableDefinition,
    /// Its members are those that have what is left; each has all of it.
    route: Arc<Route>,
}

impl Routes {
    /// Puts the reports together: of a partition's descriptors the one with the highest epoch counts, of its leaders
    /// the one of the highest term, of a table's definitions the one with the highest version.
    pub fn from_reports<'a>(nodes: impl IntoIterator<Item = &'a KnownNode>) -> Self {
        let mut partitions: BTreeMap<PartitionId, Candidate<'a>> = BTreeMap::new();
        let mut retired = HashMap::new();
        for node in nodes {
            let group = GroupName { account: node.report.account.clone(), group: node.report.group.clone() };
            node.report.retired.iter().for_each(|report| note_retired(&mut retired, node, &group, report));
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
                if replica.state == ReplicaState::Leader
                    && candidate.leader.is_none_or(|leader| leader.term < replica.term)
                {
                    candidate.leader = Some(replica);
                }
                candidate.counted =
                    candidate.counted.max((replica.applied_index, replica.item_count, replica.size_bytes));
            }
        }
        let mut tables: HashMap<TableId, Vec<Candidate<'a>>> = HashMap::new();
        for candidate in partitions.into_values() {
            tables.entry(candidate.descriptor.table_id).or_default().push(candidate);
        }
        let tables = tables.into_iter().filter_map(|(id, partitions)| Some((id, known(partitions)?))).collect();
        Self { tables, retired }
    }

    /// The tables with streams, each once: those that were deleted, and those of which a replica is there.
    pub fn streamed(&self) -> impl Iterator<Item = &TableDefinition> {
        let there = self.tables().map(|known| &known.definition);
        let there = there.filter(|table| table.stream.is_some() && !self.retired.contains_key(&table.table_id));
        self.retired.values().map(|retired| &retired.definition).chain(there)
    }

    /// Where the streams of a table are that was deleted.
    pub fn retired(&self, table: TableId) -> Option<Arc<Route>> {
        self.retired.get(&table).map(|retired| retired.route.clone())
    }

    /// The tables; the partitions of their global indexes are none, though [`Self::table`] and [`Self::find`] know them.
    pub fn tables(&self) -> impl Iterator<Item = &KnownTable> {
        self.tables.values().filter(|table| table.definition.index_of.is_none())
    }

    /// One of a table's partitions.
    pub fn partition(&self, table: TableId, partition: PartitionId) -> Option<Arc<Route>> {
        let routes = &self.tables.get(&table)?.routes;
        routes.iter().find(|route| route.descriptor.partition_id == partition).cloned()
    }

    /// The partition whose range holds the key; none when the table, or that part of it, is not known.
    pub fn find(&self, table: TableId, key: &[u8]) -> Option<Arc<Route>> {
        let routes = &self.tables.get(&table)?.routes;
        let after = routes.partition_point(|route| route.descriptor.range.start.as_ref() <= key);
        let route = routes.get(after.checked_sub(1)?)?;
        let end = &route.descriptor.range.end;
        (end.is_empty() || key < end.as_ref()).then(|| route.clone())
    }

    pub fn table(&self, table: TableId) -> Option<&KnownTable> {
        self.tables.get(&table)
    }
}

/// A partition, as far as the reports that were looked at tell.
struct Candidate<'a> {
    group: GroupName,
    descriptor: &'a PartitionDescriptor,
    definition: &'a TableDefinition,
    leader: Option<&'a ReplicaReport>,
    /// Applied index, items and bytes of the replica that has applied the most.
    counted: (u64, u64, u64),
}

/// One more node has what is left of a table. One that was behind when it was dropped there lacks the streams that the table had since, and
/// is not asked for any.
fn note_retired(
    retired: &mut HashMap<TableId, RetiredTable>,
    node: &KnownNode,
    group: &GroupName,
    RetiredReport { descriptor, definition }: &RetiredReport,
) {
    let own = descriptor.members.iter().find(|member| member.node_id == node.report.node_id);
    let own = own.map(|member| Member { address: node.address.clone(), ..member.clone() });
    let known_version = retired.get(&definition.table_id).map(|known| known.definition.schema_version);
    match known_version.map(|known| known.cmp(&definition.schema_version)) {
        Some(Ordering::Greater) => return,
        Some(Ordering::Less) => drop(retired.remove(&definition.table_id)),
        Some(Ordering::Equal) | None => {}
    }
    let table = retired.entry(definition.table_id).or_insert_with(|| {
        let descriptor = PartitionDescriptor { members: Vec::new(), ..descriptor.clone() };
        let route = Arc::new(Route { group: group.clone(), descriptor, leader: None });
        RetiredTable { definition: definition.clone(), route }
    });
    Arc::make_mut(&mut table.route).descriptor.members.extend(own);
}

/// The table of these partitions; none where there is no partition.
fn known(mut partitions: Vec<Candidate<'_>>) -> Option<KnownTable> {
    partitions.sort_by(|a, b| a.descriptor.range.start.cmp(&b.descriptor.range.start));
    let definitions = partitions.iter().map(|partition| partition.definition);
    let definition = definitions.max_by_key(|definition| definition.schema_version)?.clone();
    let leaders = || partitions.iter().filter_map(|partition| partition.leader);
    Some(KnownTable {
        definition,
        item_count: partitions.iter().map(|partition| partition.counted.1).sum(),
        size_bytes: partitions.iter().map(|partition| partition.counted.2).sum(),
        regions: leaders().flat_map(|leader| leader.regions.clone()).collect(),
        fed_by: leaders().flat_map(|leader| leader.fed_by.clone()).collect(),
        left_transactions: leaders().flat_map(|leader| leader.left_transactions.clone()).collect(),
        routes: partitions.into_iter().map(|partition| Arc::new(partition.into())).collect(),
    })
}

impl From<Candidate<'_>> for Route {
    fn from(partition: Candidate<'_>) -> Self {
        let leader = partition.leader.map(|leader| leader.replica_id);
        Self { group: partition.group, descriptor: partition.descriptor.clone(), leader }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use cairn_model::{
        descriptor::{KeyRange, MemberRole},
        ids::NodeId,
        index::{GlobalIndex, IndexProjection, ProjectionType},
        table::{KeyAttribute, KeySchema, ScalarType, StreamViewType},
    };

    const TABLE: TableId = TableId([1; 16]);

    fn definition(schema_version: u64) -> TableDefinition {
        TableDefinition {
            schema_version,
            ..TableDefinition::new(
                "game",
                "users",
                TABLE,
                KeySchema { partition: KeyAttribute { name: "Id".into(), scalar_type: ScalarType::S }, sort: None },
            )
        }
    }

    fn replica(partition: u8, range: (&'static [u8], &'static [u8]), epoch: u64) -> ReplicaReport {
        let member = |id: u64| Member {
            replica_id: ReplicaId(id),
            node_id: NodeId([id as u8; 16]),
            zone: format!("zone-{id}"),
            address: format!("node-{id}:7400"),
            role: MemberRole::Voter,
        };
        let range = KeyRange { start: Bytes::from_static(range.0), end: Bytes::from_static(range.1) };
        let members = (1..=3).map(member).collect();
        let mut descriptor = PartitionDescriptor::first(PartitionId([partition; 16]), TABLE, range, members);
        descriptor.epoch = epoch;
        ReplicaReport {
            applied_index: epoch,
            item_count: 10 * epoch,
            size_bytes: 100 * epoch,
            ..ReplicaReport::new(ReplicaId(1), ReplicaState::Follower, descriptor, definition(epoch))
        }
    }

    fn node(address: &str, replicas: Vec<ReplicaReport>) -> KnownNode {
        KnownNode {
            address: address.into(),
            report: NodeReport {
                node_id: NodeId([9; 16]),
                region: "east".into(),
                account: "game".into(),
                group: "default".into(),
                zone: "z".into(),
                version: "0".into(),
                replicas,
                disk_free_bytes: 0,
                disk_total_bytes: 0,
                disk_full: false,
                retired: Vec::new(),
                consumption: None,
            },
        }
    }

    #[test]
    fn a_key_is_found_in_the_partition_whose_range_holds_it() {
        let nodes = [node("a", vec![replica(2, (b"m", b""), 1), replica(1, (b"", b"m"), 1)])];
        let routes = Routes::from_reports(&nodes);
        for (key, partition) in [(&b""[..], 1), (b"a", 1), (b"lzzz", 1), (b"m", 2), (b"zz", 2)] {
            assert_eq!(
                routes.find(TABLE, key).unwrap().descriptor.partition_id,
                PartitionId([partition; 16]),
                "{key:?}"
            );
        }
    }

    #[test]
    fn a_part_of_the_keys_that_no_node_holds_is_not_guessed_at() {
        let nodes = [node("a", vec![replica(1, (b"", b"g"), 1), replica(2, (b"m", b""), 1)])];
        let routes = Routes::from_reports(&nodes);
        assert!(routes.find(TABLE, b"h").is_none());
        assert!(routes.find(TableId([2; 16]), b"a").is_none());
    }

    #[test]
    fn the_partitions_of_an_index_are_found_by_its_id_and_are_no_table() {
        let id = TableId([3; 16]);
        let index = GlobalIndex {
            index_name: "by-team".into(),
            index_id: id,
            slot: 0,
            key_schema: definition(1).key_schema.into(),
            projection: IndexProjection { projection_type: ProjectionType::All, non_key_attributes: [].into() },
            provisioned_throughput: None,
            on_demand_throughput: None,
            warm_throughput: None,
            partitions: Vec::new(),
        };
        let mut of_index = replica(2, (b"", b""), 1);
        (of_index.state, of_index.descriptor.table_id) = (ReplicaState::Leader, id);
        of_index.definition = of_index.definition.of_index(&index);
        of_index.fed_by = vec![FedReport { partition_id: PartitionId([1; 16]), complete: true, through: 9 }];
        let nodes = [node("a", vec![replica(1, (b"", b""), 1), of_index])];
        let routes = Routes::from_reports(&nodes);
        assert!(routes.tables().map(|table| table.definition.table_id).eq([TABLE]));
        assert_eq!(routes.find(id, b"x").unwrap().descriptor.partition_id, PartitionId([2; 16]));
        assert!(routes.table(id).unwrap().fed_by[0].complete);
    }

    #[test]
    fn what_is_left_of_a_deleted_table_is_where_nodes_say_so_and_is_no_table() {
        let mut open = replica(1, (b"", b""), 1);
        open.definition.set_stream(Some(StreamViewType::KeysOnly), 1_000);
        let (descriptor, definition) = (open.descriptor.clone(), open.definition.retired(5_000));
        let retired = |id: u8| {
            let mut node = node(&format!("pod-{id}"), Vec::new());
            node.report.node_id = NodeId([id; 16]);
            let (descriptor, definition) = (descriptor.clone(), definition.clone());
            node.report.retired = vec![RetiredReport { descriptor, definition }];
            node
        };
        let there = [node("a", vec![open.clone()])];
        let routes = Routes::from_reports(&there);
        assert!(routes.streamed().eq([&open.definition]) && routes.retired(TABLE).is_none());
        let routes = Routes::from_reports(&[retired(1), retired(3), there[0].clone()]);
        assert!(routes.streamed().eq([&definition]), "it is told of once, as it has ended");
        let route = routes.retired(TABLE).unwrap();
        let members: Vec<_> = route.descriptor.members.iter().map(|member| member.address.as_str()).collect();
        assert_eq!(members, ["pod-1", "pod-3"]);
        assert_eq!(
            routes.find(TABLE, b"x").unwrap().descriptor.members.len(),
            3,
            "what is there of it is asked as before"
        );
        let routes = Routes::from_reports(&[retired(2)]);
        assert_eq!(routes.tables().count(), 0);
        assert!(routes.find(TABLE, b"x").is_none() && routes.table(TABLE).is_none());
    }

    #[test]
    fn who_was_behind_when_a_table_was_dropped_is_not_asked_for_its_streams() {
        let held = replica(1, (b"", b""), 1);
        let retired = |id: u8, streams: u64| {
            let mut definition = held.definition.clone();
            for stream in 1..=streams {
                definition.set_stream(Some(StreamViewType::KeysOnly), 1_000 * stream);
                definition.schema_version += 1;
            }
            let mut node = node(&format!("pod-{id}"), Vec::new());
            node.report.node_id = NodeId([id; 16]);
            let definition = definition.retired(5_000);
            node.report.retired = vec![RetiredReport { descriptor: held.descriptor.clone(), definition }];
            node
        };
        for order in [[1, 2, 2], [2, 1, 2], [2, 2, 1]] {
            let nodes: Vec<KnownNode> = (1..).zip(order).map(|(id, streams)| retired(id, streams)).collect();
            let routes = Routes::from_reports(&nodes);
            let told = routes.streamed().map(|table| table.readable_streams(5_000).count()).collect::<Vec<_>>();
            let asked = routes.retired(TABLE).unwrap().descriptor.members.len();
            assert_eq!((told, asked), (vec![2], 2), "{order:?}");
        }
    }

    #[test]
    fn the_newest_descriptor_definition_and_leader_count() {
        let mut old = replica(1, (b"", b""), 1);
        old.state = ReplicaState::Leader;
        let mut new = replica(1, (b"", b""), 2);
        (new.state, new.term, new.replica_id) = (ReplicaState::Leader, 2, ReplicaId(3));
        for nodes in
            [[node("a", vec![old.clone()]), node("b", vec![new.clone()])], [node("b", vec![new]), node("a", vec![old])]]
        {
            let routes = Routes::from_reports(&nodes);
            let route = routes.find(TABLE, b"x").unwrap();
            assert_eq!((route.descriptor.epoch, route.leader), (2, Some(ReplicaId(3))));
            let table = routes.tables().next().unwrap();
            assert_eq!((table.definition.schema_version, table.item_count, table.size_bytes), (2, 20, 200));
        }
    }
}
