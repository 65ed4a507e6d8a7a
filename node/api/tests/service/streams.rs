//! Streams: their specification, the four operations on them, and what each refuses.

use crate::client::{NOW_MS, Service};
use bytes::Bytes;
use cairn_model::{
    AttributeValue, Item,
    codec::EncodedItem,
    ids::{PartitionId, TableId},
    stream::{RETENTION_MS, SequenceNumber, label},
    table::{KeyAttribute, KeySchema, ScalarType, StreamViewType, TableDefinition},
    time::Timestamp,
};
use cairn_replication::operation::{ShardBounds, StreamEvent, StreamOutcome, StreamRecord, StreamRequest};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const LIST: &str = "DynamoDBStreams_20120810.ListStreams";
const DESCRIBE: &str = "DynamoDBStreams_20120810.DescribeStream";
const ITERATOR: &str = "DynamoDBStreams_20120810.GetShardIterator";
const RECORDS: &str = "DynamoDBStreams_20120810.GetRecords";
const ARN: &str = "arn:aws:dynamodb:east:game:table/users/stream/2023-11-14T22:13:20.123";
const SHARD_ID: &str = "shardId-00000001700000000123-07070707";

fn table(name: &str, specification: Value) -> Value {
    json!({
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": specification,
    })
}

async fn with_stream() -> Service {
    let service = Service::start().await;
    let specification = json!({"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"});
    service.ok("CreateTable", table("users", specification)).await;
    service
}

fn number(millis: u64) -> SequenceNumber {
    SequenceNumber { time: Timestamp::from_millis(millis), ordinal: 1 }
}

fn empty(after: Option<SequenceNumber>) -> StreamOutcome {
    StreamOutcome {
        partition: PartitionId([7; 16]),
        records: Vec::new(),
        last: after.unwrap_or_default(),
        latest: number(NOW_MS),
        trimmed: false,
        bounds: Some(ShardBounds { first: number(NOW_MS - 2 * RETENTION_MS), last: None }),
        ended: false,
    }
}

/// A service whose shard answers so, and what the shard is asked.
async fn answering(
    answer: impl Fn(StreamOutcome) -> StreamOutcome + Send + 'static,
) -> (Service, Arc<Mutex<Vec<StreamRequest>>>) {
    let service = with_stream().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    service.partitions.stream(move |request| {
        seen.lock().unwrap().push(request.clone());
        answer(empty(request.after))
    });
    (service, asked)
}

fn iterator(kind: &str, more: Value) -> Value {
    let mut request = json!({"StreamArn": ARN, "ShardId": SHARD_ID, "ShardIteratorType": kind});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

async fn iterate(service: &Service, kind: &str, more: Value) -> String {
    service.ok(ITERATOR, iterator(kind, more)).await["ShardIterator"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_table_with_a_stream_says_so() {
    let service = with_stream().await;
    let described = service.ok("DescribeTable", json!({"TableName": "users"})).await["Table"].clone();
    let specification = json!({"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"});
    assert_eq!(described["StreamSpecification"], specification);
    assert_eq!(described["LatestStreamArn"], ARN);
    assert_eq!(described["LatestStreamLabel"], "2023-11-14T22:13:20.123");
    service.create("plain", &[("Id", "S")]).await;
    let described = service.ok("DescribeTable", json!({"TableName": "plain"})).await["Table"].clone();
    for field in ["StreamSpecification", "LatestStreamArn", "LatestStreamLabel"] {
        assert!(described[field].is_null(), "{field}");
    }
}

#[tokio::test]
async fn a_specification_that_contradicts_itself_is_refused() {
    let service = with_stream().await;
    let member = "1 validation error detected: Value null at 'streamSpecification.streamEnabled' failed to satisfy \
                  constraint: Member must not be null";
    let invalid = "One or more parameter values were invalid: ";
    let kind = "1 validation error detected: Value 'ALL' at 'streamSpecification.streamViewType' failed to satisfy \
                constraint: Member must satisfy enum value set: [NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY]";
    let created = [
        (json!({}), member.to_owned()),
        (json!({"StreamEnabled": true, "StreamViewType": "ALL"}), kind.to_owned()),
        (
            json!({"StreamEnabled": true}),
            format!("{invalid}Table is being created with a stream enabled, UpdateViewType is required"),
        ),
        (
            json!({"StreamEnabled": false, "StreamViewType": "NEW_IMAGE"}),
            format!("{invalid}Table is being created with a stream disabled, UpdateViewType should not be specified"),
        ),
    ];
    for (specification, message) in created {
        assert_eq!(service.invalid("CreateTable", table("other", specification)).await, message);
    }
    let updated = [
        (
            json!({"StreamEnabled": true}),
            format!("{invalid}If stream is being enabled then UpdateViewType is required"),
        ),
        (
            json!({"StreamEnabled": false, "StreamViewType": "NEW_IMAGE"}),
            format!("{invalid}If stream is being disabled, then UpdateViewType must not be specified"),
        ),
        (
            json!({"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}),
            "Table already has an enabled stream: TableName: users".to_owned(),
        ),
    ];
    let update = |specification| json!({"TableName": "users", "StreamSpecification": specification});
    for (specification, message) in updated {
        assert_eq!(service.invalid("UpdateTable", update(specification)).await, message);
    }
    service.ok("UpdateTable", update(json!({"StreamEnabled": false}))).await;
    let message = service.invalid("UpdateTable", update(json!({"StreamEnabled": false}))).await;
    assert_eq!(message, "Table has no stream to disable: TableName: users");
}

#[tokio::test]
async fn streams_are_listed_by_pages_with_those_that_were_disabled() {
    let service = with_stream().await;
    for name in ["cities", "zones"] {
        service.ok("CreateTable", table(name, json!({"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}))).await;
    }
    service.ok("UpdateTable", json!({"TableName": "zones", "StreamSpecification": {"StreamEnabled": false}})).await;
    let mut listed = Vec::new();
    let mut request = json!({"Limit": 1});
    loop {
        let page = service.ok(LIST, request.clone()).await;
        for stream in page["Streams"].as_array().unwrap() {
            assert_eq!(stream["StreamLabel"], "2023-11-14T22:13:20.123");
            listed.push(stream["TableName"].as_str().unwrap().to_owned());
        }
        let Some(last) = page["LastEvaluatedStreamArn"].as_str() else { break };
        request["ExclusiveStartStreamArn"] = json!(last);
    }
    assert_eq!(listed, ["cities", "users", "zones"]);
    let of_one = service.ok(LIST, json!({"TableName": "users"})).await;
    assert_eq!(of_one["Streams"][0]["StreamArn"], ARN);
    assert_eq!(service.ok(LIST, json!({"TableName": "nobody"})).await["Streams"], json!([]));
    let message = service.invalid(LIST, json!({"Limit": 101})).await;
    assert!(message.contains("'limit' failed to satisfy constraint: Member must have value less than or equal to 100"));
}

#[tokio::test]
async fn a_stream_is_described_with_its_shard() {
    let (service, _) = answering(|outcome| outcome).await;
    let described = service.ok(DESCRIBE, json!({"StreamArn": ARN})).await["StreamDescription"].clone();
    assert_eq!(
        described,
        json!({
            "StreamArn": ARN,
            "StreamLabel": "2023-11-14T22:13:20.123",
            "StreamStatus": "ENABLED",
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            "CreationRequestDateTime": 1_700_000_000.123,
            "TableName": "users",
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            "Shards": [{
                "ShardId": SHARD_ID,
                "SequenceNumberRange": {"StartingSequenceNumber": number(NOW_MS - 2 * RETENTION_MS).to_string()},
            }],
        })
    );
    let none = [
        json!({"ExclusiveStartShardId": SHARD_ID}),
        json!({"ShardFilter": {"Type": "CHILD_SHARDS", "ShardId": SHARD_ID}}),
    ];
    for mut request in none {
        request["StreamArn"] = json!(ARN);
        assert_eq!(service.ok(DESCRIBE, request).await["StreamDescription"]["Shards"], json!([]));
    }
}

#[tokio::test]
async fn a_shard_filter_has_a_type_and_a_shard() {
    let service = with_stream().await;
    for (filter, missing) in [(json!({"Type": "CHILD_SHARDS"}), "shardId"), (json!({"ShardId": SHARD_ID}), "type")] {
        let text = service.invalid(DESCRIBE, json!({"StreamArn": ARN, "ShardFilter": filter})).await;
        assert_eq!(
            text,
            format!(
                "1 validation error detected: Value null at 'shardFilter.{missing}' failed to satisfy constraint: Member \
                 must not be null"
            )
        );
    }
}

#[tokio::test]
async fn what_names_no_stream_is_refused() {
    let service = with_stream().await;
    let other = ARN.replace("20.123", "20.124");
    let (name, message) = service.error(DESCRIBE, json!({"StreamArn": other})).await;
    let expected = format!("Requested resource not found: Stream: {other} not found");
    assert_eq!((name.as_str(), message), ("ResourceNotFoundException", expected));
    let foreign = ARN.replace("game", "bank");
    assert_eq!(service.error(DESCRIBE, json!({"StreamArn": foreign})).await.0, "AccessDeniedException");
    let message = service.invalid(DESCRIBE, json!({"StreamArn": "x".repeat(40)})).await;
    assert!(message.starts_with("Invalid StreamArn"), "{message}");
    let message = service.invalid(DESCRIBE, json!({"StreamArn": "short"})).await;
    assert!(
        message
            .contains("'streamArn' failed to satisfy constraint: Member must have length greater than or equal to 37")
    );
    let message = service.invalid(DESCRIBE, json!({})).await;
    assert!(message.contains("Value null at 'streamArn'"), "{message}");
}

#[tokio::test]
async fn operations_are_found_under_their_own_service_only() {
    let service = with_stream().await;
    for target in ["DynamoDB_20120810.ListStreams", "DynamoDBStreams_20120810.GetItem", "DynamoDBStreams_20120810.X"] {
        assert_eq!(service.error(target, json!({})).await.0, "UnknownOperationException", "{target}");
    }
}

#[tokio::test]
async fn an_iterator_of_each_type_begins_where_it_says() {
    let (service, asked) = answering(|outcome| outcome).await;
    let of_record = number(NOW_MS - 5_000);
    let by_number = json!({"SequenceNumber": of_record.to_string()});
    let cases = [
        ("TRIM_HORIZON", json!({}), None),
        ("LATEST", json!({}), Some(number(NOW_MS))),
        ("AFTER_SEQUENCE_NUMBER", by_number.clone(), Some(of_record)),
        ("AT_SEQUENCE_NUMBER", by_number, Some(of_record.before())),
        ("AT_TIMESTAMP", json!({"Timestamp": 1_699_999_990.5}), Some(SequenceNumber::before_millis(NOW_MS - 9_500))),
        ("AT_TIMESTAMP", json!({"Timestamp": 1_000}), None),
    ];
    for (kind, more, after) in cases {
        let text = iterate(&service, kind, more).await;
        service.ok(RECORDS, json!({"ShardIterator": text, "Limit": 7})).await;
        let request = asked.lock().unwrap().pop().unwrap();
        let horizon = Timestamp::from_millis(NOW_MS - RETENTION_MS);
        assert_eq!((request.after, request.limit, request.horizon), (after, 7, horizon), "{kind}");
        assert_eq!((request.stream, request.page_bytes), (1_700_000_000_123, 1 << 20));
    }
}

/// DescribeStream tells the number that the shard begins with, though no entry was stamped since the stream was enabled.
#[tokio::test]
async fn a_shard_in_which_nothing_was_written_yet_is_read_from_the_number_that_it_begins_with() {
    let first = number(NOW_MS);
    let bounds = Some(ShardBounds { first, last: None });
    let (service, asked) = answering(move |it| StreamOutcome { latest: SequenceNumber::default(), bounds, ..it }).await;
    for (kind, after) in [("AT_SEQUENCE_NUMBER", first.before()), ("AFTER_SEQUENCE_NUMBER", first)] {
        let text = iterate(&service, kind, json!({"SequenceNumber": first.to_string()})).await;
        service.ok(RECORDS, json!({"ShardIterator": text})).await;
        assert_eq!(asked.lock().unwrap().pop().unwrap().after, Some(after), "{kind}");
    }
    let later = iterator("AT_SEQUENCE_NUMBER", json!({"SequenceNumber": number(NOW_MS + 1).to_string()}));
    assert_eq!(service.invalid(ITERATOR, later).await, "Invalid SequenceNumber for the shard");
}

#[tokio::test]
async fn an_iterator_that_can_not_be_is_refused() {
    let (service, _) = answering(|outcome| outcome).await;
    let invalid = "One or more parameter values were invalid: ";
    let cases = [
        (iterator("LATEST", json!({"SequenceNumber": "1".repeat(21)})), "SequenceNumber should not be passed"),
        (iterator("AT_SEQUENCE_NUMBER", json!({})), "SequenceNumber cannot be null"),
        (iterator("AT_TIMESTAMP", json!({})), "Timestamp cannot be null"),
        (iterator("AT_TIMESTAMP", json!({"Timestamp": 1_700_000_001})), "Timestamp cannot be in the future"),
    ];
    for (request, message) in cases {
        let told = service.invalid(ITERATOR, request).await;
        assert!(told.starts_with(&format!("{invalid}{message}")), "{told}");
    }
    let future = iterator("AFTER_SEQUENCE_NUMBER", json!({"SequenceNumber": number(NOW_MS + 1).to_string()}));
    assert_eq!(service.invalid(ITERATOR, future).await, "Invalid SequenceNumber for the shard");
    let old = number(NOW_MS - RETENTION_MS - 1).to_string();
    let (name, _) = service.error(ITERATOR, iterator("AT_SEQUENCE_NUMBER", json!({"SequenceNumber": old}))).await;
    assert_eq!(name, "TrimmedDataAccessException");
    let other_shard = iterator("LATEST", json!({"ShardId": SHARD_ID.replace("-0707", "-0808")}));
    let (name, message) = service.error(ITERATOR, other_shard).await;
    assert_eq!(name, "ResourceNotFoundException");
    assert_eq!(message, "Requested resource not found: Shard does not exist");
    let message = service.invalid(RECORDS, json!({"ShardIterator": "none"})).await;
    assert_eq!(message, "Invalid ShardIterator");
    let good = iterate(&service, "LATEST", json!({})).await;
    let message = service.invalid(RECORDS, json!({"ShardIterator": good, "Limit": 1_001})).await;
    assert!(message.contains("less than or equal to 1000"), "{message}");
}

#[tokio::test]
async fn what_the_shard_says_is_told() {
    let (service, _) = answering(|outcome| StreamOutcome { trimmed: true, ..outcome }).await;
    let text = iterate(&service, "TRIM_HORIZON", json!({})).await;
    assert_eq!(service.error(RECORDS, json!({"ShardIterator": text})).await.0, "TrimmedDataAccessException");
    service.partitions.stream(|request| StreamOutcome { ended: true, ..empty(request.after) });
    assert_eq!(service.ok(RECORDS, json!({"ShardIterator": text})).await, json!({"Records": []}));
    service.partitions.stream(|request| StreamOutcome { partition: PartitionId([8; 16]), ..empty(request.after) });
    assert_eq!(service.error(RECORDS, json!({"ShardIterator": text})).await.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_record_is_shown_in_dynamodbs_form() {
    let item = |text: &str| {
        let id = ("Id".to_owned(), AttributeValue::S("ada".into()));
        let blob = ("Blob".to_owned(), AttributeValue::B(Bytes::copy_from_slice(text.as_bytes())));
        EncodedItem::encode(&Item::from([id, blob]))
    };
    let record = StreamRecord {
        number: number(NOW_MS - 1_001),
        event: StreamEvent::Remove,
        by_service: true,
        keys: EncodedItem::encode(&Item::from([("Id".to_owned(), AttributeValue::S("ada".into()))])),
        old_image: Some(item("old")),
        new_image: None,
    };
    let (service, _) =
        answering(move |outcome| StreamOutcome { records: vec![record.clone()], last: record.number, ..outcome }).await;
    let text = iterate(&service, "TRIM_HORIZON", json!({})).await;
    let answer = service.ok(RECORDS, json!({"ShardIterator": text})).await;
    let event_id = answer["Records"][0]["eventID"].as_str().unwrap();
    assert!(event_id.len() == 32 && event_id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(
        answer["Records"],
        json!([{
            "eventID": event_id,
            "eventName": "REMOVE",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "east",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_699_999_998,
                "Keys": {"Id": {"S": "ada"}},
                "OldImage": {"Id": {"S": "ada"}, "Blob": {"B": "b2xk"}},
                "SequenceNumber": number(NOW_MS - 1_001).to_string(),
                "SizeBytes": 17,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "userIdentity": {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"},
        }])
    );
    assert!(answer["NextShardIterator"].as_str().unwrap().starts_with(ARN));
}

/// A table with a stream that was made ten seconds before the time.
fn made_before(name: &str, millis: u64) -> TableDefinition {
    let partition = KeyAttribute { name: "Id".into(), scalar_type: ScalarType::S };
    let mut table = TableDefinition::new("game", name, TableId([9; 16]), KeySchema { partition, sort: None });
    table.set_stream(Some(StreamViewType::KeysOnly), millis - 10_000);
    table
}

fn arn_before(name: &str, millis: u64) -> String {
    format!("arn:aws:dynamodb:east:game:table/{name}/stream/{}", label(millis - 10_000))
}

async fn listed(service: &Service, mut request: Value) -> Vec<String> {
    let mut listed = Vec::new();
    loop {
        let page = service.ok(LIST, request.clone()).await;
        let streams = page["Streams"].as_array().unwrap().clone();
        listed.extend(streams.iter().map(|stream| stream["StreamArn"].as_str().unwrap().to_owned()));
        let Some(last) = page["LastEvaluatedStreamArn"].as_str() else { return listed };
        request["ExclusiveStartStreamArn"] = json!(last);
    }
}

#[tokio::test]
async fn the_stream_of_a_deleted_table_is_there_beside_that_of_one_of_the_same_name() {
    let (service, asked) = answering(|outcome| StreamOutcome { ended: true, ..outcome }).await;
    let deleted = ["users", "cities"].map(|name| made_before(name, NOW_MS).retired(NOW_MS));
    *service.partitions.streamed.lock().unwrap() = deleted.to_vec();
    let arns = ["cities", "users"].map(|name| arn_before(name, NOW_MS));
    let all = [&arns[0], &arns[1], ARN];
    for limit in [1, 2, 100] {
        assert_eq!(listed(&service, json!({"Limit": limit})).await, all, "{limit}");
    }
    assert_eq!(listed(&service, json!({"TableName": "users"})).await, all[1..]);
    assert_eq!(listed(&service, json!({"TableName": "cities"})).await, all[..1]);
    assert_eq!(service.ok("ListTables", json!({})).await["TableNames"], json!(["users"]));
    assert_eq!(service.error("DescribeTable", json!({"TableName": "cities"})).await.0, "ResourceNotFoundException");

    let described = service.ok(DESCRIBE, json!({"StreamArn": arns[1]})).await["StreamDescription"].clone();
    assert_eq!((&described["StreamStatus"], &described["StreamViewType"]), (&json!("DISABLED"), &json!("KEYS_ONLY")));
    let shard_id = described["Shards"][0]["ShardId"].clone();
    for kind in ["TRIM_HORIZON", "LATEST"] {
        let iterator =
            service.ok(ITERATOR, json!({"StreamArn": arns[1], "ShardId": shard_id, "ShardIteratorType": kind})).await;
        let page = service.ok(RECORDS, iterator).await;
        assert_eq!(page, json!({"Records": []}), "{kind}");
    }
    assert!(asked.lock().unwrap().iter().all(|request| request.stream == NOW_MS - 10_000));
    let described = service.ok(DESCRIBE, json!({"StreamArn": ARN})).await;
    assert_eq!(described["StreamDescription"]["StreamStatus"], "ENABLED");
}

#[tokio::test]
async fn the_stream_of_a_table_that_was_deleted_a_day_ago_is_not_found() {
    let (service, _) = answering(|outcome| outcome).await;
    let long_ago = NOW_MS - RETENTION_MS;
    *service.partitions.streamed.lock().unwrap() = vec![made_before("cities", long_ago).retired(long_ago)];
    assert_eq!(listed(&service, json!({})).await, [ARN]);
    let (name, _) = service.error(DESCRIBE, json!({"StreamArn": arn_before("cities", long_ago)})).await;
    assert_eq!(name, "ResourceNotFoundException");
    let just_within = long_ago + 1;
    *service.partitions.streamed.lock().unwrap() = vec![made_before("cities", just_within).retired(just_within)];
    service.ok(DESCRIBE, json!({"StreamArn": arn_before("cities", just_within)})).await;
}

#[tokio::test]
async fn a_stream_whose_table_is_gone_before_the_nodes_know_is_on_its_way_out() {
    let (service, _) = answering(|outcome| outcome).await;
    *service.partitions.streamed.lock().unwrap() = vec![made_before("cities", NOW_MS)];
    let described = service.ok(DESCRIBE, json!({"StreamArn": arn_before("cities", NOW_MS)})).await;
    assert_eq!(described["StreamDescription"]["StreamStatus"], "DISABLING");
}

#[tokio::test]
async fn a_table_that_the_nodes_tell_of_too_is_listed_once() {
    let (service, _) = answering(|outcome| outcome).await;
    let there = cairn_api::Catalog::table(&*service.catalog, "game", "users").unwrap();
    *service.partitions.streamed.lock().unwrap() = vec![there.definition.clone()];
    assert_eq!(listed(&service, json!({})).await, [ARN]);
    let described = service.ok(DESCRIBE, json!({"StreamArn": ARN})).await;
    assert_eq!(described["StreamDescription"]["StreamStatus"], "ENABLED");
}
