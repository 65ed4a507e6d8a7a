//! `cairn archive` beside each of three `cairn storage`: tables made of files in a bucket, as the operator asks for them.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod support;

use cairn_api::TableView;
use cairn_model::{
    AttributeValue, Item, TableDefinition,
    archive::{
        ArchiveAnswer, ArchiveCall, ArchiveRefusal,
        import::{CsvOptions, ImportCompression, ImportFormat, ImportOrder, ImportReport, ImportSource, ImportStatus},
    },
    ids::{PartitionId, TableId},
    key::EncodedKey,
};
use cairn_replication::operation::{GetRequest, PartitionOutcome, PartitionRequest};
use std::{fmt::Write as _, io::Write as _, path::Path, time::Duration};
use support::{
    archives::Archives,
    group::{ACCOUNT, Group, definition, view},
    s3,
};

const PAUSE: Duration = Duration::from_millis(50);

/// An import into a table of this number.
fn order(number: u8, prefix: &str, format: ImportFormat, compression: ImportCompression) -> ImportOrder {
    let id = format!("999999999999{number:02}-00000000");
    let table_arn = format!("arn:aws:dynamodb:east:{ACCOUNT}:table/made-{number}");
    let definition = TableDefinition { table_name: format!("made-{number}"), ..definition(TableId([number; 16])) };
    ImportOrder {
        arn: format!("{table_arn}/import/{id}"),
        import_id: id,
        table_arn,
        definition,
        client_token: None,
        source: ImportSource { bucket: "source".to_owned(), key_prefix: Some(prefix.to_owned()), bucket_owner: None },
        format,
        compression,
        start_time_ms: 1,
    }
}

async fn call(group: &Group, order: &ImportOrder) -> ArchiveCall {
    let table_id = order.definition.table_id;
    let descriptor = group.descriptor(PartitionId(table_id.0), table_id).await;
    ArchiveCall::Import { descriptor, order: order.clone() }
}

/// What the archive says, once it says anything.
async fn ask(group: &Group, archives: &Archives, node: usize, call: &ArchiveCall) -> ImportReport {
    for _ in 0..200 {
        match archives.call(group, node, call).await {
            Ok(ArchiveAnswer::Import(report)) => return *report,
            // Until it has opened its bucket and heard of its node.
            Ok(ArchiveAnswer::Refused { reason: ArchiveRefusal::Failed, .. }) | Err(_) => {
                tokio::time::sleep(PAUSE).await;
            }
            Ok(other) => panic!("{other:?}"),
        }
    }
    panic!("the archive does not import");
}

async fn ended(group: &Group, archives: &Archives, node: usize, order: &ImportOrder) -> ImportReport {
    let call = call(group, order).await;
    for _ in 0..600 {
        let report = ask(group, archives, node, &call).await;
        if report.status != ImportStatus::InProgress {
            return report;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("the import does not end within thirty seconds");
}

async fn value(group: &Group, table: &TableView, id: &str) -> Option<String> {
    let item = Item::from([("Id".to_owned(), AttributeValue::S(id.to_owned()))]);
    let key = EncodedKey::new(&table.definition.key_schema, &item).unwrap();
    let get = GetRequest { keys: vec![key.clone()], projection: None, consistent: true };
    for _ in 0..200 {
        // A new table is on the router's map in a moment.
        match group.request(table, &key.0, PartitionRequest::Get(get.clone())).await {
            Ok(PartitionOutcome::Get(outcome)) => {
                let (item, _) = outcome.items.into_iter().next().unwrap()?;
                return match &item.decode().unwrap()["V"] {
                    AttributeValue::S(value) => Some(value.clone()),
                    other => panic!("{other:?}"),
                };
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
    panic!("the table does not answer");
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Archives over the bucket `backups` of an S3 server, which has a bucket `source` too.
async fn over_s3(group: &Group) -> (tempfile::TempDir, Archives) {
    let (folder, endpoint) = s3::serve().await;
    std::fs::create_dir(folder.path().join("source")).unwrap();
    let arguments = ["--archive", "s3://backups/east", "--archive-endpoint", &endpoint, "--archive-region", "any"];
    let keys = ["--archive-access-key-id", "key", "--archive-secret-access-key", "secret"];
    let archives = Archives::start_with(group, &[&arguments[..], &keys[..]].concat()).await;
    (folder, archives)
}

fn put(folder: &Path, key: &str, content: impl AsRef<[u8]>) {
    std::fs::write(folder.join("source").join(key), content).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_made_of_csv_json_and_ion_and_what_is_no_item_is_told() {
    let group = Group::start_archived().await;
    let (folder, archives) = over_s3(&group).await;
    put(folder.path(), "a.csv.gz", gzip("a;1\nb;2;3\nc;3\na;4\n"));
    let json = "{\"Item\":{\"Id\":{\"S\":\"a\"},\"V\":{\"S\":\"5\"}}}\nnonsense\n";
    put(folder.path(), "b.json.zst", zstd::stream::encode_all(json.as_bytes(), 1).unwrap());
    put(folder.path(), "c.ion", "$ion_1_0 {Item:{Id:\"a\",V:\"6\"}}\n");
    let header_list = Some(vec!["Id".to_owned(), "V".to_owned()]);
    let csv = ImportFormat::Csv { options: Some(CsvOptions { delimiter: Some(';'), header_list }) };
    for (number, prefix, format, compression, expected, errors) in [
        (20, "a", csv, ImportCompression::Gzip, "4", 1),
        (21, "b", ImportFormat::DynamoDbJson, ImportCompression::Zstd, "5", 1),
        (22, "c", ImportFormat::Ion, ImportCompression::None, "6", 0),
    ] {
        let order = order(number, prefix, format, compression);
        let node = usize::from(number % 3);
        let report = ended(&group, &archives, node, &order).await;
        let status = if errors > 0 { ImportStatus::Failed } else { ImportStatus::Completed };
        assert_eq!((report.status, report.progress.error_count), (status, errors), "{report:?}");
        assert_eq!(value(&group, &view(order.definition), "a").await.as_deref(), Some(expected));
        // Any archive knows it, and where its errors are told.
        let describe = ArchiveCall::DescribeImport { import_id: order.import_id.clone() };
        assert_eq!(ask(&group, &archives, (node + 1) % 3, &describe).await, report);
        if errors > 0 {
            let log = report.error_log.unwrap();
            let lines =
                std::fs::read_to_string(folder.path().join(log.strip_prefix("arn:aws:s3:::").unwrap())).unwrap();
            assert!(lines.contains("\"line\":2"), "{lines}");
        }
    }
    let first = order(20, "", ImportFormat::Ion, ImportCompression::None);
    assert_eq!(value(&group, &view(first.definition), "b").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_can_not_be_read_fails_the_import_and_nothing_is_made() {
    let group = Group::start_archived().await;
    let (folder, archives) = over_s3(&group).await;
    put(folder.path(), "plain", "{}");
    let json = |number, prefix| order(number, prefix, ImportFormat::DynamoDbJson, ImportCompression::Gzip);
    let mut elsewhere = json(20, "");
    elsewhere.source.bucket = "nowhere".to_owned();
    for (asked, code) in
        [(elsewhere, "S3NoSuchBucket"), (json(21, "a//b/c"), "S3InvalidKey"), (json(22, "plain"), "SourceUnreadable")]
    {
        let report = ended(&group, &archives, 0, &asked).await;
        assert_eq!((report.status, &*report.failure.unwrap().code), (ImportStatus::Failed, code));
        assert!(report.end_time_ms.is_some());
    }
    for node in 0..3 {
        assert!(group.report(node).await.replicas.is_empty());
    }
    // That nothing is there is no fault.
    let empty = json(23, "none");
    assert_eq!(ended(&group, &archives, 0, &empty).await.status, ImportStatus::Completed);
    assert_eq!(value(&group, &view(empty.definition), "a").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_in_the_middle_begins_anew_when_it_is_asked_again() {
    let (mut group, bucket) = (Group::start_archived().await, tempfile::tempdir().unwrap());
    let mut archives = Archives::start(&group, bucket.path()).await;
    let source = bucket.path().join("buckets/source");
    std::fs::create_dir_all(&source).unwrap();
    const ITEMS: usize = 150_000;
    let mut lines = String::new();
    for n in 0..ITEMS {
        writeln!(lines, "{{\"Item\":{{\"Id\":{{\"S\":\"{n}\"}},\"V\":{{\"S\":\"{}\"}}}}}}", "v".repeat(300)).unwrap();
    }
    std::fs::write(source.join("many"), lines).unwrap();
    let order = order(20, "many", ImportFormat::DynamoDbJson, ImportCompression::None);
    let call = call(&group, &order).await;
    for kills_the_node in [false, true] {
        let mut under_way = false;
        for _ in 0..600 {
            let report = ask(&group, &archives, 0, &call).await;
            assert_eq!(report.status, ImportStatus::InProgress, "the test needs more items");
            under_way = report.progress.imported_item_count > 0;
            if under_way {
                break;
            }
        }
        assert!(under_way);
        assert!(group.report(0).await.replicas.is_empty(), "nobody has the table before its last item");
        if kills_the_node {
            group.kill_node(0);
            group.start_node(0);
        } else {
            archives.kill_archive(0);
            archives.start_archive(&group, 0);
        }
    }
    let report = ended(&group, &archives, 0, &order).await;
    assert_eq!((report.status, report.progress.imported_item_count), (ImportStatus::Completed, ITEMS as u64));
    for n in [0, 1, ITEMS / 2, ITEMS - 1] {
        let expected = "v".repeat(300);
        assert_eq!(value(&group, &view(order.definition.clone()), &n.to_string()).await, Some(expected), "item {n}");
    }
    let held = group.report(0).await.replicas;
    assert_eq!((held.len(), held[0].item_count), (1, ITEMS as u64));
}
