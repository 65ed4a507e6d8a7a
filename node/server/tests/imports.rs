//! `cairn dev --archive`: tables made of files in a bucket.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf, time::Duration};
use support::{Caller, Dev};

struct Folders {
    root: tempfile::TempDir,
}

impl Folders {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn start(&self) -> (Dev, Caller) {
        let archive = format!("file://{}", self.archive().display());
        self.start_with(&["--archive", &archive])
    }

    fn start_with(&self, arguments: &[&str]) -> (Dev, Caller) {
        let dev = Dev::start_with(&self.root.path().join("data"), arguments);
        let caller = Caller::new(&dev.endpoint);
        (dev, caller)
    }

    fn archive(&self) -> PathBuf {
        self.root.path().join("archive")
    }

    /// Puts an object into the bucket `source`.
    fn put(&self, key: &str, content: impl AsRef<[u8]>) {
        let path = self.archive().join("buckets/source").join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The lines of an import's error log.
    fn errors(&self, arn: &str) -> Vec<Value> {
        let id = arn.rsplit('/').next().unwrap();
        let log = self.archive().join("dev/local/imports").join(id).join("errors.jsonl");
        let lines = std::fs::read_to_string(log).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn markers(&self) -> usize {
        std::fs::read_dir(self.root.path().join("data/imports")).map_or(0, Iterator::count)
    }
}

fn request(table: &str, prefix: &str) -> Value {
    json!({
        "S3BucketSource": {"S3Bucket": "source", "S3KeyPrefix": prefix},
        "InputFormat": "DYNAMODB_JSON",
        "TableCreationParameters": {
            "TableName": table,
            "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    })
}

fn line(id: &str, value: &str) -> String {
    format!("{}\n", json!({"Item": {"Id": {"S": id}, "V": {"S": value}}}))
}

async fn begin(caller: &Caller, request: Value) -> String {
    let begun = caller.ok("ImportTable", request).await;
    let description = &begun["ImportTableDescription"];
    assert_eq!(description["ImportStatus"], "IN_PROGRESS");
    description["ImportArn"].as_str().unwrap().to_owned()
}

async fn describe(caller: &Caller, arn: &str) -> Value {
    caller.ok("DescribeImport", json!({"ImportArn": arn})).await["ImportTableDescription"].clone()
}

/// Waits until an import has ended.
async fn ended(caller: &Caller, arn: &str) -> Value {
    for _ in 0..800 {
        let description = describe(caller, arn).await;
        if description["ImportStatus"] != "IN_PROGRESS" {
            return description;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{arn} did not end within twenty seconds");
}

async fn import(caller: &Caller, request: Value) -> Value {
    let arn = begin(caller, request).await;
    ended(caller, &arn).await
}

async fn items(caller: &Caller, table: &str) -> BTreeMap<String, String> {
    let scan = caller.ok("Scan", json!({"TableName": table, "ConsistentRead": true})).await;
    assert!(scan.get("LastEvaluatedKey").is_none(), "it all fits in a page");
    let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap().to_owned();
    scan["Items"].as_array().unwrap().iter().map(|item| (text(item, "Id"), text(item, "V"))).collect()
}

async fn status(caller: &Caller, table: &str) -> Option<String> {
    let (_, described) = caller.call("DescribeTable", json!({"TableName": table})).await.unwrap();
    described["Table"]["TableStatus"].as_str().map(str::to_owned)
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_table_is_made_of_all_objects_of_a_prefix_and_the_last_of_a_key_wins() {
    let folders = Folders::new();
    let (_dev, caller) = folders.start();
    folders.put("some/part-1.json", line("a", "1") + &line("b", "1") + &line("a", "2"));
    folders.put("some/part-2.json", line("b", "3") + &line("c", "1"));
    folders.put("some/part-3.json", "");
    folders.put("someone-else.json", line("d", "1"));
    let description = import(&caller, request("users", "some/pa")).await;
    assert_eq!(description["ImportStatus"], "COMPLETED", "{description}");
    assert_eq!(items(&caller, "users").await, pairs(&[("a", "2"), ("b", "3"), ("c", "1")]));
    assert_eq!(status(&caller, "users").await.as_deref(), Some("ACTIVE"));
    let count = |name: &str| description[name].as_u64().unwrap();
    assert_eq!((count("ProcessedItemCount"), count("ImportedItemCount"), count("ErrorCount")), (5, 5, 0));
    assert_eq!(count("ProcessedSizeBytes"), 5 * line("a", "1").len() as u64);
    assert!(description.get("FailureCode").is_none() && description.get("CloudWatchLogGroupArn").is_none());
    caller.ok("PutItem", json!({"TableName": "users", "Item": {"Id": {"S": "a"}, "V": {"S": "9"}}})).await;
    caller.ok("DeleteTable", json!({"TableName": "users"})).await;
}

#[tokio::test]
async fn csv_makes_strings_of_all_but_the_keys() {
    let folders = Folders::new();
    let (_dev, caller) = folders.start();
    folders.put("scores.csv", "a;1;\"x;\"\"y\"\"\"\nb;2;\n");
    let mut asked = request("scores", "scores.csv");
    asked["InputFormat"] = json!("CSV");
    asked["InputFormatOptions"] = json!({"Csv": {"Delimiter": ";", "HeaderList": ["Id", "At", "V"]}});
    let parameters = &mut asked["TableCreationParameters"];
    let attributes = parameters["AttributeDefinitions"].as_array_mut().unwrap();
    attributes.push(json!({"AttributeName": "At", "AttributeType": "N"}));
    parameters["KeySchema"].as_array_mut().unwrap().push(json!({"AttributeName": "At", "KeyType": "RANGE"}));
    let description = import(&caller, asked).await;
    assert_eq!(description["ImportStatus"], "COMPLETED", "{description}");
    assert_eq!(description["InputFormatOptions"]["Csv"]["Delimiter"], ";");
    let key = json!({"Id": {"S": "a"}, "At": {"N": "1"}});
    let got = caller.ok("GetItem", json!({"TableName": "scores", "Key": key})).await;
    assert_eq!(got["Item"], json!({"Id": {"S": "a"}, "At": {"N": "1"}, "V": {"S": "x;\"y\""}}));
}

#[tokio::test]
async fn ion_becomes_a_table_and_what_is_no_item_in_it_is_told() {
    let folders = Folders::new();
    let (_dev, caller) = folders.start();
    folders.put(
        "users.ion",
        concat!(
            "$ion_1_0 {Item:{Id:\"a\",V:\"1\",n:6d2,s:$dynamodb_SS::[\"y\",\"x\"]}}\n",
            "$ion_1_0 {Item:{Id:\"b\",V:1e0}}\n",
            "$ion_1_0 {Item:{Id:\"c\",\n",
            "$ion_1_0 {Item:{Id:\"d\",V:'''2'''}}\n",
        ),
    );
    let mut asked = request("users", "users.ion");
    asked["InputFormat"] = json!("ION");
    let description = import(&caller, asked.clone()).await;
    assert_eq!((&description["ImportStatus"], &description["InputFormat"]), (&json!("FAILED"), &json!("ION")));
    assert_eq!(items(&caller, "users").await, pairs(&[("a", "1"), ("d", "2")]));
    let got = caller.ok("GetItem", json!({"TableName": "users", "Key": {"Id": {"S": "a"}}})).await;
    let item = json!({"Id": {"S": "a"}, "V": {"S": "1"}, "n": {"N": "600"}, "s": {"SS": ["x", "y"]}});
    assert_eq!(got["Item"], item);
    let errors = folders.errors(description["ImportArn"].as_str().unwrap());
    assert_eq!(errors.iter().map(|error| &error["line"]).collect::<Vec<_>>(), [2, 3]);
    assert!(errors[0]["message"].as_str().unwrap().contains("DynamoDB has no floats"), "{errors:?}");
    assert!(errors[1]["message"].as_str().unwrap().contains("the line ends within the item"), "{errors:?}");

    folders.put("binary.10n", b"\xe0\x01\x00\xea\x0f");
    asked["S3BucketSource"]["S3KeyPrefix"] = json!("binary");
    asked["TableCreationParameters"]["TableName"] = json!("binary");
    let description = import(&caller, asked).await;
    assert_eq!(description["FailureCode"], "SourceUnreadable", "{description}");
    assert!(description["FailureMessage"].as_str().unwrap().contains("it is binary Ion"), "{description}");
}

#[tokio::test]
async fn what_is_no_item_fails_the_import_and_is_told_and_the_table_stays_with_the_rest() {
    let folders = Folders::new();
    let (_dev, caller) = folders.start();
    folders.put("data.json", line("a", "1") + "{\"Item\":{\"Id\":{\"N\":\"1\"}}}\n" + &line("b", "2") + "nonsense\n");
    let description = import(&caller, request("users", "data")).await;
    assert_eq!(description["ImportStatus"], "FAILED", "{description}");
    assert_eq!(items(&caller, "users").await, pairs(&[("a", "1"), ("b", "2")]));
    assert_eq!(status(&caller, "users").await.as_deref(), Some("ACTIVE"));
    assert_eq!((&description["ErrorCount"], &description["ImportedItemCount"]), (&json!(2), &json!(2)));
    assert_eq!(description["ProcessedItemCount"], 4);
    assert_eq!(description["FailureCode"], "ItemValidationError");
    let log = description["CloudWatchLogGroupArn"].as_str().unwrap();
    assert!(log.starts_with("file://") && log.ends_with("/errors.jsonl"), "{log}");
    assert!(description["FailureMessage"].as_str().unwrap().contains(log), "{description}");
    let errors = folders.errors(description["ImportArn"].as_str().unwrap());
    assert_eq!(errors.len(), 2);
    assert_eq!((&errors[0]["object"], &errors[0]["line"]), (&json!("data.json"), &json!(2)));
    assert!(errors[0]["message"].as_str().unwrap().contains("Type mismatch for key Id"), "{errors:?}");
    assert_eq!((&errors[1]["line"], &errors[1]["item"]), (&json!(4), &json!("nonsense")));
}

#[tokio::test]
async fn an_import_of_nothing_but_what_is_no_item_leaves_an_empty_table() {
    let folders = Folders::new();
    let (mut dev, caller) = folders.start();
    folders.put("bad.json", "{\"Item\":{}}\n".repeat(20));
    let description = import(&caller, request("users", "bad")).await;
    let failed = (&json!("FAILED"), &json!("ItemValidationError"), &json!(20));
    assert_eq!((&description["ImportStatus"], &description["FailureCode"], &description["ErrorCount"]), failed);
    assert_eq!(items(&caller, "users").await, pairs(&[]));
    let arn = description["ImportArn"].as_str().unwrap();
    assert_eq!(folders.errors(arn).len(), 20);
    while folders.markers() > 0 {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    dev.kill();
    let (_dev, caller) = folders.start();
    assert_eq!(describe(&caller, arn).await, description, "after a start");
    assert_eq!(status(&caller, "users").await.as_deref(), Some("ACTIVE"));
}

#[tokio::test]
async fn of_no_objects_an_empty_table_is_made() {
    let folders = Folders::new();
    let (mut dev, caller) = folders.start();
    folders.put("nothing/there", "");
    for (table, prefix) in [("users", "nowhere"), ("others", "nothing/")] {
        let description = import(&caller, request(table, prefix)).await;
        assert_eq!(description["ImportStatus"], "COMPLETED", "{description}");
        assert!(description.get("FailureCode").is_none(), "{description}");
        for count in ["ProcessedItemCount", "ImportedItemCount", "ErrorCount", "ProcessedSizeBytes"] {
            assert_eq!(description[count], 0, "{count}");
        }
        let described = caller.ok("DescribeTable", json!({"TableName": table})).await["Table"].clone();
        assert_eq!((&described["TableStatus"], &described["TableId"]), (&json!("ACTIVE"), &description["TableId"]));
        assert_eq!(items(&caller, table).await, pairs(&[]));
    }
    caller.ok("PutItem", json!({"TableName": "users", "Item": {"Id": {"S": "a"}, "V": {"S": "1"}}})).await;
    dev.kill();
    let (_dev, caller) = folders.start();
    assert_eq!(items(&caller, "users").await, pairs(&[("a", "1")]));
}

#[tokio::test]
async fn an_import_that_fails_says_why_and_leaves_no_table() {
    let folders = Folders::new();
    let (_dev, caller) = folders.start();
    folders.put("good.json", line("a", "1"));
    folders.put("good.json.gz", line("a", "1"));
    folders.put("worse.json", line("a", "1") + &"{\"Item\":{}}\n".repeat(10_001));
    let mut no_bucket = request("users", "");
    no_bucket["S3BucketSource"]["S3Bucket"] = json!("no-such-bucket");
    let mut no_gzip = request("users", "good.json.gz");
    no_gzip["InputCompressionType"] = json!("GZIP");
    for (asked, code, message, errors) in [
        (no_bucket, "S3NoSuchBucket", "The specified bucket does not exist: no-such-bucket", 0),
        (
            request("users", "some//thing/x"),
            "S3InvalidKey",
            "Objects with the prefix 'some//thing/x' cannot be read",
            0,
        ),
        (no_gzip, "SourceUnreadable", "The object good.json.gz cannot be read: invalid gzip header", 0),
        (request("users", "worse"), "ItemValidationError", "More than 10000 items failed", 10_001),
    ] {
        let description = import(&caller, asked).await;
        assert_eq!((&description["ImportStatus"], &description["FailureCode"]), (&json!("FAILED"), &json!(code)));
        assert!(description["FailureMessage"].as_str().unwrap().contains(message), "{description}");
        assert_eq!(description["ErrorCount"], errors);
        assert_eq!(status(&caller, "users").await, None);
        if errors > 0 {
            let arn = description["ImportArn"].as_str().unwrap();
            assert_eq!(folders.errors(arn).len(), errors.min(10_000));
        }
    }
    // The name is free, and nothing is there of what was imported before.
    caller.create_table("users").await;
    assert_eq!(items(&caller, "users").await, pairs(&[]));
    for _ in 0..200 {
        if folders.markers() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the data folder remembers imports that have ended");
}

/// So many items that an import of them is met in the middle.
fn many() -> String {
    let mut lines = String::new();
    let value = "v".repeat(200);
    for n in 0..150_000 {
        let _ = writeln!(lines, "{{\"Item\":{{\"Id\":{{\"S\":\"{n}\"}},\"V\":{{\"S\":\"{value}\"}}}}}}");
    }
    lines
}

/// Waits until some of an import's items are written: what was read is given on before it is twice as much.
async fn under_way(caller: &Caller, arn: &str) {
    for _ in 0..2_000 {
        let description = describe(caller, arn).await;
        assert_eq!(description["ImportStatus"], "IN_PROGRESS", "the test needs more items: {description}");
        if description["ProcessedSizeBytes"].as_u64().is_some_and(|bytes| bytes > 2 << 20) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("nothing was imported within ten seconds");
}

#[tokio::test]
async fn while_it_is_filled_the_table_is_being_created() {
    let folders = Folders::new();
    let (_dev, caller) = folders.start();
    folders.put("many.json", many());
    let arn = begin(&caller, request("users", "many")).await;
    under_way(&caller, &arn).await;
    let description = describe(&caller, &arn).await;
    for count in ["ProcessedItemCount", "ImportedItemCount", "ErrorCount"] {
        assert_eq!(description[count], 0, "{count} is told at the end");
    }
    assert_eq!(status(&caller, "users").await.as_deref(), Some("CREATING"));
    let key = json!({"TableName": "users", "Key": {"Id": {"S": "1"}}});
    let item = json!({"TableName": "users", "Item": {"Id": {"S": "1"}}});
    for (operation, body, expected) in [
        ("GetItem", key.clone(), "ResourceNotFoundException"),
        ("PutItem", item, "ResourceNotFoundException"),
        ("Scan", json!({"TableName": "users"}), "ResourceNotFoundException"),
        ("DeleteTable", json!({"TableName": "users"}), "ResourceInUseException"),
        ("CreateBackup", json!({"TableName": "users", "BackupName": "early"}), "TableNotFoundException"),
        ("ImportTable", request("users", "many"), "ResourceInUseException"),
    ] {
        let (status, answer) = caller.call(operation, body).await.unwrap();
        assert_eq!(status, 400, "{operation}: {answer}");
        assert!(answer["__type"].as_str().unwrap().ends_with(expected), "{operation}: {answer}");
    }
    assert_eq!(caller.ok("ListTables", json!({})).await["TableNames"], json!(["users"]));
}

#[tokio::test]
async fn an_import_that_the_end_of_the_process_interrupts_has_failed_and_its_table_is_gone() {
    let folders = Folders::new();
    folders.put("many.json", many());
    for archive_after in [true, false] {
        let (mut dev, caller) = folders.start();
        let arn = begin(&caller, request("users", "many")).await;
        under_way(&caller, &arn).await;
        dev.kill();
        if !archive_after {
            let (mut dev, caller) = folders.start_with(&[]);
            assert_eq!(status(&caller, "users").await, None);
            dev.kill();
        }
        let (mut dev, caller) = folders.start();
        assert_eq!(status(&caller, "users").await, None);
        let description = describe(&caller, &arn).await;
        assert_eq!(
            (&description["ImportStatus"], &description["FailureCode"]),
            (&json!("FAILED"), &json!("ImportInterrupted"))
        );
        dev.kill();
    }
}

#[tokio::test]
async fn imports_are_known_after_a_restart_and_listed_in_pages_the_newest_first() {
    let folders = Folders::new();
    folders.put("good.json", line("a", "1"));
    let (mut dev, caller) = folders.start();
    let mut arns = Vec::new();
    for table in ["one", "two", "three"] {
        let description = import(&caller, request(table, "good")).await;
        assert_eq!(description["ImportStatus"], "COMPLETED", "{description}");
        arns.push(description["ImportArn"].clone());
    }
    let before = describe(&caller, arns[0].as_str().unwrap()).await;
    // The outcome is in the archive a moment after it is told.
    while folders.markers() > 0 {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    dev.kill();
    let (_dev, caller) = folders.start();
    assert_eq!(items(&caller, "one").await, pairs(&[("a", "1")]));
    assert_eq!(describe(&caller, arns[0].as_str().unwrap()).await, before);
    let first = caller.ok("ListImports", json!({"PageSize": 2})).await;
    let listed = |page: &Value| -> Vec<Value> {
        page["ImportSummaryList"].as_array().unwrap().iter().map(|import| import["ImportArn"].clone()).collect()
    };
    assert_eq!(listed(&first), [arns[2].clone(), arns[1].clone()]);
    let rest = caller.ok("ListImports", json!({"PageSize": 2, "NextToken": first["NextToken"]})).await;
    assert_eq!((listed(&rest), rest.get("NextToken")), (vec![arns[0].clone()], None));
    let of_table = json!({"TableArn": "arn:aws:dynamodb:us-east-1:local:table/two"});
    assert_eq!(listed(&caller.ok("ListImports", of_table).await), [arns[1].clone()]);
}

/// A request with the client token `token`, and with something else in it.
fn under_token(table: &str, prefix: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut asked = request(table, prefix);
    asked["ClientToken"] = json!("token");
    change(&mut asked);
    asked
}

async fn refused(caller: &Caller, request: Value) -> (String, String) {
    let (status, answer) = caller.call("ImportTable", request).await.unwrap();
    assert_eq!(status, 400, "{answer}");
    let name = answer["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned();
    (name, answer["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_client_token_stands_for_one_import_into_a_table_while_it_is_under_way() {
    let folders = Folders::new();
    let (_dev, caller) = folders.start();
    folders.put("many.json", many());
    let begun = caller.ok("ImportTable", under_token("users", "many", |_| {})).await;
    let source = |member: &'static str| move |asked: &mut Value| asked["S3BucketSource"][member] = json!("other");
    for asked in [
        under_token("users", "many", |_| {}),
        under_token("users", "many", source("S3Bucket")),
        under_token("users", "many", source("S3KeyPrefix")),
        under_token("users", "many", |asked| asked["InputFormat"] = json!("CSV")),
        under_token("users", "many", |asked| asked["InputCompressionType"] = json!("GZIP")),
    ] {
        let again = caller.ok("ImportTable", asked).await["ImportTableDescription"].clone();
        assert_eq!(again["ImportStatus"], "IN_PROGRESS", "the test needs more items: {again}");
        for member in ["ImportArn", "TableId", "S3BucketSource", "InputFormat", "InputCompressionType"] {
            assert_eq!(again[member], begun["ImportTableDescription"][member]);
        }
    }
    let (name, message) = refused(&caller, under_token("others", "many", |_| {})).await;
    assert_eq!(name, "ImportConflictException");
    assert_eq!(message, "Duplicate request detected with conflicting parameters");
}

#[tokio::test]
async fn a_client_token_counts_for_less_than_the_table_once_its_import_has_ended() {
    let folders = Folders::new();
    folders.put("good.json", line("a", "1"));
    let (mut dev, mut caller) = folders.start();
    let arn = begin(&caller, under_token("users", "good", |_| {})).await;
    ended(&caller, &arn).await;
    for restart in [false, true] {
        if restart {
            dev.kill();
            (dev, caller) = folders.start();
        }
        let (name, message) = refused(&caller, under_token("users", "good", |_| {})).await;
        assert_eq!((&*name, &*message), ("ResourceInUseException", "Table already exists: users"));
        let (name, _) = refused(&caller, under_token("others", "good", |_| {})).await;
        assert_eq!(name, "ImportConflictException");
    }
    // Where there is no table of it any more, it is what was asked for.
    caller.ok("DeleteTable", json!({"TableName": "users"})).await;
    while status(&caller, "users").await.is_some() {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let again = caller.ok("ImportTable", under_token("users", "good", |_| {})).await;
    assert_eq!(again["ImportTableDescription"]["ImportArn"], json!(arn));
    dev.kill();
}

#[tokio::test]
async fn an_import_that_is_finished_stays_finished_whatever_the_archive_got_of_it() {
    let folders = Folders::new();
    folders.put("good.json", line("a", "1"));
    let (mut dev, caller) = folders.start();
    let description = import(&caller, request("users", "good")).await;
    let arn = description["ImportArn"].as_str().unwrap();
    while folders.markers() > 0 {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    dev.kill();
    // As if the process had ended between the last item and the outcome's way into the archive.
    let id = arn.rsplit('/').next().unwrap();
    let stored = folders.archive().join("dev/local/imports").join(id).join("outcome.json");
    let outcome: Value = serde_json::from_slice(&std::fs::read(&stored).unwrap()).unwrap();
    std::fs::remove_file(&stored).unwrap();
    let marker = json!({"version": 1, "importId": id, "tableId": description["TableId"], "outcome": outcome});
    let marker_file = folders.root.path().join("data/imports").join(id).with_extension("json");
    std::fs::write(marker_file, marker.to_string()).unwrap();

    let (mut dev, caller) = folders.start_with(&[]);
    assert_eq!(items(&caller, "users").await, pairs(&[("a", "1")]));
    dev.kill();
    let (_dev, caller) = folders.start();
    assert_eq!(describe(&caller, arn).await, description);
    assert_eq!(items(&caller, "users").await, pairs(&[("a", "1")]));
    while folders.markers() > 0 {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(stored.exists());
}
