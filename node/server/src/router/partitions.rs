//! Carries requests to the replica that can answer: the leader, or for an eventually consistent read the one in the
//! router's own zone. Asks again where that is safe, always under the same request id.

use super::{nodes::Nodes, routes::Route};
use crate::internal::{
    client::{CallError, NodeClient},
    partition_answer,
};
use async_trait::async_trait;
use bytes::Bytes;
use cairn_api::{Partitions, Room, RoutingKey, TableView};
use cairn_model::{
    ErrorKind, ServiceError, TableDefinition,
    descriptor::Member,
    ids::{PartitionId, TableId},
    node::Counts,
    transaction::LeftTransaction,
};
use cairn_replication::{
    operation::{PartitionError, PartitionOutcome, PartitionRequest},
    wire::{self, PartitionCall},
};
use futures::{StreamExt, stream};
use hyper::StatusCode;
use std::{sync::Arc, time::Duration};

/// For one request in all, its repetitions included; then the SDK is told and decides.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// For one node's answer: an item, and a page.
const ITEM_DEADLINE: Duration = Duration::from_millis(1500);
const PAGE_DEADLINE: Duration = Duration::from_secs(5);
/// For the counts of all of a table's partitions, so many of which are asked at once.
const COUNT_DEADLINE: Duration = Duration::from_secs(1);
const COUNTED_AT_ONCE: usize = 16;
/// Between two tries when no replica knew a leader; an election takes a second or two.
const ELECTION_PAUSE: Duration = Duration::from_millis(50);
/// How long a request waits for news of the fleet.
const REFRESH_PATIENCE: Duration = Duration::from_secs(1);

/// The fleet's partitions, as the nodes report them.
#[derive(Debug)]
pub struct RemotePartitions {
    client: Arc<NodeClient>,
    nodes: Arc<Nodes>,
    zone: Option<String>,
}

impl RemotePartitions {
    pub fn new(client: Arc<NodeClient>, nodes: Arc<Nodes>, zone: Option<String>) -> Self {
        Self { client, nodes, zone }
    }

    async fn attempt(
        &self,
        route: &Route,
        member: &Member,
        call: &PartitionCall,
        room: &Room,
    ) -> Result<PartitionOutcome, Failure> {
        let body = wire::encode_call(call).map_err(|error| Failure::Unreached(error.to_string()))?;
        let deadline = match call.request {
            // Each may be of several MB.
            PartitionRequest::Range(_)
            | PartitionRequest::Stream(_)
            | PartitionRequest::Transact(_)
            | PartitionRequest::TransactGet(_) => PAGE_DEADLINE,
            PartitionRequest::Get(_) | PartitionRequest::Write(_) | PartitionRequest::Feed(_) => ITEM_DEADLINE,
        };
        let answer = self.client.post_with_room(&route.group, &member.address, "/v1/partition", body, deadline, room);
        let (headers, answer) = match answer.await {
            // It can't read the call, and has done nothing: it may be of a version that knows an older form of it only.
            Err(error @ CallError::Refused { status: StatusCode::BAD_REQUEST, .. }) => {
                let Some(request) = call.request.for_older_node() else { return Err(error.into()) };
                let older = PartitionCall { request, ..*call };
                return Box::pin(self.attempt(route, member, &older, room)).await;
            }
            // Nothing is wrong with the node. What a write did it has kept, for whoever asks again.
            Err(error @ CallError::NoRoom { .. }) => {
                let reason = error.to_string();
                return Err(Failure::Partition(match call.request {
                    PartitionRequest::Write(_) | PartitionRequest::Transact(_) | PartitionRequest::Feed(_) => {
                        PartitionError::Unknown { reason }
                    }
                    PartitionRequest::Get(_)
                    | PartitionRequest::Range(_)
                    | PartitionRequest::Stream(_)
                    | PartitionRequest::TransactGet(_) => PartitionError::Overloaded { reason },
                }));
            }
            answer => answer?,
        };
        match partition_answer::read(&headers, answer) {
            Ok(outcome) => Ok(outcome?),
            Err(error) => Err(Failure::Silent(error.to_string())),
        }
    }

    /// Where to ask; what is left of a deleted table is asked for its streams alone.
    fn route(&self, table: TableId, key: RoutingKey<'_>, request: &PartitionRequest) -> Option<Arc<Route>> {
        let routes = self.nodes.routes();
        let retired = if matches!(request, PartitionRequest::Stream(_)) { routes.retired(table) } else { None };
        retired.or_else(|| routes.find(table, key.0))
    }

    /// What the leader of a partition says it holds; none where no replica says that it leads.
    async fn counts_of(&self, route: &Route) -> Option<Counts> {
        let body = Bytes::from(serde_json::to_vec(&route.descriptor.partition_id).ok()?);
        for member in self.nodes.leader_first(route) {
            let call = self.client.post(&route.group, &member.address, "/v1/counts", body.clone(), COUNT_DEADLINE);
            let counts = call.await.map(|answer| serde_json::from_slice::<Option<Counts>>(&answer));
            match counts {
                Ok(Ok(Some(counts))) => return Some(counts),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => {
                    tracing::debug!(%error, address = member.address, "failed to read a partition's counts")
                }
                Err(error) => tracing::debug!(%error, "failed to ask for a partition's counts"),
            }
        }
        None
    }

    /// The replicas to try, best first.
    fn order<'a>(&self, route: &'a Route, request: &PartitionRequest) -> Vec<&'a Member> {
        if needs_leader(request) {
            return self.nodes.leader_first(route);
        }
        let mut members: Vec<&Member> = route.descriptor.members.iter().collect();
        members
            .sort_by_key(|member| (self.nodes.is_suspect(&member.address), Some(&member.zone) != self.zone.as_ref()));
        members
    }
}

/// Why one try gave no outcome.
#[derive(Debug)]
enum Failure {
    Partition(PartitionError),
    /// Nothing left this process, or the node would not take it: nothing was done.
    Unreached(String),
    /// It may have been done.
    Silent(String),
}

impl From<PartitionError> for Failure {
    fn from(error: PartitionError) -> Self {
        Self::Partition(error)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotSent { .. } | CallError::Refused { .. } => Self::Unreached(error.to_string()),
            CallError::NoAnswer { .. } | CallError::NoRoom { .. } => Self::Silent(error.to_string()),
        }
    }
}

#[async_trait]
impl Partitions for RemotePartitions {
    async fn counts(&self, table: &TableView) -> Option<Counts> {
        let routes = self.nodes.routes();
        let known = routes.table(table.definition.table_id)?;
        let asked = stream::iter(known.routes.clone()).map(|route| async move { self.counts_of(&route).await });
        let counted = asked.buffered(COUNTED_AT_ONCE).collect::<Vec<_>>();
        let counted = tokio::time::timeout(COUNT_DEADLINE, counted).await.unwrap_or_default();
        if counted.is_empty() || counted.iter().any(Option::is_none) {
            return Some(Counts { item_count: known.item_count, size_bytes: known.size_bytes, ..Counts::default() });
        }
        Some(counted.into_iter().flatten().sum())
    }

    fn streamed(&self, account: &str, name: Option<&str>) -> Vec<TableDefinition> {
        let routes = self.nodes.routes();
        let of_account = routes.streamed().filter(|table| table.account == account);
        of_account.filter(|table| name.is_none_or(|name| name == table.table_name)).cloned().collect()
    }

    fn left_transactions(&self) -> Vec<(String, Vec<LeftTransaction>)> {
        let routes = self.nodes.routes();
        routes.tables().map(|known| (known.definition.account.clone(), known.left_transactions.clone())).collect()
    }

    async fn request(
        &self,
        table: &TableView,
        key: RoutingKey<'_>,
        request: PartitionRequest,
        room: &Room,
    ) -> Result<PartitionOutcome, ServiceError> {
        let mut call = PartitionCall { partition: PartitionId([0; 16]), epoch: 0, request };
        let mut perhaps_done = false;
        let mut last = "no storage node holds the table's partition, or none is known yet".to_owned();
        let tried = tokio::time::timeout(REQUEST_DEADLINE, async {
            loop {
                let Some(route) = self.route(table.definition.table_id, key, &call.request) else {
                    self.nodes.refresh(REFRESH_PATIENCE).await;
                    tokio::time::sleep(ELECTION_PAUSE).await;
                    continue;
                };
                (call.partition, call.epoch) = (route.descriptor.partition_id, route.descriptor.epoch);
                if let Some(outcome) = self.round(table, &route, &call, room, &mut perhaps_done, &mut last).await {
                    // An attempt before this one may still be under way, and meet no lock.
                    return match outcome {
                        Ok(PartitionOutcome::Locked(_)) if perhaps_done && call.request.writes() => Err(not_known()),
                        outcome => outcome,
                    };
                }
                tokio::time::sleep(ELECTION_PAUSE).await;
            }
        })
        .await;
        match tried {
            Ok(outcome) => outcome,
            Err(_) => {
                tracing::warn!(
                    table = table.definition.table_name,
                    account = table.definition.account,
                    reason = last,
                    perhaps_done,
                    "gave up on a request"
                );
                // Both are retried by the SDKs; only the first says that the write may have been done.
                Err(if perhaps_done && call.request.writes() {
                    not_known()
                } else {
                    let message = "The table's partition can't be reached at present.";
                    ServiceError::new(ErrorKind::ServiceUnavailable, message)
                })
            }
        }
    }
}

impl RemotePartitions {
    /// Tries the partition's replicas, each once at most; none when it is worth another round.
    async fn round(
        &self,
        table: &TableView,
        route: &Route,
        call: &PartitionCall,
        room: &Room,
        perhaps_done: &mut bool,
        last: &mut String,
    ) -> Option<Result<PartitionOutcome, ServiceError>> {
        let (partition, request) = (call.partition, &call.request);
        let mut members = self.order(route, request);
        let mut next = 0;
        while next < members.len() {
            let member = members[next];
            next += 1;
            match self.attempt(route, member, call, room).await {
                Ok(outcome) => {
                    if needs_leader(request) && route.leader != Some(member.replica_id) {
                        self.nodes.learn_leader(partition, member.replica_id);
                    }
                    return Some(Ok(outcome));
                }
                Err(Failure::Partition(PartitionError::Service(error))) => return Some(Err(error)),
                Err(Failure::Partition(PartitionError::Overloaded { reason })) => {
                    return Some(Err(ServiceError::new(ErrorKind::ThrottlingException, reason)));
                }
                Err(Failure::Partition(PartitionError::Throttled(limit))) => {
                    return Some(Err(limit.exceeded(&table.arn)));
                }
                Err(Failure::Partition(PartitionError::ThrottledByIndex { limit, index_name })) => {
                    return Some(Err(limit.exceeded(&table.index_arn(&index_name))));
                }
                Err(Failure::Partition(PartitionError::NotLeader { leader })) => {
                    *last = format!("the replica at {} does not lead", member.address);
                    match leader {
                        // What the replica knows is newer than what we knew: it goes first among those left.
                        Some(leader) => {
                            self.nodes.learn_leader(partition, leader.replica_id);
                            if let Some(at) = members[next..].iter().position(|m| m.replica_id == leader.replica_id) {
                                members.swap(next, next + at);
                            }
                        }
                        None => self.nodes.forget_leader(partition),
                    }
                }
                Err(Failure::Partition(
                    error @ (PartitionError::EpochMismatch { .. } | PartitionError::UnknownPartition),
                )) => {
                    *last = format!("{}: {error}", member.address);
                    self.nodes.forget_leader(partition);
                    self.nodes.refresh(REFRESH_PATIENCE).await;
                    return None;
                }
                // Only batches of other regions are answered so.
                Err(Failure::Partition(error @ PartitionError::NotEmpty(_))) => *last = error.to_string(),
                Err(Failure::Partition(PartitionError::Unknown { reason })) => {
                    *perhaps_done = true;
                    *last = reason;
                }
                Err(Failure::Unreached(reason)) => {
                    *last = reason;
                    self.nodes.suspect(&member.address);
                    self.nodes.forget_leader(partition);
                }
                Err(Failure::Silent(reason)) => {
                    *perhaps_done = true;
                    *last = reason;
                    self.nodes.suspect(&member.address);
                    self.nodes.forget_leader(partition);
                }
            }
        }
        None
    }
}

fn not_known() -> ServiceError {
    let message = "The request could not be completed; whether the write was done is not known.";
    ServiceError::new(ErrorKind::InternalServerError, message)
}

fn needs_leader(request: &PartitionRequest) -> bool {
    match request {
        PartitionRequest::Write(_)
        | PartitionRequest::Feed(_)
        | PartitionRequest::Stream(_)
        | PartitionRequest::Transact(_)
        | PartitionRequest::TransactGet(_) => true,
        PartitionRequest::Get(get) => get.consistent,
        PartitionRequest::Range(range) => range.consistent,
    }
}
