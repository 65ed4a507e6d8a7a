//! Logs as earlier versions of this program wrote them must open.

use super::*;

/// `golden/log-v1` was made by `make`, run with the first version of the format; it is never made again.
#[test]
fn a_log_of_format_version_1_opens() {
    let node = Node::with_replicas(2);
    copy(&golden("log-v1"), &node.path());
    let opened = node.open();
    assert_eq!((opened.torn, opened.set_aside), (Vec::new(), None));
    expect_contents(&opened.log);
}

fn expect_contents(log: &EngineLog) {
    let (state, entries, terms) = contents(log, 1);
    assert_eq!(state.start, LogStart { index: 2, term: 1 });
    assert_eq!(state.hard_state, HardState { term: 3, vote: 2, commit: 4 });
    assert_eq!(entries, [entry(3, 1), entry(4, 2), entry(5, 3)]);
    assert_eq!(terms, [Some(1), Some(1), Some(2), Some(3), None]);
    assert_eq!(log.marks()[&1], LogMark { written: 6, term: 3 }, "one entry was replaced");
    let (state, entries, _) = contents(log, 2);
    assert_eq!(state.start, LogStart { index: 40, term: 6 });
    assert_eq!(entries, [entry(41, 6)]);
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/log/golden").join(name)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
#[ignore = "makes the golden files of a new format version; set GOLDEN to its folder"]
fn make() {
    let Some(to) = std::env::var_os("GOLDEN") else { return };
    let node = Node::with_replicas(2);
    let log = node.started();
    log.write(batch(1, [(1, 1), (2, 1), (3, 1), (4, 1)]), true).unwrap();
    log.start(2, 40, 6, HardState { term: 6, vote: 1, commit: 40 }).unwrap();
    let mut write = batch(1, [(4, 2), (5, 3)]);
    append(&mut write, 2, vec![entry(41, 6)]);
    write.set_hard_state(1, HardState { term: 3, vote: 2, commit: 4 });
    log.compact(1, 2).unwrap();
    log.write(write, true).unwrap();
    expect_contents(&log);
    drop(log);
    copy(&node.path(), Path::new(&to));
}
