//! What a batch of another region comes to: which of its versions win here, and where the reading of its source stands then.

use super::{Beside, Decided, Known, Undecided};
use crate::{
    entry::{RemoteEffect, RemoteGroup, RemoteWrite},
    global::{BatchBody, CopyPosition, Group, Heard, Lineage, Origin, Reading, Record, RemoteBatch},
    indexes,
    operation::PartitionError,
    place::LogPlace,
    proposer::{Proposer, Round},
    read,
    stream::StreamChange,
};
use bytes::Bytes;
use cairn_engine::Store;
use cairn_model::{
    ServiceError,
    codec::StoredVersion,
    key::EncodedKey,
    table::{GlobalReplicas, REGION_BYTES_MAX},
    time::Timestamp,
};

/// Takes note of who has what; an error refuses the batch.
pub(super) fn begin<S>(
    round: &Round<'_, S>,
    known: &Known,
    own_time: Timestamp,
    batch: &RemoteBatch,
) -> Result<Decided, PartitionError> {
    let (Some(replicas), Some(own)) = (round.replicas(), known.state.own.clone()) else {
        return Err(ServiceError::validation("the table is not global").into());
    };
    if let Some(flaw) = flaw(replicas, &own, batch) {
        return Err(ServiceError::validation(flaw).into());
    }
    batch.check().map_err(|error| ServiceError::validation(error.to_string()))?;
    let source = batch.source.lineage.region.clone();
    let mut state = known.state.clone();
    if state.peers.get(&source).is_some_and(|peer| peer.said.lineage > batch.source.lineage) {
        let message = format!("a table made later has taken the place of this one in region {source:?}");
        return Err(ServiceError::validation(message).into());
    }
    let heard = state.hear_source(&own, &known.state.has(&own, own_time, None), batch)?;
    let mut moved = heard != Heard::Nothing;
    let too_many = || ServiceError::validation("too many regions are known");
    let peer = state.peers.get_mut(&source).ok_or_else(too_many)?;
    if let Some((_, index)) = batch.read.as_ref().filter(|(lineage, index)| *lineage == own && *index > peer.has_read) {
        peer.has_read = *index;
        moved = true;
    }
    Ok(Decided {
        own,
        source,
        known: batch.known.clone(),
        reading: peer.reading.clone(),
        state,
        groups: Vec::new(),
        keys: Vec::new(),
        beside: Beside::default(),
        weighs: heard == Heard::New,
        moved,
    })
}

impl Proposer {
    pub(super) fn decide<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        mut decided: Decided,
        body: BatchBody,
    ) -> Result<Decided, Undecided> {
        match body {
            BatchBody::Hello => {}
            BatchBody::Changes { after, through, groups } => {
                self.decide_changes(round, &mut decided, after, through, groups)?;
            }
            BatchBody::Copy { page, next, records } => self.decide_page(round, &mut decided, page, next, records)?,
        }
        if decided.state.is_too_large() {
            let message = "the batch names more tables of other regions than are kept";
            return Err(Undecided::Refused(ServiceError::validation(message)));
        }
        Ok(decided)
    }

    fn decide_changes<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        decided: &mut Decided,
        after: u64,
        through: LogPlace,
        groups: Vec<Group>,
    ) -> Result<(), Undecided> {
        let Reading { place: Some(place), copy: None } = decided.reading else { return Ok(()) };
        if after > place.index {
            return Ok(());
        }
        if through.index > place.index
            && let Some(peer) = decided.state.peers.get_mut(&decided.source)
        {
            peer.reading.place = Some(through);
            decided.moved = true;
        }
        for Group { origin, records } in groups {
            let is_here = |origin: &Origin| {
                origin.lineage == decided.own || decided.state.vector.get(&origin.lineage) >= origin.time
            };
            if origin.as_ref().is_some_and(is_here) {
                continue;
            }
            let writes = self.decide_records(round, decided, records, origin.is_none())?;
            if let Some(origin) = &origin {
                decided.moved |= decided.state.vector.advance(&origin.lineage, origin.time);
            }
            if !writes.is_empty() {
                decided.groups.push(RemoteGroup { origin, writes });
            }
        }
        Ok(())
    }

    fn decide_page<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        decided: &mut Decided,
        page: CopyPosition,
        next: Option<Bytes>,
        records: Vec<Record>,
    ) -> Result<(), Undecided> {
        let reading = &decided.reading;
        let place = reading.place;
        let goes_on = reading.copy.as_ref() == Some(&page);
        let is_later = |index: Option<u64>| index.is_none_or(|index| index < page.start.index);
        let begins = page.after.is_empty()
            && is_later(reading.copy.as_ref().map(|copy| copy.start.index))
            && is_later(place.map(|place| place.index));
        if !goes_on && !begins {
            return Ok(());
        }
        let writes = self.decide_records(round, decided, records, true)?;
        if !writes.is_empty() {
            decided.groups.push(RemoteGroup { origin: None, writes });
        }
        decided.weighs = true;
        let reading = match next {
            Some(after) => Reading { place, copy: Some(CopyPosition { after, ..page }) },
            None => {
                for (lineage, time) in page.vector.iter().filter(|(lineage, _)| **lineage != decided.own) {
                    decided.state.vector.advance(lineage, time);
                }
                Reading { place: Some(page.start), copy: None }
            }
        };
        if let Some(peer) = decided.state.peers.get_mut(&decided.source) {
            peer.reading = reading;
        }
        Ok(())
    }

    /// What records come to. Of those that were copied, it is not known of which entry they are: they were here before if
    /// all is here that they may be of.
    fn decide_records<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        decided: &mut Decided,
        records: Vec<Record>,
        were_copied: bool,
    ) -> Result<Vec<RemoteWrite>, Undecided> {
        let has = decided.state.has(&decided.own, self.last_time, None);
        let mut writes = Vec::new();
        for record in records {
            let version = record.parse()?;
            if version.origin.len() > REGION_BYTES_MAX {
                let message = format!("a version names its region in {} bytes", version.origin.len());
                return Err(Undecided::Refused(ServiceError::validation(message)));
            }
            let founder = decided.state.founder.as_ref();
            let is_here = were_copied && has.covers_version(&version.version(round.region()), &decided.known, founder);
            let write = if is_here || !read::contains(round.range, &record.key) {
                None
            } else {
                self.decide_version(round, record.key, version, true)?
            };
            let write = write.map(|(write, beside)| {
                decided.beside.extend(beside);
                write
            });
            match &write {
                None => self.remote.counts.passed_over += 1,
                Some(write) if write.effect == RemoteEffect::SetAside => self.remote.counts.set_aside += 1,
                Some(write) => {
                    self.remote.counts.taken += 1;
                    decided.keys.push(write.key.clone());
                }
            }
            writes.extend(write);
        }
        decided.weighs |= !writes.is_empty();
        Ok(writes)
    }

    /// What a version comes to; none if what is here is as new. One that is too far ahead is set aside if it may be.
    pub(super) fn decide_version<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        key: EncodedKey,
        mut version: StoredVersion,
        may_wait: bool,
    ) -> Result<Option<(RemoteWrite, Beside)>, Undecided> {
        let region = round.region();
        if version.origin_region() == Some(region) {
            version.origin = Bytes::new();
        }
        let current = self.current(round, &key)?;
        if current.as_ref().is_some_and(|current| current.version(region) >= version.version(region)) {
            return Ok(None);
        }
        let bytes = version.encode();
        if may_wait && version.version_time.millis() > round.wall_ms + self.limits.remote_ahead_ms_max {
            let effect = RemoteEffect::SetAside;
            return Ok(Some((
                RemoteWrite { key, effect, size_change: 0, count_change: 0, version: bytes },
                Beside::default(),
            )));
        }
        let sizes = |version: Option<&StoredVersion>| match version.filter(|version| !version.is_tombstone()) {
            None => Ok((0, 0)),
            Some(version) => version.item.size().map(|size| (i64::from(size), 1)),
        };
        let ((before, count_before), (after, count_after)) = (sizes(current.as_ref())?, sizes(Some(&version))?);
        let items = [current.as_ref(), Some(&version)].map(indexes::item_of);
        let effects = indexes::effects(round.definition, &key, items[0], items[1]).map_err(Undecided::Refused)?;
        let stream = round.definition.current_stream();
        // It is of another region, whoever wrote it there.
        let stream_changes = Vec::from_iter(StreamChange::of(stream, items[0], items[1], false));
        self.overlay.put(key.clone(), Some(bytes.clone()), round.next_index);
        let write = RemoteWrite {
            key,
            effect: if version.is_tombstone() { RemoteEffect::Delete } else { RemoteEffect::Put },
            size_change: after - before,
            count_change: count_after - count_before,
            version: bytes,
        };
        Ok(Some((write, Beside { index_changes: effects.changes, stream_changes })))
    }
}

/// Why a batch is not taken.
fn flaw(replicas: &GlobalReplicas, own: &Lineage, batch: &RemoteBatch) -> Option<String> {
    let source = &batch.source.lineage.region;
    if batch.reader != replicas.region {
        return Some(format!("the batch is for region {:?}, and this is {:?}", batch.reader, replicas.region));
    }
    if batch.body != BatchBody::Hello && batch.reader_lineage.as_ref() != Some(own) {
        return Some("the batch is for a table that this one has taken the place of".into());
    }
    (*source == replicas.region || !replicas.members.contains(source))
        .then(|| format!("region {source:?} is not among the table's other members"))
}
