//! Exports of tables: what was asked for and how far it is, as the bucket keeps it and as archives tell it.

use crate::ids::TableId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the lines of data files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportFormat {
    #[default]
    DynamodbJson,
    Ion,
}

/// What of a changed item an incremental export has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportView {
    NewImage,
    NewAndOldImages,
}

/// Times are milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "exportType", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum ExportScope {
    FullExport {
        time_ms: u64,
    },
    /// From `from_ms` on, until just before `to_ms`.
    IncrementalExport {
        from_ms: u64,
        to_ms: u64,
        view: ExportView,
    },
}

/// What the bucket is asked to encrypt the files with: `S3SseAlgorithm`, and `S3SseKmsKeyId`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "algorithm", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum ExportEncryption {
    Aes256,
    Kms {
        /// The bucket's own where there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
    },
}

/// `FilterSpecification`, as it was asked for: which items are exported, and what of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportFilter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_expression: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection_expression: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_condition_expression: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression_attribute_names: Option<BTreeMap<String, String>>,
    /// An object in DynamoDB JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression_attribute_values: Option<serde_json::Value>,
}

/// How far an export is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum ExportState {
    InProgress,
    Completed {
        end_time_ms: u64,
        /// The key of its summary.
        manifest: String,
        billed_size_bytes: u64,
        item_count: u64,
    },
    Failed {
        end_time_ms: u64,
        code: String,
        message: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportRecord {
    /// The last part of its ARN; ids in ascending order are exports in the order of their times.
    pub export_id: String,
    pub arn: String,
    pub table_arn: String,
    pub table_id: TableId,
    pub scope: ExportScope,
    #[serde(default)]
    pub format: ExportFormat,
    /// Whether the request left the last time of the scope to us.
    #[serde(default)]
    pub until_request: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
    pub s3_bucket: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<ExportEncryption>,
    /// None: all items, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<ExportFilter>,
    pub start_time_ms: u64,
    pub state: ExportState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_form_that_other_versions_expect() {
        let json = concat!(
            r#"{"exportId":"01-a","arn":"arn","tableArn":"table","tableId":"01010101-0101-0101-0101-010101010101","#,
            r#""scope":{"exportType":"INCREMENTAL_EXPORT","fromMs":1,"toMs":2,"view":"NEW_IMAGE"},"format":"ION","#,
            r#""untilRequest":true,"clientToken":"once","s3Bucket":"exports","s3Prefix":"some","#,
            r#""encryption":{"algorithm":"KMS","keyId":"key"},"filter":{"filterExpression":"V > :v","#,
            r##""projectionExpression":"#v","keyConditionExpression":"Id = :i","expressionAttributeNames":{"#v":"V"},"##,
            r#""expressionAttributeValues":{":i":{"S":"a"},":v":{"N":"1"}}},"startTimeMs":3,"#,
            r#""state":{"status":"FAILED","endTimeMs":4,"code":"S3NoSuchBucket","message":"none"}}"#,
        );
        let record = ExportRecord {
            export_id: "01-a".into(),
            arn: "arn".into(),
            table_arn: "table".into(),
            table_id: TableId([1; 16]),
            scope: ExportScope::IncrementalExport { from_ms: 1, to_ms: 2, view: ExportView::NewImage },
            format: ExportFormat::Ion,
            until_request: true,
            client_token: Some("once".into()),
            s3_bucket: "exports".into(),
            s3_prefix: Some("some".into()),
            encryption: Some(ExportEncryption::Kms { key_id: Some("key".into()) }),
            filter: Some(ExportFilter {
                filter_expression: Some("V > :v".into()),
                projection_expression: Some("#v".into()),
                key_condition_expression: Some("Id = :i".into()),
                expression_attribute_names: Some(BTreeMap::from([("#v".into(), "V".into())])),
                expression_attribute_values: Some(serde_json::json!({":i": {"S": "a"}, ":v": {"N": "1"}})),
            }),
            start_time_ms: 3,
            state: ExportState::Failed { end_time_ms: 4, code: "S3NoSuchBucket".into(), message: "none".into() },
        };
        assert_eq!(serde_json::to_string(&record).unwrap(), json);
        assert_eq!(serde_json::from_str::<ExportRecord>(json).unwrap(), record);
    }
}
