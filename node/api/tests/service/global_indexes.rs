//! Global secondary indexes: how they are declared, changed, described and restored.

use crate::{client::Service, local_indexes::defining_keys};
use cairn_api::Catalog;
use cairn_model::table::TableStatus;
use serde_json::{Value, json};

const INVALID: &str = "One or more parameter values were invalid: ";

pub(crate) fn with(mut value: Value, more: Value) -> Value {
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}

fn keys(names: &[&str]) -> Value {
    names
        .iter()
        .zip(["HASH", "RANGE"])
        .map(|(name, key_type)| json!({"AttributeName": name, "KeyType": key_type}))
        .collect()
}

fn attribute((name, kind): &(&str, &str)) -> Value {
    json!({"AttributeName": name, "AttributeType": kind})
}

pub(crate) fn index(name: &str, of_keys: &[&str], projection: Value) -> Value {
    json!({"IndexName": name, "KeySchema": keys(of_keys), "Projection": projection})
}

fn all() -> Value {
    json!({"ProjectionType": "ALL"})
}

fn units(read: u64, write: u64) -> Value {
    json!({"ReadCapacityUnits": read, "WriteCapacityUnits": write})
}

/// The table `scores` (User, At) on demand, with these indexes over Team (S) and Rank (N).
pub(crate) fn definition(attributes: &[(&str, &str)], indexes: &[Value]) -> Value {
    let mut attributes: Vec<Value> = attributes.iter().map(attribute).collect();
    attributes.extend([attribute(&("User", "S")), attribute(&("At", "N"))]);
    json!({
        "TableName": "scores", "KeySchema": keys(&["User", "At"]), "AttributeDefinitions": attributes,
        "BillingMode": "PAY_PER_REQUEST", "GlobalSecondaryIndexes": indexes
    })
}

const RANKS: &[(&str, &str)] = &[("Team", "S"), ("Rank", "N")];

fn ranks() -> Value {
    index("by-rank", &["Team", "Rank"], all())
}

async fn created() -> Service {
    let service = Service::start().await;
    service.ok("CreateTable", definition(RANKS, &[ranks()])).await;
    service
}

fn provisioned() -> Value {
    let index = with(ranks(), json!({"ProvisionedThroughput": units(2, 2)}));
    with(definition(RANKS, &[index]), json!({"BillingMode": "PROVISIONED", "ProvisionedThroughput": units(5, 5)}))
}

fn update(updates: Value) -> Value {
    json!({"TableName": "scores", "GlobalSecondaryIndexUpdates": updates})
}

/// To add an index by a new attribute `Zone`.
fn creation(name: &str) -> Value {
    let attributes = json!({"AttributeDefinitions": [attribute(&("Zone", "S"))]});
    with(update(json!([{"Create": index(name, &["Zone"], all())}])), attributes)
}

async fn described(service: &Service) -> Value {
    service.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].clone()
}

#[tokio::test]
async fn a_table_is_made_and_described_with_its_indexes() {
    let service = Service::start().await;
    let some = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Zeal", "Age"]});
    let indexes = [ranks(), index("by-team", &["Team"], some)];
    let answer = service.ok("CreateTable", definition(RANKS, &indexes)).await;
    assert_eq!(answer["TableDescription"]["GlobalSecondaryIndexes"].as_array().unwrap().len(), 2);
    let table = described(&service).await;
    let arn = table["TableArn"].as_str().unwrap();
    assert_eq!(
        table["GlobalSecondaryIndexes"],
        json!([
            {
                "IndexName": "by-rank", "KeySchema": keys(&["Team", "Rank"]), "Projection": all(), "IndexStatus": "ACTIVE",
                "ProvisionedThroughput":
                    {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
                "WarmThroughput": {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000, "Status": "ACTIVE"},
                "IndexSizeBytes": 0, "ItemCount": 0, "IndexArn": format!("{arn}/index/by-rank")
            },
            {
                "IndexName": "by-team", "KeySchema": keys(&["Team"]),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Age", "Zeal"]},
                "IndexStatus": "ACTIVE",
                "ProvisionedThroughput":
                    {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
                "WarmThroughput": {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000, "Status": "ACTIVE"},
                "IndexSizeBytes": 0, "ItemCount": 0, "IndexArn": format!("{arn}/index/by-team")
            }
        ])
    );
    let names: Vec<&Value> =
        table["AttributeDefinitions"].as_array().unwrap().iter().map(|defined| &defined["AttributeName"]).collect();
    assert_eq!(names, ["At", "Rank", "Team", "User"]);
}

#[tokio::test]
async fn an_index_has_throughput_or_maxima_as_its_tables_billing_mode_has_it() {
    let service = Service::start().await;
    service.ok("CreateTable", provisioned()).await;
    let shown = &described(&service).await["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"];
    assert_eq!((&shown["ReadCapacityUnits"], &shown["WriteCapacityUnits"]), (&json!(2), &json!(2)));
    let maxima = json!({"OnDemandThroughput": {"MaxReadRequestUnits": 7}});
    let with_maxima = with(definition(RANKS, &[with(ranks(), maxima.clone())]), json!({"TableName": "limited"}));
    let answer = service.ok("CreateTable", with_maxima).await;
    let index = &answer["TableDescription"]["GlobalSecondaryIndexes"][0];
    assert_eq!(index["OnDemandThroughput"], maxima["OnDemandThroughput"]);

    let mut without_units = provisioned();
    without_units["GlobalSecondaryIndexes"] = json!([ranks()]);
    let mut with_both = provisioned();
    with_both["GlobalSecondaryIndexes"][0]["OnDemandThroughput"] = json!({"MaxWriteRequestUnits": 1});
    for (request, expected) in [
        (without_units, "ProvisionedThroughput is not specified for index: by-rank"),
        (
            with_both,
            "MaxWriteRequestUnits for OnDemandThroughput for index: by-rank cannot be specified when table BillingMode is \
             PROVISIONED.",
        ),
        (
            definition(RANKS, &[with(ranks(), json!({"ProvisionedThroughput": units(1, 1)}))]),
            "ProvisionedThroughput should not be specified for index: by-rank when BillingMode is PAY_PER_REQUEST",
        ),
        (
            definition(RANKS, &[with(ranks(), json!({"OnDemandThroughput": {"MaxReadRequestUnits": 0}}))]),
            "Requested MaxReadRequestUnits for OnDemandThroughput for index : by-rank is outside of valid range",
        ),
    ] {
        let request = with(request, json!({"TableName": "other"}));
        assert_eq!(service.invalid("CreateTable", request).await, format!("{INVALID}{expected}"));
    }
}

#[tokio::test]
async fn indexes_that_do_not_fit_are_refused_in_dynamodbs_words() {
    let service = Service::start().await;
    let key_types = |types: &[(&str, &str)]| -> Value {
        let elements: Vec<Value> =
            types.iter().map(|(name, key_type)| json!({"AttributeName": name, "KeyType": key_type})).collect();
        json!([with(ranks(), json!({"KeySchema": elements}))])
    };
    let projected = |projection: Value| json!([with(ranks(), json!({"Projection": projection}))]);
    let many = |count: usize| -> Value {
        (0..count).map(|number| index(&format!("index-{number}"), &["Team", "Rank"], all())).collect()
    };
    let wide = |count: usize| -> Value {
        let names: Vec<String> = (0..20).map(|number| format!("a{number}")).collect();
        let projection = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": names});
        (0..count).map(|number| index(&format!("index-{number}"), &["Team", "Rank"], projection.clone())).collect()
    };
    for (indexes, expected) in [
        (
            json!([{}]),
            "3 validation errors detected: Value null at 'globalSecondaryIndexes.1.member.keySchema' failed to satisfy \
             constraint: Member must not be null; Value null at 'globalSecondaryIndexes.1.member.projection' failed to \
             satisfy constraint: Member must not be null; Value null at 'globalSecondaryIndexes.1.member.indexName' failed \
             to satisfy constraint: Member must not be null"
                .to_owned(),
        ),
        (
            key_types(&[("Team", "RANGE")]),
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type".to_owned(),
        ),
        (
            key_types(&[("Team", "HASH"), ("Team", "RANGE")]),
            "Both the Hash Key and the Range Key element in the KeySchema have the same name".to_owned(),
        ),
        (
            key_types(&[("Team", "HASH"), ("Team", "HASH")]),
            "The KeySchema contains multiple key attributes with the same name".to_owned(),
        ),
        (
            key_types(&[("Team", "HASH"), ("Rank", "RANGE"), ("User", "HASH")]),
            format!("{INVALID}All HASH key attributes must precede RANGE key attributes in the KeySchema"),
        ),
        (projected(json!({})), format!("{INVALID}Unknown ProjectionType: null")),
        (
            projected(json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a", "a"]})),
            format!("{INVALID}Duplicate element in NonKeyAttributes: a"),
        ),
        (json!([ranks(), ranks()]), format!("{INVALID}Duplicate index name: by-rank")),
        (many(21), format!("{INVALID}GlobalSecondaryIndex count exceeds the per-table limit of 20")),
        (
            wide(6),
            format!("{INVALID}Number of NonKeyAttributes of all secondary indexes exceeds the per-table limit of 100"),
        ),
    ] {
        let request = with(definition(RANKS, &[]), json!({"GlobalSecondaryIndexes": indexes}));
        assert_eq!(service.invalid("CreateTable", defining_keys(request)).await, expected);
    }
    for (indexes, expected) in [
        (
            json!([index("by-zone", &["Zone"], all())]),
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [Zone], AttributeDefinitions: \
             [Team, Rank, User, At]",
        ),
        // Before all that is wrong with the index besides.
        (
            json!([with(index("by-team", &["Team"], json!({})), json!({"ProvisionedThroughput": units(1, 1)}))]),
            "Some AttributeDefinitions are not used. AttributeDefinitions: [Team, Rank, User, At], keys used: [User, At, \
             Team]",
        ),
    ] {
        let request = with(definition(RANKS, &[]), json!({"GlobalSecondaryIndexes": indexes}));
        assert_eq!(service.invalid("CreateTable", request).await, format!("{INVALID}{expected}"));
    }
    let local = json!([{"IndexName": "by-rank", "KeySchema": keys(&["User", "Rank"]), "Projection": all()}]);
    let both = with(definition(RANKS, &[ranks()]), json!({"LocalSecondaryIndexes": local}));
    assert_eq!(service.invalid("CreateTable", both).await, format!("{INVALID}Duplicate index name: by-rank"));
    let twenty = with(definition(RANKS, &[]), json!({"GlobalSecondaryIndexes": many(20)}));
    service.ok("CreateTable", twenty).await;
}

#[tokio::test]
async fn an_index_is_added_and_deleted_and_its_attribute_with_it() {
    let service = created().await;
    // What its keys don't need is nothing to it: a rank is a number still.
    let defined = [("Zone", "B"), ("Team", "S"), ("Rank", "S"), ("Nobody", "N")].map(|defined| attribute(&defined));
    let defined = json!({"AttributeDefinitions": defined});
    let added = with(update(json!([{"Create": index("by-zone", &["Zone", "Team"], all())}])), defined);
    let answer = service.ok("UpdateTable", added).await["TableDescription"].clone();
    assert_eq!(answer["GlobalSecondaryIndexes"][1]["IndexName"], "by-zone");
    let attributes = answer["AttributeDefinitions"].as_array().unwrap();
    assert_eq!(attributes.len(), 5);
    assert!(attributes.contains(&attribute(&("Zone", "B"))) && attributes.contains(&attribute(&("Rank", "N"))));
    let slots: Vec<u8> = service
        .catalog
        .table("game", "scores")
        .unwrap()
        .definition
        .global_indexes
        .iter()
        .map(|index| index.slot)
        .collect();
    assert_eq!(slots, [0, 1]);
    let deleted = service.ok("UpdateTable", update(json!([{"Delete": {"IndexName": "by-zone"}}]))).await;
    let attributes = deleted["TableDescription"]["AttributeDefinitions"].as_array().unwrap();
    assert_eq!((attributes.len(), attributes.contains(&attribute(&("Zone", "B")))), (4, false));
}

#[tokio::test]
async fn updates_of_indexes_that_do_not_fit_are_refused_in_dynamodbs_words() {
    let service = created().await;
    let local = json!([{"IndexName": "by-age", "KeySchema": keys(&["User", "Age"]), "Projection": all()}]);
    let attributes = [("Team", "S"), ("Rank", "N"), ("Age", "N")];
    let both = with(definition(&attributes, &[ranks()]), json!({"LocalSecondaryIndexes": local, "TableName": "both"}));
    service.ok("CreateTable", both).await;
    let deleted = |name: &str| json!({"Delete": {"IndexName": name}});
    for (request, expected) in [
        (
            update(json!([{}])),
            format!(
                "{INVALID}One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
                 GlobalSecondaryIndexUpdate.Delete must not be null"
            ),
        ),
        (
            update(json!([with(deleted("by-rank"), json!({"Update": {"IndexName": "by-rank"}}))])),
            format!("{INVALID}Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object"),
        ),
        (
            update(json!([deleted("by-rank"), {"Update": {"IndexName": "by-rank"}}])),
            format!("{INVALID}Only one global secondary index update per index is allowed simultaneously. Index: by-rank"),
        ),
        (
            with(update(json!([])), json!({"DeletionProtectionEnabled": true})),
            format!("{INVALID}List of GlobalSecondaryIndexUpdates is empty"),
        ),
        (
            with(creation("by-zone"), json!({"DeletionProtectionEnabled": true})),
            format!("{INVALID}DeletionProtection modification must be the only operation in the request"),
        ),
        (
            with(creation("by-zone"), json!({"StreamSpecification": {"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}})),
            format!("{INVALID}You cannot create or delete index while changing stream status"),
        ),
        (
            update(json!([{"Create": index("by-zone", &["Zone"], all())}])),
            format!("{INVALID}AttributeDefinitions is not specified for index: by-zone"),
        ),
        (creation("by-rank"), "Attempting to create an index which already exists".to_owned()),
        (
            with(update(json!([deleted("by-age")])), json!({"TableName": "both"})),
            "Cannot delete an index that is not a GlobalSecondaryIndex: by-age".to_owned(),
        ),
        (
            update(json!([{"Update": {"IndexName": "by-rank", "ProvisionedThroughput": units(1, 1)}}])),
            format!(
                "{INVALID}The only Updates for index: by-rank when TableThroughputMode is PAY_PER_REQUEST can be to \
                 OnDemandThroughput, WarmThroughput"
            ),
        ),
        (
            update(json!([{"Create": with(ranks(), json!({"IndexName": "a"}))}])),
            "1 validation error detected: Value 'a' at 'globalSecondaryIndexUpdates.1.member.create.indexName' failed to \
             satisfy constraint: Member must have length greater than or equal to 3"
                .to_owned(),
        ),
    ] {
        assert_eq!(service.invalid("UpdateTable", request).await, expected);
    }
    for name in ["Update", "Delete"] {
        assert_eq!(
            service.error("UpdateTable", update(json!([{name: {"IndexName": "by-zone"}}]))).await,
            (
                "ResourceNotFoundException".to_owned(),
                "Requested resource not found: Index by-zone for table scores".to_owned()
            )
        );
    }
}

#[tokio::test]
async fn an_attribute_that_is_a_key_has_one_type_in_all_keys() {
    let service = created().await;
    let added = |of_keys: &[&str], defined: &[(&str, &str)]| {
        let defined: Vec<Value> = defined.iter().map(attribute).collect();
        let created = update(json!([{"Create": index("by-zone", of_keys, all())}]));
        with(created, json!({"AttributeDefinitions": defined}))
    };
    for (request, existing, new) in [
        (added(&["User"], &[("User", "N")]), "key{User:S:HASH}, SchemaElement: key{At:N:RANGE}", "key{User:N:HASH}"),
        (
            added(&["Zone", "Team"], &[("Zone", "S"), ("Team", "B")]),
            "key{Team:S:HASH}, SchemaElement: key{Rank:N:RANGE}",
            "key{Zone:S:HASH}, SchemaElement: key{Team:B:RANGE}",
        ),
    ] {
        assert_eq!(
            service.invalid("UpdateTable", request).await,
            format!(
                "{INVALID}Attributes cannot be redefined. Please check that your attribute has the same type as previously \
                 defined. Existing schema: Schema:[SchemaElement: {existing}] New schema: Schema:[SchemaElement: {new}]"
            )
        );
    }
    service.ok("UpdateTable", added(&["Team", "User"], &[("Team", "S"), ("User", "S")])).await;
}

#[tokio::test]
async fn one_index_at_a_time_is_made_or_deleted() {
    let service = created().await;
    let limit = (
        "LimitExceededException".to_owned(),
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table".to_owned(),
    );
    let mut two = creation("by-zone");
    two["GlobalSecondaryIndexUpdates"].as_array_mut().unwrap().push(json!({"Delete": {"IndexName": "by-rank"}}));
    assert_eq!(service.error("UpdateTable", two).await, limit);
    let deletion = || update(json!([{"Delete": {"IndexName": "by-rank"}}]));
    let in_use = |what: &str| {
        let message = format!("Attempt to change a resource which is still in use: {what}");
        ("ResourceInUseException".to_owned(), message)
    };
    for backfilling in [true, false] {
        service.catalog.set_index_status("scores", "by-rank", TableStatus::Creating, backfilling);
        assert_eq!(service.error("UpdateTable", creation("by-zone")).await, limit);
    }
    assert_eq!(
        service.error("UpdateTable", deletion()).await,
        in_use(
            "Index creation is in resource allocation phase. Retry deletion during backfilling phase or when the index is \
             active. Table: scores Index: by-rank"
        )
    );
    assert_eq!(
        service.error("DeleteTable", json!({"TableName": "scores"})).await,
        in_use("Cannot delete table while indexes are being created, updated, or deleted.")
    );
    service.catalog.set_index_status("scores", "by-rank", TableStatus::Creating, true);
    let index = described(&service).await["GlobalSecondaryIndexes"][0].clone();
    assert_eq!((&index["IndexStatus"], &index["Backfilling"]), (&json!("CREATING"), &json!(true)));
    service.ok("UpdateTable", deletion()).await;
}

#[tokio::test]
async fn a_table_has_no_more_indexes_than_dynamodbs() {
    let service = Service::start().await;
    let many: Vec<Value> = (0..20).map(|number| index(&format!("index-{number}"), &["Team", "Rank"], all())).collect();
    service.ok("CreateTable", definition(RANKS, &many)).await;
    assert_eq!(
        service.error("UpdateTable", creation("by-zone")).await,
        (
            "LimitExceededException".to_owned(),
            "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of 20".to_owned()
        )
    );
}

#[tokio::test]
async fn the_throughput_of_an_index_changes_for_itself() {
    let service = Service::start().await;
    service.ok("CreateTable", provisioned()).await;
    let change = |read, write| {
        update(json!([{"Update": {"IndexName": "by-rank", "ProvisionedThroughput": units(read, write)}}]))
    };
    let answer = service.ok("UpdateTable", change(2, 3)).await["TableDescription"].take();
    let shown = [&answer["TableStatus"], &answer["GlobalSecondaryIndexes"][0]["IndexStatus"]];
    assert_eq!(shown, ["ACTIVE", "UPDATING"]);
    let table = described(&service).await;
    let shown = &table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"];
    assert_eq!((&shown["WriteCapacityUnits"], shown.get("LastIncreaseDateTime").is_some()), (&json!(3), true));
    assert!(table["ProvisionedThroughput"].get("LastIncreaseDateTime").is_none());
    assert_eq!(
        service.invalid("UpdateTable", change(2, 3)).await,
        "The provisioned throughput for the index by-rank will not change. The requested value equals the current value. \
         Current ReadCapacityUnits provisioned for index by-rank: 2. Requested ReadCapacityUnits: 2. Current \
         WriteCapacityUnits provisioned for index by-rank: 3. Requested WriteCapacityUnits: 3. Refer to the Amazon DynamoDB \
         Developer Guide for current limits and how to request higher limits."
    );
    service.ok("UpdateTable", change(100, 100)).await;
    for units in [90, 80, 70, 60] {
        service.ok("UpdateTable", change(units, 100)).await;
    }
    let (kind, text) = service.error("UpdateTable", change(50, 100)).await;
    assert!(kind == "LimitExceededException" && text.contains("Number of decreases today: 4"), "{text}");
}

#[tokio::test]
async fn a_table_that_becomes_provisioned_needs_the_throughput_of_every_index() {
    let service = created().await;
    let mode = json!({"TableName": "scores", "BillingMode": "PROVISIONED", "ProvisionedThroughput": units(1, 1)});
    assert_eq!(
        service.invalid("UpdateTable", mode.clone()).await,
        format!("{INVALID}ProvisionedThroughput must be specified for index: by-rank")
    );
    let of_index = json!([{"Update": {"IndexName": "by-rank", "ProvisionedThroughput": units(4, 4)}}]);
    service.ok("UpdateTable", with(mode, json!({"GlobalSecondaryIndexUpdates": of_index}))).await;
    let shown =
        |table: &Value| table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["ReadCapacityUnits"].clone();
    assert_eq!(shown(&described(&service).await), 4);
    service.ok("UpdateTable", json!({"TableName": "scores", "BillingMode": "PAY_PER_REQUEST"})).await;
    assert_eq!(shown(&described(&service).await), 0);
}

const BACKUP: &str = "arn:aws:dynamodb:east:game:table/scores/backup/01700000000000-abcdef12";

fn restore(more: Value) -> Value {
    with(json!({"TargetTableName": "restored", "BackupArn": BACKUP}), more)
}

/// A table with two indexes, and its backup.
async fn backed_up(table: Value) -> Service {
    let service = Service::archived().await;
    service.ok("CreateTable", table).await;
    service.ok("CreateBackup", json!({"TableName": "scores", "BackupName": "nightly"})).await;
    service
}

fn two() -> Value {
    definition(RANKS, &[ranks(), index("by-team", &["Team"], json!({"ProjectionType": "KEYS_ONLY"}))])
}

#[tokio::test]
async fn a_backup_tells_the_indexes_and_they_come_back_with_it() {
    let service = backed_up(two()).await;
    let backup = service.ok("DescribeBackup", json!({"BackupArn": BACKUP})).await["BackupDescription"].clone();
    let infos = &backup["SourceTableFeatureDetails"]["GlobalSecondaryIndexes"];
    assert_eq!(
        infos[1],
        with(two()["GlobalSecondaryIndexes"][1].clone(), json!({"ProvisionedThroughput": units(0, 0)}))
    );
    let table = service.ok("RestoreTableFromBackup", restore(json!({}))).await["TableDescription"].clone();
    let names: Vec<&Value> =
        table["GlobalSecondaryIndexes"].as_array().unwrap().iter().map(|index| &index["IndexName"]).collect();
    assert_eq!(names, ["by-rank", "by-team"]);
    let of = |name: &str| service.catalog.table("game", name).unwrap().definition.global_indexes[0].index_id;
    assert_ne!(of("scores"), of("restored"));
}

#[tokio::test]
async fn a_restore_leaves_indexes_out_and_names_them_otherwise() {
    let service = backed_up(two()).await;
    let chosen = json!([index("teams", &["Team"], json!({"ProjectionType": "KEYS_ONLY"}))]);
    let answer = service.ok("RestoreTableFromBackup", restore(json!({"GlobalSecondaryIndexOverride": chosen}))).await;
    let indexes = answer["TableDescription"]["GlobalSecondaryIndexes"].as_array().unwrap().clone();
    assert_eq!((indexes.len(), &indexes[0]["IndexName"]), (1, &json!("teams")));
    let none = json!({"TargetTableName": "plain", "GlobalSecondaryIndexOverride": []});
    let answer = service.ok("RestoreTableFromBackup", restore(none)).await;
    assert!(answer["TableDescription"].get("GlobalSecondaryIndexes").is_none());
    let several = json!({"KeySchema": [keys(&["Team"])[0], keys(&["Rank"])[0]]});
    for other in [
        with(index("by-team", &[], json!({"ProjectionType": "KEYS_ONLY"})), several),
        index("by-team", &["Rank"], all()),
        index("by-rank", &["Team", "Rank"], json!({"ProjectionType": "KEYS_ONLY"})),
    ] {
        let name = other["IndexName"].as_str().unwrap().to_owned();
        let request = restore(json!({"TargetTableName": "other", "GlobalSecondaryIndexOverride": [other]}));
        assert_eq!(
            service.invalid("RestoreTableFromBackup", request).await,
            format!(
                "Invalid Request: Index {name} does not match a secondary index that existed in the source table and cannot \
                 be created during the restore operation"
            )
        );
    }
}

#[tokio::test]
async fn a_restored_index_has_its_throughput_by_the_restored_tables_billing_mode() {
    let service = backed_up(provisioned()).await;
    let answer = service.ok("RestoreTableFromBackup", restore(json!({}))).await;
    let throughput = &answer["TableDescription"]["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"];
    assert_eq!(throughput["ReadCapacityUnits"], 2);
    let chosen = |more: Value| json!([with(ranks(), more)]);
    for (more, expected) in [
        (
            json!({"GlobalSecondaryIndexOverride": chosen(json!({}))}),
            "Must specify provisioned throughput for index by-rank",
        ),
        (
            json!({
                "BillingModeOverride": "PAY_PER_REQUEST",
                "GlobalSecondaryIndexOverride": chosen(json!({"ProvisionedThroughput": units(1, 1)}))
            }),
            "Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST for index by-rank",
        ),
        (
            json!({"GlobalSecondaryIndexOverride": chosen(json!({"OnDemandThroughput": {"MaxReadRequestUnits": 1}}))}),
            "Cannot override MaxReadRequestUnits for OnDemandThroughput unless BillingModeOverride is PAY_PER_REQUEST",
        ),
    ] {
        let request = restore(with(more, json!({"TargetTableName": "other"})));
        assert_eq!(service.invalid("RestoreTableFromBackup", request).await, format!("Invalid Request: {expected}"));
    }
    let on_demand = json!({"TargetTableName": "on-demand", "BillingModeOverride": "PAY_PER_REQUEST"});
    let answer = service.ok("RestoreTableFromBackup", restore(on_demand)).await;
    let throughput = &answer["TableDescription"]["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"];
    assert_eq!(throughput["ReadCapacityUnits"], 0);
}

#[tokio::test]
async fn an_index_is_warmed_by_a_restore_from_a_backup_alone() {
    let service = backed_up(two()).await;
    let warm = json!({"WarmThroughput": {"ReadUnitsPerSecond": 20_000, "WriteUnitsPerSecond": 5_000}});
    let chosen = json!({"GlobalSecondaryIndexOverride": [with(ranks(), warm)]});
    let answer = service.ok("RestoreTableFromBackup", restore(chosen.clone())).await;
    let index = &answer["TableDescription"]["GlobalSecondaryIndexes"][0];
    assert_eq!(index["WarmThroughput"]["ReadUnitsPerSecond"], 20_000);
    let past = json!({"SourceTableName": "scores", "TargetTableName": "other", "UseLatestRestorableTime": true});
    assert_eq!(
        service.invalid("RestoreTableToPointInTime", with(past, chosen)).await,
        "Invalid Request: Cannot override WarmThroughput for index by-rank when a table is restored to a point in time"
    );
}

#[tokio::test]
async fn a_restored_tables_indexes_have_one_name_each_whichever_kind_they_are() {
    let local = json!({"LocalSecondaryIndexes": [index("by-age", &["User", "Rank"], all())]});
    let service = backed_up(with(two(), local)).await;
    let twice = json!({"LocalSecondaryIndexOverride": [index("by-team", &["User", "Rank"], all())]});
    assert_eq!(
        service.invalid("RestoreTableFromBackup", restore(twice)).await,
        format!("{INVALID}Duplicate index name: by-team")
    );
}
