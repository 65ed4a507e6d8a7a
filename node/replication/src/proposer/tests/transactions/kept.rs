//! What a partition keeps of transactions, whom it tells of it, and when it is dropped.

use super::*;
use crate::transaction::{RECORD_AGE_MS_MAX, TOKEN_AGE_MS_MAX};
use std::collections::HashSet;

#[test]
fn a_token_is_answered_with_what_was_done_and_refuses_other_parameters() {
    let mut leader = Leader::new();
    leader.whole(1, 1, 7, vec![add("a", 1)]);
    leader.outcome();
    leader.whole(2, 2, 7, vec![add("a", 1)]);
    let TransactOutcome::Replayed { transaction, outcomes, .. } = leader.outcome() else { panic!("not replayed") };
    assert_eq!((transaction, outcomes.len()), (id(1), 1));
    let mut other = idempotency(7);
    other.parameters = [9; 16];
    let write = TransactWrite {
        idempotency: other,
        actions: vec![add("a", 2)],
        participants: Vec::new(),
        begun_ms: leader.wall_ms,
    };
    leader.step(3, 3, 3, TransactStep::Write(write));
    assert_eq!(leader.outcome(), TransactOutcome::ParameterMismatch);
    assert_eq!(leader.number_of("a"), Some(testing::item("a", 1)));
    leader.wall_ms += TOKEN_AGE_MS_MAX + 1_000;
    leader.whole(4, 4, 7, vec![add("a", 1)]);
    assert!(matches!(leader.outcome(), TransactOutcome::Committed(_)), "it is forgotten");
}

#[test]
fn a_token_under_way_is_said_to_be() {
    let mut leader = Leader::new();
    leader.prepare(1, 7, vec![add("a", 1)]);
    leader.run_to_rest();
    leader.answers();
    leader.whole(2, 8, 7, vec![add("b", 1)]);
    assert!(matches!(leader.outcome(), TransactOutcome::InProgress(met) if met.transaction == id(7)));
}

#[test]
fn what_became_of_transactions_is_dropped_when_it_is_old() {
    let mut leader = Leader::new();
    leader.whole(1, 1, 1, vec![put("a", 1)]);
    leader.prepare(2, 2, vec![put("b", 1)]);
    leader.run_to_rest();
    leader.step(3, 50, 2, TransactStep::Abort { age_ms_min: 0 });
    leader.run_to_rest();
    let kept = |leader: &Leader| leader.engine.transactions(1, &[0], &[0xFF]).count();
    assert_eq!(kept(&leader), 5);
    leader.proposer.keep_up(leader.wall_ms);
    leader.run_to_rest();
    assert_eq!(kept(&leader), 5);
    leader.wall_ms += RECORD_AGE_MS_MAX + 1_000;
    leader.proposer.keep_up(leader.wall_ms);
    leader.run_to_rest();
    assert_eq!(kept(&leader), 0);
    let entries = leader.log.len();
    leader.proposer.keep_up(leader.wall_ms);
    leader.run_to_rest();
    leader.proposer.keep_up(leader.wall_ms);
    assert_eq!(leader.log.len(), entries);
    assert!(!leader.proposer.is_ready() || leader.proposer.remote.is_due(), "there is nothing more to look for");
}

#[test]
fn what_others_may_not_have_applied_yet_is_never_dropped() {
    for with_another in [false, true] {
        let mut leader = Leader::new();
        leader.decide(1, 1, 1, vec![put("a", 1)], 0);
        assert!(matches!(leader.outcome(), TransactOutcome::Committed(_)));
        leader.wall_ms += 100 * RECORD_AGE_MS_MAX;
        leader.change_leader();
        leader.run_to_rest();
        leader.proposer.keep_up(leader.wall_ms);
        leader.run_to_rest();
        leader.step(2, 50, 1, TransactStep::Abort { age_ms_min: 0 });
        assert!(matches!(leader.outcome(), TransactOutcome::Committed(_)));
        if with_another {
            let write = TransactWrite {
                idempotency: idempotency(2),
                actions: vec![put("b", 1)],
                participants: participants(),
                begun_ms: leader.wall_ms,
            };
            leader.step(3, 51, 2, TransactStep::Decide { write, prepared_bytes: 0, finished: vec![id(1), id(9)] });
        } else {
            leader.step(3, 51, 1, TransactStep::Finish);
        }
        assert!(matches!(leader.outcome(), TransactOutcome::Committed(_)));
        // Who asks under its token may have met what applied it last.
        leader.wall_ms += TOKEN_AGE_MS_MAX;
        leader.proposer.keep_up(leader.wall_ms);
        leader.run_to_rest();
        leader.step(4, 52, 1, TransactStep::Commit);
        assert!(matches!(leader.outcome(), TransactOutcome::Committed(_)));
        leader.wall_ms += RECORD_AGE_MS_MAX;
        leader.proposer.keep_up(leader.wall_ms);
        leader.run_to_rest();
        leader.step(5, 53, 1, TransactStep::Finish);
        assert_eq!(leader.outcome(), TransactOutcome::Aborted, "it is not known any more");
    }
}

#[test]
fn who_waits_for_too_long_is_told_until_it_is_ended() {
    let mut leader = Leader::new();
    leader.decide(1, 1, 1, vec![put("a", 1)], 0);
    leader.prepare(2, 2, vec![put("b", 1)]);
    leader.run_to_rest();
    leader.answers();
    let left = |leader: &mut Leader| {
        leader.proposer.keep_up(leader.wall_ms);
        leader.run_to_rest();
        leader.proposer.left_transactions().iter().map(|left| left.transaction).collect::<Vec<_>>()
    };
    assert_eq!(left(&mut leader), []);
    leader.wall_ms += 10_001;
    assert_eq!(left(&mut leader), [id(1), id(2)]);
    leader.change_leader();
    leader.run_to_rest();
    assert_eq!(left(&mut leader), [id(1), id(2)], "whoever leads tells");
    leader.step(3, 50, 1, TransactStep::Finish);
    leader.step(4, 51, 2, TransactStep::Abort { age_ms_min: 0 });
    leader.run_to_rest();
    assert_eq!(left(&mut leader), []);
}

#[test]
fn all_that_wait_are_told_in_time() {
    let mut leader = Leader::new();
    for number in 0..40 {
        leader.decide(u64::from(number), number, number, vec![put(&number.to_string(), 1)], 0);
    }
    leader.run_to_rest();
    let mut told = HashSet::new();
    for _ in 0..4 {
        leader.wall_ms += 10_000;
        leader.proposer.keep_up(leader.wall_ms);
        assert!(leader.proposer.left_transactions().len() <= 16);
        told.extend(leader.proposer.left_transactions().iter().map(|left| left.transaction));
    }
    assert_eq!(told.len(), 40);
}

#[test]
fn a_token_that_comes_again_as_it_is_dropped_is_kept() {
    let mut leader = Leader::new();
    leader.whole(1, 1, 7, vec![add("a", 1)]);
    leader.outcome();
    leader.wall_ms += RECORD_AGE_MS_MAX + 1_000;
    leader.whole(2, 2, 7, vec![add("a", 1)]);
    assert!(matches!(leader.outcome(), TransactOutcome::Committed(_)));
    leader.whole(3, 3, 7, vec![add("a", 1)]);
    assert!(matches!(leader.outcome(), TransactOutcome::Replayed { transaction, .. } if transaction == id(2)));
}
