//! The operations on imports.

use crate::client::Service;
use cairn_api::imports::{ImportFailure, ImportProgress, ImportStatus};
use cairn_model::table::TableStatus;
use serde_json::{Value, json};

const UNKNOWN: &str = "arn:aws:dynamodb:east:game:table/users/import/01600000000000-00000000";

fn request(table: &str) -> Value {
    json!({
        "S3BucketSource": {"S3Bucket": "source"},
        "InputFormat": "DYNAMODB_JSON",
        "TableCreationParameters": {
            "TableName": table,
            "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST"
        }
    })
}

fn with(path: &str, member: &str, value: Value) -> Value {
    let mut request = request("users");
    request.pointer_mut(path).unwrap()[member] = value;
    request
}

#[tokio::test]
async fn an_import_knows_no_local_indexes_and_nothing_else_that_only_create_table_has() {
    let service = Service::archived().await;
    let mut asked = with("/TableCreationParameters", "LocalSecondaryIndexes", json!([{"IndexName": "by-rank"}]));
    for (member, value) in [
        ("TableClass", json!("STANDARD_INFREQUENT_ACCESS")),
        ("DeletionProtectionEnabled", json!(true)),
        ("ResourcePolicy", json!("{}")),
        ("WarmThroughput", json!({"ReadUnitsPerSecond": 20_000})),
    ] {
        asked["TableCreationParameters"][member] = value;
    }
    service.ok("ImportTable", asked).await;
    service.catalog.set_status("users", TableStatus::Active);
    let table = service.ok("DescribeTable", json!({"TableName": "users"})).await["Table"].clone();
    assert_eq!(table["DeletionProtectionEnabled"], false);
    assert!(table.get("TableClassSummary").is_none());
}

#[tokio::test]
async fn an_import_makes_a_table_with_global_indexes() {
    let service = Service::archived().await;
    let keys = json!([{"AttributeName": "Id", "KeyType": "HASH"}]);
    let index = json!({"IndexName": "by-id", "KeySchema": keys, "Projection": {"ProjectionType": "KEYS_ONLY"}});
    let request = with("/TableCreationParameters", "GlobalSecondaryIndexes", json!([index]));
    let answer = service.ok("ImportTable", request).await;
    let parameters = &answer["ImportTableDescription"]["TableCreationParameters"];
    assert_eq!(parameters["GlobalSecondaryIndexes"], json!([index]));
}

#[tokio::test]
async fn an_import_is_described_as_it_was_asked_for_and_as_it_ended() {
    let service = Service::archived().await;
    let csv = json!({"Delimiter": "\t", "HeaderList": ["Id", "V"]});
    let mut asked = with("", "InputFormatOptions", json!({"Csv": csv}));
    asked["InputFormat"] = json!("CSV");
    asked["InputCompressionType"] = json!("ZSTD");
    asked["ClientToken"] = json!("token");
    asked["S3BucketSource"] = json!({"S3BucketOwner": "123456789012", "S3Bucket": "source", "S3KeyPrefix": "some/"});
    asked["TableCreationParameters"]["BillingMode"] = json!("PROVISIONED");
    asked["TableCreationParameters"]["ProvisionedThroughput"] =
        json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 6});
    let answer = service.ok("ImportTable", asked.clone()).await;
    let arn = "arn:aws:dynamodb:east:game:table/users/import/01700000000000-abcdef12";
    let mut expected = json!({
        "ImportArn": arn,
        "ImportStatus": "IN_PROGRESS",
        "TableArn": "arn:aws:dynamodb:east:game:table/users",
        "TableId": "09090909-0909-0909-0909-090909090909",
        "ClientToken": "token",
        "S3BucketSource": asked["S3BucketSource"],
        "InputFormat": "CSV",
        "InputFormatOptions": {"Csv": csv},
        "InputCompressionType": "ZSTD",
        "TableCreationParameters": asked["TableCreationParameters"],
        "StartTime": 1_700_000_000.0,
        "ErrorCount": 0,
        "ProcessedItemCount": 0,
        "ImportedItemCount": 0
    });
    assert_eq!(answer, json!({"ImportTableDescription": expected}));

    for import in service.imports.imports.lock().unwrap().values_mut() {
        import.progress = ImportProgress {
            processed_size_bytes: 40,
            processed_item_count: 4,
            imported_item_count: 3,
            error_count: 1,
        };
    }
    // What was read is told at once, what was counted only at the end.
    expected["ProcessedSizeBytes"] = json!(40);
    let described = service.ok("DescribeImport", json!({"ImportArn": arn})).await;
    assert_eq!(described, json!({"ImportTableDescription": expected}));

    for import in service.imports.imports.lock().unwrap().values_mut() {
        import.status = ImportStatus::Failed;
        import.end_time_ms = Some(1_700_000_001_500);
        import.error_log = Some("arn:aws:s3:::backups/errors.jsonl".to_owned());
        import.failure = Some(ImportFailure { code: "Code".to_owned(), message: "message".to_owned() });
    }
    for (name, value) in [
        ("ImportStatus", json!("FAILED")),
        ("EndTime", json!(1_700_000_001.5)),
        ("ProcessedSizeBytes", json!(40)),
        ("ProcessedItemCount", json!(4)),
        ("ImportedItemCount", json!(3)),
        ("ErrorCount", json!(1)),
        ("CloudWatchLogGroupArn", json!("arn:aws:s3:::backups/errors.jsonl")),
        ("FailureCode", json!("Code")),
        ("FailureMessage", json!("message")),
    ] {
        expected[name] = value;
    }
    let described = service.ok("DescribeImport", json!({"ImportArn": arn})).await;
    assert_eq!(described, json!({"ImportTableDescription": expected}));
}

#[tokio::test]
async fn what_is_not_given_is_not_described_and_the_compression_is_none() {
    let service = Service::archived().await;
    let answer = service.ok("ImportTable", request("users")).await;
    let description = &answer["ImportTableDescription"];
    assert_eq!(description["InputCompressionType"], "NONE");
    for name in ["ClientToken", "InputFormatOptions", "EndTime", "FailureCode", "CloudWatchLogGroupArn"] {
        assert!(description.get(name).is_none(), "{name}");
    }
    assert_eq!(description["S3BucketSource"], json!({"S3Bucket": "source"}));
}

#[tokio::test]
async fn ion_is_a_format_without_options() {
    let service = Service::archived().await;
    let mut asked = request("users");
    asked["InputFormat"] = json!("ION");
    let answer = service.ok("ImportTable", asked.clone()).await;
    assert_eq!(answer["ImportTableDescription"]["InputFormat"], "ION");
    asked["InputFormatOptions"] = json!({"Csv": {}});
    assert_eq!(
        service.invalid("ImportTable", asked).await,
        "One or more parameter values were invalid: InputFormatOptions Csv can only be specified when InputFormat is CSV"
    );
}

#[tokio::test]
async fn imports_are_listed_in_pages_with_tokens_that_sdks_take() {
    let service = Service::archived().await;
    for table in ["one", "two", "three"] {
        service.ok("ImportTable", request(table)).await;
    }
    let first = service.ok("ListImports", json!({"PageSize": 2})).await;
    assert_eq!(
        first["ImportSummaryList"][0],
        json!({
            "ImportArn": "arn:aws:dynamodb:east:game:table/three/import/01700000002000-abcdef12",
            "ImportStatus": "IN_PROGRESS",
            "TableArn": "arn:aws:dynamodb:east:game:table/three",
            "S3BucketSource": {"S3Bucket": "source"},
            "InputFormat": "DYNAMODB_JSON",
            "StartTime": 1_700_000_002.0
        })
    );
    let token = first["NextToken"].as_str().unwrap();
    assert!(token.len() == 112 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    let rest = service.ok("ListImports", json!({"PageSize": 2, "NextToken": token})).await;
    assert_eq!(rest["ImportSummaryList"][0]["TableArn"], "arn:aws:dynamodb:east:game:table/one");
    assert_eq!((rest["ImportSummaryList"].as_array().unwrap().len(), rest.get("NextToken")), (1, None));
    let of_table = json!({"TableArn": "arn:aws:dynamodb:east:game:table/two"});
    let listed = service.ok("ListImports", of_table).await;
    assert_eq!(listed["ImportSummaryList"].as_array().unwrap().len(), 1);
    let invalid = json!({"NextToken": "00".repeat(56)});
    assert_eq!(
        service.invalid("ListImports", invalid).await,
        "One or more parameter values were invalid: Invalid NextToken"
    );
}

#[tokio::test]
async fn without_an_archive_nothing_is_imported_and_the_operations_say_so() {
    let service = Service::start().await;
    assert_eq!(service.ok("ListImports", json!({})).await, json!({"ImportSummaryList": []}));
    let text = service.invalid("ImportTable", request("users")).await;
    assert!(text.contains("--archive"), "{text}");
    assert_eq!(service.error("DescribeImport", json!({"ImportArn": UNKNOWN})).await.0, "ImportNotFoundException");
}

#[tokio::test]
async fn only_the_accounts_own_imports_of_this_region_are_described() {
    let service = Service::archived().await;
    let request = |arn: String| json!({"ImportArn": arn});
    assert_eq!(
        service.error("DescribeImport", request(UNKNOWN.into())).await,
        ("ImportNotFoundException".into(), format!("Import not found: {UNKNOWN}"))
    );
    let other = request(UNKNOWN.replace("east", "west"));
    assert_eq!(service.error("DescribeImport", other).await.0, "ImportNotFoundException");
    let other = request(UNKNOWN.replace("game", "shop"));
    assert_eq!(service.error("DescribeImport", other).await.0, "AccessDeniedException");
    let export = request(UNKNOWN.replace("import", "export"));
    assert_eq!(service.invalid("DescribeImport", export).await, "Invalid Import ARN");
    // No table has a name of one character.
    let malformed = request(UNKNOWN.replace("users", "x"));
    assert_eq!(service.invalid("DescribeImport", malformed).await, "Invalid Import ARN");
}

#[tokio::test]
async fn the_table_is_checked_as_create_table_checks_it() {
    let service = Service::archived().await;
    let table = "/TableCreationParameters";
    for (request, expected) in [
        (
            with(table, "KeySchema", json!([])),
            "1 validation error detected: Value '[]' at 'tableCreationParameters.keySchema' failed to satisfy \
             constraint: Member must have length greater than or equal to 1",
        ),
        (
            with(table, "TableName", json!("u!")),
            "2 validation errors detected: Value 'u!' at 'tableCreationParameters.tableName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; Value 'u!' at \
             'tableCreationParameters.tableName' failed to satisfy constraint: Member must have length greater than or \
             equal to 3",
        ),
        (
            with(table, "TableName", Value::Null),
            "1 validation error detected: Value null at 'tableCreationParameters.tableName' failed to satisfy \
             constraint: Member must not be null",
        ),
        (
            with(table, "BillingMode", json!("PROVISIONED")),
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified \
             when BillingMode is PROVISIONED",
        ),
        (
            with(table, "KeySchema", json!([{"AttributeName": "Id", "KeyType": "RANGE"}])),
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            with(table, "GlobalSecondaryIndexes", json!([])),
            "One or more parameter values were invalid: List of GlobalSecondaryIndexes is empty",
        ),
        (
            with(table, "SSESpecification", json!({"Enabled": true})),
            "One or more parameter values were invalid: SSESpecification is not supported by this version of Cairn",
        ),
    ] {
        assert_eq!(service.invalid("ImportTable", request).await, expected);
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_in_dynamodbs_words() {
    let service = Service::archived().await;
    let csv = |options: Value| {
        let mut request = with("", "InputFormatOptions", json!({"Csv": options}));
        request["InputFormat"] = json!("CSV");
        request
    };
    let fails = "failed to satisfy constraint: Member must";
    for (request, expected) in [
        (
            json!({}),
            format!(
                "3 validation errors detected: Value null at 's3BucketSource' {fails} not be null; Value null at \
                 'inputFormat' {fails} not be null; Value null at 'tableCreationParameters' {fails} not be null"
            ),
        ),
        (
            with("/S3BucketSource", "S3Bucket", json!("../etc")),
            format!(
                "1 validation error detected: Value '../etc' at 's3BucketSource.s3Bucket' {fails} satisfy regular \
                 expression pattern: ^[a-z0-9A-Z]+[\\.\\-\\w]*[a-z0-9A-Z]+$"
            ),
        ),
        (
            with("/S3BucketSource", "S3BucketOwner", json!("me")),
            format!(
                "1 validation error detected: Value 'me' at 's3BucketSource.s3BucketOwner' {fails} satisfy regular \
                 expression pattern: [0-9]{{12}}"
            ),
        ),
        (
            with("", "InputFormat", json!("XML")),
            format!(
                "1 validation error detected: Value 'XML' at 'inputFormat' {fails} satisfy enum value set: \
                 [DYNAMODB_JSON, ION, CSV]"
            ),
        ),
        (
            with("", "InputCompressionType", json!("LZ4")),
            format!(
                "1 validation error detected: Value 'LZ4' at 'inputCompressionType' {fails} satisfy enum value set: \
                 [GZIP, ZSTD, NONE]"
            ),
        ),
        (
            with("", "InputFormatOptions", json!({"Csv": {}})),
            "One or more parameter values were invalid: InputFormatOptions Csv can only be specified when InputFormat \
             is CSV"
                .into(),
        ),
        (
            csv(json!({"Delimiter": "-", "HeaderList": []})),
            format!(
                "2 validation errors detected: Value '-' at 'inputFormatOptions.csv.delimiter' {fails} satisfy regular \
                 expression pattern: [,;:|\\t ]; Value '[]' at 'inputFormatOptions.csv.headerList' {fails} have length \
                 greater than or equal to 1"
            ),
        ),
        (
            with("", "ClientToken", json!("$")),
            format!(
                "1 validation error detected: Value '$' at 'clientToken' {fails} satisfy regular expression pattern: \
                 ^[^\\$]+$"
            ),
        ),
    ] {
        assert_eq!(service.invalid("ImportTable", request).await, expected);
    }
    let (name, _) = service.error("ImportTable", with("/S3BucketSource", "S3Bucket", json!(1))).await;
    assert_eq!(name, "SerializationException");
    assert_eq!(
        service.invalid("ListImports", json!({"PageSize": 26})).await,
        format!("1 validation error detected: Value '26' at 'pageSize' {fails} have value less than or equal to 25")
    );
}
