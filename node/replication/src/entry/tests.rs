use super::*;
use crate::global::{Lineage, Origin};
use cairn_engine::IndexEffect;
use cairn_model::ids::PartitionId;

fn entry() -> Entry {
    Entry {
        header: EntryHeader { term: 3, epoch: 2, schema_version: 1, sequence: 7, entry_time: Timestamp(0x0102_0304) },
        body: EntryBody::Writes(vec![
            EntryWrite {
                request_id: RequestId([0xaa; 16]),
                key: EncodedKey(Bytes::from_static(b"key")),
                effect: Effect::Put(Bytes::from_static(b"version")),
                version_time: Timestamp(0x0102_0303),
                size_change: 12,
                count_change: 1,
                outcome: Bytes::from_static(b"ok"),
            },
            EntryWrite {
                request_id: RequestId([0xbb; 16]),
                key: EncodedKey(Bytes::from_static(b"k")),
                effect: Effect::Delete,
                version_time: Timestamp(0x0102_0304),
                size_change: -5,
                count_change: -1,
                outcome: Bytes::new(),
            },
            EntryWrite {
                request_id: RequestId([0xcc; 16]),
                key: EncodedKey(Bytes::from_static(b"n")),
                effect: Effect::Nothing,
                version_time: Timestamp(0x0102_0304),
                size_change: 0,
                count_change: 0,
                outcome: Bytes::from_static(b"failed"),
            },
        ]),
        index_changes: Vec::new(),
        stream_changes: Vec::new(),
    }
}

/// The bytes of format version 1. They are in logs: this test may get siblings, it never changes.
#[rustfmt::skip]
const GOLDEN: &[u8] = &[
    1, 1,
    3, 0, 0, 0, 0, 0, 0, 0,
    2, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 0, 0, 0, 0, 0, 0,
    7, 0, 0, 0, 0, 0, 0, 0,
    4, 3, 2, 1, 0, 0, 0, 0,
    3, 0, 0, 0,
    0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
    3, 0, b'k', b'e', b'y',
    1,
    3, 3, 2, 1, 0, 0, 0, 0,
    12, 0, 0, 0, 0, 0, 0, 0,
    1,
    7, 0, 0, 0, b'v', b'e', b'r', b's', b'i', b'o', b'n',
    2, 0, 0, 0, b'o', b'k',
    0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb,
    1, 0, b'k',
    2,
    4, 3, 2, 1, 0, 0, 0, 0,
    0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff,
    0, 0, 0, 0,
    0, 0, 0, 0,
    0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
    1, 0, b'n',
    3,
    4, 3, 2, 1, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0,
    0,
    0, 0, 0, 0,
    6, 0, 0, 0, b'f', b'a', b'i', b'l', b'e', b'd',
];

/// The entry is written as these bytes and read from them, and from nothing less or more.
fn assert_stays(entry: &Entry, golden: &[u8]) {
    assert_eq!(entry.encode().unwrap(), golden);
    assert_eq!(Entry::decode(golden.to_vec().into()).as_ref(), Ok(entry));
    for end in 0..golden.len() {
        assert!(Entry::decode(golden[..end].to_vec().into()).is_err(), "cut at {end}");
    }
    assert!(Entry::decode([golden, &[0]].concat().into()).is_err());
}

#[test]
fn entries_of_format_version_1_stay_readable() {
    assert_eq!(entry().encode().unwrap(), GOLDEN);
    assert_eq!(Entry::decode(Bytes::from_static(GOLDEN)), Ok(entry()));
}

#[test]
fn an_entry_cut_short_or_of_an_unknown_format_is_refused() {
    for end in 0..GOLDEN.len() {
        assert!(Entry::decode(Bytes::from_static(&GOLDEN[..end])).is_err(), "cut at {end}");
    }
    let mut other = GOLDEN.to_vec();
    other[0] = 3;
    assert_eq!(Entry::decode(other.clone().into()), Err(EntryError::UnknownVersion(3)));
    other[0] = 1;
    other[1] = 9;
    assert_eq!(Entry::decode(other.into()), Err(EntryError::UnknownKind(9)));
    let mut longer = GOLDEN.to_vec();
    longer.push(0);
    assert!(Entry::decode(longer.into()).is_err());
}

fn remote() -> Entry {
    let write = |effect, version: &'static [u8]| RemoteWrite {
        key: EncodedKey(Bytes::from_static(b"k")),
        effect,
        size_change: 2,
        count_change: 1,
        version: Bytes::from_static(version),
    };
    let lineage = Lineage { region: "west".into(), since: Timestamp(3), partition: PartitionId([9; 16]) };
    let groups = vec![
        RemoteGroup {
            origin: Some(Origin { lineage, time: Timestamp(5) }),
            writes: vec![write(RemoteEffect::Put, b"v"), write(RemoteEffect::SetAside, b"a")],
        },
        RemoteGroup { origin: None, writes: vec![write(RemoteEffect::Delete, b"t")] },
    ];
    Entry { body: EntryBody::Remote(RemoteWrites { state: Bytes::from_static(b"st"), groups }), ..entry() }
}

fn upkeep() -> Entry {
    let taken_up = RemoteWrite {
        key: EncodedKey(Bytes::from_static(b"k")),
        effect: RemoteEffect::Nothing,
        size_change: 0,
        count_change: 0,
        version: Bytes::from_static(b"v"),
    };
    let upkeep = Upkeep {
        state: None,
        tombstones_removed: vec![EncodedKey(Bytes::from_static(b"t"))],
        taken_up: vec![taken_up],
    };
    Entry { body: EntryBody::Upkeep(upkeep), ..entry() }
}

/// What the header of [`entry`] is, behind the kind.
fn golden_of(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[1, kind], &GOLDEN[2..42], body].concat()
}

#[rustfmt::skip]
const REMOTE: &[u8] = &[
    2, 0, 0, 0, b's', b't',
    2, 0, 0, 0,
    1, 4, 0, b'w', b'e', b's', b't', 3, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 5, 0, 0, 0, 0, 0, 0, 0,
    2, 0, 0, 0,
    1, 0, b'k', 1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, b'v',
    1, 0, b'k', 4, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, b'a',
    0,
    1, 0, 0, 0,
    1, 0, b'k', 2, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, b't',
];

#[rustfmt::skip]
const UPKEEP: &[u8] = &[
    0, 0, 0, 0,
    1, 0, 0, 0, 1, 0, b't',
    1, 0, 0, 0,
    1, 0, b'k', 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, b'v',
];

#[test]
fn entries_of_global_tables_stay_readable() {
    for (entry, golden) in [(remote(), golden_of(4, REMOTE)), (upkeep(), golden_of(5, UPKEEP))] {
        assert_stays(&entry, &golden);
    }
}

fn with_indexes(entry: Entry) -> Entry {
    let change = |index, effect, key: &'static [u8], size_change| IndexChange {
        index,
        effect,
        key: Bytes::from_static(key),
        size_change,
    };
    let index_changes = vec![
        change(1, IndexEffect::Remove, b"old", -7),
        change(1, IndexEffect::Put, b"new", 8),
        change(5, IndexEffect::Resize, b"s", 3),
    ];
    Entry { index_changes, ..entry }
}

#[rustfmt::skip]
const INDEXES: &[u8] = &[
    3, 0, 0, 0,
    1, 2, 3, 0, b'o', b'l', b'd', 0xf9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    1, 1, 3, 0, b'n', b'e', b'w', 8, 0, 0, 0, 0, 0, 0, 0,
    5, 3, 1, 0, b's', 3, 0, 0, 0, 0, 0, 0, 0,
];

fn with_records(entry: Entry) -> Entry {
    let item = |by_service, old_image: &'static [u8]| StreamChange::Item {
        by_service,
        old_image: Bytes::from_static(old_image),
    };
    Entry { stream_changes: vec![item(false, b"old"), StreamChange::Nothing, item(true, b"")], ..entry }
}

const RECORDS: &[u8] = &[3, 0, 0, 0, 1, 3, 0, 0, 0, b'o', b'l', b'd', 0, 2, 0, 0, 0, 0];
const NOTHING: &[u8] = &[0, 0, 0, 0];

/// Format version 2: any body, its length before it, what it changes in indexes and what it says for the stream behind it.
#[test]
fn entries_that_change_indexes_or_have_records_stay_readable() {
    let bodies = || [(entry(), GOLDEN.to_vec()), (remote(), golden_of(4, REMOTE)), (upkeep(), golden_of(5, UPKEEP))];
    let with_both = |entry| with_records(with_indexes(entry));
    let indexed = bodies().map(|(entry, golden)| (with_indexes(entry), golden, [INDEXES, NOTHING].concat()));
    let recorded = bodies().map(|(entry, golden)| (with_records(entry), golden, [NOTHING, RECORDS].concat()));
    let both = bodies().map(|(entry, golden)| (with_both(entry), golden, [INDEXES, RECORDS].concat()));
    for (entry, golden, beside) in indexed.into_iter().chain(recorded).chain(both) {
        let (header, body) = golden.split_at(42);
        let golden = [&[2], &header[1..], &(body.len() as u32).to_le_bytes(), body, &beside].concat();
        assert_stays(&entry, &golden);
        assert_eq!(Entry::time_of(&golden), Some(Timestamp(0x0102_0304)));
    }
}

#[test]
fn an_entry_changes_nothing_but_indexes_as_indexes() {
    for index in [0x00, 0x06, 0x80, 0x82, 0x89, 0xf0, 0xff] {
        let mut entry = with_indexes(entry());
        entry.index_changes[0].index = index;
        assert!(Entry::decode(entry.encode().unwrap().into()).is_err(), "{index:#x}");
    }
}

fn fed() -> Entry {
    let write = RemoteWrite {
        key: EncodedKey(Bytes::from_static(b"k")),
        effect: RemoteEffect::Put,
        size_change: 2,
        count_change: 1,
        version: Bytes::from_static(b"v"),
    };
    let fed = FedWrites { source: PartitionId([9; 16]), fed: Bytes::from_static(b"at"), writes: vec![write] };
    Entry { body: EntryBody::Fed(fed), ..entry() }
}

fn shown() -> Entry {
    let items = vec![(EncodedKey(Bytes::from_static(b"k")), Bytes::from_static(b"v"))];
    let shown = ShownItems { index: cairn_model::ids::TableId([8; 16]), filled: Bytes::from_static(b"to"), items };
    Entry { body: EntryBody::Shown(shown), ..entry() }
}

#[rustfmt::skip]
const FED: &[u8] = &[
    9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
    2, 0, 0, 0, b'a', b't',
    1, 0, 0, 0,
    1, 0, b'k', 1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, b'v',
];

#[rustfmt::skip]
const SHOWN: &[u8] = &[
    8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8,
    2, 0, 0, 0, b't', b'o',
    1, 0, 0, 0,
    1, 0, b'k', 1, 0, 0, 0, b'v',
];

#[test]
fn entries_of_global_indexes_stay_readable() {
    for (entry, golden) in [(fed(), golden_of(10, FED)), (shown(), golden_of(11, SHOWN))] {
        assert_stays(&entry, &golden);
    }
}

/// A deletion of an expired item, of format version 2 for it leaves the index; and how far that is made.
fn expiry() -> [Entry; 3] {
    let write = EntryWrite {
        request_id: RequestId([0; 16]),
        key: EncodedKey(Bytes::from_static(b"k")),
        effect: Effect::Expire,
        version_time: Timestamp(0x0102_0304),
        size_change: -5,
        count_change: -1,
        outcome: Bytes::new(),
    };
    let removal = crate::expirations::removal(Bytes::from_static(b"placek"));
    let made = |making: Option<&'static [u8]>| EntryBody::Expirations(making.map(Bytes::from_static));
    [
        Entry { body: EntryBody::Writes(vec![write]), index_changes: vec![removal], ..entry() },
        Entry { body: made(Some(b"half")), ..entry() },
        Entry { body: made(None), ..entry() },
    ]
}

#[rustfmt::skip]
const EXPIRED: &[u8] = &[
    49, 0, 0, 0,
    1, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 0, b'k',
    4,
    4, 3, 2, 1, 0, 0, 0, 0,
    0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff,
    0, 0, 0, 0,
    0, 0, 0, 0,
    1, 0, 0, 0,
    0x83, 2, 6, 0, b'p', b'l', b'a', b'c', b'e', b'k', 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0,
];

#[test]
fn entries_of_expired_items_stay_readable() {
    let [expired, half, made] = expiry();
    let of_expired = [&[2, 1], &GOLDEN[2..42], EXPIRED].concat();
    let of_half = golden_of(6, &[4, 0, 0, 0, b'h', b'a', b'l', b'f']);
    for (entry, golden) in [(expired, of_expired), (half, of_half), (made, golden_of(6, &[0, 0, 0, 0]))] {
        assert_stays(&entry, &golden);
    }
}

#[test]
fn entries_of_transactions_stay_readable() {
    let kept = vec![
        TransactionWrite { key: Bytes::from_static(b"key"), value: Some(Bytes::from_static(b"value")) },
        TransactionWrite { key: Bytes::from_static(b"gone"), value: None },
    ];
    let outcome = Some((RequestId([9; 16]), Bytes::from_static(b"done")));
    let body = EntryBody::Transaction(TransactionEntry { outcome, kept, writes: Vec::new() });
    let step = [
        &[1][..],
        &[9; 16],
        b"\x04\0\0\0done",
        b"\x02\0\0\0",
        b"\x03\0key\x01\x05\0\0\0value",
        b"\x04\0gone\0",
        b"\0\0\0\0",
    ];
    let of_step = golden_of(7, &step.concat());
    let dropped = EntryBody::Transaction(TransactionEntry::default());
    for (body, golden) in [(body, of_step), (dropped, golden_of(7, &[0; 9]))] {
        let header = Entry::decode(golden.clone().into()).unwrap().header;
        let entry = Entry { header, body, index_changes: Vec::new(), stream_changes: Vec::new() };
        assert_stays(&entry, &golden);
    }
}
