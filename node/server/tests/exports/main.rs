//! `cairn dev --archive`: a table is exported as it was at a time, or with what changed between two, though the process is
//! killed in between.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod changes;
mod filtered;
mod indexed;
#[path = "../support/mod.rs"]
mod support;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::Read,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use support::{Caller, Dev};

const ARN: &str = "arn:aws:dynamodb:us-east-1:local:table/users";

#[allow(clippy::disallowed_methods)] // a client's own clock
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn seconds(millis: u64) -> Value {
    json!(millis as f64 / 1_000.0)
}

/// Between two writes: later than the one, earlier than the other.
async fn moment() -> u64 {
    tokio::time::sleep(Duration::from_millis(20)).await;
    let moment = now_ms();
    tokio::time::sleep(Duration::from_millis(20)).await;
    moment
}

struct World {
    root: tempfile::TempDir,
    dev: Dev,
    caller: Caller,
}

impl World {
    /// With the table `users`, whose recovery is on and has begun.
    async fn new() -> Self {
        Self::of(json!({
            "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        }))
        .await
    }

    /// With the table `users` of this definition, whose recovery is on and has begun.
    async fn of(mut definition: Value) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (dev, caller) = start(&root);
        definition["TableName"] = json!("users");
        caller.ok("CreateTable", definition).await;
        let specification = json!({"PointInTimeRecoveryEnabled": true});
        let body = json!({"TableName": "users", "PointInTimeRecoverySpecification": specification});
        caller.ok("UpdateContinuousBackups", body).await;
        for _ in 0..400 {
            let described = caller.ok("DescribeContinuousBackups", json!({"TableName": "users"})).await;
            let recovery = &described["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
            if recovery["LatestRestorableDateTime"].is_number() {
                return Self { root, dev, caller };
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("nothing of the table can be restored");
    }

    fn restart(&mut self) {
        self.dev.kill();
        (self.dev, self.caller) = start(&self.root);
    }

    async fn put(&self, id: &str, value: &str) {
        self.caller.ok("PutItem", json!({"TableName": "users", "Item": image(id, value)})).await;
    }

    async fn delete(&self, id: &str) {
        self.caller.ok("DeleteItem", json!({"TableName": "users", "Key": {"Id": {"S": id}}})).await;
    }

    /// Begins an export into the bucket `exports`; its ARN.
    async fn begin(&self, more: Value) -> String {
        let begun = self.caller.ok("ExportTableToPointInTime", request(more)).await;
        let description = &begun["ExportDescription"];
        assert_eq!(description["ExportStatus"], "IN_PROGRESS", "{description}");
        description["ExportArn"].as_str().unwrap().to_owned()
    }

    /// The export, once it has ended.
    async fn end(&self, arn: &str) -> Value {
        for _ in 0..400 {
            let described = self.caller.ok("DescribeExport", json!({"ExportArn": arn})).await;
            let description = described["ExportDescription"].clone();
            if description["ExportStatus"] != "IN_PROGRESS" {
                return description;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{arn} did not end");
    }

    async fn export(&self, more: Value) -> Value {
        let arn = self.begin(more).await;
        let export = self.end(&arn).await;
        assert_eq!(export["ExportStatus"], "COMPLETED", "{export}");
        export
    }

    /// An import, once it has ended.
    async fn import(&self, request: Value) -> Value {
        let begun = self.caller.ok("ImportTable", request).await;
        let arn = json!({"ImportArn": begun["ImportTableDescription"]["ImportArn"]});
        for _ in 0..400 {
            let mut described = self.caller.ok("DescribeImport", arn.clone()).await;
            let import = described["ImportTableDescription"].take();
            if import["ImportStatus"] != "IN_PROGRESS" {
                return import;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the import did not end");
    }

    fn object(&self, key: &str) -> PathBuf {
        self.root.path().join("archive/buckets/exports").join(key)
    }

    fn json(&self, key: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.object(key)).unwrap()).unwrap()
    }

    fn lines(&self, export: &Value) -> Vec<Value> {
        self.texts(export).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The lines of an export's data files.
    fn texts(&self, export: &Value) -> Vec<String> {
        let summary = self.json(export["ExportManifest"].as_str().unwrap());
        let files = std::fs::read_to_string(self.object(summary["manifestFilesS3Key"].as_str().unwrap())).unwrap();
        let mut lines = Vec::new();
        for line in files.lines() {
            let file: Value = serde_json::from_str(line).unwrap();
            let data = std::fs::File::open(self.object(file["dataFileS3Key"].as_str().unwrap())).unwrap();
            let mut text = String::new();
            GzDecoder::new(data).read_to_string(&mut text).unwrap();
            assert_eq!(file["itemCount"], text.lines().count());
            lines.extend(text.lines().map(str::to_owned));
        }
        assert_eq!((&summary["itemCount"], &export["ItemCount"]), (&json!(lines.len()), &json!(lines.len())));
        lines
    }

    fn items(&self, export: &Value) -> BTreeMap<String, String> {
        let text = |item: &Value, name: &str| item["Item"][name]["S"].as_str().unwrap().to_owned();
        self.lines(export).iter().map(|line| (text(line, "Id"), text(line, "V"))).collect()
    }
}

fn start(root: &tempfile::TempDir) -> (Dev, Caller) {
    let archive = format!("file://{}", root.path().join("archive").display());
    let often = ["--export-span-min-seconds", "0", "--ttl-interval-ms", "50"];
    let dev = Dev::start_with(&root.path().join("data"), &[&["--archive", &archive][..], &often].concat());
    let caller = Caller::new(&dev.endpoint);
    (dev, caller)
}

fn request(more: Value) -> Value {
    let mut request = json!({"TableArn": ARN, "S3Bucket": "exports"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn image(id: &str, value: &str) -> Value {
    json!({"Id": {"S": id}, "V": {"S": value}})
}

fn items(items: &[(&str, &str)]) -> BTreeMap<String, String> {
    items.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_table_is_exported_as_it_was_at_a_time_between_two_writes() {
    let world = World::new().await;
    world.put("a", "1").await;
    world.put("b", "1").await;
    let between = moment().await;
    world.put("a", "2").await;
    world.delete("b").await;
    world.put("c", "2").await;

    let export = world.export(json!({"ExportTime": seconds(between), "S3Prefix": "some/prefix"})).await;
    assert_eq!(world.items(&export), items(&[("a", "1"), ("b", "1")]));
    assert_eq!(export["ExportTime"], seconds(between));
    // "Id" + "a" + "V" + "1", twice.
    assert_eq!((&export["BilledSizeBytes"], &export["ExportType"]), (&json!(10), &json!("FULL_EXPORT")));
    let arn = export["ExportArn"].as_str().unwrap();
    let id = arn.strip_prefix(&format!("{ARN}/export/")).unwrap();
    let folder = format!("some/prefix/AWSDynamoDB/{id}");
    assert_eq!(export["ExportManifest"], format!("{folder}/manifest-summary.json"));
    for name in ["_started", "manifest-summary.md5", "manifest-files.json", "manifest-files.md5", "data"] {
        assert!(world.object(&format!("{folder}/{name}")).exists(), "{name}");
    }
    let summary = world.json(&format!("{folder}/manifest-summary.json"));
    assert_eq!((&summary["exportArn"], &summary["tableArn"]), (&json!(arn), &json!(ARN)));

    // Without a time, all that was acknowledged before.
    let export = world.export(json!({})).await;
    assert_eq!(world.items(&export), items(&[("a", "2"), ("c", "2")]));
}

#[tokio::test]
async fn an_incremental_export_has_what_changed_between_two_times_once() {
    let world = World::new().await;
    for id in ["changed", "deleted", "again", "same"] {
        world.put(id, "1").await;
    }
    let from = moment().await;
    world.put("changed", "2").await;
    world.put("changed", "3").await;
    world.delete("deleted").await;
    world.delete("again").await;
    world.put("again", "2").await;
    world.put("new", "1").await;
    world.put("passing", "1").await;
    world.delete("passing").await;
    let to = moment().await;
    world.put("same", "2").await;
    world.delete("changed").await;

    for view in ["NEW_AND_OLD_IMAGES", "NEW_IMAGE"] {
        let specification =
            json!({"ExportFromTime": seconds(from), "ExportToTime": seconds(to), "ExportViewType": view});
        let more = json!({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": specification});
        let export = world.export(more).await;
        assert_eq!(export["IncrementalExportSpecification"], specification);
        let mut changes = BTreeMap::new();
        for mut line in world.lines(&export) {
            let micros: u64 = line["Metadata"]["WriteTimestampMicros"]["N"].as_str().unwrap().parse().unwrap();
            assert!((from * 1_000..to * 1_000).contains(&micros), "{line}");
            line.as_object_mut().unwrap().remove("Metadata");
            let id = line["Keys"]["Id"]["S"].as_str().unwrap().to_owned();
            assert_eq!(line["Keys"], json!({"Id": {"S": id}}));
            line.as_object_mut().unwrap().remove("Keys");
            assert!(changes.insert(id, line).is_none());
        }
        let expected = |new: Option<Value>, old: Option<Value>| {
            let mut line = json!({});
            if let Some(new) = new {
                line["NewImage"] = new;
            }
            if let Some(old) = old.filter(|_| view == "NEW_AND_OLD_IMAGES") {
                line["OldImage"] = old;
            }
            line
        };
        let expected = BTreeMap::from([
            ("changed".to_owned(), expected(Some(image("changed", "3")), Some(image("changed", "1")))),
            ("deleted".to_owned(), expected(None, Some(image("deleted", "1")))),
            ("again".to_owned(), expected(Some(image("again", "2")), Some(image("again", "1")))),
            ("new".to_owned(), expected(Some(image("new", "1")), None)),
        ]);
        assert_eq!(changes, expected, "{view}");
        let id = export["ExportArn"].as_str().unwrap().rsplit('/').next().unwrap();
        assert!(world.object(&format!("AWSDynamoDB/{id}/_started")).exists());
        assert!(!world.object(&format!("AWSDynamoDB/{id}/data")).exists(), "data is beside it");
        let summary = world.json(export["ExportManifest"].as_str().unwrap());
        assert_eq!((&summary["outputView"], &summary["version"]), (&json!(view), &json!("2023-08-01")));
    }
}

/// Every type, with names and values that Ion writes in quotes.
fn every_type() -> Value {
    json!({
        "Id": {"S": "it's \"a\" \u{e4}\n\u{0}"},
        "null": {"NULL": true},
        "a b": {"BOOL": false},
        "n": {"N": "-12345678901234567890123456789012345678"},
        "small": {"N": "0.0000000000000000000000000000000000000000000000001"},
        "b": {"B": "AP8="},
        "empty": {"L": [{"S": ""}, {"B": ""}, {"L": []}, {"M": {}}]},
        "m": {"M": {"$10": {"M": {"'": {"N": "1.5"}}}}},
        "ss": {"SS": ["a", "b"]},
        "ns": {"NS": ["-1", "600"]},
        "bs": {"BS": ["", "eA=="]},
    })
}

#[tokio::test]
async fn a_table_that_was_exported_in_ion_is_imported_as_it_was() {
    let world = World::new().await;
    world.caller.ok("PutItem", json!({"TableName": "users", "Item": every_type()})).await;
    world.put("b", "1").await;
    let export = world.export(json!({"ExportFormat": "ION"})).await;
    assert_eq!(export["ExportFormat"], "ION");
    let manifest = export["ExportManifest"].as_str().unwrap();
    assert_eq!(world.json(manifest)["outputFormat"], "ION");
    let data = manifest.replace("manifest-summary.json", "data/");
    for file in std::fs::read_dir(world.object(&data)).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(name.ends_with(".ion.gz"), "{name}");
    }
    let texts = world.texts(&export);
    assert!(texts.contains(&r#"$ion_1_0 {Item:{Id:"b",V:"1"}}"#.to_owned()), "{texts:?}");

    let import = json!({
        "S3BucketSource": {"S3Bucket": "exports", "S3KeyPrefix": data},
        "InputFormat": "ION",
        "InputCompressionType": "GZIP",
        "TableCreationParameters": {
            "TableName": "again",
            "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    });
    let import = world.import(import).await;
    assert_eq!((&import["ImportStatus"], &import["ErrorCount"]), (&json!("COMPLETED"), &json!(0)), "{import}");
    for id in [every_type()["Id"].clone(), json!({"S": "b"})] {
        let get = |table: &str| json!({"TableName": table, "Key": {"Id": id}, "ConsistentRead": true});
        let before = world.caller.ok("GetItem", get("users")).await;
        assert!(before["Item"].is_object());
        assert_eq!(world.caller.ok("GetItem", get("again")).await["Item"], before["Item"]);
    }
}

#[tokio::test]
async fn an_incremental_export_in_ion_has_a_record_a_change() {
    let world = World::new().await;
    world.put("changed", "1").await;
    world.put("deleted", "1").await;
    let from = moment().await;
    world.put("changed", "2").await;
    world.delete("deleted").await;
    let to = moment().await;
    let specification = json!({"ExportFromTime": seconds(from), "ExportToTime": seconds(to)});
    let more = json!({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": specification});
    let mut asked = json!({"ExportFormat": "ION"});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let export = world.export(asked).await;
    let mut texts = world.texts(&export);
    texts.sort();
    assert_eq!(texts.len(), 2);
    for (text, (id, images)) in texts.iter().zip([
        ("changed", r#"OldImage:{Id:"changed",V:"1"},NewImage:{Id:"changed",V:"2"}"#),
        ("deleted", r#"OldImage:{Id:"deleted",V:"1"}"#),
    ]) {
        let head = format!("$ion_1_0 {{Record:{{Keys:{{Id:\"{id}\"}},Metadata:{{WriteTimestampMicros:");
        let rest = text.strip_prefix(&head).unwrap_or_else(|| panic!("{text}"));
        assert!(rest.ends_with(&format!("}},{images}}}}}")), "{text}");
    }
}

#[tokio::test]
async fn an_export_that_a_kill_cut_short_is_there_after_the_restart() {
    let mut world = World::new().await;
    for n in 0..50 {
        world.put(&format!("item-{n}"), "1").await;
    }
    let arn = world.begin(json!({"ClientToken": "once"})).await;
    world.restart();
    let export = world.end(&arn).await;
    assert_eq!(export["ExportStatus"], "COMPLETED", "{export}");
    assert_eq!(world.items(&export).len(), 50);
    // Nothing is left of the first attempt.
    let id = arn.rsplit('/').next().unwrap();
    let files = std::fs::read_dir(world.object(&format!("AWSDynamoDB/{id}/data"))).unwrap().count();
    assert_eq!(files, 1);
    world.restart();
    assert_eq!(world.end(&arn).await, export);
    let (_, again) =
        world.caller.call("ExportTableToPointInTime", request(json!({"ClientToken": "once"}))).await.unwrap();
    assert_eq!(again["ExportDescription"]["ExportArn"], json!(arn));
    let other = request(json!({"ClientToken": "once", "S3Prefix": "other"}));
    let (status, conflict) = world.caller.call("ExportTableToPointInTime", other).await.unwrap();
    assert_eq!(status, 400);
    assert!(conflict["__type"].as_str().unwrap().ends_with("ExportConflictException"), "{conflict}");
    let other = request(json!({"ClientToken": "once", "ExportFormat": "ION"}));
    assert_eq!(world.caller.call("ExportTableToPointInTime", other).await.unwrap().0, 400);
}

#[tokio::test]
async fn exports_are_listed_from_the_newest_a_page_at_a_time() {
    let world = World::new().await;
    let mut arns = Vec::new();
    for _ in 0..3 {
        arns.push(world.export(json!({})).await["ExportArn"].as_str().unwrap().to_owned());
    }
    arns.reverse();
    let mut listed = Vec::new();
    let mut body = json!({"TableArn": ARN, "MaxResults": 2});
    loop {
        let page = world.caller.ok("ListExports", body.clone()).await;
        for summary in page["ExportSummaries"].as_array().unwrap() {
            assert_eq!(
                (&summary["ExportStatus"], &summary["ExportType"]),
                (&json!("COMPLETED"), &json!("FULL_EXPORT"))
            );
            listed.push(summary["ExportArn"].as_str().unwrap().to_owned());
        }
        let Some(token) = page.get("NextToken") else { break };
        body["NextToken"] = token.clone();
    }
    assert_eq!(listed, arns);
    let other = json!({"TableArn": "arn:aws:dynamodb:us-east-1:local:table/others"});
    assert_eq!(world.caller.ok("ListExports", other).await, json!({"ExportSummaries": []}));
}

#[tokio::test]
async fn a_time_that_was_not_or_is_not_yet_is_refused() {
    let world = World::new().await;
    let incremental = |from: u64, to: u64| {
        let specification = json!({"ExportFromTime": seconds(from), "ExportToTime": seconds(to)});
        json!({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": specification})
    };
    let now = now_ms();
    for more in [
        json!({"ExportTime": seconds(now + 60_000)}),
        json!({"ExportTime": seconds(now - 86_400_000)}),
        incremental(now - 86_400_000, now),
        incremental(now, now + 60_000),
    ] {
        let (status, refused) = world.caller.call("ExportTableToPointInTime", request(more)).await.unwrap();
        assert_eq!(status, 400);
        assert!(refused["__type"].as_str().unwrap().ends_with("InvalidExportTimeException"), "{refused}");
        let text = refused["message"].as_str().unwrap();
        let in_the_future = "Incremental export period to time cannot be greater than the current time";
        assert!(text.starts_with("Export Time is invalid") || text.starts_with(in_the_future), "{refused}");
    }
    let (_, refused) =
        world.caller.call("ExportTableToPointInTime", request(json!({"S3Prefix": "a//b"}))).await.unwrap();
    assert!(refused["message"].as_str().unwrap().contains("S3Prefix"), "{refused}");
    assert_eq!(world.caller.ok("ListExports", json!({})).await, json!({"ExportSummaries": []}));
}
