//! The manifests of an export, as DynamoDB writes them.

use base64::{Engine, engine::general_purpose::STANDARD};
use cairn_model::export::{ExportEncryption, ExportFormat, ExportRecord, ExportScope, ExportView};
use jiff::Timestamp;
use md5::{Digest, Md5};
use serde::Serialize;

/// A line of `manifest-files.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileEntry {
    pub(super) item_count: u64,
    pub(super) md5_checksum: String,
    pub(super) etag: String,
    #[serde(rename = "dataFileS3Key")]
    pub(super) data_file_s3_key: String,
}

/// `manifest-summary.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    version: &'static str,
    export_arn: &'a str,
    start_time: String,
    end_time: String,
    table_arn: &'a str,
    table_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    export_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    export_from_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    export_to_time: Option<String>,
    s3_bucket: &'a str,
    s3_prefix: Option<&'a str>,
    s3_sse_algorithm: Option<&'static str>,
    s3_sse_kms_key_id: Option<&'a str>,
    #[serde(rename = "manifestFilesS3Key")]
    manifest_files_s3_key: &'a str,
    billed_size_bytes: u64,
    item_count: u64,
    output_format: ExportFormat,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_view: Option<ExportView>,
    export_type: &'static str,
}

pub(super) fn files(entries: &[FileEntry]) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut out, entry)?;
        out.push(b'\n');
    }
    Ok(out)
}

/// What is known of an export when it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals<'a> {
    pub(super) end_time_ms: u64,
    pub(super) files_key: &'a str,
    pub(super) billed_size_bytes: u64,
    pub(super) item_count: u64,
}

pub(super) fn summary(record: &ExportRecord, totals: Totals<'_>) -> serde_json::Result<Vec<u8>> {
    let (time, span) = match record.scope {
        ExportScope::FullExport { time_ms } => (Some(iso_time(time_ms)), None),
        ExportScope::IncrementalExport { from_ms, to_ms, view } => (None, Some((from_ms, to_ms, view))),
    };
    serde_json::to_vec(&Summary {
        version: if span.is_some() { "2023-08-01" } else { "2020-06-30" },
        export_arn: &record.arn,
        start_time: iso_time(record.start_time_ms),
        end_time: iso_time(totals.end_time_ms),
        table_arn: &record.table_arn,
        table_id: record.table_id.to_string(),
        export_time: time,
        export_from_time: span.map(|(from_ms, ..)| iso_time(from_ms)),
        export_to_time: span.map(|(_, to_ms, _)| iso_time(to_ms)),
        s3_bucket: &record.s3_bucket,
        s3_prefix: record.s3_prefix.as_deref(),
        s3_sse_algorithm: record.encryption.as_ref().map(|encryption| match encryption {
            ExportEncryption::Aes256 => "AES256",
            ExportEncryption::Kms { .. } => "KMS",
        }),
        s3_sse_kms_key_id: match &record.encryption {
            Some(ExportEncryption::Kms { key_id }) => key_id.as_deref(),
            _ => None,
        },
        manifest_files_s3_key: totals.files_key,
        billed_size_bytes: totals.billed_size_bytes,
        item_count: totals.item_count,
        output_format: record.format,
        output_view: span.map(|(.., view)| view),
        export_type: if span.is_some() { "INCREMENTAL_EXPORT" } else { "FULL_EXPORT" },
    })
}

/// With its milliseconds, as `2020-11-04T07:28:34.028Z`.
fn iso_time(millis: u64) -> String {
    let time = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| millis.to_string(), |time| format!("{time:.3}"))
}

pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// A checksum as the manifests have it.
pub(super) fn base64(checksum: [u8; 16]) -> String {
    STANDARD.encode(checksum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::{export::ExportState, ids::TableId};

    fn record(scope: ExportScope) -> ExportRecord {
        ExportRecord {
            export_id: "01604474914028-abcdef12".into(),
            arn: "arn:aws:dynamodb:us-east-1:local:table/users/export/01604474914028-abcdef12".into(),
            table_arn: "arn:aws:dynamodb:us-east-1:local:table/users".into(),
            table_id: TableId([1; 16]),
            scope,
            format: ExportFormat::DynamodbJson,
            until_request: false,
            client_token: None,
            s3_bucket: "exports".into(),
            s3_prefix: Some("2020".into()),
            encryption: None,
            filter: None,
            start_time_ms: 1_604_474_914_028,
            state: ExportState::InProgress,
        }
    }

    fn written(scope: ExportScope) -> String {
        let files_key = "2020/AWSDynamoDB/01604474914028-abcdef12/manifest-files.json";
        let totals = Totals { end_time_ms: 1_604_475_223_900, files_key, billed_size_bytes: 9, item_count: 8 };
        String::from_utf8(summary(&record(scope), totals).unwrap()).unwrap()
    }

    /// As the developer guide shows them, in its order.
    #[test]
    fn summaries_are_dynamodbs() {
        let head = concat!(
            r#""exportArn":"arn:aws:dynamodb:us-east-1:local:table/users/export/01604474914028-abcdef12","#,
            r#""startTime":"2020-11-04T07:28:34.028Z","endTime":"2020-11-04T07:33:43.900Z","#,
            r#""tableArn":"arn:aws:dynamodb:us-east-1:local:table/users","#,
            r#""tableId":"01010101-0101-0101-0101-010101010101","#,
        );
        let middle = concat!(
            r#""s3Bucket":"exports","s3Prefix":"2020","s3SseAlgorithm":null,"s3SseKmsKeyId":null,"#,
            r#""manifestFilesS3Key":"2020/AWSDynamoDB/01604474914028-abcdef12/manifest-files.json","#,
            r#""billedSizeBytes":9,"itemCount":8,"outputFormat":"DYNAMODB_JSON","#,
        );
        assert_eq!(
            written(ExportScope::FullExport { time_ms: 1_604_474_914_000 }),
            format!(
                r#"{{"version":"2020-06-30",{head}"exportTime":"2020-11-04T07:28:34.000Z",{middle}"exportType":"FULL_EXPORT"}}"#
            )
        );
        let view = ExportView::NewAndOldImages;
        let (from_ms, to_ms) = (1_604_474_000_000, 1_604_474_914_000);
        assert_eq!(
            written(ExportScope::IncrementalExport { from_ms, to_ms, view }),
            format!(
                r#"{{"version":"2023-08-01",{head}"exportFromTime":"2020-11-04T07:13:20.000Z","exportToTime":"2020-11-04T07:28:34.000Z",{middle}"outputView":"NEW_AND_OLD_IMAGES","exportType":"INCREMENTAL_EXPORT"}}"#
            )
        );
    }

    #[test]
    fn a_summary_names_the_format_of_the_data_files() {
        let record = ExportRecord { format: ExportFormat::Ion, ..record(ExportScope::FullExport { time_ms: 0 }) };
        let totals = Totals { end_time_ms: 0, files_key: "", billed_size_bytes: 0, item_count: 0 };
        let summary: serde_json::Value = serde_json::from_slice(&summary(&record, totals).unwrap()).unwrap();
        assert_eq!(summary["outputFormat"], "ION");
    }

    #[test]
    fn data_files_are_listed_a_line_each() {
        let entry = FileEntry {
            item_count: 8,
            md5_checksum: base64(md5(b"abc")),
            etag: "af83".into(),
            data_file_s3_key: "AWSDynamoDB/1/data/a.json.gz".into(),
        };
        let line = concat!(
            r#"{"itemCount":8,"md5Checksum":"kAFQmDzST7DWlj99KOF/cg==","etag":"af83","#,
            r#""dataFileS3Key":"AWSDynamoDB/1/data/a.json.gz"}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(files(&[entry.clone(), entry]).unwrap()).unwrap(), line.repeat(2));
    }
}
