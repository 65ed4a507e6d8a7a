//! What is read from where.

use super::{message::IndexDescription, standing::PairName};
use cairn_model::{
    descriptor::KeyRange,
    ids::PartitionId,
    node::{ReplicaReport, ReplicaState},
    table::{KeyAttribute, PeerCluster},
};

/// A partition here, and the region that has the same table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) partition: PartitionId,
    pub(super) range: KeyRange,
    pub(super) account: String,
    pub(super) table: String,
    pub(super) keys: Vec<KeyAttribute>,
    pub(super) local_indexes: Vec<IndexDescription>,
    pub(super) own_region: String,
    pub(super) own_cluster_id: String,
    pub(super) region: String,
    pub(super) peer: PeerCluster,
}

impl Pair {
    /// Those of a replica.
    pub(super) fn of(replica: &ReplicaReport) -> Vec<Self> {
        let definition = &replica.definition;
        let Some(replicas) = definition.replicas.as_ref().filter(|_| replica.state == ReplicaState::Leader) else {
            return Vec::new();
        };
        let schema = &definition.key_schema;
        let keys: Vec<_> = std::iter::once(&schema.partition).chain(&schema.sort).cloned().collect();
        let local_indexes = IndexDescription::all_of(definition);
        let others = replicas
            .peers
            .iter()
            .filter(|(region, _)| **region != replicas.region && replicas.members.contains(*region));
        others
            .map(|(region, peer)| Self {
                partition: replica.descriptor.partition_id,
                range: replica.descriptor.range.clone(),
                account: definition.account.clone(),
                table: definition.table_name.clone(),
                keys: keys.clone(),
                local_indexes: local_indexes.clone(),
                own_region: replicas.region.clone(),
                own_cluster_id: replicas.cluster_id.clone(),
                region: region.clone(),
                peer: peer.clone(),
            })
            .collect()
    }

    pub(super) fn name(&self) -> PairName {
        (self.partition, self.region.clone())
    }
}

/// Local indexes, for a person.
pub(super) fn named_indexes(indexes: &[IndexDescription]) -> String {
    let named = indexes.iter().map(|index| {
        let IndexDescription { index_name, sort, projection_type, non_key_attributes } = index;
        let included: Vec<_> = non_key_attributes.iter().map(String::as_str).collect();
        let included = if included.is_empty() { String::new() } else { format!(": {}", included.join(", ")) };
        format!("{index_name} ({} {:?}, {projection_type:?}{included})", sort.name, sort.scalar_type)
    });
    let named = named.collect::<Vec<_>>().join(", ");
    if named.is_empty() { "none".to_owned() } else { named }
}

/// Keys, for a person.
pub(super) fn named(keys: &[KeyAttribute]) -> String {
    let named = keys.iter().map(|key| format!("{} ({:?})", key.name, key.scalar_type));
    named.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::{
        descriptor::PartitionDescriptor,
        ids::{ReplicaId, TableId},
        table::{GlobalReplicas, KeySchema, ScalarType, TableDefinition},
    };

    fn leader() -> ReplicaReport {
        let mut replicas = GlobalReplicas::in_region("east");
        let west = PeerCluster { endpoint: "https://west:8443".into(), cluster_id: "w".into(), ca: String::new() };
        replicas.members.extend(["north".to_owned(), "west".to_owned()]);
        replicas.peers.insert("west".into(), west);
        let partition = KeyAttribute { name: "Id".into(), scalar_type: ScalarType::S };
        let table_id = TableId([2; 16]);
        let descriptor = PartitionDescriptor::first(PartitionId([1; 16]), table_id, KeyRange::default(), Vec::new());
        let definition = TableDefinition {
            replicas: Some(replicas),
            ..TableDefinition::new("game", "users", table_id, KeySchema { partition, sort: None })
        };
        ReplicaReport::new(ReplicaId(1), ReplicaState::Leader, descriptor, definition)
    }

    fn read(replica: &ReplicaReport) -> Vec<String> {
        Pair::of(replica).into_iter().map(|pair| pair.region).collect()
    }

    #[test]
    fn a_leader_reads_from_the_members_that_it_knows_how_to_reach() {
        assert_eq!(read(&leader()), ["west"], "of the north there is no bundle yet");
    }

    #[test]
    fn nobody_else_reads_and_from_nobody_else() {
        let follower = ReplicaReport { state: ReplicaState::Follower, ..leader() };
        let mut alone = leader();
        alone.definition.replicas.as_mut().unwrap().members.remove("west");
        let mut ordinary = leader();
        ordinary.definition.replicas = None;
        for replica in [follower, alone, ordinary] {
            assert!(read(&replica).is_empty(), "{replica:?}");
        }
    }
}
