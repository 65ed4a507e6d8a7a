//! `BackupDescription` and its parts: the same in the answers of all the operations on backups.

use super::{
    index_description,
    table_description::write_key_schema,
    time_to_live::{Status, write_time_to_live},
};
use crate::{
    backups::{BackupDescription, BackupDetails, BackupState, BackupSummary, BackupType},
    output::Object,
};
use cairn_model::table::{BillingMode, ProvisionedThroughput};

/// Writes the answer of an operation that returns nothing but a backup's description.
pub(super) fn answer(backup: &BackupDescription) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    let mut answer = Object::begin(&mut out);
    let mut description = answer.object("BackupDescription");
    let mut details = description.object("BackupDetails");
    write_details(&backup.details, &mut details);
    details.end();
    write_source_table(backup, description.object("SourceTableDetails"));
    let mut features = description.object("SourceTableFeatureDetails");
    index_description::write_infos(&backup.table, &mut features);
    if let Some(time_to_live) = &backup.table.time_to_live {
        write_time_to_live(Status::Enabled, Some(&time_to_live.attribute_name), &mut features);
    }
    features.end();
    description.end();
    answer.end();
    out
}

/// The fields of `BackupDetails`.
pub(super) fn write_details(details: &BackupDetails, object: &mut Object<'_>) {
    object.text("BackupArn", &details.arn);
    object.text("BackupName", &details.name);
    object.literal("BackupSizeBytes", details.size_bytes);
    object.text("BackupStatus", status(details.status));
    object.text("BackupType", backup_type(details.backup_type));
    object.timestamp("BackupCreationDateTime", details.creation_time_ms);
    if let Some(expiry_time_ms) = details.expiry_time_ms {
        object.timestamp("BackupExpiryDateTime", expiry_time_ms);
    }
}

/// `BackupSummary`.
pub(super) fn write_summary(backup: &BackupSummary, out: &mut Vec<u8>) {
    let mut summary = Object::begin(out);
    summary.text("TableName", &backup.table_name);
    summary.text("TableId", &backup.table_id.to_string());
    summary.text("TableArn", &backup.table_arn);
    write_details(&backup.details, &mut summary);
    summary.end();
}

fn write_source_table(backup: &BackupDescription, mut details: Object<'_>) {
    let table = &backup.table;
    details.text("TableName", &table.table_name);
    details.text("TableId", &table.table_id.to_string());
    details.text("TableArn", &backup.table_arn);
    details.literal("TableSizeBytes", backup.table_size_bytes);
    write_key_schema(table.key_schema.keys(), &mut details);
    details.timestamp("TableCreationDateTime", table.creation_time_ms);
    let throughput = table
        .provisioned_throughput
        .unwrap_or(ProvisionedThroughput { read_capacity_units: 0, write_capacity_units: 0 });
    let mut provisioned = details.object("ProvisionedThroughput");
    provisioned.literal("ReadCapacityUnits", throughput.read_capacity_units);
    provisioned.literal("WriteCapacityUnits", throughput.write_capacity_units);
    provisioned.end();
    details.literal("ItemCount", backup.item_count);
    details.text(
        "BillingMode",
        match table.billing_mode {
            BillingMode::Provisioned => "PROVISIONED",
            BillingMode::PayPerRequest => "PAY_PER_REQUEST",
        },
    );
    details.end();
}

fn status(status: BackupState) -> &'static str {
    match status {
        BackupState::Creating => "CREATING",
        BackupState::Available => "AVAILABLE",
        BackupState::Deleted => "DELETED",
    }
}

fn backup_type(backup_type: BackupType) -> &'static str {
    match backup_type {
        BackupType::User => "USER",
        BackupType::System => "SYSTEM",
    }
}
