use super::*;
use bytes::Bytes;

const LOG: u64 = 7;

fn entry(index: u64, term: u64) -> LogEntry {
    LogEntry { index, term, kind: 0, payload: Bytes::from(format!("{index} of {term}")) }
}

fn batch(entries: impl IntoIterator<Item = (u64, u64)>) -> LogBatch {
    let mut batch = LogBatch::default();
    let entries: Vec<LogEntry> = entries.into_iter().map(|(index, term)| entry(index, term)).collect();
    let term = entries.last().unwrap().term;
    batch.append(LOG, entries);
    batch.set_hard_state(LOG, HardState { term, ..HardState::default() });
    batch
}

fn started() -> MemoryLog {
    let log = MemoryLog::default();
    log.start(LOG, 0, 0, HardState::default()).unwrap();
    log
}

fn last_index(log: &MemoryLog) -> u64 {
    log.state(LOG).unwrap().last_index
}

#[test]
fn what_is_written_is_read_back() {
    let log = started();
    let mut write = batch([(1, 1), (2, 1), (3, 2)]);
    write.set_hard_state(LOG, HardState { term: 2, vote: 5, commit: 1 });
    log.write(write, true).unwrap();
    assert_eq!(log.entries(LOG, 1, 4, u64::MAX).unwrap(), [entry(1, 1), entry(2, 1), entry(3, 2)]);
    assert_eq!(log.entries(LOG, 2, 4, 1).unwrap(), [entry(2, 1)], "at least one");
    let hard_state = HardState { term: 2, vote: 5, commit: 1 };
    assert_eq!(log.state(LOG).unwrap(), LogState { start: LogStart::default(), last_index: 3, hard_state });
    assert_eq!(log.marks()[&LOG], LogMark { written: 3, term: 2 });
    assert_eq!(log.term(LOG, 0).unwrap(), Some(0));
    assert_eq!(log.term(LOG, 3).unwrap(), Some(2));
    assert_eq!(log.term(LOG, 4).unwrap(), None);
}

#[test]
fn an_entry_at_a_lower_index_replaces_what_is_behind() {
    let log = started();
    log.write(batch([(1, 1), (2, 1), (3, 1)]), true).unwrap();
    log.write(batch([(2, 2)]), true).unwrap();
    assert_eq!(log.entries(LOG, 1, 3, u64::MAX).unwrap(), [entry(1, 1), entry(2, 2)]);
    let mut twice = batch([(3, 2), (4, 2)]);
    twice.append(LOG, vec![entry(3, 3)]);
    twice.set_hard_state(LOG, HardState { term: 3, ..HardState::default() });
    log.write(twice, true).unwrap();
    assert_eq!(log.marks()[&LOG], LogMark { written: 5, term: 3 }, "a mark never falls");
    assert_eq!(last_index(&log), 3);
    assert_eq!(log.term(LOG, 3).unwrap(), Some(3));
}

#[test]
fn a_hole_and_a_return_of_what_was_cut_are_refused() {
    let log = started();
    log.write(batch([(1, 1), (2, 1), (3, 1)]), true).unwrap();
    log.compact(LOG, 2).unwrap();
    assert_eq!(log.state(LOG).unwrap().start, LogStart { index: 2, term: 1 });
    for wrong in [batch([(5, 1)]), batch([(2, 1)]), batch([(4, 1), (6, 1)])] {
        assert!(matches!(log.write(wrong, true), Err(LogError::Refused { .. })));
    }
    assert!(matches!(log.entries(LOG, 2, 3, u64::MAX), Err(LogError::OutOfRange { .. })));
    assert_eq!(log.entries(LOG, 3, 4, u64::MAX).unwrap(), [entry(3, 1)]);
}

#[test]
fn an_entry_of_a_later_term_than_the_hard_state_is_refused() {
    let log = started();
    let mut write = batch([(1, 2)]);
    write.set_hard_state(LOG, HardState { term: 1, vote: 1, commit: 0 });
    assert!(matches!(log.write(write, true), Err(LogError::Refused { .. })));
}

#[test]
fn a_crash_loses_what_was_not_synced() {
    let log = started();
    log.write(batch([(1, 1)]), true).unwrap();
    log.write(batch([(2, 1)]), false).unwrap();
    assert_eq!(last_index(&log), 2);
    assert_eq!(log.marks()[&LOG].written, 1);
    log.crash();
    assert_eq!(last_index(&log), 1);
}

#[test]
fn a_crash_may_keep_the_first_of_what_was_not_synced() {
    let log = started();
    for index in 1..=3 {
        log.write(batch([(index, 1)]), false).unwrap();
    }
    assert_eq!(log.writes_at_risk(), 3);
    log.crash_keeping(2);
    assert_eq!((last_index(&log), log.writes_at_risk()), (2, 0));
    log.crash();
    assert_eq!(last_index(&log), 2, "what a crash left is durable");
}

#[test]
fn a_sync_makes_everything_before_it_durable() {
    let log = started();
    log.write(batch([(1, 1)]), false).unwrap();
    log.write(batch([(2, 1)]), true).unwrap();
    log.crash();
    assert_eq!(last_index(&log), 2);
}

#[test]
fn a_write_that_was_told_to_fail_is_not_durable() {
    for (failure, kept) in [(WriteFailure::BeforeWrite, 0), (WriteFailure::BeforeSync, 1)] {
        let log = started();
        log.fail_next_write(failure);
        assert!(log.write(batch([(1, 1)]), true).unwrap_err().is_fatal());
        assert_eq!(log.writes_at_risk(), kept);
        log.crash();
        assert_eq!(last_index(&log), 0);
        log.write(batch([(1, 2)]), true).unwrap();
    }
}

#[test]
fn a_log_that_was_removed_or_never_started_is_missing() {
    let log = started();
    log.remove(LOG).unwrap();
    assert!(matches!(log.state(LOG), Err(LogError::Missing { log_id: LOG })));
    assert!(!log.state(8).unwrap_err().is_fatal());
    log.crash();
    assert!(log.state(LOG).is_ok(), "a removal is not synced");
}
