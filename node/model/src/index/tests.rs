use super::*;
use crate::{
    AttributeValue,
    arbitrary::{any_bytes, any_number, any_text},
    ids::TableId,
    table::ScalarType,
};
use proptest::prelude::*;

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

fn global(key_schema: KeySchema) -> GlobalIndex {
    let projection = index(ScalarType::S, ProjectionType::All, &[]).projection;
    let new = NewGlobalIndex {
        index_name: "by-l".into(),
        key_schema,
        projection,
        provisioned_throughput: None,
        on_demand_throughput: None,
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
            let index = global(KeySchema { partition: attribute("l", ScalarType::S), sort });
            let place = index.key_of(&key, &EncodedItem::encode(&item)).unwrap().unwrap();
            let attributes = place.decode_in_global_index(&index.key_schema, &schema()).unwrap();
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
