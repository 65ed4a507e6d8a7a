//! Transactions of many clients at once, on the true partitions, while messages are lost and come twice, processes crash
//! and coordinators die between any two steps: the history must be serializable, and nothing may stay locked.
//!
//! `CAIRN_SEED=n` replays one seed; `CAIRN_SEEDS=n` runs so many.

mod world;

use super::{Addressed, Coordinator, Finished, Identity, recovery};
use crate::{Environment, Partitions, Room, RoutingKey};
use cairn_expression::{Condition, ExpressionKind, Placeholders, Update};
use cairn_history::{Key, Operation};
use cairn_model::{AttributeValue, ErrorKind, Item, ServiceError, ids::RequestId, key::EncodedKey, number::Number};
use cairn_replication::{
    operation::{GetRequest, PartitionOutcome, PartitionRequest, ReturnValues, WriteAction, WriteRequest},
    transaction::{ConditionCheck, Idempotency, TransactAction, TransactGet},
};
use futures::{FutureExt, future::BoxFuture, task::noop_waker};
use parking_lot::Mutex;
use rand::{Rng, seq::SliceRandom};
use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
};
use world::{Client, TABLES, World};

const KEYS: usize = 6;
const CLIENTS: usize = 6;
const OPERATIONS_OF_EACH: usize = 25;
const SEEDS: u64 = 40;
/// Within so many a sabotage must have been noticed.
const SABOTAGED_SEEDS_MAX: u64 = 20;
const ROOM_BYTES: usize = 1 << 20;
const STEPS_MAX: usize = 200_000;
const LEFT_MS: u64 = 20_000;
const LONG_MS: u64 = 20 * 60 * 1_000;
const ROUNDS_MAX: usize = 20;

fn key_attributes(key: Key) -> Item {
    Item::from([("id".to_owned(), AttributeValue::S(format!("item-{key}")))])
}

fn encoded(key: Key) -> EncodedKey {
    EncodedKey::from_key(&world::table(0).definition.key_schema, &key_attributes(key)).unwrap()
}

fn placeholders(values: &[(&str, AttributeValue)]) -> Placeholders {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Placeholders::new(None, Some(values)).unwrap()
}

fn number(number: usize) -> AttributeValue {
    AttributeValue::N(Number::from(number as u64))
}

fn append(key: Key, of: u32) -> WriteRequest {
    let values = [(":none", AttributeValue::L(vec![])), (":one", AttributeValue::L(vec![number(of as usize)]))];
    let text = "SET l = list_append(if_not_exists(l, :none), :one)";
    let update = Update::parse(text, &mut placeholders(&values)).unwrap();
    WriteRequest {
        request_id: RequestId([0; 16]),
        key: encoded(key),
        action: WriteAction::Update { key_attributes: key_attributes(key), update },
        condition: None,
        return_values: ReturnValues::None,
        return_item_on_condition_failure: false,
    }
}

/// That the list has this length.
fn check(key: Key, length: usize) -> TransactAction {
    let (text, values) = match length {
        0 => ("attribute_not_exists(l)", vec![]),
        _ => ("size(l) = :n", vec![(":n", number(length))]),
    };
    let mut placeholders = if values.is_empty() { Placeholders::default() } else { placeholders(&values) };
    let condition = Condition::parse(text, ExpressionKind::Condition, &mut placeholders).unwrap();
    TransactAction::Check(ConditionCheck { key: encoded(key), condition, return_item_on_condition_failure: false })
}

fn list_of(item: Option<&Item>) -> Vec<u32> {
    match item.and_then(|item| item.get("l")) {
        Some(AttributeValue::L(values)) => values
            .iter()
            .map(|value| match value {
                AttributeValue::N(number) => number.to_string().parse().unwrap(),
                other => panic!("{other:?}"),
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn identity(world: &World) -> Identity {
    let idempotency = Idempotency { token: world.unique_id(), parameters: [1; 16] };
    Identity { idempotency, request_id: RequestId(world.unique_id()), is_retry: false }
}

fn addressed<T>(key: Key, what: T) -> Addressed<T> {
    Addressed { table: world::table(key % TABLES), what }
}

/// What all clients have in common.
#[derive(Default)]
struct Shared {
    history: Mutex<Vec<Operation>>,
    last_number: Mutex<u32>,
    /// Transactions that are being asked for, by their place in the history, and by whom.
    asked: Mutex<BTreeMap<usize, (usize, Idempotency)>>,
    /// Those of clients that died.
    orphans: Mutex<Vec<(usize, Idempotency)>>,
}

impl Shared {
    /// What a client leaves behind is others' to ask for again.
    fn died(&self, client: usize) {
        let mut asked = self.asked.lock();
        let left: Vec<usize> = asked.iter().filter(|(_, (of, _))| *of == client).map(|(at, _)| *at).collect();
        self.orphans.lock().extend(left.into_iter().filter_map(|at| Some((at, asked.remove(&at)?.1))));
    }
}

/// What one client does, until it is done or dead.
struct Runner {
    number: usize,
    world: World,
    client: Arc<Client>,
    shared: Arc<Shared>,
    room: Room,
    finished: Arc<Finished>,
}

impl Runner {
    fn coordinator(&self) -> Coordinator<'_> {
        let (partitions, finished) = (&*self.client, &*self.finished);
        let (catalog, environment) = (&self.world, &self.world);
        Coordinator { partitions, catalog, environment, account: "game", room: &self.room, finished }
    }

    fn begin(&self) -> Operation {
        let mut last_number = self.shared.last_number.lock();
        *last_number += 1;
        Operation { number: *last_number, began: self.world.now_ms(), in_real_time: true, ..Operation::default() }
    }

    /// It is in the history from its beginning: what dies is in it too.
    fn note(&self, operation: &Operation) -> usize {
        let mut history = self.shared.history.lock();
        history.push(operation.clone());
        history.len() - 1
    }

    fn end(&self, at: usize, mut operation: Operation, done: Option<bool>) {
        operation.done = done;
        // What is not known may yet be done.
        operation.ended = done.map(|_| self.world.now_ms());
        self.shared.history.lock()[at] = operation;
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut rand::rngs::StdRng) -> T) -> T {
        draw(&mut self.world.0.lock().random)
    }

    fn some_keys(&self, count_max: usize) -> Vec<Key> {
        self.draw(|random| {
            let mut keys: Vec<Key> = (0..KEYS).collect();
            keys.shuffle(random);
            keys.truncate(random.random_range(1..=count_max));
            keys
        })
    }

    async fn run(self) {
        let mut lengths: BTreeMap<Key, usize> = BTreeMap::new();
        for _ in 0..OPERATIONS_OF_EACH {
            let orphan = self.shared.orphans.lock().pop();
            if let Some((at, idempotency)) = orphan {
                let operation = self.shared.history.lock()[at].clone();
                self.ask(at, operation, idempotency, true).await;
                continue;
            }
            match self.draw(|random| random.random_range(0..10)) {
                0..4 => self.transact(&lengths).await,
                4..6 => self.append_one().await,
                6..9 => self.read_some(&mut lengths).await,
                _ => self.read_one().await,
            }
            self.world.yields().await;
        }
    }

    async fn transact(&self, lengths: &BTreeMap<Key, usize>) {
        let mut operation = self.begin();
        operation.appends = self.some_keys(4);
        // Of a list that was read, that it is still as it was: if that holds, it was seen so.
        if operation.appends.len() > 1
            && let Some(length) = lengths.get(&operation.appends[0])
        {
            operation.saw.push((operation.appends.remove(0), *length, None));
        }
        let at = self.note(&operation);
        let idempotency = identity(&self.world).idempotency;
        self.ask(at, operation, idempotency, false).await;
    }

    /// Asks for a transaction, as an SDK does: with the same token until something is known.
    async fn ask(&self, at: usize, operation: Operation, idempotency: Idempotency, is_retry: bool) {
        self.shared.asked.lock().insert(at, (self.number, idempotency));
        let checks = operation.saw.iter().map(|(key, length, _)| addressed(*key, check(*key, *length)));
        let append = |key: &Key| addressed(*key, TransactAction::Write(append(*key, operation.number)));
        let actions: Vec<_> = checks.chain(operation.appends.iter().map(append)).collect();
        let mut identity = Identity { idempotency, is_retry, ..identity(&self.world) };
        let mut result = self.coordinator().write(&actions, identity).await;
        identity.is_retry = true;
        for _ in 0..2 {
            let again = [ErrorKind::InternalServerError, ErrorKind::TransactionInProgressException];
            if !result.as_ref().is_err_and(|error| again.contains(&error.kind)) {
                break;
            }
            result = self.coordinator().write(&actions, identity).await;
        }
        {
            let tally = &mut self.world.0.lock().tally;
            match &result {
                Ok(written) if written.replayed => tally.replays += 1,
                Ok(_) => tally.done += 1,
                Err(error) => {
                    let has = |code| error.cancellation_reasons.iter().any(|reason| reason.code == code);
                    tally.conflicts += u64::from(has("TransactionConflict"));
                    tally.checks_failed += u64::from(has("ConditionalCheckFailed"));
                }
            }
        }
        let done = match done(&result.map(drop)) {
            // Whoever died may have had it done before.
            Some(false) if is_retry => None,
            done => done,
        };
        self.end(at, operation, done);
        self.shared.asked.lock().remove(&at);
    }

    async fn append_one(&self) {
        let mut operation = self.begin();
        let key = self.some_keys(1)[0];
        operation.appends = vec![key];
        let at = self.note(&operation);
        let write = WriteRequest { request_id: RequestId(self.world.unique_id()), ..append(key, operation.number) };
        let table = world::table(key % TABLES);
        let request = PartitionRequest::Write(write);
        let result = self.client.request(&table, RoutingKey(&[]), request.clone(), &self.room).await;
        let result = match result {
            Ok(PartitionOutcome::Locked(met)) => {
                self.world.0.lock().tally.conflicts += 1;
                match self.coordinator().resolve(&met).await {
                    true => self.client.request(&table, RoutingKey(&[]), request, &self.room).await,
                    false => Ok(PartitionOutcome::Locked(met)),
                }
            }
            other => other,
        };
        let result = match result {
            Ok(PartitionOutcome::Locked(_)) => Err(super::conflict()),
            other => other.map(drop),
        };
        self.end(at, operation, done(&result));
    }

    async fn read_some(&self, lengths: &mut BTreeMap<Key, usize>) {
        let mut operation = self.begin();
        let keys = self.some_keys(4);
        let gets: Vec<_> =
            keys.iter().map(|key| addressed(*key, TransactGet { key: encoded(*key), projection: None })).collect();
        let Ok(items) = self.coordinator().read(&gets).await else { return };
        for (key, got) in keys.iter().zip(items) {
            let list = list_of(got.map(|(item, _)| item.decode().unwrap()).as_ref());
            lengths.insert(*key, list.len());
            operation.saw.push((*key, list.len(), Some(list)));
        }
        let at = self.note(&operation);
        self.end(at, operation, Some(true));
    }

    async fn read_one(&self) {
        let mut operation = self.begin();
        operation.in_real_time = false;
        let key = self.some_keys(1)[0];
        let get = GetRequest { keys: vec![encoded(key)], projection: None, consistent: true };
        let table = world::table(key % TABLES);
        let request = PartitionRequest::Get(get);
        let Ok(PartitionOutcome::Get(outcome)) =
            self.client.request(&table, RoutingKey(&[]), request, &self.room).await
        else {
            return;
        };
        let item = outcome.items[0].as_ref().map(|(item, _)| item.decode().unwrap());
        let list = list_of(item.as_ref());
        operation.saw.push((key, list.len(), Some(list)));
        let at = self.note(&operation);
        self.end(at, operation, Some(true));
    }
}

/// Whether it was done, where that is known.
fn done(result: &Result<(), ServiceError>) -> Option<bool> {
    match result {
        Ok(()) => Some(true),
        Err(error) => match error.kind {
            ErrorKind::InternalServerError | ErrorKind::TransactionInProgressException => None,
            _ => Some(false),
        },
    }
}

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

#[test]
fn reads_that_look_only_at_each_item_are_noticed() {
    let noticed = |seed| run(seed, true).is_err_and(|error| error.contains("not serializable"));
    assert!((0..SABOTAGED_SEEDS_MAX).any(noticed));
}
