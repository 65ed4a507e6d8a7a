//! Exports in memory. They export nothing: each is IN_PROGRESS until a test says more.

use crate::client::NOW_MS;
use async_trait::async_trait;
use cairn_api::{
    Exports, TableView,
    arn::{ExportArn, TableArn, backup_id},
    errors,
    exports::{ExportDescription, ExportPage, ExportRequest, ExportScope, ExportStatus},
};
use cairn_model::ServiceError;
use std::{collections::BTreeMap, sync::Mutex};

/// By their ARNs; the second is the request as it was made.
#[derive(Default)]
pub(crate) struct MemoryExports(pub(crate) Mutex<BTreeMap<String, (ExportDescription, ExportRequest)>>);

#[async_trait]
impl Exports for MemoryExports {
    async fn export_table(&self, table: &TableView, request: ExportRequest) -> Result<ExportDescription, ServiceError> {
        let mut exports = self.0.lock().unwrap();
        let export_id = backup_id(NOW_MS + exports.len() as u64, 0xab_cdef12);
        let table_arn = TableArn::parse(&table.arn).unwrap();
        let arn = ExportArn { table: table_arn, export_id: &export_id }.to_string();
        let scope = match request.scope {
            ExportScope::Full { time_ms } => ExportScope::Full { time_ms: Some(time_ms.unwrap_or(NOW_MS)) },
            ExportScope::Incremental { from_ms, to_ms, view } => {
                ExportScope::Incremental { from_ms, to_ms: Some(to_ms.unwrap_or(NOW_MS)), view }
            }
        };
        let description = ExportDescription {
            arn: arn.clone(),
            status: ExportStatus::InProgress,
            start_time_ms: NOW_MS,
            end_time_ms: None,
            table_arn: table.arn.clone(),
            table_id: table.definition.table_id,
            request: ExportRequest { scope, ..request.clone() },
            manifest: None,
            billed_size_bytes: None,
            item_count: None,
            failure: None,
        };
        exports.insert(arn, (description.clone(), request));
        Ok(description)
    }

    async fn describe_export(&self, _account: &str, arn: ExportArn<'_>) -> Result<ExportDescription, ServiceError> {
        let exports = self.0.lock().unwrap();
        exports.get(&arn.to_string()).map(|export| export.0.clone()).ok_or_else(|| errors::export_not_found(arn))
    }

    async fn list_exports(
        &self,
        account: &str,
        table_arn: Option<&str>,
        limit: usize,
        exclusive_start: Option<ExportArn<'_>>,
    ) -> Result<ExportPage, ServiceError> {
        let exports = self.0.lock().unwrap();
        let matching = exports.values().rev().map(|export| export.0.clone()).filter(|export| {
            TableArn::parse(&export.table_arn).unwrap().account == account
                && table_arn.is_none_or(|table_arn| table_arn == export.table_arn)
                && exclusive_start.is_none_or(|start| export.arn < start.to_string())
        });
        let mut matching: Vec<ExportDescription> = matching.collect();
        let more = matching.len() > limit;
        matching.truncate(limit);
        Ok(ExportPage { exports: matching, more })
    }
}
