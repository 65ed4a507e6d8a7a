//! What travels from region to region: a batch of writes, or a page of a copy. In postcard's encoding, behind a version.

use super::{Gone, Lineage, Vector, joining};
use crate::{place::LogPlace, wire};
use bytes::Bytes;
use cairn_model::{
    codec::{CodecError, StoredVersion},
    key::EncodedKey,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Bytes of records that are put into one batch, but for its last entry or item.
pub const BATCH_BYTES_MAX: usize = 1 << 20;
/// Bytes of records in a batch that is still taken: far above that, and what an entry and an item may add.
const TAKEN_BYTES_MAX: usize = 8 << 20;
/// Lineages and members in one batch.
const NAMES_MAX: usize = 16_384;
/// Bytes of an item's key: above what the longest has. The store panics on far longer ones.
pub(crate) const KEY_BYTES_MAX: usize = 16 << 10;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("failed to read or write a batch of another region")]
    Wire(#[from] wire::WireError),
    #[error("a record of a batch of another region is damaged")]
    Record(#[from] CodecError),
    #[error("a batch of another region is larger than any may be")]
    TooLarge,
}

/// One batch, from one region's partition to another's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoteBatch {
    /// Who sends it, and what that region has.
    pub source: Member,
    /// The region it is for, and the table there: what another one has, it is made without. None: it only asks.
    pub reader: String,
    pub reader_lineage: Option<Lineage>,
    /// Everything that records in it may be of: what the source has, and what it is copying.
    pub known: Vector,
    /// Up to which entry of the reader's log the source has read, and keeps that it has.
    pub read: Option<(Lineage, u64)>,
    /// What the source knows of others.
    pub others: Vec<Member>,
    /// Which tables it knows to be gone.
    pub gone: Gone,
    /// Entries of the source's log that the reader lacks once it has this: about what is on its way.
    pub pending: u64,
    pub body: BatchBody,
}

/// One region of a global table, and what it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub lineage: Lineage,
    /// The table whose items were there before it became global, as far as any of them are in this one.
    pub founder: Option<Lineage>,
    /// It was joined with others, and has had items since: it has no founder any more if it has none by now.
    pub is_settled: bool,
    /// The members as it lists them.
    pub members: BTreeSet<String>,
    pub has: Vector,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BatchBody {
    /// Only asks where the reader stands.
    Hello,
    /// What the source's log has between two entries.
    Changes { after: u64, through: LogPlace, groups: Vec<Group> },
    /// A page of a copy: it begins behind `page.after`, and ends before `next`, or with the copy.
    Copy { page: CopyPosition, next: Option<Bytes>, records: Vec<Record> },
}

/// How far a copy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyPosition {
    /// Where the source's log goes on behind the copy.
    pub start: LogPlace,
    /// What the source had when the copy began.
    pub vector: Vector,
    /// Up to where it is there: an index (layout.rs of the engine), and the rest of a key; empty: nothing is.
    pub after: Bytes,
}

/// Records that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// None: they were copied.
    pub origin: Option<Origin>,
    /// None at all: only the time moves on.
    pub records: Vec<Record>,
}

/// One entry of the log of a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    pub lineage: Lineage,
    pub time: Timestamp,
}

/// A version of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub key: EncodedKey,
    /// A [`StoredVersion`] that names its origin.
    pub version: Bytes,
}

/// Where a reader stands with one source: what a source needs to know to make the next batch for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    pub lineage: Lineage,
    pub vector: Vector,
    /// The source that the rest is about.
    pub source: Lineage,
    /// Behind which entry of the source's log it goes on; none before its first copy is complete.
    pub place: Option<LogPlace>,
    pub copy: Option<CopyPosition>,
}

impl Record {
    pub fn parse(&self) -> Result<StoredVersion, CodecError> {
        StoredVersion::parse(self.version.clone())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.key.0.len() + self.version.len()
    }
}

impl RemoteBatch {
    pub fn encode(&self) -> Result<Bytes, BatchError> {
        Ok(wire::encode(self)?)
    }

    pub fn decode(bytes: impl AsRef<[u8]>) -> Result<Self, BatchError> {
        let batch: Self = wire::decode(bytes.as_ref())?;
        batch.check()?;
        Ok(batch)
    }

    /// That it is within its limits.
    pub(crate) fn check(&self) -> Result<(), BatchError> {
        let names = |member: &Member| member.has.len() + member.members.len();
        let copied = match &self.body {
            BatchBody::Copy { page, .. } => page.vector.len(),
            _ => 0,
        };
        let all = names(&self.source)
            + self.others.iter().map(names).sum::<usize>()
            + self.known.len()
            + self.gone.len()
            + copied;
        if all > NAMES_MAX || self.record_bytes() > TAKEN_BYTES_MAX { Err(BatchError::TooLarge) } else { Ok(()) }
    }

    /// Its source, as one of two that may be joined.
    pub(crate) fn side(&self) -> joining::Side<'_> {
        let Member { lineage, founder, is_settled, has, .. } = &self.source;
        let heard = has.iter().map(|(lineage, _)| lineage).chain(self.others.iter().map(|other| &other.lineage));
        let heard = heard.chain(self.read.iter().map(|(reader, _)| reader)).collect();
        joining::Side { lineage, founder: founder.as_ref(), is_settled: *is_settled, has, gone: &self.gone, heard }
    }

    fn record_bytes(&self) -> usize {
        let of = |records: &[Record]| records.iter().map(Record::bytes).sum::<usize>();
        match &self.body {
            BatchBody::Hello => 0,
            BatchBody::Changes { groups, .. } => groups.iter().map(|group| of(&group.records)).sum(),
            BatchBody::Copy { records, .. } => of(records),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::ids::PartitionId;

    fn batch() -> RemoteBatch {
        let lineage = Lineage { region: "east".into(), since: Timestamp(6), partition: PartitionId([1; 16]) };
        let mut gone = Gone::default();
        gone.note(&lineage, Timestamp(8));
        let has: Vector = [(lineage.clone(), Timestamp(9))].into_iter().collect();
        let record = Record { key: EncodedKey(Bytes::from_static(b"key")), version: Bytes::from_static(b"\x01\x07") };
        RemoteBatch {
            source: Member {
                lineage: lineage.clone(),
                founder: Some(lineage.clone()),
                is_settled: true,
                members: ["east".into()].into(),
                has: has.clone(),
            },
            reader: "west".into(),
            reader_lineage: Some(lineage.clone()),
            known: has,
            read: Some((lineage.clone(), 4)),
            others: Vec::new(),
            gone,
            pending: 7,
            body: BatchBody::Changes {
                after: 3,
                through: LogPlace { index: 5, term: 4, sequence: 3, epoch: 2, schema_version: 1 },
                groups: vec![Group { origin: Some(Origin { lineage, time: Timestamp(9) }), records: vec![record] }],
            },
        }
    }

    /// The bytes of version 1: regions of neighbouring versions run together.
    #[test]
    fn batches_of_version_1_stay_readable() {
        let partition = b"\x2401010101-0101-0101-0101-010101010101";
        let lineage = [&b"\x04east\x06"[..], partition].concat();
        let golden = [
            &b"\x01"[..],
            &lineage,
            b"\x01",
            &lineage,
            b"\x01\x01\x04east\x01",
            &lineage,
            b"\x09\x04west\x01",
            &lineage,
            b"\x01",
            &lineage,
            b"\x09\x01",
            &lineage,
            b"\x04\x00\x01\x04east",
            &lineage,
            b"\x08\x07\x01\x03\x05\x04\x03\x02\x01\x01\x01",
            &lineage,
            b"\x09\x01\x03key\x02\x01\x07",
        ]
        .concat();
        assert_eq!(batch().encode().unwrap(), golden);
        assert_eq!(RemoteBatch::decode(golden).unwrap(), batch());
    }

    #[test]
    fn a_batch_past_its_limits_is_refused() {
        let mut batch = batch();
        if let BatchBody::Changes { groups, .. } = &mut batch.body {
            groups[0].records[0].version = vec![0; TAKEN_BYTES_MAX].into();
        }
        assert_eq!(RemoteBatch::decode(batch.encode().unwrap()), Err(BatchError::TooLarge));
    }
}
