//! An import as the bucket keeps it and as the API shows it.

use cairn_api::imports::{
    CsvOptions, ImportCompression, ImportDescription, ImportFailure, ImportFormat, ImportProgress, ImportRequest,
    ImportSource, ImportStatus,
};
use cairn_archive::import::{
    Compression, Format,
    record::{CsvRecord, FormatRecord, ImportOutcome, ImportRecord, SourceRecord},
};

pub(super) fn source_record(source: ImportSource) -> SourceRecord {
    SourceRecord { bucket: source.bucket, key_prefix: source.key_prefix, bucket_owner: source.bucket_owner }
}

pub(super) fn format_record(format: ImportFormat) -> FormatRecord {
    match format {
        ImportFormat::DynamoDbJson => FormatRecord::DynamodbJson,
        ImportFormat::Ion => FormatRecord::Ion,
        ImportFormat::Csv(options) => FormatRecord::Csv {
            options: options.map(|csv| CsvRecord { delimiter: csv.delimiter, header_list: csv.header_list }),
        },
    }
}

pub(super) fn compression(compression: ImportCompression) -> Compression {
    match compression {
        ImportCompression::None => Compression::None,
        ImportCompression::Gzip => Compression::Gzip,
        ImportCompression::Zstd => Compression::Zstd,
    }
}

/// How the files are read.
pub(super) fn format(record: &FormatRecord) -> Format {
    match record {
        FormatRecord::DynamodbJson => Format::DynamoDbJson,
        FormatRecord::Ion => Format::Ion,
        FormatRecord::Csv { options } => {
            let delimiter = options.as_ref().and_then(|csv| csv.delimiter).and_then(|one| u8::try_from(one).ok());
            let header = options.as_ref().and_then(|csv| csv.header_list.clone());
            Format::Csv { delimiter: delimiter.unwrap_or(b','), header }
        }
    }
}

/// What was asked for.
pub(super) fn request(record: &ImportRecord) -> ImportRequest {
    let source = record.source.clone();
    ImportRequest {
        client_token: record.client_token.clone(),
        source: ImportSource {
            bucket: source.bucket,
            key_prefix: source.key_prefix,
            bucket_owner: source.bucket_owner,
        },
        format: match record.format.clone() {
            FormatRecord::DynamodbJson => ImportFormat::DynamoDbJson,
            FormatRecord::Ion => ImportFormat::Ion,
            FormatRecord::Csv { options } => ImportFormat::Csv(
                options.map(|csv| CsvOptions { delimiter: csv.delimiter, header_list: csv.header_list }),
            ),
        },
        compression: match record.compression {
            Compression::None => ImportCompression::None,
            Compression::Gzip => ImportCompression::Gzip,
            Compression::Zstd => ImportCompression::Zstd,
        },
    }
}

/// An import under way.
pub(super) fn in_progress(record: &ImportRecord, progress: ImportProgress) -> ImportDescription {
    ImportDescription {
        arn: record.arn.clone(),
        status: ImportStatus::InProgress,
        table: record.definition.clone(),
        table_arn: record.table_arn.clone(),
        request: request(record),
        start_time_ms: record.start_time_ms,
        end_time_ms: None,
        progress,
        error_log: None,
        failure: None,
    }
}

/// An import that ended. `error_log`: where its errors are, if there are any.
pub(super) fn ended(record: &ImportRecord, outcome: &ImportOutcome, error_log: String) -> ImportDescription {
    let progress = ImportProgress {
        processed_size_bytes: outcome.processed_size_bytes,
        processed_item_count: outcome.processed_item_count,
        imported_item_count: outcome.imported_item_count,
        error_count: outcome.error_count,
    };
    let failure = outcome.failure.clone();
    ImportDescription {
        status: if outcome.completed { ImportStatus::Completed } else { ImportStatus::Failed },
        end_time_ms: Some(outcome.end_time_ms),
        error_log: outcome.error_log.then_some(error_log),
        failure: failure.map(|failure| ImportFailure { code: failure.code, message: failure.message }),
        ..in_progress(record, progress)
    }
}
