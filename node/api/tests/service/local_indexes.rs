//! Local secondary indexes, where they are declared and described.

use crate::client::Service;
use cairn_api::Catalog;
use serde_json::{Value, json};

/// Of a table with these local indexes, and attributes for their keys.
fn definition(indexes: &Value) -> Value {
    let attribute = |name: &str, attribute_type: &str| json!({"AttributeName": name, "AttributeType": attribute_type});
    json!({
        "TableName": "scores",
        "AttributeDefinitions": [
            attribute("User", "S"), attribute("At", "N"), attribute("Rank", "N"), attribute("Age", "B")
        ],
        "KeySchema": keys(&["User", "At"]),
        "BillingMode": "PAY_PER_REQUEST",
        "LocalSecondaryIndexes": indexes
    })
}

fn keys(names: &[&str]) -> Value {
    let element = |(name, key_type): (&&str, &str)| json!({"AttributeName": name, "KeyType": key_type});
    names.iter().zip(["HASH", "RANGE", "RANGE"]).map(element).collect()
}

/// CreateTable with the definitions of keys alone, the table's and its indexes'.
pub(crate) fn defining_keys(mut request: Value) -> Value {
    let none = Vec::new();
    let indexes = ["LocalSecondaryIndexes", "GlobalSecondaryIndexes"]
        .into_iter()
        .flat_map(|field| request[field].as_array().unwrap_or(&none))
        .flat_map(|index| index["KeySchema"].as_array().unwrap_or(&none));
    let elements = request["KeySchema"].as_array().unwrap().iter().chain(indexes);
    let names: Vec<Value> = elements.map(|element| element["AttributeName"].clone()).collect();
    let definitions = request["AttributeDefinitions"].as_array_mut().unwrap();
    definitions.retain(|definition| names.contains(&definition["AttributeName"]));
    request
}

fn index(name: &str, sort: &str, projection: Value) -> Value {
    json!({"IndexName": name, "KeySchema": keys(&["User", sort]), "Projection": projection})
}

fn with(mut value: Value, more: Value) -> Value {
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}

fn all() -> Value {
    json!({"ProjectionType": "ALL"})
}

fn two() -> [Value; 2] {
    let some = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Team", "Name"]});
    [index("by-rank", "Rank", some), index("by-age", "Age", all())]
}

const INVALID: &str = "One or more parameter values were invalid: ";

#[tokio::test]
async fn indexes_are_described_as_they_were_declared() {
    let service = Service::start().await;
    let created = service.ok("CreateTable", definition(&json!(two()))).await["TableDescription"].clone();
    let described = |name: &str, sort: &str, projection: Value| {
        let more = json!({
            "IndexSizeBytes": 0, "ItemCount": 0,
            "IndexArn": format!("arn:aws:dynamodb:east:game:table/scores/index/{name}")
        });
        with(index(name, sort, projection), more)
    };
    let some = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Name", "Team"]});
    let expected = json!([described("by-rank", "Rank", some), described("by-age", "Age", all())]);
    assert_eq!(created["LocalSecondaryIndexes"], expected);
    let names: Vec<&Value> =
        created["AttributeDefinitions"].as_array().unwrap().iter().map(|a| &a["AttributeName"]).collect();
    assert_eq!(names, ["Age", "At", "Rank", "User"]);
    let table = service.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].clone();
    assert_eq!(table["LocalSecondaryIndexes"], expected);
}

#[tokio::test]
async fn indexes_count_what_is_in_them() {
    let service = Service::start().await;
    service.ok("CreateTable", definition(&json!(two()))).await;
    let definition = service.catalog.table("game", "scores").unwrap().definition.clone();
    let slots: Vec<u8> = definition.local_indexes.iter().map(|index| index.slot).collect();
    assert_eq!(slots, [2, 1], "by the order of their names");
    service.partitions.count_in_index(2, 3, 70);
    let table = service.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].clone();
    let counts = |position: usize| {
        let index = &table["LocalSecondaryIndexes"][position];
        (index["ItemCount"].clone(), index["IndexSizeBytes"].clone())
    };
    assert_eq!((counts(0), counts(1)), ((json!(3), json!(70)), (json!(0), json!(0))));
}

#[tokio::test]
async fn a_table_has_five_local_indexes_and_no_more() {
    let service = Service::start().await;
    let indexes = |count: usize| -> Vec<Value> {
        (0..count).map(|number| index(&format!("index-{number}"), ["Rank", "Age"][number % 2], all())).collect()
    };
    let text = service.invalid("CreateTable", definition(&json!(indexes(6)))).await;
    assert_eq!(text, format!("{INVALID}Number of LocalSecondaryIndexes exceeds per-table limit of 5"));
    service.ok("CreateTable", definition(&json!(indexes(5)))).await;
}

#[tokio::test]
async fn what_an_index_lacks_is_told_with_where_it_stands() {
    let service = Service::start().await;
    let at = "at 'localSecondaryIndexes.1.member";
    let failed = "failed to satisfy constraint: Member must";
    for (indexes, expected) in [
        (
            json!([{}]),
            format!(
                "3 validation errors detected: Value null {at}.indexName' {failed} not be null; Value null {at}.keySchema' \
                 {failed} not be null; Value null {at}.projection' {failed} not be null"
            ),
        ),
        (
            json!([with(index("a!", "Rank", all()), json!({"KeySchema": []}))]),
            format!(
                "3 validation errors detected: Value 'a!' {at}.indexName' {failed} satisfy regular expression pattern: \
                 [a-zA-Z0-9_.-]+; Value 'a!' {at}.indexName' {failed} have length greater than or equal to 3; Value '[]' \
                 {at}.keySchema' {failed} have length greater than or equal to 1"
            ),
        ),
        (
            json!([with(index("by-rank", "Rank", all()), json!({"KeySchema": keys(&["User", "At", "Rank"])}))]),
            format!(
                "1 validation error detected: Value '[KeySchemaElement(attributeName=User, keyType=HASH), \
                 KeySchemaElement(attributeName=At, keyType=RANGE), KeySchemaElement(attributeName=Rank, keyType=RANGE)]' at \
                 'keySchema' {failed} have length less than or equal to 2"
            ),
        ),
        (
            json!([index("by-rank", "Rank", json!({"ProjectionType": "SOME", "NonKeyAttributes": []}))]),
            format!(
                "2 validation errors detected: Value 'SOME' {at}.projection.projectionType' {failed} satisfy enum value set: \
                 [ALL, INCLUDE, KEYS_ONLY]; Value '[]' {at}.projection.nonKeyAttributes' {failed} have length greater than or \
                 equal to 1"
            ),
        ),
    ] {
        assert_eq!(service.invalid("CreateTable", definition(&indexes)).await, expected);
    }
    let many: Vec<String> = (0..21).map(|number| format!("n{number}")).collect();
    let projection = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": many});
    let text = service.invalid("CreateTable", definition(&json!([index("by-rank", "Rank", projection)]))).await;
    let expected = format!("{at}.projection.nonKeyAttributes' {failed} have length less than or equal to 20");
    assert!(text.ends_with(&expected), "{text}");
}

#[tokio::test]
async fn indexes_that_do_not_fit_are_refused_in_dynamodbs_words() {
    let service = Service::start().await;
    let by_rank = |more: Value| json!([with(index("by-rank", "Rank", all()), more)]);
    let projected = |projection: Value| json!([index("by-rank", "Rank", projection)]);
    for (indexes, expected) in [
        (json!([]), format!("{INVALID}List of LocalSecondaryIndexes is empty")),
        (
            by_rank(json!({"KeySchema": keys(&["User"])})),
            format!("{INVALID}Index KeySchema does not have a range key for index: by-rank"),
        ),
        (
            by_rank(json!({"KeySchema": keys(&["At", "Rank"])})),
            format!(
                "{INVALID}Index KeySchema does not have the same leading hash key as table KeySchema for index: by-rank. \
                 index hash key: At, table hash key: User"
            ),
        ),
        (
            by_rank(json!({"KeySchema": [{"AttributeName": "User", "KeyType": "RANGE"}]})),
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type".to_owned(),
        ),
        (projected(json!({})), format!("{INVALID}Unknown ProjectionType: null")),
        (
            projected(json!({"ProjectionType": "KEYS_ONLY", "NonKeyAttributes": ["Team"]})),
            format!("{INVALID}ProjectionType is KEYS_ONLY, but NonKeyAttributes is specified"),
        ),
        (
            projected(json!({"ProjectionType": "INCLUDE"})),
            format!("{INVALID}ProjectionType is INCLUDE, but NonKeyAttributes is not specified"),
        ),
        (
            json!([index("by-rank", "Rank", all()), index("by-rank", "Age", all())]),
            format!("{INVALID}Duplicate index name: by-rank"),
        ),
    ] {
        assert_eq!(service.invalid("CreateTable", defining_keys(definition(&indexes))).await, expected);
    }
    for (indexes, expected) in [
        (
            by_rank(json!({"KeySchema": keys(&["User", "Level"])})),
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [Level, User], \
             AttributeDefinitions: [Rank, User, At, Age]",
        ),
        // Before all that is wrong with the index besides.
        (
            projected(json!({})),
            "Some AttributeDefinitions are not used. AttributeDefinitions: [Rank, User, At, Age], keys used: \
             [User, At, Rank]",
        ),
    ] {
        assert_eq!(service.invalid("CreateTable", definition(&indexes)).await, format!("{INVALID}{expected}"));
    }
    let attributes = json!([
        {"AttributeName": "User", "AttributeType": "S"}, {"AttributeName": "Rank", "AttributeType": "N"}
    ]);
    let plain = json!({"KeySchema": keys(&["User"]), "AttributeDefinitions": attributes});
    assert_eq!(
        service.invalid("CreateTable", with(definition(&projected(all())), plain)).await,
        format!(
            "{INVALID}Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex"
        )
    );
}

/// A service with a table that has two local indexes, and its backup.
async fn backed_up() -> Service {
    let service = Service::archived().await;
    service.ok("CreateTable", definition(&json!(two()))).await;
    service.ok("CreateBackup", json!({"TableName": "scores", "BackupName": "nightly"})).await;
    service
}

const BACKUP: &str = "arn:aws:dynamodb:east:game:table/scores/backup/01700000000000-abcdef12";

fn restore(more: Value) -> Value {
    with(json!({"TargetTableName": "restored", "BackupArn": BACKUP}), more)
}

#[tokio::test]
async fn a_backup_tells_the_indexes_and_they_come_back_with_it() {
    let service = backed_up().await;
    let described = service.ok("DescribeBackup", json!({"BackupArn": BACKUP})).await["BackupDescription"].clone();
    let infos = &described["SourceTableFeatureDetails"]["LocalSecondaryIndexes"];
    assert_eq!((&infos[0]["IndexName"], &infos[1]), (&json!("by-rank"), &two()[1]));
    let table = service.ok("RestoreTableFromBackup", restore(json!({}))).await["TableDescription"].clone();
    let names: Vec<&Value> =
        table["LocalSecondaryIndexes"].as_array().unwrap().iter().map(|index| &index["IndexName"]).collect();
    assert_eq!(names, ["by-rank", "by-age"]);
    assert_eq!(table["AttributeDefinitions"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_restore_leaves_out_the_indexes_that_are_not_asked_for() {
    let service = backed_up().await;
    let [by_rank, by_age] = two();
    let answer = service.ok("RestoreTableFromBackup", restore(json!({"LocalSecondaryIndexOverride": [by_rank]}))).await;
    let kept = &service.catalog.table("game", "restored").unwrap().definition.local_indexes;
    assert_eq!((kept.len(), kept[0].slot), (1, 1));
    assert_eq!(answer["TableDescription"]["LocalSecondaryIndexes"][0]["IndexName"], "by-rank");
    let none = json!({"TargetTableName": "plain", "LocalSecondaryIndexOverride": []});
    let answer = service.ok("RestoreTableFromBackup", restore(none)).await;
    assert!(answer["TableDescription"].get("LocalSecondaryIndexes").is_none());
    let renamed = json!({"TargetTableName": "renamed", "LocalSecondaryIndexOverride": [
        with(by_age.clone(), json!({"IndexName": "by-team"}))
    ]});
    let answer = service.ok("RestoreTableFromBackup", restore(renamed)).await;
    assert_eq!(answer["TableDescription"]["LocalSecondaryIndexes"][0]["IndexName"], "by-team");
    for other in [
        with(by_age.clone(), json!({"KeySchema": keys(&["User", "Rank"])})),
        with(by_age.clone(), json!({"Projection": {"ProjectionType": "KEYS_ONLY"}})),
    ] {
        let request = restore(json!({"TargetTableName": "other", "LocalSecondaryIndexOverride": [other]}));
        let text = service.invalid("RestoreTableFromBackup", request).await;
        assert_eq!(
            text,
            "Invalid Request: Index by-age does not match a secondary index that existed in the source table and cannot be \
             created during the restore operation"
        );
    }
    let twice = restore(json!({"LocalSecondaryIndexOverride": [by_age, by_age]}));
    let text = service.invalid("RestoreTableFromBackup", twice).await;
    assert_eq!(text, format!("{INVALID}Duplicate index name: by-age"));
    let text = service.invalid("RestoreTableFromBackup", restore(json!({"LocalSecondaryIndexOverride": [{}]}))).await;
    assert!(text.contains("Value null at 'localSecondaryIndexOverride.1.member.indexName'"), "{text}");
}
