use super::*;
use crate::{
    AttributeValue, TableDefinition,
    arbitrary::{any_bytes, any_number, any_text},
    ids::TableId,
    key::{KeyBounds, SortCondition, key_bounds, key_prefix},
    keys::IndexKeySchema,
    limits::{PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX},
    number::Number,
    table::ScalarType,
};
use proptest::{collection::vec, prelude::*};
use std::{cmp::Ordering, ops::RangeBounds};

fn attribute(name: &str, scalar_type: ScalarType) -> KeyAttribute {
    KeyAttribute { name: name.to_owned(), scalar_type }
}

fn index(sort: ScalarType, projection_type: ProjectionType, included: &[&str]) -> LocalIndex {
    LocalIndex {
        index_name: "by-l".into(),
        slot: 1,
        sort: attribute("l", sort),
        projection: IndexProjection {
            projection_type,
            non_key_attributes: included.iter().map(|name| (*name).to_owned()).collect(),
        },
    }
}

fn global(key_schema: IndexKeySchema) -> GlobalIndex {
    let projection = index(ScalarType::S, ProjectionType::All, &[]).projection;
    let new = NewGlobalIndex {
        index_name: "by-l".into(),
        key_schema,
        projection,
        provisioned_throughput: None,
        on_demand_throughput: None,
        warm_throughput: None,
    };
    new.into_index(TableId([1; 16]), 0)
}

fn schema() -> KeySchema {
    KeySchema { partition: attribute("h", ScalarType::S), sort: Some(attribute("r", ScalarType::B)) }
}

fn item(h: &str, r: &[u8], l: AttributeValue) -> Item {
    let r = AttributeValue::B(r.to_vec().into());
    Item::from([("h".into(), AttributeValue::S(h.into())), ("r".into(), r), ("l".into(), l)])
}

fn in_index(item: &Item, sort: ScalarType) -> (EncodedKey, Bytes) {
    let key = EncodedKey::new(&schema(), item).unwrap();
    let entry = index(sort, ProjectionType::KeysOnly, &[]).entry(&schema(), &key, &EncodedItem::encode(item)).unwrap();
    (key, entry.unwrap().key)
}

fn any_key_text() -> impl Strategy<Value = String> {
    any_text().prop_filter("a key is not empty", |text| !text.is_empty())
}

fn any_key_bytes() -> impl Strategy<Value = Vec<u8>> {
    any_bytes().prop_map(|bytes| bytes.to_vec()).prop_filter("a key is not empty", |bytes| !bytes.is_empty())
}

proptest! {
    /// Of one partition key: by the index's sort key, and of one sort key by the table's.
    #[test]
    fn keys_in_an_index_are_in_the_order_of_its_sort_key_then_of_the_tables(
        h in any_key_text(),
        (r1, r2) in (any_key_bytes(), any_key_bytes()),
        (l1, l2) in (any_number(), any_number()),
    ) {
        let [(_, first), (_, second)] =
            [(&r1, &l1), (&r2, &l2)].map(|(r, l)| in_index(&item(&h, r, AttributeValue::N(*l)), ScalarType::N));
        prop_assert_eq!(first.cmp(&second), l1.cmp(&l2).then(r1.cmp(&r2)));
    }

    #[test]
    fn a_key_in_an_index_leads_back_to_the_items_own(h in any_key_text(), r in any_key_bytes(), l in any_key_text()) {
        let (key, found) = in_index(&item(&h, &r, AttributeValue::S(l)), ScalarType::S);
        prop_assert_eq!(base_key(&found), Ok(key.clone()));
        let partition = EncodedKey::partition_bytes(&key.0).unwrap();
        prop_assert_eq!(&found[..partition], &key.0[..partition], "it lies with its item collection");
    }

    #[test]
    fn the_key_attributes_in_a_global_index_lead_to_the_items_place_in_it(
        h in any_key_text(),
        r in any_key_bytes(),
        l in any_key_text(),
    ) {
        let item = item(&h, &r, AttributeValue::S(l));
        let key = EncodedKey::new(&schema(), &item).unwrap();
        for sort in [None, Some(attribute("r", ScalarType::B))] {
            let index = global(KeySchema { partition: attribute("l", ScalarType::S), sort }.into());
            let place = index.key_of(&key, &EncodedItem::encode(&item)).unwrap().unwrap();
            let attributes = place.decode_in_global_index(index.key_schema.keys(), &schema()).unwrap();
            prop_assert_eq!(index.key_of_attributes(&schema(), &attributes), Ok(place));
            let mut more = attributes.clone();
            more.insert("x".into(), AttributeValue::Null);
            prop_assert!(index.key_of_attributes(&schema(), &more).is_err());
            for name in ["h", "r", "l"] {
                let mut fewer = attributes.clone();
                fewer.remove(name);
                prop_assert!(index.key_of_attributes(&schema(), &fewer).is_err(), "{}", name);
            }
        }
    }

    #[test]
    fn bytes_that_are_no_key_in_an_index_are_an_error(bytes in any_bytes()) {
        let _ = base_key(&bytes);
        let _ = EncodedKey::partition_bytes(&bytes);
    }
}

#[test]
fn an_index_shows_keys_and_what_it_includes() {
    let mut item = item("h", b"r", AttributeValue::S("l".into()));
    item.insert("x".into(), AttributeValue::Null);
    item.insert("y".into(), AttributeValue::Null);
    let names = |index: LocalIndex| index.project(&schema(), item.clone()).into_keys().collect::<Vec<_>>().join(" ");
    assert_eq!(names(index(ScalarType::S, ProjectionType::KeysOnly, &[])), "h l r");
    assert_eq!(names(index(ScalarType::S, ProjectionType::Include, &["y"])), "h l r y");
    assert_eq!(names(index(ScalarType::S, ProjectionType::All, &[])), "h l r x y");
}

/// An item of the table with so many attributes for the keys of an index, and the index: `p0`, `p1`… and `s0`, `s1`….
fn with_keys(h: &str, r: &[u8], partition: &[AttributeValue], sort: &[AttributeValue]) -> (Item, GlobalIndex) {
    let mut item = item(h, r, AttributeValue::Null);
    let mut named = |prefix: &str, values: &[AttributeValue]| -> Vec<KeyAttribute> {
        let named = values.iter().enumerate().map(|(at, value)| {
            let name = format!("{prefix}{at}");
            item.insert(name.clone(), value.clone());
            let scalar_type = [ScalarType::S, ScalarType::N, ScalarType::B].into_iter().find(|t| t.is_type_of(value));
            attribute(&name, scalar_type.unwrap())
        });
        named.collect()
    };
    let keys = IndexKeySchema::new(named("p", partition), named("s", sort)).unwrap();
    (item, global(keys))
}

fn place(index: &GlobalIndex, item: &Item) -> Option<EncodedKey> {
    let key = EncodedKey::new(&schema(), item).unwrap();
    index.key_of(&key, &EncodedItem::encode(item)).unwrap()
}

fn any_value() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        any_key_text().prop_map(AttributeValue::S),
        any_number().prop_map(AttributeValue::N),
        any_key_bytes().prop_map(|bytes| AttributeValue::B(bytes.into())),
    ]
}

/// Two values of one type, often the same, and often the beginning of one another.
fn any_two() -> impl Strategy<Value = (AttributeValue, AttributeValue)> {
    prop_oneof![
        any_value().prop_map(|value| (value.clone(), value)),
        (any_number(), any_number()).prop_map(|(a, b)| (AttributeValue::N(a), AttributeValue::N(b))),
        (any_key_bytes(), vec(0_u8..3, 0..3)).prop_map(|(a, more)| {
            let b = [a.as_slice(), &more].concat();
            (AttributeValue::B(a.into()), AttributeValue::B(b.into()))
        }),
        (any_key_text(), "[\\x00\\x01a]{0,2}").prop_map(|(a, more)| {
            let b = format!("{a}{more}");
            (AttributeValue::S(a), AttributeValue::S(b))
        }),
    ]
}

fn order(one: &AttributeValue, other: &AttributeValue) -> Ordering {
    match (one, other) {
        (AttributeValue::S(one), AttributeValue::S(other)) => one.as_bytes().cmp(other.as_bytes()),
        (AttributeValue::N(one), AttributeValue::N(other)) => one.cmp(other),
        (AttributeValue::B(one), AttributeValue::B(other)) => one.cmp(other),
        _ => panic!("values of two types"),
    }
}

fn of_first<T: Clone>(pairs: &[(T, T)]) -> Vec<T> {
    pairs.iter().map(|(first, _)| first.clone()).collect()
}

fn of_second<T: Clone>(pairs: &[(T, T)]) -> Vec<T> {
    pairs.iter().map(|(_, second)| second.clone()).collect()
}

proptest! {
    /// Of one partition key: by the attributes of the sort key, one after the other, each by its own type, then by the table's key.
    #[test]
    fn items_in_a_global_index_are_in_the_order_of_its_sort_attributes_one_after_the_other(
        h in any_key_text(),
        (r1, r2) in (any_key_bytes(), any_key_bytes()),
        partition in vec(any_value(), 1..=4),
        sort in vec(any_two(), 0..=4),
    ) {
        let (one, index) = with_keys(&h, &r1, &partition, &of_first(&sort));
        let (other, _) = with_keys(&h, &r2, &partition, &of_second(&sort));
        let expected = sort.iter().map(|(a, b)| order(a, b)).find(|order| order.is_ne()).unwrap_or_else(|| r1.cmp(&r2));
        prop_assert_eq!(place(&index, &one).unwrap().cmp(&place(&index, &other).unwrap()), expected);
    }

    #[test]
    fn items_of_other_partition_attributes_have_nothing_of_a_place_in_common(
        h in any_key_text(),
        r in any_key_bytes(),
        partition in vec(any_two(), 1..=4),
        sort in vec(any_value(), 0..=4),
    ) {
        let (first, second) = (of_first(&partition), of_second(&partition));
        let whole = |values: &[AttributeValue]| key_bounds(values, &[], None).unwrap();
        let (item, index) = with_keys(&h, &r, &first, &sort);
        let place = place(&index, &item).unwrap().0;
        prop_assert!(whole(&first).contains(&place));
        prop_assert_eq!(whole(&second).contains(&place), first == second);
    }

    #[test]
    fn several_key_attributes_lead_to_the_items_place_in_a_global_index_and_back(
        h in any_key_text(),
        r in any_key_bytes(),
        partition in vec(any_value(), 1..=4),
        sort in vec(any_value(), 0..=4),
    ) {
        let (item, index) = with_keys(&h, &r, &partition, &sort);
        let place = place(&index, &item).unwrap();
        prop_assert_eq!(base_key_of_global(&place, &index.key_schema), Ok(EncodedKey::new(&schema(), &item).unwrap()));
        let attributes = place.decode_in_global_index(index.key_schema.keys(), &schema()).unwrap();
        let mut keys = item.clone();
        keys.remove("l");
        prop_assert_eq!(&attributes, &keys);
        prop_assert_eq!(index.key_of_attributes(&schema(), &attributes), Ok(place));
        for name in keys.keys() {
            let mut fewer = attributes.clone();
            fewer.remove(name);
            prop_assert!(index.key_of_attributes(&schema(), &fewer).is_err(), "{}", name);
        }
    }

    #[test]
    fn an_item_that_lacks_any_key_attribute_is_not_in_a_global_index(
        partition in vec(any_value(), 1..=4),
        sort in vec(any_value(), 0..=4),
    ) {
        let (item, index) = with_keys("h", b"r", &partition, &sort);
        prop_assert!(place(&index, &item).is_some());
        for attribute in index.key_schema.keys().attributes() {
            let mut without = item.clone();
            without.remove(&attribute.name);
            prop_assert_eq!(place(&index, &without), None);
            without.insert(attribute.name.clone(), AttributeValue::Bool(true));
            prop_assert_eq!(place(&index, &without), None);
        }
    }

    /// Equal in the first attributes of the sort key, and a condition on the next: what is behind that is as it likes.
    #[test]
    fn bounds_hold_just_what_conditions_on_the_first_sort_attributes_allow(
        partition in vec(any_value(), 1..=4),
        equal in vec(any_two(), 0..=3),
        (low, high) in any_two(),
        behind in vec(any_value(), 0..=2),
        which in 0..7_usize,
    ) {
        let condition = match which {
            0 => None,
            1 => Some(SortCondition::Equal(low.clone())),
            2 => Some(SortCondition::Less(low.clone())),
            3 => Some(SortCondition::LessOrEqual(low.clone())),
            4 => Some(SortCondition::Greater(low.clone())),
            5 => Some(SortCondition::GreaterOrEqual(low.clone())),
            _ => Some(SortCondition::Between(low.clone(), low.clone())),
        };
        let bounds: KeyBounds = key_bounds(&partition, &of_first(&equal), condition.as_ref()).unwrap();
        let compared = order(&high, &low);
        let allowed = equal.iter().all(|(a, b)| a == b) && match which {
            0 => true,
            1 | 6 => compared.is_eq(),
            2 => compared.is_lt(),
            3 => compared.is_le(),
            4 => compared.is_gt(),
            _ => compared.is_ge(),
        };
        let mut sort = of_second(&equal);
        sort.push(high);
        sort.extend(behind);
        prop_assert_eq!(bounds.contains(&key_prefix(&partition, &sort).unwrap()), allowed);
    }
}

#[test]
fn several_key_attributes_lie_one_behind_the_other_under_the_hash_of_those_of_the_partition_key() {
    let text = |text: &str| AttributeValue::S(text.into());
    let number = AttributeValue::N(Number::from(7_u64));
    let (item, index) = with_keys("h", b"r", &[text("a"), number], &[text("b"), text("c")]);
    let components = b"\x20a\0\x01\x10\x02\x82\x47\0";
    let mut expected = xxhash_rust::xxh3::xxh3_64(components).to_be_bytes().to_vec();
    expected.extend_from_slice(components);
    expected.extend_from_slice(b"\x20b\0\x01\x20c\0\x01\x20h\0\x01\x30r\0\x01");
    assert_eq!(place(&index, &item).unwrap().0, expected);
}

/// Entries and snapshots have two bytes for the length of a key.
#[test]
fn the_longest_key_in_a_global_index_has_a_length_of_two_bytes() {
    let longest = |bytes: usize| AttributeValue::B(vec![0; bytes].into());
    let (item, index) = with_keys(
        &"\0".repeat(PARTITION_KEY_BYTES_MAX),
        &[0; SORT_KEY_BYTES_MAX],
        &vec![longest(PARTITION_KEY_BYTES_MAX); 4],
        &vec![longest(SORT_KEY_BYTES_MAX); 4],
    );
    assert!(u16::try_from(place(&index, &item).unwrap().0.len()).is_ok());
}

#[test]
fn a_partition_of_a_global_index_knows_all_of_its_keys() {
    let table = TableDefinition::new("a", "games", TableId([0; 16]), schema());
    let (_, several) = with_keys("h", b"r", &[AttributeValue::S("a".into())], &vec![AttributeValue::S("b".into()); 3]);
    let (_, one) = with_keys("h", b"r", &[AttributeValue::S("a".into())], &[]);
    for index in [several, one] {
        assert_eq!(table.of_index(&index).keys(), index.key_schema.keys());
    }
    assert_eq!(table.keys(), table.key_schema.keys());
}
