//! fjall on real files: killed, torn, cut, flipped. What was durable is there, or its loss is told.

use crate::support::*;
use cairn_engine::{Engine, FjallStore, LogMark, ReplicaRecord};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
};

const FOLDER: &str = "CAIRN_TEST_FOLDER";

/// Runs in the process that is killed: applies until then, and says what is durable.
#[test]
#[ignore = "the other half of the test below, which runs it"]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let engine = fjall(Path::new(&folder));
    let storage = match engine.replica(PARTITION) {
        Some(replica) => replica.storage_id,
        None => create(&engine, 1, 1).storage_id,
    };
    let first = engine.applied(storage).unwrap().index + 1;
    for index in first.. {
        let large = vec![b'x'; (index * 7919 % 9000) as usize];
        let items = vec![put("last", index.to_string()), put(&format!("{index:06}"), large)];
        engine.apply(storage, batch(index, items)).unwrap();
        // Tables that come past the journal, between commits that come through it.
        if index % 30 == 0 {
            let mut reader = engine.snapshot(storage).unwrap();
            let mut writer = engine.begin_load().unwrap();
            while let Some(chunk) = reader.next_chunk().unwrap() {
                engine.load_items(&mut writer, &chunk).unwrap();
            }
            engine.abandon(writer).unwrap();
        }
        if index % 20 == 0 {
            engine.persist(&BTreeMap::new()).unwrap();
            println!("durable {index}");
        }
    }
}

#[test]
fn what_was_durable_is_there_and_whole_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    for kill in 0..6 {
        let mut writer = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["crashes::writer", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(writer.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut durable = String::new();
        for _ in 0..kill * 9 + 2 {
            durable = said.by_ref().find(|line| line.contains("durable ")).expect("the writer ended by itself");
        }
        writer.kill().unwrap();
        durable = said.filter(|line| line.starts_with("durable ")).last().unwrap_or(durable);
        writer.wait().unwrap();
        let durable: u64 = durable.split("durable ").last().unwrap().parse().unwrap();
        let engine = fjall(folder.path());
        expect_whole(&engine, durable);
    }
}

#[test]
fn what_was_loaded_past_the_journal_is_there_after_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let engine = fjall(folder.path());
    let from = create(&engine, 1, 1).storage_id;
    for index in 1..=300 {
        engine.apply(from, batch(index, vec![put(&format!("{index:06}"), vec![b'x'; 3_000])])).unwrap();
    }
    let mut reader = engine.snapshot(from).unwrap();
    let mut writer = engine.begin_load().unwrap();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        engine.load_items(&mut writer, &chunk).unwrap();
    }
    let record = engine.replica(PARTITION).unwrap();
    let log_id = engine.allocate_ids().unwrap().log_id;
    let adopted = engine
        .adopt(writer, ReplicaRecord { partition_id: partition(2), descriptor: descriptor(2), log_id, ..record })
        .unwrap();
    let expected = items(&engine, from);
    assert_eq!(items(&engine, adopted.storage_id), expected);
    engine.apply(adopted.storage_id, batch(301, vec![put("000001", "changed")])).unwrap();
    assert_eq!(get(&engine, adopted.storage_id, "000001").unwrap(), "changed");
    drop(engine);
    let engine = fjall(folder.path());
    assert_eq!(items(&engine, adopted.storage_id).len(), 300);
    assert_eq!(items(&engine, from), expected);
}

/// The replica holds the effects of all entries up to its applied index, which is `durable` at least.
fn expect_whole(engine: &Engine<FjallStore>, durable: u64) {
    let replica = engine.replica(PARTITION).unwrap();
    let (storage, index) = (replica.storage_id, replica.applied.index);
    assert_eq!(replica.damaged, None);
    assert!(index >= durable, "entries {} to {durable} are lost", index + 1);
    if index > 0 {
        assert_eq!(get(engine, storage, "last").unwrap(), index.to_string());
        assert!(engine.outcome(storage, &request(index)).unwrap().is_some());
    }
    let names = items(engine, storage).into_iter().map(|(name, _)| name).filter(|name| name != "last");
    assert!(names.eq((1..=index).map(|index| format!("{index:06}"))), "items of some entries are missing");
}

/// A closed folder: entries up to `persisted` durable, then more.
fn written(folder: &Path, entries: u64, persisted: u64) {
    let engine = fjall(folder);
    let storage = create(&engine, 1, 1).storage_id;
    for index in 1..=entries {
        engine
            .apply(storage, batch(index, vec![put("last", index.to_string()), put(&format!("{index:06}"), "x")]))
            .unwrap();
        if index == persisted {
            engine.persist(&BTreeMap::new()).unwrap();
        }
    }
}

fn journals(folder: &Path) -> Vec<PathBuf> {
    let mut journals: Vec<PathBuf> = std::fs::read_dir(folder.join("items"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .collect();
    journals.sort();
    journals
}

/// Where the content of a file ends and zeros begin.
fn content_end(path: &Path) -> u64 {
    std::fs::read(path).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1
}

#[test]
fn a_journal_cut_anywhere_leaves_whole_batches_or_a_replica_that_says_it_went_back() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path(), 30, 20);
    let end = content_end(&journals(whole.path())[0]);
    let mut went_back = 0;
    for cut in (0..=end).rev().step_by(97) {
        let folder = tempfile::tempdir().unwrap();
        copy(whole.path(), folder.path());
        let journal = std::fs::File::options().write(true).open(&journals(folder.path())[0]).unwrap();
        journal.set_len(cut).unwrap();
        let engine = fjall(folder.path());
        match engine.replica(PARTITION) {
            Some(replica) if replica.damaged.is_some() => {
                assert!(replica.applied.index < 20);
                went_back += 1;
            }
            Some(_) => expect_whole(&engine, 20),
            None => assert!(engine.tombstone(PARTITION).unwrap().is_some()),
        }
    }
    assert!(went_back > 5, "{went_back}");
}

#[test]
fn a_flipped_bit_in_the_journal_is_refused_or_told_never_silent() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path(), 30, 30);
    let end = content_end(&journals(whole.path())[0]);
    let (mut refused, mut told) = (0, 0);
    for at in (0..end).step_by(131) {
        let folder = tempfile::tempdir().unwrap();
        copy(whole.path(), folder.path());
        flip(&journals(folder.path())[0], at);
        match try_fjall(folder.path()) {
            Err(message) => {
                assert!(message.contains(&*folder.path().to_string_lossy()), "{message}");
                refused += 1;
            }
            Ok(engine) => match engine.replica(PARTITION) {
                Some(replica) if replica.damaged.is_some() => told += 1,
                Some(_) => expect_whole(&engine, 30),
                None => assert!(engine.tombstone(PARTITION).unwrap().is_some()),
            },
        }
    }
    assert!(refused > 0 && told > 0, "refused {refused}, told {told}");
}

fn flip(path: &Path, at: u64) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x08], at).unwrap();
}

#[test]
fn a_journal_damaged_in_the_middle_of_the_database_is_told() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path(), 30, 20);
    // fjall begins another journal at 64 MB; so the first is one that it will not write to any more.
    std::fs::File::create(whole.path().join("items/1.jnl")).unwrap();
    let first = journals(whole.path()).remove(0);
    let content = std::fs::read(&first).unwrap();
    let end = content_end(&first) as usize;
    let batch_ends: Vec<usize> = (4..=end).filter(|at| content[..*at].ends_with(b"FJL\x03")).collect();
    assert!(batch_ends.len() >= 30);
    for at in [batch_ends[24], batch_ends[28], end] {
        let folder = tempfile::tempdir().unwrap();
        copy(whole.path(), folder.path());
        let first = journals(folder.path()).remove(0);
        if at == end {
            // Room that fjall allocated ahead and did not use is no damage.
            std::fs::File::options().write(true).open(&first).unwrap().set_len(end as u64 + 10_000).unwrap();
            expect_whole(&fjall(folder.path()), 30);
        } else {
            // The tag of an entry: fjall ends the journal there, without an error.
            flip(&first, at as u64);
            let engine = fjall(folder.path());
            let replica = engine.replica(PARTITION).unwrap();
            assert!(replica.applied.index >= 20, "the marker does not tell");
            let damaged = replica.damaged.expect("the loss was not told");
            assert!(damaged.contains("0.jnl"), "{damaged}");
        }
    }
}

#[test]
fn a_database_that_is_missing_or_of_a_newer_format_is_refused_and_left_alone() {
    for (spoil, says) in [
        (&(|folder: &Path| std::fs::remove_dir_all(folder.join("items")).unwrap()) as &dyn Fn(&Path), "missing"),
        (&|folder| std::fs::write(folder.join("items/version"), b"FJL\x09").unwrap(), "items"),
        (
            &|folder| std::fs::write(folder.join("marker"), b"CAIRNMRK\x02 and more to come").unwrap(),
            "format version 2",
        ),
        (&|folder| std::fs::write(folder.join("marker"), b"").unwrap(), "marker"),
        (&|folder| flip(&folder.join("marker"), 20), "marker"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), 10, 10);
        spoil(folder.path());
        let marker = std::fs::read(folder.path().join("marker")).unwrap();
        let refused = try_fjall(folder.path()).unwrap_err();
        assert!(refused.contains(says), "{refused}");
        assert_eq!(std::fs::read(folder.path().join("marker")).unwrap(), marker);
    }
}

#[test]
fn marks_of_logs_are_kept_with_the_marker() {
    let folder = tempfile::tempdir().unwrap();
    let engine = fjall(folder.path());
    let replica = create(&engine, 1, 1);
    engine.apply(replica.storage_id, batch(4, Vec::new())).unwrap();
    let marks = BTreeMap::from([(replica.log_id, LogMark { written: 9, term: 3 })]);
    engine.persist(&marks).unwrap();
    assert_eq!(engine.persisted_indexes()[&replica.log_id], 4);
    drop(engine);
    let engine = fjall(folder.path());
    assert_eq!(engine.log_marks(), marks);
    assert_eq!(engine.persisted_indexes()[&replica.log_id], 4);
}
