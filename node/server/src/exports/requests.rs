//! From what is asked for to the record of an export, and back.

use crate::environment;
use cairn_api::{
    TableView,
    arn::{ExportArn, TableArn, backup_id},
    backups::RestorableWindow,
    errors,
    exports::{ExportEncryption, ExportFormat, ExportRequest, ExportScope, ExportView},
};
use cairn_model::{
    ServiceError,
    export::{self as model, ExportRecord, ExportState},
};

/// The record of what is asked for now.
pub(super) fn new_record(
    region: &str,
    table: &TableView,
    request: ExportRequest,
    window: RestorableWindow,
) -> Result<ExportRecord, ServiceError> {
    let (definition, now_ms) = (&table.definition, environment::wall_ms());
    let export_id = backup_id(now_ms, uuid::Uuid::new_v4().as_fields().0);
    let table_arn = TableArn { region, account: &definition.account, table_name: &definition.table_name };
    let (scope, until_request) = scope_at(request.scope, window, now_ms)?;
    Ok(ExportRecord {
        arn: ExportArn { table: table_arn, export_id: &export_id }.to_string(),
        export_id,
        table_arn: table_arn.to_string(),
        table_id: definition.table_id,
        scope,
        format: match request.format {
            ExportFormat::DynamoDbJson => model::ExportFormat::DynamodbJson,
            ExportFormat::Ion => model::ExportFormat::Ion,
        },
        until_request,
        client_token: request.client_token,
        s3_bucket: request.s3_bucket,
        s3_prefix: request.s3_prefix,
        encryption: request.encryption.map(|encryption| match encryption {
            ExportEncryption::Aes256 => model::ExportEncryption::Aes256,
            ExportEncryption::Kms { key_id } => model::ExportEncryption::Kms { key_id },
        }),
        filter: request.filter,
        start_time_ms: now_ms,
        state: ExportState::InProgress,
    })
}

/// A scope with every time, and whether the last of them is that of the request.
fn scope_at(
    scope: ExportScope,
    window: RestorableWindow,
    now_ms: u64,
) -> Result<(model::ExportScope, bool), ServiceError> {
    // What the archive does not have yet is waited for.
    let window = RestorableWindow { latest_ms: now_ms.max(window.latest_ms), ..window };
    let check = |time_ms: u64, window: RestorableWindow| {
        if window.contains(time_ms) { Ok(time_ms) } else { Err(errors::invalid_export_time(time_ms, window)) }
    };
    Ok(match scope {
        ExportScope::Full { time_ms } => {
            let scope = model::ExportScope::FullExport { time_ms: check(time_ms.unwrap_or(now_ms), window)? };
            (scope, time_ms.is_none())
        }
        ExportScope::Incremental { from_ms, to_ms, view } => {
            // It begins with what was there a moment before, and ends before a moment that may be the next.
            let from = RestorableWindow { earliest_ms: window.earliest_ms + 1, ..window };
            let to = RestorableWindow { earliest_ms: from_ms + 1, latest_ms: window.latest_ms + 1 };
            let from_ms = check(from_ms, from)?;
            let scope = model::ExportScope::IncrementalExport {
                from_ms,
                to_ms: check(to_ms.unwrap_or(now_ms + 1), to)?,
                view: match view {
                    ExportView::NewImage => model::ExportView::NewImage,
                    ExportView::NewAndOldImages => model::ExportView::NewAndOldImages,
                },
            };
            (scope, to_ms.is_none())
        }
    })
}

/// The scope of a record, with every time.
pub(super) fn scope(record: &ExportRecord) -> ExportScope {
    match record.scope {
        model::ExportScope::FullExport { time_ms } => ExportScope::Full { time_ms: Some(time_ms) },
        model::ExportScope::IncrementalExport { from_ms, to_ms, view } => ExportScope::Incremental {
            from_ms,
            to_ms: Some(to_ms),
            view: match view {
                model::ExportView::NewImage => ExportView::NewImage,
                model::ExportView::NewAndOldImages => ExportView::NewAndOldImages,
            },
        },
    }
}

/// The request that a record is of.
pub(super) fn asked(record: &ExportRecord) -> ExportRequest {
    let scope = match scope(record) {
        ExportScope::Full { .. } if record.until_request => ExportScope::Full { time_ms: None },
        ExportScope::Incremental { from_ms, view, .. } if record.until_request => {
            ExportScope::Incremental { from_ms, to_ms: None, view }
        }
        scope => scope,
    };
    ExportRequest {
        scope,
        format: match record.format {
            model::ExportFormat::DynamodbJson => ExportFormat::DynamoDbJson,
            model::ExportFormat::Ion => ExportFormat::Ion,
        },
        client_token: record.client_token.clone(),
        s3_bucket: record.s3_bucket.clone(),
        s3_prefix: record.s3_prefix.clone(),
        encryption: record.encryption.as_ref().map(|encryption| match encryption {
            model::ExportEncryption::Aes256 => ExportEncryption::Aes256,
            model::ExportEncryption::Kms { key_id } => ExportEncryption::Kms { key_id: key_id.clone() },
        }),
        filter: record.filter.clone(),
    }
}
