//! The operations on tables.

use crate::client::{NOW_MS, Service};
use cairn_model::table::TableStatus;
use serde_json::{Value, json};

fn definition() -> Value {
    json!({
        "TableName": "scores",
        "AttributeDefinitions": [
            {"AttributeName": "User", "AttributeType": "S"}, {"AttributeName": "At", "AttributeType": "N"}
        ],
        "KeySchema": [{"AttributeName": "User", "KeyType": "HASH"}, {"AttributeName": "At", "KeyType": "RANGE"}],
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    })
}

fn with(mut request: Value, more: Value) -> Value {
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[tokio::test]
async fn a_table_is_described_as_it_was_created() {
    let service = Service::start().await;
    let answer = service.ok("CreateTable", definition()).await;
    assert_eq!(
        answer["TableDescription"],
        json!({
            "AttributeDefinitions": [
                {"AttributeName": "At", "AttributeType": "N"}, {"AttributeName": "User", "AttributeType": "S"}
            ],
            "TableName": "scores",
            "KeySchema": [{"AttributeName": "User", "KeyType": "HASH"}, {"AttributeName": "At", "KeyType": "RANGE"}],
            "TableStatus": "ACTIVE",
            "CreationDateTime": 1_700_000_000.123,
            "ProvisionedThroughput": {
                "NumberOfDecreasesToday": 0, "ReadCapacityUnits": 5, "WriteCapacityUnits": 6
            },
            "WarmThroughput": {"ReadUnitsPerSecond": 5, "WriteUnitsPerSecond": 6, "Status": "ACTIVE"},
            "TableSizeBytes": 0,
            "ItemCount": 0,
            "TableArn": "arn:aws:dynamodb:east:game:table/scores",
            "TableId": "00000000-0000-0000-0000-000000000000",
            "DeletionProtectionEnabled": false
        })
    );
    let described = service.ok("DescribeTable", json!({"TableName": "scores"})).await;
    assert_eq!(described["Table"], answer["TableDescription"]);
}

#[tokio::test]
async fn a_description_counts_what_was_written_just_before() {
    let service = Service::with_users().await;
    let counted = async || {
        let table = service.ok("DescribeTable", json!({"TableName": "users"})).await["Table"].clone();
        (table["ItemCount"].clone(), table["TableSizeBytes"].clone())
    };
    assert_eq!(counted().await, (json!(0), json!(0)));
    for id in ["a", "b"] {
        service.put(json!({"Id": {"S": id}, "Game": {"N": "1"}})).await;
    }
    // Id and its value 3 bytes, Game 4 and its number 2.
    assert_eq!(counted().await, (json!(2), json!(18)));
    service.ok("DeleteItem", json!({"TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}}})).await;
    assert_eq!(counted().await, (json!(1), json!(9)));
}

#[tokio::test]
async fn tables_are_listed_in_pages() {
    let service = Service::start().await;
    for name in ["charlie", "alpha", "bravo"] {
        service.create(name, &[("Id", "S")]).await;
    }
    let answer = service.ok("ListTables", json!({"Limit": 2})).await;
    assert_eq!(answer, json!({"TableNames": ["alpha", "bravo"], "LastEvaluatedTableName": "bravo"}));
    let answer = service.ok("ListTables", json!({"ExclusiveStartTableName": "bravo"})).await;
    assert_eq!(answer, json!({"TableNames": ["charlie"]}));
    let text = service.invalid("ListTables", json!({"Limit": 101, "ExclusiveStartTableName": "a;"})).await;
    assert_eq!(
        text,
        "3 validation errors detected: Value 'a;' at 'exclusiveStartTableName' failed to satisfy constraint: Member \
         must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; Value 'a;' at 'exclusiveStartTableName' failed to \
         satisfy constraint: Member must have length greater than or equal to 3; Value '101' at 'limit' failed to \
         satisfy constraint: Member must have value less than or equal to 100"
    );
}

#[tokio::test]
async fn an_account_has_at_most_2500_tables_listed_by_the_hundred() {
    let service = Service::with_users().await;
    service.catalog.fill("users", 2_498);
    service.ok("CreateTable", definition()).await;
    let refused = service.error("CreateTable", with(definition(), json!({"TableName": "one-too-many"}))).await;
    let text = "Subscriber limit exceeded: There is a limit of 2500 tables per subscriber";
    assert_eq!(refused, ("LimitExceededException".into(), text.into()));
    let (mut listed, mut pages, mut request) = (0, 0, json!({}));
    loop {
        let page = service.ok("ListTables", request).await;
        listed += page["TableNames"].as_array().unwrap().len();
        pages += 1;
        let Some(last) = page.get("LastEvaluatedTableName") else { break };
        assert_eq!(Some(last), page["TableNames"].as_array().unwrap().last());
        request = json!({"ExclusiveStartTableName": last});
    }
    assert_eq!((listed, pages), (2_500, 25));
    service.ok("DeleteTable", json!({"TableName": "scores"})).await;
    service.ok("CreateTable", with(definition(), json!({"TableName": "one-too-many"}))).await;
}

#[tokio::test]
async fn a_table_changes_its_billing_throughput_class_and_protection() {
    let service = Service::start().await;
    service.ok("CreateTable", definition()).await;
    let update = |more| with(json!({"TableName": "scores"}), more);
    let units = json!({"ReadCapacityUnits": 7, "WriteCapacityUnits": 6});
    let answer = service.ok("UpdateTable", update(json!({"ProvisionedThroughput": units}))).await;
    assert_eq!(answer["TableDescription"]["ProvisionedThroughput"]["ReadCapacityUnits"], 7);
    let text = service.invalid("UpdateTable", update(json!({"ProvisionedThroughput": units}))).await;
    assert!(text.starts_with("The provisioned throughput for the table will not change."), "{text}");
    let answer = service.ok("UpdateTable", update(json!({"BillingMode": "PAY_PER_REQUEST"}))).await;
    assert_eq!(answer["TableDescription"]["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    let class = json!({"TableClass": "STANDARD_INFREQUENT_ACCESS"});
    let answer = service.ok("UpdateTable", update(class)).await;
    assert_eq!(answer["TableDescription"]["TableClassSummary"]["TableClass"], "STANDARD_INFREQUENT_ACCESS");
    assert_eq!(answer["TableDescription"]["ProvisionedThroughput"]["ReadCapacityUnits"], 0);
    let text = service.invalid("UpdateTable", update(json!({"ProvisionedThroughput": units}))).await;
    assert!(text.ends_with("when BillingMode is PAY_PER_REQUEST"), "{text}");
    let text = service.invalid("UpdateTable", update(json!({"BillingMode": "PROVISIONED"}))).await;
    assert!(text.ends_with("ProvisionedThroughput must be specified when BillingMode is PROVISIONED"), "{text}");
    let both = json!({"BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": units});
    let text = service.invalid("UpdateTable", update(both)).await;
    assert!(text.ends_with("ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST"), "{text}");
    for encryption in [json!({}), json!({"Enabled": false})] {
        let text = service.invalid("UpdateTable", update(json!({"SSESpecification": encryption}))).await;
        assert!(text.ends_with("Table is already encrypted by default"), "{text}");
    }
    let text = service.invalid("UpdateTable", update(json!({}))).await;
    assert!(text.starts_with("At least one of ProvisionedThroughput, BillingMode"), "{text}");
}

#[tokio::test]
async fn a_table_that_was_on_demand_once_says_since_when_it_last_was() {
    let service = Service::start().await;
    let described = async |name: &str| {
        let table = service.ok("DescribeTable", json!({"TableName": name})).await["Table"].clone();
        (table["BillingModeSummary"].clone(), table["CreationDateTime"].clone())
    };
    service.ok("CreateTable", definition()).await;
    assert_eq!(described("scores").await.0, Value::Null, "provisioned from the start");
    let now = json!(NOW_MS as f64 / 1_000.0);
    let summary = |mode: &str, since: &Value| json!({"BillingMode": mode, "LastUpdateToPayPerRequestDateTime": since});
    service.ok("UpdateTable", json!({"TableName": "scores", "BillingMode": "PAY_PER_REQUEST"})).await;
    assert_eq!(described("scores").await.0, summary("PAY_PER_REQUEST", &now));
    service.create("games", &[("Id", "S")]).await;
    let (made, created) = described("games").await;
    assert_eq!(made, summary("PAY_PER_REQUEST", &created));
    let units = json!({"ReadCapacityUnits": 7, "WriteCapacityUnits": 6});
    let provisioned = json!({"TableName": "games", "BillingMode": "PROVISIONED", "ProvisionedThroughput": units});
    service.ok("UpdateTable", provisioned).await;
    assert_eq!(described("games").await.0, summary("PROVISIONED", &created));
}

#[tokio::test]
async fn the_throughput_goes_down_four_times_a_day_and_then_once_an_hour() {
    let service = Service::start().await;
    let units = |read: u64, write: u64| json!({"ReadCapacityUnits": read, "WriteCapacityUnits": write});
    let update = |units| json!({"TableName": "scores", "ProvisionedThroughput": units});
    service.ok("CreateTable", with(definition(), json!({"ProvisionedThroughput": units(10, 10)}))).await;
    for count in 1..=4 {
        let answer = service.ok("UpdateTable", update(units(10 - count, 10))).await;
        assert_eq!(answer["TableDescription"]["ProvisionedThroughput"]["NumberOfDecreasesToday"], count);
    }
    let refused = service.error("UpdateTable", update(units(5, 20))).await;
    let text = "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the \
                first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 \
                seconds. Number of decreases today: 4. Last decrease at Tuesday, November 14, 2023 at 10:13:20 PM \
                Coordinated Universal Time. Next decrease can be made at Tuesday, November 14, 2023 at 11:13:20 PM \
                Coordinated Universal Time";
    assert_eq!(refused, ("LimitExceededException".into(), text.into()));
    service.ok("UpdateTable", update(units(6, 20))).await;
    let table = service.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].clone();
    assert_eq!(
        table["ProvisionedThroughput"],
        json!({
            "LastIncreaseDateTime": 1_700_000_000.0, "LastDecreaseDateTime": 1_700_000_000.0,
            "NumberOfDecreasesToday": 4, "ReadCapacityUnits": 6, "WriteCapacityUnits": 20
        })
    );
}

#[tokio::test]
async fn a_protected_table_is_not_deleted() {
    let service = Service::start().await;
    service.ok("CreateTable", with(definition(), json!({"DeletionProtectionEnabled": true}))).await;
    let text = service.invalid("DeleteTable", json!({"TableName": "scores"})).await;
    assert!(text.starts_with("Resource cannot be deleted as it is currently protected against deletion."), "{text}");
    service.ok("UpdateTable", json!({"TableName": "scores", "DeletionProtectionEnabled": false})).await;
    let answer = service.ok("DeleteTable", json!({"TableName": "scores"})).await;
    assert_eq!(answer["TableDescription"]["TableStatus"], "DELETING");
    let (name, text) = service.error("DeleteTable", json!({"TableName": "scores"})).await;
    assert_eq!(name, "ResourceNotFoundException");
    assert_eq!(text, "Requested resource not found: Table: scores not found");
}

#[tokio::test]
async fn states_decide_which_operations_a_table_takes() {
    let service = Service::with_users().await;
    let get = json!({"TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}}});
    let name = json!({"TableName": "users"});
    let update = json!({"TableName": "users", "DeletionProtectionEnabled": true});
    let (exists, _) = service.error("CreateTable", with(definition(), json!({"TableName": "users"}))).await;
    assert_eq!(exists, "ResourceInUseException");
    service.catalog.set_status("users", TableStatus::Updating);
    service.ok("GetItem", get.clone()).await;
    assert_eq!(service.error("UpdateTable", update.clone()).await.0, "ResourceInUseException");
    service.catalog.set_status("users", TableStatus::Creating);
    assert_eq!(service.error("GetItem", get).await.0, "ResourceNotFoundException");
    assert_eq!(service.error("UpdateTable", update).await.0, "ResourceInUseException");
    let (error, text) = service.error("DeleteTable", name.clone()).await;
    assert_eq!(error, "ResourceInUseException");
    assert_eq!(text, "Attempt to change a resource which is still in use: Table is being created: users");
    assert_eq!(service.ok("DescribeTable", name).await["Table"]["TableStatus"], "CREATING");
}

#[tokio::test]
async fn definitions_that_do_not_fit_are_refused_in_dynamodbs_words() {
    let service = Service::start().await;
    for (more, expected) in [
        (json!({"TableName": null}), "The parameter 'TableName' is required but was not present in the request"),
        (
            json!({"TableName": "!"}),
            "2 validation errors detected: Value '!' at 'tableName' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: [a-zA-Z0-9_.-]+; Value '!' at 'tableName' failed to satisfy constraint: \
             Member must have length greater than or equal to 3",
        ),
        (
            json!({"GlobalSecondaryIndexes": []}),
            "One or more parameter values were invalid: List of GlobalSecondaryIndexes is empty",
        ),
        (
            json!({"LocalSecondaryIndexes": []}),
            "One or more parameter values were invalid: List of LocalSecondaryIndexes is empty",
        ),
        (
            json!({"KeySchema": []}),
            "1 validation error detected: Value '[]' at 'keySchema' failed to satisfy constraint: Member must have \
             length greater than or equal to 1",
        ),
        (
            json!({"BillingMode": "PAY_PER_REQUEST"}),
            "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be \
             specified when BillingMode is PAY_PER_REQUEST",
        ),
        (
            json!({"ProvisionedThroughput": null}),
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be \
             specified when BillingMode is PROVISIONED",
        ),
        (
            json!({"ProvisionedThroughput": {"ReadCapacityUnits": 0}}),
            "2 validation errors detected: Value null at 'provisionedThroughput.writeCapacityUnits' failed to satisfy \
             constraint: Member must not be null; Value '0' at 'provisionedThroughput.readCapacityUnits' failed to \
             satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            json!({"KeySchema": [{"AttributeName": "User", "KeyType": "HASH"}]}),
            "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match \
             number of attributes defined in AttributeDefinitions",
        ),
        (
            json!({"KeySchema": [
                {"AttributeName": "User", "KeyType": "HASH"}, {"AttributeName": "Other", "KeyType": "RANGE"}
            ]}),
            "One or more parameter values were invalid: Some index key attributes are not defined in \
             AttributeDefinitions. Keys: [User, Other], AttributeDefinitions: [User, At]",
        ),
        (
            json!({"KeySchema": [
                {"AttributeName": "User", "KeyType": "RANGE"}, {"AttributeName": "At", "KeyType": "HASH"}
            ]}),
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
    ] {
        assert_eq!(service.invalid("CreateTable", with(definition(), more)).await, expected);
    }
}

#[tokio::test]
async fn what_is_not_there_yet_is_refused_by_name() {
    let service = Service::start().await;
    let encrypted = json!({"SSESpecification": {"Enabled": true}});
    let text = service.invalid("CreateTable", with(definition(), encrypted)).await;
    assert!(text.contains("SSESpecification") && text.contains("not supported"), "{text}");
    let off = json!({"SSESpecification": {"Enabled": false}});
    service.ok("CreateTable", with(definition(), off)).await;
}

#[tokio::test]
async fn endpoints_and_limits_are_described() {
    let service = Service::start().await;
    let answer = service.ok("DescribeEndpoints", json!({})).await;
    assert_eq!(answer["Endpoints"][0]["Address"], service.address.to_string());
    assert!(service.ok("DescribeLimits", json!({})).await["TableMaxReadCapacityUnits"].is_u64());
}
