//! What one client asks for, and what it puts down of it in the history.

use super::{
    KEYS,
    world::{self, Client, TABLES, World},
};
use crate::{
    Environment, Partitions, Room, RoutingKey,
    transactions::{Addressed, Coordinator, Finished, Identity, conflict},
};
use cairn_expression::{Condition, ExpressionKind, Placeholders, Update};
use cairn_history::{Key, Operation};
use cairn_model::{AttributeValue, ErrorKind, Item, ServiceError, ids::RequestId, key::EncodedKey, number::Number};
use cairn_replication::{
    operation::{GetRequest, PartitionOutcome, PartitionRequest, ReturnValues, WriteAction, WriteRequest},
    transaction::{ConditionCheck, Idempotency, TransactAction, TransactGet},
};
use parking_lot::Mutex;
use rand::{Rng, seq::SliceRandom};
use std::{collections::BTreeMap, sync::Arc};

const OPERATIONS_OF_EACH: usize = 25;

pub(super) fn key_attributes(key: Key) -> Item {
    Item::from([("id".to_owned(), AttributeValue::S(format!("item-{key}")))])
}

pub(super) fn encoded(key: Key) -> EncodedKey {
    EncodedKey::from_key(&world::table(0).definition.key_schema, &key_attributes(key)).unwrap()
}

fn placeholders(values: &[(&str, AttributeValue)]) -> Placeholders {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Placeholders::new(None, Some(values)).unwrap()
}

fn number(number: usize) -> AttributeValue {
    AttributeValue::N(Number::from(number as u64))
}

pub(super) fn append(key: Key, of: u32) -> WriteRequest {
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

pub(super) fn list_of(item: Option<&Item>) -> Vec<u32> {
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

pub(super) fn identity(world: &World) -> Identity {
    let idempotency = Idempotency { token: world.unique_id(), parameters: [1; 16] };
    Identity { idempotency, request_id: RequestId(world.unique_id()), is_retry: false }
}

pub(super) fn addressed<T>(key: Key, what: T) -> Addressed<T> {
    Addressed { table: world::table(key % TABLES), what }
}

/// What all clients have in common.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) history: Mutex<Vec<Operation>>,
    last_number: Mutex<u32>,
    /// Transactions that are being asked for, by their place in the history, and by whom.
    asked: Mutex<BTreeMap<usize, (usize, Idempotency)>>,
    /// Those of clients that died.
    orphans: Mutex<Vec<(usize, Idempotency)>>,
}

impl Shared {
    /// What a client leaves behind is others' to ask for again.
    pub(super) fn died(&self, client: usize) {
        let mut asked = self.asked.lock();
        let left: Vec<usize> = asked.iter().filter(|(_, (of, _))| *of == client).map(|(at, _)| *at).collect();
        self.orphans.lock().extend(left.into_iter().filter_map(|at| Some((at, asked.remove(&at)?.1))));
    }
}

/// What one client does, until it is done or dead.
pub(super) struct Runner {
    pub(super) number: usize,
    pub(super) world: World,
    pub(super) client: Arc<Client>,
    pub(super) shared: Arc<Shared>,
    pub(super) room: Room,
    pub(super) finished: Arc<Finished>,
}

impl Runner {
    pub(super) fn coordinator(&self) -> Coordinator<'_> {
        let (partitions, finished) = (&*self.client, &*self.finished);
        let (catalog, environment) = (&self.world, &self.world);
        Coordinator { partitions, catalog, environment, account: "game", room: &self.room, finished }
    }

    pub(super) fn begin(&self) -> Operation {
        let mut last_number = self.shared.last_number.lock();
        *last_number += 1;
        Operation { number: *last_number, began: self.world.now_ms(), in_real_time: true, ..Operation::default() }
    }

    /// It is in the history from its beginning: what dies is in it too.
    pub(super) fn note(&self, operation: &Operation) -> usize {
        let mut history = self.shared.history.lock();
        history.push(operation.clone());
        history.len() - 1
    }

    pub(super) fn end(&self, at: usize, mut operation: Operation, done: Option<bool>) {
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

    pub(super) async fn run(self) {
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
            Ok(PartitionOutcome::Locked(_)) => Err(conflict()),
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
