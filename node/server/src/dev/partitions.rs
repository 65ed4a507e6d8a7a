//! The partitions of `cairn dev`: requests go to the one node.

use super::{
    asking::asked,
    tables::{LEADER_DEADLINE, LocalTables, ORDER_PAUSE},
};
use crate::throttle::Demand;
use async_trait::async_trait;
use cairn_api::{Partitions, Room, RoutingKey, TableView, errors};
use cairn_model::{
    ErrorKind, ServiceError, TableDefinition,
    ids::{PartitionId, TableId},
    node::Counts,
    transaction::LeftTransaction,
};
use cairn_replication::operation::{PartitionError, PartitionOutcome, PartitionRequest};

impl LocalTables {
    /// What is left of a deleted table answers what is asked of its streams, and nothing else.
    fn retired(&self, table: TableId) -> Option<(PartitionId, u64)> {
        let retired = self.node.host().retired().into_iter().find(|retired| retired.definition.table_id == table)?;
        Some((retired.descriptor.partition_id, retired.descriptor.epoch))
    }
}

#[async_trait]
impl Partitions for LocalTables {
    async fn counts(&self, table: &TableView) -> Option<Counts> {
        let table_id = table.definition.table_id;
        let (partition, _) = self.partition(table_id)?;
        let counted = asked(LEADER_DEADLINE, ORDER_PAUSE, || async {
            // None until the partition leads, in the moment after a start.
            let counts = self.node.host().counts(partition).await;
            (counts.is_some() || !self.has(table_id)).then_some(counts)
        });
        counted.await.flatten()
    }

    fn left_transactions(&self) -> Vec<(String, Vec<LeftTransaction>)> {
        let reports = self.node.host().reports();
        reports.iter().map(|report| (report.definition.account.clone(), report.left_transactions.clone())).collect()
    }

    fn streamed(&self, account: &str, name: Option<&str>) -> Vec<TableDefinition> {
        let retired = self.node.host().retired().into_iter().map(|retired| retired.definition);
        retired.filter(|table| table.account == account && name.is_none_or(|name| name == table.table_name)).collect()
    }

    async fn request(
        &self,
        table: &TableView,
        _key: RoutingKey<'_>,
        mut request: PartitionRequest,
        room: &Room,
    ) -> Result<PartitionOutcome, ServiceError> {
        let demand = Demand::of(&request);
        // The one replica leads: a consistent read costs nothing more, and never goes back in time after a start.
        match &mut request {
            PartitionRequest::Get(get) => get.consistent = true,
            PartitionRequest::Range(range) => range.consistent = true,
            PartitionRequest::Write(_)
            | PartitionRequest::Feed(_)
            | PartitionRequest::Stream(_)
            | PartitionRequest::Transact(_)
            | PartitionRequest::TransactGet(_) => {}
        }
        let name = &table.definition.table_name;
        if request.brings_data() && self.node.disk().full() {
            return Err(ServiceError::new(ErrorKind::ThrottlingException, crate::node::DISK_FULL));
        }
        let known = self.partition(table.definition.table_id).or_else(|| self.retired(table.definition.table_id));
        let (partition, epoch) = known.ok_or_else(|| errors::table_not_found(name))?;
        let mut patience = LEADER_DEADLINE;
        loop {
            // The request is kept for another try only until the partition leads, in the moment after a start.
            match self.node.request(partition, epoch, request.clone(), demand).await {
                Ok(outcome) => return room.make_for(&outcome).await.map(|()| outcome),
                Err(PartitionError::Service(error)) => return Err(error),
                Err(PartitionError::NotLeader { .. }) if !patience.is_zero() => {
                    patience = patience.saturating_sub(ORDER_PAUSE);
                    tokio::time::sleep(ORDER_PAUSE).await;
                }
                Err(PartitionError::UnknownPartition) => return Err(errors::table_not_found(name)),
                Err(PartitionError::Throttled(limit)) => return Err(limit.exceeded(&table.arn)),
                Err(PartitionError::ThrottledByIndex { limit, index_name }) => {
                    return Err(limit.exceeded(&table.index_arn(&index_name)));
                }
                Err(PartitionError::Overloaded { reason }) => {
                    return Err(ServiceError::new(ErrorKind::ThrottlingException, reason));
                }
                Err(error) => return Err(ServiceError::new(ErrorKind::InternalServerError, error.to_string())),
            }
        }
    }
}
