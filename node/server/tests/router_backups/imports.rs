//! ImportTable, DescribeImport and ListImports.

use crate::{archive::Manner, setting::Setting, support::api_server::active_table};
use cairn_model::{
    archive::{
        ArchiveCall,
        import::{ImportOrder, ImportOutcome, ImportProgress, ImportReport},
    },
    ids::TableId,
};
use cairn_server::router::writes::ApiWrites;
use serde_json::{Value, json};

fn request(table: &str) -> Value {
    json!({
        "ClientToken": "token",
        "S3BucketSource": {"S3Bucket": "source", "S3KeyPrefix": "some/"},
        "InputFormat": "CSV",
        "InputFormatOptions": {"Csv": {"Delimiter": ";"}},
        "InputCompressionType": "GZIP",
        "TableCreationParameters": {
            "TableName": table,
            "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    })
}

impl Setting {
    async fn import(&self, request: Value) -> Value {
        let begun = self.caller.ok("ImportTable", request).await["ImportTableDescription"].clone();
        self.watch();
        begun
    }

    async fn describe(&self, arn: &Value) -> Value {
        self.caller.ok("DescribeImport", json!({"ImportArn": arn})).await["ImportTableDescription"].clone()
    }

    async fn listed(&self, more: Value) -> (Vec<String>, Value) {
        let page = self.caller.ok("ListImports", more).await;
        let imports = page["ImportSummaryList"].as_array().unwrap().iter();
        let table = |import: &Value| {
            let arn = import["TableArn"].as_str().unwrap();
            format!("{} {}", arn.rsplit('/').next().unwrap(), import["ImportStatus"].as_str().unwrap())
        };
        (imports.map(table).collect(), page["NextToken"].clone())
    }

    /// What the operator writes of a table's import.
    fn say(&self, table: &str, import: Value) {
        let arn = |table: &str| {
            let resource = self.api_server.get("tables", table).unwrap();
            let resource: cairn_crds::Table = serde_json::from_value(resource).unwrap();
            format!("arn:aws:dynamodb:east:game:table/{table}/import/{}", resource.import_id().unwrap())
        };
        let mut said =
            json!({"importArn": arn(table), "importStatus": "IN_PROGRESS", "startTime": "2026-01-01T00:00:00Z"});
        said.as_object_mut().unwrap().extend(import.as_object().unwrap().clone());
        let status = json!({
            "tableStatus": "CREATING", "tableId": "22222222-2222-4222-8222-222222222222",
            "creationDateTime": "2026-01-01T00:00:00Z", "import": said,
        });
        self.api_server.set_status("tables", table, status);
        self.watch();
    }

    /// Puts the record of a table's import into the bucket of a group, with how it ended, if it did.
    fn record(&self, group: &str, table: &str, outcome: Option<ImportOutcome>) {
        let resource: cairn_crds::Table =
            serde_json::from_value(self.api_server.get("tables", table).unwrap()).unwrap();
        let definition = crate::support::group::definition(TableId([5; 16]));
        let order = resource.import_order("east", definition).unwrap().unwrap();
        self.put_record(group, order, outcome);
    }

    fn put_record(&self, group: &str, order: ImportOrder, outcome: Option<ImportOutcome>) {
        let report = match outcome {
            Some(outcome) => ImportReport::ended(order, outcome, "log".to_owned()),
            None => ImportReport::in_progress(order, ImportProgress::default()),
        };
        self.bucket(group).lock().imports.insert(report.order.import_id.clone(), report);
    }
}

fn completed() -> ImportOutcome {
    let progress = ImportProgress { imported_item_count: 7, ..ImportProgress::default() };
    ImportOutcome { completed: true, failure: None, progress, ..ImportOutcome::interrupted(1_767_225_700_000) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_a_table_that_says_what_it_is_made_of() {
    let setting = Setting::new(&[Manner::Answers]).await;
    let begun = setting.import(request("users")).await;
    assert_eq!(begun["ImportStatus"], "IN_PROGRESS");
    let table = setting.api_server.get("tables", "users").unwrap();
    let from = json!({
        "s3BucketSource": {"s3Bucket": "source", "s3KeyPrefix": "some/"}, "inputFormat": "CSV",
        "inputFormatOptions": {"csv": {"delimiter": ";"}}, "inputCompressionType": "GZIP", "clientToken": "token",
    });
    assert_eq!((&table["spec"]["importFrom"], &table["spec"]["storageGroup"]), (&from, &json!("default")));
    let described = setting.caller.ok("DescribeTable", json!({"TableName": "users"})).await;
    assert_eq!(described["Table"]["TableStatus"], "CREATING");
    // It is known at once, and by the same name once the operator tells of it.
    let arn = &begun["ImportArn"];
    assert_eq!(setting.describe(arn).await, begun);
    setting.say("users", json!({"importedItemCount": 5, "errorCount": 1}));
    let under_way = setting.describe(arn).await;
    assert_eq!((&under_way["ImportArn"], &under_way["ClientToken"]), (arn, &json!("token")));
    let counted = (&under_way["ImportedItemCount"], &under_way["ErrorCount"]);
    assert_eq!(counted, (&json!(0), &json!(0)), "what is counted is told at the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_ended_is_told_as_the_bucket_has_it_and_also_when_its_table_is_gone() {
    let setting = Setting::new(&[Manner::Answers]).await;
    let arn = setting.import(request("users")).await["ImportArn"].clone();
    setting.record("default", "users", None);
    setting.say("users", json!({}));
    assert_eq!(setting.describe(&arn).await["ImportStatus"], "IN_PROGRESS");
    setting.record("default", "users", Some(completed()));
    setting.say("users", json!({"importStatus": "COMPLETED"}));
    let told = setting.describe(&arn).await;
    assert_eq!((&told["ImportStatus"], &told["ImportedItemCount"]), (&json!("COMPLETED"), &json!(7)));
    setting.api_server.remove("tables", "users");
    setting.watch();
    assert_eq!(setting.describe(&arn).await, told);
    let other = arn.as_str().unwrap().replace("users", "other");
    let unknown = setting.refused("DescribeImport", json!({"ImportArn": other})).await;
    assert_eq!(unknown, "ImportNotFoundException");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_table_was_deleted_before_its_end_has_failed() {
    let setting = Setting::new(&[Manner::Answers]).await;
    let arn = setting.import(request("users")).await["ImportArn"].clone();
    setting.record("default", "users", None);
    // A router whose watch is behind looks again before it says so.
    setting.forget_tables();
    assert_eq!(setting.describe(&arn).await["ImportStatus"], "IN_PROGRESS");
    setting.api_server.remove("tables", "users");
    let failed = setting.describe(&arn).await;
    assert_eq!((&failed["ImportStatus"], &failed["FailureCode"]), (&json!("FAILED"), &json!("ImportInterrupted")));
    assert_eq!(setting.listed(json!({})).await.0, ["users FAILED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_being_imported_is_not_deleted_and_one_whose_import_failed_is() {
    let setting = Setting::new(&[Manner::Answers]).await;
    let arn = setting.import(request("users")).await["ImportArn"].clone();
    let users = json!({"TableName": "users"});
    assert_eq!(setting.refused("DeleteTable", users.clone()).await, "ResourceInUseException");
    setting.say("users", json!({"importStatus": "FAILED", "failureCode": "S3NoSuchBucket", "failureMessage": "none"}));
    let told = setting.describe(&arn).await;
    assert_eq!((&told["ImportStatus"], &told["FailureCode"]), (&json!("FAILED"), &json!("S3NoSuchBucket")));
    setting.caller.ok("DeleteTable", users).await;
    assert!(setting.api_server.all("tables").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_token_stands_for_one_import_wherever_that_is_known() {
    let setting = Setting::new(&[Manner::Answers]).await;
    let arn = setting.import(request("users")).await["ImportArn"].clone();
    assert_eq!(setting.import(request("users")).await["ImportArn"], arn);
    let mut other = request("users");
    other["S3BucketSource"]["S3KeyPrefix"] = json!("other");
    let again = setting.import(other).await;
    assert_eq!((&again["ImportArn"], &again["S3BucketSource"]["S3KeyPrefix"]), (&arn, &json!("some/")));
    assert_eq!(setting.refused("ImportTable", request("others")).await, "ImportConflictException");
    // Once it has ended, its table counts for more.
    setting.say("users", json!({"importStatus": "COMPLETED"}));
    assert_eq!(setting.refused("ImportTable", request("users")).await, "ResourceInUseException");
    // Without its Table, by what the bucket has.
    let resource: cairn_crds::Table =
        serde_json::from_value(setting.api_server.get("tables", "users").unwrap()).unwrap();
    let definition = cairn_model::TableDefinition {
        table_name: "users".to_owned(),
        ..crate::support::group::definition(TableId([5; 16]))
    };
    setting.put_record("default", resource.import_order("east", definition).unwrap().unwrap(), Some(completed()));
    setting.api_server.remove("tables", "users");
    setting.watch();
    assert_eq!(setting.import(request("users")).await["ImportArn"], arn);
    let mut fresh = request("users");
    fresh["ClientToken"] = json!("another");
    assert_ne!(setting.import(fresh).await["ImportArn"], arn);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_token_stands_for_one_import_at_a_router_that_has_not_heard_of_it_too() {
    let setting = Setting::new(&[Manner::Answers]).await;
    let arn = setting.import(request("users")).await["ImportArn"].clone();
    setting.forget_tables();
    assert_eq!(setting.import(request("users")).await["ImportArn"], arn);
    setting.forget_tables();
    let mut other = request("users");
    other["S3BucketSource"]["S3KeyPrefix"] = json!("other");
    assert_eq!(setting.import(other).await["ImportArn"], arn);
    setting.forget_tables();
    let mut another = request("users");
    another["ClientToken"] = json!("another");
    assert_eq!(setting.refused("ImportTable", another).await, "ResourceInUseException");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_into_a_name_that_is_taken_at_the_same_time_is_refused() {
    let setting = Setting::new(&[Manner::Answers]).await;
    setting.api_server.overtake(|server| {
        server.put("tables", "users", active_table(TableId([8; 16]), json!({}), json!({})), "cairn-api");
    });
    assert_eq!(setting.refused("ImportTable", request("users")).await, "ResourceInUseException");
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_of_tables_and_of_all_buckets_are_listed_in_pages() {
    let groups: &[(&str, &[Manner])] = &[("default", &[Manner::Answers]), ("other", &[Manner::Answers])];
    let setting = Setting::of(groups, ApiWrites::Own).await;
    for (number, table) in ["one", "two", "three"].into_iter().enumerate() {
        let mut asked = request(table);
        asked["ClientToken"] = json!(format!("token-{number}"));
        setting.import(asked).await;
    }
    setting.record("default", "one", Some(completed()));
    setting.say("one", json!({"importStatus": "COMPLETED"}));
    setting.record("other", "two", Some(ImportOutcome::interrupted(1)));
    setting.api_server.remove("tables", "two");
    setting.watch();
    let (all, token) = setting.listed(json!({})).await;
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(
        (sorted, token),
        (vec!["one COMPLETED".into(), "three IN_PROGRESS".into(), "two FAILED".into()], Value::Null)
    );
    let (first, token) = setting.listed(json!({"PageSize": 2})).await;
    let (rest, end) = setting.listed(json!({"PageSize": 2, "NextToken": token})).await;
    assert_eq!((first.into_iter().chain(rest).collect::<Vec<_>>(), end), (all, Value::Null));
    let of_two = json!({"TableArn": "arn:aws:dynamodb:east:game:table/two"});
    assert_eq!(setting.listed(of_two).await.0, ["two FAILED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_can_not_be_begun_is_refused_and_makes_nothing() {
    let without_archives: &[(&str, &[Manner])] = &[("default", &[])];
    for (groups, writes, name) in [
        (without_archives, ApiWrites::Own, "ValidationException"),
        (&[("default", &[Manner::Answers][..])][..], ApiWrites::None, "AccessDeniedException"),
        (&[("default", &[Manner::Cut][..])][..], ApiWrites::Own, "InternalServerError"),
    ] {
        let setting = Setting::of(groups, writes).await;
        assert_eq!(setting.refused("ImportTable", request("users")).await, name);
        assert!(setting.api_server.all("tables").is_empty());
    }
    let setting = Setting::with_users().await;
    assert_eq!(setting.refused("ImportTable", request("users")).await, "ResourceInUseException");
    assert!(
        setting
            .archives
            .iter()
            .all(|archive| { archive.calls.lock().iter().all(|call| matches!(call, ArchiveCall::ListImports { .. })) })
    );
    for number in 0..50 {
        let mut asked = request(&format!("table-{number}"));
        asked["ClientToken"] = json!(format!("token-{number}"));
        setting.import(asked).await;
    }
    let mut asked = request("one-more");
    asked["ClientToken"] = json!("one-more");
    assert_eq!(setting.refused("ImportTable", asked).await, "LimitExceededException");
}
