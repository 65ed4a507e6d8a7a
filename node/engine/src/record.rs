//! What the engine writes down of a replica, byte by byte.
//!
//! ```text
//! counters (version 1, 17 bytes)
//! 0   1  version: 1
//! 1   8  next storage id, big-endian
//! 9   8  next log id, big-endian
//!
//! replica record (version 1)
//! 0   1  version: 1
//! 1   …  JSON object: partitionId, replicaId, storageId, logId, descriptor, definition, and damaged (a text) if it is.
//!        Fields are only ever added, and only such as may be absent; unknown ones are ignored.
//!
//! retired replica (version 1)
//! 0   1  version: 1
//! 1   …  JSON object: storageId, descriptor, definition and entryTime (RetiredReplica). As for the replica record, fields are
//!        only ever added.
//!
//! tombstone (version 1, 9 bytes)
//! 0   1  version: 1
//! 1   8  the highest replica id of the partition that was ever dropped from this node, big-endian; 0: the partition was
//!        dropped, and the node held nothing of it
//!
//! applied state (version 1, 73 bytes; all numbers big-endian)
//! 0   1  version: 1
//! 1   8  index            \
//! 9   8  term              | of the last entry applied
//! 17  8  sequence          |
//! 25  8  entry time       /
//! 33  8  items
//! 41  8  bytes of items, as DynamoDB counts them
//! 49  8  position of the oldest outcome kept
//! 57  8  position of the next outcome
//! 65  8  bytes of the outcomes kept
//! ```

use crate::EngineError;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cairn_model::{
    TableDefinition,
    descriptor::PartitionDescriptor,
    ids::{PartitionId, ReplicaId},
    stream::Streams,
    time::Timestamp,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const COUNTERS_VERSION: u8 = 1;
const RECORD_VERSION: u8 = 1;
const RETIRED_VERSION: u8 = 1;
const TOMBSTONE_VERSION: u8 = 1;
const APPLIED_VERSION: u8 = 1;
const APPLIED_BYTES: usize = 73;
const RECORD: &str = "replica record";
const RETIRED: &str = "retired replica";

/// A replica on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaRecord {
    pub partition_id: PartitionId,
    pub replica_id: ReplicaId,
    /// Where its data lies; of this node only, and never used twice.
    pub storage_id: u64,
    /// Where its log lies; of this node only, and never used twice.
    pub log_id: u64,
    pub descriptor: PartitionDescriptor,
    pub definition: TableDefinition,
    pub applied: Applied,
    /// Set once the replica's data or log was found damaged, for good: the file and what is wrong with it.
    pub damaged: Option<String>,
}

/// How far a replica has applied its log, and what its data amounts to then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub index: u64,
    pub term: u64,
    /// The proposer's, in that term.
    pub sequence: u64,
    pub entry_time: Timestamp,
    pub item_count: u64,
    /// Item sizes as DynamoDB counts them.
    pub size_bytes: u64,
}

/// What is left on this node of a partition whose table was deleted: the records of its streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetiredReplica {
    /// Where they lie.
    pub storage_id: u64,
    /// As it was last.
    pub descriptor: PartitionDescriptor,
    /// [`TableDefinition::retired`].
    pub definition: TableDefinition,
    /// Of the last entry that was applied.
    pub entry_time: Timestamp,
}

impl RetiredReplica {
    pub(crate) fn encode(&self) -> Result<Bytes, EngineError> {
        encode_json(RETIRED, RETIRED_VERSION, self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        decode_json(RETIRED, RETIRED_VERSION, bytes)
    }

    /// Until when anything of it can be read; milliseconds since the Unix epoch.
    pub(crate) fn until_ms(&self) -> u64 {
        self.definition.stream.as_ref().map_or(0, Streams::past_until_ms)
    }
}

/// The stored form of a record; what is applied is stored apart, because it changes with every batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredRecord {
    pub(crate) partition_id: PartitionId,
    pub(crate) replica_id: ReplicaId,
    pub(crate) storage_id: u64,
    pub(crate) log_id: u64,
    pub(crate) descriptor: PartitionDescriptor,
    pub(crate) definition: TableDefinition,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) damaged: Option<String>,
}

impl StoredRecord {
    pub(crate) fn encode(&self) -> Result<Bytes, EngineError> {
        encode_json(RECORD, RECORD_VERSION, self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        decode_json(RECORD, RECORD_VERSION, bytes)
    }

    pub(crate) fn with_applied(self, applied: Applied) -> ReplicaRecord {
        ReplicaRecord {
            partition_id: self.partition_id,
            replica_id: self.replica_id,
            storage_id: self.storage_id,
            log_id: self.log_id,
            descriptor: self.descriptor,
            definition: self.definition,
            applied,
            damaged: self.damaged,
        }
    }
}

/// The next ids to give away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) storage_id: u64,
    pub(crate) log_id: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self { storage_id: 1, log_id: 1 }
    }
}

impl Counters {
    pub(crate) fn encode(self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(17);
        bytes.put_u8(COUNTERS_VERSION);
        bytes.put_u64(self.storage_id);
        bytes.put_u64(self.log_id);
        bytes.freeze()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        let mut rest = fixed("counters", bytes, COUNTERS_VERSION, 17)?;
        Ok(Self { storage_id: rest.get_u64(), log_id: rest.get_u64() })
    }
}

pub(crate) fn encode_tombstone(highest: ReplicaId) -> Bytes {
    let mut bytes = BytesMut::with_capacity(9);
    bytes.put_u8(TOMBSTONE_VERSION);
    bytes.put_u64(highest.0);
    bytes.freeze()
}

pub(crate) fn decode_tombstone(bytes: &[u8]) -> Result<ReplicaId, EngineError> {
    let mut rest = fixed("tombstone", bytes, TOMBSTONE_VERSION, 9)?;
    Ok(ReplicaId(rest.get_u64()))
}

/// What is applied and which outcomes are kept: all that changes with every batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppliedState {
    pub(crate) applied: Applied,
    pub(crate) outcomes: OutcomeWindow,
}

/// Which outcomes are kept: the positions from `first` to before `next`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutcomeWindow {
    pub(crate) first: u64,
    pub(crate) next: u64,
    pub(crate) bytes: u64,
}

impl AppliedState {
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(APPLIED_BYTES);
        bytes.put_u8(APPLIED_VERSION);
        bytes.put_u64(self.applied.index);
        bytes.put_u64(self.applied.term);
        bytes.put_u64(self.applied.sequence);
        bytes.put_u64(self.applied.entry_time.0);
        bytes.put_u64(self.applied.item_count);
        bytes.put_u64(self.applied.size_bytes);
        bytes.put_u64(self.outcomes.first);
        bytes.put_u64(self.outcomes.next);
        bytes.put_u64(self.outcomes.bytes);
        bytes.freeze()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        let mut rest = fixed("applied state", bytes, APPLIED_VERSION, APPLIED_BYTES)?;
        let applied = Applied {
            index: rest.get_u64(),
            term: rest.get_u64(),
            sequence: rest.get_u64(),
            entry_time: Timestamp(rest.get_u64()),
            item_count: rest.get_u64(),
            size_bytes: rest.get_u64(),
        };
        let outcomes = OutcomeWindow { first: rest.get_u64(), next: rest.get_u64(), bytes: rest.get_u64() };
        if outcomes.first > outcomes.next {
            return Err(EngineError::Damaged {
                what: "applied state",
                reason: "its outcomes end before they begin".into(),
            });
        }
        Ok(Self { applied, outcomes })
    }
}

fn encode_json(what: &'static str, version: u8, record: &impl Serialize) -> Result<Bytes, EngineError> {
    let mut bytes = vec![version];
    serde_json::to_writer(&mut bytes, record)
        .map_err(|error| EngineError::Damaged { what, reason: error.to_string() })?;
    Ok(bytes.into())
}

fn decode_json<T: DeserializeOwned>(what: &'static str, known: u8, bytes: &[u8]) -> Result<T, EngineError> {
    let json = versioned(what, bytes, known)?;
    serde_json::from_slice(json).map_err(|error| EngineError::Damaged { what, reason: error.to_string() })
}

/// The bytes after a known version.
pub(crate) fn versioned<'a>(what: &'static str, bytes: &'a [u8], known: u8) -> Result<&'a [u8], EngineError> {
    match bytes {
        [] => Err(EngineError::Damaged { what, reason: "it is empty".into() }),
        [0, ..] => Err(EngineError::Damaged { what, reason: "its version is 0".into() }),
        [found, ..] if *found > known => Err(EngineError::NewerFormat { what, found: *found, known }),
        [_, rest @ ..] => Ok(rest),
    }
}

fn fixed<'a>(what: &'static str, bytes: &'a [u8], known: u8, size: usize) -> Result<&'a [u8], EngineError> {
    let rest = versioned(what, bytes, known)?;
    if bytes.len() != size {
        return Err(EngineError::Damaged { what, reason: format!("it has {} bytes instead of {size}", bytes.len()) });
    }
    Ok(rest)
}
