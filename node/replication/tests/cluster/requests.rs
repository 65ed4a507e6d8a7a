//! A table and the requests for it.

use crate::streamed;
use bytes::Bytes;
use cairn_expression::{Condition, ExpressionKind, Placeholders, Update};
use cairn_model::{
    AttributeValue, Item,
    codec::EncodedItem,
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId, RequestId, TableId},
    index::{IndexProjection, LocalIndex, ProjectionType},
    key::EncodedKey,
    number::Number,
    stream::Streams,
    table::{KeyAttribute, KeySchema, ScalarType, TableDefinition},
};
use cairn_replication::operation::{
    GetRequest, PartitionRequest, RangeRequest, ReturnValues, WriteAction, WriteRequest,
};
use std::ops::Bound;

pub const PARTITION: PartitionId = PartitionId([7; 16]);
pub const TABLE: TableId = TableId([8; 16]);

pub fn node_id(node: usize) -> NodeId {
    NodeId([node as u8 + 1; 16])
}

pub fn member(node: usize, replica: u64) -> Member {
    Member {
        replica_id: ReplicaId(replica),
        node_id: node_id(node),
        zone: format!("zone-{node}"),
        address: format!("node-{node}:7400"),
        role: MemberRole::Voter,
    }
}

/// Voters on nodes 0 to `voters`, with replica ids from 1.
pub fn descriptor(voters: usize) -> PartitionDescriptor {
    let members = (0..voters).map(|node| member(node, node as u64 + 1)).collect();
    PartitionDescriptor::first(PARTITION, TABLE, KeyRange::default(), members)
}

/// With a stream, and two local indexes on `n`, one of whole items and one of keys.
pub fn definition() -> TableDefinition {
    let index = |slot, index_name: &str, projection_type| LocalIndex {
        index_name: index_name.into(),
        slot,
        sort: KeyAttribute { name: "n".into(), scalar_type: ScalarType::N },
        projection: IndexProjection { projection_type, non_key_attributes: Default::default() },
    };
    TableDefinition {
        local_indexes: vec![index(1, "whole", ProjectionType::All), index(2, "keys", ProjectionType::KeysOnly)],
        stream: Some(Streams { current: Some(streamed::STREAM), past: Vec::new() }),
        ..TableDefinition::new(
            "game",
            "users",
            TABLE,
            KeySchema { partition: KeyAttribute { name: "id".into(), scalar_type: ScalarType::S }, sort: None },
        )
    }
}

fn key_attributes(id: &str) -> Item {
    Item::from([("id".to_owned(), AttributeValue::S(id.to_owned()))])
}

pub fn key(id: &str) -> EncodedKey {
    EncodedKey::from_key(&definition().key_schema, &key_attributes(id)).unwrap()
}

pub fn item(id: &str, n: i64) -> Item {
    let mut item = key_attributes(id);
    item.insert("n".to_owned(), AttributeValue::N(Number::from(n)));
    item
}

pub fn request_id(number: u64) -> RequestId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    RequestId(id)
}

fn write(number: u64, id: &str, action: WriteAction) -> WriteRequest {
    WriteRequest {
        request_id: request_id(number),
        key: key(id),
        action,
        condition: None,
        return_values: ReturnValues::None,
        return_item_on_condition_failure: false,
    }
}

/// Requests carry the number from which their request id is made.
pub fn put(number: u64, id: &str, n: i64) -> PartitionRequest {
    put_item(number, id, &item(id, n))
}

pub fn put_item(number: u64, id: &str, item: &Item) -> PartitionRequest {
    PartitionRequest::Write(write(number, id, WriteAction::Put(EncodedItem::encode(item))))
}

pub fn put_large(number: u64, id: &str, bytes: usize) -> PartitionRequest {
    let mut item = item(id, 0);
    item.insert("blob".to_owned(), AttributeValue::B(Bytes::from(vec![7; bytes])));
    PartitionRequest::Write(write(number, id, WriteAction::Put(EncodedItem::encode(&item))))
}

pub fn delete(number: u64, id: &str) -> PartitionRequest {
    PartitionRequest::Write(write(number, id, WriteAction::Delete))
}

pub fn put_new(number: u64, id: &str, n: i64) -> PartitionRequest {
    let mut placeholders = Placeholders::new(None, None).unwrap();
    let condition = Condition::parse("attribute_not_exists(id)", ExpressionKind::Condition, &mut placeholders).unwrap();
    let put = write(number, id, WriteAction::Put(EncodedItem::encode(&item(id, n))));
    PartitionRequest::Write(WriteRequest { condition: Some(condition), ..put })
}

/// Adds to `n` and asks for what it is then.
pub fn add(number: u64, id: &str, n: i64) -> PartitionRequest {
    let values = Item::from([(":n".to_owned(), AttributeValue::N(Number::from(n)))]);
    let mut placeholders = Placeholders::new(None, Some(values)).unwrap();
    let update = Update::parse("ADD n :n", &mut placeholders).unwrap();
    let update = write(number, id, WriteAction::Update { key_attributes: key_attributes(id), update });
    PartitionRequest::Write(WriteRequest { return_values: ReturnValues::UpdatedNew, ..update })
}

pub fn get(id: &str, consistent: bool) -> PartitionRequest {
    PartitionRequest::Get(GetRequest { keys: vec![key(id)], projection: None, consistent })
}

pub fn scan(limit: Option<u32>, consistent: bool) -> PartitionRequest {
    PartitionRequest::Range(RangeRequest {
        lower: Bound::Unbounded,
        upper: Bound::Unbounded,
        forward: true,
        limit,
        page_bytes: 1 << 20,
        filter: None,
        projection: None,
        count_only: false,
        consistent,
        index: None,
    })
}
