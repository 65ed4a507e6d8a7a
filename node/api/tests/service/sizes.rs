//! The sizes that DynamoDB has limits of: what has just that size is taken, and what has a byte more is not.

use crate::client::Service;
use cairn_model::limits::{
    BATCH_GET_BYTES_MAX, ITEM_BYTES_MAX, PAGE_BYTES_MAX, REQUEST_BYTES_MAX, TRANSACTION_BYTES_MAX,
};
use hyper::StatusCode;
use serde_json::{Value, json};

const PUT_TOO_LARGE: &str = "Item size has exceeded the maximum allowed size";
const UPDATED_TOO_LARGE: &str = "Item size to update has exceeded the maximum allowed size";
const TRANSACTION_TOO_LARGE: &str = "Collection size of items exceeded, which can also be caused by the aggregate size \
                                     of the items in the transaction exceeding the 4MB limit";

async fn blobs() -> Service {
    let service = Service::start().await;
    service.create("blobs", &[("Id", "S"), ("Place", "S")]).await;
    service
}

fn key(place: usize) -> Value {
    json!({"Id": {"S": "a"}, "Place": {"S": format!("{place:02}")}})
}

/// Three bytes of its partition key, seven of its sort key, and what is left of `V` and its text.
fn item(place: usize, bytes: usize) -> Value {
    let mut item = key(place);
    item["V"] = json!({"S": "x".repeat(bytes - 11)});
    item
}

/// Items of so many bytes together, all but the last as large as any can be.
fn items(bytes: usize) -> Vec<Value> {
    let sizes = (0..bytes).step_by(ITEM_BYTES_MAX).map(|before| ITEM_BYTES_MAX.min(bytes - before));
    sizes.enumerate().map(|(place, bytes)| item(place, bytes)).collect()
}

fn keys(count: usize) -> Vec<Value> {
    (0..count).map(key).collect()
}

fn transaction(actions: impl IntoIterator<Item = Value>) -> Value {
    json!({"TransactItems": actions.into_iter().collect::<Vec<_>>()})
}

impl Service {
    async fn put_blob(&self, item: &Value) {
        self.ok("PutItem", json!({"TableName": "blobs", "Item": item})).await;
    }
}

#[tokio::test]
async fn an_item_has_four_hundred_kilobytes_whatever_puts_it() {
    let service = blobs().await;
    let put = |bytes| json!({"TableName": "blobs", "Item": item(1, bytes)});
    let batch = |bytes| json!({"RequestItems": {"blobs": [{"PutRequest": {"Item": item(2, bytes)}}]}});
    let transact = |bytes| transaction([json!({"Put": {"TableName": "blobs", "Item": item(3, bytes)}})]);
    let cases: [(&str, &dyn Fn(usize) -> Value); 3] =
        [("PutItem", &put), ("BatchWriteItem", &batch), ("TransactWriteItems", &transact)];
    for (operation, request) in cases {
        service.ok(operation, request(ITEM_BYTES_MAX)).await;
        assert_eq!(service.invalid(operation, request(ITEM_BYTES_MAX + 1)).await, PUT_TOO_LARGE, "{operation}");
    }
    assert_eq!(service.ok("Scan", json!({"TableName": "blobs", "Select": "COUNT", "Limit": 3})).await["Count"], 3);
}

#[tokio::test]
async fn an_item_is_updated_to_four_hundred_kilobytes_whatever_updates_it() {
    let service = blobs().await;
    let update = |place, bytes| {
        json!({"TableName": "blobs", "Key": key(place), "UpdateExpression": "SET V = :v",
               "ExpressionAttributeValues": {":v": item(place, bytes)["V"]}})
    };
    let by_expression = |bytes| update(1, bytes);
    let by_parameters =
        |bytes| json!({"TableName": "blobs", "Key": key(2), "AttributeUpdates": {"V": {"Value": item(2, bytes)["V"]}}});
    // Ten bytes of its key, a name and three of the list, and one for each element.
    let mut half = key(3);
    half["L"] = json!({"L": [{"S": "x".repeat(200_000 - 10 - 1 - 3 - 1)}]});
    service.put_blob(&half).await;
    let grown = |bytes| {
        json!({"TableName": "blobs", "Key": key(3), "UpdateExpression": "SET L = list_append(L, :l)",
               "ExpressionAttributeValues": {":l": {"L": [{"S": "x".repeat(bytes - 200_000 - 1)}]}}})
    };
    let cases: [&dyn Fn(usize) -> Value; 3] = [&by_expression, &by_parameters, &grown];
    for (at, request) in cases.into_iter().enumerate() {
        let text = service.invalid("UpdateItem", request(ITEM_BYTES_MAX + 1)).await;
        assert_eq!(text, UPDATED_TOO_LARGE, "{at}");
        service.ok("UpdateItem", request(ITEM_BYTES_MAX)).await;
    }
    let transact = |bytes| transaction([json!({"Update": update(4, bytes)})]);
    let answer = service.call("TransactWriteItems", transact(ITEM_BYTES_MAX + 1).to_string()).await;
    assert_eq!(answer.error().0, "TransactionCanceledException");
    let reasons = json!([{"Code": "ValidationError", "Message": UPDATED_TOO_LARGE}]);
    assert_eq!(answer.json()["CancellationReasons"], reasons);
    service.ok("TransactWriteItems", transact(ITEM_BYTES_MAX)).await;
}

/// It ends with the item that fills it, which is the last of it though it be larger than what was left.
#[tokio::test]
async fn a_page_is_full_with_one_megabyte_and_not_with_a_byte_less() {
    let service = blobs().await;
    for item in items(PAGE_BYTES_MAX).iter().chain([&item(3, 100)]) {
        service.put_blob(item).await;
    }
    let scan = json!({"TableName": "blobs", "ReturnConsumedCapacity": "TOTAL"});
    let page = service.ok("Scan", scan.clone()).await;
    assert_eq!((&page["Count"], &page["LastEvaluatedKey"]), (&json!(3), &key(2)));
    assert_eq!(page["ConsumedCapacity"]["CapacityUnits"], 128.0);
    service.put_blob(&item(2, PAGE_BYTES_MAX - 2 * ITEM_BYTES_MAX - 1)).await;
    let page = service.ok("Scan", scan).await;
    assert_eq!((&page["Count"], &page["LastEvaluatedKey"]), (&json!(4), &Value::Null));
    assert_eq!(page["ConsumedCapacity"]["CapacityUnits"], 128.5);
}

/// Of the items as they are, however little of them is asked for.
#[tokio::test]
async fn a_batch_gets_sixteen_megabytes() {
    let service = blobs().await;
    let items = items(BATCH_GET_BYTES_MAX);
    for item in &items {
        service.put_blob(item).await;
    }
    let get = json!({"RequestItems": {"blobs": {"Keys": keys(items.len()), "ProjectionExpression": "Id, Place"}}});
    let answer = service.ok("BatchGetItem", get.clone()).await;
    assert_eq!(answer, json!({"Responses": {"blobs": keys(items.len())}, "UnprocessedKeys": {}}));
    let last = items.len() - 1;
    service.put_blob(&item(last, BATCH_GET_BYTES_MAX - last * ITEM_BYTES_MAX + 1)).await;
    let answer = service.ok("BatchGetItem", get).await;
    assert_eq!(answer["Responses"]["blobs"], json!(keys(last)));
    let unprocessed = json!({"blobs": {"Keys": [key(last)], "ProjectionExpression": "Id, Place"}});
    assert_eq!(answer["UnprocessedKeys"], unprocessed);
}

#[tokio::test]
async fn a_request_has_sixteen_megabytes() {
    let service = blobs().await;
    let puts: Vec<_> = (0..25).map(|place| json!({"PutRequest": {"Item": item(place, ITEM_BYTES_MAX)}})).collect();
    let mut body = json!({"RequestItems": {"blobs": puts}}).to_string().into_bytes();
    body.resize(REQUEST_BYTES_MAX, b' ');
    let answer = service.call("BatchWriteItem", body.clone()).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({"UnprocessedItems": {}})));
    body.push(b' ');
    assert_eq!(service.call("BatchWriteItem", body).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_transaction_writes_four_megabytes() {
    let service = blobs().await;
    let puts =
        |bytes| transaction(items(bytes).into_iter().map(|item| json!({"Put": {"TableName": "blobs", "Item": item}})));
    let text = service.invalid("TransactWriteItems", puts(TRANSACTION_BYTES_MAX + 1)).await;
    assert_eq!(
        text,
        "Transaction payload size cannot exceed 4MB. Payload Size: : Transaction payload size cannot exceed 4MB. Payload \
         Size: 4194305"
    );
    service.ok("TransactWriteItems", puts(TRANSACTION_BYTES_MAX)).await;
}

/// As was measured at DynamoDB: of what is deleted, the payload has only the keys.
#[tokio::test]
async fn a_transaction_deletes_more_than_four_megabytes() {
    let service = blobs().await;
    let items = items(TRANSACTION_BYTES_MAX);
    let count = items.len() + 2;
    for item in &items {
        service.put_blob(item).await;
    }
    for place in items.len()..count {
        service.put_blob(&item(place, ITEM_BYTES_MAX)).await;
    }
    let delete = |key| json!({"Delete": {"TableName": "blobs", "Key": key}});
    service.ok("TransactWriteItems", transaction(keys(count).into_iter().map(delete))).await;
    let left = service.ok("Scan", json!({"TableName": "blobs"})).await;
    assert_eq!(left["Count"], 0);
}

/// As with a batch; "DynamoDB rejects the entire TransactGetItems request if […] the aggregate size of the items in the
/// transaction exceeded 4 MB" (reference).
#[tokio::test]
async fn a_transaction_reads_four_megabytes() {
    let service = blobs().await;
    let items = items(TRANSACTION_BYTES_MAX);
    for item in &items {
        service.put_blob(item).await;
    }
    let get = |key| json!({"Get": {"TableName": "blobs", "Key": key, "ProjectionExpression": "Id, Place"}});
    let gets = transaction(keys(items.len()).into_iter().map(get));
    let text = "SELECT Id, Place FROM blobs WHERE Id = ? AND Place = ?";
    let statement = |key: Value| json!({"Statement": text, "Parameters": [key["Id"], key["Place"]]});
    let statements: Vec<_> = keys(items.len()).into_iter().map(statement).collect();
    let cases = [("TransactGetItems", gets), ("ExecuteTransaction", json!({"TransactStatements": statements}))];
    let got: Vec<_> = keys(items.len()).into_iter().map(|key| json!({"Item": key})).collect();
    for (operation, request) in &cases {
        assert_eq!(service.ok(operation, request.clone()).await, json!({"Responses": got}), "{operation}");
    }
    let last = items.len() - 1;
    service.put_blob(&item(last, TRANSACTION_BYTES_MAX - last * ITEM_BYTES_MAX + 1)).await;
    for (operation, request) in cases {
        assert_eq!(service.invalid(operation, request).await, TRANSACTION_TOO_LARGE, "{operation}");
    }
}
