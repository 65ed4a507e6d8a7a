//! `ImportTableDescription`: what ImportTable and DescribeImport answer; `ImportSummary`, of ListImports.

use super::{
    index_description::write_global_definitions,
    table_description::{write_attribute_definitions, write_key_schema},
};
use crate::{
    imports::{ImportCompression, ImportFormat, ImportProgress, ImportReport, ImportSource, ImportStatus},
    output::Object,
};
use cairn_model::{TableDefinition, json, table::BillingMode};

pub(super) fn answer(import: &ImportReport) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    let mut answer = Object::begin(&mut out);
    write_description(import, answer.object("ImportTableDescription"));
    answer.end();
    out
}

pub(super) fn write_summary(import: &ImportReport, out: &mut Vec<u8>) {
    let mut summary = Object::begin(out);
    write_common(import, &mut summary);
    summary.end();
}

fn write_common(import: &ImportReport, object: &mut Object<'_>) {
    object.text("ImportArn", &import.order.arn);
    object.text("ImportStatus", status(import.status));
    object.text("TableArn", &import.order.table_arn);
    write_source(&import.order.source, object.object("S3BucketSource"));
    if let Some(log) = &import.error_log {
        object.text("CloudWatchLogGroupArn", log);
    }
    object.text("InputFormat", format(&import.order.format));
    object.timestamp("StartTime", import.order.start_time_ms);
    if let Some(millis) = import.end_time_ms {
        object.timestamp("EndTime", millis);
    }
}

fn write_description(import: &ImportReport, mut description: Object<'_>) {
    write_common(import, &mut description);
    description.text("TableId", &import.order.definition.table_id.to_string());
    if let Some(token) = &import.order.client_token {
        description.text("ClientToken", token);
    }
    if let ImportFormat::Csv { options: Some(options) } = &import.order.format {
        let mut format_options = description.object("InputFormatOptions");
        let mut csv = format_options.object("Csv");
        if let Some(delimiter) = options.delimiter {
            csv.text("Delimiter", delimiter.encode_utf8(&mut [0; 4]));
        }
        if let Some(headers) = &options.header_list {
            csv.list("HeaderList", headers, |header, out| json::write_string(header, out));
        }
        csv.end();
        format_options.end();
    }
    description.text("InputCompressionType", compression(import.order.compression));
    write_table(&import.order.definition, description.object("TableCreationParameters"));
    write_progress(import, &mut description);
    if let Some(failure) = &import.failure {
        description.text("FailureCode", &failure.code);
        description.text("FailureMessage", &failure.message);
    }
    description.end();
}

/// As DynamoDB's does, an import counts nothing before its end, and tells no size before it has read something (Alternator's
/// test_import.py, facts 9 and 10, measured at AWS).
fn write_progress(import: &ImportReport, description: &mut Object<'_>) {
    let (is_under_way, read) = (import.status == ImportStatus::InProgress, import.progress.processed_size_bytes);
    let counted = if is_under_way { ImportProgress::default() } else { import.progress };
    description.literal("ErrorCount", counted.error_count);
    if !is_under_way || read > 0 {
        description.literal("ProcessedSizeBytes", read);
    }
    description.literal("ProcessedItemCount", counted.processed_item_count);
    description.literal("ImportedItemCount", counted.imported_item_count);
}

fn write_source(source: &ImportSource, mut object: Object<'_>) {
    if let Some(owner) = &source.bucket_owner {
        object.text("S3BucketOwner", owner);
    }
    object.text("S3Bucket", &source.bucket);
    if let Some(prefix) = &source.key_prefix {
        object.text("S3KeyPrefix", prefix);
    }
    object.end();
}

fn write_table(table: &TableDefinition, mut parameters: Object<'_>) {
    parameters.text("TableName", &table.table_name);
    write_attribute_definitions(table, &mut parameters);
    write_key_schema(table.key_schema.keys(), &mut parameters);
    parameters.text(
        "BillingMode",
        match table.billing_mode {
            BillingMode::Provisioned => "PROVISIONED",
            BillingMode::PayPerRequest => "PAY_PER_REQUEST",
        },
    );
    if let Some(throughput) = table.provisioned_throughput {
        let mut provisioned = parameters.object("ProvisionedThroughput");
        provisioned.literal("ReadCapacityUnits", throughput.read_capacity_units);
        provisioned.literal("WriteCapacityUnits", throughput.write_capacity_units);
        provisioned.end();
    }
    write_global_definitions(table, &mut parameters, |index| index.provisioned_throughput);
    parameters.end();
}

fn status(status: ImportStatus) -> &'static str {
    match status {
        ImportStatus::InProgress => "IN_PROGRESS",
        ImportStatus::Completed => "COMPLETED",
        ImportStatus::Failed => "FAILED",
    }
}

fn format(format: &ImportFormat) -> &'static str {
    match format {
        ImportFormat::DynamoDbJson => "DYNAMODB_JSON",
        ImportFormat::Ion => "ION",
        ImportFormat::Csv { .. } => "CSV",
    }
}

fn compression(compression: ImportCompression) -> &'static str {
    match compression {
        ImportCompression::None => "NONE",
        ImportCompression::Gzip => "GZIP",
        ImportCompression::Zstd => "ZSTD",
    }
}
