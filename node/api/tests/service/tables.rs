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
            "TableSizeBytes": 0,
            "ItemCount": 0,
            "TableArn": "arn:aws:dynamodb:east:game:table/scores",
            "TableId": "00000000-0000-0000-0000-000000000000",
            "DeletionProtectionEnabled": false
        })
    );
    // What it takes at once is told by DescribeTable alone where it was not asked for.
    let warm = json!({"WarmThroughput": {"ReadUnitsPerSecond": 5, "WriteUnitsPerSecond": 6, "Status": "ACTIVE"}});
    let described = service.ok("DescribeTable", json!({"TableName": "scores"})).await;
    assert_eq!(described["Table"], with(answer["TableDescription"].clone(), warm));
}

#[tokio::test]
async fn of_a_table_that_is_deleted_neither_the_keys_nor_the_indexes_are_told() {
    let service = Service::start().await;
    let index = json!({
        "IndexName": "by-time", "Projection": {"ProjectionType": "ALL"},
        "KeySchema": [{"AttributeName": "At", "KeyType": "HASH"}],
        "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    });
    service.ok("CreateTable", with(definition(), json!({"GlobalSecondaryIndexes": [index]}))).await;
    let answer = service.ok("DeleteTable", json!({"TableName": "scores"})).await;
    assert_eq!(
        answer["TableDescription"],
        json!({
            "TableName": "scores",
            "TableStatus": "DELETING",
            "ProvisionedThroughput": {
                "NumberOfDecreasesToday": 0, "ReadCapacityUnits": 5, "WriteCapacityUnits": 6
            },
            "TableSizeBytes": 0,
            "ItemCount": 0,
            "TableArn": "arn:aws:dynamodb:east:game:table/scores",
            "TableId": "00000000-0000-0000-0000-000000000000",
            "DeletionProtectionEnabled": false
        })
    );
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
async fn a_third_update_of_the_class_within_30_days_is_refused() {
    let service = Service::start().await;
    service.ok("CreateTable", definition()).await;
    let update = |class| with(json!({"TableName": "scores"}), json!({"TableClass": class}));
    let text = "Subscriber limit exceeded: Updates to TableClass are limited to 2 times in 30 day(s).";
    let refused = ("LimitExceededException".to_owned(), text.to_owned());
    for class in ["STANDARD", "STANDARD_INFREQUENT_ACCESS", "STANDARD_INFREQUENT_ACCESS", "STANDARD"] {
        service.ok("UpdateTable", update(class)).await;
    }
    for class in ["STANDARD_INFREQUENT_ACCESS", "STANDARD"] {
        assert_eq!(service.error("UpdateTable", update(class)).await, refused, "{class}");
    }
    service.ok("UpdateTable", with(json!({"TableName": "scores"}), json!({"DeletionProtectionEnabled": true}))).await;
}

#[tokio::test]
async fn a_description_tells_when_the_class_was_updated_and_the_update_itself_of_the_one_before() {
    let service = Service::start().await;
    service.ok("CreateTable", definition()).await;
    let updated = async |class: &str| {
        let update = json!({"TableName": "scores", "TableClass": class});
        let answered = service.ok("UpdateTable", update).await["TableDescription"]["TableClassSummary"].take();
        let described = service.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].take();
        (answered, described["TableClassSummary"].clone())
    };
    let since = |class: &str| json!({"TableClass": class, "LastUpdateDateTime": 1_700_000_000.0});
    assert_eq!(updated("STANDARD").await, (json!(null), json!(null)), "it was so before");
    let infrequent = since("STANDARD_INFREQUENT_ACCESS");
    assert_eq!(updated("STANDARD_INFREQUENT_ACCESS").await, (json!(null), infrequent.clone()));
    assert_eq!(updated("STANDARD").await, (infrequent, since("STANDARD")));
}

#[tokio::test]
async fn an_update_answers_updating_for_what_dynamodb_does_not_change_at_once() {
    let service = Service::start().await;
    service.ok("CreateTable", definition()).await;
    let units = json!({"ReadCapacityUnits": 7, "WriteCapacityUnits": 6});
    for (change, status) in [
        (json!({"ProvisionedThroughput": units}), "UPDATING"),
        (json!({"BillingMode": "PAY_PER_REQUEST"}), "UPDATING"),
        (json!({"BillingMode": "PAY_PER_REQUEST"}), "UPDATING"),
        (json!({"TableClass": "STANDARD_INFREQUENT_ACCESS"}), "UPDATING"),
        (json!({"StreamSpecification": {"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}}), "UPDATING"),
        (json!({"DeletionProtectionEnabled": true}), "ACTIVE"),
        (json!({"OnDemandThroughput": {"MaxReadRequestUnits": 5}}), "ACTIVE"),
        (json!({"WarmThroughput": {"ReadUnitsPerSecond": 20_000}}), "ACTIVE"),
    ] {
        let answer = service.ok("UpdateTable", with(json!({"TableName": "scores"}), change.clone())).await;
        assert_eq!(answer["TableDescription"]["TableStatus"], status, "{change}");
    }
}

#[tokio::test]
async fn a_table_changes_its_billing_throughput_class_and_protection() {
    let service = Service::start().await;
    service.ok("CreateTable", definition()).await;
    let update = |more| with(json!({"TableName": "scores"}), more);
    let units = json!({"ReadCapacityUnits": 7, "WriteCapacityUnits": 6});
    service.ok("UpdateTable", update(json!({"ProvisionedThroughput": units}))).await;
    let table = service.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].clone();
    assert_eq!(table["ProvisionedThroughput"]["ReadCapacityUnits"], 7);
    let text = service.invalid("UpdateTable", update(json!({"ProvisionedThroughput": units}))).await;
    assert!(text.starts_with("The provisioned throughput for the table will not change."), "{text}");
    let answer = service.ok("UpdateTable", update(json!({"BillingMode": "PAY_PER_REQUEST"}))).await;
    assert_eq!(answer["TableDescription"]["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    let class = json!({"TableClass": "STANDARD_INFREQUENT_ACCESS"});
    service.ok("UpdateTable", update(class)).await;
    let table = service.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].clone();
    assert_eq!(table["TableClassSummary"]["TableClass"], "STANDARD_INFREQUENT_ACCESS");
    assert_eq!(table["ProvisionedThroughput"]["ReadCapacityUnits"], 0);
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
    let encrypted = json!({"SSESpecification": {"Enabled": false}, "DeletionProtectionEnabled": true});
    let text = service.invalid("UpdateTable", update(encrypted)).await;
    assert!(text.ends_with("Server-Side Encryption modification must be the only operation in the request"), "{text}");
    let text = service.invalid("UpdateTable", update(json!({}))).await;
    assert_eq!(
        text,
        "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, \
         SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, \
         DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required"
    );
    let consistency = service.invalid("UpdateTable", update(json!({"MultiRegionConsistency": "EVENTUAL"}))).await;
    assert_eq!(consistency, text.replace("MultiRegionConsistency, ", ""));
    let class = service.invalid("UpdateTable", update(json!({"TableClass": "COLD"}))).await;
    assert!(class.starts_with("Invalid table-class parameter provided."), "{class}");
}

#[tokio::test]
async fn a_changes_answer_has_the_throughput_and_the_class_that_were_and_the_mode_that_is_to_be() {
    let service = Service::start().await;
    let units = |read: u64, write: u64| json!({"ReadCapacityUnits": read, "WriteCapacityUnits": write});
    let index = json!({
        "IndexName": "by-time", "Projection": {"ProjectionType": "ALL"}, "ProvisionedThroughput": units(1, 1),
        "KeySchema": [{"AttributeName": "At", "KeyType": "HASH"}]
    });
    service.ok("CreateTable", with(definition(), json!({"GlobalSecondaryIndexes": [index]}))).await;
    let answered = async |more: Value| {
        let request = with(json!({"TableName": "scores"}), more);
        service.ok("UpdateTable", request).await["TableDescription"].clone()
    };
    let reads = |of: &Value| of["ProvisionedThroughput"]["ReadCapacityUnits"].clone();
    let warm = |of: &Value| of["WarmThroughput"]["ReadUnitsPerSecond"].clone();
    let of_index = |units| json!([{"Update": {"IndexName": "by-time", "ProvisionedThroughput": units}}]);
    let told = answered(json!({
        "ProvisionedThroughput": units(9, 9), "GlobalSecondaryIndexUpdates": of_index(units(3, 3))
    }))
    .await;
    assert_eq!((reads(&told), warm(&told)), (json!(5), json!(5)));
    let by_time = &told["GlobalSecondaryIndexes"][0];
    assert_eq!((reads(by_time), warm(by_time)), (json!(1), json!(1)));
    let told = answered(json!({"TableClass": "STANDARD_INFREQUENT_ACCESS"})).await;
    assert_eq!((reads(&told), told.get("TableClassSummary")), (json!(9), None));
    let told = answered(json!({"TableClass": "STANDARD"})).await;
    assert_eq!(told["TableClassSummary"]["TableClass"], "STANDARD_INFREQUENT_ACCESS");
    let told = answered(json!({"BillingMode": "PAY_PER_REQUEST"})).await;
    assert_eq!((reads(&told), &told["BillingModeSummary"]["BillingMode"]), (json!(0), &json!("PAY_PER_REQUEST")));
    let told = answered(json!({
        "BillingMode": "PROVISIONED", "ProvisionedThroughput": units(50, 50),
        "GlobalSecondaryIndexUpdates": of_index(units(50, 50))
    }))
    .await;
    assert_eq!((reads(&told), reads(&told["GlobalSecondaryIndexes"][0])), (json!(50), json!(50)));
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
        let told = &answer["TableDescription"]["ProvisionedThroughput"];
        assert_eq!(told["NumberOfDecreasesToday"], count - 1, "as it was before");
        assert_eq!(told["LastDecreaseDateTime"], 1_700_000_000.0);
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
    let again = with(definition(), json!({"TableName": "users"}));
    let in_use = |what: &str| {
        ("ResourceInUseException".to_owned(), format!("Attempt to change a resource which is still in use: {what}"))
    };
    let exists = ("ResourceInUseException".to_owned(), "Table already exists: users".to_owned());
    assert_eq!(service.error("CreateTable", again.clone()).await, exists);
    service.catalog.set_status("users", TableStatus::Updating);
    service.ok("GetItem", get.clone()).await;
    assert_eq!(service.error("UpdateTable", update.clone()).await, in_use("Table is being changed: users"));
    let updated = in_use("Table: users is in the process of being updated.");
    assert_eq!(service.error("DeleteTable", name.clone()).await, updated);
    assert_eq!(service.error("CreateTable", again.clone()).await, exists);
    service.catalog.set_status("users", TableStatus::Active);
    service.catalog.set_warming("users", true);
    assert_eq!(service.error("DeleteTable", name.clone()).await, updated);
    service.catalog.set_warming("users", false);
    service.catalog.set_status("users", TableStatus::Deleting);
    let deleted = in_use("Table is being deleted: users");
    assert_eq!(service.error("UpdateTable", update.clone()).await, deleted);
    assert_eq!(service.error("DeleteTable", name.clone()).await, deleted);
    assert_eq!(service.error("CreateTable", again.clone()).await, exists);
    service.catalog.set_status("users", TableStatus::Creating);
    assert_eq!(service.error("GetItem", get).await.0, "ResourceNotFoundException");
    let created = in_use("Table is being created: users");
    for (operation, request) in [("CreateTable", &again), ("UpdateTable", &update), ("DeleteTable", &name)] {
        assert_eq!(service.error(operation, request.clone()).await, created, "{operation}");
    }
    assert_eq!(service.ok("DescribeTable", name).await["Table"]["TableStatus"], "CREATING");
}

fn three() -> Value {
    json!([
        {"AttributeName": "User", "KeyType": "HASH"}, {"AttributeName": "At", "KeyType": "RANGE"},
        {"AttributeName": "Other", "KeyType": "RANGE"}
    ])
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
            json!({"KeySchema": three(), "ProvisionedThroughput": null}),
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be \
             specified when BillingMode is PROVISIONED",
        ),
        (
            json!({"KeySchema": three()}),
            "1 validation error detected: Value '[KeySchemaElement(attributeName=User, keyType=HASH), \
             KeySchemaElement(attributeName=At, keyType=RANGE), KeySchemaElement(attributeName=Other, keyType=RANGE)]' \
             at 'keySchema' failed to satisfy constraint: Member must have length less than or equal to 2",
        ),
        (
            json!({"AttributeDefinitions": [
                {"AttributeName": "User", "AttributeType": "S"}, {"AttributeName": "At", "AttributeType": "N"},
                {"AttributeName": "User", "AttributeType": "B"}
            ]}),
            "Attribute Name is duplicated: User",
        ),
        (
            json!({"TableClass": "COLD"}),
            "Invalid table-class parameter provided. Please try again with a valid table-class value: [STANDARD, \
             STANDARD_INFREQUENT_ACCESS].",
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
