//! Bootstrap, once: the recorded node gets a partition with its full membership, empty or from the archive.

use super::observation::{Answers, Observation};
use crate::{error::Result, node_client::Target};
use cairn_crds::table::Placement;
use cairn_model::{descriptor::PartitionDescriptor, ids::TableId};

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
        let answering = descriptor
            .members
            .iter()
            .filter(|member| answers.at(&member.address).is_some_and(|(_, report)| report.node_id == member.node_id))
            .count();
        if answering * 2 <= descriptor.members.len() {
            return Ok(Err(format!("only {answering} of {} chosen nodes answer", descriptor.members.len())));
        }
        let bootstrap = placement.bootstrap_node()?;
        let at = descriptor.members.iter().find(|member| member.node_id == bootstrap);
        let node = at.and_then(|member| answers.at(&member.address)).filter(|(_, report)| report.node_id == bootstrap);
        let Some((node, _)) = node else {
            return Ok(Err(format!(
                "the node {bootstrap}, which was chosen to begin, does not answer; if its volume is lost, {remedy}"
            )));
        };
        missing.push((node.target.clone(), descriptor));
    }
    Ok(Ok(missing))
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
        assert!(found_missing(&placed(), &reports).unwrap_err().contains("does not answer"));
    }

    #[test]
    fn nothing_is_made_while_most_members_are_silent() {
        let mut reports = empty_nodes();
        reports[1] = None;
        reports[2] = None;
        assert!(found_missing(&placed(), &reports).unwrap_err().contains("1 of 3"));
    }
}
