//! Backups for the tests.

use cairn_crds::Backup;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

fn backup(spec: &Value) -> Backup {
    let mut backup: Backup = serde_json::from_value(json!({
        "apiVersion": "cairn.dev/v1alpha1", "kind": "Backup", "spec": spec,
        "metadata": {"name": "nightly", "namespace": "game", "uid": "abcdef12-3456-7890-abcd-ef1234567890"},
    }))
    .unwrap();
    backup.metadata.creation_timestamp = Some(Time(jiff::Timestamp::from_millisecond(1_700_000_000_000).unwrap()));
    backup
}

pub(crate) fn of_users(retain_days: Option<i64>) -> Backup {
    backup(&json!({"tableName": "users", "retainDays": retain_days}))
}

pub(crate) fn adopted(arn: &str) -> Backup {
    backup(&json!({"fromArchive": {"backupArn": arn}}))
}
