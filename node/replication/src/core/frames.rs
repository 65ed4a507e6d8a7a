//! Frames from other nodes, and frames to them.

use super::{Core, FatalError, Output, Slot, create::FIRST};
use crate::{
    clock::Now,
    frame::{self, FrameBody, FrameHeader, Introduction},
    log::LogStore,
    membership,
    raft_types::RaftMessage,
    replica::Replica,
};
use bytes::Bytes;
use cairn_engine::Store;
use cairn_model::{
    descriptor::{Member, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId},
    table::TableDefinition,
};
use raft::eraftpb::{Message, MessageType};

impl<S: Store, L: LogStore> Core<S, L> {
    pub(super) fn receive(&mut self, from: NodeId, bytes: Bytes, now: Now) -> Result<(), FatalError> {
        let (header, body) = match frame::decode(bytes) {
            Ok(decoded) => decoded,
            Err(error) => {
                tracing::warn!(%from, error = &error as &dyn std::error::Error, "dropped a frame");
                return Ok(());
            }
        };
        if header.to_node != self.config.node_id {
            return Ok(());
        }
        let introduction = match &body {
            FrameBody::Raft { introduction, .. } => introduction.as_deref(),
            _ => None,
        };
        let here = match self.slots.get(&header.partition) {
            Some(Slot::Live(replica)) => replica.replica_id == header.to,
            _ => false,
        };
        if !here {
            let Some(introduction) = introduction else { return Ok(()) };
            if !self.introduce(&header, introduction)? {
                return Ok(());
            }
        }
        let Some(Slot::Live(replica)) = self.slots.get_mut(&header.partition) else { return Ok(()) };
        if let Some(introduced) =
            introduction.and_then(|introduction| membership::find(&introduction.descriptor, header.from))
        {
            replica.remember(introduced.clone());
        }
        // An address is a hint: who answers there must be the node.
        if replica.member(header.from).is_some_and(|member| member.node_id != from) {
            return Ok(());
        }
        self.clocks.receive(from, header.clock, now);
        replica.heard.insert(header.from);
        replica.archived = replica.archived.max(header.archived);
        self.dirty.insert(header.partition);
        match body {
            FrameBody::Raft { message, .. } => self.receive_raft(&header, *message, now),
            FrameBody::Chunk { snapshot, term, number, bytes } => {
                self.receive_chunk(&header, snapshot, term, number, bytes, now)
            }
            FrameBody::ChunkAck { snapshot, next, refused } => {
                self.receive_chunk_ack(&header, snapshot, next, refused, now)
            }
            FrameBody::Gone { epoch } => {
                if replica.has_data() && epoch > replica.descriptor().epoch {
                    replica.removed = true;
                }
                Ok(())
            }
        }
    }

    fn receive_raft(&mut self, header: &FrameHeader, message: RaftMessage, now: Now) -> Result<(), FatalError> {
        let Some(Slot::Live(replica)) = self.slots.get_mut(&header.partition) else { return Ok(()) };
        let kind = message.message_type();
        let is_member = membership::find(replica.descriptor(), header.from).is_some();
        let campaigns = matches!(kind, Some(MessageType::MsgRequestVote | MessageType::MsgRequestPreVote));
        if campaigns && !is_member && replica.has_data() && header.from.0 < replica.descriptor().next_replica_id {
            let epoch = replica.descriptor().epoch;
            let frame = FrameBody::Gone { epoch };
            if let Some(to) = replica.member(header.from) {
                self.send(header.partition, header.to, &to, &frame, now);
            }
            return Ok(());
        }
        let last_index = replica.raft.raft.raft_log.last_index();
        match kind {
            Some(MessageType::MsgHeartbeat) => {
                // A leader speaks of entries that this replica has acknowledged to it.
                if message.commit > last_index && message.term >= replica.raft.raft.term {
                    let reason = format!(
                        "log: it ends at entry {last_index}, though entry {} was acknowledged: the disk lost writes",
                        message.commit
                    );
                    return self.stop(header.partition, reason, true);
                }
                replica.heard_leader(message.term, message.commit);
            }
            Some(MessageType::MsgAppend) => replica.heard_leader(message.term, message.commit),
            Some(MessageType::MsgAppendResponse) if !message.reject && message.index > last_index => return Ok(()),
            _ => {}
        }
        if let Some(message) = message.into_raft(header.from, header.to) {
            // What the library refuses is from before or from a stranger: as good as lost.
            let _ = replica.raft.step(message);
        }
        Ok(())
    }

    /// Sends what Raft has to say to the other replicas of a partition.
    pub(super) fn send_messages(
        &mut self,
        partition: PartitionId,
        messages: Vec<Message>,
        now: Now,
    ) -> Result<(), FatalError> {
        for message in messages {
            let to = ReplicaId(message.to);
            if message.get_msg_type() == MessageType::MsgSnapshot {
                self.start_snapshot(partition, to, now)?;
                continue;
            }
            let Some(Slot::Live(replica)) = self.slots.get(&partition) else { return Ok(()) };
            let (Some(member), Some(message)) = (replica.member(to), RaftMessage::from_raft(message)) else { continue };
            let introduction = needs_introduction(replica, to, &message).then(|| introduction_of(replica));
            let body = FrameBody::Raft { message: Box::new(message), introduction };
            let from = replica.replica_id;
            self.send(partition, from, &member, &body, now);
        }
        Ok(())
    }

    pub(super) fn send(&mut self, partition: PartitionId, from: ReplicaId, to: &Member, body: &FrameBody, now: Now) {
        let archived = match self.slots.get(&partition) {
            Some(Slot::Live(replica)) => replica.archived,
            _ => 0,
        };
        let header = FrameHeader {
            partition,
            to_node: to.node_id,
            to: to.replica_id,
            from,
            clock: self.clocks.stamp(to.node_id, now),
            archived,
        };
        match frame::encode(&header, body) {
            Ok(bytes) => self.outputs.push(Output::Frame { to: to.clone(), bytes }),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "failed to write a frame"),
        }
    }
}

/// Whoever has not answered may not exist yet, and whoever is asked for a vote may not know who asks.
fn needs_introduction<L: LogStore>(replica: &Replica<L>, to: ReplicaId, message: &RaftMessage) -> bool {
    match message.message_type() {
        Some(MessageType::MsgRequestVote | MessageType::MsgRequestPreVote) => true,
        Some(MessageType::MsgAppend | MessageType::MsgHeartbeat) => !replica.heard.contains(&to),
        _ => false,
    }
}

fn introduction_of<L: LogStore>(replica: &Replica<L>) -> Box<Introduction> {
    Box::new(Introduction {
        descriptor: PartitionDescriptor::clone(&replica.state.descriptor),
        definition: TableDefinition::clone(&replica.state.definition),
        first: replica.applied_position() == FIRST,
    })
}
