//! What the nodes say of a table's partitions; it wins over what any status says.

use crate::{controller::storage_group::members::ExpectedNode, node_client::Target};
use cairn_model::{
    descriptor::{Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, PartitionId, TableId},
    node::{NodeReport, Order, ReplicaReport, ReplicaState},
    table::TableDefinition,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The nodes of a group, and what each of them answered.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'a> {
    pub nodes: &'a [ExpectedNode],
    pub reports: &'a [Option<Arc<NodeReport>>],
}

/// What the nodes say of one partition.
#[derive(Clone, Debug)]
pub struct Partition<'a> {
    /// The leader's descriptor, or the newest there is.
    pub descriptor: &'a PartitionDescriptor,
    pub leader: Option<(&'a Target, &'a ReplicaReport)>,
}

/// What the nodes say of a table.
#[derive(Clone, Debug, Default)]
pub struct Observation<'a> {
    pub partitions: BTreeMap<PartitionId, Partition<'a>>,
}

impl<'a> Observation<'a> {
    pub fn of(table_id: TableId, answers: Answers<'a>) -> Self {
        let mut partitions: BTreeMap<PartitionId, Partition<'a>> = BTreeMap::new();
        for (node, replica) in answers.replicas().filter(|(_, replica)| replica.descriptor.table_id == table_id) {
            let partition = partitions
                .entry(replica.descriptor.partition_id)
                .or_insert(Partition { descriptor: &replica.descriptor, leader: None });
            let leads = replica.state == ReplicaState::Leader;
            if leads && partition.leader.is_none_or(|(_, other)| replica.term > other.term) {
                partition.leader = Some((&node.target, replica));
            }
            if replica.descriptor.epoch > partition.descriptor.epoch {
                partition.descriptor = &replica.descriptor;
            }
        }
        for partition in partitions.values_mut() {
            if let Some((_, leader)) = partition.leader {
                partition.descriptor = &leader.descriptor;
            }
        }
        Self { partitions }
    }

    /// Whether every partition that was seen has a leader, and one was seen.
    pub fn is_led(&self) -> bool {
        !self.partitions.is_empty() && self.partitions.values().all(|partition| partition.leader.is_some())
    }

    pub fn leaders(&self) -> impl Iterator<Item = (&'a Target, &'a ReplicaReport)> {
        self.partitions.values().filter_map(|partition| partition.leader)
    }

    /// The oldest definition that a leader has.
    pub fn definition(&self) -> Option<&'a TableDefinition> {
        self.leaders().map(|(_, leader)| &leader.definition).min_by_key(|definition| definition.schema_version)
    }

    pub fn item_count(&self) -> u64 {
        self.leaders().map(|(_, leader)| leader.item_count).sum()
    }

    pub fn size_bytes(&self) -> u64 {
        self.leaders().map(|(_, leader)| leader.size_bytes).sum()
    }

    /// In how many of its zones every partition has all its members well, and how many zones there are.
    pub fn zones_ready(&self, answers: Answers<'_>) -> (usize, usize) {
        let members = || self.partitions.values().flat_map(|p| p.descriptor.members.iter().map(move |m| (p, m)));
        let zones: BTreeSet<&str> = members().map(|(_, member)| member.zone.as_str()).collect();
        let is_ready = |zone: &&&str| {
            members()
                .filter(|(_, member)| member.zone == ***zone)
                .all(|(partition, member)| answers.is_well(partition.descriptor.partition_id, member))
        };
        (zones.iter().filter(is_ready).count(), zones.len())
    }

    /// For each partition, a replica to be replaced: damaged, or on a volume that is no more; if a quorum stands without it.
    pub fn repairs(&self, answers: Answers<'_>) -> Vec<(Target, Order)> {
        let mut orders = Vec::new();
        for (&partition_id, partition) in &self.partitions {
            let Some((target, _)) = partition.leader else { continue };
            let voters = || partition.descriptor.members.iter().filter(|member| member.role == MemberRole::Voter);
            for member in &partition.descriptor.members {
                let Some(node_id) = answers.wants_replacing(partition.descriptor, member) else { continue };
                let others_well =
                    voters().filter(|v| v.replica_id != member.replica_id && answers.is_well(partition_id, v)).count();
                if others_well > voters().count() / 2 {
                    let order = Order::ReplaceReplica {
                        partition_id,
                        replace: member.replica_id,
                        node_id,
                        zone: member.zone.clone(),
                        address: member.address.clone(),
                    };
                    orders.push((target.clone(), order));
                    break;
                }
            }
        }
        orders
    }
}

impl<'a> Answers<'a> {
    /// Every replica that is reported, and where it is.
    pub fn replicas(self) -> impl Iterator<Item = (&'a ExpectedNode, &'a ReplicaReport)> {
        self.nodes
            .iter()
            .zip(self.reports)
            .filter_map(|(node, report)| report.as_ref().map(|report| (node, report)))
            .flat_map(|(node, report)| report.replicas.iter().map(move |replica| (node, replica)))
    }

    /// Whether there are nodes, and all of them answered.
    pub fn are_all_heard(self) -> bool {
        !self.reports.is_empty() && self.reports.iter().all(Option::is_some)
    }

    /// What the node with this address answered, whoever it is.
    pub fn at(self, address: &str) -> Option<(&'a ExpectedNode, &'a NodeReport)> {
        let (node, report) = self.nodes.iter().zip(self.reports).find(|(node, _)| node.target.address == address)?;
        report.as_ref().map(|report| (node, report.as_ref()))
    }

    /// Whether the member is there, undamaged and up to date.
    fn is_well(self, partition_id: PartitionId, member: &Member) -> bool {
        self.reports.iter().flatten().filter(|report| report.node_id == member.node_id).any(|report| {
            report.replicas.iter().any(|replica| {
                replica.descriptor.partition_id == partition_id
                    && replica.replica_id == member.replica_id
                    && replica.caught_up
                    && !matches!(replica.state, ReplicaState::Damaged(_))
            })
        })
    }

    /// The node on which the member is to be made anew, if it is to be.
    fn wants_replacing(self, descriptor: &PartitionDescriptor, member: &Member) -> Option<NodeId> {
        let (_, report) = self.at(&member.address)?;
        if report.node_id == member.node_id {
            let is_damaged = report.replicas.iter().any(|replica| {
                replica.descriptor.partition_id == descriptor.partition_id
                    && replica.replica_id == member.replica_id
                    && matches!(replica.state, ReplicaState::Damaged(_))
            });
            return is_damaged.then_some(report.node_id);
        }
        self.successor(descriptor, member)
    }

    /// Whether the member's node is no more: the group has none at its address, or another is there in its place.
    pub fn is_gone(self, descriptor: &PartitionDescriptor, member: &Member) -> bool {
        let has_place = self.nodes.iter().any(|node| node.target.address == member.address);
        !self.has_heard(member.node_id) && (!has_place || self.successor(descriptor, member).is_some())
    }

    /// The node that has the place of the member's.
    ///
    /// A pod's address may for a moment lead to another pod: that a node is another counts only if neither it nor the member's own
    /// answers elsewhere, and it is no member already.
    fn successor(self, descriptor: &PartitionDescriptor, member: &Member) -> Option<NodeId> {
        let (_, report) = self.at(&member.address)?;
        let times_seen = |id: NodeId| self.reports.iter().flatten().filter(|report| report.node_id == id).count();
        let is_new = times_seen(report.node_id) == 1
            && !self.has_heard(member.node_id)
            && descriptor.members.iter().all(|other| other.node_id != report.node_id);
        is_new.then_some(report.node_id)
    }

    fn has_heard(self, node_id: NodeId) -> bool {
        self.reports.iter().flatten().any(|report| report.node_id == node_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;
    use cairn_model::ids::ReplicaId;

    fn observe<T>(reports: &[Option<Arc<NodeReport>>], look: impl FnOnce(&Observation<'_>, Answers<'_>) -> T) -> T {
        let nodes = fixture::nodes();
        let answers = Answers { nodes: &nodes, reports };
        look(&Observation::of(fixture::table_id(), answers), answers)
    }

    fn change(at: usize, change: impl FnOnce(&mut NodeReport)) -> Vec<Option<Arc<NodeReport>>> {
        let mut reports = fixture::reports_of_one_table(3);
        change(Arc::make_mut(&mut reports[at]));
        reports.into_iter().map(Some).collect()
    }

    #[test]
    fn a_table_is_led_when_a_leader_says_so() {
        let all = change(0, |_| {});
        observe(&all, |table, answers| {
            assert!(table.is_led());
            assert_eq!((table.item_count(), table.size_bytes()), (5, 500));
            assert_eq!(table.zones_ready(answers), (3, 3));
            assert!(table.repairs(answers).is_empty());
        });
        let leaderless = change(0, |report| report.replicas[0].state = ReplicaState::Follower);
        observe(&leaderless, |table, _| assert!(!table.is_led()));
        observe(&[], |table, _| assert!(!table.is_led()));
    }

    #[test]
    fn a_zone_that_is_down_is_not_ready() {
        let mut reports = change(0, |_| {});
        reports[2] = None;
        observe(&reports, |table, answers| {
            assert_eq!(table.zones_ready(answers), (2, 3));
            assert!(table.repairs(answers).is_empty(), "it may come back");
        });
    }

    #[test]
    fn a_damaged_replica_is_replaced_where_it_is() {
        let reports = change(2, |report| report.replicas[0].state = ReplicaState::Damaged("torn".into()));
        let (target, order) = observe(&reports, |table, answers| table.repairs(answers)).remove(0);
        assert_eq!(target, fixture::nodes()[0].target);
        assert!(
            matches!(order, Order::ReplaceReplica { replace: ReplicaId(3), node_id: NodeId(id), .. } if id == [3; 16])
        );
    }

    #[test]
    fn an_emptied_volume_is_a_new_node() {
        let reports = change(1, |report| {
            report.node_id = NodeId([9; 16]);
            report.replicas.clear();
        });
        let (_, order) = observe(&reports, |table, answers| table.repairs(answers)).remove(0);
        assert!(
            matches!(order, Order::ReplaceReplica { replace: ReplicaId(2), node_id: NodeId(id), .. } if id == [9; 16])
        );
    }

    #[test]
    fn a_node_that_answers_at_anothers_address_replaces_nobody() {
        let swapped = change(1, |report| report.node_id = NodeId([3; 16]));
        observe(&swapped, |table, answers| assert!(table.repairs(answers).is_empty()));
    }

    #[test]
    fn nothing_is_replaced_without_a_quorum_elsewhere() {
        let mut reports = change(2, |report| report.replicas[0].state = ReplicaState::Damaged("torn".into()));
        reports[1] = None;
        observe(&reports, |table, answers| assert!(table.repairs(answers).is_empty()));
    }
}
