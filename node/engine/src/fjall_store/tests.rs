use super::*;

const ITEMS: u64 = 16 << 10;
const ITEM_BYTES: usize = 1 << 10;

fn key(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

#[test]
fn one_item_of_a_large_load_is_read_with_a_small_part_of_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let (items, marker) = (folder.path().join("items"), folder.path().join("marker"));
    let store = FjallStore::open(&items, &marker, FjallOptions::default()).unwrap();
    let mut load = store.ingest().unwrap();
    for number in 0..ITEMS {
        load.write(vec![(key(number), Bytes::from(vec![number as u8; ITEM_BYTES]))]).unwrap();
    }
    load.finish().unwrap();
    assert_eq!(store.get(&key(ITEMS / 2)).unwrap().map(|value| value.len()), Some(ITEM_BYTES));
    // One block each of the filter, the index and the items.
    assert!(store.database.cache_size() <= 5 * 4_096, "{} bytes", store.database.cache_size());
}
