//! The items that a transaction reads in one partition: all as of one applied index, none about to be written by another.

use super::{ReadError, ReadPlace, shown};
use crate::{
    operation::PartitionOutcome,
    transaction::{
        ItemVersion, MetLock, TransactGetOutcome, TransactGetRequest, TransactGot,
        kept::{self, Lock, LockEffect, Prepared},
    },
};
use cairn_engine::{Engine, Kept, Store, View};
use cairn_model::{codec::StoredVersion, key::EncodedKey};

pub(super) fn get<S: Store>(
    engine: &Engine<S>,
    place: ReadPlace<'_>,
    request: &TransactGetRequest,
) -> Result<PartitionOutcome, ReadError> {
    let view = engine.view(place.storage_id)?;
    let mut met = Vec::new();
    for (at, get) in (0..).zip(&request.gets) {
        met.extend(lock_on(&view, &get.key, at)?);
    }
    if !met.is_empty() {
        return Ok(PartitionOutcome::Locked(met));
    }
    let mut items = Vec::with_capacity(request.gets.len());
    for get in &request.gets {
        items.push(match view.get(&get.key)? {
            None => {
                TransactGot { item: None, version: ItemVersion::Absent { last_deletion: view.last_deletion(&get.key) } }
            }
            Some(bytes) => {
                let StoredVersion { version_time: time, origin, item } = StoredVersion::parse(bytes)?;
                let item = match request.versions_only {
                    true => None,
                    false => Some(shown(item, get.projection.as_ref())?),
                };
                TransactGot { item, version: ItemVersion::Written { time, origin } }
            }
        });
    }
    Ok(PartitionOutcome::TransactGet(TransactGetOutcome { items }))
}

/// The transaction that is about to write the item; one that only checks it is no matter to who reads it.
fn lock_on<S: Store>(view: &View<S>, key: &EncodedKey, at: u32) -> Result<Option<MetLock>, ReadError> {
    let Some(lock) = view.kept(&Kept::Transaction(kept::lock(key)))? else { return Ok(None) };
    let Lock { transaction, effect } = Lock::decode(lock)?;
    if effect == LockEffect::Nothing {
        return Ok(None);
    }
    let Some(prepared) = view.kept(&Kept::Transaction(kept::prepared(transaction)))? else { return Ok(None) };
    let Prepared { time, participants, .. } = Prepared::decode(prepared)?;
    Ok(Some(MetLock { at, transaction, participants, since_ms: time.millis() }))
}
