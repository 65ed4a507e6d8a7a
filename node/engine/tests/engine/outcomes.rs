//! Outcomes are kept within bounds, and the same ones on all replicas.

use crate::support::*;
use cairn_engine::{
    Applied, ApplyBatch, Engine, MemoryStore, OUTCOME_AGE_MS_MAX, OUTCOME_BYTES_MAX, OUTCOME_COUNT_MAX, Outcome,
};

/// Applies outcomes as entries from 1 on, `run` of them in a batch.
fn apply(engine: &Engine<MemoryStore>, storage_id: u64, outcomes: &[Outcome], run: usize) {
    let mut index = 0;
    for outcomes in outcomes.chunks(run) {
        index += outcomes.len() as u64;
        let mut applied = applied(index);
        applied.entry_time = outcomes.last().unwrap().entry_time;
        let batch = ApplyBatch { outcomes: outcomes.to_vec(), applied, ..ApplyBatch::default() };
        engine.apply(storage_id, batch).unwrap();
    }
}

fn kept(engine: &Engine<MemoryStore>, storage_id: u64, requests: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    requests.filter(|n| engine.outcome(storage_id, &request(*n)).unwrap().is_some()).collect()
}

/// What is kept when entries are applied one by one, and in runs: it must be the same.
fn kept_however_batched(outcomes: &[Outcome]) -> Vec<u64> {
    let mut all = Vec::new();
    for run in [1, 2, 7, outcomes.len()] {
        let (_, engine) = memory();
        let storage = create(&engine, 1, 1).storage_id;
        apply(&engine, storage, outcomes, run);
        all.push(kept(&engine, storage, 0..=outcomes.len() as u64));
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "replicas would differ");
    all.swap_remove(0)
}

#[test]
fn outcomes_go_when_they_are_too_old() {
    let age = OUTCOME_AGE_MS_MAX;
    let times = [0, 10, 20, age, age + 5, age + 10, age + 25];
    let outcomes: Vec<Outcome> = (1..).zip(times).map(|(n, time)| outcome(n, time, "x")).collect();
    assert_eq!(kept_however_batched(&outcomes), [4, 5, 6, 7]);
    assert_eq!(kept_however_batched(&outcomes[..6]), [2, 3, 4, 5, 6]);
}

#[test]
fn outcomes_go_when_they_are_too_large() {
    let half = vec![0; OUTCOME_BYTES_MAX as usize / 2 - 100];
    let outcomes: Vec<Outcome> = (1..=5).map(|n| outcome(n, n, half.clone())).collect();
    assert_eq!(kept_however_batched(&outcomes), [4, 5]);
    let mut outcomes = outcomes;
    outcomes.push(outcome(6, 6, vec![0; OUTCOME_BYTES_MAX as usize]));
    assert_eq!(kept_however_batched(&outcomes), [0; 0], "one that is too large alone takes all others with it");
    outcomes.push(outcome(7, 7, "small"));
    assert_eq!(kept_however_batched(&outcomes), [7]);
}

#[test]
fn outcomes_go_when_they_are_too_many() {
    let (_, engine) = memory();
    let storage = create(&engine, 1, 1).storage_id;
    let count = OUTCOME_COUNT_MAX + 100;
    let outcomes: Vec<Outcome> = (1..=count).map(|n| outcome(n, n, "x")).collect();
    apply(&engine, storage, &outcomes, 1000);
    let kept = kept(&engine, storage, 1..=count);
    assert_eq!((kept.len() as u64, kept[0]), (OUTCOME_COUNT_MAX, 101));
}

#[test]
fn outcomes_of_one_entry_go_together() {
    let age = OUTCOME_AGE_MS_MAX;
    let outcomes = [outcome(1, 0, "x"), outcome(2, 0, "x"), outcome(3, 5, "x"), outcome(4, 5, "x")];
    let (_, engine) = memory();
    let storage = create(&engine, 1, 1).storage_id;
    apply(&engine, storage, &outcomes, 2);
    assert_eq!(kept(&engine, storage, 1..=9), [1, 2, 3, 4]);
    let next = outcome(5, age + 1, "x");
    let applied = Applied { entry_time: next.entry_time, ..applied(5) };
    let batch = ApplyBatch { outcomes: vec![next], applied, ..ApplyBatch::default() };
    engine.apply(storage, batch).unwrap();
    assert_eq!(kept(&engine, storage, 1..=9), [3, 4, 5]);
}

#[test]
fn what_is_known_of_outcomes_is_the_same_after_it_was_forgotten_and_after_a_start() {
    let (store, engine) = memory();
    let storage = create(&engine, 1, 1).storage_id;
    let times = [0, 0, 10, 20, 20, OUTCOME_AGE_MS_MAX, OUTCOME_AGE_MS_MAX + 15];
    let outcomes: Vec<Outcome> = (1..).zip(times).map(|(n, time)| outcome(n, time, format!("outcome {n}"))).collect();
    let mut index = 0;
    for of_entry in outcomes.chunk_by(|one, next| one.entry_time == next.entry_time) {
        index += 1;
        let applied = Applied { entry_time: of_entry[0].entry_time, ..applied(index) };
        engine.apply(storage, ApplyBatch { outcomes: of_entry.to_vec(), applied, ..ApplyBatch::default() }).unwrap();
        let known = kept(&engine, storage, 0..=9);
        assert_eq!(kept(&Engine::open(store.clone()).unwrap(), storage, 0..=9), known);
        if index % 2 == 0 {
            (0..100).for_each(|_| engine.rest());
        }
    }
    assert_eq!(kept(&engine, storage, 0..=9), [4, 5, 6, 7]);
    assert_eq!(engine.outcome(storage, &request(5)).unwrap().unwrap(), "outcome 5");
}

#[test]
fn a_request_id_that_comes_again_keeps_its_last_outcome() {
    let age = OUTCOME_AGE_MS_MAX;
    let outcomes =
        [outcome(1, 0, "first"), outcome(2, 1, "x"), outcome(1, age - 1, "second"), outcome(3, age + 1, "x")];
    for run in [1, 2, 3, 4] {
        let (_, engine) = memory();
        let storage = create(&engine, 1, 1).storage_id;
        apply(&engine, storage, &outcomes, run);
        assert_eq!(engine.outcome(storage, &request(1)).unwrap().unwrap(), "second", "{run}");
    }
}
