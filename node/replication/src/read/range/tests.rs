use super::*;
use crate::testing;
use cairn_engine::{Applied, ApplyBatch, ItemWrite, MemoryStore, ReplicaRecord};
use cairn_expression::{Condition, Placeholders, Projection};
use cairn_model::{
    AttributeValue,
    descriptor::KeyRange,
    ids::{PartitionId, ReplicaId},
    key::{KeyBounds, SortCondition, sort_bounds},
    number::Number,
    table::{KeyAttribute, ScalarType},
    time::Timestamp,
};

/// A table with a sort key `at`.
struct Table {
    engine: Engine<MemoryStore>,
    storage_id: u64,
    schema: KeySchema,
}

fn sort_key(at: i64) -> AttributeValue {
    AttributeValue::N(Number::from(at))
}

fn partition_key(id: &str) -> AttributeValue {
    AttributeValue::S(id.to_owned())
}

/// The bounds of one item.
fn bounds(id: &str, at: i64) -> KeyBounds {
    sort_bounds(&partition_key(id), Some(&SortCondition::Equal(sort_key(at)))).unwrap()
}

impl Table {
    fn of(keys: &[(&str, i64)]) -> Self {
        let mut schema = testing::definition().key_schema;
        schema.sort = Some(KeyAttribute { name: "at".into(), scalar_type: ScalarType::N });
        let engine = Engine::open(MemoryStore::default()).unwrap();
        let ids = engine.allocate_ids().unwrap();
        let record = ReplicaRecord {
            partition_id: PartitionId([7; 16]),
            replica_id: ReplicaId(1),
            storage_id: ids.storage_id,
            log_id: ids.log_id,
            descriptor: testing::descriptor(1),
            definition: testing::definition(),
            applied: Applied::default(),
            damaged: None,
        };
        engine.create_replica(record).unwrap();
        let put = |(id, at): &(&str, i64)| {
            let mut item = testing::item(id, *at);
            item.insert("at".into(), sort_key(*at));
            let key = EncodedKey::new(&schema, &item).unwrap();
            let version =
                StoredVersion { version_time: Timestamp(1), origin: Bytes::new(), item: EncodedItem::encode(&item) };
            ItemWrite { key, value: Some(version.encode()) }
        };
        let items = keys.iter().map(put).collect();
        let applied = Applied { index: 1, ..Applied::default() };
        engine.apply(ids.storage_id, ApplyBatch { items, applied, ..ApplyBatch::default() }).unwrap();
        Self { engine, storage_id: ids.storage_id, schema }
    }

    fn place<'a>(&'a self, range: &'a KeyRange) -> ReadPlace<'a> {
        ReadPlace {
            storage_id: self.storage_id,
            schema: &self.schema,
            range,
            partition: PartitionId([7; 16]),
            streams: None,
            local_indexes: &[],
            index_of: None,
        }
    }

    /// What a request for one key is answered, which is what going through its range gives.
    fn read(&self, range_of_partition: &KeyRange, request: &RangeRequest) -> RangeOutcome {
        assert!(only_key(&request.lower, &request.upper, &self.schema).is_some(), "{request:?}");
        let place = self.place(range_of_partition);
        let outcome = range(&self.engine, place, request).unwrap();
        let bounds = (
            higher_lower(&request.lower, &range_of_partition.start),
            lower_upper(&request.upper, &range_of_partition.end),
        );
        assert_eq!(outcome, of_table(&self.engine, place, bounds, Page::new(request)).unwrap(), "{request:?}");
        outcome
    }
}

fn request((lower, upper): KeyBounds) -> RangeRequest {
    RangeRequest {
        lower,
        upper,
        forward: true,
        limit: None,
        page_bytes: 1 << 20,
        filter: None,
        projection: None,
        count_only: false,
        consistent: true,
        index: None,
    }
}

fn filter(n: i64) -> Option<Condition> {
    Some(testing::condition("n = :n", testing::number(":n", n)))
}

fn keys() -> Option<Projection> {
    Some(Projection::parse("id", &mut Placeholders::new(None, None).unwrap()).unwrap())
}

#[test]
fn a_range_of_one_key_is_answered_as_if_it_were_gone_through() {
    let table = Table::of(&[("a", 1), ("a", 2), ("a", 3), ("b", 2)]);
    let whole = KeyRange::default();
    for (id, at) in [("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 1), ("b", 2), ("c", 2)] {
        let is_there = matches!((id, at), ("a", 1..=3) | ("b", 2));
        for limit in [None, Some(1), Some(2)] {
            for page_bytes in [1, 1 << 20] {
                for forward in [true, false] {
                    for (filter, passes) in [(None, true), (filter(at), true), (filter(99), false)] {
                        for (projection, count_only) in [(None, false), (None, true), (keys(), false)] {
                            let filter = filter.clone();
                            let asked = request(bounds(id, at));
                            let asked =
                                RangeRequest { limit, page_bytes, forward, filter, projection, count_only, ..asked };
                            let outcome = table.read(&whole, &asked);
                            assert_eq!(outcome.scanned_count, u32::from(is_there));
                            assert_eq!(outcome.count, u32::from(is_there && passes));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_page_that_its_only_item_fills_names_it_as_the_last_evaluated() {
    let table = Table::of(&[("a", 1)]);
    let whole = KeyRange::default();
    let key = Item::from([("id".to_owned(), partition_key("a")), ("at".to_owned(), sort_key(1))]);
    let last = |request| table.read(&whole, &request).last_evaluated_key;
    assert_eq!(last(request(bounds("a", 1))), None);
    assert_eq!(last(RangeRequest { limit: Some(1), ..request(bounds("a", 1)) }), Some(key.clone()));
    assert_eq!(last(RangeRequest { limit: Some(1), filter: filter(99), ..request(bounds("a", 1)) }), Some(key.clone()));
    assert_eq!(last(RangeRequest { page_bytes: 1, ..request(bounds("a", 1)) }), Some(key));
    assert_eq!(last(RangeRequest { limit: Some(1), ..request(bounds("a", 2)) }), None, "there is no item");
}

#[test]
fn a_key_of_another_partition_is_not_read() {
    let table = Table::of(&[("a", 1)]);
    let Bound::Included(key) = bounds("a", 1).0 else { panic!("no lower bound") };
    let below = KeyRange { start: Bytes::new(), end: key.clone() };
    let from = KeyRange { start: key, end: Bytes::new() };
    assert_eq!(table.read(&below, &request(bounds("a", 1))).count, 0);
    assert_eq!(table.read(&from, &request(bounds("a", 1))).count, 1);
}

#[test]
fn a_partition_key_alone_finds_all_of_its_items_where_there_is_a_sort_key() {
    let table = Table::of(&[("a", 1), ("a", 2), ("b", 2)]);
    let whole = KeyRange::default();
    let asked = request(sort_bounds(&partition_key("a"), None).unwrap());
    assert_eq!(range(&table.engine, table.place(&whole), &asked).unwrap().count, 2);
}
