//! Calls of other regions to the leaders of partitions.

use crate::{
    internal::client::{CallError, NodeClient},
    regions::message::{
        self, CLOSE_MAX, IndexDescription, PATH, PartitionCall, RegionAnswer, RegionOutcome, RegionRefusal, TURN_MAX,
        TableDescription, WAIT_MAX,
    },
    router::{
        nodes::Nodes,
        routes::{KnownTable, Route},
    },
};
use bytes::Bytes;
use cairn_model::ids::{PartitionId, TableId};
use cairn_replication::wire;
use std::{sync::Arc, time::Duration};

/// For one node's answer: all that it may wait, and the making of a page and its way here.
const NODE_DEADLINE: Duration =
    WAIT_MAX.saturating_add(CLOSE_MAX).saturating_add(TURN_MAX).saturating_add(Duration::from_secs(2));
/// In all: below what the caller waits, so that it is told why.
const CALL_DEADLINE: Duration = NODE_DEADLINE.saturating_add(Duration::from_secs(3));
/// Between two tries when no replica knew a leader.
const ELECTION_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Forwarding {
    client: Arc<NodeClient>,
    nodes: Arc<Nodes>,
}

impl Forwarding {
    pub(super) fn new(client: Arc<NodeClient>, nodes: Arc<Nodes>) -> Self {
        Self { client, nodes }
    }

    /// What the leaders of all partitions tell.
    pub(super) async fn describe(
        &self,
        table: &KnownTable,
        call_of: impl Fn(PartitionId) -> PartitionCall,
    ) -> RegionAnswer {
        let mut whole: Option<(TableDescription, Vec<IndexDescription>)> = None;
        for route in &table.routes {
            let call = call_of(route.descriptor.partition_id);
            let part = self.forward(table.definition.table_id, &call).await?.into_description();
            let part = part.ok_or_else(|| RegionRefusal::unavailable("only one partition has batches"))?;
            match &mut whole {
                Some((whole, _)) => whole.partitions.extend(part.0.partitions),
                None => whole = Some(part),
            }
        }
        whole
            .map(|(table, local_indexes)| RegionOutcome::description(table, local_indexes))
            .ok_or_else(|| RegionRefusal::unavailable("the table has no partition yet"))
    }

    /// Asks the partition's leader, wherever it is by then.
    pub(super) async fn forward(&self, table: TableId, call: &PartitionCall) -> RegionAnswer {
        let body = wire::encode(call).map_err(RegionRefusal::unavailable)?;
        let mut last = "no storage node holds the table's partition, or none is known yet".to_owned();
        let asked = tokio::time::timeout(CALL_DEADLINE, async {
            loop {
                if let Some(route) = self.nodes.routes().partition(table, call.partition)
                    && let Some(answer) = self.round(&route, &body, &mut last).await
                {
                    return answer;
                }
                self.nodes.refresh(ELECTION_PAUSE).await;
                tokio::time::sleep(ELECTION_PAUSE).await;
            }
        });
        let asked = asked.await;
        asked.unwrap_or_else(|_| {
            Err(RegionRefusal::unavailable(format!("the partition's leader was not found: {last}")))
        })
    }

    /// Asks the partition's replicas, each once at most; none when it is worth another round.
    async fn round(&self, route: &Route, body: &Bytes, last: &mut String) -> Option<RegionAnswer> {
        let partition = route.descriptor.partition_id;
        let mut members = self.nodes.leader_first(route);
        let mut next = 0;
        while next < members.len() {
            let member = members[next];
            next += 1;
            let answer = self.client.post(&route.group, &member.address, PATH, body.clone(), NODE_DEADLINE).await;
            if let Err(CallError::NotSent { .. }) = &answer {
                self.nodes.suspect(&member.address);
                self.nodes.forget_leader(partition);
            }
            let answer = answer.map_err(|error| error.to_string());
            match answer.and_then(|bytes| message::decode_answer(&bytes).map_err(|error| error.to_string())) {
                Ok(Err(RegionRefusal::NotLeader { leader })) => {
                    *last = format!("the replica at {} does not lead", member.address);
                    match leader {
                        Some(leader) => {
                            self.nodes.learn_leader(partition, leader.replica_id);
                            if let Some(at) = members[next..].iter().position(|m| m.replica_id == leader.replica_id) {
                                members.swap(next, next + at);
                            }
                        }
                        None => self.nodes.forget_leader(partition),
                    }
                }
                Ok(answer) => {
                    if route.leader != Some(member.replica_id) {
                        self.nodes.learn_leader(partition, member.replica_id);
                    }
                    return Some(answer);
                }
                // What a peer's call meets is no sign of a node that clients can't reach, or that does not lead.
                Err(reason) => *last = reason,
            }
        }
        None
    }
}
