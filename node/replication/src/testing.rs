//! Small tables and partitions for this package's unit tests.

use cairn_model::{
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId, TableId},
    table::{BillingMode, KeyAttribute, KeySchema, ScalarType, TableDefinition},
};

/// A partition with voters 1 to `voters`, on the nodes of the same numbers.
pub(crate) fn descriptor(voters: u8) -> PartitionDescriptor {
    let members = (1..=voters)
        .map(|number| Member {
            replica_id: ReplicaId(number.into()),
            node_id: NodeId([number; 16]),
            zone: format!("zone-{number}"),
            address: format!("node-{number}:7400"),
            role: MemberRole::Voter,
        })
        .collect();
    PartitionDescriptor {
        partition_id: PartitionId([7; 16]),
        table_id: TableId([8; 16]),
        range: KeyRange::default(),
        epoch: 1,
        members,
        next_replica_id: u64::from(voters) + 1,
        parents: Vec::new(),
    }
}

pub(crate) fn definition() -> TableDefinition {
    TableDefinition {
        account: "game".into(),
        table_name: "users".into(),
        table_id: TableId([8; 16]),
        schema_version: 1,
        key_schema: KeySchema { partition: KeyAttribute { name: "id".into(), scalar_type: ScalarType::S }, sort: None },
        billing_mode: BillingMode::PayPerRequest,
        provisioned_throughput: None,
        table_class: None,
        deletion_protection_enabled: false,
        creation_time_ms: 0,
    }
}
