//! `cairn dev --archive`: a table is put back as it was, whatever became of the process, the folder and the table.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod along;
mod any_second;
#[path = "../support/mod.rs"]
mod support;

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use support::{Caller, Dev};

type Items = BTreeMap<String, String>;

#[allow(clippy::disallowed_methods)] // a client's own clock
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn seconds(millis: u64) -> Value {
    json!(millis as f64 / 1_000.0)
}

fn millis(seconds: &Value) -> u64 {
    (seconds.as_f64().unwrap() * 1_000.0).round() as u64
}

struct Folders {
    root: tempfile::TempDir,
}

impl Folders {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// Starts over the data folder of this name, with the one archive.
    fn start(&self, data: &str) -> (Dev, Caller) {
        let archive = format!("file://{}", self.root.path().join("archive").display());
        let dev = Dev::start_with(&self.root.path().join(data), &["--archive", &archive]);
        let caller = Caller::new(&dev.endpoint);
        (dev, caller)
    }
}

async fn put(caller: &Caller, table: &str, id: &str, value: &str) {
    caller.ok("PutItem", json!({"TableName": table, "Item": {"Id": {"S": id}, "V": {"S": value}}})).await;
}

async fn items(caller: &Caller, table: &str) -> Items {
    let scan = caller.ok("Scan", json!({"TableName": table, "ConsistentRead": true})).await;
    assert!(scan.get("LastEvaluatedKey").is_none(), "it all fits in a page");
    let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap().to_owned();
    scan["Items"].as_array().unwrap().iter().map(|item| (text(item, "Id"), text(item, "V"))).collect()
}

async fn active(caller: &Caller, table: &str) -> Value {
    for _ in 0..400 {
        let (status, described) = caller.call("DescribeTable", json!({"TableName": table})).await.unwrap();
        assert_eq!(status, 200, "{described}");
        if described["Table"]["TableStatus"] == "ACTIVE" {
            return described["Table"].clone();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{table} did not become ACTIVE");
}

/// Waits until there is no table.
async fn gone(caller: &Caller) {
    for _ in 0..200 {
        if caller.ok("ListTables", json!({})).await["TableNames"] == json!([]) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the table is there still");
}

async fn recovery(caller: &Caller, table: &str, on: bool) {
    let specification = json!({"PointInTimeRecoveryEnabled": on});
    let body = json!({"TableName": table, "PointInTimeRecoverySpecification": specification});
    caller.ok("UpdateContinuousBackups", body).await;
}

/// Waits until the table can be restored to this time; gives how far behind the clock the latest time was then.
async fn restorable(caller: &Caller, table: &str, at_ms: u64) -> u64 {
    for _ in 0..400 {
        let described = caller.ok("DescribeContinuousBackups", json!({"TableName": table})).await;
        let latest =
            &described["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["LatestRestorableDateTime"];
        if !latest.is_null() && millis(latest) >= at_ms {
            return now_ms() - millis(latest);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{table} can't be restored to {at_ms} after twenty seconds");
}

async fn restore(caller: &Caller, source: &str, target: &str, at_ms: Option<u64>) -> Value {
    let mut body = json!({"SourceTableName": source, "TargetTableName": target});
    match at_ms {
        Some(at_ms) => body["RestoreDateTime"] = seconds(at_ms),
        None => body["UseLatestRestorableTime"] = json!(true),
    }
    caller.ok("RestoreTableToPointInTime", body).await;
    active(caller, target).await
}

/// What a client did: when each write was sent and acknowledged, and what the table held after it.
struct Record {
    writes: Vec<(u64, u64, Items)>,
}

impl Record {
    /// Times at which the record leaves no doubt about what the table held.
    fn certain_times(&self) -> Vec<(u64, &Items)> {
        let gaps = self.writes.windows(2).filter(|pair| pair[0].1 + 1 < pair[1].0);
        gaps.map(|pair| ((pair[0].1 + pair[1].0) / 2, &pair[0].2)).collect()
    }
}

async fn write(caller: &Caller, record: &mut Record, random: &mut StdRng, writes: usize) {
    for _ in 0..writes {
        let mut items = record.writes.last().map(|write| write.2.clone()).unwrap_or_default();
        let id = format!("item-{}", random.random_range(0..20));
        let sent = now_ms();
        if items.contains_key(&id) && random.random_bool(0.3) {
            caller.ok("DeleteItem", json!({"TableName": "users", "Key": {"Id": {"S": id}}})).await;
            items.remove(&id);
        } else {
            let value = format!("{}", random.random::<u64>());
            put(caller, "users", &id, &value).await;
            items.insert(id, value);
        }
        record.writes.push((sent, now_ms(), items));
        tokio::time::sleep(Duration::from_millis(random.random_range(0..12))).await;
    }
}

#[tokio::test]
async fn a_table_is_restored_to_any_time_as_its_client_knows_it() {
    let seed = std::env::var("CAIRN_SEED").map_or_else(|_| now_ms(), |seed| seed.parse().unwrap());
    println!("CAIRN_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folders = Folders::new();
    let (mut dev, mut caller) = folders.start("data");
    caller.create_table("users").await;
    put(&caller, "users", "item-0", "from before").await;
    recovery(&caller, "users", true).await;
    let mut record =
        Record { writes: vec![(0, now_ms(), Items::from([("item-0".to_owned(), "from before".to_owned())]))] };
    restorable(&caller, "users", now_ms()).await;
    for _ in 0..3 {
        write(&caller, &mut record, &mut random, 150).await;
        dev.kill();
        (dev, caller) = folders.start("data");
        active(&caller, "users").await;
    }
    write(&caller, &mut record, &mut random, 50).await;
    let last = record.writes.last().unwrap().1;
    let behind_ms = restorable(&caller, "users", last + 1).await;
    assert!(behind_ms < 10_000, "the latest restorable time is {behind_ms} ms behind");
    let earliest = record.writes[1].0;
    let certain = record.certain_times();
    let certain: Vec<_> = certain.into_iter().filter(|(at_ms, _)| *at_ms >= earliest).collect();
    for n in 0..8 {
        let (at_ms, expected) = certain[random.random_range(0..certain.len())];
        let target = format!("restored-{n}");
        restore(&caller, "users", &target, Some(at_ms)).await;
        assert_eq!(items(&caller, &target).await, *expected, "at {at_ms}, seed {seed}");
    }
    let table = restore(&caller, "users", "restored-latest", None).await;
    assert_eq!(items(&caller, "restored-latest").await, record.writes.last().unwrap().2);
    assert_eq!(table["ItemCount"], json!(record.writes.last().unwrap().2.len()));
    assert_eq!(table["RestoreSummary"]["RestoreInProgress"], json!(false));
    // It takes writes, and its source goes on.
    put(&caller, "restored-latest", "new", "x").await;
    put(&caller, "users", "new", "y").await;
    assert_eq!(items(&caller, "restored-latest").await["new"], "x");
}

#[tokio::test]
async fn a_table_comes_back_though_it_was_deleted_and_its_folder_is_gone() {
    let folders = Folders::new();
    let (dev, caller) = folders.start("first");
    caller.create_table("users").await;
    recovery(&caller, "users", true).await;
    put(&caller, "users", "ada", "1").await;
    restorable(&caller, "users", now_ms()).await;
    caller.ok("DeleteTable", json!({"TableName": "users"})).await;
    gone(&caller).await;
    drop(dev);

    let (_dev, caller) = folders.start("second");
    restore(&caller, "users", "users", None).await;
    assert_eq!(items(&caller, "users").await, Items::from([("ada".to_owned(), "1".to_owned())]));
    let listed = caller.ok("ListBackups", json!({"BackupType": "SYSTEM"})).await;
    let backup = &listed["BackupSummaries"][0];
    assert_eq!((&backup["BackupName"], &backup["TableName"]), (&json!("users$DeletedTableBackup"), &json!("users")));
    let arn = backup["BackupArn"].as_str().unwrap();
    caller.ok("RestoreTableFromBackup", json!({"BackupArn": arn, "TargetTableName": "again"})).await;
    active(&caller, "again").await;
    assert_eq!(items(&caller, "again").await, items(&caller, "users").await);
}

#[tokio::test]
async fn a_table_made_again_is_not_deleted_by_whoever_deleted_the_one_before() {
    let folders = Folders::new();
    let (_dev, caller) = folders.start("data");
    for round in 0..3 {
        caller.create_table("users").await;
        recovery(&caller, "users", true).await;
        let delete = || caller.call("DeleteTable", json!({"TableName": "users"}));
        let deleted = futures::future::join_all((0..8).map(|_| delete())).await;
        // One that is being deleted already can't be deleted again, as in DynamoDB.
        let accepted = deleted.iter().filter(|answer| answer.as_ref().unwrap().0 == 200);
        assert_eq!(accepted.count(), 1, "{deleted:?}");
        gone(&caller).await;
        let backups = caller.ok("ListBackups", json!({"BackupType": "SYSTEM"})).await;
        assert_eq!(backups["BackupSummaries"].as_array().unwrap().len(), round + 1);
    }
    caller.create_table("users").await;
    put(&caller, "users", "ada", "1").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(items(&caller, "users").await.len(), 1);
}

#[tokio::test]
async fn a_backup_outlives_its_table_and_its_folder_until_it_is_deleted() {
    let folders = Folders::new();
    let (dev, caller) = folders.start("first");
    caller.create_table("users").await;
    for n in 0..100 {
        put(&caller, "users", &format!("item-{n}"), "before").await;
    }
    let made = caller.ok("CreateBackup", json!({"TableName": "users", "BackupName": "first"})).await;
    let arn = made["BackupDetails"]["BackupArn"].as_str().unwrap().to_owned();
    put(&caller, "users", "item-0", "after").await;
    caller.ok("DeleteTable", json!({"TableName": "users"})).await;
    drop(dev);

    let (mut dev, caller) = folders.start("second");
    let described = caller.ok("DescribeBackup", json!({"BackupArn": arn})).await;
    let description = &described["BackupDescription"];
    assert_eq!(description["BackupDetails"]["BackupStatus"], "AVAILABLE");
    assert_eq!(description["SourceTableDetails"]["ItemCount"], json!(100));
    caller.ok("RestoreTableFromBackup", json!({"BackupArn": arn, "TargetTableName": "users"})).await;
    let table = active(&caller, "users").await;
    assert_eq!((&table["ItemCount"], &table["RestoreSummary"]["SourceBackupArn"]), (&json!(100), &json!(arn)));
    dev.kill();

    let (_dev, caller) = folders.start("second");
    let restored = items(&caller, "users").await;
    assert_eq!((restored.len(), restored["item-0"].as_str()), (100, "before"));
    caller.ok("DeleteBackup", json!({"BackupArn": arn})).await;
    let (status, gone) = caller.call("DescribeBackup", json!({"BackupArn": arn})).await.unwrap();
    assert_eq!(status, 400);
    assert!(gone["__type"].as_str().unwrap().ends_with("BackupNotFoundException"), "{gone}");
}

#[tokio::test]
async fn a_restore_into_a_taken_name_or_out_of_the_window_makes_nothing() {
    let folders = Folders::new();
    let (_dev, caller) = folders.start("data");
    caller.create_table("users").await;
    recovery(&caller, "users", true).await;
    restorable(&caller, "users", now_ms()).await;
    let within = now_ms();
    restorable(&caller, "users", within).await;
    let asked = |target: &str, at_ms: u64| json!({"SourceTableName": "users", "TargetTableName": target, "RestoreDateTime": seconds(at_ms)});
    for (body, error) in [
        (asked("users", within), "TableAlreadyExistsException"),
        (asked("other", now_ms() + 60_000), "InvalidRestoreTimeException"),
        (asked("other", now_ms() - 86_400_000), "InvalidRestoreTimeException"),
    ] {
        let (status, answer) = caller.call("RestoreTableToPointInTime", body).await.unwrap();
        assert_eq!(status, 400, "{answer}");
        assert!(answer["__type"].as_str().unwrap().ends_with(error), "{answer}");
    }
    assert_eq!(caller.ok("ListTables", json!({})).await["TableNames"], json!(["users"]));
}

fn refused(data: &Path, archive: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command.args(["dev", "--listen", "127.0.0.1:0", "--archive", archive, "--data"]).arg(data);
    let output = command.output().unwrap();
    assert!(!output.status.success(), "it should not have started");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_archive_that_is_no_archive_is_refused_at_the_start_by_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let said = refused(folder.path(), "ftp://somewhere/else");
    assert!(said.contains("url") && said.contains("s3://"), "{said}");
}

#[tokio::test]
async fn without_an_archive_backups_are_refused_with_the_way_to_have_them() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    caller.create_table("users").await;
    let (status, answer) =
        caller.call("CreateBackup", json!({"TableName": "users", "BackupName": "first"})).await.unwrap();
    assert_eq!(status, 400);
    assert!(answer["__type"].as_str().unwrap().ends_with("ContinuousBackupsUnavailableException"), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("--archive"), "{answer}");
}
