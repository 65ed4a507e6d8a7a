//! `ExportDescription`: what ExportTableToPointInTime and DescribeExport answer; `ExportSummary`, of ListExports.

use crate::{
    exports::{ExportDescription, ExportEncryption, ExportFilter, ExportFormat, ExportScope, ExportStatus, ExportView},
    output::Object,
};
use cairn_model::json;

pub(super) fn answer(export: &ExportDescription) -> Vec<u8> {
    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    write_description(export, answer.object("ExportDescription"));
    answer.end();
    out
}

pub(super) fn write_summary(export: &ExportDescription, out: &mut Vec<u8>) {
    let mut summary = Object::begin(out);
    write_common(export, &mut summary);
    summary.end();
}

fn write_common(export: &ExportDescription, object: &mut Object<'_>) {
    object.text("ExportArn", &export.arn);
    object.text("ExportStatus", status(export.status));
    object.text("ExportType", export_type(export.request.scope));
}

fn write_description(export: &ExportDescription, mut description: Object<'_>) {
    write_common(export, &mut description);
    description.timestamp("StartTime", export.start_time_ms);
    if let Some(millis) = export.end_time_ms {
        description.timestamp("EndTime", millis);
    }
    description.text("TableArn", &export.table_arn);
    description.text("TableId", &export.table_id.to_string());
    match export.request.scope {
        ExportScope::Full { time_ms } => {
            if let Some(millis) = time_ms {
                description.timestamp("ExportTime", millis);
            }
        }
        ExportScope::Incremental { from_ms, to_ms, view } => {
            let mut incremental = description.object("IncrementalExportSpecification");
            incremental.timestamp("ExportFromTime", from_ms);
            if let Some(millis) = to_ms {
                incremental.timestamp("ExportToTime", millis);
            }
            incremental.text("ExportViewType", export_view(view));
            incremental.end();
        }
    }
    if let Some(filter) = &export.request.filter {
        write_filter(filter, description.object("FilterSpecification"));
    }
    let (algorithm, key_id) = match &export.request.encryption {
        Some(ExportEncryption::Aes256) => (Some("AES256"), None),
        Some(ExportEncryption::Kms { key_id }) => (Some("KMS"), key_id.as_deref()),
        None => (None, None),
    };
    let texts = [
        ("ClientToken", export.request.client_token.as_deref()),
        ("S3Bucket", Some(export.request.s3_bucket.as_str())),
        ("S3Prefix", export.request.s3_prefix.as_deref()),
        ("S3SseAlgorithm", algorithm),
        ("S3SseKmsKeyId", key_id),
        ("ExportFormat", Some(export_format(export.request.format))),
        ("ExportManifest", export.manifest.as_deref()),
        ("FailureCode", export.failure.as_ref().map(|failure| failure.code.as_str())),
        ("FailureMessage", export.failure.as_ref().map(|failure| failure.message.as_str())),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            description.text(name, text);
        }
    }
    for (name, number) in [("BilledSizeBytes", export.billed_size_bytes), ("ItemCount", export.item_count)] {
        if let Some(number) = number {
            description.literal(name, number);
        }
    }
    description.end();
}

fn write_filter(filter: &ExportFilter, mut object: Object<'_>) {
    let texts = [
        ("FilterExpression", &filter.filter_expression),
        ("ProjectionExpression", &filter.projection_expression),
        ("KeyConditionExpression", &filter.key_condition_expression),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            object.text(name, text);
        }
    }
    if let Some(names) = &filter.expression_attribute_names {
        let mut written = object.object("ExpressionAttributeNames");
        names.iter().for_each(|(placeholder, name)| json::write_string(name, written.escaped_field(placeholder)));
        written.end();
    }
    if let Some(values) = &filter.expression_attribute_values {
        object.field("ExpressionAttributeValues").extend_from_slice(values.to_string().as_bytes());
    }
    object.end();
}

fn status(status: ExportStatus) -> &'static str {
    match status {
        ExportStatus::InProgress => "IN_PROGRESS",
        ExportStatus::Completed => "COMPLETED",
        ExportStatus::Failed => "FAILED",
    }
}

fn export_type(scope: ExportScope) -> &'static str {
    match scope {
        ExportScope::Full { .. } => "FULL_EXPORT",
        ExportScope::Incremental { .. } => "INCREMENTAL_EXPORT",
    }
}

fn export_format(format: ExportFormat) -> &'static str {
    match format {
        ExportFormat::DynamoDbJson => "DYNAMODB_JSON",
        ExportFormat::Ion => "ION",
    }
}

fn export_view(view: ExportView) -> &'static str {
    match view {
        ExportView::NewImage => "NEW_IMAGE",
        ExportView::NewAndOldImages => "NEW_AND_OLD_IMAGES",
    }
}
