//! Batches of other regions, beside clients' writes.

use super::*;
use crate::{
    global::{BatchBody, CopyPosition, GlobalState, Gone, Group, Lineage, Member, Origin, Record, RemoteBatch, Vector},
    place::LogPlace,
};
use cairn_model::key::EncodedKey;

/// A leader of a table that the regions east and west have in common, and a batch of the west.
fn global_leader() -> (Leader, RemoteBatch) {
    let mut leader = Leader::new();
    let mut definition = testing::definition();
    let members: std::collections::BTreeSet<String> = ["east".to_owned(), "west".to_owned()].into();
    definition.replicas = Some(GlobalReplicas { members: members.clone(), ..GlobalReplicas::in_region("east") });
    leader.state.definition = Arc::new(definition);
    leader.proposer.keep_up(leader.wall_ms);
    leader.round();
    leader.apply();
    let kept = leader.engine.kept(1, &Kept::Regions).unwrap();
    let own = GlobalState::of(kept.as_ref()).unwrap().own;
    let west = Lineage { region: "west".into(), since: Timestamp(1), partition: PartitionId([9; 16]) };
    let has: Vector = [(west.clone(), Timestamp::from_millis(900))].into_iter().collect();
    let version = StoredVersion {
        version_time: Timestamp::from_millis(900),
        origin: Bytes::from_static(b"west"),
        item: cairn_model::codec::EncodedItem::encode(&testing::item("a", 7)),
    };
    let place = LogPlace { index: 5, term: 1, sequence: 1, epoch: 1, schema_version: 1 };
    let batch = RemoteBatch {
        source: Member { lineage: west, founder: None, is_settled: false, members, has: has.clone() },
        reader: "east".into(),
        reader_lineage: own,
        known: has.clone(),
        read: None,
        others: Vec::new(),
        gone: Gone::default(),
        pending: 0,
        body: BatchBody::Copy {
            page: CopyPosition { start: place, vector: has, after: Bytes::new() },
            next: None,
            records: vec![Record { key: testing::key("a"), version: version.encode() }],
        },
    };
    (leader, batch)
}

#[test]
fn that_a_table_became_global_is_noted_before_anything_is_written() {
    let mut leader = Leader::new();
    leader.ask(1, testing::put(1, "a", 1));
    leader.round();
    leader.apply();
    let mut definition = testing::definition();
    definition.replicas = Some(GlobalReplicas::in_region("east"));
    leader.state.definition = Arc::new(definition);
    leader.proposer.change_proposed(None);
    leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    leader.ask(2, testing::delete(2, "a"));
    leader.refuses = true;
    leader.round();
    leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    leader.refuses = false;
    leader.round();
    let EntryBody::Remote(noted) = leader.entry(3).body else { panic!("not noted") };
    let state = GlobalState::decode(&noted.state).unwrap();
    assert_eq!(state.own.as_ref().map(|own| own.since), Some(leader.entry(3).header.entry_time));
    assert_eq!(state.founder, state.own, "it held an item");
    assert_eq!(writes(&leader.entry(4)).len(), 1);
}

#[test]
fn a_batch_of_another_region_is_answered_once_it_is_applied_and_later_writes_see_it_at_once() {
    let (mut leader, batch) = global_leader();
    leader.proposer.enqueue_remote(1, batch, 100);
    leader.ask(2, testing::add(2, "a", 1));
    leader.round();
    assert_eq!(leader.log.len(), 3, "what is of another region has an entry of its own");
    assert!(leader.proposer.take_remote_answers().is_empty());
    leader.apply();
    let answers = leader.proposer.take_remote_answers();
    assert_eq!(answers[0].1.as_ref().unwrap().place.unwrap().index, 5);
    leader.apply();
    assert_eq!(attributes(&leader.answers()[0]), testing::number("n", 8));
}

#[test]
fn a_batch_in_a_void_entry_is_not_done_and_taken_when_it_comes_again() {
    let (mut leader, batch) = global_leader();
    leader.proposer.enqueue_remote(1, batch.clone(), 100);
    leader.round();
    let mut descriptor = testing::descriptor(1);
    descriptor.epoch = 2;
    leader.state.descriptor = Arc::new(descriptor);
    leader.apply();
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(1, Err(PartitionError::Overloaded { .. }))]));
    assert_eq!(leader.state.applied.item_count, 0);
    leader.proposer.enqueue_remote(2, batch, 100);
    leader.round();
    leader.apply();
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(2, Ok(_))]));
    assert_eq!(leader.state.applied.item_count, 1);
}

#[test]
fn a_damaged_record_refuses_its_batch_whole() {
    let (mut leader, mut batch) = global_leader();
    if let BatchBody::Copy { records, .. } = &mut batch.body {
        records.push(Record { key: testing::key("b"), version: Bytes::from_static(b"\x01") });
    }
    leader.proposer.enqueue_remote(1, batch, 100);
    leader.round();
    assert_eq!(leader.log.len(), 1);
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(1, Err(PartitionError::Service(_)))]));
    leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    leader.ask(2, testing::put_new(2, "a", 1));
    leader.round();
    leader.apply();
    assert!(leader.answers()[0].1.is_ok(), "nothing of it is left");
}

#[test]
fn a_batch_with_a_key_or_a_region_longer_than_any_is_refused_whole() {
    let (mut leader, batch) = global_leader();
    let version = |origin: &'static str| {
        StoredVersion::tombstone(Timestamp::from_millis(900), Bytes::from_static(origin.as_bytes())).encode()
    };
    const LONG: &str = "a-region-whose-name-is-longer-than-the-sixty-three-bytes-it-may-have";
    let key = testing::key("b");
    let long_key = EncodedKey(vec![0; 70_000].into());
    for record in
        [Record { key: long_key, version: version("west") }, Record { key: key.clone(), version: version(LONG) }]
    {
        let mut batch = batch.clone();
        if let BatchBody::Copy { records, .. } = &mut batch.body {
            records.push(record);
        }
        leader.proposer.enqueue_remote(1, batch, 100);
        leader.round();
        assert!(matches!(leader.proposer.take_remote_answers()[..], [(1, Err(PartitionError::Service(_)))]));
        assert!(leader.proposer.overlay.is_empty() && leader.log.len() == 1);
        leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    }
    leader.proposer.enqueue_remote(2, batch, 100);
    leader.round();
    leader.apply();
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(2, Ok(_))]), "the next one is taken");
}

#[test]
fn a_batch_that_names_more_tables_than_are_kept_is_refused_whole() {
    let (mut leader, batch) = global_leader();
    let many: Vector = (0..1_025)
        .map(|since| (Lineage { since: Timestamp(since), ..batch.source.lineage.clone() }, Timestamp::from_millis(1)))
        .collect();
    let mut said = batch.clone();
    said.source.has = many.clone();
    let mut copied = batch.clone();
    if let BatchBody::Copy { page, .. } = &mut copied.body {
        page.vector = many.clone();
    }
    let mut changed = RemoteBatch {
        body: BatchBody::Changes {
            after: 5,
            through: LogPlace { index: 6, term: 1, sequence: 2, epoch: 1, schema_version: 1 },
            groups: many
                .iter()
                .map(|(lineage, time)| Origin { lineage: lineage.clone(), time })
                .map(|origin| Group { origin: Some(origin), records: Vec::new() })
                .collect(),
        },
        ..batch.clone()
    };
    for large in [said, copied] {
        leader.proposer.enqueue_remote(1, large, 100);
        leader.round();
        assert!(matches!(leader.proposer.take_remote_answers()[..], [(1, Err(PartitionError::Service(_)))]));
        assert_eq!(leader.log.len(), 1);
        leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    }
    leader.proposer.enqueue_remote(2, batch, 100);
    leader.round();
    leader.apply();
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(2, Ok(_))]));
    leader.proposer.enqueue_remote(3, changed.clone(), 100);
    leader.round();
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(3, Err(PartitionError::Service(_)))]));
    leader.proposer.settle(&leader.state.applied, &mut leader.answers);
    if let BatchBody::Changes { groups, .. } = &mut changed.body {
        groups.truncate(1_000);
    }
    leader.proposer.enqueue_remote(4, changed, 100);
    leader.round();
    while leader.state.applied.index + 1 < leader.next_index() {
        leader.apply();
    }
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(4, Ok(_))]));
}

#[test]
fn batches_that_wait_are_few_and_none_waits_past_its_deadline() {
    let (mut leader, batch) = global_leader();
    (0..9).for_each(|token| leader.proposer.enqueue_remote(token, batch.clone(), 100));
    assert!(matches!(leader.proposer.take_remote_answers()[..], [(8, Err(PartitionError::Overloaded { .. }))]));
    leader.proposer.expire(100, &mut leader.answers);
    assert_eq!(leader.proposer.take_remote_answers().len(), 8);
}

#[test]
fn a_leader_that_comes_after_the_tombstone_is_gone_does_not_take_again_what_it_kept_out() {
    let (mut leader, mut batch) = global_leader();
    leader.proposer.enqueue_remote(1, batch.clone(), 100);
    leader.ask(2, testing::delete(2, "a"));
    leader.round();
    leader.apply();
    leader.apply();
    leader.proposer.keep_up(leader.wall_ms);
    leader.round();
    leader.apply();
    let tombstones = |leader: &Leader| leader.engine.tombstones(1, None).count();
    assert_eq!((leader.state.applied.item_count, tombstones(&leader)), (0, 1));

    let (own, west) = (batch.reader_lineage.clone().unwrap(), batch.source.lineage.clone());
    let loser = StoredVersion {
        version_time: Timestamp::from_millis(950),
        origin: Bytes::from_static(b"west"),
        item: cairn_model::codec::EncodedItem::encode(&testing::item("a", 8)),
    };
    let group = |millis, records| {
        let origin = Some(Origin { lineage: west.clone(), time: Timestamp::from_millis(millis) });
        Group { origin, records }
    };
    let lost = vec![Record { key: testing::key("a"), version: loser.encode() }];
    batch.body = BatchBody::Changes {
        after: 5,
        through: LogPlace { index: 6, term: 1, sequence: 2, epoch: 1, schema_version: 1 },
        groups: vec![group(950, lost), group(2_000, Vec::new())],
    };
    let has = [(west.clone(), Timestamp::from_millis(2_000)), (own, Timestamp::from_millis(2_000))];
    let mut hello = RemoteBatch { body: BatchBody::Hello, ..batch.clone() };
    hello.source.has = has.into_iter().collect();
    leader.proposer.enqueue_remote(3, batch.clone(), 100);
    leader.proposer.enqueue_remote(4, hello, 100);
    leader.round();
    assert_eq!(leader.log.len(), 4, "nothing was won");
    leader.proposer.keep_up(leader.wall_ms);
    leader.round();
    leader.apply();
    assert_eq!(tombstones(&leader), 0, "all have everything");

    leader.proposer = Proposer::new(LIMITS);
    leader.proposer.lead(&leader.state.applied);
    leader.proposer.enqueue_remote(5, batch, 100);
    leader.round();
    while leader.state.applied.index + 1 < leader.next_index() {
        leader.apply();
    }
    assert!(matches!(leader.proposer.take_remote_answers()[..], [.., (5, Ok(_))]));
    assert_eq!(leader.state.applied.item_count, 0, "the deletion stays");
}
