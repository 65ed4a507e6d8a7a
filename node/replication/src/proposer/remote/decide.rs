//! What a batch of another region comes to: which of its versions win here, and where the reading of its source stands then.

use super::Decided;
use crate::{
    entry::{RemoteEffect, RemoteGroup, RemoteWrite},
    global::{BatchBody, CopyPosition, Group, Origin, Reading, Record, RemoteBatch, Vector},
    place::LogPlace,
    proposer::{Proposer, ProposerError, Round},
    read,
};
use bytes::Bytes;
use cairn_engine::Store;
use cairn_model::{ServiceError, codec::StoredVersion, key::EncodedKey, table::GlobalReplicas};

impl Proposer {
    /// An error refuses the batch.
    pub(super) fn decide<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        batch: RemoteBatch,
    ) -> Result<Result<Decided, ServiceError>, ProposerError> {
        let (Some(replicas), Some(known)) = (round.replicas, &self.remote.known) else {
            return Ok(Err(ServiceError::validation("the table is not global")));
        };
        if let Err(error) =
            flaw(replicas, &batch).map_or(Ok(()), Err).and(batch.check().map_err(|error| error.to_string()))
        {
            return Ok(Err(ServiceError::validation(error)));
        }
        let source = batch.source.lineage.region.clone();
        let mut state = known.state.clone();
        let mut moved = state.hear(&batch.source, true);
        for member in batch.others.iter().filter(|member| member.lineage.region != replicas.region) {
            moved |= state.hear(member, false);
        }
        let Some(peer) = state.peers.get_mut(&source) else {
            return Ok(Err(ServiceError::validation("too many regions are known")));
        };
        if let Some((partition, index)) = batch.read
            && partition == round.partition
            && index > peer.has_read
        {
            peer.has_read = index;
            moved = true;
        }
        let reading = peer.reading.clone();
        let mut decided = Decided { state, groups: Vec::new(), keys: Vec::new(), weighs: false, moved };
        let done = match batch.body {
            BatchBody::Hello => Ok(()),
            BatchBody::Changes { after, through, groups } => {
                self.decide_changes(round, &mut decided, &source, &reading, (after, through), groups, &batch.known)?
            }
            BatchBody::Copy { page, next, records } => {
                self.decide_page(round, &mut decided, &source, &reading, page, next, records, &batch.known)?
            }
        };
        Ok(done.map(|()| decided))
    }

    #[allow(clippy::too_many_arguments)] // each is a part of one batch, taken apart once
    fn decide_changes<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        decided: &mut Decided,
        source: &str,
        reading: &Reading,
        (after, through): (u64, LogPlace),
        groups: Vec<Group>,
        known: &Vector,
    ) -> Result<Result<(), ServiceError>, ProposerError> {
        let Some(place) = reading.place.filter(|place| reading.copy.is_none() && after <= place.index) else {
            return Ok(Ok(()));
        };
        if through.index > place.index
            && let Some(peer) = decided.state.peers.get_mut(source)
        {
            peer.reading.place = Some(through);
            decided.moved = true;
        }
        let own = round.own();
        for group in groups {
            let is_here =
                |origin: &Origin| origin.lineage == own || decided.state.vector.get(&origin.lineage) >= origin.time;
            if group.origin.as_ref().is_some_and(is_here) {
                continue;
            }
            let covered = group.origin.is_none().then_some(known);
            match self.decide_records(round, decided, group.records, covered)? {
                Ok(writes) if writes.is_empty() => {}
                Ok(writes) => decided.groups.push(RemoteGroup { origin: group.origin.clone(), writes }),
                Err(error) => return Ok(Err(error)),
            }
            if let Some(origin) = &group.origin {
                decided.moved |= decided.state.vector.advance(&origin.lineage, origin.time);
            }
        }
        Ok(Ok(()))
    }

    #[allow(clippy::too_many_arguments)] // each is a part of one batch, taken apart once
    fn decide_page<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        decided: &mut Decided,
        source: &str,
        reading: &Reading,
        page: CopyPosition,
        next: Option<Bytes>,
        records: Vec<Record>,
        known: &Vector,
    ) -> Result<Result<(), ServiceError>, ProposerError> {
        let goes_on = reading.copy.as_ref() == Some(&page);
        let is_later = |index: Option<u64>| index.is_none_or(|index| index < page.start.index);
        let begins = page.after.is_empty()
            && is_later(reading.copy.as_ref().map(|copy| copy.start.index))
            && is_later(reading.place.map(|place| place.index));
        if !goes_on && !begins {
            return Ok(Ok(()));
        }
        match self.decide_records(round, decided, records, Some(known))? {
            Ok(writes) if writes.is_empty() => {}
            Ok(writes) => decided.groups.push(RemoteGroup { origin: None, writes }),
            Err(error) => return Ok(Err(error)),
        }
        decided.weighs = true;
        let own = round.own();
        let Some(peer) = decided.state.peers.get_mut(source) else { return Ok(Ok(())) };
        peer.reading = match next {
            Some(after) => Reading { place: reading.place, copy: Some(CopyPosition { after, ..page }) },
            None => {
                for (lineage, time) in page.vector.iter().filter(|(lineage, _)| **lineage != own) {
                    decided.state.vector.advance(lineage, time);
                }
                Reading { place: Some(page.start), copy: None }
            }
        };
        Ok(Ok(()))
    }

    /// What records come to; those that are covered, where their source knows of `covered`, were here before.
    fn decide_records<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        decided: &mut Decided,
        records: Vec<Record>,
        covered: Option<&Vector>,
    ) -> Result<Result<Vec<RemoteWrite>, ServiceError>, ProposerError> {
        let own = round.own();
        let mut has = decided.state.vector.clone();
        has.advance(&own, self.last_time);
        let mut writes = Vec::new();
        for record in records {
            let version = match record.parse() {
                Ok(version) => version,
                Err(error) => return Ok(Err(ServiceError::from(error))),
            };
            let is_covered = covered.is_some_and(|known| has.covers_version(&version.version(&own.region), known));
            if is_covered || !read::contains(round.range, &record.key) {
                self.remote.counts.passed_over += 1;
                continue;
            }
            match self.decide_version(round, record.key, version, true)? {
                Ok(Some(write)) => {
                    if write.effect == RemoteEffect::SetAside {
                        self.remote.counts.set_aside += 1;
                    } else {
                        self.remote.counts.taken += 1;
                        decided.keys.push(write.key.clone());
                    }
                    decided.weighs = true;
                    writes.push(write);
                }
                Ok(None) => self.remote.counts.passed_over += 1,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(writes))
    }

    /// What a version comes to; none if what is here is as new.
    pub(super) fn decide_version<S: Store>(
        &mut self,
        round: &Round<'_, S>,
        key: EncodedKey,
        mut version: StoredVersion,
        may_wait: bool,
    ) -> Result<Result<Option<RemoteWrite>, ServiceError>, ProposerError> {
        let region = &round.own().region;
        if version.origin_region() == Some(region) {
            version.origin = Bytes::new();
        }
        let current = match self.current(round, &key)? {
            Ok(current) => current,
            Err(error) => return Ok(Err(error)),
        };
        if current.as_ref().is_some_and(|current| current.version(region) >= version.version(region)) {
            return Ok(Ok(None));
        }
        let bytes = version.encode();
        if may_wait && version.version_time.millis() > round.wall_ms + self.limits.remote_ahead_ms_max {
            let effect = RemoteEffect::SetAside;
            return Ok(Ok(Some(RemoteWrite { key, effect, size_change: 0, count_change: 0, version: bytes })));
        }
        let sizes = |version: Option<&StoredVersion>| match version.filter(|version| !version.is_tombstone()) {
            None => Ok((0, 0)),
            Some(version) => version.item.size().map(|size| (i64::from(size), 1)),
        };
        let ((before, count_before), (after, count_after)) = match (sizes(current.as_ref()), sizes(Some(&version))) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(ServiceError::from(error))),
        };
        self.overlay.put(key.clone(), Some(bytes.clone()), round.next_index);
        Ok(Ok(Some(RemoteWrite {
            key,
            effect: if version.is_tombstone() { RemoteEffect::Delete } else { RemoteEffect::Put },
            size_change: after - before,
            count_change: count_after - count_before,
            version: bytes,
        })))
    }
}

/// Why a batch is not taken.
fn flaw(replicas: &GlobalReplicas, batch: &RemoteBatch) -> Option<String> {
    let source = &batch.source.lineage.region;
    if batch.reader != replicas.region {
        return Some(format!("the batch is for region {:?}, and this is {:?}", batch.reader, replicas.region));
    }
    (*source == replicas.region || !replicas.members.contains(source))
        .then(|| format!("region {source:?} is not among the table's other members"))
}
