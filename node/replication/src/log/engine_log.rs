//! The logs on disk, in raft-engine: one file that all groups append to, one fsync for all of them.
//!
//! Every batch is synced, so that only the last one can be torn. What need not be durable at once (commit indexes, moved
//! starts, ended logs) waits in memory for the next batch: an unsynced batch before a synced one, lost in a power cut that
//! spared the other, would look like damage.

use super::{
    HardState, LogBatch, LogEntry, LogError, LogStart, LogState, LogStore, OnDamage, SetAside, TornTail,
    block_cache::Reader,
    check_append, check_range,
    encoding::{Entries, STATE_KEY, StoredEntry, StoredState},
    folder, recovery,
    synced_rewrites::SyncedRewrites,
    terms::Terms,
};
use cairn_engine::{Engine, LogMark, Store};
use parking_lot::{Mutex, RwLock};
use raft_engine::{Command, Config, ReadableSize, RecoveryMode, env::DefaultFileSystem, internals::FilePipeLog};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    panic::AssertUnwindSafe,
    path::Path,
    sync::Arc,
};

const FILE_BYTES: u64 = 16 << 20;
/// Beyond this, what old files still hold is written again and they are deleted.
const APPEND_BYTES_MAX: u64 = 64 << 20;
const REWRITE_BYTES_MAX: u64 = 32 << 20;
const RECOVERY_BLOCK_BYTES: u64 = 64 << 10;
const RECOVERY_THREADS: usize = 2;

type LogFiles = raft_engine::Engine<SyncedRewrites, FilePipeLog<SyncedRewrites>>;

pub struct EngineLog {
    files: LogFiles,
    reader: Reader,
    logs: RwLock<BTreeMap<u64, Log>>,
    opened_bytes: u64,
    /// Held by whoever writes. Taken before `logs`.
    waiting: Mutex<Waiting>,
    /// Why logs that are not there any more are not.
    set_aside: Option<SetAside>,
}

/// A log that was opened, and what had to be done to it.
#[derive(Debug)]
pub struct Opened {
    pub log: EngineLog,
    pub torn: Vec<TornTail>,
    pub set_aside: Option<SetAside>,
}

/// What is known of a log without reading its files. They may be behind in its start and its commit index.
#[derive(Debug)]
struct Log {
    state: LogState,
    terms: Terms,
    /// How many of its entries others replaced, ever.
    replaced: u64,
    mark: LogMark,
    /// Set if nothing may be read or written any more.
    damaged: Option<String>,
}

/// What is to be written with the next batch.
#[derive(Debug, Default)]
struct Waiting {
    /// Logs whose state changed.
    states: BTreeSet<u64>,
    /// Logs whose start moved, or whose entries before it came back.
    compacted: BTreeSet<u64>,
    removed: BTreeSet<u64>,
}

impl EngineLog {
    /// Opens the log in a folder, or makes it, for the replicas that the engine knows: their marks tell a torn write from
    /// damage. Logs of no replica are what an unfinished creation or removal left, and go.
    ///
    /// A log that is damaged for one replica only is opened; [`LogStore::state`] says so then.
    pub fn open<S: Store>(path: &Path, engine: &Engine<S>, on_damage: OnDamage) -> Result<Opened, LogError> {
        let known: BTreeSet<u64> = engine.replicas().iter().map(|replica| replica.log_id).collect();
        let sound = engine.replicas().into_iter().filter(|replica| replica.damaged.is_none());
        let mut marks = engine.log_marks();
        let sound: BTreeSet<u64> = sound.map(|replica| replica.log_id).collect();
        marks.retain(|log_id, _| sound.contains(log_id));
        let (torn, set_aside) = recovery::recover(path, &marks, on_damage, folder::sync)?;
        for tail in &torn {
            tracing::warn!(file = %tail.path.display(), kept_bytes = tail.kept_bytes, "a torn write was cut off the log");
        }
        if let Some(SetAside { path, reason }) = &set_aside {
            tracing::error!(kept_in = %path.display(), reason, "the log is damaged and was set aside; its replicas must be replaced");
        }
        let opened =
            guarded(|| LogFiles::open_with_file_system(config(path), Arc::new(SyncedRewrites(DefaultFileSystem))));
        let files = opened.map_err(|source| LogError::Open { path: path.to_owned(), source })?;
        let reader = Reader::new();
        let mut logs = BTreeMap::new();
        let mut waiting = Waiting::default();
        for log_id in files.raft_groups() {
            if !known.contains(&log_id) {
                waiting.removed.insert(log_id);
                continue;
            }
            let log = reader.run(|| Log::read(&files, log_id, marks.get(&log_id), &mut waiting));
            if let Some(reason) = &log.damaged {
                tracing::error!(log_id, reason, "a replica's log is damaged; the replica must be replaced");
            }
            logs.insert(log_id, log);
        }
        let opened_bytes = folder::bytes(path)?;
        let log = Self {
            files,
            opened_bytes,
            reader,
            logs: RwLock::new(logs),
            waiting: Mutex::new(waiting),
            set_aside: set_aside.clone(),
        };
        Ok(Opened { log, torn, set_aside })
    }

    fn with<T>(&self, log_id: u64, read: impl FnOnce(&Log) -> Result<T, LogError>) -> Result<T, LogError> {
        match self.logs.read().get(&log_id) {
            Some(Log { damaged: Some(reason), .. }) => Err(LogError::Damaged { log_id, reason: reason.clone() }),
            Some(log) => read(log),
            None => Err(match &self.set_aside {
                Some(SetAside { path, reason }) => {
                    LogError::Damaged { log_id, reason: format!("{reason}; it is kept in {}", path.display()) }
                }
                None => LogError::Missing { log_id },
            }),
        }
    }

    /// Writes what waits together with a batch, and syncs it.
    fn write_all(&self, waiting: &mut Waiting, batch: LogBatch) -> Result<(), LogError> {
        let written = std::mem::take(waiting);
        let mut out = raft_engine::LogBatch::default();
        for log_id in &written.removed {
            out.add_command(*log_id, Command::Clean);
        }
        let writes = batch.into_writes();
        let mut logs = self.logs.write();
        for log_id in &written.compacted {
            if let Some(log) = logs.get(log_id) {
                out.add_command(*log_id, Command::Compact { index: log.state.start.index + 1 });
            }
        }
        let mut states = written.states;
        let mut marked: BTreeSet<u64> = writes.keys().copied().collect();
        for (log_id, write) in writes {
            let Some(log) = logs.get_mut(&log_id) else { continue };
            if let Some(hard_state) = write.hard_state {
                log.state.hard_state = hard_state;
                states.insert(log_id);
            }
            if let (Some(first), Some(last)) = (write.entries.first(), write.entries.last()) {
                // Durable with the entries, so that a shorter log is not taken for one that lost its end.
                let replaced = (log.state.last_index + 1).saturating_sub(first.index);
                if replaced > 0 {
                    log.replaced += replaced;
                    states.insert(log_id);
                }
                log.state.last_index = last.index;
            }
            log.terms.append(&write.entries);
            let entries: Vec<StoredEntry> = write.entries.into_iter().map(StoredEntry::from).collect();
            out.add_entries::<Entries>(log_id, &entries).map_err(failed_write)?;
        }
        for log_id in states {
            if let Some(log) = logs.get(&log_id) {
                marked.insert(log_id);
                out.put(log_id, STATE_KEY.to_vec(), log.stored().encode()).map_err(failed_write)?;
            }
        }
        drop(logs);
        guarded(|| self.files.write(&mut out, true)).map_err(|source| LogError::Write { action: "write", source })?;
        // The lock on what waits is held: nothing was written to these logs meanwhile.
        let mut logs = self.logs.write();
        for log_id in marked {
            if let Some(log) = logs.get_mut(&log_id) {
                log.mark = log.extent();
            }
        }
        Ok(())
    }
}

fn config(path: &Path) -> Config {
    Config {
        dir: path.to_string_lossy().into_owned(),
        // What is torn was cut before: anything else that raft-engine would cut is refused.
        recovery_mode: RecoveryMode::AbsoluteConsistency,
        recovery_read_block_size: ReadableSize(RECOVERY_BLOCK_BYTES),
        recovery_threads: RECOVERY_THREADS,
        batch_compression_threshold: ReadableSize(0),
        target_file_size: ReadableSize(FILE_BYTES),
        purge_threshold: ReadableSize(APPEND_BYTES_MAX),
        purge_rewrite_threshold: Some(ReadableSize(REWRITE_BYTES_MAX)),
        // A file used again would have old batches behind the new ones.
        enable_log_recycle: false,
        ..Config::default()
    }
}

/// raft-engine panics where it can't go on, as when an fsync fails.
fn guarded<T>(call: impl FnOnce() -> raft_engine::Result<T>) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
    match std::panic::catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err("raft-engine could not go on".into()),
    }
}

fn failed_write(error: raft_engine::Error) -> LogError {
    LogError::Write { action: "write", source: error.into() }
}

impl LogStore for EngineLog {
    fn state(&self, log_id: u64) -> Result<LogState, LogError> {
        self.with(log_id, |log| Ok(log.state))
    }

    fn start(&self, log_id: u64, index: u64, term: u64, hard_state: HardState) -> Result<(), LogError> {
        let waiting = &mut *self.waiting.lock();
        if self.files.get(log_id, STATE_KEY).is_some() || self.files.first_index(log_id).is_some() {
            waiting.removed.insert(log_id);
        }
        let mut log = Log::new(LogState { start: LogStart { index, term }, last_index: index, hard_state });
        let mut logs = self.logs.write();
        if let Some(before) = logs.get(&log_id) {
            log.replaced = before.extent().written.saturating_sub(index);
        }
        logs.insert(log_id, log);
        drop(logs);
        waiting.compacted.remove(&log_id);
        waiting.states.insert(log_id);
        self.write_all(waiting, LogBatch::default())
    }

    fn write(&self, batch: LogBatch, sync: bool) -> Result<(), LogError> {
        let waiting = &mut *self.waiting.lock();
        for (log_id, write) in batch.writes() {
            self.with(*log_id, |log| check_append(*log_id, &log.state, write))?;
        }
        if sync || batch.writes().values().any(|write| !write.entries.is_empty()) {
            return self.write_all(waiting, batch);
        }
        let mut logs = self.logs.write();
        for (log_id, write) in batch.into_writes() {
            if let (Some(log), Some(hard_state)) = (logs.get_mut(&log_id), write.hard_state) {
                log.state.hard_state = hard_state;
                waiting.states.insert(log_id);
            }
        }
        Ok(())
    }

    fn entries(&self, log_id: u64, low: u64, high: u64, bytes_max: u64) -> Result<Vec<LogEntry>, LogError> {
        self.with(log_id, |log| check_range(log_id, &log.state, low, high))?;
        let mut stored = Vec::new();
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let fetch = || self.files.fetch_entries_to::<Entries>(log_id, low, high, Some(bytes_max), &mut stored);
        guarded(|| self.reader.run(fetch)).map_err(|source| LogError::Read { log_id, source })?;
        Ok(stored.into_iter().map(|stored| stored.entry).collect())
    }

    fn term(&self, log_id: u64, index: u64) -> Result<Option<u64>, LogError> {
        self.with(log_id, |log| Ok(log.term(index)))
    }

    fn compact(&self, log_id: u64, to: u64) -> Result<(), LogError> {
        let waiting = &mut *self.waiting.lock();
        let state = self.state(log_id)?;
        if to <= state.start.index {
            return Ok(());
        }
        check_range(log_id, &state, to, to + 1)?;
        if let Some(log) = self.logs.write().get_mut(&log_id)
            && let Some(term) = log.term(to)
        {
            log.state.start = LogStart { index: to, term };
            log.terms.cut(to);
            waiting.compacted.insert(log_id);
            waiting.states.insert(log_id);
        }
        Ok(())
    }

    fn purge(&self) -> Result<(), LogError> {
        let waiting = &mut *self.waiting.lock();
        self.write_all(waiting, LogBatch::default())?;
        guarded(|| self.reader.run(|| self.files.purge_expired_files()))
            .map_err(|source| LogError::Write { action: "purge", source })?;
        Ok(())
    }

    fn remove(&self, log_id: u64) -> Result<(), LogError> {
        let waiting = &mut *self.waiting.lock();
        if self.logs.write().remove(&log_id).is_some() {
            waiting.removed.insert(log_id);
            waiting.states.remove(&log_id);
            waiting.compacted.remove(&log_id);
        }
        Ok(())
    }

    fn opened_bytes(&self) -> u64 {
        self.opened_bytes
    }

    fn marks(&self) -> BTreeMap<u64, LogMark> {
        let logs = self.logs.read();
        logs.iter().filter(|(_, log)| log.damaged.is_none()).map(|(log_id, log)| (*log_id, log.mark)).collect()
    }
}

impl Log {
    fn new(state: LogState) -> Self {
        Self { state, terms: Terms::default(), replaced: 0, mark: LogMark::default(), damaged: None }
    }

    /// What the files hold of a log. Entries that were cut may be back: raft-engine forgets that it was told with the
    /// file it was told in.
    fn read(files: &LogFiles, log_id: u64, mark: Option<&LogMark>, waiting: &mut Waiting) -> Self {
        match Self::try_read(files, log_id, waiting) {
            Ok(mut log) => {
                log.mark = log.extent();
                log.damaged = mark.and_then(|mark| recovery::lost(mark, log.mark)).or_else(|| log.stale_hard_state());
                log
            }
            Err(reason) => Self { damaged: Some(reason), ..Self::new(LogState::default()) },
        }
    }

    fn try_read(files: &LogFiles, log_id: u64, waiting: &mut Waiting) -> Result<Self, String> {
        let stored = files.get(log_id, STATE_KEY).ok_or("its state is missing")?;
        let StoredState { start, hard_state, replaced } = StoredState::decode(&stored).ok_or("its state is damaged")?;
        let mut log = Self { replaced, ..Self::new(LogState { start, last_index: start.index, hard_state }) };
        let (Some(first), Some(last)) = (files.first_index(log_id), files.last_index(log_id)) else { return Ok(log) };
        if first > start.index + 1 {
            return Err(format!("entries {} to before {first} are missing", start.index + 1));
        }
        if first <= start.index {
            waiting.compacted.insert(log_id);
        }
        if last > start.index {
            log.state.last_index = last;
            log.terms = Terms::search(start.index + 1, last, |index| {
                let stored =
                    guarded(|| files.get_entry::<Entries>(log_id, index)).map_err(|error| error.to_string())?;
                stored.map(|stored| stored.entry.term).ok_or_else(|| format!("entry {index} is missing"))
            })?;
        }
        Ok(log)
    }

    fn stored(&self) -> StoredState {
        StoredState { start: self.state.start, hard_state: self.state.hard_state, replaced: self.replaced }
    }

    /// Its mark once all of it is durable.
    fn extent(&self) -> LogMark {
        self.stored().mark(self.state.last_index)
    }

    /// A member takes no entry of a term it has not taken up, durably, before or with it: the newer hard state was lost.
    fn stale_hard_state(&self) -> Option<String> {
        let LogState { last_index, hard_state, .. } = self.state;
        let term = self.term(last_index).filter(|term| *term > hard_state.term)?;
        Some(format!(
            "its hard state is of term {}, though entry {last_index} is of term {term}: the disk lost writes",
            hard_state.term
        ))
    }

    fn term(&self, index: u64) -> Option<u64> {
        if index == self.state.start.index {
            return Some(self.state.start.term);
        }
        if index < self.state.start.index || index > self.state.last_index {
            return None;
        }
        self.terms.of(index)
    }
}

impl fmt::Debug for EngineLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineLog")
            .field("path", &self.files.path())
            .field("logs", &self.logs.read().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
