//! What a partition ships: batches for one reader, made from its committed log, or from its items where that is not enough.
//!
//! All of it blocks, and may be asked of any replica; the leader's is the newest.

mod gathering;

use super::{
    BATCH_BYTES_MAX, BatchBody, CopyPosition, GlobalState, Lineage, Member, NotEmpty, PLACE_BYTES_MAX, Reader, Record,
    RemoteBatch, StateError, Vector, time_and_key,
};
use crate::{
    core::Claim,
    entry::EntryError,
    log::{LogError, LogStore},
    place::LogPlace,
};
use bytes::{BufMut, Bytes, BytesMut};
use cairn_engine::{Engine, EngineError, GlobalPoint, Store};
use cairn_model::{
    codec::{CodecError, StoredVersion},
    ids::PartitionId,
    key::EncodedKey,
    table::GlobalReplicas,
};
use gathering::Gathering;
use std::ops::Bound;

/// How many times the bytes of a page are looked at for it: most of them a reader may have already.
const PAGE_BYTES_SCANNED: usize = 8;

/// Records of one batch, but for its last entry: the receiving leader decides them all between two other writes.
const RECORDS_MAX: usize = 1_024;

/// The parts of a copy, in this order: what is set aside becomes items and tombstones, never the other way.
const SET_ASIDE: u8 = 1;
const ITEMS: u8 = 2;
const TOMBSTONES: u8 = 3;

#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    #[error("the node holds no replica of the partition")]
    UnknownPartition,
    #[error("the table is not global")]
    NotGlobal,
    #[error("region {region:?} is not among the table's members")]
    NotAMember { region: String },
    #[error("nothing was heard yet from the table that region {region:?} has now: it must ship first")]
    NotHeard { region: String },
    #[error("the partition's leader has yet to note that the table became global: try again")]
    NotBegun,
    #[error(transparent)]
    NotEmpty(#[from] NotEmpty),
    #[error("this replica has applied entry {applied} of those up to {needed}: ask the leader")]
    Behind { applied: u64, needed: u64 },
    #[error("the place of the copy that the reader is at is damaged: it must begin anew")]
    DamagedPlace,
    #[error("failed to read the log")]
    Log(#[from] LogError),
    #[error("failed to read the items")]
    Engine(#[from] EngineError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("failed to read an entry of the log: {0}")]
    Entry(String),
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl From<EntryError> for OutboundError {
    fn from(error: EntryError) -> Self {
        Self::Entry(error.to_string())
    }
}

/// One replica, as others read from it.
pub struct Source<'a, S> {
    engine: &'a Engine<S>,
    log: &'a dyn LogStore,
    point: GlobalPoint,
    replicas: GlobalReplicas,
    own: Lineage,
    state: GlobalState,
    /// All that is here, set aside or not.
    vector: Vector,
}

impl<'a, S: Store> Source<'a, S> {
    /// The partition as of now, for as long as a batch takes.
    pub fn of(engine: &'a Engine<S>, log: &'a dyn LogStore, partition: PartitionId) -> Result<Self, OutboundError> {
        let replica = engine.replica(partition).ok_or(OutboundError::UnknownPartition)?;
        let point = engine.global_point(replica.storage_id)?;
        let replicas = point.replica.definition.replicas.clone().ok_or(OutboundError::NotGlobal)?;
        let state = GlobalState::of(point.regions.as_ref())?;
        let own = state.own.clone().ok_or(OutboundError::NotBegun)?;
        let vector = state.has(&own, point.replica.applied.entry_time, None);
        Ok(Self { engine, log, point, replicas, own, state, vector })
    }

    /// What this region knows of the others.
    pub fn state(&self) -> &GlobalState {
        &self.state
    }

    /// What this region has.
    pub fn has(&self) -> Vector {
        let aside = self.point.first_set_aside.as_ref().and_then(time_and_key);
        self.state.has(&self.own, self.point.replica.applied.entry_time, aside.map(|(time, _)| time))
    }

    /// A batch that only asks where a region stands.
    pub fn hello(&self, to: &str) -> Result<RemoteBatch, OutboundError> {
        self.addressed(to, None, BatchBody::Hello)
    }

    /// The next batch for a reader, of about `bytes_max` bytes and no more than [`super::BATCH_BYTES_MAX`]: what the log has behind its place, or a page of a copy.
    /// With a claim ([`crate::Host::close`]) that the log has reached, the reader moves on to its time.
    pub fn batch(&self, reader: &Reader, claim: Option<Claim>, bytes_max: usize) -> Result<RemoteBatch, OutboundError> {
        let region = &reader.lineage.region;
        if self.state.gone.contains(&reader.lineage) {
            return Err(NotEmpty::Parted { region: region.clone() }.into());
        }
        if !self.state.has_joined(&reader.lineage) {
            return Err(OutboundError::NotHeard { region: region.clone() });
        }
        let log_id = self.point.replica.log_id;
        let bytes_max = bytes_max.min(BATCH_BYTES_MAX);
        let keeps = |place: LogPlace| Ok::<_, OutboundError>(self.log.state(log_id)?.start.index <= place.index);
        let (place, copy) = if reader.source == self.own { (reader.place, reader.copy.as_ref()) } else { (None, None) };
        let (applied, needed) = (self.point.replica.applied.index, copy.map(|copy| copy.start).or(place));
        if let Some(needed) = needed.map(|place| place.index).filter(|needed| *needed > applied) {
            return Err(OutboundError::Behind { applied, needed });
        }
        let body = match (place, copy) {
            (_, Some(page)) if keeps(page.start)? => self.page(reader, page.clone(), bytes_max)?,
            (Some(place), None) if keeps(place)? => match self.changes(reader, place, claim, bytes_max) {
                // It was cut meanwhile.
                Err(OutboundError::Log(_)) if !keeps(place)? => self.copy(reader, bytes_max)?,
                changes => changes?,
            },
            _ => self.copy(reader, bytes_max)?,
        };
        self.addressed(region, Some(&reader.lineage), body)
    }

    fn addressed(&self, to: &str, reader: Option<&Lineage>, body: BatchBody) -> Result<RemoteBatch, OutboundError> {
        if !self.replicas.members.contains(to) || to == self.own.region {
            return Err(OutboundError::NotAMember { region: to.to_owned() });
        }
        let read = match &body {
            BatchBody::Hello => 0,
            BatchBody::Changes { through, .. } => through.index,
            BatchBody::Copy { page, .. } => page.start.index,
        };
        Ok(RemoteBatch {
            source: Member {
                lineage: self.own.clone(),
                founder: self.state.founder.clone(),
                is_settled: self.state.is_settled,
                members: self.replicas.members.clone(),
                has: self.has(),
            },
            reader: to.to_owned(),
            reader_lineage: reader.cloned(),
            known: self.state.known(&self.vector),
            read: self.state.read_of(to),
            others: self.state.others(&[&self.own.region, to]),
            gone: self.state.gone.clone(),
            pending: self.point.replica.applied.index.saturating_sub(read),
            body,
        })
    }

    fn changes(
        &self,
        reader: &Reader,
        place: LogPlace,
        claim: Option<Claim>,
        bytes_max: usize,
    ) -> Result<BatchBody, OutboundError> {
        let replica = &self.point.replica;
        let after = replica.applied.index + 1;
        let entries = if place.index + 1 < after {
            self.log.entries(replica.log_id, place.index + 1, after, bytes_max as u64)?
        } else {
            Vec::new()
        };
        let mut gathering = Gathering::new(self, reader);
        let mut through = place;
        for entry in &entries {
            gathering.entry(&mut through, entry)?;
            if gathering.record_count >= RECORDS_MAX {
                break;
            }
        }
        if let Some(claim) = claim.filter(|claim| claim.index <= through.index) {
            gathering.moves.advance(&self.own, claim.time);
        }
        Ok(BatchBody::Changes { after: place.index, through, groups: gathering.finish() })
    }

    /// The first page of a copy that begins now.
    fn copy(&self, reader: &Reader, bytes_max: usize) -> Result<BatchBody, OutboundError> {
        let replica = &self.point.replica;
        let start = LogPlace {
            index: replica.applied.index,
            term: replica.applied.term,
            sequence: replica.applied.sequence,
            epoch: replica.descriptor.epoch,
            schema_version: replica.definition.schema_version,
        };
        let page = CopyPosition { start, vector: self.vector.clone(), after: Bytes::new() };
        if reader.vector.covers(&self.vector) {
            return Ok(BatchBody::Copy { page, next: None, records: Vec::new() });
        }
        self.page(reader, page, bytes_max)
    }

    fn page(&self, reader: &Reader, page: CopyPosition, bytes_max: usize) -> Result<BatchBody, OutboundError> {
        let storage_id = self.point.replica.storage_id;
        let (known, founder) = (self.state.known(&self.vector), self.state.founder.as_ref());
        let mut records = Vec::new();
        let (mut bytes, mut scanned) = (0, 0);
        let (part, after) = place_in_copy(&page.after)?;
        for part in part..=TOMBSTONES {
            let behind = if page.after.first() == Some(&part) { after.clone() } else { Bytes::new() };
            for pair in self.part(storage_id, part, behind) {
                let (at, key, version) = pair?;
                scanned += at.len() + version.len();
                let version = StoredVersion::parse(version)?;
                if !reader.vector.covers_version(&version.version(&self.own.region), &known, founder) {
                    let record = Record { key, version: self.with_origin(version) };
                    bytes += record.bytes();
                    records.push(record);
                }
                let is_full = bytes >= bytes_max || records.len() >= RECORDS_MAX;
                if is_full || scanned >= PAGE_BYTES_SCANNED * bytes_max {
                    let mut next = BytesMut::with_capacity(1 + at.len());
                    next.put_u8(part);
                    next.put_slice(&at);
                    return Ok(BatchBody::Copy { page, next: Some(next.freeze()), records });
                }
            }
        }
        Ok(BatchBody::Copy { page, next: None, records })
    }

    /// One part of a copy behind a place in it: each version with its place and its key.
    fn part(&self, storage_id: u64, part: u8, behind: Bytes) -> Box<dyn Iterator<Item = Part>> {
        let is_behind = !behind.is_empty();
        let same = |pair: Result<(EncodedKey, Bytes), EngineError>| {
            let (key, version) = pair?;
            Ok((key.0.clone(), key, version))
        };
        match part {
            SET_ASIDE => Box::new(self.engine.set_aside(storage_id, is_behind.then_some(&behind[..])).map(|pair| {
                let (at, version) = pair?;
                let (_, key) = time_and_key(&at).ok_or(CodecError::Damaged("a key of what is set aside"))?;
                Ok((at, key, version))
            })),
            ITEMS => {
                let lower = if is_behind { Bound::Excluded(&behind[..]) } else { Bound::Unbounded };
                Box::new(self.engine.scan(storage_id, lower, Bound::Unbounded, true).map(same))
            }
            _ => {
                let behind = is_behind.then(|| EncodedKey(behind));
                Box::new(self.engine.tombstones(storage_id, behind.as_ref()).map(same))
            }
        }
    }

    /// Elsewhere, a version without an origin would be another region's.
    fn with_origin(&self, mut version: StoredVersion) -> Bytes {
        if version.origin.is_empty() {
            version.origin = Bytes::copy_from_slice(self.own.region.as_bytes());
        }
        version.encode()
    }
}

/// The part of a copy that goes on, and behind what. Another cluster says so: the store panics on a key that is too long.
fn place_in_copy(after: &Bytes) -> Result<(u8, Bytes), OutboundError> {
    match after.split_first() {
        None => Ok((SET_ASIDE, Bytes::new())),
        Some((part, key)) if (SET_ASIDE..=TOMBSTONES).contains(part) && after.len() <= PLACE_BYTES_MAX => {
            Ok((*part, after.slice_ref(key)))
        }
        Some(_) => Err(OutboundError::DamagedPlace),
    }
}

type Part = Result<(Bytes, EncodedKey, Bytes), OutboundError>;

impl<S> std::fmt::Debug for Source<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("own", &self.own).field("vector", &self.vector).finish_non_exhaustive()
    }
}
