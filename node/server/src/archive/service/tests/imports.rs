//! Tables made of files that lie in a bucket beside the archive's.

use super::{Beside, eventually, refused};
use crate::archive::testing::definition;
use cairn_model::{
    archive::{
        ArchiveAnswer, ArchiveCall, ArchiveRefusal,
        import::{ImportCompression, ImportFormat, ImportOrder, ImportReport, ImportSource, ImportStatus},
    },
    ids::PartitionId,
    table::TableDefinition,
};

const LATER: &str = "99999999999999-abcdef12";

fn order(id: &str, number: u8) -> ImportOrder {
    ImportOrder {
        import_id: id.into(),
        arn: format!("arn:aws:dynamodb:east:game:table/made/import/{id}"),
        table_arn: format!("arn:aws:dynamodb:east:game:table/made-{number}"),
        definition: definition("made", number),
        client_token: None,
        source: ImportSource { bucket: "source".into(), key_prefix: Some("good".into()), bucket_owner: None },
        format: ImportFormat::DynamoDbJson,
        compression: ImportCompression::None,
        start_time_ms: 1,
    }
}

impl Beside {
    /// Puts an object into the bucket `source`.
    fn put_source(&self, key: &str, content: &str) {
        let folder = self.folder.path().join("bucket/buckets/source");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(key), content).unwrap();
    }

    async fn import(&self, order: &ImportOrder) -> ArchiveAnswer {
        let descriptor = self.node.descriptor(order.definition.table_id, order.definition.table_id.0[0]);
        self.service.answer(ArchiveCall::Import { descriptor, order: order.clone() }).await
    }

    /// Asks until it has ended.
    async fn imported(&self, order: &ImportOrder) -> ImportReport {
        let mut ended = None;
        eventually(async || match self.import(order).await {
            ArchiveAnswer::Import(report) => {
                ended = Some(report).filter(|report| report.status != ImportStatus::InProgress);
                ended.is_some()
            }
            ArchiveAnswer::Refused { reason: ArchiveRefusal::Failed, .. } => false,
            other => panic!("{other:?}"),
        })
        .await;
        *ended.unwrap()
    }

    async fn listed(
        &self,
        table_arn: Option<&str>,
        below: Option<&str>,
        limit: usize,
    ) -> (Vec<String>, Option<String>) {
        let (table_arn, below) = (table_arn.map(str::to_owned), below.map(str::to_owned));
        match self.service.answer(ArchiveCall::ListImports { table_arn, below, limit }).await {
            ArchiveAnswer::Imports { imports, read_to } => {
                (imports.into_iter().map(|import| import.order.import_id).collect(), read_to)
            }
            other => panic!("{other:?}"),
        }
    }
}

fn line(id: u32, value: u64) -> String {
    format!("{{\"Item\":{{\"Id\":{{\"S\":\"{id}\"}},\"Value\":{{\"S\":\"{value}\"}}}}}}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_of_files_once_and_what_came_of_it_is_known_from_then_on() {
    let beside = Beside::start().await;
    beside.reachable().await;
    beside.put_source("good-1", &(line(1, 10) + &line(2, 20) + "nonsense\n"));
    beside.put_source("good-2", &line(1, 11));
    let asked = order(LATER, 30);
    let report = beside.imported(&asked).await;
    assert_eq!((report.status, report.keeps_table, &report.order), (ImportStatus::Failed, true, &asked));
    assert_eq!(report.failure.as_ref().unwrap().code, "ItemValidationError");
    assert_eq!((report.progress.imported_item_count, report.progress.error_count), (3, 1));
    let log = report.error_log.clone().unwrap();
    let lines = std::fs::read_to_string(log.strip_prefix("file://").unwrap()).unwrap();
    assert!(lines.contains("\"object\":\"good-1\",\"line\":3"), "{lines}");
    let partition = PartitionId([30; 16]);
    assert_eq!((beside.node.value(partition, 1).await, beside.node.value(partition, 2).await), (Some(11), Some(20)));
    assert_eq!(beside.import(&asked).await, ArchiveAnswer::Import(Box::new(report.clone())), "asked again");
    let describe = ArchiveCall::DescribeImport { import_id: LATER.into() };
    assert_eq!(beside.service.answer(describe).await, ArchiveAnswer::Import(Box::new(report)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_fails_says_why_each_time_and_leaves_nothing() {
    let beside = Beside::start().await;
    beside.reachable().await;
    beside.put_source("good", &"{\"Item\":{}}\n".repeat(10_001));
    let elsewhere = |order: ImportOrder| ImportOrder {
        source: ImportSource { bucket: "other".into(), ..order.source.clone() },
        ..order
    };
    let packed = |order: ImportOrder| ImportOrder { compression: ImportCompression::Gzip, ..order };
    for (number, asked, code) in [
        (1, elsewhere(order("99999999999991-00000000", 31)), "S3NoSuchBucket"),
        (2, packed(order("99999999999992-00000000", 32)), "SourceUnreadable"),
        (3, order("99999999999993-00000000", 33), "ItemValidationError"),
    ] {
        let report = beside.imported(&asked).await;
        assert_eq!((report.status, &*report.failure.clone().unwrap().code), (ImportStatus::Failed, code), "{number}");
        assert_eq!(beside.import(&asked).await, ArchiveAnswer::Import(Box::new(report)), "asked again");
    }
    assert!(beside.node.host().replicas().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_interrupted_begins_anew_whatever_it_said_of_itself() {
    let beside = Beside::start().await;
    beside.reachable().await;
    beside.put_source("good", &line(1, 10));
    let first = order(LATER, 30);
    let report = beside.imported(&first).await;
    // As if the node had not come to take the partition, and the source had grown since.
    beside.node.drop_table(PartitionId([30; 16]), first.definition.table_id).await;
    beside.put_source("good-2", &(line(1, 11) + &line(2, 20)));
    let again = ImportOrder { definition: definition("made", 31), ..first.clone() };
    let second = beside.imported(&again).await;
    assert_eq!((report.progress.imported_item_count, second.progress.imported_item_count), (1, 3));
    assert_eq!(beside.node.value(PartitionId([31; 16]), 1).await, Some(11));
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_are_listed_in_pages_the_newest_first() {
    let beside = Beside::start().await;
    beside.reachable().await;
    beside.put_source("good", &line(1, 10));
    let ids: Vec<String> = (1..=3).map(|n| format!("9999999999999{n}-00000000")).collect();
    for (id, number) in ids.iter().zip(31..) {
        beside.imported(&order(id, number)).await;
    }
    let (one, two, three) = (ids[0].clone(), ids[1].clone(), ids[2].clone());
    assert_eq!(beside.listed(None, None, 2).await, (vec![three, two.clone()], Some(two.clone())));
    assert_eq!(beside.listed(None, Some(&two), 2).await, (vec![one], None));
    let of_table = order(&two, 32).table_arn;
    assert_eq!(beside.listed(Some(&of_table), None, 2).await, (vec![two], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_import_of_this_account_is_refused() {
    let beside = Beside::start().await;
    beside.reachable().await;
    let other_account = |order: ImportOrder| {
        let definition = TableDefinition { account: "shop".into(), ..order.definition.clone() };
        ImportOrder { definition, ..order }
    };
    for (asked, told) in [(other_account(order(LATER, 30)), "this archive is of game"), (order("../x", 30), "importId")]
    {
        let (reason, message) = refused(beside.import(&asked).await);
        assert_eq!(reason, ArchiveRefusal::Invalid);
        assert!(message.contains(told), "{message}");
    }
    let unknown = beside.service.answer(ArchiveCall::DescribeImport { import_id: LATER.into() }).await;
    assert_eq!(refused(unknown).0, ArchiveRefusal::NotFound);
}
