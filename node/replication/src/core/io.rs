//! What goes into the machine and what comes out.

use crate::{
    global::{Reader, RemoteBatch},
    operation::{PartitionError, PartitionOutcome, PartitionRequest},
    restore::Restored,
};
use bytes::Bytes;
use cairn_engine::LogMark;
use cairn_model::{
    descriptor::{Member, PartitionDescriptor},
    ids::{NodeId, PartitionId, TableId},
    node::{Order, OrderOutcome},
    table::TableDefinition,
    time::Timestamp,
};
use std::{collections::BTreeMap, sync::Arc};

/// One thing that happened. Tokens are the driver's own; each comes back once, with its answer.
#[derive(Debug)]
pub enum Input {
    /// A tick's time has passed.
    Tick,
    Frame {
        from: NodeId,
        bytes: Bytes,
    },
    /// Reads are evaluated by the machine itself; a driver that has threads for that asks for a `ReadBarrier` instead.
    Request {
        token: u64,
        partition: PartitionId,
        epoch: u64,
        request: PartitionRequest,
    },
    /// Answered when all that was acknowledged before is applied here, and this replica led when it was asked.
    ReadBarrier {
        token: u64,
        partition: PartitionId,
        epoch: u64,
    },
    /// Answered with a claim: see [`Claim`].
    Close {
        token: u64,
        partition: PartitionId,
    },
    Order {
        token: u64,
        order: Order,
    },
    /// A batch of another region, to the leader; answered once what it comes to is applied. It may come twice, and late.
    Remote {
        token: u64,
        partition: PartitionId,
        batch: Box<RemoteBatch>,
    },
    /// Initialise a partition with data that was restored; answered as an order is.
    Adopt {
        token: u64,
        restored: Box<Restored>,
        descriptor: PartitionDescriptor,
        definition: TableDefinition,
    },
    /// The archive has all entries of the partition up to this one: they need not be kept for it any more.
    Archived {
        partition: PartitionId,
        index: u64,
    },
    /// A global index has all entries of the table's partition up to this one.
    Fed {
        partition: PartitionId,
        index: TableId,
        upto: u64,
    },
    /// The log of this replica, which leads, lacks what an index needs: it came by a snapshot.
    LogLacks {
        partition: PartitionId,
    },
    /// The engine was persisted, after `Output::Persist` asked for it.
    Persisted,
    /// The process is about to stop: give all leadership away.
    HandOver,
}

/// One thing to do.
#[derive(Debug)]
pub enum Output {
    /// To be sent; may be lost, duplicated and overtaken.
    Frame {
        to: Member,
        bytes: Bytes,
    },
    Answer {
        token: u64,
        result: Result<PartitionOutcome, PartitionError>,
    },
    ReadReady {
        token: u64,
        result: Result<ReadPoint, PartitionError>,
    },
    Closed {
        token: u64,
        result: Result<Claim, PartitionError>,
    },
    /// Where this region stands with the batch's source now.
    RemoteTaken {
        token: u64,
        result: Result<Reader, PartitionError>,
    },
    OrderAnswer {
        token: u64,
        outcome: OrderOutcome,
    },
    /// Call `Engine::persist` with these marks, on whatever thread, and step `Input::Persisted` when it is done. Asked for
    /// once at a time.
    Persist {
        marks: BTreeMap<u64, LogMark>,
    },
}

/// That no entry with an entry time at or below `time` has an index above `index`, in this term or any later one, nor has one that
/// commits a transaction which its primary decided by then; and that all entries up to `index` are applied here.
///
/// It holds because a leader never stamps at or below a time that it closed, because it is proved to have led after it did
/// so, and because a later leader's clock is within twice the offset that [`crate::CoreConfig::clock_offset_max_ms`] allows
/// of this one's: the time closed is behind the clock by twice that again. Of a transaction, because a claim stays below the time
/// at which any was prepared that has not ended, and none is decided at or before that ([`crate::transaction`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub index: u64,
    pub time: Timestamp,
}

/// From where a read may be served. It holds as long as the partition's record still names the same storage id
/// after the read.
#[derive(Clone, Debug)]
pub struct ReadPoint {
    pub storage_id: u64,
    pub descriptor: Arc<PartitionDescriptor>,
    pub definition: Arc<TableDefinition>,
}

/// The process must end: what is in memory and what is on disk may differ.
#[derive(Debug, thiserror::Error)]
pub enum FatalError {
    #[error("failed to write the log")]
    Log(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("failed to write or read the items")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("failed to keep the rules of replication: {0}")]
    Broken(String),
}
