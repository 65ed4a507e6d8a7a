//! Where a new table's partition is put: one node in each zone of its group.

use crate::controller::storage_group::members::ExpectedNode;
use cairn_crds::{storage_group::StorageNodeStatus, table::Placement};
use cairn_model::{
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId, TableId},
    node::NodeReport,
};
use std::sync::Arc;

/// Chooses the members. A node that does not answer now is chosen by the identity it had, as long as most zones answer.
/// None while there are too few; the text says what is waited for.
pub fn choose(
    zones: &[String],
    nodes: &[ExpectedNode],
    answers: &[Option<Arc<NodeReport>>],
    known: &[StorageNodeStatus],
    table_id: TableId,
    partition_id: PartitionId,
) -> Result<Placement, String> {
    let mut members = Vec::new();
    let mut answering = Vec::new();
    for (zone, replica) in zones.iter().zip(1..) {
        let Some((node, id, answers)) = of_zone(zone, nodes, answers, known) else {
            return Err(format!("waiting for a storage node in {zone}"));
        };
        if answers {
            answering.push(id);
        }
        members.push(Member {
            replica_id: ReplicaId(replica),
            node_id: id,
            zone: zone.clone(),
            address: node.target.address.clone(),
            role: MemberRole::Voter,
        });
    }
    if answering.len() * 2 <= zones.len() {
        return Err(format!("only {} of {} zones answer", answering.len(), zones.len()));
    }
    // The leader tends to be where the partition is made: spread them.
    let bootstrap = answering[usize::from(partition_id.0[15]) % answering.len()];
    let descriptor = PartitionDescriptor::first(partition_id, table_id, KeyRange::default(), members);
    Ok(Placement::from_descriptor(&descriptor, bootstrap))
}

/// The node of the zone with the fewest replicas, its identity, and whether it answers.
fn of_zone<'a>(
    zone: &str,
    nodes: &'a [ExpectedNode],
    answers: &[Option<Arc<NodeReport>>],
    known: &[StorageNodeStatus],
) -> Option<(&'a ExpectedNode, NodeId, bool)> {
    let in_zone = || nodes.iter().zip(answers).filter(|(node, _)| node.zone == zone);
    let answering = in_zone()
        .filter_map(|(node, report)| report.as_ref().map(|report| (node, report)))
        .min_by_key(|(_, report)| report.replicas.len());
    if let Some((node, report)) = answering {
        return Some((node, report.node_id, true));
    }
    in_zone().find_map(|(node, _)| {
        let known = known.iter().find(|known| known.address == node.target.address)?;
        Some((node, known.node_id.as_ref()?.parse().ok()?, false))
    })
}

/// Whether all nodes of at least one zone answered, so that what they hold is all there is.
pub fn a_zone_has_answered(zones: &[String], nodes: &[ExpectedNode], answers: &[Option<Arc<NodeReport>>]) -> bool {
    zones.iter().any(|zone| {
        let mut of_zone = nodes.iter().zip(answers).filter(|(node, _)| node.zone == *zone).peekable();
        of_zone.peek().is_some() && of_zone.all(|(_, report)| report.is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;

    fn choose_from(answers: &[Option<Arc<NodeReport>>], known: &[StorageNodeStatus]) -> Result<Placement, String> {
        let (zones, nodes) = (fixture::zones(), fixture::nodes());
        choose(&zones, &nodes, answers, known, TableId([1; 16]), PartitionId([2; 16]))
    }

    fn answers() -> Vec<Option<Arc<NodeReport>>> {
        fixture::reports_of_one_table(3).into_iter().map(Some).collect()
    }

    #[test]
    fn a_partition_has_one_voter_in_each_zone() {
        let placement = choose_from(&answers(), &[]).unwrap();
        let zones: Vec<_> = placement.members.iter().map(|member| member.zone.clone()).collect();
        assert_eq!(zones, fixture::zones());
        assert_eq!(placement.members.iter().map(|m| m.replica_id).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(placement.members.iter().any(|member| member.node_id == placement.bootstrap_node));
    }

    #[test]
    fn a_node_that_is_down_is_placed_by_the_identity_it_had() {
        let mut some = answers();
        let down = some[2].take().unwrap();
        assert!(choose_from(&some, &[]).is_err());
        let known = StorageNodeStatus {
            node_id: Some(down.node_id.to_string()),
            zone: fixture::zones()[2].clone(),
            address: fixture::nodes()[2].target.address.clone(),
            ready: false,
        };
        let placement = choose_from(&some, &[known]).unwrap();
        assert_eq!(placement.members[2].node_id, down.node_id.to_string());
        assert_ne!(placement.bootstrap_node, down.node_id.to_string());
    }

    #[test]
    fn nothing_is_placed_while_most_zones_are_silent() {
        let known: Vec<_> = fixture::nodes()
            .iter()
            .zip(answers())
            .map(|(node, report)| StorageNodeStatus {
                node_id: report.map(|report| report.node_id.to_string()),
                zone: node.zone.clone(),
                address: node.target.address.clone(),
                ready: false,
            })
            .collect();
        let mut one = answers();
        one[1] = None;
        one[2] = None;
        assert!(choose_from(&one, &known).unwrap_err().contains("1 of 3"));
        assert!(a_zone_has_answered(&fixture::zones(), &fixture::nodes(), &one));
        one[0] = None;
        assert!(!a_zone_has_answered(&fixture::zones(), &fixture::nodes(), &one));
    }
}
