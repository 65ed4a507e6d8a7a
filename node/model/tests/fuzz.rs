//! Whatever bytes are read as an item, a stored version or a key are one or an error; and what is one has no second form.

#![allow(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

use bytes::Bytes;
use cairn_fuzz::{Corpus, CountingAllocator, Fuzz, Limits};
use cairn_model::{
    Item, KeySchema,
    codec::{EncodedItem, StoredVersion},
    index::{self, IndexProjection, LocalIndex, ProjectionType},
    json::{self, JsonItem},
    key::{EncodedKey, HASH_BYTES},
    size,
    table::{KeyAttribute, ScalarType},
    time::Timestamp,
};
use std::{collections::BTreeSet, time::Duration};

#[global_allocator]
static MEMORY: CountingAllocator = CountingAllocator;

const LIMITS: Limits = Limits {
    input_bytes_max: 128 << 10,
    memory_bytes: 1 << 20,
    memory_bytes_per_byte: 512,
    work: Duration::from_millis(400),
};

fn corpus(folder: &str) -> Corpus {
    Corpus::read(format!("{}/tests/corpus/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn schema() -> KeySchema {
    let attribute = |name: &str, scalar_type| KeyAttribute { name: name.to_owned(), scalar_type };
    KeySchema { partition: attribute("h", ScalarType::S), sort: Some(attribute("r", ScalarType::N)) }
}

fn from_json(bytes: &[u8]) -> Result<Item, String> {
    let read = serde_json::from_slice::<JsonItem>(bytes).map_err(|error| error.to_string())?;
    read.into_item().map_err(|error| error.to_string())
}

/// The encoding, without the size that it begins with.
fn attributes(encoded: &EncodedItem) -> &[u8] {
    let behind_version = &encoded.0[1..];
    let size_bytes = 1 + behind_version.iter().take_while(|byte| **byte >= 0x80).count();
    &behind_version[size_bytes..]
}

#[test]
fn any_text_is_an_item_that_comes_back_as_it_was_or_refused() {
    let local_indexes =
        [("s", ScalarType::S), ("n", ScalarType::N), ("b", ScalarType::B)].map(|(name, scalar_type)| LocalIndex {
            index_name: name.to_owned(),
            slot: 1,
            sort: KeyAttribute { name: name.to_owned(), scalar_type },
            projection: IndexProjection {
                projection_type: ProjectionType::KeysOnly,
                non_key_attributes: BTreeSet::new(),
            },
        });
    Fuzz::new(corpus("items"), LIMITS, env!("CARGO_TARGET_TMPDIR")).run("items", |input| {
        let item = match from_json(input) {
            Ok(item) => item,
            Err(refusal) => return refusal,
        };
        let encoded = EncodedItem::encode(&item);
        assert_eq!(encoded.size().unwrap() as usize, size::item_size(&item));
        assert_eq!(encoded.decode().unwrap(), item);
        for (name, value) in &item {
            assert_eq!(encoded.get(name).unwrap().as_ref(), Some(value));
        }
        let mut text = Vec::new();
        json::write_encoded_item(&encoded, &mut text).unwrap();
        assert_eq!(from_json(&text).unwrap(), item);
        let mut from_values = Vec::new();
        json::write_item(&item, &mut from_values);
        assert_eq!(from_values, text);
        match EncodedKey::new(&schema(), &item) {
            Ok(key) => {
                let decoded = key.decode(&schema()).unwrap();
                assert!(decoded.iter().all(|(name, value)| item.get(name) == Some(value)));
                assert_eq!(EncodedKey::from_key(&schema(), &decoded).unwrap(), key);
                for index in &local_indexes {
                    if let Some(entry) = index.entry(&schema(), &key, &encoded).unwrap() {
                        assert_eq!(index::base_key(&entry.key).unwrap(), key);
                    }
                }
                format!("{item:?}")
            }
            Err(refusal) => format!("{refusal} {item:?}"),
        }
    });
}

#[test]
fn any_bytes_are_the_one_form_of_a_stored_version_an_item_or_a_key_or_damage() {
    let items = corpus("items");
    let made = items.inputs().iter().filter_map(|json| from_json(json).ok()).flat_map(|item| {
        let encoded = EncodedItem::encode(&item);
        let key = EncodedKey::new(&schema(), &item).ok().map(|key| key.0);
        let version = StoredVersion {
            version_time: Timestamp(7 << 16),
            origin: Bytes::from_static(b"east"),
            item: encoded.clone(),
        };
        [Some(encoded.0), Some(version.encode()), key].into_iter().flatten().map(|bytes| bytes.to_vec())
    });
    let corpus = corpus("stored").and(made.collect::<Vec<_>>());
    Fuzz::new(corpus, LIMITS, env!("CARGO_TARGET_TMPDIR")).run("stored", |input| {
        let bytes = Bytes::copy_from_slice(input);
        let version = StoredVersion::parse(bytes.clone());
        if let Ok(version) = &version {
            assert_eq!(version.encode(), bytes);
        }
        let mut outcome = String::new();
        let items = version.iter().map(|version| version.item.clone()).chain([EncodedItem(bytes.clone())]);
        for encoded in items {
            let mut text = Vec::new();
            let written = json::write_encoded_item(&encoded, &mut text);
            let found = encoded.get("h");
            match encoded.decode() {
                Ok(item) => {
                    assert_eq!(attributes(&EncodedItem::encode(&item)), attributes(&encoded));
                    assert_eq!(found.unwrap(), item.get("h").cloned());
                    written.unwrap();
                    outcome.push_str(&format!("{item:?}"));
                }
                Err(damage) => outcome.push_str(&damage.to_string()),
            }
        }
        let key = EncodedKey(bytes.clone());
        let partition = EncodedKey::partition_bytes(&bytes);
        if let Ok(base) = index::base_key(&bytes) {
            let partition = partition.clone().unwrap();
            assert_eq!(base.0[..partition], bytes[..partition]);
            assert!(bytes.ends_with(&base.0[partition..]));
        }
        match key.decode(&schema()) {
            Ok(item) => {
                assert!(partition.unwrap() < bytes.len());
                if let Ok(again) = EncodedKey::new(&schema(), &item) {
                    assert_eq!(again.0[HASH_BYTES..], bytes[HASH_BYTES..]);
                }
                outcome.push_str(&format!("{item:?}"));
            }
            Err(damage) => outcome.push_str(&damage.to_string()),
        }
        outcome
    });
}
