//! Every CEL rule of a Backup, with manifests it lets through and manifests it refuses.

#![allow(clippy::unwrap_used)]

mod support;

use support::{errors, schema};

const ARN: &str = "arn:aws:dynamodb:east:game:table/users/backup/01700000000000-abcdef12";

fn backup(spec: &str) -> String {
    format!("{{metadata: {{name: nightly}}, spec: {{deletionPolicy: Retain, {spec}}}}}")
}

fn adopted(arn: &str) -> String {
    backup(&format!("fromArchive: {{backupArn: '{arn}'}}"))
}

fn check(older: Option<&str>, manifest: &str, told: Option<&str>) {
    let errors = errors(&schema("backups"), manifest, older);
    match told {
        None => assert!(errors.is_empty(), "{manifest}: {errors:?}"),
        Some(told) => assert!(errors.iter().any(|error| error.contains(told)), "{manifest}: {errors:?}"),
    }
}

#[test]
fn a_backup_is_of_a_table_or_from_the_archive() {
    check(None, &backup("tableName: users"), None);
    check(None, &adopted(ARN), None);
    check(None, &backup(""), Some("either tableName"));
    check(None, &backup(&format!("tableName: users, fromArchive: {{backupArn: '{ARN}'}}")), Some("either tableName"));
}

#[test]
fn what_is_in_the_archive_has_a_name_and_an_end() {
    check(None, &backup("tableName: users, backupName: weekly, retainDays: 7"), None);
    let with = |field: &str| backup(&format!("fromArchive: {{backupArn: '{ARN}'}}, {field}"));
    check(None, &with("backupName: weekly"), Some("backupName can't be given"));
    check(None, &with("retainDays: 7"), Some("retainDays can't be given"));
    check(None, &with("storageGroup: analytics"), None);
}

#[test]
fn an_arn_is_that_of_a_backup() {
    for (part, other) in [
        ("dynamodb", "s3"),
        ("table/users", "table/us"),
        ("backup", "export"),
        ("01700000000000", "1700000000000"),
        ("abcdef12", "ABCDEF12"),
        ("east", "../east"),
    ] {
        check(None, &adopted(&ARN.replace(part, other)), Some("backupArn has the form"));
    }
}

#[test]
fn nothing_but_the_deletion_policy_changes() {
    let made = |more: &str| backup(&format!("tableName: users{more}"));
    for (older, newer, told) in [
        (made(""), backup("tableName: scores"), "tableName can't change"),
        (made(""), made(", backupName: other"), "backupName can't change"),
        (made(", backupName: other"), made(""), "backupName can't change"),
        (made(", retainDays: 7"), made(", retainDays: 8"), "retainDays can't change"),
        (made(""), made(", retainDays: 8"), "retainDays can't change"),
        (adopted(ARN), adopted(&ARN.replace("users", "scores")), "fromArchive can't change"),
        (adopted(ARN), made(""), "fromArchive can't change"),
        (made(""), made(", storageGroup: analytics"), "storageGroup can't change"),
    ] {
        check(Some(&older), &newer, Some(told));
    }
    check(Some(&made("")), &made("").replace("Retain", "Delete"), None);
}

#[test]
fn a_short_resource_name_needs_a_backup_name() {
    let named = |spec: &str| backup(spec).replace("nightly", "ab");
    check(None, &named("tableName: users"), Some("at least 3 characters"));
    check(None, &named("tableName: users, backupName: abc"), None);
    check(None, &named(&format!("fromArchive: {{backupArn: '{ARN}'}}")), None);
}

#[test]
fn the_arn_is_frozen_once_set() {
    let with_arn = |arn: &str| {
        format!("{{metadata: {{name: nightly}}, spec: {{tableName: users}}, status: {{backupArn: '{arn}'}}}}")
    };
    check(Some(&backup("tableName: users")), &with_arn("a"), None);
    check(Some(&with_arn("a")), &with_arn("a"), None);
    check(Some(&with_arn("a")), &with_arn("b"), Some("written once"));
    check(Some(&with_arn("a")), "{metadata: {name: nightly}, spec: {tableName: users}}", Some("written once"));
}
