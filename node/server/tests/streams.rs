//! DynamoDB Streams on `cairn dev`: what a consumer reads of a table's changes.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{Caller, Dev};

const USERS: &str = "users";

/// One of the table's shards, to be read.
struct Shard {
    caller: Caller,
    stream_arn: String,
    id: String,
}

impl Shard {
    /// The only one of the table's latest stream.
    async fn of(caller: &Caller, table: &str) -> Self {
        let described = caller.ok("DescribeTable", json!({"TableName": table})).await;
        let stream_arn = described["Table"]["LatestStreamArn"].as_str().unwrap().to_owned();
        let stream = caller.streams("DescribeStream", json!({"StreamArn": stream_arn})).await;
        let shards = stream["StreamDescription"]["Shards"].as_array().unwrap().clone();
        assert_eq!(shards.len(), 1, "{stream}");
        Self { caller: caller.clone(), stream_arn, id: shards[0]["ShardId"].as_str().unwrap().to_owned() }
    }

    async fn iterator(&self, kind: &str, number: Option<&str>) -> String {
        let mut request = json!({"StreamArn": self.stream_arn, "ShardId": self.id, "ShardIteratorType": kind});
        if let Some(number) = number {
            request["SequenceNumber"] = json!(number);
        }
        let answer = self.caller.streams("GetShardIterator", request).await;
        answer["ShardIterator"].as_str().unwrap().to_owned()
    }

    async fn page(&self, iterator: &str, limit: u32) -> (Vec<Value>, Option<String>) {
        let answer = self.caller.streams("GetRecords", json!({"ShardIterator": iterator, "Limit": limit})).await;
        let next = answer["NextShardIterator"].as_str().map(str::to_owned);
        (answer["Records"].as_array().unwrap().clone(), next)
    }

    /// Everything from an iterator on, by pages of this many.
    async fn rest(&self, iterator: String, limit: u32) -> Vec<Value> {
        let (mut all, mut next) = (Vec::new(), Some(iterator));
        while let Some(iterator) = next {
            let (records, following) = self.page(&iterator, limit).await;
            if records.is_empty() {
                break;
            }
            all.extend(records);
            next = following;
        }
        all
    }

    async fn all(&self) -> Vec<Value> {
        self.rest(self.iterator("TRIM_HORIZON", None).await, 1_000).await
    }
}

async fn create(caller: &Caller, table: &str, view_type: &str) {
    let answer = caller
        .ok(
            "CreateTable",
            json!({
                "TableName": table,
                "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
                "StreamSpecification": {"StreamEnabled": true, "StreamViewType": view_type},
            }),
        )
        .await;
    let specification = json!({"StreamEnabled": true, "StreamViewType": view_type});
    assert_eq!(answer["TableDescription"]["StreamSpecification"], specification);
}

async fn put(caller: &Caller, table: &str, id: &str, score: u32) {
    let item = json!({"Id": {"S": id}, "Score": {"N": score.to_string()}});
    caller.ok("PutItem", json!({"TableName": table, "Item": item})).await;
}

async fn delete(caller: &Caller, table: &str, id: &str) {
    caller.ok("DeleteItem", json!({"TableName": table, "Key": {"Id": {"S": id}}})).await;
}

/// Enabled with a view type, or disabled.
async fn set_stream(caller: &Caller, table: &str, view_type: Option<&str>) -> Value {
    let mut specification = json!({"StreamEnabled": view_type.is_some()});
    if let Some(view_type) = view_type {
        specification["StreamViewType"] = json!(view_type);
    }
    caller.ok("UpdateTable", json!({"TableName": table, "StreamSpecification": specification})).await
}

fn number(record: &Value) -> &str {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap()
}

fn names(records: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    records.iter().map(|it| (text(&it["eventName"]), text(&it["dynamodb"]["Keys"]["Id"]["S"]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(event, id)| ((*event).to_owned(), (*id).to_owned())).collect()
}

#[tokio::test]
async fn every_change_is_one_record_with_what_the_view_type_shows() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    for view_type in ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"] {
        create(&caller, view_type, view_type).await;
        put(&caller, view_type, "ada", 1).await;
        put(&caller, view_type, "ada", 1).await;
        let update = json!({
            "TableName": view_type, "Key": {"Id": {"S": "ada"}}, "UpdateExpression": "SET Score = :s",
            "ExpressionAttributeValues": {":s": {"N": "2"}},
        });
        caller.ok("UpdateItem", update.clone()).await;
        caller.ok("UpdateItem", update).await;
        let failing = json!({
            "TableName": view_type, "Item": {"Id": {"S": "ada"}},
            "ConditionExpression": "attribute_not_exists(Id)",
        });
        assert_eq!(caller.call("PutItem", failing).await.unwrap().0, 400);
        delete(&caller, view_type, "ada").await;
        delete(&caller, view_type, "ada").await;

        let records = Shard::of(&caller, view_type).await.all().await;
        assert_eq!(names(&records), pairs(&[("INSERT", "ada"), ("MODIFY", "ada"), ("REMOVE", "ada")]));
        let image = |score: &str| json!({"Id": {"S": "ada"}, "Score": {"N": score}});
        let images = [(Value::Null, image("1")), (image("1"), image("2")), (image("2"), Value::Null)];
        for (record, (old, new)) in records.iter().zip(images) {
            let change = &record["dynamodb"];
            let shown = |image: Value, is_shown: bool| if is_shown { image } else { Value::Null };
            assert_eq!(change["OldImage"], shown(old.clone(), view_type.contains("OLD")), "{view_type}: {record}");
            assert_eq!(change["NewImage"], shown(new.clone(), view_type.contains("NEW")), "{view_type}: {record}");
            assert_eq!(change["StreamViewType"], view_type);
            // Each image is of "Id" (2), "ada" (3), "Score" (5) and a number of one digit (2).
            let size = 5 + 12 * ["OldImage", "NewImage"].iter().filter(|name| !change[**name].is_null()).count();
            assert_eq!(change["SizeBytes"], size);
            let common = ["eventSource", "eventVersion", "awsRegion"].map(|name| record[name].as_str().unwrap());
            assert_eq!(common, ["aws:dynamodb", "1.1", "us-east-1"]);
            assert!(change["ApproximateCreationDateTime"].as_u64().unwrap() > 1_700_000_000);
            assert!(record["userIdentity"].is_null());
        }
        let ids: std::collections::BTreeSet<&str> = records.iter().map(|it| it["eventID"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 3);
    }
}

#[tokio::test]
async fn iterators_begin_where_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    create(&caller, USERS, "KEYS_ONLY").await;
    for id in ["a", "b", "c"] {
        put(&caller, USERS, id, 1).await;
    }
    let shard = Shard::of(&caller, USERS).await;
    let all = shard.all().await;
    assert!(number(&all[0]) < number(&all[1]) && number(&all[1]) < number(&all[2]));
    let after = shard.iterator("AFTER_SEQUENCE_NUMBER", Some(number(&all[0]))).await;
    assert_eq!(shard.rest(after, 1).await, all[1..]);
    let at = shard.iterator("AT_SEQUENCE_NUMBER", Some(number(&all[1]))).await;
    assert_eq!(shard.rest(at, 1_000).await, all[1..]);
    let latest = shard.iterator("LATEST", None).await;
    let (records, next) = shard.page(&latest, 10).await;
    assert!(records.is_empty());
    put(&caller, USERS, "d", 1).await;
    for iterator in [latest, next.unwrap()] {
        assert_eq!(names(&shard.rest(iterator, 10).await), pairs(&[("INSERT", "d")]));
    }
}

#[tokio::test]
async fn a_page_ends_before_it_shows_more_than_a_megabyte() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    create(&caller, USERS, "NEW_IMAGE").await;
    for id in ["a", "b", "c"] {
        let item = json!({"Id": {"S": id}, "Text": {"S": "x".repeat(390 * 1_024)}});
        caller.ok("PutItem", json!({"TableName": USERS, "Item": item})).await;
    }
    let shard = Shard::of(&caller, USERS).await;
    let (records, next) = shard.page(&shard.iterator("TRIM_HORIZON", None).await, 1_000).await;
    assert_eq!(names(&records), pairs(&[("INSERT", "a"), ("INSERT", "b")]));
    let (records, _) = shard.page(&next.unwrap(), 1_000).await;
    assert_eq!(names(&records), pairs(&[("INSERT", "c")]));
}

#[tokio::test]
async fn a_disabled_stream_is_read_to_its_end_and_the_next_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    create(&caller, USERS, "KEYS_ONLY").await;
    put(&caller, USERS, "a", 1).await;
    let first = Shard::of(&caller, USERS).await;
    let open = first.page(&first.iterator("TRIM_HORIZON", None).await, 10).await;
    assert!(open.1.is_some(), "an open shard goes on");
    let disabled = set_stream(&caller, USERS, None).await;
    assert!(disabled["TableDescription"]["StreamSpecification"].is_null());
    assert_eq!(disabled["TableDescription"]["LatestStreamArn"], first.stream_arn);
    put(&caller, USERS, "unseen", 1).await;
    set_stream(&caller, USERS, Some("NEW_IMAGE")).await;
    put(&caller, USERS, "b", 1).await;
    let second = Shard::of(&caller, USERS).await;
    assert_ne!(second.stream_arn, first.stream_arn);
    let (_, next) = first.page(&first.iterator("TRIM_HORIZON", None).await, 10).await;
    assert_eq!(next, None, "a closed shard that is read to its end");

    dev.kill();
    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    // What was changed last is applied again once the partition leads itself.
    while caller.ok("DescribeTable", json!({"TableName": USERS})).await["Table"]["LatestStreamArn"] != second.stream_arn
    {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let (first, second) = (Shard { caller: caller.clone(), ..first }, Shard { caller: caller.clone(), ..second });
    assert_eq!(names(&second.all().await), pairs(&[("INSERT", "b")]));
    let (records, next) = first.page(&first.iterator("TRIM_HORIZON", None).await, 10).await;
    assert_eq!((names(&records), next), (pairs(&[("INSERT", "a")]), None));
    assert_eq!(first.page(&open.1.unwrap(), 10).await, (Vec::new(), None), "an iterator that was given before");

    let described = caller.streams("DescribeStream", json!({"StreamArn": first.stream_arn})).await;
    let described = &described["StreamDescription"];
    assert_eq!((&described["StreamStatus"], &described["StreamViewType"]), (&json!("DISABLED"), &json!("KEYS_ONLY")));
    let range = &described["Shards"][0]["SequenceNumberRange"];
    assert_eq!(range["EndingSequenceNumber"], records[0]["dynamodb"]["SequenceNumber"]);
    let listed = caller.streams("ListStreams", json!({"TableName": USERS})).await;
    let arns: Vec<&str> =
        listed["Streams"].as_array().unwrap().iter().map(|it| it["StreamArn"].as_str().unwrap()).collect();
    assert_eq!(arns, [&first.stream_arn, &second.stream_arn]);
}

#[tokio::test]
async fn the_stream_of_a_deleted_table_is_read_to_its_end_and_nothing_else_is_left_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    create(&caller, USERS, "NEW_IMAGE").await;
    put(&caller, USERS, "a", 1).await;
    put(&caller, USERS, "b", 1).await;
    let first = Shard::of(&caller, USERS).await;
    let all = first.all().await;
    let (_, open) = first.page(&first.iterator("TRIM_HORIZON", None).await, 1).await;
    caller.ok("DeleteTable", json!({"TableName": USERS})).await;
    assert_eq!(caller.call("DescribeTable", json!({"TableName": USERS})).await.unwrap().0, 400);
    assert_eq!(caller.ok("ListTables", json!({})).await["TableNames"], json!([]));
    create(&caller, USERS, "KEYS_ONLY").await;
    put(&caller, USERS, "c", 1).await;
    let second = Shard::of(&caller, USERS).await;

    dev.kill();
    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    let (first, second) = (Shard { caller: caller.clone(), ..first }, Shard { caller: caller.clone(), ..second });
    let last = number(&all[1]).to_owned();
    for (kind, at, left) in [
        ("TRIM_HORIZON", None, &all[..]),
        ("AT_SEQUENCE_NUMBER", Some(&*last), &all[1..]),
        ("AFTER_SEQUENCE_NUMBER", Some(&*last), &[]),
        ("LATEST", None, &[]),
    ] {
        let page = first.page(&first.iterator(kind, at).await, 10).await;
        assert_eq!(page, (left.to_vec(), None), "{kind}");
    }
    assert_eq!(first.page(&open.unwrap(), 10).await, (all[1..].to_vec(), None), "an iterator that was given before");
    let described = caller.streams("DescribeStream", json!({"StreamArn": first.stream_arn})).await;
    let described = &described["StreamDescription"];
    assert_eq!((&described["StreamStatus"], &described["StreamViewType"]), (&json!("DISABLED"), &json!("NEW_IMAGE")));
    assert_eq!(described["Shards"][0]["SequenceNumberRange"]["EndingSequenceNumber"], *last);
    assert_eq!(names(&second.all().await), pairs(&[("INSERT", "c")]));
    for request in [json!({"TableName": USERS}), json!({})] {
        let listed = caller.streams("ListStreams", request).await;
        let arns = listed["Streams"].as_array().unwrap().iter().map(|it| it["StreamArn"].as_str().unwrap());
        assert!(arns.eq([&first.stream_arn, &second.stream_arn]), "{listed}");
    }
    caller.ok("DeleteTable", json!({"TableName": USERS})).await;
    assert_eq!(names(&second.all().await), pairs(&[("INSERT", "c")]));
}

#[tokio::test]
async fn a_deleted_table_without_records_leaves_no_stream() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    create(&caller, USERS, "NEW_IMAGE").await;
    caller.ok("DeleteTable", json!({"TableName": USERS})).await;
    assert_eq!(caller.streams("ListStreams", json!({})).await["Streams"], json!([]));
}

/// Every number that is written is met once, in order for each item, by a consumer that reads while others write.
#[allow(clippy::disallowed_methods)] // a client's own clock
#[tokio::test]
async fn a_consumer_of_a_busy_table_misses_nothing_and_meets_nothing_twice() {
    const WRITERS: u32 = 8;
    const WRITES: u32 = 50;
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path());
    let caller = Caller::new(&dev.endpoint);
    create(&caller, USERS, "NEW_IMAGE").await;
    let shard = Shard::of(&caller, USERS).await;
    let mut iterator = shard.iterator("LATEST", None).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let caller = caller.clone();
            tokio::spawn(async move {
                for score in 1..=WRITES {
                    put(&caller, USERS, &format!("item-{writer}"), score).await;
                }
            })
        })
        .collect();
    let mut scores = std::collections::BTreeMap::<String, Vec<u32>>::new();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while scores.values().map(Vec::len).sum::<usize>() < (WRITERS * WRITES) as usize {
        assert!(tokio::time::Instant::now() < deadline, "records are missing: {scores:?}");
        let (records, next) = shard.page(&iterator, 17).await;
        for record in records {
            let image = &record["dynamodb"]["NewImage"];
            let score = image["Score"]["N"].as_str().unwrap().parse().unwrap();
            scores.entry(image["Id"]["S"].as_str().unwrap().to_owned()).or_default().push(score);
        }
        iterator = next.unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(shard.page(&iterator, 10).await.0.is_empty(), "nothing is left");
    for scores in scores.into_values() {
        assert_eq!(scores, (1..=WRITES).collect::<Vec<_>>());
    }
}
