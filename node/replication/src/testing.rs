//! Small tables and partitions for this package's unit tests.

use crate::operation::{ReturnValues, WriteAction, WriteRequest};
use cairn_expression::{Condition, ExpressionKind, Placeholders, Update};
use cairn_model::{
    AttributeValue, Item,
    codec::EncodedItem,
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId, RequestId, TableId},
    key::EncodedKey,
    number::Number,
    table::{KeyAttribute, KeySchema, ScalarType, TableDefinition},
};

/// A partition with voters 1 to `voters`, on the nodes of the same numbers.
pub(crate) fn descriptor(voters: u8) -> PartitionDescriptor {
    let members = (1..=voters)
        .map(|number| Member {
            replica_id: ReplicaId(number.into()),
            node_id: NodeId([number; 16]),
            zone: format!("zone-{number}"),
            address: format!("node-{number}:7400"),
            role: MemberRole::Voter,
        })
        .collect();
    PartitionDescriptor::first(PartitionId([7; 16]), TableId([8; 16]), KeyRange::default(), members)
}

pub(crate) fn definition() -> TableDefinition {
    TableDefinition::new(
        "game",
        "users",
        TableId([8; 16]),
        KeySchema { partition: KeyAttribute { name: "id".into(), scalar_type: ScalarType::S }, sort: None },
    )
}

pub(crate) fn key_attributes(id: &str) -> Item {
    Item::from([("id".to_owned(), AttributeValue::S(id.to_owned()))])
}

pub(crate) fn key(id: &str) -> EncodedKey {
    EncodedKey::from_key(&definition().key_schema, &key_attributes(id)).unwrap()
}

/// An item with a key and the number `n`.
pub(crate) fn item(id: &str, n: i64) -> Item {
    let mut item = key_attributes(id);
    item.insert("n".to_owned(), AttributeValue::N(Number::from(n)));
    item
}

pub(crate) fn condition(text: &str, values: Item) -> Condition {
    let mut placeholders = Placeholders::new(None, (!values.is_empty()).then_some(values)).unwrap();
    Condition::parse(text, ExpressionKind::Condition, &mut placeholders).unwrap()
}

pub(crate) fn number(name: &str, n: i64) -> Item {
    Item::from([(name.to_owned(), AttributeValue::N(Number::from(n)))])
}

fn write(request: u8, id: &str, action: WriteAction) -> WriteRequest {
    WriteRequest {
        request_id: RequestId([request; 16]),
        key: key(id),
        action,
        condition: None,
        return_values: ReturnValues::None,
        return_item_on_condition_failure: false,
    }
}

pub(crate) fn put(request: u8, id: &str, n: i64) -> WriteRequest {
    write(request, id, WriteAction::Put(EncodedItem::encode(&item(id, n))))
}

pub(crate) fn put_new(request: u8, id: &str, n: i64) -> WriteRequest {
    WriteRequest { condition: Some(condition("attribute_not_exists(id)", Item::new())), ..put(request, id, n) }
}

pub(crate) fn delete(request: u8, id: &str) -> WriteRequest {
    write(request, id, WriteAction::Delete)
}

/// Adds to the number `n`, and asks for the new value.
pub(crate) fn add(request: u8, id: &str, n: i64) -> WriteRequest {
    let mut placeholders = Placeholders::new(None, Some(number(":n", n))).unwrap();
    let update = Update::parse("ADD n :n", &mut placeholders).unwrap();
    WriteRequest {
        return_values: ReturnValues::UpdatedNew,
        ..write(request, id, WriteAction::Update { key_attributes: key_attributes(id), update })
    }
}
