//! Snapshots on their way out and in: chunks of a consistent state, acknowledged, a few at once.

use super::{Core, FatalError, Slot, create::log_fatal, engine_fatal, feed};
use crate::{
    clock::Now,
    frame::{FrameBody, FrameHeader},
    log::{HardState, LogStore},
    membership, raft_types,
    storage::{self, Position},
};
use bytes::Bytes;
use cairn_engine::{SnapshotReader, SnapshotWriter, Store};
use cairn_model::ids::{PartitionId, ReplicaId};
use raft::{
    Ready, SnapshotStatus,
    eraftpb::{Message, MessageType},
};
use rand::Rng;
use std::collections::VecDeque;

/// Chunks not acknowledged for this long are sent again.
const RESEND_MS: u64 = 500;

/// A snapshot this node sends.
pub(super) struct Outgoing {
    partition: PartitionId,
    to: ReplicaId,
    id: u64,
    term: u64,
    reader: SnapshotReader,
    /// Sent and not acknowledged.
    window: VecDeque<(u32, Bytes)>,
    next: u32,
    ended: bool,
    progress_boot_ms: u64,
    sent_boot_ms: u64,
}

/// A snapshot this node takes in.
pub(super) struct Incoming {
    from: ReplicaId,
    id: u64,
    writer: SnapshotWriter,
    progress_boot_ms: u64,
    /// Raft has agreed to install it.
    accepted: bool,
}

impl<S: Store, L: LogStore> Core<S, L> {
    /// Raft wants a follower to get a snapshot: of the state as it is now, which is at or after what Raft knows of it.
    pub(super) fn start_snapshot(&mut self, partition: PartitionId, to: ReplicaId, now: Now) -> Result<(), FatalError> {
        let Some(Slot::Live(replica)) = self.slots.get(&partition) else { return Ok(()) };
        let term = replica.raft.raft.term;
        self.outgoing.retain(|outgoing| outgoing.partition != partition || outgoing.to != to);
        if self.outgoing.len() >= self.config.snapshots_out_max {
            self.failed_snapshots.push((partition, to));
            return Ok(());
        }
        let reader = match self.engine.snapshot(replica.storage_id) {
            Ok(reader) => reader,
            Err(error) if error.is_fatal() => return Err(engine_fatal(error)),
            Err(error) => {
                tracing::error!(%partition, error = &error as &dyn std::error::Error, "failed to take a snapshot");
                self.failed_snapshots.push((partition, to));
                return Ok(());
            }
        };
        tracing::info!(%partition, to = to.0, index = reader.record().applied.index, "sending a snapshot");
        if let Some(metrics) = &self.config.metrics {
            metrics.snapshots_sent.inc();
        }
        let mut outgoing = Outgoing {
            partition,
            to,
            id: self.random.random(),
            term,
            reader,
            window: VecDeque::new(),
            next: 0,
            ended: false,
            progress_boot_ms: now.boot_ms,
            sent_boot_ms: now.boot_ms,
        };
        if self.fill_window(&mut outgoing, now)? {
            self.outgoing.push(outgoing);
        } else {
            self.failed_snapshots.push((partition, to));
        }
        Ok(())
    }

    /// Sends chunks as far as the window goes; false if the snapshot can't be read on.
    fn fill_window(&mut self, outgoing: &mut Outgoing, now: Now) -> Result<bool, FatalError> {
        while !outgoing.ended && outgoing.window.len() < self.config.snapshot_chunks_in_flight_max {
            match outgoing.reader.next_chunk() {
                Ok(Some(bytes)) => {
                    outgoing.window.push_back((outgoing.next, bytes.clone()));
                    self.send_chunk(outgoing, outgoing.next, bytes, now);
                    outgoing.next += 1;
                    outgoing.sent_boot_ms = now.boot_ms;
                }
                Ok(None) => outgoing.ended = true,
                Err(error) if error.is_fatal() => return Err(engine_fatal(error)),
                Err(error) => {
                    let partition = outgoing.partition;
                    tracing::error!(%partition, error = &error as &dyn std::error::Error, "failed to read a snapshot");
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn send_chunk(&mut self, outgoing: &Outgoing, number: u32, bytes: Bytes, now: Now) {
        let Some(Slot::Live(replica)) = self.slots.get(&outgoing.partition) else { return };
        let Some(to) = replica.member(outgoing.to) else { return };
        let body = FrameBody::Chunk { snapshot: outgoing.id, term: outgoing.term, number, bytes };
        self.send(outgoing.partition, replica.replica_id, &to, &body, now);
    }

    pub(super) fn receive_chunk_ack(
        &mut self,
        header: &FrameHeader,
        snapshot: u64,
        next: u32,
        refused: bool,
        now: Now,
    ) -> Result<(), FatalError> {
        let found = |outgoing: &Outgoing| {
            outgoing.partition == header.partition && outgoing.to == header.from && outgoing.id == snapshot
        };
        let Some(position) = self.outgoing.iter().position(found) else { return Ok(()) };
        let mut outgoing = self.outgoing.swap_remove(position);
        if refused {
            self.failed_snapshots.push((outgoing.partition, outgoing.to));
            return Ok(());
        }
        while outgoing.window.front().is_some_and(|(number, _)| *number < next) {
            outgoing.window.pop_front();
            outgoing.progress_boot_ms = now.boot_ms;
        }
        if !self.fill_window(&mut outgoing, now)? {
            self.failed_snapshots.push((outgoing.partition, outgoing.to));
        } else if outgoing.ended && outgoing.window.is_empty() {
            if let Some(Slot::Live(replica)) = self.slots.get_mut(&outgoing.partition) {
                replica.raft.report_snapshot(outgoing.to.0, SnapshotStatus::Finish);
            }
        } else {
            self.outgoing.push(outgoing);
        }
        Ok(())
    }

    /// Sends again what was not acknowledged, and gives up what makes no progress.
    pub(super) fn tick_snapshots(&mut self, now: Now) -> Result<(), FatalError> {
        for mut outgoing in std::mem::take(&mut self.outgoing) {
            let leads = match self.slots.get(&outgoing.partition) {
                Some(Slot::Live(replica)) => replica.is_leader() && replica.raft.raft.term == outgoing.term,
                _ => false,
            };
            if !leads || now.boot_ms.saturating_sub(outgoing.progress_boot_ms) > self.config.snapshot_timeout_ms {
                self.failed_snapshots.push((outgoing.partition, outgoing.to));
                continue;
            }
            if now.boot_ms.saturating_sub(outgoing.sent_boot_ms) >= RESEND_MS {
                outgoing.sent_boot_ms = now.boot_ms;
                for (number, bytes) in outgoing.window.clone() {
                    self.send_chunk(&outgoing, number, bytes, now);
                }
            }
            self.outgoing.push(outgoing);
        }
        let stale: Vec<PartitionId> = self
            .incoming
            .iter()
            .filter(|(_, incoming)| {
                now.boot_ms.saturating_sub(incoming.progress_boot_ms) > 2 * self.config.snapshot_timeout_ms
            })
            .map(|(id, _)| *id)
            .collect();
        stale.into_iter().try_for_each(|id| self.abandon_incoming(id))
    }

    /// Tells Raft which snapshots did not arrive, so that it tries again.
    pub(super) fn report_failed_snapshots(&mut self) {
        for (partition, to) in std::mem::take(&mut self.failed_snapshots) {
            if let Some(Slot::Live(replica)) = self.slots.get_mut(&partition) {
                replica.raft.report_snapshot(to.0, SnapshotStatus::Failure);
                self.dirty.insert(partition);
            }
        }
    }

    pub(super) fn receive_chunk(
        &mut self,
        header: &FrameHeader,
        snapshot: u64,
        term: u64,
        number: u32,
        bytes: Bytes,
        now: Now,
    ) -> Result<(), FatalError> {
        let partition = header.partition;
        let Some(Slot::Live(replica)) = self.slots.get(&partition) else { return Ok(()) };
        if term < replica.raft.raft.term {
            self.acknowledge(header, snapshot, 0, true, now);
            return Ok(());
        }
        let known = |incoming: &Incoming| incoming.from == header.from && incoming.id == snapshot;
        if !self.incoming.get(&partition).is_some_and(known) {
            if number != 0 {
                // The rest of one that was given up, or overtook its beginning, which will be sent again.
                return Ok(());
            }
            self.abandon_incoming(partition)?;
            let busy = self.incoming.contains_key(&partition) || self.incoming.len() >= self.config.snapshots_in_max;
            if busy {
                self.acknowledge(header, snapshot, 0, true, now);
                return Ok(());
            }
            let writer = self.engine.begin_load().map_err(engine_fatal)?;
            let incoming =
                Incoming { from: header.from, id: snapshot, writer, progress_boot_ms: now.boot_ms, accepted: false };
            self.incoming.insert(partition, incoming);
        }
        let Some(incoming) = self.incoming.get_mut(&partition) else { return Ok(()) };
        if number == incoming.writer.next_chunk() && !incoming.writer.is_complete() {
            match self.engine.load(&mut incoming.writer, &bytes) {
                Ok(()) => incoming.progress_boot_ms = now.boot_ms,
                Err(error) if error.is_fatal() => return Err(engine_fatal(error)),
                Err(error) => {
                    tracing::warn!(%partition, error = &error as &dyn std::error::Error, "gave up a snapshot");
                    self.abandon_incoming(partition)?;
                    self.acknowledge(header, snapshot, 0, true, now);
                    return Ok(());
                }
            }
        }
        let (next, complete) = (incoming.writer.next_chunk(), incoming.writer.is_complete());
        self.acknowledge(header, snapshot, next, false, now);
        if complete && number + 1 == next { self.offer(header, term) } else { Ok(()) }
    }

    /// All chunks are here: asks Raft whether it wants the snapshot.
    fn offer(&mut self, header: &FrameHeader, term: u64) -> Result<(), FatalError> {
        let partition = header.partition;
        let record = self.incoming.get(&partition).and_then(|incoming| incoming.writer.record());
        let Some(record) = record else { return self.abandon_incoming(partition) };
        let Some(Slot::Live(replica)) = self.slots.get_mut(&partition) else { return Ok(()) };
        let index = record.applied.index;
        let fits = record.descriptor.partition_id == partition
            && membership::find(&record.descriptor, replica.replica_id).is_some()
            && index > replica.state.applied.index;
        if fits {
            let mut message = Message::default();
            message.set_msg_type(MessageType::MsgSnapshot);
            message.from = header.from.0;
            message.to = header.to.0;
            message.term = term;
            let position = Position { index, term: record.applied.term };
            message.set_snapshot(storage::snapshot_of(position, raft_types::conf_state(&record.descriptor)));
            // What the library refuses is from before or from a stranger.
            let _ = replica.raft.step(message);
            let accepted = replica.raft.snap().is_some_and(|snapshot| snapshot.get_metadata().index == index);
            if let Some(incoming) = self.incoming.get_mut(&partition).filter(|_| accepted) {
                incoming.accepted = true;
                return Ok(());
            }
        }
        self.abandon_incoming(partition)
    }

    /// Installs the snapshot that Raft has accepted: a new log that begins after it, made durable; then the record switches
    /// to data and log in one step; then the old log goes. Whatever crashes in between, one of the two states is whole.
    pub(super) fn install(&mut self, partition: PartitionId, ready: &Ready) -> Result<Position, FatalError> {
        let metadata = ready.snapshot().get_metadata();
        let position = Position { index: metadata.index, term: metadata.term };
        let broken = |reason: &str| FatalError::Broken(format!("failed to install a snapshot: {reason}"));
        let Some(incoming) = self.incoming.remove(&partition).filter(|incoming| incoming.accepted) else {
            return Err(broken("its data is not here"));
        };
        let Some(Slot::Live(replica)) = self.slots.get_mut(&partition) else {
            return Err(broken("its replica is not here"));
        };
        let log_id = self.engine.allocate_ids().map_err(engine_fatal)?.log_id;
        let state = ready.hs().map_or_else(|| replica.raft.store().hard_state(), raft_types::hard_state_from_raft);
        let state = HardState { commit: position.index, ..state };
        self.log.start(log_id, position.index, position.term, state).map_err(log_fatal)?;
        let record =
            self.engine.install(incoming.writer, partition, replica.replica_id, log_id).map_err(engine_fatal)?;
        let fed = feed::fed_of(&self.engine, record.storage_id)?;
        let old_log_id = replica.raft.store().log_id();
        replica.restore(record, fed, log_id);
        self.log.remove(old_log_id).map_err(log_fatal)?;
        if let Some(metrics) = &self.config.metrics {
            metrics.snapshots_installed.inc();
        }
        tracing::info!(%partition, index = position.index, "installed a snapshot");
        Ok(position)
    }

    pub(super) fn abandon_incoming(&mut self, partition: PartitionId) -> Result<(), FatalError> {
        match self.incoming.get(&partition) {
            Some(incoming) if !incoming.accepted => {}
            _ => return Ok(()),
        }
        match self.incoming.remove(&partition) {
            Some(incoming) => self.engine.abandon(incoming.writer).map_err(engine_fatal),
            None => Ok(()),
        }
    }

    /// The replica goes away, and its snapshots with it.
    pub(super) fn drop_snapshots(&mut self, partition: PartitionId) -> Result<(), FatalError> {
        self.outgoing.retain(|outgoing| outgoing.partition != partition);
        match self.incoming.remove(&partition) {
            Some(incoming) => self.engine.abandon(incoming.writer).map_err(engine_fatal),
            None => Ok(()),
        }
    }

    fn acknowledge(&mut self, header: &FrameHeader, snapshot: u64, next: u32, refused: bool, now: Now) {
        let Some(Slot::Live(replica)) = self.slots.get(&header.partition) else { return };
        let Some(to) = replica.member(header.from) else { return };
        let body = FrameBody::ChunkAck { snapshot, next, refused };
        self.send(header.partition, header.to, &to, &body, now);
    }
}
