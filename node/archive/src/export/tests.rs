//! Who knows what of exports, and who makes them.

use super::{AttemptEnd, EXPORTS_KEPT_MS, ExportRecords, Maker, target_fault};
use crate::{ArchiveConfig, ArchiveError, Bucket};
use bytes::Bytes;
use cairn_model::{
    export::{ExportFormat, ExportRecord, ExportScope, ExportState},
    ids::TableId,
};
use object_store::{memory::InMemory, path::Path};
use std::sync::Arc;

const HOUR_MS: u64 = 3_600_000;

fn records() -> ExportRecords {
    ExportRecords::new(Bucket::over(Arc::new(InMemory::new())), "east", "game")
}

fn record(start_time_ms: u64, random: u32) -> ExportRecord {
    let export_id = format!("{start_time_ms:014}-{random:08x}");
    ExportRecord {
        arn: format!("arn:{export_id}"),
        export_id,
        table_arn: "table".into(),
        table_id: TableId([1; 16]),
        scope: ExportScope::FullExport { time_ms: start_time_ms },
        format: ExportFormat::DynamodbJson,
        until_request: true,
        client_token: None,
        s3_bucket: "exports".into(),
        s3_prefix: None,
        encryption: None,
        filter: None,
        start_time_ms,
        state: ExportState::InProgress,
    }
}

fn failed(record: &ExportRecord, code: &str) -> ExportRecord {
    let state = ExportState::Failed { end_time_ms: 9, code: code.into(), message: String::new() };
    ExportRecord { state, ..record.clone() }
}

fn maker(name: &str, instance: &str) -> Maker {
    Maker { name: name.into(), instance: instance.into() }
}

#[tokio::test]
async fn an_export_ends_once_whoever_says_so_first() {
    let (records, export) = (records(), record(5, 1));
    records.begin(&export).await.unwrap();
    // Asked again, it is the same.
    records.begin(&export).await.unwrap();
    let error = records.begin(&ExportRecord { s3_bucket: "other".into(), ..export.clone() }).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Exists { .. }), "{error}");
    assert_eq!(records.get(&export.export_id).await.unwrap(), export);
    assert_eq!(records.open().await.unwrap().len(), 1);
    records.end(&failed(&export, "first")).await.unwrap();
    records.end(&failed(&export, "second")).await.unwrap();
    assert_eq!(records.get(&export.export_id).await.unwrap(), failed(&export, "first"));
    assert_eq!(records.open().await.unwrap().len(), 0);
    assert!(matches!(records.get("none").await, Err(ArchiveError::NotFound { .. })));
}

#[tokio::test]
async fn exports_are_listed_from_the_newest_a_page_at_a_time() {
    let records = records();
    let exports: Vec<ExportRecord> = (1..=5).map(|n| record(n * HOUR_MS, 1)).collect();
    for export in &exports {
        records.begin(export).await.unwrap();
    }
    records.end(&failed(&exports[3], "it failed")).await.unwrap();
    let page = async |from, before, limit| records.page(from, before, limit, |_| true).await.unwrap();
    let (first, more) = page(0, None, 2).await;
    assert_eq!((first, more), (vec![exports[4].clone(), failed(&exports[3], "it failed")], true));
    let (rest, more) = page(0, Some(exports[3].export_id.as_str()), 3).await;
    assert_eq!((rest.len(), more), (3, false));
    assert_eq!(page(5 * HOUR_MS, None, 9).await.0, [exports[4].clone()]);
    let (one, _) = records.page(0, None, 9, |record| record.start_time_ms == HOUR_MS).await.unwrap();
    assert_eq!(one, [exports[0].clone()]);
}

#[tokio::test]
async fn only_objects_of_the_folder_itself_that_are_named_for_an_export_are_taken_for_one() {
    let (records, export) = (records(), record(5, 1));
    records.begin(&export).await.unwrap();
    let id = &export.export_id;
    for path in [format!("{id}/AWSDynamoDB/{id}.json"), "manifest-files.json".to_owned(), format!("{id}x.json")] {
        let path = records.folder.clone().parts().chain(Path::from(path).parts()).collect();
        records.bucket.put(&path, Bytes::new()).await.unwrap();
    }
    let listed = async || records.page(0, None, 9, |_| true).await.unwrap().0;
    assert_eq!(listed().await, std::slice::from_ref(&export));
    records.sweep(EXPORTS_KEPT_MS + HOUR_MS).await.unwrap();
    assert_eq!(listed().await, []);
    assert!(records.open().await.unwrap().is_empty());
    assert_eq!(records.bucket.list(&records.folder, None).await.unwrap().len(), 3);
}

#[test]
fn an_export_is_written_anywhere_but_among_the_archives_own_files() {
    let fault = |url: &str, bucket: &str, prefix: &str| {
        let config = ArchiveConfig { url: url.into(), ..Default::default() };
        target_fault(&config, "east", bucket, Some(prefix)).is_some()
    };
    for (url, bucket, prefix) in [
        ("s3://tables", "tables", "east/other/exports"),
        ("s3://tables/cairn/", "tables", "/cairn/east/"),
        ("s3://tables/cairn", "tables", "cairn/east/local/exports"),
        // It would hold the archive.
        ("s3://tables/some/AWSDynamoDB", "tables", "some"),
        ("s3://tables/cairn", "tables", "a//b"),
    ] {
        assert!(fault(url, bucket, prefix), "{url} {bucket} {prefix}");
    }
    for (url, bucket, prefix) in [
        ("s3://tables/cairn", "tables", "cairn/exported"),
        ("s3://tables/cairn", "tables", "cairn"),
        ("s3://tables/cairn", "tables", ""),
        ("s3://tables/cairn", "tables", "cairn/eastern"),
        ("s3://tables/cairn", "others", "cairn/east"),
        ("file:///archive", "exports", "east/local"),
    ] {
        assert!(!fault(url, bucket, prefix), "{url} {bucket} {prefix}");
    }
}

#[tokio::test]
async fn a_token_stands_for_one_export_for_eight_hours_however_many_ask_at_once() {
    let records = records();
    let under = |start_ms, random| ExportRecord { client_token: Some("once/$".into()), ..record(start_ms, random) };
    let asked: Vec<ExportRecord> = (0..8).map(|random| under(HOUR_MS, random)).collect();
    let given = futures::future::try_join_all(asked.iter().map(|export| records.take_token(export))).await.unwrap();
    assert!(given.iter().all(|export| *export == given[0]) && asked.contains(&given[0]));
    assert_eq!(records.under_token("once/$", 9 * HOUR_MS - 1).await.unwrap(), Some(given[0].clone()));
    assert_eq!(records.under_token("once/$", 9 * HOUR_MS).await.unwrap(), None);
    assert_eq!(records.under_token("other", HOUR_MS).await.unwrap(), None);
    let later = under(9 * HOUR_MS, 1);
    assert_eq!(records.take_token(&later).await.unwrap(), later);
    assert_eq!(records.under_token("once/$", 9 * HOUR_MS).await.unwrap(), Some(later));
    let unnamed = record(HOUR_MS, 1);
    assert_eq!(records.take_token(&unnamed).await.unwrap(), unnamed);
}

#[tokio::test]
async fn one_alone_makes_an_attempt_and_learns_that_another_took_it_up() {
    let (records, export) = (records(), record(5, 1));
    let id = &export.export_id;
    records.begin(&export).await.unwrap();
    let (one, other) = (maker("node-0", "a"), maker("node-1", "b"));
    let mut attempt = records.attempt(id, 1, &one).await.unwrap().unwrap();
    assert!(records.attempt(id, 1, &other).await.unwrap().is_none());
    let mark = async || records.open().await.unwrap()[id].clone().unwrap();
    let before = mark().await;
    assert!(attempt.renew().await.unwrap());
    assert_eq!(mark().await.0, 1);
    assert_ne!(mark().await, before, "a sign of life is seen");
    let mut next = records.attempt(id, 2, &other).await.unwrap().unwrap();
    assert!(!attempt.renew().await.unwrap());
    assert!(next.renew().await.unwrap());
    assert_eq!((mark().await.0, next.number), (2, 2));
}

#[tokio::test]
async fn what_one_has_an_outcome_of_nobody_begins_anew_and_whoever_finds_it_notes_it() {
    let (records, export) = (records(), record(5, 1));
    let (id, other) = (&export.export_id, maker("node-1", "b"));
    records.begin(&export).await.unwrap();
    let attempt = records.attempt(id, 1, &maker("node-0", "a")).await.unwrap().unwrap();
    let outcome = failed(&export, "it failed");
    assert!(attempt.conclude(&outcome).await.unwrap());
    assert!(attempt.conclude(&outcome).await.unwrap(), "as it is again when the answer was lost");
    assert!(records.attempt(id, 2, &other).await.unwrap().is_none());
    assert_eq!(records.open().await.unwrap()[id].clone().unwrap().0, 2);
    let found = records.end_of_attempt(id, 2, &other).await.unwrap();
    assert_eq!(found, Some(AttemptEnd::Outcome(Box::new(outcome.clone()))));
    records.end(&outcome).await.unwrap();
    assert!(records.open().await.unwrap().is_empty());
    assert_eq!(records.get(id).await.unwrap(), outcome);
}

#[tokio::test]
async fn of_an_attempt_that_was_overtaken_nothing_counts() {
    let (records, export) = (records(), record(5, 1));
    let id = &export.export_id;
    records.begin(&export).await.unwrap();
    let attempt = records.attempt(id, 1, &maker("node-0", "a")).await.unwrap().unwrap();
    let next = records.attempt(id, 2, &maker("node-1", "b")).await.unwrap().unwrap();
    assert!(!attempt.conclude(&failed(&export, "of the first")).await.unwrap());
    assert!(next.conclude(&failed(&export, "of the second")).await.unwrap());
}

#[tokio::test]
async fn an_export_that_was_asked_for_and_not_told_of_is_once_it_is_taken_up() {
    let (records, export) = (records(), record(5, 1));
    let id = &export.export_id;
    records.begin(&export).await.unwrap();
    records.bucket.delete(&Path::from(format!("{}/{id}.json", records.folder))).await.unwrap();
    assert!(matches!(records.get(id).await, Err(ArchiveError::NotFound { .. })));
    assert_eq!(records.begun(id).await.unwrap(), Some(export.clone()));
    assert_eq!(records.get(id).await.unwrap(), export);
    assert_eq!(records.begun(&record(6, 2).export_id).await.unwrap(), None);
}

#[tokio::test]
async fn a_sign_of_life_after_the_end_opens_nothing() {
    let (records, export) = (records(), record(5, 1));
    records.begin(&export).await.unwrap();
    let mut attempt = records.attempt(&export.export_id, 1, &maker("node-0", "a")).await.unwrap().unwrap();
    records.end(&failed(&export, "it failed")).await.unwrap();
    attempt.renew().await.unwrap();
    assert!(records.open().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_attempt_is_over_when_it_is_given_up_or_its_maker_was_started_anew() {
    let (records, id) = (records(), record(5, 1).export_id);
    let attempt = records.attempt(&id, 1, &maker("node-0", "a")).await.unwrap().unwrap();
    let end = async |name, instance| records.end_of_attempt(&id, 1, &maker(name, instance)).await.unwrap();
    assert_eq!(end("node-1", "b").await, None);
    assert_eq!(end("node-0", "a").await, None);
    let failed = |reason: &str, by_us| Some(AttemptEnd::GivenUp { reason: reason.into(), by_us });
    assert_eq!(end("node-0", "c").await, failed("node-0 was started anew", false));
    attempt.give_up("it was stopped".into()).await.unwrap();
    assert_eq!(end("node-1", "b").await, failed("it was stopped", false));
    assert_eq!(end("node-0", "a").await, failed("it was stopped", true));
}
