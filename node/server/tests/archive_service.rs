//! `cairn archive` beside each of three `cairn storage`, asked as the operator asks.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

#[path = "archive_service/exports.rs"]
mod exports;
mod support;

use cairn_api::TableView;
use cairn_model::{
    AttributeValue, Item, TableDefinition,
    archive::{
        ArchiveAnswer, ArchiveCall, ArchiveOwner, ArchiveRefusal, BackupOrder, BackupState, BackupType, Resolved,
        RestoreProgress, RestoreSource, RestoreTime, TableReference,
    },
    codec::EncodedItem,
    ids::{PartitionId, RequestId, TableId},
    key::EncodedKey,
    node::{Order, OrderOutcome},
    table::ContinuousBackups,
};
use cairn_replication::operation::{
    GetRequest, PartitionOutcome, PartitionRequest, ReturnValues, WriteAction, WriteRequest,
};
use cairn_server::internal::client::CallError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::{
    admin_page,
    archives::Archives,
    group::{ACCOUNT, Group, client, definition, group_name, view},
    s3,
};

const TABLE: TableId = TableId([7; 16]);
const PARTITION: PartitionId = PartitionId([8; 16]);
/// The deadline of a restore's or a backup's next look, in a busy test run.
const PAUSE: Duration = Duration::from_millis(50);

#[allow(clippy::disallowed_methods)] // a client's own clock
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn item(id: u64, value: &str) -> Item {
    Item::from([
        ("Id".to_owned(), AttributeValue::S(id.to_string())),
        ("Value".to_owned(), AttributeValue::S(value.to_owned())),
    ])
}

fn key(table: &TableView, id: u64) -> EncodedKey {
    EncodedKey::new(&table.definition.key_schema, &item(id, "")).unwrap()
}

async fn put(group: &Group, table: &TableView, id: u64, value: &str) {
    let key = key(table, id);
    let write = WriteRequest {
        request_id: RequestId(*uuid::Uuid::new_v4().as_bytes()),
        key: key.clone(),
        action: WriteAction::Put(EncodedItem::encode(&item(id, value))),
        condition: None,
        return_values: ReturnValues::None,
        return_item_on_condition_failure: false,
    };
    group.request(table, &key.0, PartitionRequest::Write(write)).await.unwrap();
}

async fn value(group: &Group, table: &TableView, id: u64) -> Option<Item> {
    let key = key(table, id);
    let get = GetRequest { keys: vec![key.clone()], projection: None, consistent: true };
    for _ in 0..200 {
        // A new table is on the router's map in a moment.
        match group.request(table, &key.0, PartitionRequest::Get(get.clone())).await {
            Ok(PartitionOutcome::Get(outcome)) => {
                return outcome.items[0].as_ref().map(|(item, _)| item.decode().unwrap());
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
    panic!("the table does not answer");
}

async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("not within thirty seconds: {what}");
}

fn with_recovery() -> TableDefinition {
    let on = ContinuousBackups { recovery_period_days: 35, enabled_at_ms: now_ms() };
    TableDefinition { schema_version: 2, continuous_backups: Some(on), ..definition(TABLE) }
}

/// Turns recovery on, as the operator does: with an order to the leader.
async fn turn_recovery_on(group: &Group) {
    let order = Order::UpdateDefinition { partition_id: PARTITION, definition: with_recovery() };
    eventually("recovery is on", async || group.order(group.leader().await, &order).await == OrderOutcome::Done).await;
}

/// Waits until what was written by now can be restored; gives who ships it.
async fn shipped(group: &Group, archives: &Archives) -> usize {
    let written_ms = now_ms();
    let mut shipper = None;
    eventually("what was written is restorable", async || {
        for node in 0..3 {
            let report = archives.report(group, node).await;
            let latest = report.tables.first().and_then(|table| table.recovery.windows.last().copied());
            if latest.is_some_and(|window| window.latest_ms > written_ms) {
                shipper = Some(node);
            }
        }
        shipper.is_some()
    })
    .await;
    shipper.unwrap()
}

async fn resolve(group: &Group, archives: &Archives, node: usize, source: RestoreSource) -> Resolved {
    match archives.call(group, node, &ArchiveCall::Resolve { source }).await.unwrap() {
        ArchiveAnswer::Resolved(resolved) => *resolved,
        other => panic!("{other:?}"),
    }
}

fn from_name(at: RestoreTime) -> RestoreSource {
    RestoreSource::Table { table: TableReference::Name("counters".into()), at }
}

/// The order to restore what was resolved, as the table of this number.
async fn restore_call(group: &Group, resolved: &Resolved, number: u8) -> (ArchiveCall, TableView) {
    let definition = TableDefinition {
        table_name: format!("restored-{number}"),
        table_id: TableId([number; 16]),
        schema_version: 1,
        continuous_backups: None,
        ..resolved.definition.clone()
    };
    let descriptor = group.descriptor(PartitionId([number; 16]), definition.table_id).await;
    let table = view(definition.clone());
    (ArchiveCall::Restore { descriptor, definition, origin: resolved.origin.clone() }, table)
}

fn create_backup(id: &str) -> ArchiveCall {
    let backup = BackupOrder {
        backup_id: id.to_owned(),
        arn: format!("arn:aws:dynamodb:east:{ACCOUNT}:table/counters/backup/{id}"),
        name: "before".to_owned(),
        backup_type: BackupType::User,
        table_arn: format!("arn:aws:dynamodb:east:{ACCOUNT}:table/counters"),
        definition: definition(TABLE),
        creation_time_ms: now_ms(),
        expiry_time_ms: None,
    };
    ArchiveCall::CreateBackup { partition_id: PARTITION, backup }
}

/// Asks whoever leads until the backup is there.
async fn backed_up(group: &Group, archives: &Archives, call: &ArchiveCall) {
    eventually("the backup is there", async || {
        let leader = group.leader().await;
        match archives.call(group, leader, call).await.unwrap() {
            ArchiveAnswer::Backup(report) => report.state == BackupState::Available,
            // Until the archive has heard of its bucket and of its node.
            ArchiveAnswer::Refused { reason: ArchiveRefusal::Failed | ArchiveRefusal::NotLeader, .. } => false,
            other => panic!("{other:?}"),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_archived_and_comes_back_from_its_past_and_from_a_backup_when_it_is_gone() {
    let (group, bucket) = (Group::start_archived().await, tempfile::tempdir().unwrap());
    let archives = Archives::start(&group, bucket.path()).await;
    let table = group.create_table().await;
    put(&group, &table, 1, "first").await;
    turn_recovery_on(&group).await;
    let shipper = shipped(&group, &archives).await;
    put(&group, &table, 1, "second").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let at_ms = now_ms();
    tokio::time::sleep(Duration::from_millis(20)).await;
    put(&group, &table, 1, "third").await;
    shipped(&group, &archives).await;
    let report = archives.report(&group, shipper).await;
    assert_eq!((report.unreachable, report.tables[0].table_id), (None, TABLE));
    let behind_ms = now_ms() - report.tables[0].recovery.windows[0].latest_ms;
    assert!(behind_ms < 10_000, "{behind_ms} ms behind");

    // Any archive finds it, and any restores it.
    for (number, node, at, expected) in
        [(20, shipper, RestoreTime::Millis(at_ms), "second"), (21, (shipper + 1) % 3, RestoreTime::Latest, "third")]
    {
        let resolved = resolve(&group, &archives, (shipper + 2) % 3, from_name(at)).await;
        let (call, restored) = restore_call(&group, &resolved, number).await;
        archives.restored(&group, node, &call).await;
        assert_eq!(value(&group, &restored, 1).await, Some(item(1, expected)));
        archives.restored(&group, node, &call).await;
    }

    let (leader, create) = (group.leader_of(PARTITION).await, create_backup("0001-a"));
    let answer = archives.call(&group, (leader + 1) % 3, &create).await.unwrap();
    assert!(matches!(answer, ArchiveAnswer::Refused { reason: ArchiveRefusal::NotLeader, .. }), "{answer:?}");
    let mut made = archives.backup(&group, leader, &create).await;
    eventually("the backup is there", async || {
        made = archives.backup(&group, leader, &create).await;
        made.state == BackupState::Available
    })
    .await;
    assert_eq!(made.item_count, 1);
    let owner = Some(ArchiveOwner { region: "east".to_owned(), account: ACCOUNT.to_owned() });
    let describe = ArchiveCall::DescribeBackup { owner, backup_id: "0001-a".to_owned() };
    assert_eq!(archives.backup(&group, (leader + 1) % 3, &describe).await, made);
    let listed = archives.call(&group, leader, &ArchiveCall::ListBackups { after: None, limit: 10 }).await.unwrap();
    assert_eq!(listed, ArchiveAnswer::Backups { backups: vec![made], more: false });

    for node in 0..3 {
        let order = Order::DropPartition { partition_id: PARTITION, table_id: TABLE, deleted_at_ms: None };
        eventually("the table is dropped", async || group.order(node, &order).await == OrderOutcome::Done).await;
    }
    let mark = ArchiveCall::MarkDeleted { table_id: TABLE, deleted_at_ms: now_ms(), with_archive: false };
    assert_eq!(archives.call(&group, 0, &mark).await.unwrap(), ArchiveAnswer::Done);
    let source = RestoreSource::Backup { owner: None, backup_id: "0001-a".to_owned() };
    for (number, source) in [(22, source), (23, from_name(RestoreTime::Latest))] {
        let resolved = resolve(&group, &archives, 0, source).await;
        let (call, restored) = restore_call(&group, &resolved, number).await;
        archives.restored(&group, 1, &call).await;
        assert_eq!(value(&group, &restored, 1).await, Some(item(1, "third")));
    }
    let delete = ArchiveCall::DeleteBackup { backup_id: "0001-a".to_owned() };
    assert_eq!(archives.backup(&group, 2, &delete).await.state, BackupState::Deleted);
    let answer = archives.call(&group, 0, &describe).await.unwrap();
    assert!(matches!(answer, ArchiveAnswer::Refused { reason: ArchiveRefusal::NotFound, .. }), "{answer:?}");
}

/// Text that does not compress to nothing.
fn noise(seed: u64, bytes: usize) -> String {
    let mut state = seed + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + (state >> 33) as u8 % 90)
    };
    (0..bytes).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_killed_in_the_middle_begins_anew_when_it_is_asked_again() {
    let (group, bucket) = (Group::start_archived().await, tempfile::tempdir().unwrap());
    let mut archives = Archives::start(&group, bucket.path()).await;
    let table = group.create_table().await;
    const ITEMS: u64 = 60;
    for id in 0..ITEMS {
        put(&group, &table, id, &noise(id, 300_000)).await;
    }
    let create = create_backup("0001-a");
    for _ in 0..2 {
        let leader = group.leader().await;
        eventually("the backup is begun", async || match archives.call(&group, leader, &create).await.unwrap() {
            ArchiveAnswer::Backup(report) => report.state == BackupState::Available || report.bytes_done > 0,
            ArchiveAnswer::Refused { reason: ArchiveRefusal::Failed, .. } => false,
            other => panic!("{other:?}"),
        })
        .await;
        archives.kill_archive(leader);
        archives.start_archive(&group, leader);
        archives.report(&group, leader).await;
    }
    backed_up(&group, &archives, &create).await;
    let source = RestoreSource::Backup { owner: None, backup_id: "0001-a".to_owned() };
    let resolved = resolve(&group, &archives, 0, source).await;
    let (call, restored) = restore_call(&group, &resolved, 20).await;
    for _ in 0..2 {
        let has_begun = async || match archives.call(&group, 0, &call).await.unwrap() {
            ArchiveAnswer::Restore(RestoreProgress::Loading { bytes_done, .. }) => bytes_done > 0,
            ArchiveAnswer::Restore(RestoreProgress::Done) => true,
            ArchiveAnswer::Refused { reason: ArchiveRefusal::Failed, .. } => false,
            other => panic!("{other:?}"),
        };
        eventually("the restore is begun", has_begun).await;
        archives.kill_archive(0);
        archives.start_archive(&group, 0);
        eventually("the archive is back", async || archives.report(&group, 0).await.unreachable.is_none()).await;
    }
    archives.restored(&group, 0, &call).await;
    for id in 0..ITEMS {
        assert_eq!(value(&group, &restored, id).await, Some(item(id, &noise(id, 300_000))), "item {id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_comes_later_is_used_and_until_then_the_archive_says_what_is_wrong() {
    let (mut group, folder) = (Group::start_archived().await, tempfile::tempdir().unwrap());
    // A file is where the bucket's folder should be.
    let bucket = folder.path().join("bucket");
    std::fs::write(&bucket, "").unwrap();
    let mut archives = Archives::start(&group, &bucket).await;
    group.create_table().await;
    turn_recovery_on(&group).await;
    for node in 0..3 {
        eventually("the archive says what is wrong", async || {
            archives.report(&group, node).await.unreachable.is_some_and(|why| why.contains("url:"))
        })
        .await;
        assert!(admin_page(&archives.admin_address(node), "/readyz").await.starts_with("HTTP/1.1 200"));
    }
    let list = ArchiveCall::ListBackups { after: None, limit: 10 };
    let answer = archives.call(&group, 0, &list).await.unwrap();
    assert!(matches!(answer, ArchiveAnswer::Refused { reason: ArchiveRefusal::Failed, .. }), "{answer:?}");
    std::fs::remove_file(&bucket).unwrap();
    let shipper = shipped(&group, &archives).await;
    let metrics = admin_page(&archives.admin_address(shipper), "/metrics").await;
    assert!(metrics.contains("cairn_archive_lag_seconds"), "{metrics}");
    // Without its node, an archive has nothing to ship.
    group.kill_node(shipper);
    eventually("the archive misses its node", async || {
        archives.report(&group, shipper).await.unreachable.is_some_and(|why| why.contains("storage node"))
    })
    .await;
    archives.stop_archive(shipper);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_come_later_or_were_wrong_are_taken_without_a_restart() {
    let (group, (_s3, endpoint)) = (Group::start_archived().await, s3::serve().await);
    let keys = tempfile::tempdir().unwrap();
    let (directory, write) = (keys.path().to_str().unwrap(), |file, key| std::fs::write(keys.path().join(file), key));
    let bucket = ["--archive", "s3://backups/east", "--archive-endpoint", &endpoint, "--archive-region", "any"];
    let arguments = [&bucket[..], &["--credentials-dir", directory]].concat();
    let archives = Archives::start_with(&group, &arguments).await;
    group.create_table().await;
    turn_recovery_on(&group).await;
    let told = async |part: &str| {
        eventually("the archive says what is wrong", async || {
            archives.report(&group, 0).await.unreachable.is_some_and(|why| why.contains(part))
        })
        .await;
    };
    told("accessKeyId is not there").await;
    write("accessKeyId", "key\n").unwrap();
    write("secretAccessKey", "wrong\n").unwrap();
    told("access_key_id: the store refuses this key").await;
    write("secretAccessKey", "secret\n").unwrap();
    shipped(&group, &archives).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_release_asks_an_archive_and_nothing_else_than_an_archive_answers() {
    let (group, bucket) = (Group::start_archived().await, tempfile::tempdir().unwrap());
    let archives = Archives::start(&group, bucket.path()).await;
    let body = || bytes::Bytes::from(serde_json::to_vec(&ArchiveCall::Report).unwrap());
    let deadline = Duration::from_secs(20);
    let status = async |name: &str, address: String, path| match client(&group.tls_dir(name))
        .post(&group_name(), &address, path, body(), deadline)
        .await
    {
        Ok(_) => 200,
        Err(CallError::Refused { status, .. }) => status.as_u16(),
        Err(other) => panic!("{other}"),
    };
    for name in ["operator", "router"] {
        assert_eq!(status(name, archives.address(0), "/v1/archive").await, 200, "{name}");
        assert_eq!(status(name, group.address(0), "/v1/archive").await, 403, "the node is no archive");
        assert_eq!(status(name, archives.address(0), "/v1/orders").await, 403, "the archive is no node");
    }
    for name in ["storage", "stranger"] {
        assert_eq!(status(name, archives.address(0), "/v1/archive").await, 403, "{name}");
    }
    let unknown = bytes::Bytes::from_static(br#"{"call":"fly"}"#);
    let answer = group.operator.post(&group_name(), &archives.address(0), "/v1/archive", unknown, deadline).await;
    let answer: ArchiveAnswer = serde_json::from_slice(&answer.unwrap()).unwrap();
    assert!(matches!(answer, ArchiveAnswer::Refused { reason: ArchiveRefusal::Invalid, .. }), "{answer:?}");
    let large = bytes::Bytes::from(vec![b' '; 2 << 20]);
    let refused =
        group.operator.post(&group_name(), &archives.address(0), "/v1/archive", large, deadline).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused { status, .. } if status.as_u16() == 400), "{refused}");
}
