//! The simulation's operations as requests to a partition, and the partition's outcomes as the answers they stand for.

use crate::history::{Action, Answer, Attributes, State};
use cairn_expression::{Condition, ExpressionKind, Placeholders, Update};
use cairn_model::{
    AttributeValue, ErrorKind, Item,
    codec::EncodedItem,
    ids::RequestId,
    key::EncodedKey,
    number::Number,
    table::{KeyAttribute, KeySchema, ScalarType},
};
use cairn_replication::operation::{
    GetOutcome, GetRequest, PartitionError, PartitionOutcome, PartitionRequest, RangeRequest, ReturnValues,
    WriteAction, WriteRequest,
};
use std::ops::Bound;

pub fn key_schema() -> KeySchema {
    KeySchema { partition: KeyAttribute { name: "id".into(), scalar_type: ScalarType::N }, sort: None }
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(Number::parse(&value.to_string()).unwrap())
}

fn key_attributes(key: usize) -> Item {
    Item::from([("id".to_owned(), number(key as u64))])
}

fn encoded_key(key: usize) -> EncodedKey {
    EncodedKey::new(&key_schema(), &key_attributes(key)).unwrap()
}

/// What a client asks of a partition.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    Item(usize, Action),
    /// A consistent get of every item.
    EveryItem,
    /// A consistent page that holds every item.
    Range,
}

pub fn encode(asked: Asked, keys: usize, request_id: RequestId) -> PartitionRequest {
    match asked {
        Asked::Item(key, action) => encode_action(key, action, request_id),
        Asked::EveryItem => get((0..keys).map(encoded_key).collect()),
        Asked::Range => PartitionRequest::Range(RangeRequest {
            lower: Bound::Unbounded,
            upper: Bound::Unbounded,
            forward: true,
            limit: None,
            page_bytes: 1 << 20,
            filter: None,
            projection: None,
            count_only: false,
            consistent: true,
            index: None,
        }),
    }
}

fn get(keys: Vec<EncodedKey>) -> PartitionRequest {
    PartitionRequest::Get(GetRequest { keys, projection: None, consistent: true })
}

fn encode_action(key: usize, action: Action, request_id: RequestId) -> PartitionRequest {
    let put = |written| {
        let mut item = key_attributes(key);
        item.insert("written".into(), number(written));
        WriteAction::Put(EncodedItem::encode(&item))
    };
    let write = |action, condition: Option<(&str, Option<u64>)>, return_values| {
        PartitionRequest::Write(WriteRequest {
            request_id,
            key: encoded_key(key),
            action,
            condition: condition.map(|(text, expected)| {
                let values = expected.map(|expected| Item::from([(":expected".to_owned(), number(expected))]));
                let mut placeholders = Placeholders::new(None, values).unwrap();
                Condition::parse(text, ExpressionKind::Condition, &mut placeholders).unwrap()
            }),
            return_values,
            return_item_on_condition_failure: true,
        })
    };
    match action {
        Action::Put { written } => write(put(written), None, ReturnValues::AllOld),
        Action::PutIfAbsent { written } => {
            write(put(written), Some(("attribute_not_exists(id)", None)), ReturnValues::AllOld)
        }
        Action::PutIfWritten { written, expected } => {
            write(put(written), Some(("written = :expected", Some(expected))), ReturnValues::AllOld)
        }
        Action::Add { amount } => {
            let mut placeholders =
                Placeholders::new(None, Some(Item::from([(":amount".to_owned(), number(amount))]))).unwrap();
            let update = Update::parse("ADD raised :amount", &mut placeholders).unwrap();
            let update = WriteAction::Update { key_attributes: key_attributes(key), update };
            write(update, None, ReturnValues::AllNew)
        }
        Action::Delete => write(WriteAction::Delete, None, ReturnValues::AllOld),
        Action::Get => get(vec![encoded_key(key)]),
    }
}

/// What the answer says of each item that was asked for: its key, the operation on it, and what it was answered.
pub fn decode(
    asked: Asked,
    keys: usize,
    result: &Result<PartitionOutcome, PartitionError>,
) -> Vec<(usize, Action, Answer)> {
    match (asked, result) {
        (Asked::Item(key, action), Ok(PartitionOutcome::Write(write))) => {
            vec![(key, action, Answer::Item(write.attributes.as_ref().and_then(decode_item)))]
        }
        (Asked::Item(key, action), Err(PartitionError::Service(error))) => {
            assert_eq!(error.kind, ErrorKind::ConditionalCheckFailedException, "{error}");
            vec![(key, action, Answer::ConditionFailed(error.item.as_ref().and_then(state)))]
        }
        (Asked::Item(key, action @ Action::Get), Ok(PartitionOutcome::Get(get))) => {
            vec![(key, action, Answer::Item(found(get, 0)))]
        }
        (Asked::EveryItem, Ok(PartitionOutcome::Get(get))) => {
            (0..keys).map(|key| (key, Action::Get, Answer::Item(found(get, key)))).collect()
        }
        (Asked::Range, Ok(PartitionOutcome::Range(page))) => {
            assert_eq!(page.last_evaluated_key, None, "a page of {keys} small items ended early");
            let items: Vec<Item> = page.items.iter().map(|item| item.decode().unwrap()).collect();
            let found = |key| items.iter().find(|item| item.get("id") == Some(&number(key as u64)));
            (0..keys).map(|key| (key, Action::Get, Answer::Item(found(key).and_then(state)))).collect()
        }
        (asked, result) => panic!("{asked:?} was answered {result:?}"),
    }
}

fn found(get: &GetOutcome, at: usize) -> State {
    get.items[at].as_ref().and_then(|(item, _)| decode_item(item))
}

fn decode_item(item: &EncodedItem) -> State {
    state(&item.decode().unwrap())
}

/// What of an item the histories are about.
fn state(item: &Item) -> State {
    let value = |name| match item.get(name) {
        Some(AttributeValue::N(number)) => Some(number.to_string().parse().unwrap()),
        Some(other) => panic!("attribute {name} is {other:?}"),
        None => None,
    };
    Some(Attributes { written: value("written"), count: value("raised").unwrap_or(0) })
}
