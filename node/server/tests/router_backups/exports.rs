//! The operations on exports.

use crate::{
    archive::{Manner, past},
    setting::Setting,
};
use cairn_model::{archive::ArchiveCall, export::ExportState};
use cairn_server::router::writes::ApiWrites;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const ARN: &str = "arn:aws:dynamodb:east:game:table/users";

#[allow(clippy::disallowed_methods)] // a client's own clock
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn request(more: Value) -> Value {
    let mut request = json!({"TableArn": ARN, "S3Bucket": "exports"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

impl Setting {
    /// The table `users` in a group, with recovery on for two days.
    fn recoverable(&self, group: &str) {
        let spec = json!({"storageGroup": group, "continuousBackups": {"pointInTimeRecoveryEnabled": true}});
        let table_id = self.table("users", spec, json!({"continuousBackups": {"enabledAt": "2026-01-01T00:00:00Z"}}));
        let window = (now_ms() - 2 * 86_400_000, now_ms() - 5_000);
        self.bucket(group).lock().pasts.push(past(table_id, "users", &[window]));
    }

    async fn export(&self, more: Value) -> Value {
        self.caller.ok("ExportTableToPointInTime", request(more)).await["ExportDescription"].clone()
    }
}

async fn with_users() -> Setting {
    let setting = Setting::new(&[Manner::Answers, Manner::Answers]).await;
    setting.recoverable("default");
    setting
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_begun_by_an_archive_and_told_of_as_it_is_there() {
    let setting = with_users().await;
    let begun = setting.export(json!({"S3Prefix": "some", "ExportFormat": "ION"})).await;
    assert_eq!((&begun["ExportStatus"], &begun["ExportType"]), (&json!("IN_PROGRESS"), &json!("FULL_EXPORT")));
    assert_eq!((&begun["ExportFormat"], &begun["S3Prefix"]), (&json!("ION"), &json!("some")));
    assert_eq!(begun["ExportTime"], begun["StartTime"], "it is that of the request");
    let arn = begun["ExportArn"].as_str().unwrap();
    assert!(arn.starts_with(&format!("{ARN}/export/")), "{arn}");
    for export in setting.bucket("default").lock().exports.values_mut() {
        let manifest = "some/AWSDynamoDB/1/manifest-summary.json".to_owned();
        export.state = ExportState::Completed { end_time_ms: 5, manifest, billed_size_bytes: 9, item_count: 8 };
    }
    let described = setting.caller.ok("DescribeExport", json!({"ExportArn": arn})).await["ExportDescription"].clone();
    assert_eq!((&described["ExportStatus"], &described["ItemCount"]), (&json!("COMPLETED"), &json!(8)));
    let summary = json!({"ExportArn": arn, "ExportStatus": "COMPLETED", "ExportType": "FULL_EXPORT"});
    assert_eq!(setting.caller.ok("ListExports", json!({})).await, json!({"ExportSummaries": [summary]}));
    let other = arn.replace("/users/", "/others/");
    assert_eq!(setting.refused("DescribeExport", json!({"ExportArn": other})).await, "ExportNotFoundException");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_stands_for_the_export_that_it_began() {
    let setting = with_users().await;
    let first = setting.export(json!({"ClientToken": "once"})).await;
    let again = setting.export(json!({"ClientToken": "once"})).await;
    assert_eq!(first, again);
    for other in [
        json!({"ClientToken": "once", "S3Prefix": "other"}),
        json!({"ClientToken": "once", "S3SseAlgorithm": "AES256"}),
    ] {
        let (_, name, text) = setting.error("ExportTableToPointInTime", request(other)).await;
        assert_eq!(name, "ExportConflictException");
        assert_eq!(text, "Export conflict: Duplicate request detected with conflicting parameters");
    }
    assert_eq!(setting.bucket("default").lock().exports.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_exported_is_refused_as_dynamodb_does() {
    let setting = with_users().await;
    let now = now_ms() / 1_000;
    let day = 86_400;
    let incremental = |from: u64, to: u64| {
        let specification = json!({"ExportFromTime": from, "ExportToTime": to});
        json!({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": specification})
    };
    for more in [
        json!({"ExportTime": now + 60}),
        json!({"ExportTime": now - 3 * day}),
        incremental(now - 3 * day, now - 3 * day + 3_600),
        incremental(now - 60, now),
        incremental(now - 2 * day + 60, now),
    ] {
        let refused = setting.refused("ExportTableToPointInTime", request(more)).await;
        assert_eq!(refused, "InvalidExportTimeException");
    }
    let export = setting.export(incremental(now - 3_600, now)).await;
    assert_eq!(export["IncrementalExportSpecification"]["ExportViewType"], "NEW_AND_OLD_IMAGES");
    setting.bucket("default").lock().is_full = true;
    let (_, name, text) = setting.error("ExportTableToPointInTime", request(json!({}))).await;
    assert_eq!(name, "LimitExceededException");
    assert!(text.contains("300"), "{text}");
    setting.bucket("default").lock().pasts.clear();
    let refused = setting.refused("ExportTableToPointInTime", request(json!({}))).await;
    assert_eq!(refused, "PointInTimeRecoveryUnavailableException");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_silent_or_cut_off_leads_to_one_export_all_the_same() {
    let setting = Setting::new(&[Manner::Silent, Manner::Cut, Manner::Answers]).await;
    setting.recoverable("default");
    let export = setting.export(json!({})).await;
    let exports = setting.bucket("default").lock().exports.clone();
    assert_eq!(exports.len(), 1, "both that it reached were asked for the same");
    assert_eq!(exports.values().next().unwrap().arn, export["ExportArn"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exports_of_all_groups_are_listed_from_the_newest_each_once() {
    let groups: &[(&str, &[Manner])] = &[("default", &[Manner::Answers]), ("analytics", &[Manner::Answers])];
    let setting = Setting::of(groups, ApiWrites::Own).await;
    setting.recoverable("analytics");
    let mut arns = Vec::new();
    for _ in 0..4 {
        arns.push(setting.export(json!({})).await["ExportArn"].clone());
        // Their ids begin with the millisecond.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    arns.reverse();
    assert!(setting.archives[0].calls.lock().iter().all(|call| !matches!(call, ArchiveCall::BeginExport { .. })));
    // One is in both buckets, one in the other alone.
    let mut all = setting.bucket("analytics").lock().exports.clone();
    let (last, export) = all.pop_last().unwrap();
    setting.bucket("analytics").lock().exports.remove(&last);
    let (shared, copy) = all.pop_last().unwrap();
    setting.bucket("default").lock().exports.extend([(last, export), (shared, copy)]);
    let (mut listed, mut body) = (Vec::new(), json!({"MaxResults": 3}));
    loop {
        let page = setting.caller.ok("ListExports", body.clone()).await;
        listed.extend(page["ExportSummaries"].as_array().unwrap().iter().map(|summary| summary["ExportArn"].clone()));
        let Some(token) = page.get("NextToken") else { break };
        body["NextToken"] = token.clone();
    }
    assert_eq!(listed, arns);
    for arn in arns {
        setting.caller.ok("DescribeExport", json!({"ExportArn": arn})).await;
    }
    assert_eq!(
        setting.caller.ok("ListExports", json!({"TableArn": format!("{ARN}2")})).await["ExportSummaries"],
        json!([])
    );
}
