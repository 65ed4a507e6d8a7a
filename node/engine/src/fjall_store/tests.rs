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

#[test]
fn between_bounds_that_are_longer_than_keys_can_be_lies_what_lies_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let (items, marker) = (folder.path().join("items"), folder.path().join("marker"));
    let store = FjallStore::open(&items, &marker, FjallOptions::default()).unwrap();
    let keys = [vec![1; 9], vec![1; KEY_BYTES_MAX], vec![2]].map(Bytes::from);
    store.commit(Changes { writes: keys.iter().map(|key| (key.clone(), Some(Bytes::new()))).collect() }).unwrap();
    let long = Bytes::from(vec![1; KEY_BYTES_MAX + 1]);
    let found = |lower, upper| {
        let pairs = |forward| store.snapshot().range(lower, upper, forward).map(|pair| pair.unwrap().0);
        pairs(true).collect::<Vec<_>>()
    };
    for bound in [Bound::Included, Bound::Excluded] {
        assert_eq!(found(bound(long.clone()), Bound::Unbounded), keys[2..]);
        assert_eq!(found(Bound::Unbounded, bound(long.clone())), keys[..2]);
        assert!(found(bound(long.clone()), bound(long.clone())).is_empty());
    }
}
