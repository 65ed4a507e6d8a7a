//! The data of deleted tables: ordered dropped from every node until every node has said that it is.

use super::members::ExpectedNode;
use crate::{context::GuardedTable, node_client::Reports};
use cairn_crds::{TableResourceStatus, storage_group::PendingDrop};
use cairn_model::{
    ids::{NodeId, PartitionId, TableId},
    node::{NodeReport, Order, OrderOutcome, ReplicaReport},
};
use jiff::Timestamp;
use std::{collections::BTreeSet, sync::Arc};

/// The drops of tables and indexes that are there again, and the others. A resource that was brought back with its status, as a backup of the
/// cluster does it, has its data still: nothing of it may go.
pub fn part(drops: Vec<PendingDrop>, tables: &[GuardedTable]) -> (Vec<PendingDrop>, Vec<PendingDrop>) {
    let there = tables.iter().filter_map(|table| table.0.as_ref().ok());
    let there = there.filter(|table| table.metadata.deletion_timestamp.is_none());
    let ids: BTreeSet<_> = there.filter_map(|table| table.status.as_ref()).flat_map(ids_of).collect();
    drops.into_iter().partition(|drop| ids.contains(drop.table_id.as_str()))
}

/// An index that is being deleted is no more than its data.
fn ids_of(status: &TableResourceStatus) -> impl Iterator<Item = &str> {
    let indexes = status.global_secondary_indexes.iter().filter(|index| !index.is_deleting());
    status.table_id.as_deref().into_iter().chain(indexes.map(|index| index.index_id.as_str()))
}

/// Gives the orders that are due; answers with the drops that are not done on every node.
pub async fn order(
    drops: &[PendingDrop],
    nodes: &[ExpectedNode],
    answers: &[Option<Arc<NodeReport>>],
    reports: &Reports,
    now: Timestamp,
) -> Vec<PendingDrop> {
    let mut left = Vec::new();
    for drop in drops {
        // What it leaves is made first, and that it is is written down.
        if drop.last_backup.is_some() {
            left.push(drop.clone());
            continue;
        }
        if drop.loading_until.as_ref().is_some_and(|until| now < until.0) {
            left.push(once_it_has_come(drop, answers));
            continue;
        }
        let mut still = left_after_identities(drop, answers);
        if let (Ok(partition_id), Ok(table_id)) = (drop.partition_id.parse(), drop.table_id.parse()) {
            for (node, report) in nodes.iter().zip(answers) {
                let Some(report) = report else { continue };
                let deleted_at = drop.deleted_at.as_ref().filter(|_| !is_left_over(report, answers, partition_id));
                let deleted_at_ms = deleted_at.and_then(|at| u64::try_from(at.0.as_millisecond()).ok());
                let order = Order::DropPartition { partition_id, table_id, deleted_at_ms };
                if is_due(&still, partition_id, table_id, report) && done(node, &order, reports).await {
                    still.nodes.retain(|id| *id != report.node_id.to_string());
                } else if holds(report, partition_id, table_id) && !still.nodes.contains(&report.node_id.to_string()) {
                    still.nodes.push(report.node_id.to_string());
                }
            }
        }
        if !still.nodes.is_empty() {
            left.push(still);
        }
    }
    left
}

/// What may come yet of a load is waited for. Once it has come, it goes as any other's data does, and nothing comes after it; that is
/// written down before it goes, for then no node would tell of it any more.
fn once_it_has_come(drop: &PendingDrop, answers: &[Option<Arc<NodeReport>>]) -> PendingDrop {
    let mut still = drop.clone();
    if let (Ok(partition_id), Ok(table_id)) = (drop.partition_id.parse(), drop.table_id.parse())
        && answers.iter().flatten().any(|report| holds(report, partition_id, table_id))
    {
        still.loading_until = None;
    }
    still
}

/// Without the nodes that are no more: a volume that was emptied, or whose place another has, holds nothing. That is known
/// only when every node of the group has answered.
fn left_after_identities(drop: &PendingDrop, answers: &[Option<Arc<NodeReport>>]) -> PendingDrop {
    let ids: Option<Vec<NodeId>> = answers.iter().map(|report| report.as_ref().map(|report| report.node_id)).collect();
    let mut still = drop.clone();
    if let Some(ids) = ids {
        still.nodes.retain(|node| ids.iter().any(|id| id.to_string() == *node));
    }
    still
}

/// A node that moved in since (a replaced replica) is asked too.
fn is_due(drop: &PendingDrop, partition_id: PartitionId, table_id: TableId, report: &NodeReport) -> bool {
    drop.nodes.contains(&report.node_id.to_string()) || holds(report, partition_id, table_id)
}

fn holds(report: &NodeReport, partition_id: PartitionId, table_id: TableId) -> bool {
    report
        .replicas
        .iter()
        .any(|replica| replica.descriptor.partition_id == partition_id && replica.descriptor.table_id == table_id)
}

/// Whether the node was away while all others dropped the partition: that its stream ended, it never learns. They have what is kept.
fn is_left_over(report: &NodeReport, answers: &[Option<Arc<NodeReport>>], partition_id: PartitionId) -> bool {
    let replica = |report: &NodeReport| {
        let mut replicas = report.replicas.iter();
        replicas.find(|replica| replica.descriptor.partition_id == partition_id).cloned()
    };
    let holds_none = |other: &NodeReport| other.node_id == report.node_id || replica(other).is_none();
    let is_open = |replica: ReplicaReport| {
        replica.definition.current_stream().is_some()
            && replica.descriptor.members.len() > 1
            && replica.leader.is_none()
    };
    replica(report).is_some_and(is_open) && answers.iter().all(|other| other.as_deref().is_some_and(holds_none))
}

async fn done(node: &ExpectedNode, order: &Order, reports: &Reports) -> bool {
    match reports.order(&node.target, order).await {
        Ok(OrderOutcome::Done) => true,
        Ok(outcome) => {
            tracing::info!(node = node.pod_name, ?order, ?outcome, "a partition is not dropped yet");
            false
        }
        Err(error) => {
            let error = crate::error::chain(&error);
            tracing::warn!(node = node.pod_name, ?order, error, "failed to order a drop");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        controller::table::fixture,
        node_client::{NodeError, Nodes, Target},
    };
    use cairn_crds::{Table, table::GlobalSecondaryIndexStatus};
    use cairn_model::{
        archive::{ArchiveAnswer, ArchiveCall},
        node::ReplicaState,
        table::{StreamViewType, TableStatus},
    };
    use futures::future::BoxFuture;
    use jiff::SignedDuration;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use kube::core::DeserializeGuard;

    fn report(id: u8) -> Option<Arc<NodeReport>> {
        Some(Arc::new(NodeReport {
            node_id: NodeId([id; 16]),
            region: "east".into(),
            account: "game".into(),
            group: "default".into(),
            zone: "a".into(),
            version: "0".into(),
            replicas: Vec::new(),
            disk_free_bytes: 0,
            disk_total_bytes: 0,
            disk_full: false,
            retired: Vec::new(),
            consumption: None,
        }))
    }

    fn drop_on(ids: &[u8]) -> PendingDrop {
        PendingDrop {
            partition_id: PartitionId([9; 16]).to_string(),
            table_id: TableId([8; 16]).to_string(),
            nodes: ids.iter().map(|id| NodeId([*id; 16]).to_string()).collect(),
            last_backup: None,
            loading_until: None,
            deleted_at: None,
        }
    }

    #[test]
    fn nothing_goes_of_a_table_that_is_there_again() {
        let mut table = fixture::table("users");
        let table_id = Some(TableId([8; 16]).to_string());
        table.status = Some(TableResourceStatus { table_id, ..TableResourceStatus::default() });
        let guarded = |table: &Table| vec![DeserializeGuard(Ok(table.clone()))];
        assert_eq!(part(vec![drop_on(&[1])], &guarded(&table)), (vec![drop_on(&[1])], Vec::new()));
        table.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        assert_eq!(part(vec![drop_on(&[1])], &guarded(&table)), (Vec::new(), vec![drop_on(&[1])]));
        assert_eq!(part(vec![drop_on(&[1])], &guarded(&fixture::table("users"))).1.len(), 1);
    }

    #[test]
    fn an_index_that_is_there_again_keeps_its_data_and_one_that_is_deleted_does_not() {
        let mut index = GlobalSecondaryIndexStatus::new(&fixture::global_index("by-team", 0), Vec::new());
        let mut table = fixture::table("users");
        let guarded = |table: &Table, index: &GlobalSecondaryIndexStatus| {
            let mut table = table.clone();
            table.status.get_or_insert_default().global_secondary_indexes = vec![index.clone()];
            vec![DeserializeGuard(Ok(table))]
        };
        table.status = None;
        assert_eq!(part(vec![drop_on(&[1])], &guarded(&table, &index)).0.len(), 1);
        index.index_status = TableStatus::Deleting;
        assert_eq!(part(vec![drop_on(&[1])], &guarded(&table, &index)).1.len(), 1);
    }

    /// A node that takes every order.
    #[derive(Default)]
    struct Taking(std::sync::Mutex<Vec<Order>>);

    impl Nodes for Taking {
        fn report<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, Result<NodeReport, NodeError>> {
            Box::pin(async { Err(NodeError::NotRunning) })
        }

        fn order<'a>(&'a self, _: &'a Target, order: &'a Order) -> BoxFuture<'a, Result<OrderOutcome, NodeError>> {
            self.0.lock().unwrap().push(order.clone());
            Box::pin(async { Ok(OrderOutcome::Done) })
        }

        fn archive<'a>(&'a self, _: &'a Target, _: &'a ArchiveCall) -> BoxFuture<'a, Result<ArchiveAnswer, NodeError>> {
            Box::pin(async { Err(NodeError::NotRunning) })
        }
    }

    /// Else a write that is lost would leave it waiting for what has come and gone.
    #[tokio::test]
    async fn what_has_come_of_a_load_goes_only_once_it_is_written_down_that_it_came() {
        let (nodes, taking) = (fixture::nodes(), Arc::new(Taking::default()));
        let reports = Reports::new(Arc::clone(&taking) as Arc<dyn Nodes>);
        let answers: Vec<_> = fixture::reports_of_one_table(3).into_iter().map(Some).collect();
        let replica = &answers[0].as_ref().unwrap().replicas[0].descriptor;
        let now = Timestamp::UNIX_EPOCH;
        let loading = PendingDrop {
            partition_id: replica.partition_id.to_string(),
            table_id: replica.table_id.to_string(),
            loading_until: Some(Time(now + SignedDuration::from_hours(24))),
            ..drop_on(&[1, 2, 3])
        };
        let come = PendingDrop { loading_until: None, ..loading.clone() };
        let nothing: Vec<_> = [1, 2, 3].into_iter().map(report).collect();
        assert_eq!(
            order(std::slice::from_ref(&loading), &nodes, &nothing, &reports, now).await,
            std::slice::from_ref(&loading)
        );
        assert_eq!(order(&[loading], &nodes, &answers, &reports, now).await, std::slice::from_ref(&come));
        assert_eq!(taking.0.lock().unwrap().len(), 0);
        assert_eq!(order(&[come], &nodes, &answers, &reports, now).await, []);
        assert_eq!(taking.0.lock().unwrap().len(), 3);
    }

    #[test]
    fn a_node_that_is_no_more_is_not_waited_for() {
        assert_eq!(left_after_identities(&drop_on(&[1, 2]), &[report(1), report(3)]), drop_on(&[1]));
    }

    #[test]
    fn what_was_away_while_all_others_dropped_a_table_is_not_kept_for_its_stream() {
        let open = fixture::reports_of_one_table(3).into_iter().map(|mut report| {
            let replica = &mut Arc::make_mut(&mut report).replicas[0];
            replica.definition.set_stream(Some(StreamViewType::KeysOnly), 1_000);
            (replica.leader, replica.state) = (None, ReplicaState::Follower);
            report
        });
        let open: Vec<_> = open.collect();
        let partition = open[0].replicas[0].descriptor.partition_id;
        let ended = |report: &Arc<NodeReport>| {
            let mut ended = report.clone();
            Arc::make_mut(&mut ended).replicas[0].definition.set_stream(None, 2_000);
            ended
        };
        let gone =
            |report: &Arc<NodeReport>| Some(Arc::new(NodeReport { replicas: Vec::new(), ..NodeReport::clone(report) }));
        let is_left_over = |own: &Arc<NodeReport>, others: [Option<Arc<NodeReport>>; 2]| {
            let [one, other] = others;
            is_left_over(own, &[one, other, Some(own.clone())], partition)
        };
        assert!(is_left_over(&open[2], [gone(&open[0]), gone(&open[1])]));
        assert!(!is_left_over(&open[2], [gone(&open[0]), Some(open[1].clone())]), "the two of them may go on");
        assert!(!is_left_over(&open[2], [gone(&open[0]), None]), "who is silent may hold it");
        assert!(!is_left_over(&ended(&open[2]), [gone(&open[0]), gone(&open[1])]), "it has all that is kept");
        let mut alone = open[2].clone();
        Arc::make_mut(&mut alone).replicas[0].descriptor.members.truncate(1);
        assert!(!is_left_over(&alone, [gone(&open[0]), gone(&open[1])]), "it is the only one there was");
    }

    #[test]
    fn a_node_that_does_not_answer_is_waited_for() {
        assert_eq!(left_after_identities(&drop_on(&[1, 2]), &[report(1), None]), drop_on(&[1, 2]));
    }
}
