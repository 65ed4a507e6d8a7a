//! Deterministic simulation of replication: three nodes with the true machine ([`cairn_replication::core`]), the true
//! engine and the true log rules, in one thread under virtual time. Everything follows from a seed.
//!
//! A seed draws its faults (`plan`), which `nemesis` brings about for half a minute of virtual time: messages lost, late,
//! twice, out of order or in one direction only (`network`), processes killed between flushes or inside one (`fuse`: a
//! leader between replicating and its own flush among them), with what was not synced lost (`disk`), machines that stand
//! still, slow disks, clocks that drift and jump (`clock`), volumes and logs that are lost and replaced, followers so far behind
//! that they need a snapshot, definitions that change under the writes. Meanwhile clients (`client`) write and read a few
//! items and retry under the same request id while they don't know. Then the faults end, and everything must come to rest.
//!
//! | What must hold | Source | Where it is checked |
//! |---|---|---|
//! | every item's history is linearizable | DESIGN, "A write, from end to end", 5 and "strongly consistent reads"; Raft §8 | `linearizability`, at the end |
//! | an acknowledged write is never lost | DESIGN, "A write…", 5; Raft §5.4 (Leader Completeness) | the same: items are read once more at the end |
//! | a write takes effect once, however often it is retried | DESIGN, "A write…", 7; Raft §8 | the same: counters that clients raise, and answers that tell their value |
//! | what is answered "nothing was done" has no effect | `PartitionError` | the same: such an operation is not in the history |
//! | one leader at most in a term | Raft §5.2 (Election Safety) | `witness`, after every flush |
//! | a node never leads in a term it led before a restart | DESIGN, "Raft and its log" | `witness` |
//! | replicas that have applied the same index hold the same, void entries, outcomes, descriptor and all | DESIGN, "A write…", 3, 4, 6; Raft §5.3 (State Machine Safety) | `witness`, by a digest of all that is stored |
//! | terms and entry times rise along the log, strictly from one entry that is not void to the next | DESIGN, "Time"; Raft §5.3 (Log Matching) | `witness` |
//! | no entry behind a claim is stamped at or below the time it closes, whatever the clocks do | DESIGN, "Time" (closed timestamp) | `witness`, at the end |
//! | a replica's term and applied index never fall while its process lives | Raft §5.1 | `witness` |
//! | torn and lost writes that were not synced are no damage; a lost log is, and a damaged replica neither votes nor serves until it is replaced | DESIGN, "Raft and its log" (Damage) | `verdict`: no other replica may call itself damaged; the histories |
//! | with the faults gone every request is answered, replaced replicas vote and all replicas become alike | liveness, Raft §5.6 | `world`, within `SETTLE_US` |
//!
//! That these checks can fail is tested too: the checker against histories known good and bad, the witness against
//! contradictions, and the whole against deliberate breakage (`sabotage`).
//!
//! `CAIRN_SEED=n` replays one seed and prints what happens in it; `CAIRN_SEEDS=n` runs so many, `CAIRN_SEEDS=a..b` those.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)]

mod client;
mod clock;
mod disk;
mod event;
mod fuse;
mod history;
#[path = "../support/indexed.rs"]
mod indexed;
mod linearizability;
mod nemesis;
mod network;
mod node;
mod operator;
mod plan;
mod request;
mod sabotage;
#[path = "../support/streamed.rs"]
mod streamed;
mod tally;
mod verdict;
mod witness;
mod world;

use sabotage::Sabotage;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tally::Tally;
use world::World;

const SEEDS: u64 = 300;
/// Within this many seeds a sabotage must have been noticed.
const SABOTAGED_SEEDS_MAX: u64 = 60;

fn run(seed: u64, sabotage: Option<Sabotage>, traces: bool) -> Result<Tally, String> {
    catch_unwind(AssertUnwindSafe(|| World::new(seed, sabotage, traces).run()))
        .unwrap_or_else(|panic| Err(panic_text(panic.as_ref())))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    format!("panicked: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without a text"))
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("a seed must be a number, not {text:?}"))
}

/// The seeds to run: `CAIRN_SEEDS` says how many, or from where to before where.
fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("CAIRN_SEEDS") else { return 0..SEEDS };
    match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => 0..number(&text),
    }
}

fn failed(seed: u64, error: &str) -> String {
    format!(
        "seed {seed} failed: {error}\n\nreplay it with\n  \
         CAIRN_SEED={seed} cargo test -p cairn-replication --test simulation whatever_fails -- --nocapture\n"
    )
}

#[test]
fn whatever_fails_histories_are_linearizable_and_the_invariants_hold() {
    if let Ok(seed) = std::env::var("CAIRN_SEED") {
        let seed = number(&seed);
        let tally = run(seed, None, true).unwrap_or_else(|error| panic!("{}", failed(seed, &error)));
        println!("seed {seed} passed: {tally:?}");
        return;
    }
    let seeds = seeds();
    let (next, total, failures) = (AtomicU64::new(seeds.start), Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        break;
                    }
                    match run(seed, None, false) {
                        Ok(tally) => total.lock().unwrap().add(&tally),
                        Err(error) => failures.lock().unwrap().push((seed, error)),
                    }
                }
            });
        }
    });
    let (total, mut failures) = (total.into_inner().unwrap(), failures.into_inner().unwrap());
    failures.sort();
    let failed_seeds: Vec<u64> = failures.iter().map(|(seed, _)| *seed).collect();
    if let Some((seed, error)) = failures.first() {
        panic!("of seeds {seeds:?} these failed: {failed_seeds:?}; the first:\n{}", failed(*seed, error));
    }
    println!("seeds {seeds:?} passed: {total:?}");
    let count = seeds.end - seeds.start;
    if count >= SEEDS {
        assert_eq!(total.never_happened(), Vec::<&str>::new(), "a fault that never happens tests nothing");
        assert!(total.answered > 100 * count, "clients were answered {} times only", total.answered);
    }
}

#[test]
fn one_seed_replays_one_schedule() {
    for seed in [3, 8] {
        assert_eq!(run(seed, None, false).unwrap(), run(seed, None, false).unwrap(), "seed {seed}");
    }
}

#[track_caller]
fn assert_noticed(sabotage: Sabotage) {
    let noticed = (0..SABOTAGED_SEEDS_MAX)
        .find(|seed| run(*seed, Some(sabotage), false).is_err_and(|error| error.contains("is not linearizable")));
    assert!(noticed.is_some(), "{sabotage:?} went unnoticed in {SABOTAGED_SEEDS_MAX} seeds");
}

#[test]
fn reads_from_stale_replicas_are_noticed() {
    assert_noticed(Sabotage::ReadsAreStale);
}

#[test]
fn acknowledging_without_a_quorum_is_noticed() {
    assert_noticed(Sabotage::EveryNodeAlone);
}

#[test]
fn disks_that_lie_about_syncing_are_noticed() {
    assert_noticed(Sabotage::DisksLie);
}

#[test]
fn retries_under_new_request_ids_are_noticed() {
    assert_noticed(Sabotage::RetriesAreNewRequests);
}
