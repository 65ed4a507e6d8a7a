//! What is told of each table, under CloudWatch's names.

use crate::{client::Service, global_indexes::index};
use cairn_model::{ErrorKind, ServiceError};
use serde_json::json;

impl Service {
    /// A counter's value; none where it is not told.
    fn counted(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name)?;
        let has = |metric: &prometheus::proto::Metric, (name, value): &(&str, &str)| {
            metric.get_label().iter().any(|label| label.name() == *name && label.value() == *value)
        };
        let found = family.get_metric().iter().find(|metric| labels.iter().all(|label| has(metric, label)));
        found.map(|metric| metric.get_counter().get_value())
    }

    pub(crate) fn of_users(&self, name: &str) -> Option<f64> {
        self.of_table("users", name)
    }

    pub(crate) fn of_table(&self, table: &str, name: &str) -> Option<f64> {
        self.counted(name, &[("account", "game"), ("table", table)])
    }

    pub(crate) fn of_operation(&self, name: &str, operation: &str) -> Option<f64> {
        self.counted(name, &[("account", "game"), ("table", "users"), ("operation", operation)])
    }
}

#[tokio::test]
async fn a_table_tells_the_units_that_it_consumed() {
    let service = Service::with_users().await;
    service.put(json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "V": {"S": "x".repeat(5_000)}})).await;
    let key = json!({"Id": {"S": "a"}, "Game": {"N": "1"}});
    service.ok("GetItem", json!({"TableName": "users", "Key": key})).await;
    service.ok("GetItem", json!({"TableName": "users", "Key": key, "ConsistentRead": true})).await;
    let keys = json!([key, {"Id": {"S": "b"}, "Game": {"N": "1"}}]);
    service.ok("BatchGetItem", json!({"RequestItems": {"users": {"Keys": keys}}})).await;
    assert_eq!(service.of_users("cairn_consumed_write_capacity_units_total"), Some(5.0));
    assert_eq!(service.of_users("cairn_consumed_read_capacity_units_total"), Some(1.0 + 2.0 + 1.5));
}

#[tokio::test]
async fn a_global_index_tells_the_units_that_it_consumed_and_its_table_tells_them_not() {
    let service = Service::with_users().await;
    let index = index("by-score", &["Score"], json!({"ProjectionType": "ALL"}));
    let update = json!({
        "TableName": "users", "GlobalSecondaryIndexUpdates": [{"Create": index}],
        "AttributeDefinitions": [{"AttributeName": "Score", "AttributeType": "N"}]
    });
    service.ok("UpdateTable", update).await;
    service.put(json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "Score": {"N": "7"}})).await;
    service.ok("Scan", json!({"TableName": "users", "IndexName": "by-score"})).await;
    let labels = [("account", "game"), ("table", "users"), ("index", "by-score")];
    let of_index = |name: &str| service.counted(name, &labels);
    assert_eq!(of_index("cairn_index_consumed_write_capacity_units_total"), Some(1.0));
    assert_eq!(of_index("cairn_index_consumed_read_capacity_units_total"), Some(0.5));
    assert_eq!(service.of_users("cairn_consumed_write_capacity_units_total"), Some(1.0));
    assert_eq!(service.of_users("cairn_consumed_read_capacity_units_total"), Some(0.0));
    assert_eq!(service.of_operation("cairn_returned_item_count_total", "Scan"), Some(1.0));
    let deletion = json!([{"Delete": {"IndexName": "by-score"}}]);
    service.ok("UpdateTable", json!({"TableName": "users", "GlobalSecondaryIndexUpdates": deletion})).await;
    assert_eq!(of_index("cairn_index_consumed_write_capacity_units_total"), None);
}

#[tokio::test]
async fn a_table_tells_what_was_asked_of_it_and_what_came_back() {
    let service = Service::with_users().await;
    for game in 1..=3 {
        service.put(json!({"Id": {"S": "a"}, "Game": {"N": game.to_string()}})).await;
    }
    let query = json!({
        "TableName": "users", "KeyConditionExpression": "Id = :id", "ExpressionAttributeValues": {":id": {"S": "a"}}
    });
    service.ok("Query", query).await;
    assert_eq!(service.of_operation("cairn_returned_item_count_total", "Query"), Some(3.0));
    assert_eq!(service.of_operation("cairn_successful_requests_total", "PutItem"), Some(3.0));
    assert_eq!(service.of_operation("cairn_successful_requests_total", "Query"), Some(1.0));
    assert_eq!(service.of_operation("cairn_successful_requests_total", "Scan"), None, "nobody asked for one");
}

#[tokio::test]
async fn a_false_condition_is_counted_apart_from_what_is_wrong_with_requests() {
    let service = Service::with_users().await;
    let conditional = json!({
        "TableName": "users", "Item": {"Id": {"S": "a"}, "Game": {"N": "1"}},
        "ConditionExpression": "attribute_exists(Id)"
    });
    service.error("PutItem", conditional).await;
    assert_eq!(service.of_users("cairn_conditional_check_failed_requests_total"), Some(1.0));
    assert_eq!(service.of_users("cairn_consumed_write_capacity_units_total"), Some(1.0));
    let insert = json!({"Statement": "INSERT INTO users VALUE {'Id': 'b', 'Game': 1}"});
    service.ok("ExecuteStatement", insert.clone()).await;
    assert_eq!(service.error("ExecuteStatement", insert).await.0, "DuplicateItemException");
    assert_eq!(service.of_users("cairn_conditional_check_failed_requests_total"), Some(2.0));
    assert_eq!(service.counted("cairn_user_errors_total", &[("account", "game")]), None);
    service.error("PutItem", json!({"TableName": "users", "Item": {"Id": {"S": "a"}}})).await;
    service.error("GetItem", json!({"TableName": "others", "Key": {"Id": {"S": "a"}}})).await;
    assert_eq!(service.counted("cairn_user_errors_total", &[("account", "game")]), Some(2.0));
}

#[tokio::test]
async fn a_false_condition_consumes_what_the_item_has_that_it_met() {
    let service = Service::with_users().await;
    let large = json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "V": {"S": "v".repeat(3_000)}});
    service.put(large).await;
    assert_eq!(service.of_users("cairn_consumed_write_capacity_units_total"), Some(3.0));
    let conditional = json!({
        "TableName": "users", "Item": {"Id": {"S": "a"}, "Game": {"N": "1"}},
        "ConditionExpression": "attribute_not_exists(Id)"
    });
    service.error("PutItem", conditional).await;
    assert_eq!(service.of_users("cairn_consumed_write_capacity_units_total"), Some(6.0));
}

#[tokio::test]
async fn what_is_turned_away_and_what_fails_here_is_told_by_operation() {
    let service = Service::with_users().await;
    let get = json!({"TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}}});
    for (kind, name) in [
        (ErrorKind::ThrottlingException, "cairn_throttled_requests_total"),
        (ErrorKind::InternalServerError, "cairn_system_errors_total"),
    ] {
        service.partitions.refuse(move |_| Some(ServiceError::new(kind, "refused")));
        service.call("GetItem", get.to_string()).await;
        assert_eq!(service.of_operation(name, "GetItem"), Some(1.0), "{name}");
    }
    assert_eq!(service.counted("cairn_user_errors_total", &[("account", "game")]), None);
    assert_eq!(service.of_operation("cairn_successful_requests_total", "GetItem"), None);
}

#[tokio::test]
async fn of_a_deleted_table_nothing_is_told_any_more() {
    let service = Service::with_users().await;
    service.put(json!({"Id": {"S": "a"}, "Game": {"N": "1"}})).await;
    assert_eq!(service.of_users("cairn_consumed_write_capacity_units_total"), Some(1.0));
    service.ok("DeleteTable", json!({"TableName": "users"})).await;
    assert_eq!(service.of_users("cairn_consumed_write_capacity_units_total"), None);
    service.create("users", &[("Id", "S")]).await;
    service.put(json!({"Id": {"S": "a"}})).await;
    service.put(json!({"Id": {"S": "b"}})).await;
    assert_eq!(service.of_users("cairn_consumed_write_capacity_units_total"), Some(2.0), "of the new table alone");
}
