//! Imports in memory: no items, only what was asked for; a table in the catalog, CREATING.

use crate::{catalog::MemoryCatalog, client::NOW_MS};
use async_trait::async_trait;
use cairn_api::{
    Imports, NewTable,
    arn::{ImportArn, TableArn, backup_id},
    errors,
    imports::{ImportOrder, ImportPage, ImportProgress, ImportReport, ImportRequest},
};
use cairn_model::{ServiceError, ids::TableId};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

pub(crate) struct MemoryImports {
    catalog: Arc<MemoryCatalog>,
    /// By their ids.
    pub(crate) imports: Mutex<BTreeMap<String, ImportReport>>,
}

impl MemoryImports {
    pub(crate) fn new(catalog: Arc<MemoryCatalog>) -> Self {
        Self { catalog, imports: Mutex::default() }
    }
}

#[async_trait]
impl Imports for MemoryImports {
    async fn import_table(
        &self,
        account: &str,
        request: ImportRequest,
        table: NewTable,
    ) -> Result<ImportReport, ServiceError> {
        let mut imports = self.imports.lock().unwrap();
        let start_time_ms = NOW_MS + imports.len() as u64 * 1_000;
        let id = backup_id(start_time_ms, 0xab_cdef12);
        let table_arn = TableArn { region: "east", account, table_name: &table.table_name };
        let order = ImportOrder {
            arn: ImportArn { table: table_arn, import_id: &id }.to_string(),
            import_id: id.clone(),
            table_arn: table_arn.to_string(),
            definition: table.into_definition(account, TableId([9; 16]), NOW_MS, || TableId([8; 16])),
            client_token: request.client_token,
            source: request.source,
            format: request.format,
            compression: request.compression,
            start_time_ms,
        };
        let description = ImportReport::in_progress(order, ImportProgress::default());
        self.catalog.insert_creating(description.order.definition.clone())?;
        imports.insert(id, description.clone());
        Ok(description)
    }

    async fn describe_import(&self, _account: &str, arn: ImportArn<'_>) -> Result<ImportReport, ServiceError> {
        let imports = self.imports.lock().unwrap();
        let found = imports.get(arn.import_id).filter(|import| import.order.arn == arn.to_string());
        found.cloned().ok_or_else(|| errors::import_not_found(arn))
    }

    async fn list_imports(
        &self,
        _account: &str,
        table_arn: Option<&str>,
        limit: usize,
        exclusive_start_id: Option<&str>,
    ) -> Result<ImportPage, ServiceError> {
        let imports = self.imports.lock().unwrap();
        let below = |id: &str| exclusive_start_id.is_none_or(|start| id < start);
        let mut matching: Vec<ImportReport> = imports
            .iter()
            .rev()
            .filter(|(id, import)| below(id) && table_arn.is_none_or(|arn| arn == import.order.table_arn))
            .map(|(_, import)| import.clone())
            .collect();
        let more = matching.len() > limit;
        matching.truncate(limit);
        Ok(ImportPage { imports: matching, more })
    }
}
