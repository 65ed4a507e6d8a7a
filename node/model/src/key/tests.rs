use super::*;
use crate::{
    arbitrary::{any_bytes, any_number, any_text},
    number::Number,
};
use proptest::prelude::*;
use std::cmp::Ordering;

fn attribute(name: &str, scalar_type: ScalarType) -> KeyAttribute {
    KeyAttribute { name: name.to_owned(), scalar_type }
}

fn schema(partition: ScalarType, sort: Option<ScalarType>) -> KeySchema {
    KeySchema { partition: attribute("pk", partition), sort: sort.map(|sort| attribute("sk", sort)) }
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn n(text: &str) -> AttributeValue {
    AttributeValue::N(Number::parse(text).unwrap())
}

fn item(attributes: &[(&str, AttributeValue)]) -> Item {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn message(result: Result<EncodedKey, ServiceError>) -> String {
    result.unwrap_err().message
}

#[test]
fn equal_numbers_are_one_key() {
    let schema = schema(ScalarType::N, None);
    let key = |text| EncodedKey::new(&schema, &item(&[("pk", n(text))])).unwrap();
    assert_eq!(key("1"), key("1.0"));
    assert_eq!(key("1"), key("1E0"));
}

#[test]
fn an_items_key_is_refused_in_dynamodbs_words() {
    let schema = schema(ScalarType::S, Some(ScalarType::N));
    let key = |attributes: &[(&str, AttributeValue)]| message(EncodedKey::new(&schema, &item(attributes)));
    assert_eq!(key(&[]), "One or more parameter values were invalid: Missing the key pk in the item");
    assert_eq!(key(&[("pk", s("a"))]), "One or more parameter values were invalid: Missing the key sk in the item");
    assert_eq!(
        key(&[("pk", s("a")), ("sk", s("b"))]),
        "One or more parameter values were invalid: Type mismatch for key sk expected: N actual: S"
    );
    assert_eq!(
        key(&[("pk", s("")), ("sk", n("1"))]),
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty \
         string value. Key: pk"
    );
    assert_eq!(
        key(&[("pk", s(&"x".repeat(2049))), ("sk", n("1"))]),
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"
    );
}

#[test]
fn a_key_parameter_must_be_the_key_and_nothing_else() {
    let schema = schema(ScalarType::S, Some(ScalarType::B));
    let mismatch = "The provided key element does not match the schema";
    let blob = AttributeValue::B(Bytes::from_static(b"b"));
    assert_eq!(message(EncodedKey::from_key(&schema, &item(&[("pk", s("a"))]))), mismatch);
    assert_eq!(message(EncodedKey::from_key(&schema, &item(&[("pk", s("a")), ("sk", s("b"))]))), mismatch);
    let more = item(&[("pk", s("a")), ("sk", blob.clone()), ("other", n("1"))]);
    assert_eq!(message(EncodedKey::from_key(&schema, &more)), mismatch);
    let long = AttributeValue::B(vec![0; 1025].into());
    assert_eq!(
        message(EncodedKey::from_key(&schema, &item(&[("pk", s("a")), ("sk", long)]))),
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of \
         1024 bytes"
    );
    let exact = item(&[("pk", s("a")), ("sk", blob)]);
    assert_eq!(EncodedKey::from_key(&schema, &exact), EncodedKey::new(&schema, &exact));
}

#[test]
fn segments_share_the_hashes_without_gap_or_overlap() {
    for total in [1, 2, 3, 7, 1000, 1_000_000] {
        assert_eq!(segment_bounds(0, total).0, Bound::Unbounded);
        assert_eq!(segment_bounds(total - 1, total).1, Bound::Unbounded);
        for segment in (0..total - 1).step_by(total as usize / 7 + 1) {
            let (Bound::Excluded(end), Bound::Included(start)) =
                (segment_bounds(segment, total).1, segment_bounds(segment + 1, total).0)
            else {
                panic!("{segment} of {total} has no neighbour");
            };
            assert_eq!(end, start);
        }
    }
}

#[test]
fn damaged_keys_are_an_error() {
    let schema = schema(ScalarType::S, None);
    for bytes in
        [&[][..], &[0; 8], b"hashhash\x20abc", b"hashhash\x20a\0\x02", b"hashhash\x40", b"hashhash\x20\xff\0\x01"]
    {
        assert!(EncodedKey(Bytes::from_static(bytes)).decode(&schema).is_err(), "{bytes:?}");
    }
}

/// A value for a key, with its type.
fn any_key_value() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        any_text().prop_map(AttributeValue::S),
        any_number().prop_map(AttributeValue::N),
        any_bytes().prop_map(AttributeValue::B),
    ]
}

fn any_pair() -> impl Strategy<Value = (AttributeValue, AttributeValue)> {
    prop_oneof![
        (any_text(), any_text()).prop_map(|(a, b)| (AttributeValue::S(a), AttributeValue::S(b))),
        (any_number(), any_number()).prop_map(|(a, b)| (AttributeValue::N(a), AttributeValue::N(b))),
        (any_bytes(), any_bytes()).prop_map(|(a, b)| (AttributeValue::B(a), AttributeValue::B(b))),
    ]
}

fn order(a: &AttributeValue, b: &AttributeValue) -> Ordering {
    match (a, b) {
        (AttributeValue::S(a), AttributeValue::S(b)) => a.as_bytes().cmp(b.as_bytes()),
        (AttributeValue::N(a), AttributeValue::N(b)) => a.cmp(b),
        (AttributeValue::B(a), AttributeValue::B(b)) => a.cmp(b),
        _ => panic!("values of two types"),
    }
}

fn component(value: &AttributeValue) -> Vec<u8> {
    let mut out = Vec::new();
    write_component(value, &mut out).unwrap();
    out
}

fn key(partition: &AttributeValue, sort: &AttributeValue) -> Bytes {
    key_prefix(std::slice::from_ref(partition), std::slice::from_ref(sort)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_order_of_bytes_is_the_order_of_values((a, b) in any_pair()) {
        let (one, other) = (component(&a), component(&b));
        prop_assert_eq!(one.cmp(&other), order(&a, &b));
        prop_assert!(a == b || !other.starts_with(&one));
    }

    #[test]
    fn keys_come_back(partition in any_key_value(), sort in any_key_value()) {
        let bytes = component(&partition);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(read_component(&mut reader).unwrap(), partition.clone());
        prop_assert!(reader.finish().is_ok());
        let of = |value: &AttributeValue| match value {
            AttributeValue::S(_) => ScalarType::S,
            AttributeValue::N(_) => ScalarType::N,
            _ => ScalarType::B,
        };
        let schema = schema(of(&partition), Some(of(&sort)));
        let expected = item(&[("pk", partition.clone()), ("sk", sort.clone())]);
        prop_assert_eq!(EncodedKey(key(&partition, &sort)).decode(&schema).unwrap(), expected);
    }

    #[test]
    fn sort_bounds_hold_just_what_the_condition_allows(
        partition in any_key_value(), (low, high) in any_pair(), other in any_pair(), own_sort in any_key_value(),
        which in 0..8usize
    ) {
        let (low, high) = if order(&low, &high).is_le() { (low, high) } else { (high, low) };
        let is_number = matches!(low, AttributeValue::N(_));
        let condition = match which {
            0 => SortCondition::Equal(low.clone()),
            1 => SortCondition::Less(low.clone()),
            2 => SortCondition::LessOrEqual(low.clone()),
            3 => SortCondition::Greater(low.clone()),
            4 => SortCondition::GreaterOrEqual(low.clone()),
            5 | 6 if is_number => SortCondition::Between(low.clone(), high.clone()),
            5 => SortCondition::BeginsWith(low.clone()),
            _ => SortCondition::Between(low.clone(), high.clone()),
        };
        let candidates = [&low, &high, &other.0, &other.1];
        let of_type = |value: &&AttributeValue| value.type_name() == low.type_name();
        let bounds = sort_bounds(&partition, Some(&condition)).unwrap();
        let all = sort_bounds(&partition, None).unwrap();
        for value in candidates.into_iter().filter(of_type) {
            let allowed = match &condition {
                SortCondition::Equal(bound) => order(value, bound).is_eq(),
                SortCondition::Less(bound) => order(value, bound).is_lt(),
                SortCondition::LessOrEqual(bound) => order(value, bound).is_le(),
                SortCondition::Greater(bound) => order(value, bound).is_gt(),
                SortCondition::GreaterOrEqual(bound) => order(value, bound).is_ge(),
                SortCondition::Between(low, high) => order(value, low).is_ge() && order(value, high).is_le(),
                SortCondition::BeginsWith(prefix) => match (value, prefix) {
                    (AttributeValue::S(text), AttributeValue::S(prefix)) => text.starts_with(prefix.as_str()),
                    (AttributeValue::B(bytes), AttributeValue::B(prefix)) => bytes.starts_with(prefix),
                    _ => false,
                },
            };
            let key = key(&partition, value);
            let in_index: Bytes = [key.as_ref(), &component(&own_sort)].concat().into();
            for key in [&key, &in_index] {
                prop_assert_eq!(std::ops::RangeBounds::contains(&bounds, key), allowed);
                prop_assert!(std::ops::RangeBounds::contains(&all, key));
            }
        }
        prop_assert!(!std::ops::RangeBounds::contains(&all, &Bytes::from_static(&[0xff; 40])));
    }

    #[test]
    fn bounds_of_a_whole_key_hold_one_key_and_others_may_hold_several(
        partition in any_key_value(), (low, high) in any_pair(), own_sort in any_key_value()
    ) {
        let (alone, sorted) = (schema(ScalarType::S, None), schema(ScalarType::S, Some(ScalarType::S)));
        let one = |(lower, upper): &KeyBounds, schema| only_key(lower, upper, schema);
        let all = sort_bounds(&partition, None).unwrap();
        let prefix = key_prefix(std::slice::from_ref(&partition), &[]).unwrap();
        prop_assert_eq!(one(&all, &alone), Some(EncodedKey(prefix.clone())));
        prop_assert_eq!(one(&all, &sorted), None);
        let of = |condition| sort_bounds(&partition, Some(&condition)).unwrap();
        let whole = EncodedKey(key(&partition, &low));
        let equal = of(SortCondition::Equal(low.clone()));
        prop_assert_eq!(one(&equal, &sorted), Some(whole.clone()));
        prop_assert_eq!(one(&equal, &alone), None);
        // As PartiQL has it where conditions are joined.
        prop_assert_eq!(one(&of(SortCondition::Between(low.clone(), low.clone())), &sorted), Some(whole.clone()));
        for several in [
            of(SortCondition::Less(low.clone())),
            of(SortCondition::LessOrEqual(low.clone())),
            of(SortCondition::Greater(low.clone())),
            of(SortCondition::GreaterOrEqual(low.clone())),
        ] {
            prop_assert_eq!(one(&several, &sorted), None);
        }
        if order(&low, &high).is_lt() {
            prop_assert_eq!(one(&of(SortCondition::Between(low.clone(), high)), &sorted), None);
        }
        if !matches!(low, AttributeValue::N(_)) {
            prop_assert_eq!(one(&of(SortCondition::BeginsWith(low.clone())), &sorted), None);
        }
        let in_index: Bytes = [whole.0.as_ref(), &component(&own_sort)].concat().into();
        prop_assert_eq!(one(&(Bound::Included(in_index.clone()), below(after_prefix(&in_index))), &sorted), None);
        // What is left of it behind its key.
        prop_assert_eq!(only_key(&Bound::Included(whole.0.clone()), &Bound::Excluded(whole.0.clone()), &sorted), None);
        prop_assert_eq!(only_key(&Bound::Excluded(whole.0), &equal.1, &sorted), None);
        prop_assert_eq!(only_key(&Bound::Unbounded, &Bound::Unbounded, &sorted), None);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
        let schema = schema(ScalarType::N, Some(ScalarType::S));
        let _ = EncodedKey(bytes.into()).decode(&schema);
    }
}
