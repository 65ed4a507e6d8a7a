//! ListBackups.

use crate::{archive::Manner, setting::Setting};
use cairn_server::router::writes::ApiWrites;
use serde_json::{Value, json};

fn names(page: &Value) -> Vec<&str> {
    page["BackupSummaries"].as_array().unwrap().iter().map(|backup| backup["BackupName"].as_str().unwrap()).collect()
}

async fn two_groups() -> Setting {
    let answers = &[Manner::Answers][..];
    let setting = Setting::of(&[("analytics", answers), ("default", answers)], ApiWrites::Own).await;
    setting.table("users", json!({}), json!({}));
    setting
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backups_of_all_groups_are_listed_a_page_at_a_time_in_the_order_of_their_ids() {
    let setting = two_groups().await;
    let expected: Vec<String> = (0..7).map(|n| format!("backup-{n}")).collect();
    for (n, name) in expected.iter().enumerate() {
        setting.backup(if n % 3 == 0 { "analytics" } else { "default" }, name, n as u64);
    }
    let mut listed = Vec::new();
    let mut start = None;
    loop {
        let mut request = json!({"Limit": 3});
        if let Some(start) = start {
            request["ExclusiveStartBackupArn"] = start;
        }
        let page = setting.caller.ok("ListBackups", request).await;
        listed.extend(names(&page).into_iter().map(str::to_owned));
        start = page.get("LastEvaluatedBackupArn").cloned();
        assert_eq!(start.is_some(), listed.len() < 7);
        if start.is_none() {
            break;
        }
    }
    assert_eq!(listed, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_backups_than_an_archive_lists_at_once_are_all_listed() {
    let setting = two_groups().await;
    for n in 0..250 {
        setting.backup("default", &format!("backup-{n:03}"), n);
    }
    setting.backup("analytics", "backup-xxx", 249);
    let first = setting.caller.ok("ListBackups", json!({})).await;
    assert_eq!((names(&first).len(), names(&first)[99]), (100, "backup-099"));
    let lower = json!({"TimeRangeLowerBound": 1_767_225_600 + 240});
    let last = setting.caller.ok("ListBackups", lower).await;
    assert_eq!((names(&last).len(), names(&last)[0]), (10, "backup-240"), "the one in both is listed once");
    assert_eq!(last.get("LastEvaluatedBackupArn"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_made_is_listed_once_before_and_after_it_is_whole() {
    let setting = two_groups().await;
    setting.backup("analytics", "old", 1);
    setting.asked_for().await;
    let page = setting.caller.ok("ListBackups", json!({"TableName": "users"})).await;
    assert_eq!(names(&page), ["old", "nightly"]);
    assert_eq!(page["BackupSummaries"][1]["BackupStatus"], "CREATING");
    setting.operate();
    let page = setting.caller.ok("ListBackups", json!({"TableName": "users"})).await;
    assert_eq!(names(&page), ["old", "nightly"]);
    assert_eq!(page["BackupSummaries"][1]["BackupStatus"], "AVAILABLE");
    let others = setting.caller.ok("ListBackups", json!({"TableName": "others"})).await;
    assert!(names(&others).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_archives_has_no_backups() {
    let setting = Setting::new(&[]).await;
    assert_eq!(setting.caller.ok("ListBackups", json!({})).await, json!({"BackupSummaries": []}));
}
