//! A table with a global index, whose partition is on the same nodes: whatever happens to the replicas of both, the index comes to
//! show just what the items say.

use crate::{
    cluster::Cluster,
    requests::{self, PARTITION, TABLE, definition},
};
use bytes::Bytes;
use cairn_model::{
    AttributeValue,
    codec::{EncodedItem, StoredVersion},
    descriptor::PartitionDescriptor,
    ids::{PartitionId, ReplicaId, TableId},
    index::{GlobalIndex, IndexProjection, ProjectionType},
    key::EncodedKey,
    keys::IndexKeySchema,
    node::{FedReport, Order, OrderOutcome, ReplicaState},
    number::Number,
    table::{KeyAttribute, KeySchema, ScalarType, TableDefinition},
};
use cairn_replication::{
    core::Input,
    feed::{FEED_BYTES_MAX, Fed, FeedBatch, FeedChanges, FeedError, Source},
    operation::{PartitionError, PartitionOutcome, PartitionRequest, RangeRequest},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{collections::BTreeMap, ops::Bound};

const INDEX: TableId = TableId([9; 16]);
const INDEX_PARTITION: PartitionId = PartitionId([9; 16]);

fn index(projection_type: ProjectionType) -> GlobalIndex {
    GlobalIndex {
        index_name: "by-group".into(),
        index_id: INDEX,
        slot: 3,
        key_schema: KeySchema {
            partition: KeyAttribute { name: "group".into(), scalar_type: ScalarType::S },
            sort: Some(KeyAttribute { name: "n".into(), scalar_type: ScalarType::N }),
        }
        .into(),
        projection: IndexProjection { projection_type, non_key_attributes: Default::default() },
        provisioned_throughput: None,
        on_demand_throughput: None,
        warm_throughput: None,
        partitions: Vec::new(),
    }
}

fn table(version: u64, indexes: Vec<GlobalIndex>) -> TableDefinition {
    TableDefinition { schema_version: version, global_indexes: indexes, ..definition() }
}

/// As [`index`], with two attributes of its partition key and two of its sort key.
fn several_keys(projection_type: ProjectionType) -> GlobalIndex {
    let key = |name: &str, scalar_type| KeyAttribute { name: name.into(), scalar_type };
    let partition = vec![key("group", ScalarType::S), key("x", ScalarType::S)];
    let sort = vec![key("n", ScalarType::N), key("id", ScalarType::S)];
    GlobalIndex { key_schema: IndexKeySchema::new(partition, sort).unwrap(), ..index(projection_type) }
}

fn index_descriptor() -> PartitionDescriptor {
    PartitionDescriptor { partition_id: INDEX_PARTITION, table_id: INDEX, ..requests::descriptor(3) }
}

fn cluster(indexes: Vec<GlobalIndex>) -> Cluster {
    configured(indexes, 1 << 30)
}

fn configured(indexes: Vec<GlobalIndex>, log_bytes_held: u64) -> Cluster {
    of_nodes(3, indexes, log_bytes_held)
}

/// With all replicas on the first three nodes.
fn of_nodes(nodes: usize, indexes: Vec<GlobalIndex>, log_bytes_held: u64) -> Cluster {
    let mut cluster = Cluster::configured(nodes, move |config| {
        config.log_entries_kept = 20;
        config.log_bytes_kept = 2_000;
        config.log_bytes_held = log_bytes_held;
    });
    let of_index = table(1, Vec::new()).of_index(indexes.first().unwrap_or(&index(ProjectionType::All)));
    for (node, order) in [
        (0, Order::Bootstrap { descriptor: requests::descriptor(3), definition: table(1, indexes) }),
        (1, Order::Bootstrap { descriptor: index_descriptor(), definition: of_index }),
    ] {
        assert_eq!(cluster.order(node, order), OrderOutcome::Done);
    }
    cluster.ticks(15);
    cluster
}

fn leader_of(cluster: &Cluster, partition: PartitionId) -> Option<usize> {
    let leads = |node: &usize| {
        let reports = cluster.nodes[*node].core.as_ref()?.replicas();
        let report = reports.into_iter().find(|report| report.descriptor.partition_id == partition)?;
        (report.state == ReplicaState::Leader).then_some((report.term, *node))
    };
    (0..cluster.nodes.len()).filter_map(|node| leads(&node)).max().map(|(_, node)| node)
}

fn leads(cluster: &mut Cluster, partition: PartitionId) -> usize {
    for _ in 0..200 {
        if let Some(leader) = leader_of(cluster, partition) {
            return leader;
        }
        cluster.ticks(1);
    }
    panic!("nobody leads {partition}");
}

fn send(cluster: &mut Cluster, batch: FeedBatch) -> Result<Fed, PartitionError> {
    let leader = leads(cluster, INDEX_PARTITION);
    let token = cluster.token();
    let request = PartitionRequest::Feed(batch);
    cluster.step(leader, Input::Request { token, partition: INDEX_PARTITION, epoch: 77, request });
    cluster.settle();
    match cluster.answers.remove(&token) {
        Some(Ok(PartitionOutcome::Fed(fed))) => Ok(fed),
        Some(Err(error)) => Err(error),
        other => panic!("not fed: {other:?}"),
    }
}

fn ask(cluster: &mut Cluster) -> Fed {
    let ask = FeedBatch { source: PARTITION, index: INDEX, changes: None };
    (0..20)
        .find_map(|_| match send(cluster, ask.clone()) {
            Ok(fed) => Some(fed),
            Err(_) => {
                cluster.ticks(5);
                None
            }
        })
        .unwrap()
}

/// What the table's leader has for an index that is at `fed`.
fn next(cluster: &mut Cluster, fed: &Fed) -> Result<Option<FeedBatch>, FeedError> {
    let leader = leads(cluster, PARTITION);
    let node = &cluster.nodes[leader];
    Source::of(node.engine.as_ref().unwrap(), &node.log, PARTITION, INDEX)?.batch(fed, FEED_BYTES_MAX)
}

/// Feeds the index until it has all that there is, and all that was there before it.
fn feed(cluster: &mut Cluster) -> Fed {
    let mut fed = ask(cluster);
    for _ in 0..500 {
        match next(cluster, &fed) {
            Ok(Some(batch)) => {
                fed = send(cluster, batch).unwrap_or_else(|_| ask(cluster));
                let upto = fed.place.map_or(0, |place| place.index);
                let leader = leads(cluster, PARTITION);
                cluster.step(leader, Input::Fed { partition: PARTITION, index: INDEX, upto });
            }
            Ok(None) if fed.complete => return fed,
            Ok(None) | Err(FeedError::NotBegun | FeedError::Behind { .. }) => cluster.ticks(2),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the index is never complete: {fed:?}");
}

fn items(cluster: &Cluster, node: usize, partition: PartitionId) -> BTreeMap<EncodedKey, EncodedItem> {
    let engine = cluster.nodes[node].engine.as_ref().unwrap();
    let storage_id = engine.replica(partition).unwrap().storage_id;
    let pairs = engine.scan(storage_id, Bound::Unbounded, Bound::Unbounded, true).map(Result::unwrap);
    pairs.map(|(key, stored)| (key, StoredVersion::parse(stored).unwrap().item)).collect()
}

fn assert_indexed(cluster: &mut Cluster, index: &GlobalIndex) {
    cluster.ticks(20);
    let leader = leads(cluster, PARTITION);
    let table = definition();
    let expected: BTreeMap<EncodedKey, EncodedItem> = items(cluster, leader, PARTITION)
        .into_iter()
        .filter_map(|(key, item)| {
            let place = index.key_of(&key, &item).unwrap()?;
            Some((place, EncodedItem::encode(&index.project(&table.key_schema, item.decode().unwrap()))))
        })
        .collect();
    for node in 0..3 {
        assert_eq!(items(cluster, node, INDEX_PARTITION), expected, "node {node}");
        let engine = cluster.nodes[node].engine.as_ref().unwrap();
        let applied = engine.replica(INDEX_PARTITION).unwrap().applied;
        let bytes: u64 = expected.values().map(|item| u64::from(item.size().unwrap())).sum();
        assert_eq!((applied.item_count, applied.size_bytes), (expected.len() as u64, bytes), "node {node}");
    }
}

fn put(number: u64, id: &str, group: Option<&str>, n: i64) -> PartitionRequest {
    let mut item = requests::item(id, n);
    item.extend(group.map(|group| ("group".to_owned(), AttributeValue::S(group.to_owned()))));
    item.insert("x".into(), AttributeValue::S(format!("of {number}")));
    requests::put_item(number, id, &item)
}

#[test]
fn an_index_shows_items_under_its_own_key_and_only_those_that_have_it() {
    for index in [index, several_keys] {
        shows_items(&index(ProjectionType::KeysOnly));
    }
}

fn shows_items(index: &GlobalIndex) {
    let mut cluster = cluster(vec![index.clone()]);
    cluster.write(0, put(1, "a", Some("g"), 5));
    cluster.write(0, put(2, "b", None, 5));
    cluster.write(0, put(3, "c", Some("g"), 4));
    feed(&mut cluster);
    assert_indexed(&mut cluster, index);
    cluster.write(0, put(4, "a", Some("h"), 5));
    cluster.write(0, requests::delete(5, "c"));
    feed(&mut cluster);
    assert_indexed(&mut cluster, index);
    let request = RangeRequest {
        lower: Bound::Unbounded,
        upper: Bound::Unbounded,
        forward: true,
        limit: Some(1),
        page_bytes: 1 << 20,
        filter: None,
        projection: None,
        count_only: false,
        consistent: false,
        index: None,
    };
    let Some(Ok(PartitionOutcome::Range(page))) = cluster.ask_at(1, INDEX_PARTITION, PartitionRequest::Range(request))
    else {
        panic!("no page");
    };
    let shown = page.items[0].decode().unwrap();
    assert_eq!(page.last_evaluated_key.as_ref(), Some(&shown), "the keys of the index and of the table");
    assert_eq!(shown["n"], AttributeValue::N(Number::from(5i64)));
}

#[test]
fn a_batch_that_comes_again_or_out_of_turn_changes_nothing() {
    let mut cluster = cluster(vec![index(ProjectionType::All)]);
    cluster.write(0, put(1, "a", Some("g"), 1));
    let begin = ask(&mut cluster);
    let first = next(&mut cluster, &begin).unwrap().unwrap();
    let fed = send(&mut cluster, first.clone()).unwrap();
    cluster.write(0, requests::delete(2, "a"));
    let second = next(&mut cluster, &fed).unwrap().unwrap();
    let fed = send(&mut cluster, second.clone()).unwrap();
    for again in [first, second.clone(), second] {
        assert_eq!(send(&mut cluster, again).unwrap(), fed, "it says where it is");
    }
    let mut later = next(&mut cluster, &begin).unwrap().unwrap();
    later.changes = later.changes.map(|changes| FeedChanges { after: Some(changes.through), ..changes });
    assert_eq!(send(&mut cluster, later).unwrap(), fed);
    feed(&mut cluster);
    assert_indexed(&mut cluster, &index(ProjectionType::All));
}

fn told_by(cluster: &Cluster, node: usize) -> Vec<FedReport> {
    let reports = cluster.nodes[node].core.as_ref().unwrap().replicas();
    reports.into_iter().find(|report| report.descriptor.partition_id == INDEX_PARTITION).unwrap().fed_by
}

#[test]
fn every_replica_of_an_index_tells_how_much_of_its_table_it_has() {
    let mut cluster = cluster(vec![index(ProjectionType::All)]);
    assert_eq!(told_by(&cluster, 0), []);
    cluster.write(0, put(1, "a", Some("g"), 1));
    let ask_first = ask(&mut cluster);
    let first = next(&mut cluster, &ask_first).unwrap().unwrap();
    send(&mut cluster, first).unwrap();
    let fed = feed(&mut cluster);
    // Until all of it is persisted.
    cluster.ticks(150);
    let told = FedReport { partition_id: PARTITION, complete: true, through: fed.place.unwrap().index };
    for node in 0..3 {
        assert_eq!(told_by(&cluster, node), [told], "node {node}");
    }
    cluster.crash(1);
    cluster.start(1);
    assert_eq!(told_by(&cluster, 1), [told], "it is kept with the data");
}

#[test]
fn an_index_is_written_to_by_its_table_only() {
    let mut cluster = cluster(vec![index(ProjectionType::All)]);
    let leader = leads(&mut cluster, INDEX_PARTITION);
    let refused = cluster.ask_at(leader, INDEX_PARTITION, put(1, "a", Some("g"), 1));
    assert!(matches!(refused, Some(Err(PartitionError::Service(_)))), "{refused:?}");
    let stranger = FeedBatch { source: PARTITION, index: TABLE, changes: None };
    assert!(matches!(send(&mut cluster, stranger), Err(PartitionError::Service(_))));
}

#[test]
fn the_log_is_kept_until_the_index_has_it() {
    let mut cluster = cluster(vec![index(ProjectionType::All)]);
    feed(&mut cluster);
    for number in 0..300 {
        let leader = leads(&mut cluster, PARTITION);
        cluster.write(leader, put(number, &format!("item-{}", number % 7), Some("g"), number as i64));
        if number % 10 == 0 {
            cluster.ticks(10);
        }
    }
    let leader = leads(&mut cluster, PARTITION);
    cluster.crash(leader);
    cluster.await_leader(Some(leader));
    cluster.start(leader);
    cluster.ticks(10);
    feed(&mut cluster);
    assert_indexed(&mut cluster, &index(ProjectionType::All));
}

/// A replica that came by a snapshot has no log from before it.
#[test]
fn a_leader_whose_log_lacks_what_the_index_needs_gives_way_to_one_that_has_it() {
    let mut cluster = of_nodes(4, vec![index(ProjectionType::All)], 1 << 30);
    let fed = feed(&mut cluster);
    for number in 0..60 {
        let leader = leads(&mut cluster, PARTITION);
        cluster.write(leader, put(number, &format!("item-{}", number % 7), Some("g"), number as i64));
    }
    let replaced = ReplicaId(1 + (leads(&mut cluster, PARTITION) as u64 + 1) % 3);
    let replace = Order::ReplaceReplica {
        partition_id: PARTITION,
        replace: replaced,
        node_id: requests::node_id(3),
        zone: "zone-3".into(),
        address: "node-3:7400".into(),
    };
    let is_done = |cluster: &mut Cluster| {
        cluster.ticks(10);
        let leader = leads(cluster, PARTITION);
        cluster.order(leader, replace.clone()) == OrderOutcome::Done
    };
    assert!((0..50).any(|_| is_done(&mut cluster)));
    let turns = (0..9).take_while(|_| {
        let leader = leads(&mut cluster, PARTITION);
        cluster.step(leader, Input::LogLacks { partition: PARTITION });
        cluster.ticks(20);
        leads(&mut cluster, PARTITION) != 3
    });
    assert!(turns.count() < 9, "the new replica never leads");
    assert!(matches!(next(&mut cluster, &fed), Err(FeedError::Gone(_))));
    cluster.step(3, Input::LogLacks { partition: PARTITION });
    cluster.ticks(20);
    assert_ne!(leads(&mut cluster, PARTITION), 3);
    feed(&mut cluster);
    assert_indexed(&mut cluster, &index(ProjectionType::All));
}

#[test]
fn writes_wait_for_an_index_that_is_too_far_behind() {
    let mut cluster = configured(vec![index(ProjectionType::All)], 100_000);
    feed(&mut cluster);
    let large = |cluster: &mut Cluster, number: u64| {
        let leader = leads(cluster, PARTITION);
        let mut item = requests::item("large", number as i64);
        item.insert("blob".into(), AttributeValue::B(Bytes::from(vec![7; 2_000])));
        cluster.ticks(1);
        cluster.ask(leader, requests::put_item(number, "large", &item)).unwrap()
    };
    let refused = (0..200).find_map(|number| large(&mut cluster, number).err().map(|error| (number, error)));
    let (taken, error) = refused.unwrap();
    // How much of a log lies behind an entry is known roughly.
    assert!((10..100).contains(&taken), "{taken}");
    assert!(matches!(&error, PartitionError::Overloaded { reason } if reason.contains("by-group")), "{error}");
    feed(&mut cluster);
    cluster.ticks(2);
    large(&mut cluster, 1_000).unwrap();
    feed(&mut cluster);
    assert_indexed(&mut cluster, &index(ProjectionType::All));
}

#[test]
fn an_index_that_is_added_later_comes_to_show_what_was_there_before() {
    let mut cluster = cluster(Vec::new());
    for number in 0..1_500 {
        cluster.write(0, put(number, &format!("item-{number}"), Some(["g", "h"][number as usize % 2]), number as i64));
    }
    let added = index(ProjectionType::All);
    let order = Order::UpdateDefinition { partition_id: PARTITION, definition: table(2, vec![added.clone()]) };
    assert_eq!(cluster.order(0, order), OrderOutcome::Done);
    // Writes go on while it is filled.
    for number in 1_500..1_600 {
        let id = format!("item-{}", number % 40 * 37);
        match number % 3 {
            0 => drop(cluster.write(0, requests::delete(number, &id))),
            _ => drop(cluster.write(0, put(number, &id, Some("moved"), number as i64))),
        }
        cluster.ticks(u64::from(number % 10 == 0));
    }
    assert!(feed(&mut cluster).complete);
    assert_indexed(&mut cluster, &added);
}

/// Also what is under way when the filling of the second begins.
#[test]
fn indexes_that_are_added_together_miss_nothing_that_is_written_meanwhile() {
    let mut cluster = cluster(Vec::new());
    let all = index(ProjectionType::All);
    let other = GlobalIndex { index_name: "another".into(), index_id: TableId([8; 16]), slot: 0, ..all.clone() };
    let order = Order::UpdateDefinition { partition_id: PARTITION, definition: table(2, vec![other, all.clone()]) };
    let (leader, token) = (leads(&mut cluster, PARTITION), cluster.token());
    cluster.step(leader, Input::Order { token, order: order.clone() });
    for number in 0..200 {
        cluster.send(leader, put(number, &format!("item-{number}"), Some("g"), number as i64));
        cluster.round();
    }
    cluster.settle();
    assert_eq!(cluster.order(leader, order), OrderOutcome::Done);
    feed(&mut cluster);
    assert_indexed(&mut cluster, &all);
}

/// What an index has, it has: also after what was under way is evaluated anew.
#[test]
fn writes_do_not_wait_for_an_index_that_has_everything() {
    let mut cluster = configured(vec![index(ProjectionType::All)], 20_000);
    for number in 0..120 {
        let leader = leads(&mut cluster, PARTITION);
        let mut item = requests::item("large", number as i64);
        item.insert("blob".into(), AttributeValue::B(Bytes::from(vec![7; 1_000])));
        cluster.ask(leader, requests::put_item(number, "large", &item)).unwrap().unwrap();
        feed(&mut cluster);
    }
    let leader = leads(&mut cluster, PARTITION);
    let definition = table(2, vec![index(ProjectionType::All)]);
    let order = Order::UpdateDefinition { partition_id: PARTITION, definition };
    for _ in 0..3 {
        cluster.order(leader, order.clone());
        cluster.ticks(2);
        cluster.write(leader, put(1_000, "small", None, 1));
    }
}

#[test]
fn an_index_comes_to_show_what_the_items_say_through_crashes_and_changes_of_leader() {
    (0..10).for_each(survive);
}

fn survive(seed: u64) {
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let projection = [ProjectionType::All, ProjectionType::KeysOnly][seed as usize % 2];
    let mut cluster = cluster(if seed.is_multiple_of(3) { Vec::new() } else { vec![index(projection)] });
    let mut fed = Fed::default();
    for number in 0..250u64 {
        let leader = leads(&mut cluster, PARTITION);
        if number == 120 && seed.is_multiple_of(3) {
            let definition = table(2, vec![index(projection)]);
            assert_eq!(
                cluster.order(leader, Order::UpdateDefinition { partition_id: PARTITION, definition }),
                OrderOutcome::Done
            );
        }
        let id = ["a", "b", "c", "d", "e"][random.random_range(0..5)];
        let group = [Some("g"), Some("h"), Some(""), None][random.random_range(0..4)];
        match random.random_range(0..20) {
            0..9 => drop(cluster.ask(leader, put(number, id, group, random.random_range(0..3)))),
            9..11 => drop(cluster.ask(leader, requests::add(number, id, 1))),
            11..14 => drop(cluster.ask(leader, requests::delete(number, id))),
            // Several in one entry.
            14 => {
                cluster.send(leader, put(number + 10_000, id, group, 1));
                cluster.send(leader, requests::delete(number + 20_000, id));
                cluster.send(leader, put(number + 30_000, id, Some("g"), 2));
                cluster.settle();
            }
            15..19 => {
                if let Ok(Some(batch)) = next(&mut cluster, &fed) {
                    fed = send(&mut cluster, batch).unwrap_or_else(|_| ask(&mut cluster));
                }
            }
            _ => {
                let victim = random.random_range(0..3);
                cluster.crash(victim);
                cluster.ticks(random.random_range(1..30));
                cluster.start(victim);
                cluster.ticks(10);
            }
        }
    }
    feed(&mut cluster);
    assert_indexed(&mut cluster, &index(projection));
}

#[test]
fn bytes_of_a_batch_are_bounded() {
    let mut cluster = cluster(vec![index(ProjectionType::All)]);
    for number in 0..12 {
        let mut item = requests::item(&format!("item-{number}"), 1);
        item.insert("group".into(), AttributeValue::S("g".into()));
        item.insert("blob".into(), AttributeValue::B(Bytes::from(vec![7; 300_000])));
        cluster.write(0, requests::put_item(number, &format!("item-{number}"), &item));
    }
    let fed = ask(&mut cluster);
    let batch = next(&mut cluster, &fed).unwrap().unwrap();
    let writes = batch.changes.unwrap().writes;
    let bytes: usize = writes.iter().filter_map(|write| write.version.as_ref()).map(Bytes::len).sum();
    assert!(bytes <= FEED_BYTES_MAX + 400_000, "{bytes}");
    feed(&mut cluster);
    assert_indexed(&mut cluster, &index(ProjectionType::All));
}
