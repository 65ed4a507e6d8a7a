//! Bootstrap, once: the recorded node gets a partition with its full membership, empty or from the archive.

use super::observation::{Answers, Observation};
use crate::{error::Result, node_client::Target};
use cairn_crds::table::Placement;
use cairn_model::{
    descriptor::{Member, PartitionDescriptor},
    ids::TableId,
};

/// The partitions that nobody has made yet, and the node that each is to be made on; or what is waited for, with what to do
/// (`remedy`) where that may be in vain.
///
/// After a leader was once seen (`was_led`) nothing is ever made again, nor restored: what is not there then is lost,
/// and making it anew would be a lie. Before that no membership changed, so a majority of the recorded members that hold nothing says that
/// the partition was not made.
pub fn missing(
    placements: &[Placement],
    was_led: bool,
    table_id: TableId,
    remedy: &str,
    observation: &Observation<'_>,
    answers: Answers<'_>,
) -> Result<Result<Vec<(Target, PartitionDescriptor)>, String>> {
    let mut missing = Vec::new();
    for placement in placements.iter().filter(|_| !was_led) {
        let descriptor = placement.descriptor(table_id)?;
        if observation.partitions.contains_key(&descriptor.partition_id) {
            continue;
        }
        if !most_answer(&descriptor, answers) {
            let answering = members_answering(&descriptor, answers);
            let silent = descriptor.members.iter().filter(|member| !is_answering(member, answers));
            let silent: Vec<_> = silent.map(|member| pod_of(member, answers)).collect();
            return Ok(Err(format!(
                "only {answering} of the {} chosen nodes answer: it goes on when enough of {} do; where their volumes are lost, \
                 {remedy}",
                descriptor.members.len(),
                silent.join(", ")
            )));
        }
        let bootstrap = placement.bootstrap_node()?;
        let at = descriptor.members.iter().find(|member| member.node_id == bootstrap);
        let node = at.and_then(|member| answers.at(&member.address)).filter(|(_, report)| report.node_id == bootstrap);
        let Some((node, _)) = node else {
            let pod = at.map_or_else(|| bootstrap.to_string(), |member| pod_of(member, answers));
            return Ok(Err(format!(
                "{pod}, which was chosen to begin, does not answer as the node {bootstrap}: it goes on when that does; where its \
                 volume is lost, {remedy}"
            )));
        };
        missing.push((node.target.clone(), descriptor));
    }
    Ok(Ok(missing))
}

/// Whether a partition of what nobody has led can't begin any more: the node that was chosen for it is gone, or so many others that
/// no quorum is left; and no node can have it, for all have answered, or most of its members.
pub fn are_in_vain(
    placements: &[Placement],
    was_led: bool,
    table_id: TableId,
    observation: &Observation<'_>,
    answers: Answers<'_>,
) -> Result<bool> {
    for placement in placements.iter().filter(|_| !was_led) {
        let descriptor = placement.descriptor(table_id)?;
        if observation.partitions.contains_key(&descriptor.partition_id) {
            continue;
        }
        let bootstrap = placement.bootstrap_node()?;
        let left: Vec<_> = descriptor.members.iter().filter(|member| !answers.is_gone(&descriptor, member)).collect();
        let has_quorum = left.len() * 2 > descriptor.members.len();
        let can_begin = has_quorum && left.iter().any(|member| member.node_id == bootstrap);
        let is_nowhere = answers.reports.iter().all(Option::is_some) || most_answer(&descriptor, answers);
        if !can_begin && is_nowhere {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether most of the members answer, as the nodes that were chosen.
fn most_answer(descriptor: &PartitionDescriptor, answers: Answers<'_>) -> bool {
    members_answering(descriptor, answers) * 2 > descriptor.members.len()
}

fn members_answering(descriptor: &PartitionDescriptor, answers: Answers<'_>) -> usize {
    descriptor.members.iter().filter(|member| is_answering(member, answers)).count()
}

fn is_answering(member: &Member, answers: Answers<'_>) -> bool {
    answers.at(&member.address).is_some_and(|(_, report)| report.node_id == member.node_id)
}

fn pod_of(member: &Member, answers: Answers<'_>) -> String {
    let node = answers.nodes.iter().find(|node| node.target.address == member.address);
    node.map_or_else(|| member.address.clone(), |node| node.pod_name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::{fixture, placement};
    use cairn_crds::{Table, TableResourceStatus};
    use cairn_model::{
        ids::{NodeId, PartitionId},
        node::NodeReport,
    };
    use std::sync::Arc;

    type Outcome = Result<Vec<(Target, PartitionDescriptor)>, String>;

    fn empty_nodes() -> Vec<Option<Arc<NodeReport>>> {
        let mut reports = fixture::reports_of_one_table(3);
        for report in &mut reports {
            Arc::make_mut(report).replicas.clear();
        }
        reports.into_iter().map(Some).collect()
    }

    fn placed() -> Table {
        let (zones, nodes) = (fixture::zones(), fixture::nodes());
        let partition = PartitionId([0; 16]);
        let placement = placement::choose(&zones, &nodes, &empty_nodes(), &[], fixture::table_id(), partition);
        let mut table = fixture::table("users");
        let placements = Some(vec![placement.unwrap()]);
        table.status = Some(TableResourceStatus { placements, ..TableResourceStatus::default() });
        table
    }

    fn found_missing(table: &Table, reports: &[Option<Arc<NodeReport>>]) -> Outcome {
        let nodes = fixture::nodes();
        let answers = Answers { nodes: &nodes, reports };
        let observation = Observation::of(fixture::table_id(), answers);
        let status = table.status.as_ref().unwrap();
        let (placements, was_led) = (status.placements.as_deref().unwrap(), status.schema_version.is_some());
        missing(placements, was_led, fixture::table_id(), "make it again", &observation, answers).unwrap()
    }

    #[test]
    fn the_recorded_node_makes_the_partition() {
        let missing = found_missing(&placed(), &empty_nodes()).unwrap();
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].0, fixture::nodes()[0].target);
        assert_eq!(missing[0].1.members.len(), 3);
    }

    #[test]
    fn a_table_that_was_led_once_is_never_made_again() {
        let mut table = placed();
        table.status.as_mut().unwrap().schema_version = Some(1);
        assert!(found_missing(&table, &empty_nodes()).unwrap().is_empty());
    }

    #[test]
    fn an_emptied_volume_is_not_asked_to_make_what_another_was_chosen_for() {
        let mut reports = empty_nodes();
        Arc::make_mut(reports[0].as_mut().unwrap()).node_id = NodeId([9; 16]);
        let told = found_missing(&placed(), &reports).unwrap_err();
        assert!(told.contains("does not answer") && told.contains(&fixture::nodes()[0].pod_name), "{told}");
        assert!(told.contains("make it again"), "{told}");
    }

    #[test]
    fn nothing_is_made_while_most_members_are_silent() {
        let mut reports = empty_nodes();
        reports[1] = None;
        reports[2] = None;
        let told = found_missing(&placed(), &reports).unwrap_err();
        assert!(told.contains("1 of the 3") && told.contains(&fixture::nodes()[2].pod_name), "{told}");
    }

    fn is_in_vain(reports: &[Option<Arc<NodeReport>>]) -> bool {
        let nodes = fixture::nodes();
        let answers = Answers { nodes: &nodes, reports };
        let observation = Observation::of(fixture::table_id(), answers);
        let placements = placed().status.unwrap().placements.unwrap();
        let in_vain = |was_led| are_in_vain(&placements, was_led, fixture::table_id(), &observation, answers).unwrap();
        assert!(!in_vain(true), "what was led once is lost, and not made anew");
        in_vain(false)
    }

    /// Another node where the one with this number was.
    fn replaced(reports: &mut [Option<Arc<NodeReport>>], number: usize) {
        let report = Arc::make_mut(reports[number].as_mut().unwrap());
        report.node_id = NodeId([u8::try_from(number).unwrap() + 50; 16]);
        report.replicas.clear();
    }

    #[test]
    fn a_partition_whose_chosen_node_is_replaced_is_in_vain() {
        let mut reports = empty_nodes();
        assert!(!is_in_vain(&reports));
        replaced(&mut reports, 0);
        assert!(is_in_vain(&reports));
        reports[2] = None;
        assert!(!is_in_vain(&reports), "the third may have it with the one that is gone");
    }

    #[test]
    fn a_partition_whose_chosen_node_is_silent_is_waited_for() {
        let mut reports = empty_nodes();
        reports[0] = None;
        assert!(!is_in_vain(&reports));
    }

    #[test]
    fn a_partition_that_would_have_no_quorum_is_in_vain_once_every_node_has_said_so() {
        let mut reports = empty_nodes();
        replaced(&mut reports, 1);
        assert!(!is_in_vain(&reports), "two are left, and the chosen one is of them");
        replaced(&mut reports, 2);
        assert!(is_in_vain(&reports));
        reports[0] = None;
        assert!(!is_in_vain(&reports), "it may have it");
    }

    #[test]
    fn a_partition_that_a_node_holds_is_not_in_vain() {
        let mut reports: Vec<_> = fixture::reports_of_one_table(3).into_iter().map(Some).collect();
        for report in reports.iter_mut().flatten() {
            Arc::make_mut(report).replicas[0].descriptor.partition_id = PartitionId([0; 16]);
        }
        replaced(&mut reports, 0);
        assert!(!is_in_vain(&reports));
    }

    #[test]
    fn an_address_that_leads_to_another_member_says_nothing_of_a_node() {
        let mut reports = empty_nodes();
        Arc::make_mut(reports[0].as_mut().unwrap()).node_id = NodeId([2; 16]);
        assert!(!is_in_vain(&reports));
    }
}
