//! Where a table's partitions first lie, and its ways to and from partition descriptors.

use super::definition::DefinitionError;
use bytes::Bytes;
use cairn_model::{
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId, TableId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    #[schemars(length(max = 36))]
    pub partition_id: String,
    /// The first key of the partition, in hexadecimal; empty where it has no lower bound.
    #[serde(default)]
    #[schemars(length(max = 8192))]
    pub range_start: String,
    /// The key behind its last, in hexadecimal; empty where it has no upper bound.
    #[serde(default)]
    #[schemars(length(max = 8192))]
    pub range_end: String,
    pub epoch: i64,
    /// The node that initialises the partition, with all its members.
    #[schemars(length(max = 36))]
    pub bootstrap_node: String,
    #[schemars(length(min = 1, max = 7), extend("x-kubernetes-list-type" = "atomic"))]
    pub members: Vec<PlacementMember>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementMember {
    pub replica_id: i64,
    #[schemars(length(max = 36))]
    pub node_id: String,
    #[schemars(length(max = 63))]
    pub zone: String,
    #[schemars(length(max = 320))]
    pub address: String,
}

impl Placement {
    /// The placement that says what the descriptor does.
    pub fn from_descriptor(descriptor: &PartitionDescriptor, bootstrap_node: NodeId) -> Self {
        Self {
            partition_id: descriptor.partition_id.to_string(),
            range_start: hex(&descriptor.range.start),
            range_end: hex(&descriptor.range.end),
            epoch: i64::try_from(descriptor.epoch).unwrap_or(i64::MAX),
            bootstrap_node: bootstrap_node.to_string(),
            members: descriptor
                .members
                .iter()
                .map(|member| PlacementMember {
                    replica_id: i64::try_from(member.replica_id.0).unwrap_or(i64::MAX),
                    node_id: member.node_id.to_string(),
                    zone: member.zone.clone(),
                    address: member.address.clone(),
                })
                .collect(),
        }
    }

    /// The descriptor of the partition as it is first made: every member a voter, no parents.
    pub fn descriptor(&self, table_id: TableId) -> Result<PartitionDescriptor, DefinitionError> {
        let members = self
            .members
            .iter()
            .map(|member| {
                Ok(Member {
                    replica_id: ReplicaId(unsigned("replicaId", member.replica_id)?),
                    node_id: id("nodeId", &member.node_id)?,
                    zone: member.zone.clone(),
                    address: member.address.clone(),
                    role: MemberRole::Voter,
                })
            })
            .collect::<Result<Vec<_>, DefinitionError>>()?;
        let partition_id = id::<PartitionId>("partitionId", &self.partition_id)?;
        let range =
            KeyRange { start: unhex("rangeStart", &self.range_start)?, end: unhex("rangeEnd", &self.range_end)? };
        let epoch = unsigned("epoch", self.epoch)?;
        Ok(PartitionDescriptor { epoch, ..PartitionDescriptor::first(partition_id, table_id, range, members) })
    }

    /// The node that initialises the partition.
    pub fn bootstrap_node(&self) -> Result<NodeId, DefinitionError> {
        id("bootstrapNode", &self.bootstrap_node)
    }
}

fn unsigned(field: &'static str, value: i64) -> Result<u64, DefinitionError> {
    u64::try_from(value).map_err(|_| invalid(field, value.to_string()))
}

fn id<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, DefinitionError> {
    text.parse().map_err(|_| invalid(field, text.to_owned()))
}

fn hex(bytes: &Bytes) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(field: &'static str, text: &str) -> Result<Bytes, DefinitionError> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return Err(invalid(field, text.to_owned()));
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| invalid(field, text.to_owned())))
        .collect::<Result<Vec<u8>, _>>()
        .map(Bytes::from)
}

fn invalid(field: &'static str, value: String) -> DefinitionError {
    DefinitionError::Invalid { field, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_survives_the_way_through_a_placement() {
        let descriptor = PartitionDescriptor {
            partition_id: PartitionId([1; 16]),
            table_id: TableId([2; 16]),
            range: KeyRange { start: Bytes::new(), end: Bytes::from_static(&[0x0f, 0xff]) },
            epoch: 1,
            members: (1..=3)
                .map(|n| Member {
                    replica_id: ReplicaId(n),
                    node_id: NodeId([u8::try_from(n).unwrap(); 16]),
                    zone: format!("zone-{n}"),
                    address: format!("pod-{n}:7400"),
                    role: MemberRole::Voter,
                })
                .collect(),
            next_replica_id: 4,
            parents: Vec::new(),
        };
        let placement = Placement::from_descriptor(&descriptor, NodeId([1; 16]));
        assert_eq!(placement.range_end, "0fff");
        assert_eq!(placement.descriptor(TableId([2; 16])).unwrap(), descriptor);
        assert_eq!(placement.bootstrap_node().unwrap(), NodeId([1; 16]));
    }

    #[test]
    fn a_placement_that_can_not_be_read_names_its_field() {
        let placement = Placement {
            partition_id: "no".into(),
            range_start: String::new(),
            range_end: String::new(),
            epoch: 1,
            bootstrap_node: String::new(),
            members: Vec::new(),
        };
        assert!(placement.descriptor(TableId([2; 16])).unwrap_err().to_string().contains("partitionId"));
    }
}
