//! Nodes and their reports for the tests.

use crate::{
    build::fixture::{config, spec},
    controller::storage_group::members::{self, ExpectedNode},
};
use cairn_crds::{StorageGroup, Table, TableSpec};
use cairn_model::{
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId, TableId},
    index::{GlobalIndex, IndexProjection, LocalIndex, ProjectionType},
    node::{NodeReport, ReplicaReport, ReplicaState},
    table::{KeyAttribute, KeySchema, ScalarType, TableDefinition},
};
use std::{collections::BTreeSet, sync::Arc};

pub(crate) fn table_id() -> TableId {
    TableId([7; 16])
}

pub(crate) fn zones() -> Vec<String> {
    ["zone-a", "zone-b", "zone-c"].map(str::to_owned).to_vec()
}

pub(crate) fn nodes() -> Vec<ExpectedNode> {
    let mut group = StorageGroup::new("default", spec());
    group.metadata.namespace = Some("game".into());
    members::expected(&group, &zones(), &config())
}

pub(crate) fn local_index(name: &str, slot: u8) -> LocalIndex {
    LocalIndex {
        index_name: name.into(),
        slot,
        sort: KeyAttribute { name: "At".into(), scalar_type: ScalarType::S },
        projection: IndexProjection { projection_type: ProjectionType::KeysOnly, non_key_attributes: BTreeSet::new() },
    }
}

pub(crate) fn index_id() -> TableId {
    TableId([8; 16])
}

/// A global index of the table `users`, under a key of its own.
pub(crate) fn global_index(name: &str, slot: u8) -> GlobalIndex {
    GlobalIndex {
        index_name: name.into(),
        index_id: index_id(),
        slot,
        key_schema: KeySchema {
            partition: KeyAttribute { name: "Team".into(), scalar_type: ScalarType::S },
            sort: None,
        }
        .into(),
        projection: IndexProjection { projection_type: ProjectionType::KeysOnly, non_key_attributes: BTreeSet::new() },
        provisioned_throughput: None,
        on_demand_throughput: None,
        warm_throughput: None,
        partitions: Vec::new(),
    }
}

pub(crate) fn definition() -> TableDefinition {
    TableDefinition {
        creation_time_ms: 1_000,
        ..TableDefinition::new(
            "game",
            "users",
            table_id(),
            KeySchema { partition: KeyAttribute { name: "UserId".into(), scalar_type: ScalarType::S }, sort: None },
        )
    }
}

pub(crate) fn table(name: &str) -> Table {
    let mut spec = TableSpec::from_definition(&definition());
    spec.table_name = None;
    let mut table = Table::new(name, spec);
    table.metadata.namespace = Some("game".into());
    table
}

/// What so many nodes say that hold one replica each of the table `users`; the first of them leads.
pub(crate) fn reports_of_one_table(count: u8) -> Vec<Arc<NodeReport>> {
    let nodes = nodes();
    let members = nodes.iter().take(count.into()).zip(1..).map(|(node, n): (_, u8)| Member {
        replica_id: ReplicaId(n.into()),
        node_id: NodeId([n; 16]),
        zone: node.zone.clone(),
        address: node.target.address.clone(),
        role: MemberRole::Voter,
    });
    let descriptor =
        PartitionDescriptor::first(PartitionId([5; 16]), table_id(), KeyRange::default(), members.collect());
    let report = |member: &Member| {
        let state = if member.replica_id.0 == 1 { ReplicaState::Leader } else { ReplicaState::Follower };
        let replica = ReplicaReport {
            leader: Some(ReplicaId(1)),
            term: 1,
            applied_index: 1,
            caught_up: true,
            item_count: 5,
            size_bytes: 500,
            ..ReplicaReport::new(member.replica_id, state, descriptor.clone(), definition())
        };
        Arc::new(NodeReport {
            node_id: member.node_id,
            region: "east".into(),
            account: "game".into(),
            group: "default".into(),
            zone: member.zone.clone(),
            version: "0".into(),
            replicas: vec![replica],
            disk_free_bytes: 1,
            disk_total_bytes: 2,
            disk_full: false,
            retired: Vec::new(),
            consumption: None,
        })
    };
    descriptor.members.iter().map(report).collect()
}
