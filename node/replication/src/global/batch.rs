//! What travels from region to region: a batch of writes, or a page of a copy. In postcard's encoding, behind a version.

use super::{Gone, Lineage, Vector, joining};
use crate::{place::LogPlace, wire};
use bytes::Bytes;
use cairn_model::{
    codec::{CodecError, StoredVersion},
    key::EncodedKey,
    table::REGION_BYTES_MAX,
    time::Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{collections::BTreeSet, fmt, marker::PhantomData};

/// Bytes of records that are put into one batch, but for its last entry or item.
pub const BATCH_BYTES_MAX: usize = 1 << 20;
/// Bytes of records in a batch that is still taken: far above that, and what an entry and an item may add.
const TAKEN_BYTES_MAX: usize = 8 << 20;
/// Lineages and members in one batch.
const NAMES_MAX: usize = 16_384;
/// Groups in one batch, and records: each region that passes them on may add its own.
const RECORDS_MAX: usize = 16_384;
/// Bytes of an item's key: above what the longest has. The store panics on far longer ones.
const KEY_BYTES_MAX: usize = 16 << 10;
/// Bytes of a place in a copy: what is set aside has its time and its region before its key.
pub(crate) const PLACE_BYTES_MAX: usize = KEY_BYTES_MAX + 128;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("failed to read or write a batch of another region")]
    Wire(#[from] wire::WireError),
    #[error("a record of a batch of another region is damaged")]
    Record(#[from] CodecError),
    #[error("a batch of another region is larger than any may be")]
    TooLarge,
    #[error("a batch of another region has a key of {0} bytes, longer than any may be")]
    Key(usize),
    #[error("a batch of another region names a region in {0} bytes: a region's name has 1 to {REGION_BYTES_MAX}")]
    Region(usize),
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
    Changes {
        after: u64,
        through: LogPlace,
        #[serde(deserialize_with = "few")]
        groups: Vec<Group>,
    },
    /// A page of a copy: it begins behind `page.after`, and ends before `next`, or with the copy.
    Copy {
        page: CopyPosition,
        next: Option<Bytes>,
        #[serde(deserialize_with = "few")]
        records: Vec<Record>,
    },
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
    #[serde(deserialize_with = "few")]
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
        let (copied, place) = match &self.body {
            BatchBody::Copy { page, next, .. } => {
                (page.vector.len(), page.after.len().max(next.as_ref().map_or(0, Bytes::len)))
            }
            _ => (0, 0),
        };
        let all = names(&self.source)
            + self.others.iter().map(names).sum::<usize>()
            + self.others.len()
            + self.known.len()
            + self.gone.len()
            + copied;
        let groups = if let BatchBody::Changes { groups, .. } = &self.body { groups.len() } else { 0 };
        let records = self.records().count();
        let bytes: usize = self.records().map(Record::bytes).sum();
        let is_large = all > NAMES_MAX || groups.max(records) > RECORDS_MAX || bytes > TAKEN_BYTES_MAX;
        if is_large || place > PLACE_BYTES_MAX {
            return Err(BatchError::TooLarge);
        }
        if let Some(key) = self.records().map(|record| record.key.0.len()).find(|bytes| *bytes > KEY_BYTES_MAX) {
            return Err(BatchError::Key(key));
        }
        let unnamed = |region: &&str| !(1..=REGION_BYTES_MAX).contains(&region.len());
        match self.regions().find(unnamed) {
            Some(region) => Err(BatchError::Region(region.len())),
            None => Ok(()),
        }
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        let (groups, copied): (&[Group], &[Record]) = match &self.body {
            BatchBody::Hello => (&[], &[]),
            BatchBody::Changes { groups, .. } => (groups, &[]),
            BatchBody::Copy { records, .. } => (&[], records),
        };
        groups.iter().flat_map(|group| &group.records).chain(copied)
    }

    /// Every region that it names, but for those in versions.
    fn regions(&self) -> impl Iterator<Item = &str> {
        let (groups, copied): (&[Group], Option<&Vector>) = match &self.body {
            BatchBody::Hello => (&[], None),
            BatchBody::Changes { groups, .. } => (groups, None),
            BatchBody::Copy { page, .. } => (&[], Some(&page.vector)),
        };
        let members = || self.others.iter().chain([&self.source]);
        let vectors = members().map(|member| &member.has).chain([&self.known]).chain(copied);
        let lineages = members()
            .flat_map(|member| member.founder.iter().chain([&member.lineage]))
            .chain(vectors.flat_map(|vector| vector.iter().map(|(lineage, _)| lineage)))
            .chain(&self.reader_lineage)
            .chain(self.read.iter().map(|(lineage, _)| lineage))
            .chain(self.gone.iter())
            .chain(groups.iter().filter_map(|group| group.origin.as_ref().map(|origin| &origin.lineage)));
        let regions = lineages.map(|lineage| &lineage.region).chain(self.gone.regions());
        regions.chain(members().flat_map(|member| &member.members)).chain([&self.reader]).map(String::as_str)
    }

    /// Its source, as one of two that may be joined.
    pub(crate) fn side(&self) -> joining::Side<'_> {
        let Member { lineage, founder, is_settled, has, .. } = &self.source;
        let heard = has.iter().map(|(lineage, _)| lineage).chain(self.others.iter().map(|other| &other.lineage));
        let heard = heard.chain(self.read.iter().map(|(reader, _)| reader)).collect();
        joining::Side { lineage, founder: founder.as_ref(), is_settled: *is_settled, has, gone: &self.gone, heard }
    }
}

/// Some few bytes may stand for elements without end: they are counted while they are read.
fn few<'de, D: Deserializer<'de>, T: Counted + Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(Few(PhantomData))
}

struct Few<T>(PhantomData<T>);

/// What an element of a batch counts for.
trait Counted {
    fn count(&self) -> usize;
}

impl Counted for Record {
    fn count(&self) -> usize {
        1
    }
}

impl Counted for Group {
    fn count(&self) -> usize {
        1 + self.records.len()
    }
}

impl<'de, T: Counted + Deserialize<'de>> de::Visitor<'de> for Few<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch's groups or records")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let (mut taken, mut count) = (Vec::new(), 0);
        while let Some(element) = elements.next_element::<T>()? {
            count += element.count();
            // Groups and the records in them.
            if count > 2 * RECORDS_MAX {
                return Err(de::Error::custom("a batch has more groups or records than any may have"));
            }
            taken.push(element);
        }
        Ok(taken)
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

    #[test]
    fn a_key_longer_than_any_or_a_name_that_is_none_refuses_the_batch() {
        let refusal = |change: &dyn Fn(&mut RemoteBatch)| {
            let mut batch = batch();
            change(&mut batch);
            RemoteBatch::decode(batch.encode().unwrap()).unwrap_err()
        };
        fn group(batch: &mut RemoteBatch) -> &mut Group {
            let BatchBody::Changes { groups, .. } = &mut batch.body else { panic!("no changes") };
            &mut groups[0]
        }
        let long = || "x".repeat(64);
        let lineage = || Lineage { region: long(), since: Timestamp(1), partition: PartitionId([1; 16]) };
        let vector = || [(lineage(), Timestamp(1))].into_iter().collect::<Vector>();
        let key = refusal(&|batch| group(batch).records[0].key = EncodedKey(vec![0; KEY_BYTES_MAX + 1].into()));
        assert_eq!(key, BatchError::Key(KEY_BYTES_MAX + 1));
        assert_eq!(refusal(&|batch| batch.source.members = ["".into()].into()), BatchError::Region(0));
        let named: [&dyn Fn(&mut RemoteBatch); 11] = [
            &|batch| batch.source.lineage = lineage(),
            &|batch| batch.source.founder = Some(lineage()),
            &|batch| batch.source.members = [long()].into(),
            &|batch| batch.source.has = vector(),
            &|batch| batch.others = vec![Member { lineage: lineage(), ..batch.source.clone() }],
            &|batch| batch.reader = long(),
            &|batch| batch.reader_lineage = Some(lineage()),
            &|batch| batch.known = vector(),
            &|batch| batch.read = Some((lineage(), 1)),
            &|batch| assert!(batch.gone.note(&lineage(), Timestamp(1))),
            &|batch| group(batch).origin = Some(Origin { lineage: lineage(), time: Timestamp(1) }),
        ];
        assert!(named.iter().all(|change| refusal(change) == BatchError::Region(64)));
    }

    #[test]
    fn a_page_whose_place_is_longer_than_any_is_refused() {
        let mut batch = batch();
        let start = LogPlace { index: 5, term: 4, sequence: 3, epoch: 2, schema_version: 1 };
        let page = CopyPosition { start, vector: Vector::default(), after: Bytes::new() };
        let next = Some(vec![2; PLACE_BYTES_MAX + 1].into());
        batch.body = BatchBody::Copy { page, next, records: Vec::new() };
        assert_eq!(RemoteBatch::decode(batch.encode().unwrap()), Err(BatchError::TooLarge));
    }

    #[test]
    fn of_groups_and_records_without_end_few_are_read() {
        let mut many = batch();
        let empty = Group { origin: None, records: Vec::new() };
        if let BatchBody::Changes { groups, .. } = &mut many.body {
            *groups = vec![empty; RECORDS_MAX + 1];
        }
        assert_eq!(RemoteBatch::decode(many.encode().unwrap()), Err(BatchError::TooLarge));
        if let BatchBody::Changes { groups, .. } = &mut many.body {
            let group = groups[0].clone();
            groups.resize(2 * RECORDS_MAX + 1, group);
        }
        assert!(matches!(RemoteBatch::decode(many.encode().unwrap()), Err(BatchError::Wire(_))));
    }
}
