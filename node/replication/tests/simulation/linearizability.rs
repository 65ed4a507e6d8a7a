//! Decides whether the history of one item is linearizable: whether there is an order of its operations that respects
//! real time and gives every one the answer it got.
//!
//! Wing and Gong's search with Lowe's memoisation ("Testing for linearizability", 2017): operations are taken one by one
//! from those that no untaken operation had ended before; a set of taken operations with the state it led to is never
//! searched twice. An operation of unknown outcome has no end: it may be taken at any later point, or not at all.

use crate::history::{Action, Operation, State};
use std::collections::HashSet;

/// Sets of operations searched before the checker gives up.
const VISITED_MAX: usize = 2_000_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Linearizable,
    /// The text says how far the search got and what could not follow.
    Violated(String),
    /// The search was given up. A simulation that gets here asks too much of the checker.
    Undecided,
}

/// One step of the search: what was taken to get here, and the candidates not tried yet.
struct Frame {
    taken: Option<usize>,
    state: State,
    untried: Vec<usize>,
}

struct Search<'a> {
    operations: &'a [Operation],
    taken: Vec<u64>,
    completed_left: usize,
    visited: HashSet<(Vec<u64>, State)>,
}

/// Checks one item's history, which began with no item.
pub fn check(history: &[Operation]) -> Verdict {
    // A get nobody heard the answer of says nothing.
    let mut operations: Vec<Operation> =
        history.iter().filter(|each| each.completed.is_some() || each.action != Action::Get).copied().collect();
    operations.sort_by_key(|each| each.invoked_at_us);
    let completed_left = operations.iter().filter(|each| each.completed.is_some()).count();
    Search {
        taken: vec![0; operations.len().div_ceil(64)],
        operations: &operations,
        completed_left,
        visited: HashSet::new(),
    }
    .run()
}

impl Search<'_> {
    fn run(mut self) -> Verdict {
        let mut path = vec![Frame { taken: None, state: None, untried: self.candidates() }];
        let mut longest = (0, Vec::new());
        while self.completed_left > 0 {
            let Some(frame) = path.last_mut() else {
                return Verdict::Violated(self.explain(&longest.1));
            };
            let Some(next) = frame.untried.pop() else {
                if let Some(taken) = path.pop().and_then(|frame| frame.taken) {
                    self.put_back(taken);
                }
                continue;
            };
            let operation = &self.operations[next];
            let (state, answer) = operation.action.perform(frame.state);
            let fits = match operation.completed {
                Some(completion) => completion.answer == answer,
                // Taking it would change nothing, so leaving it for later loses nothing.
                None => state != frame.state,
            };
            if !fits {
                continue;
            }
            self.take(next);
            if !self.visited.insert((self.taken.clone(), state)) {
                self.put_back(next);
                continue;
            }
            if self.visited.len() > VISITED_MAX {
                return Verdict::Undecided;
            }
            path.push(Frame { taken: Some(next), state, untried: self.candidates() });
            if path.len() > longest.0 {
                longest = (path.len(), path.iter().filter_map(|frame| Some((frame.taken?, frame.state))).collect());
            }
        }
        Verdict::Linearizable
    }

    /// The operations that may come next, best last: those of unknown outcome are tried after the others.
    fn candidates(&self) -> Vec<usize> {
        let untaken = || (0..self.operations.len()).filter(|at| !self.is_taken(*at));
        let horizon_us =
            untaken().filter_map(|at| Some(self.operations[at].completed?.at_us)).min().unwrap_or(u64::MAX);
        let mut candidates: Vec<usize> =
            untaken().take_while(|at| self.operations[*at].invoked_at_us <= horizon_us).collect();
        candidates.sort_by_key(|at| {
            let operation = &self.operations[*at];
            (operation.completed.is_some(), std::cmp::Reverse(operation.completed.map(|completion| completion.at_us)))
        });
        candidates
    }

    fn is_taken(&self, at: usize) -> bool {
        self.taken[at / 64] & (1 << (at % 64)) != 0
    }

    fn take(&mut self, at: usize) {
        self.taken[at / 64] |= 1 << (at % 64);
        self.completed_left -= usize::from(self.operations[at].completed.is_some());
    }

    fn put_back(&mut self, at: usize) {
        self.taken[at / 64] &= !(1 << (at % 64));
        self.completed_left += usize::from(self.operations[at].completed.is_some());
    }

    fn explain(&self, longest: &[(usize, State)]) -> String {
        let mut text = String::from("no order of the operations explains their answers; the longest that does:\n");
        for (at, state) in longest.iter().skip(longest.len().saturating_sub(12)) {
            text += &format!("  {}  => {state:?}\n", self.operations[*at]);
        }
        text += "and none of these can follow:\n";
        let taken: HashSet<usize> = longest.iter().map(|(at, _)| *at).collect();
        for at in (0..self.operations.len()).filter(|at| !taken.contains(at)).take(12) {
            text += &format!("  {}\n", self.operations[at]);
        }
        text
    }
}

mod tests {
    use super::*;
    use crate::history::{Answer, Attributes, Completion};

    fn item(written: u64, count: u64) -> State {
        Some(Attributes { written: (written != 0).then_some(written), count })
    }

    fn done(client: usize, from_us: u64, to_us: u64, action: Action, answer: Answer) -> Operation {
        Operation { client, action, invoked_at_us: from_us, completed: Some(Completion { at_us: to_us, answer }) }
    }

    fn unknown(client: usize, from_us: u64, action: Action) -> Operation {
        Operation { client, action, invoked_at_us: from_us, completed: None }
    }

    fn put(client: usize, from_us: u64, to_us: u64, written: u64, replaced: State) -> Operation {
        done(client, from_us, to_us, Action::Put { written }, Answer::Item(replaced))
    }

    fn get(client: usize, from_us: u64, to_us: u64, found: State) -> Operation {
        done(client, from_us, to_us, Action::Get, Answer::Item(found))
    }

    fn add(client: usize, from_us: u64, to_us: u64, made: u64) -> Operation {
        done(client, from_us, to_us, Action::Add { amount: 1 }, Answer::Item(item(0, made)))
    }

    #[track_caller]
    fn assert_good(history: &[Operation]) {
        assert_eq!(check(history), Verdict::Linearizable);
    }

    #[track_caller]
    fn assert_bad(history: &[Operation]) {
        assert!(matches!(check(history), Verdict::Violated(_)), "a history that can't have been was let through");
    }

    #[test]
    fn an_empty_history_is_linearizable() {
        assert_good(&[]);
    }

    #[test]
    fn a_sequential_history_is_linearizable() {
        assert_good(&[
            get(0, 0, 1, None),
            put(0, 2, 3, 7, None),
            get(0, 4, 5, item(7, 0)),
            done(0, 6, 7, Action::Delete, Answer::Item(item(7, 0))),
            get(0, 8, 9, None),
        ]);
    }

    #[test]
    fn a_read_of_a_value_replaced_before_it_began_is_caught() {
        assert_bad(&[put(0, 0, 1, 7, None), put(0, 2, 3, 8, item(7, 0)), get(1, 4, 5, item(7, 0))]);
    }

    #[test]
    fn a_read_beside_a_write_may_see_it_or_not() {
        assert_good(&[put(0, 0, 10, 7, None), get(1, 1, 5, None)]);
        assert_good(&[put(0, 0, 10, 7, None), get(1, 1, 5, item(7, 0))]);
    }

    #[test]
    fn two_reads_that_go_back_in_time_are_caught() {
        assert_bad(&[put(0, 0, 10, 7, None), get(1, 1, 3, item(7, 0)), get(2, 4, 6, None)]);
    }

    #[test]
    fn a_lost_acknowledged_write_is_caught() {
        assert_bad(&[put(0, 0, 1, 7, None), get(0, 2, 3, None)]);
    }

    #[test]
    fn a_counter_that_rises_twice_for_one_update_is_caught() {
        assert_bad(&[add(0, 0, 1, 1), add(1, 2, 3, 3)]);
        assert_bad(&[add(0, 0, 1, 1), get(1, 2, 3, item(0, 2))]);
    }

    #[test]
    fn two_updates_that_saw_the_same_counter_are_caught() {
        assert_bad(&[add(0, 0, 10, 1), add(1, 0, 10, 1)]);
        assert_good(&[add(0, 0, 10, 1), add(1, 0, 10, 2)]);
    }

    #[test]
    fn a_condition_that_failed_on_what_nobody_had_written_is_caught() {
        let failed = |from_us, to_us| {
            done(1, from_us, to_us, Action::PutIfAbsent { written: 9 }, Answer::ConditionFailed(item(7, 0)))
        };
        assert_bad(&[failed(0, 1), put(0, 2, 3, 7, None)]);
        assert_good(&[failed(0, 3), put(0, 2, 4, 7, None)]);
        // What made it fail has no known outcome: then it must have happened.
        assert_good(&[unknown(0, 0, Action::Put { written: 7 }), failed(1, 2), get(1, 3, 4, item(7, 0))]);
        assert_bad(&[unknown(0, 0, Action::Put { written: 7 }), failed(1, 2), get(1, 3, 4, None)]);
    }

    #[test]
    fn two_conditional_puts_on_one_version_cannot_both_succeed() {
        let swap = |client, written| {
            done(client, 2, 9, Action::PutIfWritten { written, expected: 1 }, Answer::Item(item(1, 0)))
        };
        assert_good(&[put(0, 0, 1, 1, None), swap(0, 2)]);
        assert_bad(&[put(0, 0, 1, 1, None), swap(0, 2), swap(1, 3)]);
    }

    #[test]
    fn an_operation_of_unknown_outcome_may_take_effect_late_or_never() {
        let late = unknown(0, 0, Action::Put { written: 7 });
        assert_good(&[late, get(1, 1, 2, None), get(1, 3, 4, None)]);
        assert_good(&[late, get(1, 1, 2, None), get(1, 100, 101, item(7, 0))]);
        assert_good(&[late, put(1, 5, 6, 8, None), get(1, 8, 9, item(7, 0)), get(1, 10, 11, item(7, 0))]);
    }

    #[test]
    fn an_operation_of_unknown_outcome_takes_effect_once_at_most_and_not_before_it_began() {
        let late = unknown(0, 10, Action::Put { written: 7 });
        assert_bad(&[get(1, 1, 2, item(7, 0)), late]);
        assert_bad(&[late, get(1, 11, 12, item(7, 0)), put(1, 13, 14, 8, item(7, 0)), get(1, 15, 16, item(7, 0))]);
        let once = unknown(0, 0, Action::Add { amount: 1 });
        assert_good(&[once, get(1, 1, 2, item(0, 1))]);
        assert_bad(&[once, get(1, 1, 2, item(0, 2))]);
    }

    #[test]
    fn a_value_nobody_wrote_is_caught() {
        assert_bad(&[put(0, 0, 1, 7, None), get(0, 2, 3, item(8, 0))]);
    }

    /// Histories made by a true register are accepted, and with one answer changed to what no order explains, refused.
    #[test]
    fn random_histories_of_a_true_item_pass_and_with_one_stale_read_fail() {
        use rand::{Rng, SeedableRng};
        for seed in 0..200 {
            let mut random = rand::rngs::StdRng::seed_from_u64(seed);
            let mut state = None;
            let mut history = Vec::new();
            // Each takes effect at `10 * at` and is seen to last from up to 40 before to up to 40 after.
            for at in 10..90_u64 {
                let action = match random.random_range(0..4) {
                    0 => Action::Put { written: at },
                    1 => Action::Add { amount: 1 },
                    2 => Action::PutIfAbsent { written: at },
                    _ => Action::Get,
                };
                let (after, answer) = action.perform(state);
                state = after;
                let (from_us, to_us) = (10 * at - random.random_range(0..40), 10 * at + random.random_range(0..40));
                let mut operation = done(at as usize % 5, from_us, to_us, action, answer);
                if random.random_range(0..12) == 0 {
                    operation.completed = None;
                }
                history.push(operation);
            }
            assert_good(&history);
            history.push(put(0, 2_000, 2_001, 1_000, state));
            history.push(get(0, 2_002, 2_003, state));
            assert_bad(&history);
        }
    }
}
