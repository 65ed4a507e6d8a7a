//! An export as DynamoDB's API shows it.

use super::requests::{asked, scope};
use cairn_api::exports::{ExportDescription, ExportFailure, ExportRequest, ExportStatus};
use cairn_model::export::{ExportRecord, ExportState};

pub(super) fn describe(record: ExportRecord) -> ExportDescription {
    let request = ExportRequest { scope: scope(&record), ..asked(&record) };
    let mut description = ExportDescription {
        arn: record.arn,
        status: ExportStatus::InProgress,
        start_time_ms: record.start_time_ms,
        end_time_ms: None,
        table_arn: record.table_arn,
        table_id: record.table_id,
        request,
        manifest: None,
        billed_size_bytes: None,
        item_count: None,
        failure: None,
    };
    match record.state {
        ExportState::InProgress => {}
        ExportState::Completed { end_time_ms, manifest, billed_size_bytes, item_count } => {
            description.status = ExportStatus::Completed;
            description.end_time_ms = Some(end_time_ms);
            description.manifest = Some(manifest);
            description.billed_size_bytes = Some(billed_size_bytes);
            description.item_count = Some(item_count);
        }
        ExportState::Failed { end_time_ms, code, message } => {
            description.status = ExportStatus::Failed;
            description.end_time_ms = Some(end_time_ms);
            description.failure = Some(ExportFailure { code, message });
        }
    }
    description
}
