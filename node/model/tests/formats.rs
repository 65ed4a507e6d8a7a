//! The files under `golden/` hold every released version of the formats, written by another program after the modules'
//! documentation: each version must be read for ever, and the newest must be written byte for byte.

#![allow(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

use bytes::Bytes;
use cairn_model::{
    AttributeValue, Item, KeySchema,
    codec::{EncodedItem, StoredVersion},
    json,
    json::{JsonItem, JsonValue},
    key::EncodedKey,
    size,
    table::{KeyAttribute, ScalarType},
    time::Timestamp,
};

const ITEM_V1: &[u8] = include_bytes!("golden/item.v1.bin");
const ITEM_V1_JSON: &str = include_str!("golden/item.v1.json");
const STORED_VERSION_V1: &[u8] = include_bytes!("golden/stored_version.v1.bin");
const KEYS_V1: &str = include_str!("golden/keys.v1.json");

fn item_v1() -> Item {
    serde_json::from_str::<JsonItem>(ITEM_V1_JSON).unwrap().into_item().unwrap()
}

#[test]
fn an_item_of_version_1_is_read_and_written_byte_for_byte() {
    let encoded = EncodedItem(Bytes::from_static(ITEM_V1));
    assert_eq!(encoded.decode().unwrap(), item_v1());
    assert_eq!(encoded.size().unwrap() as usize, size::item_size(&item_v1()));
    assert_eq!(EncodedItem::encode(&item_v1()), encoded);
}

#[test]
fn an_item_of_version_1_becomes_json() {
    let mut out = Vec::new();
    json::write_encoded_item(&EncodedItem(Bytes::from_static(ITEM_V1)), &mut out).unwrap();
    assert_eq!(serde_json::from_slice::<JsonItem>(&out).unwrap().into_item().unwrap(), item_v1());
}

#[test]
fn a_stored_version_of_version_1_is_read_and_written_byte_for_byte() {
    let stored = StoredVersion::parse(Bytes::from_static(STORED_VERSION_V1)).unwrap();
    assert_eq!(stored.version_time, Timestamp((1_763_700_000_000 << 16) | 7));
    assert_eq!(stored.origin_region(), Some("east"));
    assert_eq!(stored.item.decode().unwrap(), item_v1());
    assert_eq!(stored.encode(), STORED_VERSION_V1);
}

#[derive(serde::Deserialize)]
struct KeyCase {
    partition: JsonValue,
    sort: Option<JsonValue>,
    key: String,
}

#[test]
fn keys_of_version_1_are_read_and_written_byte_for_byte() {
    for case in serde_json::from_str::<Vec<KeyCase>>(KEYS_V1).unwrap() {
        let partition = case.partition.into_value().unwrap();
        let sort = case.sort.map(|sort| sort.into_value().unwrap());
        let attribute = |name: &str, value: &AttributeValue| KeyAttribute {
            name: name.to_owned(),
            scalar_type: match value {
                AttributeValue::S(_) => ScalarType::S,
                AttributeValue::N(_) => ScalarType::N,
                _ => ScalarType::B,
            },
        };
        let schema = KeySchema {
            partition: attribute("partition", &partition),
            sort: sort.as_ref().map(|sort| attribute("sort", sort)),
        };
        let mut item = Item::from([("partition".to_owned(), partition)]);
        item.extend(sort.map(|sort| ("sort".to_owned(), sort)));
        let key = EncodedKey::new(&schema, &item).unwrap();
        let hex: String = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, case.key);
        assert_eq!(key.decode(&schema).unwrap(), item);
    }
}
