//! Bootstrap, once: the recorded node initialises a partition with its full membership.

use super::observation::{Answers, Observation};
use crate::{error::Result, node_client::Target};
use cairn_crds::{Table, table::Placement};
use cairn_model::{ids::TableId, node::Order, table::TableDefinition};

/// The orders that make the partitions which nobody has made yet; or what is waited for.
///
/// After a leader was once seen (`status.schemaVersion`) nothing is ever made again: what is not there then is lost, and making
/// it anew would be a lie. Before that no membership changed, so a majority of the recorded members that hold nothing says that
/// the partition was not made.
pub fn orders(
    table: &Table,
    table_id: TableId,
    definition: &TableDefinition,
    placements: &[Placement],
    observation: &Observation<'_>,
    answers: Answers<'_>,
) -> Result<Result<Vec<(Target, Order)>, String>> {
    if table.status.as_ref().is_some_and(|status| status.schema_version.is_some()) {
        return Ok(Ok(Vec::new()));
    }
    let mut orders = Vec::new();
    for placement in placements {
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
                "the node {bootstrap}, which was chosen to make the table, does not answer; if its volume is lost, delete the Table and apply it again"
            )));
        };
        orders.push((node.target.clone(), Order::Bootstrap { descriptor, definition: definition.clone() }));
    }
    Ok(Ok(orders))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::{fixture, placement};
    use cairn_crds::TableResourceStatus;
    use cairn_model::{
        ids::{NodeId, PartitionId},
        node::NodeReport,
    };
    use std::sync::Arc;

    type Outcome = Result<Vec<(Target, Order)>, String>;

    fn empty_nodes() -> Vec<Option<Arc<NodeReport>>> {
        let mut reports = fixture::reports_of_one_table(3);
        for report in &mut reports {
            Arc::make_mut(report).replicas.clear();
        }
        reports.into_iter().map(Some).collect()
    }

    fn placed() -> Placement {
        let (zones, nodes) = (fixture::zones(), fixture::nodes());
        let partition = PartitionId([0; 16]);
        placement::choose(&zones, &nodes, &empty_nodes(), &[], fixture::table_id(), partition).unwrap()
    }

    fn orders_given(table: &Table, reports: &[Option<Arc<NodeReport>>]) -> Outcome {
        let nodes = fixture::nodes();
        let answers = Answers { nodes: &nodes, reports };
        let observation = Observation::of(fixture::table_id(), answers);
        orders(table, fixture::table_id(), &fixture::definition(), &[placed()], &observation, answers).unwrap()
    }

    #[test]
    fn the_recorded_node_makes_the_partition() {
        let orders = orders_given(&fixture::table("users"), &empty_nodes()).unwrap();
        assert_eq!(orders.len(), 1);
        assert_eq!(orders[0].0, fixture::nodes()[0].target);
        assert!(matches!(&orders[0].1, Order::Bootstrap { descriptor, .. } if descriptor.members.len() == 3));
    }

    #[test]
    fn a_table_that_was_led_once_is_never_made_again() {
        let mut table = fixture::table("users");
        table.status = Some(TableResourceStatus { schema_version: Some(1), ..TableResourceStatus::default() });
        assert!(orders_given(&table, &empty_nodes()).unwrap().is_empty());
    }

    #[test]
    fn an_emptied_volume_is_not_asked_to_make_what_another_was_chosen_for() {
        let mut reports = empty_nodes();
        Arc::make_mut(reports[0].as_mut().unwrap()).node_id = NodeId([9; 16]);
        assert!(orders_given(&fixture::table("users"), &reports).unwrap_err().contains("does not answer"));
    }

    #[test]
    fn nothing_is_made_while_most_members_are_silent() {
        let mut reports = empty_nodes();
        reports[1] = None;
        reports[2] = None;
        assert!(orders_given(&fixture::table("users"), &reports).unwrap_err().contains("1 of 3"));
    }
}
