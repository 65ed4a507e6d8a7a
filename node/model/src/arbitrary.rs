//! Any value and any item, for property tests.

use crate::{AttributeValue, Item, number::Number};
use bytes::Bytes;
use proptest::{collection, prelude::*};

/// A number DynamoDB can hold: small, wide, or at the ends of the range.
pub(crate) fn any_number() -> impl Strategy<Value = Number> {
    let written = |(negative, digits, exponent): (bool, u128, i32)| {
        Number::parse(&format!("{}{digits}E{exponent}", if negative { "-" } else { "" })).ok()
    };
    let small = any::<i32>().prop_map(|value| Number::from(i64::from(value)));
    let wide = (any::<bool>(), 0..10u128.pow(38), -167..=125i32).prop_filter_map("out of range", written);
    let few = (any::<bool>(), 0..1000u128, -130..=123i32).prop_filter_map("out of range", written);
    prop_oneof![small, wide, few]
}

pub(crate) fn any_bytes() -> impl Strategy<Value = Bytes> {
    let byte = prop_oneof![Just(0u8), Just(0xff), any::<u8>()];
    collection::vec(byte, 0..12).prop_map(Bytes::from)
}

pub(crate) fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c\0]{0,6}", "\\PC{0,8}", "[\\x00-\\x7f]{0,8}"]
}

pub(crate) fn any_value() -> impl Strategy<Value = AttributeValue> {
    let set_sizes = 1..5usize;
    let leaf = prop_oneof![
        any_text().prop_map(AttributeValue::S),
        any_number().prop_map(AttributeValue::N),
        any_bytes().prop_map(AttributeValue::B),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null),
        collection::btree_set(any_text(), set_sizes.clone())
            .prop_map(|set| AttributeValue::Ss(set.into_iter().collect())),
        collection::btree_set(any_number(), set_sizes.clone())
            .prop_map(|set| AttributeValue::Ns(set.into_iter().collect())),
        collection::btree_set(any_bytes(), set_sizes).prop_map(|set| AttributeValue::Bs(set.into_iter().collect())),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(AttributeValue::L),
            collection::btree_map("[a-d]{1,2}", inner, 0..4).prop_map(AttributeValue::M),
        ]
    })
}

pub(crate) fn any_item() -> impl Strategy<Value = Item> {
    collection::btree_map("\\PC{1,6}", any_value(), 0..6)
}
