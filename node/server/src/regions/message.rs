//! What regions ask of each other, and what they are answered: from a storage node to another region's router, and from
//! that router to the leader.
//!
//! As [`wire`] has it: a version, and postcard's encoding behind it. Variants are only ever added at the end.

use bytes::Bytes;
use cairn_model::{
    descriptor::{KeyRange, Member},
    ids::{PartitionId, TableId},
    index::ProjectionType,
    table::{KeyAttribute, TableDefinition},
};
use cairn_replication::{
    global::{NotEmpty, Reader},
    wire::{self, WireError},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// Of both ports.
pub(crate) const PATH: &str = "/v1/regions";
/// The largest call: where a reader stands, with as many lineages as a vector may have.
pub(crate) const CALL_BYTES_MAX: usize = 256 << 10;
/// The largest answer: a batch in which one entry is as large as any may be.
pub(crate) const ANSWER_BYTES_MAX: usize = 12 << 20;
/// For how long a source waits for something new.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(2);
/// For how long it then tries to close a time.
pub(crate) const CLOSE_MAX: Duration = Duration::from_secs(1);
/// For how long a batch waits for its turn to be made.
pub(crate) const TURN_MAX: Duration = Duration::from_secs(2);

/// To another region's router: who asks is told by the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableCall {
    pub(crate) account: String,
    pub(crate) table: String,
    /// Of the caller.
    pub(crate) cluster_id: String,
    /// None: all of the table's.
    pub(crate) partition: Option<PartitionId>,
    pub(crate) ask: RegionAsk,
}

/// To the leader of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionCall {
    pub(crate) partition: PartitionId,
    /// Who asks, and that region's cluster.
    pub(crate) region: String,
    pub(crate) cluster_id: String,
    pub(crate) ask: RegionAsk,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RegionAsk {
    /// What the table is.
    Describe,
    /// A batch that only asks where the caller stands.
    Hello,
    /// The next batch for a reader, of about so many bytes. Where there is nothing new, it is waited for, [`WAIT_MAX`] at most.
    Changes { reader: Box<Reader>, bytes_max: u32, wait_ms: u32 },
}

pub(crate) type RegionAnswer = Result<RegionOutcome, RegionRefusal>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RegionOutcome {
    Description(TableDescription),
    Batch(ShippedBatch),
    /// Of a table that has local indexes. Whoever does not know what these are does not join it.
    IndexedDescription {
        table: TableDescription,
        local_indexes: Vec<IndexDescription>,
    },
}

impl RegionOutcome {
    pub(crate) fn description(table: TableDescription, local_indexes: Vec<IndexDescription>) -> Self {
        if local_indexes.is_empty() {
            return Self::Description(table);
        }
        Self::IndexedDescription { table, local_indexes }
    }

    /// The description with the table's local indexes, if it is one.
    pub(crate) fn into_description(self) -> Option<(TableDescription, Vec<IndexDescription>)> {
        match self {
            Self::Description(table) => Some((table, Vec::new())),
            Self::IndexedDescription { table, local_indexes } => Some((table, local_indexes)),
            Self::Batch(_) => None,
        }
    }

    /// When it was answered.
    pub(crate) fn clock(&self) -> SourceClock {
        match self {
            Self::Description(table) | Self::IndexedDescription { table, .. } => table.clock,
            Self::Batch(batch) => batch.clock,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableDescription {
    pub(crate) clock: SourceClock,
    pub(crate) region: String,
    pub(crate) cluster_id: String,
    pub(crate) table_id: TableId,
    /// The partition key, and the sort key if there is one.
    pub(crate) keys: Vec<KeyAttribute>,
    pub(crate) partitions: Vec<PartitionDescription>,
}

/// What a local index is. Where it lies is each region's own affair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexDescription {
    pub(crate) index_name: String,
    pub(crate) sort: KeyAttribute,
    pub(crate) projection_type: ProjectionType,
    pub(crate) non_key_attributes: BTreeSet<String>,
}

impl IndexDescription {
    /// Those of a table, in the order of their names.
    pub(crate) fn all_of(definition: &TableDefinition) -> Vec<Self> {
        let mut all: Vec<Self> = definition
            .local_indexes
            .iter()
            .map(|index| Self {
                index_name: index.index_name.clone(),
                sort: index.sort.clone(),
                projection_type: index.projection.projection_type,
                non_key_attributes: index.projection.non_key_attributes.clone(),
            })
            .collect();
        all.sort_by(|one, other| one.index_name.cmp(&other.index_name));
        all
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionDescription {
    pub(crate) partition: PartitionId,
    pub(crate) range: KeyRange,
    pub(crate) item_count: u64,
    /// The regions that it lists.
    pub(crate) members: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShippedBatch {
    pub(crate) clock: SourceClock,
    /// Items in the partition.
    pub(crate) item_count: u64,
    /// A batch in its encoding, this long, in zstd's.
    pub(crate) length: u32,
    pub(crate) compressed: Bytes,
}

/// When the leader answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceClock {
    /// Milliseconds since the Unix epoch.
    pub(crate) wall_ms: u64,
    /// For how long it had the call before.
    pub(crate) held_ms: u64,
}

/// Why a region does not answer what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum RegionRefusal {
    #[error("there is no such table")]
    TableMissing,
    #[error("the table does not list the caller's region")]
    NotListed,
    #[error("no table of the account lists the caller's region with the authority of its certificate")]
    Untrusted,
    #[error("the table lists the caller's region with another cluster id")]
    WrongCluster,
    /// It must pull first.
    #[error("nothing was heard of the caller's table yet")]
    NotHeard,
    #[error(transparent)]
    NotEmpty(NotEmpty),
    /// Only from a storage node to a router of its release.
    #[error("this replica does not lead the partition")]
    NotLeader { leader: Option<Member> },
    /// For now.
    #[error("{message}")]
    Unavailable { message: String },
}

impl RegionRefusal {
    pub(crate) fn unavailable(message: impl ToString) -> Self {
        Self::Unavailable { message: message.to_string() }
    }
}

/// Can't fail: what has no encoding becomes an answer that says so.
pub(crate) fn encode_answer(answer: &RegionAnswer) -> Bytes {
    wire::encode(answer).unwrap_or_else(|error| {
        let refusal: RegionAnswer = Err(RegionRefusal::unavailable(error));
        wire::encode(&refusal).unwrap_or_default()
    })
}

pub(crate) fn decode_answer(bytes: &[u8]) -> Result<RegionAnswer, WireError> {
    wire::decode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::{table::ScalarType, time::Timestamp};
    use cairn_replication::global::Lineage;

    const PARTITION: PartitionId = PartitionId([1; 16]);

    fn reader() -> Reader {
        let lineage = |region: &str| Lineage { region: region.into(), since: Timestamp(9), partition: PARTITION };
        Reader {
            lineage: lineage("east"),
            vector: [].into_iter().collect(),
            source: lineage("west"),
            place: None,
            copy: None,
        }
    }

    /// The bytes of version 1: regions of neighbouring versions run together.
    #[test]
    fn calls_of_version_1_stay_readable() {
        let id = b"\x2401010101-0101-0101-0101-010101010101";
        let call = TableCall {
            account: "game".into(),
            table: "users".into(),
            cluster_id: "c1".into(),
            partition: Some(PARTITION),
            ask: RegionAsk::Changes { reader: Box::new(reader()), bytes_max: 5, wait_ms: 6 },
        };
        let reader = [&b"\x04east\x09"[..], id, b"\x00\x04west\x09", id, b"\x00\x00"].concat();
        let golden = [&b"\x01\x04game\x05users\x02c1\x01"[..], id, b"\x02", &reader, b"\x05\x06"].concat();
        assert_eq!(wire::encode(&call).unwrap(), golden);
        assert_eq!(wire::decode::<TableCall>(&golden).unwrap(), call);
    }

    #[test]
    fn answers_of_version_1_stay_readable() {
        let id = b"\x2401010101-0101-0101-0101-010101010101";
        let clock = SourceClock { wall_ms: 7, held_ms: 2 };
        let description = TableDescription {
            clock,
            region: "west".into(),
            cluster_id: "c2".into(),
            table_id: TableId([1; 16]),
            keys: vec![KeyAttribute { name: "Id".into(), scalar_type: ScalarType::N }],
            partitions: vec![PartitionDescription {
                partition: PARTITION,
                range: KeyRange::default(),
                item_count: 3,
                members: ["east".into()].into(),
            }],
        };
        let described =
            [&b"\x01\x00\x00\x07\x02\x04west\x02c2"[..], id, b"\x01\x02Id\x01\x01", id, b"\x00\x00\x03\x01\x04east"]
                .concat();
        let index = IndexDescription {
            index_name: "idx".into(),
            sort: KeyAttribute { name: "At".into(), scalar_type: ScalarType::B },
            projection_type: ProjectionType::Include,
            non_key_attributes: ["A".into()].into(),
        };
        let indexed = RegionOutcome::description(description.clone(), vec![index]);
        let mut of_indexed = described.clone();
        of_indexed[2] = 2;
        of_indexed.extend_from_slice(b"\x01\x03idx\x02At\x02\x02\x01\x01A");
        let batch = ShippedBatch { clock, item_count: 3, length: 1, compressed: Bytes::from_static(b"z") };
        for (answer, golden) in [
            (Ok(RegionOutcome::Description(description)), described.clone()),
            (Ok(indexed), of_indexed),
            (Ok(RegionOutcome::Batch(batch)), b"\x01\x00\x01\x07\x02\x03\x01\x01z".to_vec()),
            (Err(RegionRefusal::NotHeard), b"\x01\x01\x04".to_vec()),
            (Err(RegionRefusal::unavailable("no")), b"\x01\x01\x07\x02no".to_vec()),
        ] {
            assert_eq!(encode_answer(&answer), golden);
            assert_eq!(decode_answer(&golden).unwrap(), answer);
        }
    }
}
