//! Transactions of many clients at once, on the true partitions, while messages are lost and come twice, processes crash
//! and coordinators die between any two steps: the history must be serializable, nothing may stay locked, the streams have each
//! change once, and tables that are restored as of one time agree on every transaction.
//!
//! `CAIRN_SEED=n` replays one seed; `CAIRN_SEEDS=n` runs so many.

mod restores;
mod runner;
mod streams;
mod world;

use super::{Coordinator, Finished, recovery};
use crate::Room;
use cairn_history::{Key, Operation};
use cairn_replication::transaction::{TransactAction, TransactGet};
use futures::{FutureExt, future::BoxFuture, task::noop_waker};
use rand::Rng;
use runner::{Runner, Shared, addressed, append, encoded, identity, list_of};
use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
};
use world::World;

const KEYS: usize = 6;
const CLIENTS: usize = 6;
const SEEDS: u64 = 40;
/// Within so many a sabotage must have been noticed.
const SABOTAGED_SEEDS_MAX: u64 = 20;
const ROOM_BYTES: usize = 1 << 20;
const STEPS_MAX: usize = 200_000;
const LEFT_MS: u64 = 20_000;
const LONG_MS: u64 = 20 * 60 * 1_000;
const ROUNDS_MAX: usize = 20;
/// When a table that is not known is gone, and what others did with it is still known.
const GONE_MS: u64 = 11 * 60 * 1_000;

fn poll<T>(future: &mut BoxFuture<'_, T>) -> Option<T> {
    match future.poll_unpin(&mut Context::from_waker(&noop_waker())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Who ends what is left behind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Whoever meets it, soon.
    MetSoon,
    /// Whoever meets it, when all that has ended may be forgotten.
    MetLate,
    /// Whoever looks for it, as late.
    LookedFor,
}

impl Ending {
    fn of(seed: u64) -> Self {
        match seed % 3 {
            0 => Self::MetSoon,
            1 => Self::MetLate,
            _ => Self::LookedFor,
        }
    }
}

/// What happened under this seed, or what must not have.
fn run(seed: u64, sabotage: bool) -> Result<world::Tally, String> {
    let world = World::new(seed);
    world.0.lock().sabotage = sabotage;
    let shared: Arc<Shared> = Arc::default();
    // All are clients of one router.
    let finished: Arc<Finished> = Arc::default();
    let mut started = 0;
    let mut start = || {
        started += 1;
        let client = Arc::new(world.client());
        {
            let random = &mut world.0.lock().random;
            // Most die before they are done: at whatever step that is.
            *client.fuse.lock() = random.random_ratio(3, 4).then(|| random.random_range(1..60));
        }
        let runner = Runner {
            number: started,
            world: world.clone(),
            client: client.clone(),
            shared: shared.clone(),
            room: Room::within(ROOM_BYTES),
            finished: finished.clone(),
        };
        (started, client, runner.run().boxed())
    };
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| start()).collect();
    let mut starts_left = 4 * CLIENTS;
    for _ in 0..STEPS_MAX {
        if clients.is_empty() {
            break;
        }
        world.pass();
        let at = world.0.lock().random.random_range(0..clients.len());
        let (number, client, future) = &mut clients[at];
        let is_over = poll(future).is_some();
        let is_dead = client.is_dead();
        if is_dead {
            shared.died(*number);
        }
        if is_over || is_dead {
            drop(clients.swap_remove(at));
            world.0.lock().tally.deaths += u64::from(is_dead);
            if starts_left > 0 {
                starts_left -= 1;
                clients.push(start());
            }
        }
    }
    if !clients.is_empty() {
        return Err("clients are still at work".into());
    }
    // The last die in the middle of it, and nobody asks again for what they did.
    for _ in 0..CLIENTS {
        let (_, client, mut future) = start();
        *client.fuse.lock() = Some(world.0.lock().random.random_range(2..20));
        while !client.is_dead() && poll(&mut future).is_none() {
            world.pass();
        }
    }
    world.calm();
    world.wait(LEFT_MS);
    world.0.lock().tally.left += world.left_transactions().len() as u64;
    let who_ends = Ending::of(seed);
    if who_ends != Ending::MetSoon {
        world.wait(LONG_MS);
    }
    let runner = Runner {
        number: 0,
        world: world.clone(),
        client: Arc::new(world.client()),
        shared: shared.clone(),
        room: Room::within(ROOM_BYTES),
        finished: finished.clone(),
    };
    let mut ending = async {
        if who_ends == Ending::LookedFor {
            for _ in 0..ROUNDS_MAX {
                if world.left_transactions().is_empty() {
                    break;
                }
                recovery::end_those_left(&*runner.client, &world, &world, &finished).await;
                world.wait(1_000);
            }
            if !world.left_transactions().is_empty() {
                return Err(format!("{:?} are left behind", world.left_transactions()));
            }
        }
        // Whatever was left locked is resolved by who comes now, and all can be written.
        for key in 0..KEYS {
            let operation = runner.begin();
            let of = operation.number;
            let actions = [addressed(key, TransactAction::Write(append(key, of)))];
            let written = runner.coordinator().write(&actions, identity(&world)).await;
            if let Err(error) = &written {
                return Err(format!("item {key} stays locked: {error}"));
            }
            let operation = Operation { appends: vec![key], ..operation };
            let at = runner.note(&operation);
            runner.end(at, operation, Some(true));
        }
        let gets: Vec<_> =
            (0..KEYS).map(|key| addressed(key, TransactGet { key: encoded(key), projection: None })).collect();
        runner.coordinator().read(&gets).await.map_err(|error| error.to_string())
    }
    .boxed();
    let items = loop {
        world.pass();
        if let Some(items) = poll(&mut ending) {
            break items?;
        }
    };
    let lists = items.into_iter().map(|got| list_of(got.map(|(item, _)| item.decode().unwrap()).as_ref()));
    let lists: BTreeMap<Key, Vec<u32>> = lists.enumerate().collect();
    cairn_history::check(&shared.history.lock(), &lists)?;
    streams::check(&world, &lists)?;
    restores::check(&world, &shared.history.lock(), &lists)?;
    let tally = world.0.lock().tally;
    Ok(tally)
}

#[test]
fn whatever_fails_transactions_are_serializable_and_leave_nothing_locked() {
    let variable = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match (variable("CAIRN_SEED"), variable("CAIRN_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(SEEDS),
    };
    let mut all = world::Tally::default();
    for seed in seeds.clone() {
        let tally = run(seed, false).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        all.add(&tally);
    }
    println!("seeds {seeds:?} passed: {all:?}");
    if seeds.end - seeds.start >= SEEDS {
        assert!(all.has_all(), "what never happens tests nothing: {all:?}");
    }
}

#[test]
fn one_seed_replays_one_schedule() {
    let run = || run(3, false).map(|tally| format!("{tally:?}"));
    assert_eq!(run(), run());
}

#[test]
fn what_both_sides_wait_for_is_ended_once() {
    let (world, finished, room) = (World::new(1), Finished::default(), Room::within(ROOM_BYTES));
    world.calm();
    let client = world.client();
    // It dies when the primary has committed it, before the other is told.
    *client.fuse.lock() = Some(5);
    let coordinator = Coordinator {
        partitions: &client,
        catalog: &world,
        environment: &world,
        account: "game",
        room: &room,
        finished: &finished,
    };
    let actions = [0, 1].map(|key| addressed(key, TransactAction::Write(append(key, 1))));
    let mut writing = coordinator.write(&actions, identity(&world)).boxed();
    while !client.is_dead() {
        assert!(poll(&mut writing).is_none());
        world.pass();
    }
    world.wait(LEFT_MS);
    assert_eq!(world.left_transactions().len(), 2);
    let client = world.client();
    // One asks the primary, tells the other, tells the primary, and hears an answer each time.
    *client.fuse.lock() = Some(7);
    let mut ending = recovery::end_those_left(&client, &world, &world, &finished).boxed();
    while poll(&mut ending).is_none() {
        assert!(!client.is_dead(), "more is asked than one needs to");
        world.pass();
    }
    world.wait(LEFT_MS);
    assert_eq!(world.left_transactions(), []);
}

/// Nobody is left who can say that it was committed but those who have applied it.
#[test]
fn what_some_have_applied_is_applied_by_all_when_the_table_that_committed_it_is_deleted() {
    let mut halves = 0;
    for seed in 0..60 {
        let (world, finished, room) = (World::new(seed), Finished::default(), Room::within(ROOM_BYTES));
        world.calm();
        let client = world.client();
        // It dies when the primary has committed it, while the two others are told.
        *client.fuse.lock() = Some(8);
        let coordinator = Coordinator {
            partitions: &client,
            catalog: &world,
            environment: &world,
            account: "game",
            room: &room,
            finished: &finished,
        };
        let actions = [0, 1, 2].map(|key| addressed(key, TransactAction::Write(append(key, 1))));
        let mut writing = coordinator.write(&actions, identity(&world)).boxed();
        while !client.is_dead() && poll(&mut writing).is_none() {
            world.pass();
        }
        drop(writing);
        world.0.lock().deleted = Some(0);
        let is_half = world.there(1) != world.there(2);
        halves += usize::from(is_half);
        world.wait(GONE_MS);
        let client = world.client();
        let mut ending = recovery::end_those_left(&client, &world, &world, &finished).boxed();
        while poll(&mut ending).is_none() {
            world.pass();
        }
        drop(ending);
        world.wait(LEFT_MS);
        assert_eq!(world.left_transactions(), [], "seed {seed}");
        assert_eq!(world.there(1), world.there(2), "seed {seed}");
        assert!(!is_half || world.there(1), "seed {seed}: what was applied stays");
    }
    assert!(halves > 0, "what never happens tests nothing");
}

#[test]
fn a_table_that_becomes_known_while_it_is_looked_for_is_not_gone() {
    let (world, finished, room) = (World::new(1), Finished::default(), Room::within(ROOM_BYTES));
    world.calm();
    let client = world.client();
    // It dies when the primary has committed it, before the others are told.
    *client.fuse.lock() = Some(7);
    let coordinator = Coordinator {
        partitions: &client,
        catalog: &world,
        environment: &world,
        account: "game",
        room: &room,
        finished: &finished,
    };
    let actions = [0, 1, 2].map(|key| addressed(key, TransactAction::Write(append(key, 1))));
    let mut writing = coordinator.write(&actions, identity(&world)).boxed();
    while !client.is_dead() {
        assert!(poll(&mut writing).is_none());
        world.pass();
    }
    drop(writing);
    world.wait(GONE_MS);
    assert_eq!([0, 1, 2].map(|table| world.there(table)), [true, false, false]);
    world.0.lock().learning = true;
    for _ in 0..2 {
        let client = world.client();
        let mut ending = recovery::end_those_left(&client, &world, &world, &finished).boxed();
        while poll(&mut ending).is_none() {
            world.pass();
        }
    }
    world.wait(LEFT_MS);
    assert_eq!(world.left_transactions(), []);
    assert_eq!([0, 1, 2].map(|table| world.there(table)), [true; 3]);
}

#[test]
fn reads_that_look_only_at_each_item_are_noticed() {
    let noticed = |seed| run(seed, true).is_err_and(|error| error.contains("not serializable"));
    assert!((0..SABOTAGED_SEEDS_MAX).any(noticed));
}
