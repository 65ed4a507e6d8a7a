use super::*;
use cairn_model::{
    AttributeValue, Item,
    index::IndexProjection,
    table::{KeyAttribute, KeySchema, ScalarType},
};
use std::collections::BTreeSet;

fn definition(projection_type: ProjectionType, included: &[&str]) -> TableDefinition {
    let attribute = |name: &str| KeyAttribute { name: name.into(), scalar_type: ScalarType::S };
    let non_key_attributes: BTreeSet<String> = included.iter().map(|name| (*name).to_owned()).collect();
    TableDefinition {
        key_schema: KeySchema { partition: attribute("h"), sort: Some(attribute("r")) },
        local_indexes: vec![LocalIndex {
            index_name: "by-l".into(),
            slot: 1,
            sort: attribute("l"),
            projection: IndexProjection { projection_type, non_key_attributes },
        }],
        ..crate::testing::definition()
    }
}

fn item(attributes: &[(&str, &str)]) -> Item {
    let all = [("h", "h"), ("r", "r")].iter().chain(attributes);
    all.map(|(name, value)| ((*name).to_owned(), AttributeValue::S((*value).to_owned()))).collect()
}

/// What becomes of the index, and its units by size.
fn effects_of(
    definition: &TableDefinition,
    before: Option<&[(&str, &str)]>,
    after: Option<&[(&str, &str)]>,
) -> (Vec<(IndexEffect, i64)>, Vec<IndexWrite>) {
    let key = EncodedKey::new(&definition.key_schema, &item(&[])).unwrap();
    let encoded = |attributes: Option<&[(&str, &str)]>| attributes.map(|some| EncodedItem::encode(&item(some)));
    let effects = effects(definition, &key, encoded(before).as_ref(), encoded(after).as_ref()).unwrap();
    (effects.changes.into_iter().map(|change| (change.effect, change.size_change)).collect(), effects.writes)
}

const KEYS_ONLY: ProjectionType = ProjectionType::KeysOnly;
/// Of h, r and l with a letter each.
const KEYS_BYTES: i64 = 6;

fn write(size_before: u32, size_after: u32, moved: bool) -> IndexWrite {
    IndexWrite { slot: 1, size_before, size_after, moved }
}

#[test]
fn an_item_enters_and_leaves_an_index_with_its_sort_key() {
    let table = definition(KEYS_ONLY, &[]);
    assert_eq!(effects_of(&table, None, Some(&[("x", "x")])), (vec![], vec![]), "a sparse index");
    let entered = (vec![(IndexEffect::Put, KEYS_BYTES)], vec![write(0, 6, false)]);
    assert_eq!(effects_of(&table, None, Some(&[("l", "a"), ("x", "x")])), entered);
    assert_eq!(effects_of(&table, Some(&[("x", "x")]), Some(&[("l", "a")])), entered);
    let left = (vec![(IndexEffect::Remove, -KEYS_BYTES)], vec![write(6, 0, false)]);
    assert_eq!(effects_of(&table, Some(&[("l", "a")]), None), left);
    assert_eq!(effects_of(&table, Some(&[("l", "a")]), Some(&[("x", "x")])), left);
}

#[test]
fn a_change_of_the_index_key_is_a_removal_and_a_put() {
    let moved = effects_of(&definition(KEYS_ONLY, &[]), Some(&[("l", "a")]), Some(&[("l", "bb")]));
    let changes = vec![(IndexEffect::Remove, -KEYS_BYTES), (IndexEffect::Put, KEYS_BYTES + 1)];
    assert_eq!(moved, (changes, vec![write(6, 7, true)]));
}

#[test]
fn what_an_index_does_not_show_does_not_touch_it() {
    let (before, after): (&[_], &[_]) = (&[("l", "a"), ("x", "1")], &[("l", "a"), ("x", "22")]);
    for table in [definition(KEYS_ONLY, &[]), definition(ProjectionType::Include, &["y"])] {
        assert_eq!(effects_of(&table, Some(before), Some(after)), (vec![], vec![]));
    }
    let resized = (vec![(IndexEffect::Resize, 1)], vec![write(8, 9, false)]);
    for table in [definition(ProjectionType::All, &[]), definition(ProjectionType::Include, &["x"])] {
        assert_eq!(effects_of(&table, Some(before), Some(after)), resized);
        assert_eq!(effects_of(&table, Some(before), Some(before)), (vec![], vec![]), "nothing changed");
    }
}

#[test]
fn a_value_of_another_type_is_not_in_the_index() {
    let table = definition(KEYS_ONLY, &[]);
    let key = EncodedKey::new(&table.key_schema, &item(&[])).unwrap();
    let mut number = item(&[]);
    number.insert("l".into(), AttributeValue::Bool(true));
    let number = EncodedItem::encode(&number);
    assert_eq!(effects(&table, &key, None, Some(&number)), Ok(IndexEffects::default()));
}

#[test]
fn a_key_in_an_index_leads_back_to_the_item() {
    let table = definition(KEYS_ONLY, &[]);
    let key = EncodedKey::new(&table.key_schema, &item(&[])).unwrap();
    let entry = table.local_indexes[0].entry(&table.key_schema, &key, &EncodedItem::encode(&item(&[("l", "a\0b")])));
    assert_eq!(cairn_model::index::base_key(&entry.unwrap().unwrap().key), Ok(key));
}
