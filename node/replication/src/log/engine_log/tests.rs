use super::*;
use bytes::Bytes;
use cairn_engine::{Applied, MemoryStore, ReplicaRecord};
use cairn_model::{
    TableDefinition,
    descriptor::{KeyRange, PartitionDescriptor},
    ids::{PartitionId, ReplicaId, TableId},
    table::{KeyAttribute, KeySchema, ScalarType},
};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::Stdio,
};

mod crash;
mod damage;
mod golden;

/// A folder with a log for the replicas of an engine.
struct Node {
    folder: tempfile::TempDir,
    engine: Engine<MemoryStore>,
}

impl Node {
    /// With replicas whose logs have the ids from 1 on.
    fn with_replicas(count: u64) -> Self {
        let engine = Engine::open(MemoryStore::default()).unwrap();
        for n in 1..=count {
            let ids = engine.allocate_ids().unwrap();
            assert_eq!(ids.log_id, n);
            engine.create_replica(record(n, ids.storage_id, ids.log_id)).unwrap();
        }
        Self { folder: tempfile::tempdir().unwrap(), engine }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn open(&self) -> Opened {
        // A process that another test starts shares the lock of a log that was just closed, until its program begins.
        for _ in 0..200 {
            match EngineLog::open(&self.path(), &self.engine, OnDamage::SetAside) {
                Err(LogError::InUse { .. }) => std::thread::sleep(std::time::Duration::from_millis(10)),
                opened => return opened.unwrap(),
            }
        }
        panic!("the log is in use for two seconds");
    }

    /// A log that was started for each replica.
    fn started(&self) -> EngineLog {
        let log = self.open().log;
        for replica in self.engine.replicas() {
            log.start(replica.log_id, 0, 0, HardState::default()).unwrap();
        }
        log
    }

    /// Writes down the log's marks.
    fn mark(&self, log: &EngineLog) {
        self.engine.persist(&log.marks()).unwrap();
    }

    fn files(&self, suffix: &str) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with(suffix))
            .collect();
        files.sort();
        files
    }

    fn last_file(&self) -> PathBuf {
        self.files(".raftlog").pop().unwrap()
    }
}

fn record(n: u64, storage_id: u64, log_id: u64) -> ReplicaRecord {
    let table_id = TableId([n as u8; 16]);
    let partition_id = PartitionId([n as u8; 16]);
    ReplicaRecord {
        partition_id,
        replica_id: ReplicaId(1),
        storage_id,
        log_id,
        descriptor: PartitionDescriptor {
            partition_id,
            table_id,
            range: KeyRange::default(),
            epoch: 1,
            members: Vec::new(),
            next_replica_id: 2,
            parents: Vec::new(),
        },
        definition: TableDefinition::new(
            "game",
            "users",
            table_id,
            KeySchema { partition: KeyAttribute { name: "UserId".into(), scalar_type: ScalarType::S }, sort: None },
        ),
        applied: Applied::default(),
        damaged: None,
    }
}

fn entry(index: u64, term: u64) -> LogEntry {
    LogEntry { index, term, kind: (index % 2) as u8, payload: Bytes::from(format!("{index} of {term}")) }
}

/// Entries, and the hard state of a member that has seen their terms.
fn batch(log_id: u64, entries: impl IntoIterator<Item = (u64, u64)>) -> LogBatch {
    let mut batch = LogBatch::default();
    append(&mut batch, log_id, entries.into_iter().map(|(index, term)| entry(index, term)).collect());
    batch
}

fn append(batch: &mut LogBatch, log_id: u64, entries: Vec<LogEntry>) {
    let term = entries.last().unwrap().term;
    batch.append(log_id, entries);
    batch.set_hard_state(log_id, HardState { term, ..HardState::default() });
}

/// Everything that can be read of a log.
fn contents(log: &EngineLog, log_id: u64) -> (LogState, Vec<LogEntry>, Vec<Option<u64>>) {
    let state = log.state(log_id).unwrap();
    let entries = log.entries(log_id, state.start.index + 1, state.last_index + 1, u64::MAX).unwrap();
    let terms = (state.start.index..=state.last_index + 1).map(|index| log.term(log_id, index).unwrap()).collect();
    (state, entries, terms)
}

#[test]
fn what_is_written_is_read_back_now_and_after_a_restart() {
    let node = Node::with_replicas(2);
    let log = node.started();
    let mut both = batch(1, [(1, 1), (2, 1), (3, 2)]);
    append(&mut both, 2, vec![entry(1, 7)]);
    both.set_hard_state(1, HardState { term: 2, vote: 5, commit: 1 });
    log.write(both, true).unwrap();
    assert_eq!(log.entries(1, 1, 4, u64::MAX).unwrap(), [entry(1, 1), entry(2, 1), entry(3, 2)]);
    assert_eq!(log.entries(1, 2, 4, 1).unwrap(), [entry(2, 1)], "at least one");
    assert_eq!(log.term(1, 4).unwrap(), None);
    assert_eq!(log.marks()[&1], LogMark { written: 3, term: 2 });
    let before = [contents(&log, 1), contents(&log, 2)];
    drop(log);
    let opened = node.open();
    assert_eq!((opened.torn, opened.set_aside), (Vec::new(), None));
    assert_eq!([contents(&opened.log, 1), contents(&opened.log, 2)], before);
    assert_eq!(opened.log.marks()[&1], LogMark { written: 3, term: 2 });
}

#[test]
fn entries_replace_those_at_their_indexes_and_behind() {
    let node = Node::with_replicas(1);
    let log = node.started();
    log.write(batch(1, (1..=9).map(|index| (index, 1))), true).unwrap();
    log.write(batch(1, [(4, 2), (5, 2)]), true).unwrap();
    let before = contents(&log, 1);
    assert_eq!(before.0.last_index, 5);
    assert_eq!(before.2, [Some(0), Some(1), Some(1), Some(1), Some(2), Some(2), None]);
    drop(log);
    assert_eq!(contents(&node.open().log, 1), before);
}

#[test]
fn a_write_that_leaves_a_hole_or_brings_back_what_was_cut_is_refused() {
    let node = Node::with_replicas(1);
    let log = node.started();
    log.write(batch(1, (1..=9).map(|index| (index, 1))), true).unwrap();
    log.compact(1, 5).unwrap();
    for entries in [[(11, 1), (12, 1)], [(5, 1), (6, 1)], [(10, 1), (12, 1)]] {
        assert!(matches!(log.write(batch(1, entries), true), Err(LogError::Refused { .. })), "{entries:?}");
    }
    assert!(matches!(log.entries(1, 5, 7, u64::MAX), Err(LogError::OutOfRange { .. })));
    assert!(matches!(log.state(2), Err(LogError::Missing { log_id: 2 })));
}

#[test]
fn what_is_cut_stays_cut_once_the_next_write_is_durable() {
    let node = Node::with_replicas(1);
    let log = node.started();
    log.write(batch(1, (1..=9).map(|index| (index, index / 3))), true).unwrap();
    log.compact(1, 7).unwrap();
    assert_eq!(log.state(1).unwrap().start, LogStart { index: 7, term: 2 });
    log.write(batch(1, [(10, 3)]), true).unwrap();
    let before = contents(&log, 1);
    drop(log);
    let log = node.open().log;
    assert_eq!(contents(&log, 1), before);
    log.compact(1, 10).unwrap();
    log.purge().unwrap();
    log.write(batch(1, [(11, 4)]), true).unwrap();
    let before = contents(&log, 1);
    assert_eq!(before.0.start, LogStart { index: 10, term: 3 });
    drop(log);
    assert_eq!(contents(&node.open().log, 1), before);
}

#[test]
fn a_commit_index_that_is_not_synced_is_there_at_once_and_durable_with_the_next_write() {
    let node = Node::with_replicas(2);
    let log = node.started();
    log.write(batch(1, [(1, 1)]), true).unwrap();
    let hard_state = HardState { term: 2, vote: 1, commit: 1 };
    let mut commit = LogBatch::default();
    commit.set_hard_state(1, hard_state);
    log.write(commit, false).unwrap();
    assert_eq!(log.state(1).unwrap().hard_state, hard_state);
    assert_eq!(log.marks()[&1].term, 1, "not durable yet");
    log.write(batch(2, [(1, 1)]), true).unwrap();
    assert_eq!(log.marks()[&1].term, 2, "whichever log the write is for");
    drop(log);
    assert_eq!(node.open().log.state(1).unwrap().hard_state, hard_state);
}

#[test]
fn a_log_begins_where_it_is_told_and_again_if_it_was_begun_before() {
    let node = Node::with_replicas(1);
    let log = node.started();
    log.write(batch(1, [(1, 1), (2, 1)]), true).unwrap();
    log.start(1, 40, 6, HardState { term: 6, vote: 0, commit: 40 }).unwrap();
    assert_eq!(log.term(1, 40).unwrap(), Some(6));
    log.write(batch(1, [(41, 6)]), true).unwrap();
    let before = contents(&log, 1);
    drop(log);
    assert_eq!(contents(&node.open().log, 1), before);
}

#[test]
fn a_log_of_no_replica_goes() {
    let node = Node::with_replicas(1);
    let log = node.started();
    log.start(9, 0, 0, HardState::default()).unwrap();
    log.start(10, 0, 0, HardState::default()).unwrap();
    log.remove(9).unwrap();
    assert!(matches!(log.state(9), Err(LogError::Missing { .. })));
    drop(log);
    let log = node.open().log;
    assert!(matches!(log.state(10), Err(LogError::Missing { .. })));
    log.purge().unwrap();
    assert_eq!(log.files.raft_groups(), [1]);
}

#[test]
fn files_that_no_log_needs_are_deleted() {
    let node = Node::with_replicas(2);
    let log = node.started();
    let payload = Bytes::from(vec![7; 1 << 20]);
    for index in 1..=160 {
        let mut write = LogBatch::default();
        append(&mut write, 1, vec![LogEntry { index, term: 1, kind: 0, payload: payload.clone() }]);
        if index == 1 {
            // The other log's entry is in the first file, and must not keep it.
            append(&mut write, 2, vec![entry(1, 1)]);
        }
        log.write(write, true).unwrap();
        if index % 16 == 0 {
            log.compact(1, index - 4).unwrap();
            log.purge().unwrap();
        }
    }
    let files = node.files(".raftlog").len();
    assert!(files <= 6, "{files} files of 16 MiB, for 4 entries of 1 MiB");
    let before = [contents(&log, 1), contents(&log, 2)];
    drop(log);
    let opened = node.open();
    assert_eq!(opened.set_aside, None);
    assert_eq!([contents(&opened.log, 1), contents(&opened.log, 2)], before);
}

/// raft-engine 0.4 keeps the block that a thread read last, and asks only for its file's number and its place in it.
#[test]
fn logs_that_one_thread_reads_in_turn_give_their_own_entries() {
    let nodes = [Node::with_replicas(1), Node::with_replicas(1)];
    let logs = nodes.each_ref().map(Node::started);
    for index in 1..=3 {
        for (log, term) in logs.iter().zip(1..) {
            log.write(batch(1, [(index, term)]), true).unwrap();
        }
    }
    for index in 1..=3 {
        for (log, term) in logs.iter().zip(1..) {
            assert_eq!(log.entries(1, index, index + 1, u64::MAX).unwrap(), [entry(index, term)]);
        }
    }
    drop(logs);
    for (node, term) in nodes.iter().zip(1..) {
        let log = node.open().log;
        assert_eq!(log.entries(1, 1, 2, u64::MAX).unwrap(), [entry(1, term)]);
        assert_eq!(log.term(1, 3).unwrap(), Some(term));
    }
}

#[test]
fn a_purge_writes_a_log_s_own_entries_again_whatever_its_thread_read_before() {
    let nodes = [Node::with_replicas(2), Node::with_replicas(2)];
    let logs = nodes.each_ref().map(Node::started);
    for (log, term) in logs.iter().zip(1..) {
        log.write(batch(2, [(1, term)]), true).unwrap();
    }
    let [purged, other] = logs;
    let payload = Bytes::from(vec![7; 8 << 20]);
    for index in 1..=12 {
        let mut write = LogBatch::default();
        append(&mut write, 1, vec![LogEntry { index, term: 1, kind: 0, payload: payload.clone() }]);
        purged.write(write, true).unwrap();
    }
    purged.compact(1, 11).unwrap();
    assert_eq!(other.entries(2, 1, 2, u64::MAX).unwrap(), [entry(1, 2)]);
    purged.purge().unwrap();
    assert!(!nodes[0].path().join("0000000000000001.raftlog").exists());
    drop(purged);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(nodes[0].open().log.entries(2, 1, 2, u64::MAX).unwrap(), [entry(1, 1)]));
    });
}

#[test]
fn a_log_in_use_is_refused() {
    let node = Node::with_replicas(1);
    let _log = node.started();
    let refused = EngineLog::open(&node.path(), &node.engine, OnDamage::SetAside).unwrap_err();
    assert!(matches!(refused, LogError::InUse { .. }), "{refused}");
}
