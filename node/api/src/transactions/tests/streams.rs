//! What the tables' streams say in the end: one record a change, each on top of the one before, and the last as the item is.

use super::{
    KEYS,
    runner::{key_attributes, list_of},
    world::{TABLES, World},
};
use cairn_history::Key;
use cairn_model::codec::EncodedItem;
use std::collections::BTreeMap;

/// The items' lists in the end are these: every change appended one number to one of them.
pub(super) fn check(world: &World, lists: &BTreeMap<Key, Vec<u32>>) -> Result<(), String> {
    let mut told: BTreeMap<Key, Vec<u32>> = lists.keys().map(|key| (*key, Vec::new())).collect();
    let list = |image: &Option<EncodedItem>| list_of(image.as_ref().map(|image| image.decode().unwrap()).as_ref());
    for record in (0..TABLES).flat_map(|table| world.records(table)) {
        let keys = record.keys.decode().unwrap();
        let key = (0..KEYS).find(|key| key_attributes(*key) == keys).unwrap();
        let (before, after) = (list(&record.old_image), list(&record.new_image));
        let is_one_change = after.len() == before.len() + 1 && after.starts_with(&before);
        if !is_one_change || told[&key] != before {
            return Err(format!("behind {:?} of item {key} its stream has {before:?} become {after:?}", told[&key]));
        }
        told.insert(key, after);
    }
    match told == *lists {
        true => Ok(()),
        false => Err(format!("the streams end with {told:?}, and the items are {lists:?}")),
    }
}
