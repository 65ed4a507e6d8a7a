//! What comes back of all tables, each restored as of one time: every transaction in all of them or in none, and all that was
//! there then, whether the log is read from its beginning or from a snapshot, to its end or up to a claim.

use super::{
    KEYS,
    runner::{encoded, list_of},
    world::{TABLES, World},
};
use bytes::Bytes;
use cairn_engine::{Engine, MemoryStore};
use cairn_history::{Key, Operation};
use cairn_model::time::Timestamp;
use cairn_replication::{
    core::Claim,
    log::LogEntry,
    restore::{LoadedVersion, Restoration, entry_time},
};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use std::{collections::BTreeMap, sync::Arc};

/// Times that are looked at.
const TIMES: usize = 6;

type Lists = BTreeMap<Key, Vec<u32>>;

/// What an archive has of a table.
#[derive(Default)]
pub(super) struct Archived {
    pub(super) entries: Vec<LogEntry>,
    pub(super) snapshots: Vec<Taken>,
    pub(super) claims: Vec<Claim>,
}

/// A snapshot, of the newest entry in it that has a time.
pub(super) struct Taken {
    pub(super) time: Timestamp,
    pub(super) chunks: Vec<Bytes>,
}

impl Archived {
    /// Those keys' lists as of `at`; with what was decided by then and committed later, or without.
    fn restored(&self, table: usize, at: Timestamp, random: &mut StdRng, has_late: bool) -> Lists {
        let usable: Vec<&Taken> = self.snapshots.iter().filter(|taken| taken.time <= at).collect();
        let engine = Arc::new(Engine::open(MemoryStore::default()).unwrap());
        let mut restoration = Restoration::begin(engine).unwrap();
        let snapshot = usable.choose(random).unwrap();
        snapshot.chunks.iter().for_each(|chunk| restoration.chunk(chunk).unwrap());
        let end = self.claims.iter().filter(|claim| claim.time >= at).map(|claim| claim.index).min();
        let mut is_behind = false;
        for entry in self.entries.iter().filter(|entry| end.is_none_or(|end| entry.index <= end)) {
            is_behind |= entry_time(entry).is_some_and(|time| time > at);
            match is_behind {
                false => restoration.entry(entry).unwrap(),
                true if has_late => restoration.entry_behind(entry, at).unwrap(),
                true => {}
            }
        }
        let loaded = restoration.read().unwrap();
        let lists = (0..KEYS).filter(|key| key % TABLES == table).map(|key| {
            let item = match loaded.get(&encoded(key)).unwrap() {
                Some(LoadedVersion::Item(version)) => Some(version.item.decode().unwrap()),
                _ => None,
            };
            (key, list_of(item.as_ref()))
        });
        lists.collect()
    }
}

/// The history's lists in the end are these.
pub(super) fn check(world: &World, history: &[Operation], lists: &Lists) -> Result<(), String> {
    let archived: Vec<Archived> = (0..TABLES).map(|table| world.archived(table)).collect();
    let times: Vec<Timestamp> = archived.iter().flat_map(|table| table.entries.iter().filter_map(entry_time)).collect();
    let begun = archived.iter().flat_map(|table| table.snapshots.first()).map(|taken| taken.time).max();
    for _ in 0..TIMES {
        let mut state = world.0.lock();
        let time = *times.choose(&mut state.random).unwrap();
        let at = Timestamp(time.0 - state.random.random_range(0..=1)).max(begun.unwrap());
        let mut restored = |has_late| {
            let tables = archived.iter().enumerate();
            let lists = tables.flat_map(|(table, archived)| archived.restored(table, at, &mut state.random, has_late));
            lists.collect::<Lists>()
        };
        let (all, early) = (restored(true), restored(false));
        state.tally.cut += u64::from(all != early);
        if let Some((key, _)) = all.iter().find(|(key, list)| !lists[key].starts_with(list)) {
            return Err(format!("at {at:?} item {key} is {:?}, and in the end {:?}", all[key], lists[key]));
        }
        for Operation { number, appends, .. } in history {
            let has: Vec<bool> = appends.iter().map(|key| all[key].contains(number)).collect();
            if has.contains(&true) && has.contains(&false) {
                return Err(format!("at {at:?} half of {number} is there: {appends:?}: {has:?}"));
            }
        }
    }
    Ok(())
}
