use crate::{
    cluster::Cluster,
    requests::{self, PARTITION, add, delete, item, put, put_new},
};
use bytes::Bytes;
use cairn_model::{
    ids::{PartitionId, TableId},
    node::OrderOutcome,
    time::Timestamp,
};
use cairn_replication::{
    core::Input,
    log::LogEntry,
    restore::{LoadedVersion, Restoration, RestoreError, entry_time},
};

const NEW: PartitionId = PartitionId([9; 16]);

fn snapshot(cluster: &Cluster, node: usize) -> Vec<Bytes> {
    let engine = cluster.nodes[node].engine.as_ref().unwrap();
    let mut reader = engine.snapshot(engine.replica(PARTITION).unwrap().storage_id).unwrap();
    std::iter::from_fn(|| reader.next_chunk().unwrap()).collect()
}

/// Three items, a snapshot, and changes of all three behind it, of two leaders; gives the time of the one before the last.
fn archived() -> (Vec<Bytes>, Vec<LogEntry>, Timestamp, Cluster) {
    let mut cluster = Cluster::with_partition(3, 3);
    for (n, id) in [(1, "a"), (2, "b"), (3, "c")] {
        cluster.write(0, put(n, id, n as i64));
    }
    let chunks = snapshot(&cluster, 0);
    cluster.ticks(2);
    cluster.write(0, add(4, "a", 10));
    let failed = cluster.ask(0, put_new(5, "b", 99)).unwrap();
    assert!(failed.is_err(), "it becomes an entry without effect");
    cluster.crash(0);
    let leader = cluster.await_leader(Some(0));
    cluster.write(leader, put(6, "d", 4));
    cluster.ticks(2);
    let time = cluster.committed(leader).last().and_then(entry_time).unwrap();
    cluster.ticks(2);
    cluster.write(leader, put(7, "c", 33));
    let entries = cluster.committed(leader);
    (chunks, entries, time, cluster)
}

/// Restores on node 0 of three, as a table of its own.
fn restored(chunks: &[Bytes], entries: &[LogEntry]) -> Cluster {
    let mut cluster = Cluster::new(3);
    let engine = cluster.nodes[0].engine.clone().unwrap();
    let mut restoration = Restoration::begin(engine).unwrap();
    chunks.iter().for_each(|chunk| restoration.chunk(chunk).unwrap());
    entries.iter().for_each(|entry| restoration.entry(entry).unwrap());
    let restored = restoration.finish().unwrap();
    let mut descriptor = requests::descriptor(3);
    let mut definition = requests::definition();
    (descriptor.partition_id, descriptor.table_id, definition.table_id) = (NEW, TableId([9; 16]), TableId([9; 16]));
    let token = cluster.token();
    cluster.step(0, Input::Adopt { token, restored: Box::new(restored), descriptor, definition });
    cluster.settle();
    assert_eq!(cluster.order_answers[&token], OrderOutcome::Done);
    cluster.ticks(20);
    cluster
}

fn values(cluster: &mut Cluster, node: usize) -> Vec<Option<i64>> {
    let value = |cluster: &mut Cluster, id| (0..100).find(|n| cluster.peek_at(node, NEW, id) == Some(item(id, *n)));
    ["a", "b", "c", "d"].map(|id| value(cluster, id)).to_vec()
}

#[test]
fn a_partition_is_restored_to_the_last_entry_given_on_all_its_members() {
    let (chunks, entries, time, _) = archived();
    let until: Vec<LogEntry> =
        entries.iter().filter(|entry| entry_time(entry).is_none_or(|at| at <= time)).cloned().collect();
    for (entries, expected) in [
        (&[][..], [Some(1), Some(2), Some(3), None]),
        (&until, [Some(11), Some(2), Some(3), Some(4)]),
        (&entries, [Some(11), Some(2), Some(33), Some(4)]),
    ] {
        let mut cluster = restored(&chunks, entries);
        for node in 0..3 {
            assert_eq!(values(&mut cluster, node), expected, "node {node}");
        }
        let report = cluster.report(1).unwrap();
        assert_eq!(report.item_count, expected.iter().flatten().count() as u64);
    }
}

#[test]
fn a_restored_partition_takes_writes_and_stamps_them_above_what_it_holds() {
    let (chunks, entries, ..) = archived();
    let last = entries.iter().filter_map(entry_time).max().unwrap();
    let mut cluster = restored(&chunks, &entries);
    // The clocks of this cluster are behind the other's.
    for node in &mut cluster.nodes {
        node.wall_offset_ms -= 3_600_000;
    }
    cluster.ticks(30);
    let leader = cluster.leader().unwrap();
    cluster.write_at(leader, NEW, put(1, "a", 50));
    assert_eq!(cluster.peek_at(leader, NEW, "a"), Some(item("a", 50)));
    let engine = cluster.nodes[leader].engine.as_ref().unwrap();
    assert!(engine.replica(NEW).unwrap().applied.entry_time > last);
}

#[test]
fn an_outcome_of_the_archived_partition_is_no_answer_of_the_restored_one() {
    let (chunks, entries, ..) = archived();
    let mut cluster = restored(&chunks, &entries);
    let leader = cluster.leader().unwrap();
    cluster.write_at(leader, NEW, put(7, "c", 44));
    assert_eq!(cluster.peek_at(leader, NEW, "c"), Some(item("c", 44)));
}

#[test]
fn an_entry_out_of_turn_is_refused() {
    let (chunks, entries, _, cluster) = archived();
    let engine = cluster.nodes[1].engine.clone().unwrap();
    let behind: Vec<&LogEntry> = entries.iter().filter(|entry| entry.index > 5).collect();
    let mut restoration = Restoration::begin(engine).unwrap();
    let early = restoration.entry(behind[0]).unwrap_err();
    assert!(matches!(early, RestoreError::OutOfTurn(_)), "{early}");
    chunks.iter().for_each(|chunk| restoration.chunk(chunk).unwrap());
    let hole = restoration.entry(behind[1]).unwrap_err();
    assert!(matches!(hole, RestoreError::OutOfTurn(_)), "{hole}");
}

#[test]
fn what_was_restored_and_not_adopted_is_reclaimed() {
    let (chunks, ..) = archived();
    let cluster = Cluster::new(1);
    let engine = cluster.nodes[0].engine.clone().unwrap();
    let mut restoration = Restoration::begin(engine.clone()).unwrap();
    chunks.iter().for_each(|chunk| restoration.chunk(chunk).unwrap());
    drop(restoration);
    assert!(engine.reclaim(1).unwrap() || !engine.reclaim(1_000).unwrap());
    while engine.reclaim(1_000).unwrap() {}
    assert!(engine.replicas().is_empty());
}

#[test]
fn what_is_loaded_to_be_read_shows_its_items_and_what_was_deleted_after_a_time() {
    let (chunks, _, time, mut cluster) = archived();
    let leader = cluster.leader().unwrap();
    cluster.ticks(2);
    cluster.write(leader, delete(8, "a"));
    let entries = cluster.committed(leader);
    let read = |after: Option<Timestamp>| {
        let engine = Cluster::new(1).nodes[0].engine.clone().unwrap();
        let mut restoration = Restoration::begin(engine.clone()).unwrap();
        if let Some(after) = after {
            restoration.keep_deletions(after);
        }
        chunks.iter().for_each(|chunk| restoration.chunk(chunk).unwrap());
        entries.iter().for_each(|entry| restoration.entry(entry).unwrap());
        let loaded = restoration.read().unwrap();
        let mut all = Vec::new();
        let mut last = None;
        while let Some((key, version)) = loaded.page(last.as_ref(), 1).unwrap().into_iter().next() {
            assert_eq!(loaded.get(&key).unwrap().as_ref(), Some(&version));
            all.push(version);
            last = Some(key);
        }
        drop(loaded);
        while engine.reclaim(1_000).unwrap() {}
        let deleted = all.iter().filter(|version| matches!(version, LoadedVersion::Deleted(at) if *at > time)).count();
        (all.len() - deleted, deleted)
    };
    assert_eq!(read(None), (3, 0));
    assert_eq!(read(Some(time)), (3, 1));
    assert_eq!(read(Some(Timestamp(u64::MAX))), (3, 0));
}

#[test]
fn what_keeps_deletions_is_not_given_on() {
    let (chunks, ..) = archived();
    let engine = Cluster::new(1).nodes[0].engine.clone().unwrap();
    let mut restoration = Restoration::begin(engine).unwrap();
    restoration.keep_deletions(Timestamp(0));
    chunks.iter().for_each(|chunk| restoration.chunk(chunk).unwrap());
    assert!(matches!(restoration.finish(), Err(RestoreError::OutOfTurn(_))));
}
