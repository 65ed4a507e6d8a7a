//! Three storage nodes as processes, over real TLS and real disks: writes go on when one dies, and nobody else gets in.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod support;

use cairn_api::{Partitions, TableView};
use cairn_model::{
    AttributeValue, Item,
    codec::EncodedItem,
    ids::{PartitionId, RequestId, TableId},
    key::EncodedKey,
    node::{Order, OrderOutcome, ReplicaState},
    table::StreamViewType,
    time::Timestamp,
};
use cairn_replication::{
    Clock, SystemClock,
    operation::{
        GetRequest, PartitionError, PartitionOutcome, PartitionRequest, ReturnValues, StreamRequest, WriteAction,
        WriteRequest,
    },
    wire::PartitionCall,
};
use cairn_server::internal::client::CallError;
use std::time::Duration;
use support::group::{ACCOUNT, Group, definition, group_name};

fn item(id: u64, value: u64) -> Item {
    Item::from([
        ("Id".to_owned(), AttributeValue::S(id.to_string())),
        ("Value".to_owned(), AttributeValue::S(value.to_string())),
    ])
}

async fn put(group: &Group, table: &TableView, id: u64, value: u64) {
    let item = item(id, value);
    let key = EncodedKey::new(&table.definition.key_schema, &item).unwrap();
    let write = WriteRequest {
        request_id: RequestId(*uuid::Uuid::new_v4().as_bytes()),
        key: key.clone(),
        action: WriteAction::Put(EncodedItem::encode(&item)),
        condition: None,
        return_values: ReturnValues::None,
        return_item_on_condition_failure: false,
    };
    group.request(table, &key.0, PartitionRequest::Write(write)).await.unwrap();
}

async fn value(group: &Group, table: &TableView, id: u64) -> Option<Item> {
    let key = EncodedKey::new(&table.definition.key_schema, &item(id, 0)).unwrap();
    let get = GetRequest { keys: vec![key.clone()], projection: None, consistent: true };
    match group.request(table, &key.0, PartitionRequest::Get(get)).await.unwrap() {
        PartitionOutcome::Get(outcome) => outcome.items[0].as_ref().map(|(item, _)| item.decode().unwrap()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_reads_go_on_when_the_leader_dies_and_nothing_acknowledged_is_missing() {
    let mut group = Group::start().await;
    let table = group.create_table().await;
    for id in 0..50 {
        put(&group, &table, id, 1).await;
    }
    let leader = group.leader().await;
    group.kill_node(leader);
    let survived = tokio::time::timeout(Duration::from_secs(5), async {
        put(&group, &table, 50, 1).await;
        value(&group, &table, 0).await
    });
    assert_eq!(survived.await.expect("no write within 5 s of the leader's death"), Some(item(0, 1)));
    for id in 0..=50 {
        assert_eq!(value(&group, &table, id).await, Some(item(id, 1)), "item {id}");
    }
    // The dead one comes back and catches up.
    group.start_node(leader);
    for _ in 0..100 {
        let report = group.report(leader).await;
        if report.replicas.iter().all(|replica| replica.caught_up && replica.item_count == 51)
            && !report.replicas.is_empty()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the node that came back did not catch up: {:?}", group.report(leader).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_a_stream_meets_every_change_once_while_leaders_die() {
    let mut group = Group::start().await;
    let mut definition = definition(TableId([9; 16]));
    definition.set_stream(Some(StreamViewType::KeysOnly), 1_700_000_000_000);
    let table = group.create_table_of(definition).await;
    let (mut seen, mut after, mut down) = (Vec::new(), None, None);
    for id in 0..60 {
        put(&group, &table, id, 1).await;
        if id % 20 == 9 {
            if let Some(node) = down.take() {
                group.start_node(node);
                while !group.report(node).await.replicas.iter().any(|replica| replica.caught_up) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            let leader = group.leader().await;
            group.kill_node(leader);
            down = Some(leader);
        }
        let stream =
            StreamRequest { stream: 1_700_000_000_000, after, horizon: Timestamp(1), limit: 3, page_bytes: 1 << 20 };
        match group.request(&table, b"", PartitionRequest::Stream(stream)).await.unwrap() {
            PartitionOutcome::Stream(page) => {
                after = Some(page.last);
                seen.extend(page.records);
            }
            other => panic!("{other:?}"),
        }
    }
    let ids: Vec<_> = seen.iter().map(|record| record.keys.get("Id").unwrap().unwrap()).collect();
    assert_eq!(ids, (0..60).map(|id: u64| AttributeValue::S(id.to_string())).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_a_deleted_table_is_on_every_node_and_nothing_else_of_the_table_is() {
    const RECORDS: u64 = 20;
    let mut group = Group::start().await;
    let now_ms = SystemClock.now().wall_ms;
    let mut definition = definition(TableId([9; 16]));
    definition.set_stream(Some(StreamViewType::NewImage), now_ms);
    let table = group.create_table_of(definition).await;
    for id in 0..RECORDS {
        put(&group, &table, id, 1).await;
    }
    let (partition_id, table_id) = (PartitionId([8; 16]), TableId([9; 16]));
    let drop = Order::DropPartition { partition_id, table_id, deleted_at_ms: Some(SystemClock.now().wall_ms) };
    let dropped = tokio::time::timeout(Duration::from_secs(30), async {
        let mut left: Vec<usize> = vec![0, 1, 2];
        while !left.is_empty() {
            for node in std::mem::take(&mut left) {
                match group.order(node, &drop).await {
                    OrderOutcome::Done => {}
                    OrderOutcome::InProgress { .. } => left.push(node),
                    other => panic!("{other:?}"),
                }
            }
            // Meanwhile it can be read as ever.
            assert_eq!(ids_in_stream(&group, &table, now_ms).await.len() as u64, RECORDS);
        }
    });
    dropped.await.expect("the order is carried out");
    for node in 0..3 {
        let report = group.report(node).await;
        assert_eq!((report.replicas.len(), report.retired.len()), (0, 1), "node {node}");
        let get = GetRequest { keys: Vec::new(), projection: None, consistent: false };
        let call = PartitionCall { partition: partition_id, epoch: 1, request: PartitionRequest::Get(get) };
        assert_eq!(group.request_at(node, &call).await, Err(PartitionError::UnknownPartition));
    }
    group.map.refresh(Duration::from_secs(2)).await;
    let told = group.router.streamed(ACCOUNT, Some("counters"));
    assert_eq!(
        told.iter().map(|table| (table.table_id, table.current_stream())).collect::<Vec<_>>(),
        [(table_id, None)]
    );
    assert_eq!(group.router.streamed(ACCOUNT, Some("others")), []);
    // Any node alone has it, after a restart too.
    (0..3).for_each(|node| group.kill_node(node));
    for node in 0..3 {
        group.start_node(node);
        group.report(node).await;
        let ids = ids_in_stream(&group, &table, now_ms).await;
        assert_eq!(ids, (0..RECORDS).map(|id| AttributeValue::S(id.to_string())).collect::<Vec<_>>(), "node {node}");
        group.kill_node(node);
    }
}

/// The keys of all records of a stream, which are fewer than a page has room for.
async fn ids_in_stream(group: &Group, table: &TableView, stream: u64) -> Vec<AttributeValue> {
    let request = StreamRequest { stream, after: None, horizon: Timestamp(1), limit: 1_000, page_bytes: 1 << 20 };
    match group.request(table, b"", PartitionRequest::Stream(request)).await.unwrap() {
        PartitionOutcome::Stream(page) => {
            page.records.iter().map(|record| record.keys.get("Id").unwrap().unwrap()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_counts_what_was_written_just_before_and_what_was_last_heard_of_where_nobody_leads() {
    let mut group = Group::start().await;
    let table = group.create_table().await;
    for count in 1..=20 {
        put(&group, &table, count, 1).await;
        assert_eq!(group.router.counts(&table).await.unwrap().item_count, count);
    }
    let heard = || group.map.routes().table(table.definition.table_id).is_some_and(|known| known.item_count == 20);
    for _ in 0..100 {
        if heard() {
            break;
        }
        group.map.refresh(Duration::from_secs(1)).await;
    }
    (0..3).for_each(|node| group.kill_node(node));
    assert_eq!(group.router.counts(&table).await.unwrap().item_count, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_killed_at_once_lose_nothing() {
    let mut group = Group::start().await;
    let table = group.create_table().await;
    for round in 1..=2 {
        for id in 0..30 {
            put(&group, &table, id, round).await;
        }
        (0..3).for_each(|node| group.kill_node(node));
        (0..3).for_each(|node| group.start_node(node));
        for id in 0..30 {
            assert_eq!(value(&group, &table, id).await, Some(item(id, round)), "item {id} after round {round}");
        }
    }
}

/// A pod deleted by force is followed at once, while its process still ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_waits_for_the_process_before_it_to_end() {
    let mut group = Group::start().await;
    let mut before = group.replace_node(0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(group.runs(0), "the second process did not wait for the folder");
    before.kill().unwrap();
    before.wait().unwrap();
    group.report(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_repeated_changes_nothing() {
    let group = Group::start().await;
    let table = group.create_table().await;
    put(&group, &table, 1, 1).await;
    group.create_table().await;
    assert_eq!(value(&group, &table, 1).await, Some(item(1, 1)));
    let report = group.report(group.leader().await).await;
    assert_eq!(report.replicas.len(), 1);
    assert_eq!(report.replicas[0].state, ReplicaState::Leader);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_group_is_turned_away() {
    let group = Group::start().await;
    let stranger = group.stranger();
    for path in ["/v1/raft", "/v1/partition", "/v1/orders"] {
        let refused =
            stranger.post(&group_name(), &group.address(0), path, bytes::Bytes::new(), Duration::from_secs(20)).await;
        assert!(
            matches!(&refused, Err(CallError::Refused { status, .. }) if status.as_u16() == 403),
            "{path}: {refused:?}"
        );
    }
}
