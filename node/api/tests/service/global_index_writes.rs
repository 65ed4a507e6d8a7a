//! Global secondary indexes: what an item must be to enter one, and what its writes cost there.

use crate::{
    client::Service,
    global_indexes::{definition, index, with},
};
use serde_json::{Value, json};

/// The table `scores` (User, At) with the index `by-rank` (Team, Rank), which shows keys only.
async fn indexed() -> Service {
    let service = Service::start().await;
    let by_rank = index("by-rank", &["Team", "Rank"], json!({"ProjectionType": "KEYS_ONLY"}));
    service.ok("CreateTable", definition(&[("Team", "S"), ("Rank", "N")], &[by_rank])).await;
    service
}

fn score(more: Value) -> Value {
    with(json!({"User": {"S": "anna"}, "At": {"N": "1"}}), more)
}

fn put(more: Value) -> Value {
    json!({"TableName": "scores", "Item": score(more)})
}

fn update(attribute: &str, value: Value) -> Value {
    json!({
        "TableName": "scores", "Key": score(json!({})), "UpdateExpression": "SET #a = :v",
        "ExpressionAttributeNames": {"#a": attribute}, "ExpressionAttributeValues": {":v": value}
    })
}

const MISMATCH: &str = "One or more parameter values were invalid: Type mismatch for Index Key Team Expected: S Actual: N \
                        IndexName: by-rank";
const EMPTY: &str = "One or more parameter values are not valid. A value specified for a secondary index key is not \
                     supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: \
                     by-rank, IndexKey: Team";
const TOO_LONG: &str =
    "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes";

#[tokio::test]
async fn an_item_that_can_not_be_in_an_index_is_refused_however_it_is_put() {
    let service = indexed().await;
    for (team, expected) in
        [(json!({"N": "1"}), MISMATCH), (json!({"S": ""}), EMPTY), (json!({"S": "x".repeat(2049)}), TOO_LONG)]
    {
        let item = json!({"Team": team});
        assert_eq!(service.invalid("PutItem", put(item.clone())).await, expected);
        let batch = json!({"RequestItems": {"scores": [{"PutRequest": {"Item": score(item)}}]}});
        assert_eq!(service.invalid("BatchWriteItem", batch).await, expected);
    }
    let statement = "INSERT INTO scores VALUE {'User': 'anna', 'At': 1, 'Team': 7}";
    assert_eq!(service.invalid("ExecuteStatement", json!({"Statement": statement})).await, MISMATCH);
    let transaction = json!({"TransactItems": [{"Put": put(json!({"Team": {"N": "1"}}))}]});
    let (kind, text) = service.error("TransactWriteItems", transaction).await;
    assert!(kind == "TransactionCanceledException" && text.contains("ValidationError"), "{text}");
    service.ok("PutItem", put(json!({"Team": {"S": "x".repeat(2048)}}))).await;
}

#[tokio::test]
async fn an_update_that_would_make_an_index_key_none_is_refused() {
    let service = indexed().await;
    assert_eq!(service.invalid("UpdateItem", update("Team", json!({"N": "1"}))).await, MISMATCH);
    service.ok("PutItem", put(json!({"Rank": {"N": "1"}, "Name": {"S": "n"}}))).await;
    assert_eq!(
        service.invalid("UpdateItem", update("Rank", json!({"S": "1"}))).await,
        "One or more parameter values were invalid: Type mismatch for Index Key Rank Expected: N Actual: S IndexName: by-rank"
    );
    let mut request = update("Team", json!({"N": "1"}));
    request["UpdateExpression"] = json!("SET #a = if_not_exists(#a, :v)");
    assert_eq!(
        service.invalid("UpdateItem", request).await,
        "The update expression attempted to update the secondary index key to unsupported type"
    );
    service.ok("UpdateItem", update("Team", json!({"S": "red"}))).await;
}

/// What `by-rank` and the table took, and both together.
fn units(answer: &Value) -> (Value, Value, Value) {
    let capacity = &answer["ConsumedCapacity"];
    let capacity = if capacity.is_array() { &capacity[0] } else { capacity };
    let of_index = capacity["GlobalSecondaryIndexes"]["by-rank"]["CapacityUnits"].clone();
    (of_index, capacity["Table"]["CapacityUnits"].clone(), capacity["CapacityUnits"].clone())
}

#[tokio::test]
async fn a_write_costs_in_an_index_what_it_changes_there() {
    let service = indexed().await;
    let capacity = json!({"ReturnConsumedCapacity": "INDEXES"});
    let team = |name: &str, filler: usize| json!({"Team": {"S": name}, "Rank": {"N": "1"}, "Filler": {"S": "x".repeat(filler)}});
    for (item, of_index, of_table, total) in [
        (team("red", 0), json!(1.0), 1.0, 2.0),
        // What the index doesn't show changes nothing in it.
        (team("red", 3_000), Value::Null, 3.0, 3.0),
        // Another place: a deletion and a write.
        (team("blue", 3_000), json!(2.0), 3.0, 5.0),
        (json!({}), json!(1.0), 3.0, 4.0),
        (json!({"More": {"S": "x"}}), Value::Null, 1.0, 1.0),
    ] {
        let answer = service.ok("PutItem", with(put(item), capacity.clone())).await;
        assert_eq!(units(&answer), (of_index, json!(of_table), json!(total)));
    }
}

#[tokio::test]
async fn batches_and_transactions_add_up_what_their_writes_cost_in_an_index() {
    let service = indexed().await;
    let item = |user: &str| json!({"User": {"S": user}, "At": {"N": "1"}, "Team": {"S": "red"}, "Rank": {"N": "1"}});
    let puts: Vec<Value> = ["anna", "ben"].iter().map(|user| json!({"PutRequest": {"Item": item(user)}})).collect();
    let batch = json!({"RequestItems": {"scores": puts}, "ReturnConsumedCapacity": "INDEXES"});
    assert_eq!(units(&service.ok("BatchWriteItem", batch).await), (json!(2.0), json!(2.0), json!(4.0)));
    // The item's units are twice those of a write, the index's are not.
    let actions: Vec<Value> =
        ["carl", "dora"].iter().map(|user| json!({"Put": {"TableName": "scores", "Item": item(user)}})).collect();
    let transaction = json!({"TransactItems": actions, "ReturnConsumedCapacity": "INDEXES"});
    assert_eq!(units(&service.ok("TransactWriteItems", transaction).await), (json!(2.0), json!(4.0), json!(6.0)));
    let found = service.ok("Scan", json!({"TableName": "scores", "IndexName": "by-rank"})).await;
    assert_eq!(found["Count"], 4);
}
