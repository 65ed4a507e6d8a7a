//! Files that were changed behind the log's back: what is cut, what is damage, and that nothing is lost without a word.

use super::*;

/// The start of a log and three entries, each in a batch of its own; gives where they begin, and the end.
fn three_batches(node: &Node) -> Vec<u64> {
    let log = node.started();
    for index in 1..=3 {
        log.write(batch(1, [(index, 1)]), true).unwrap();
    }
    drop(log);
    batches(&node.last_file())
}

/// Where the batches of a file begin, and where the last ends, by the lengths in their headers.
fn batches(path: &Path) -> Vec<u64> {
    let file = std::fs::read(path).unwrap();
    let mut at = 69;
    let mut offsets = vec![at as u64];
    while at < file.len() {
        at += (u64::from_be_bytes(file[at..at + 8].try_into().unwrap()) >> 8) as usize;
        offsets.push(at as u64);
    }
    offsets
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Opens and expects that the log was set aside, untouched.
fn expect_set_aside(node: &Node) -> EngineLog {
    let files = |folder: &Path| -> BTreeMap<_, _> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect()
    };
    let before = files(&node.path());
    let refused = EngineLog::open(&node.path(), &node.engine, OnDamage::Refuse).unwrap_err();
    assert!(matches!(refused, LogError::DamagedFolder { .. }), "{refused}");
    assert!(refused.to_string().contains("log"), "{refused}");
    assert_eq!(files(&node.path()), before, "refused, and nothing changed");
    let opened = node.open();
    let aside = opened.set_aside.unwrap();
    assert_eq!(files(&aside.path), before, "kept as it was");
    opened.log
}

#[test]
fn a_torn_write_is_cut_at_every_length() {
    let whole = Node::with_replicas(1);
    let offsets = three_batches(&whole);
    let file = std::fs::read(whole.last_file()).unwrap();
    let name = whole.last_file().file_name().unwrap().to_owned();
    for length in offsets[3] + 1..offsets[4] {
        for zeros in [0, 5000] {
            let node = Node::with_replicas(1);
            drop(node.open());
            change(&node.path().join(&name), |bytes| {
                *bytes = file[..length as usize].to_vec();
                bytes.resize(bytes.len() + zeros, 0);
            });
            let opened = node.open();
            if file[offsets[3] as usize..length as usize].iter().any(|byte| *byte != 0) {
                assert_eq!(opened.torn, [TornTail { path: node.last_file(), kept_bytes: offsets[3] }], "{length}");
            }
            let (state, entries, _) = contents(&opened.log, 1);
            assert_eq!((state.last_index, entries), (2, vec![entry(1, 1), entry(2, 1)]));
            opened.log.write(batch(1, [(3, 2)]), true).unwrap();
            drop(opened);
            assert_eq!(node.open().log.state(1).unwrap().last_index, 3);
        }
    }
}

#[test]
fn a_bad_end_below_the_durable_mark_is_damage() {
    let node = Node::with_replicas(1);
    let log = node.started();
    log.write(batch(1, [(1, 1)]), true).unwrap();
    log.write(batch(1, [(2, 1)]), true).unwrap();
    node.mark(&log);
    drop(log);
    change(&node.last_file(), |bytes| bytes.truncate(bytes.len() - 1));
    let log = expect_set_aside(&node);
    let damaged = log.state(1).unwrap_err();
    assert!(matches!(damaged, LogError::Damaged { .. }), "{damaged}");
    assert!(damaged.to_string().contains(".raftlog"), "{damaged}");
}

#[test]
fn whole_batches_missing_below_the_durable_mark_are_damage_of_that_log() {
    let node = Node::with_replicas(2);
    let log = node.started();
    log.write(batch(2, [(1, 1)]), true).unwrap();
    log.write(batch(1, [(1, 1)]), true).unwrap();
    node.mark(&log);
    drop(log);
    let end = batches(&node.last_file());
    change(&node.last_file(), |bytes| bytes.truncate(end[end.len() - 2] as usize));
    let log = node.open().log;
    assert!(matches!(log.state(1), Err(LogError::Damaged { .. })));
    assert!(matches!(log.write(batch(1, [(1, 1)]), true), Err(LogError::Damaged { .. })));
    assert_eq!(log.state(2).unwrap().last_index, 1);
}

#[test]
fn a_lost_vote_below_the_durable_mark_is_damage() {
    let node = Node::with_replicas(1);
    let log = node.started();
    let mut vote = LogBatch::default();
    vote.set_hard_state(1, HardState { term: 4, vote: 2, commit: 0 });
    log.write(vote, true).unwrap();
    node.mark(&log);
    drop(log);
    let end = batches(&node.last_file());
    change(&node.last_file(), |bytes| bytes.truncate(end[end.len() - 2] as usize));
    assert!(matches!(node.open().log.state(1), Err(LogError::Damaged { .. })));
}

/// The ten entries of one leader, marked, then the three of the next from the sixth on.
fn replaced(node: &Node) -> EngineLog {
    let log = node.started();
    log.write(batch(1, (1..=10).map(|index| (index, 1))), true).unwrap();
    let mut heard = LogBatch::default();
    heard.set_hard_state(1, HardState { term: 3, vote: 2, commit: 5 });
    log.write(heard, true).unwrap();
    node.mark(&log);
    let mut write = batch(1, [(6, 3), (7, 3), (8, 3)]);
    write.set_hard_state(1, HardState { term: 3, vote: 2, commit: 5 });
    log.write(write, true).unwrap();
    log
}

#[test]
fn an_end_that_a_new_leader_replaced_by_a_shorter_one_is_not_lost() {
    let node = Node::with_replicas(1);
    let before = contents(&replaced(&node), 1);
    let log = node.open().log;
    assert_eq!(contents(&log, 1), before);
    node.mark(&log);
    drop(log);
    assert_eq!(contents(&node.open().log, 1), before);
}

#[test]
fn a_torn_write_behind_a_replaced_end_is_cut_as_any_other() {
    for garbage in [&[0; 5000][..], &[0xA5; 30][..]] {
        let node = Node::with_replicas(2);
        let before = contents(&replaced(&node), 1);
        change(&node.last_file(), |bytes| bytes.extend(garbage));
        let opened = node.open();
        assert_eq!(opened.set_aside, None);
        assert_eq!(contents(&opened.log, 1), before);
    }
}

#[test]
fn what_is_lost_of_a_replaced_end_is_damage_once_it_was_durable() {
    let node = Node::with_replicas(1);
    let log = replaced(&node);
    log.write(batch(1, [(9, 3)]), true).unwrap();
    node.mark(&log);
    drop(log);
    let end = batches(&node.last_file());
    change(&node.last_file(), |bytes| bytes.truncate(end[end.len() - 2] as usize));
    let damaged = node.open().log.state(1).unwrap_err();
    assert!(matches!(damaged, LogError::Damaged { .. }), "{damaged}");
}

#[test]
fn a_replacing_write_that_is_lost_is_damage_once_it_was_durable() {
    let node = Node::with_replicas(1);
    let log = replaced(&node);
    node.mark(&log);
    drop(log);
    let end = batches(&node.last_file());
    change(&node.last_file(), |bytes| bytes.truncate(end[end.len() - 2] as usize));
    assert!(matches!(node.open().log.state(1), Err(LogError::Damaged { .. })), "entries 6 to 10 are the old leader's");
}

#[test]
fn a_log_begun_again_below_its_mark_is_not_lost() {
    for garbage in [0, 5000] {
        let node = Node::with_replicas(1);
        let log = replaced(&node);
        log.start(1, 4, 1, HardState { term: 3, vote: 2, commit: 4 }).unwrap();
        let before = contents(&log, 1);
        drop(log);
        change(&node.last_file(), |bytes| bytes.resize(bytes.len() + garbage, 0));
        let opened = node.open();
        assert_eq!(opened.set_aside, None);
        assert_eq!(contents(&opened.log, 1), before);
    }
}

#[test]
fn a_hard_state_older_than_the_last_entry_is_damage() {
    let node = Node::with_replicas(2);
    let log = node.started();
    log.write(batch(1, [(1, 1), (2, 4)]), true).unwrap();
    log.write(batch(2, [(1, 4)]), true).unwrap();
    // As it is when the disk lost the end of the rewrite queue, where the newer state was.
    let mut older = raft_engine::LogBatch::default();
    let state = StoredState { hard_state: HardState { term: 3, vote: 1, commit: 1 }, ..StoredState::default() };
    older.put(1, STATE_KEY.to_vec(), state.encode()).unwrap();
    log.files.write(&mut older, true).unwrap();
    drop(log);
    let log = node.open().log;
    let damaged = log.state(1).unwrap_err();
    assert!(damaged.to_string().contains("term 3"), "{damaged}");
    assert_eq!(log.state(2).unwrap().last_index, 1);
}

#[test]
fn a_bad_batch_with_good_ones_behind_it_is_damage_wherever_a_bit_flips() {
    let whole = Node::with_replicas(1);
    let offsets = three_batches(&whole);
    let file = std::fs::read(whole.last_file()).unwrap();
    let name = whole.last_file().file_name().unwrap().to_owned();
    // All batches but the last, whose fate is another test's.
    for at in (0..offsets[3]).filter(|at| *at < 53 || *at >= 61) {
        let node = Node::with_replicas(1);
        drop(node.open());
        change(&node.path().join(&name), |bytes| {
            *bytes = file.clone();
            bytes[at as usize] ^= 1 << (at % 8);
        });
        let log = expect_set_aside(&node);
        assert!(matches!(log.state(1), Err(LogError::Damaged { .. })), "byte {at}");
    }
}

#[test]
fn a_log_set_aside_leaves_room_for_new_replicas_and_stays_told_apart() {
    let node = Node::with_replicas(2);
    let offsets = three_batches(&node);
    change(&node.last_file(), |bytes| bytes[offsets[1] as usize + 20] ^= 1);
    let log = expect_set_aside(&node);
    assert!(matches!(log.state(2), Err(LogError::Damaged { .. })), "of all the replicas in it");
    log.start(3, 0, 0, HardState::default()).unwrap();
    log.write(batch(3, [(1, 1)]), true).unwrap();
    assert_eq!(log.state(3).unwrap().last_index, 1);
    assert_eq!(log.marks().keys().copied().collect::<Vec<_>>(), [3]);
    drop(log);
    assert!(node.open().log.state(1).is_err(), "after the next start too");
}

#[test]
fn a_missing_file_is_damage() {
    for missing in 0..3 {
        let node = Node::with_replicas(2);
        let log = node.started();
        let payload = Bytes::from(vec![7; 9 << 20]);
        for index in 1..=5 {
            let mut write = batch(2, [(index, 1)]);
            append(&mut write, 1, vec![LogEntry { index, term: 1, kind: 0, payload: payload.clone() }]);
            log.write(write, true).unwrap();
        }
        node.mark(&log);
        drop(log);
        let files = node.files(".raftlog");
        assert_eq!(files.len(), 3);
        std::fs::remove_file(&files[missing]).unwrap();
        let log = node.open().log;
        for log_id in [1, 2] {
            assert!(matches!(log.state(log_id), Err(LogError::Damaged { .. } | LogError::Missing { .. })), "{missing}");
        }
    }
}

#[test]
fn a_torn_file_before_another_is_damage() {
    let node = Node::with_replicas(1);
    let log = node.started();
    let payload = Bytes::from(vec![7; 9 << 20]);
    for index in 1..=3 {
        let mut write = LogBatch::default();
        append(&mut write, 1, vec![LogEntry { index, term: 1, kind: 0, payload: payload.clone() }]);
        log.write(write, true).unwrap();
    }
    drop(log);
    let files = node.files(".raftlog");
    assert_eq!(files.len(), 2);
    change(&files[0], |bytes| bytes.truncate(bytes.len() - 1));
    assert!(matches!(expect_set_aside(&node).state(1), Err(LogError::Damaged { .. })));
}

#[test]
fn a_file_that_was_begun_and_not_written_is_cut() {
    for begun in [0, 20, 69] {
        let node = Node::with_replicas(1);
        let log = node.started();
        log.write(batch(1, [(1, 1)]), true).unwrap();
        drop(log);
        let mut header = std::fs::read(node.last_file()).unwrap();
        header.truncate(begun);
        std::fs::write(node.path().join("0000000000000002.raftlog"), header).unwrap();
        let log = node.open().log;
        log.write(batch(1, [(2, 1)]), true).unwrap();
        drop(log);
        assert_eq!(node.open().log.state(1).unwrap().last_index, 2);
    }
}

#[test]
fn a_missing_log_is_damage() {
    let node = Node::with_replicas(1);
    let log = node.started();
    node.mark(&log);
    drop(log);
    std::fs::remove_dir_all(node.path()).unwrap();
    assert!(matches!(node.open().log.state(1), Err(LogError::Missing { .. })));
}

#[test]
fn files_of_a_newer_format_are_refused_and_left_alone() {
    let refuses = |spoil: &dyn Fn(&Node)| {
        let node = Node::with_replicas(1);
        three_batches(&node);
        spoil(&node);
        let before = std::fs::read(node.last_file()).unwrap();
        let refused = EngineLog::open(&node.path(), &node.engine, OnDamage::SetAside).unwrap_err();
        assert!(matches!(refused, LogError::NewerFormat { .. }), "{refused}");
        assert!(refused.to_string().contains(&*node.path().to_string_lossy()), "{refused}");
        assert_eq!(std::fs::read(node.last_file()).unwrap(), before);
    };
    refuses(&|node| std::fs::write(node.path().join("format.json"), r#"{"format": 2, "more": []}"#).unwrap());
    refuses(&|node| change(&node.last_file(), |bytes| bytes[60] = 3));
    // The version of the first entry, with the checksum that belongs to it.
    refuses(&|node| {
        let at = batches(&node.last_file())[1] as usize;
        change(&node.last_file(), |bytes| {
            let items_at = at + u64::from_be_bytes(bytes[at + 8..at + 16].try_into().unwrap()) as usize;
            bytes[at + 16] = 2;
            let checksum = crc32fast::hash(&bytes[at + 16..items_at - 4]);
            bytes[items_at - 4..items_at].copy_from_slice(&checksum.to_le_bytes());
        });
    });
}

#[test]
fn a_folder_of_something_else_is_refused_and_left_alone() {
    let node = Node::with_replicas(1);
    std::fs::create_dir(node.path()).unwrap();
    std::fs::write(node.path().join("thesis.tex"), b"years of work").unwrap();
    let refused = EngineLog::open(&node.path(), &node.engine, OnDamage::SetAside).unwrap_err();
    assert!(refused.to_string().contains("thesis.tex"), "{refused}");
    assert_eq!(std::fs::read_dir(node.path()).unwrap().count(), 1);
}
