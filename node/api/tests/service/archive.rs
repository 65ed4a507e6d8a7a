//! Backups in memory. They hold no items: what is restored is a table in the catalog, CREATING until a test says more.

use crate::{catalog::MemoryCatalog, client::NOW_MS};
use async_trait::async_trait;
use cairn_api::{
    Backups, TableView,
    arn::{BackupArn, TableArn, backup_id},
    backups::{
        BackupDescription, BackupDetails, BackupFilter, BackupPage, BackupState, BackupSummary, BackupType,
        RestorableWindow, RestoreSource, RestoreTarget, RestoreTime,
    },
    errors,
};
use cairn_model::{ServiceError, TableDefinition, ids::TableId, table::RestoredFrom};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

pub(crate) struct MemoryArchive {
    catalog: Arc<MemoryCatalog>,
    /// By their ids.
    backups: Mutex<BTreeMap<String, BackupDescription>>,
    pub(crate) window: Mutex<Option<RestorableWindow>>,
    /// Tables that the catalog does not have any more.
    pub(crate) deleted: Mutex<BTreeMap<String, TableDefinition>>,
}

impl MemoryArchive {
    pub(crate) fn new(catalog: Arc<MemoryCatalog>) -> Self {
        Self { catalog, backups: Mutex::default(), window: Mutex::default(), deleted: Mutex::default() }
    }

    pub(crate) fn set_status(&self, arn: &str, status: BackupState) {
        let id = BackupArn::parse(arn).unwrap().backup_id;
        self.backups.lock().unwrap().get_mut(id).unwrap().details.status = status;
    }

    /// Adds a backup, a second younger than the last one.
    pub(crate) fn add(&self, table: &TableView, name: &str, backup_type: BackupType) -> BackupDetails {
        let mut backups = self.backups.lock().unwrap();
        let count = backups.len() as u64;
        let creation_time_ms = NOW_MS + count * 1_000;
        let id = backup_id(creation_time_ms, 0xab_cdef12);
        let details = BackupDetails {
            arn: BackupArn { table: TableArn::parse(&table.arn).unwrap(), backup_id: &id }.to_string(),
            name: name.to_owned(),
            size_bytes: 7,
            status: BackupState::Available,
            backup_type,
            creation_time_ms,
            expiry_time_ms: (backup_type == BackupType::System).then_some(creation_time_ms + 3_024_000_000),
        };
        let description = BackupDescription {
            details: details.clone(),
            table: table.definition.clone(),
            table_arn: table.arn.clone(),
            item_count: 3,
            table_size_bytes: 9,
        };
        backups.insert(id, description);
        details
    }

    fn find(&self, account: &str, arn: BackupArn<'_>) -> Result<BackupDescription, ServiceError> {
        let backups = self.backups.lock().unwrap();
        let found = backups.get(arn.backup_id).filter(|backup| backup.table.account == account);
        found
            .filter(|backup| backup.details.arn == arn.to_string())
            .cloned()
            .ok_or_else(|| errors::backup_not_found(arn))
    }

    fn restore(
        &self,
        source: &TableDefinition,
        from: RestoredFrom,
        target: RestoreTarget,
    ) -> Result<Arc<TableView>, ServiceError> {
        let definition = target.into_definition(source, TableId([7; 16]), NOW_MS, from, || TableId([8; 16]))?;
        self.catalog.insert_creating(definition)
    }
}

#[async_trait]
impl Backups for MemoryArchive {
    fn covers(&self, table: &TableView) -> bool {
        table.definition.table_name != "uncovered"
    }

    async fn create_backup(&self, table: &TableView, name: &str) -> Result<BackupDetails, ServiceError> {
        let details = self.add(table, name, BackupType::User);
        Ok(BackupDetails { status: BackupState::Creating, ..details })
    }

    async fn describe_backup(&self, account: &str, arn: BackupArn<'_>) -> Result<BackupDescription, ServiceError> {
        self.find(account, arn)
    }

    async fn list_backups(
        &self,
        account: &str,
        filter: &BackupFilter,
        limit: usize,
        exclusive_start_arn: Option<BackupArn<'_>>,
    ) -> Result<BackupPage, ServiceError> {
        let backups = self.backups.lock().unwrap();
        let after = |id: &str| exclusive_start_arn.is_none_or(|start| id > start.backup_id);
        let mut matching: Vec<BackupSummary> = backups
            .iter()
            .filter(|(id, backup)| after(id) && backup.table.account == account)
            .map(|(_, backup)| BackupSummary {
                details: backup.details.clone(),
                table_name: backup.table.table_name.clone(),
                table_id: backup.table.table_id,
                table_arn: backup.table_arn.clone(),
            })
            .filter(|backup| filter.matches(backup))
            .collect();
        let more = matching.len() > limit;
        matching.truncate(limit);
        Ok(BackupPage { backups: matching, more })
    }

    async fn delete_backup(&self, account: &str, arn: BackupArn<'_>) -> Result<BackupDescription, ServiceError> {
        let mut backup = self.find(account, arn)?;
        if backup.details.status == BackupState::Creating {
            return Err(errors::backup_being_created(arn));
        }
        self.backups.lock().unwrap().remove(arn.backup_id);
        backup.details.status = BackupState::Deleted;
        Ok(backup)
    }

    async fn restorable_window(&self, _table: &TableView) -> Result<Option<RestorableWindow>, ServiceError> {
        Ok(*self.window.lock().unwrap())
    }

    async fn restore_from_backup(
        &self,
        account: &str,
        arn: BackupArn<'_>,
        target: RestoreTarget,
    ) -> Result<Arc<TableView>, ServiceError> {
        let backup = self.find(account, arn)?;
        let from = RestoredFrom {
            source_backup_arn: Some(backup.details.arn),
            source_table_arn: Some(backup.table_arn),
            restore_time_ms: backup.details.creation_time_ms,
        };
        self.restore(&backup.table, from, target)
    }

    async fn restore_to_point_in_time(
        &self,
        account: &str,
        source: RestoreSource<'_>,
        time: RestoreTime,
        target: RestoreTarget,
    ) -> Result<Arc<TableView>, ServiceError> {
        let definition = match source {
            RestoreSource::Table(table) => table.definition.clone(),
            RestoreSource::Absent(name) => {
                let deleted = self.deleted.lock().unwrap();
                deleted.get(name).cloned().ok_or_else(|| errors::backed_up_table_not_found(name))?
            }
        };
        let restore_time_ms = match time {
            RestoreTime::Millis(millis) => millis,
            RestoreTime::Latest => self.window.lock().unwrap().map_or(0, |window| window.latest_ms),
        };
        let source_arn = TableArn { region: "east", account, table_name: &definition.table_name }.to_string();
        let from = RestoredFrom { source_backup_arn: None, source_table_arn: Some(source_arn), restore_time_ms };
        self.restore(&definition, from, target)
    }
}
