//! The backups of `cairn dev`: what its archive keeps, and the tables that are being made of it.

use super::tables::{ACCOUNT, LocalTables};
use crate::{
    archive::{RestoringPartition, snapshot_of},
    environment,
    node::Node,
};
use async_trait::async_trait;
use cairn_api::{
    Backups, Catalog, NewTable, TableUpdate, TableView,
    arn::{BackupArn, TableArn, backup_id},
    backups::{
        BackupDescription, BackupDetails, BackupFilter, BackupPage, BackupStatus, BackupSummary, BackupType,
        RestorableWindow, RestoreSource, RestoreTarget, RestoreTime,
    },
    errors,
};
use cairn_archive::{
    ArchiveError, Bucket, Shipper, TablePath,
    backup::{self, BackupRecord, NewBackup},
    restore::{self, RestorePlan, TableRef},
    table,
};
use cairn_model::{
    ServiceError, TableDefinition,
    ids::{PartitionId, TableId},
    table::RestoredFrom,
    time::Timestamp,
};
use cairn_replication::restore::Restored;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

/// What stands for a cluster in the bucket: a folder that is lost can be restored into another one.
pub(super) const CLUSTER: &str = "dev";
/// For how long a call waits for what it began: small backups are AVAILABLE when it returns.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a deleted table waits for its last backup.
const SYSTEM_BACKUP_DEADLINE: Duration = Duration::from_secs(60);
/// Damaged objects that a restore looks for a way around.
const DAMAGED_OBJECTS_MAX: usize = 4;
const SYSTEM_BACKUP_DAYS: u64 = 35;
const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// Backups of one node, of which each table has one partition.
pub(super) struct LocalBackups {
    node: Arc<Node>,
    tables: Arc<LocalTables>,
    bucket: Bucket,
    shipper: Arc<Shipper>,
    region: String,
    /// Backups on their way into the bucket, by id.
    creating: Mutex<BTreeMap<String, BackupDescription>>,
    /// How many restores read a backup, by its id.
    restoring: Arc<Mutex<HashMap<String, usize>>>,
}

impl LocalBackups {
    pub(super) fn new(
        node: Arc<Node>,
        tables: Arc<LocalTables>,
        bucket: Bucket,
        shipper: Arc<Shipper>,
        region: String,
    ) -> Arc<Self> {
        Arc::new(Self { node, tables, bucket, shipper, region, creating: Mutex::default(), restoring: Arc::default() })
    }

    fn path(&self, table_id: TableId) -> TablePath {
        TablePath { cluster: CLUSTER.to_owned(), account: ACCOUNT.to_owned(), table_id }
    }

    async fn record(&self, arn: BackupArn<'_>) -> Result<BackupRecord, ServiceError> {
        let got = backup::get(&self.bucket, CLUSTER, ACCOUNT, arn.backup_id).await;
        got.map_err(|error| match error {
            ArchiveError::NotFound { .. } => errors::backup_not_found(arn),
            error => failed("read a backup", &error),
        })
    }

    fn new_backup(&self, table: &TableView, name: String, backup_type: backup::BackupType) -> NewBackup {
        let now_ms = environment::wall_ms();
        let is_system = backup_type == backup::BackupType::System;
        let backup_id = backup_id(now_ms, if is_system { 0 } else { uuid::Uuid::new_v4().as_fields().0 });
        let table_arn = TableArn { region: &self.region, account: ACCOUNT, table_name: &table.definition.table_name };
        let arn = BackupArn { table: table_arn, backup_id: &backup_id }.to_string();
        NewBackup {
            arn,
            name,
            backup_type,
            table_arn: table_arn.to_string(),
            definition: table.definition.clone(),
            creation_time_ms: now_ms,
            expiry_time_ms: is_system.then_some(now_ms + SYSTEM_BACKUP_DAYS * DAY_MS),
            backup_id,
        }
    }

    /// Brings a backup of what the table holds now into the bucket.
    async fn upload(&self, partition: PartitionId, new: NewBackup) -> Result<BackupRecord, ArchiveError> {
        let host = self.node.host().clone();
        let snapshot = tokio::task::spawn_blocking(move || snapshot_of(&host, partition)).await;
        let snapshot = snapshot.map_err(|_| ArchiveError::Interrupted { object: new.arn.clone() })??;
        backup::create(&self.bucket, CLUSTER, ACCOUNT, new, vec![snapshot]).await
    }

    /// The backup that a table with recovery on leaves when it is deleted.
    pub(super) async fn leave_system_backup(&self, table: &TableView, partition: PartitionId) {
        if table.definition.continuous_backups.is_none() {
            return;
        }
        let name = format!("{}$DeletedTableBackup", table.definition.table_name);
        let new = self.new_backup(table, name, backup::BackupType::System);
        let upload = async {
            let deleted_at_ms = new.creation_time_ms;
            self.upload(partition, new).await?;
            table::mark_deleted(&self.bucket, &self.path(table.definition.table_id), deleted_at_ms).await
        };
        let left = match tokio::time::timeout(SYSTEM_BACKUP_DEADLINE, upload).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it took more than {SYSTEM_BACKUP_DEADLINE:?}"),
        };
        let table = &table.definition.table_name;
        tracing::warn!(table, error = left, "a deleted table leaves no backup, only what was archived of it before");
    }

    async fn plan(&self, origin: &Origin, except: &[String]) -> Result<RestorePlan, ArchiveError> {
        match origin {
            Origin::Backup(id) => restore::plan_backup(&self.bucket, CLUSTER, ACCOUNT, id).await,
            Origin::Past(path, at) => restore::plan(&self.bucket, path, *at, except).await,
        }
    }

    /// Begins to make a table of what a plan says.
    async fn begin(
        self: &Arc<Self>,
        origin: Origin,
        plan: RestorePlan,
        definition: TableDefinition,
    ) -> Result<Arc<TableView>, ServiceError> {
        let view = self.tables.begin_restore(definition.clone()).await?;
        let reading = origin.backup().map(|id| Reading::begin(&self.restoring, id));
        let backups = self.clone();
        tokio::spawn(async move {
            let table = definition.table_name.clone();
            match backups.restore(&origin, plan, definition).await {
                Ok(()) => tracing::info!(table, "restored a table"),
                Err(error) => {
                    tracing::error!(
                        table,
                        error = &*error as &dyn std::error::Error,
                        "failed to restore a table: it is gone again"
                    );
                }
            }
            drop(reading);
            backups.tables.end_passing(&table).await;
        });
        Ok(view)
    }

    async fn restore(&self, origin: &Origin, plan: RestorePlan, definition: TableDefinition) -> anyhow::Result<()> {
        let restored = self.load(origin, plan).await?;
        self.tables.adopt(restored, definition).await
    }

    /// Reads the data, around objects that turn out damaged, if the rest of the archive allows it.
    async fn load(&self, origin: &Origin, mut plan: RestorePlan) -> anyhow::Result<Restored> {
        let mut except = Vec::new();
        loop {
            let [partition] = <[_; 1]>::try_from(plan.partitions).map_err(|partitions| {
                anyhow::anyhow!("it has {} partitions, and here one is known", partitions.len())
            })?;
            let host = self.node.host().clone();
            let loaded = tokio::task::spawn_blocking(move || {
                let mut sink = RestoringPartition::begin(&host)?;
                partition.run(&mut sink, &mut |_| {})?;
                anyhow::Ok(sink.finish()?)
            });
            match loaded.await? {
                Ok(restored) => return Ok(restored),
                Err(error) => match error.downcast::<ArchiveError>()? {
                    ArchiveError::Hole { object, source, .. } if except.len() < DAMAGED_OBJECTS_MAX => {
                        tracing::warn!(
                            object,
                            error = &*source as &dyn std::error::Error,
                            "restoring without a damaged object"
                        );
                        except.push(object);
                    }
                    error => return Err(error.into()),
                },
            }
            plan = self.plan(origin, &except).await?;
        }
    }
}

/// What a table is restored from.
enum Origin {
    /// A backup, by its id.
    Backup(String),
    Past(TablePath, Timestamp),
}

impl Origin {
    fn backup(&self) -> Option<&str> {
        match self {
            Self::Backup(id) => Some(id),
            Self::Past(..) => None,
        }
    }
}

/// A backup that is being read, and is not deleted meanwhile.
struct Reading {
    all: Arc<Mutex<HashMap<String, usize>>>,
    id: String,
}

impl Reading {
    fn begin(all: &Arc<Mutex<HashMap<String, usize>>>, id: &str) -> Self {
        *all.lock().entry(id.to_owned()).or_default() += 1;
        Self { all: all.clone(), id: id.to_owned() }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if let Some(count) = all.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.id);
            }
        }
    }
}

/// The archive could not do something: the client asks again, the log tells why.
fn failed(action: &'static str, error: &ArchiveError) -> ServiceError {
    tracing::error!(error = error as &dyn std::error::Error, "failed to {action}");
    errors::internal()
}

fn details(record: &BackupRecord) -> BackupDetails {
    BackupDetails {
        arn: record.arn.clone(),
        name: record.name.clone(),
        size_bytes: record.size_bytes,
        status: BackupStatus::Available,
        backup_type: match record.backup_type {
            backup::BackupType::User => BackupType::User,
            backup::BackupType::System => BackupType::System,
        },
        creation_time_ms: record.creation_time_ms,
        expiry_time_ms: record.expiry_time_ms,
    }
}

fn description(record: BackupRecord) -> BackupDescription {
    BackupDescription {
        details: details(&record),
        table: record.definition,
        table_arn: record.table_arn,
        item_count: record.item_count,
        table_size_bytes: record.table_size_bytes,
    }
}

fn summary(description: &BackupDescription) -> BackupSummary {
    BackupSummary {
        details: description.details.clone(),
        table_name: description.table.table_name.clone(),
        table_id: description.table.table_id,
        table_arn: description.table_arn.clone(),
    }
}

/// The implementor of [`Backups`]: what it begins goes on after the call.
#[derive(Clone)]
pub(super) struct SharedBackups(pub(super) Arc<LocalBackups>);

#[async_trait]
impl Backups for SharedBackups {
    fn covers(&self, _table: &TableView) -> bool {
        true
    }

    async fn create_backup(&self, table: &TableView, name: &str) -> Result<BackupDetails, ServiceError> {
        let this = self.0.clone();
        let partition = this.tables.partition_of(table)?;
        let new = this.new_backup(table, name.to_owned(), backup::BackupType::User);
        let begun = BackupDescription {
            details: BackupDetails {
                arn: new.arn.clone(),
                name: new.name.clone(),
                size_bytes: 0,
                status: BackupStatus::Creating,
                backup_type: BackupType::User,
                creation_time_ms: new.creation_time_ms,
                expiry_time_ms: None,
            },
            table: table.definition.clone(),
            table_arn: new.table_arn.clone(),
            item_count: table.item_count,
            table_size_bytes: table.size_bytes,
        };
        let creating = begun.details.clone();
        let id = new.backup_id.clone();
        this.creating.lock().insert(id.clone(), begun);
        let upload = tokio::spawn(async move {
            let uploaded = this.upload(partition, new).await;
            this.creating.lock().remove(&id);
            uploaded.map_err(|error| failed("make a backup", &error))
        });
        match tokio::time::timeout(PATIENCE, upload).await {
            Ok(Ok(record)) => Ok(details(&record?)),
            Ok(Err(_)) => Err(errors::internal()),
            Err(_) => Ok(creating),
        }
    }

    async fn describe_backup(&self, _account: &str, arn: BackupArn<'_>) -> Result<BackupDescription, ServiceError> {
        let creating = self.0.creating.lock().get(arn.backup_id).cloned();
        match creating {
            Some(creating) => Ok(creating),
            None => self.0.record(arn).await.map(description),
        }
    }

    async fn list_backups(
        &self,
        account: &str,
        filter: &BackupFilter,
        limit: usize,
        exclusive_start_arn: Option<BackupArn<'_>>,
    ) -> Result<BackupPage, ServiceError> {
        if account != ACCOUNT {
            return Ok(BackupPage::default());
        }
        let after = exclusive_start_arn.map(|arn| arn.backup_id);
        let listed = backup::list(&self.0.bucket, CLUSTER, ACCOUNT).await;
        let listed = listed.map_err(|error| failed("list the backups", &error))?;
        let mut all: BTreeMap<String, BackupSummary> =
            self.0.creating.lock().iter().map(|(id, creating)| (id.clone(), summary(creating))).collect();
        all.extend(listed.into_iter().map(|record| (record.backup_id.clone(), summary(&description(record)))));
        let wanted = all.into_iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
        let mut wanted = wanted.map(|(_, backup)| backup).filter(|backup| filter.matches(backup));
        let backups: Vec<BackupSummary> = wanted.by_ref().take(limit).collect();
        Ok(BackupPage { backups, more: wanted.next().is_some() })
    }

    async fn delete_backup(&self, _account: &str, arn: BackupArn<'_>) -> Result<BackupDescription, ServiceError> {
        if self.0.creating.lock().contains_key(arn.backup_id) {
            return Err(errors::backup_being_created(arn));
        }
        if self.0.restoring.lock().contains_key(arn.backup_id) {
            return Err(errors::backup_being_restored(arn));
        }
        let deleted = backup::delete(&self.0.bucket, CLUSTER, ACCOUNT, arn.backup_id).await;
        let mut deleted = description(deleted.map_err(|error| match error {
            ArchiveError::NotFound { .. } => errors::backup_not_found(arn),
            error => failed("delete a backup", &error),
        })?);
        deleted.details.status = BackupStatus::Deleted;
        Ok(deleted)
    }

    async fn restorable_window(&self, table: &TableView) -> Result<Option<RestorableWindow>, ServiceError> {
        let Some(backups) = table.definition.continuous_backups else { return Ok(None) };
        let Some(recovery) = self.0.shipper.status(table.definition.table_id) else { return Ok(None) };
        let (Some(earliest_ms), Some(latest_ms)) = (recovery.earliest_ms(), recovery.latest_ms()) else {
            return Ok(None);
        };
        let period_ms = u64::from(backups.recovery_period_days) * DAY_MS;
        let earliest_ms = earliest_ms.max(backups.enabled_at_ms).max(environment::wall_ms().saturating_sub(period_ms));
        Ok((earliest_ms <= latest_ms).then_some(RestorableWindow { earliest_ms, latest_ms }))
    }

    async fn restore_from_backup(
        &self,
        _account: &str,
        arn: BackupArn<'_>,
        target: RestoreTarget,
    ) -> Result<Arc<TableView>, ServiceError> {
        if self.0.creating.lock().contains_key(arn.backup_id) {
            return Err(errors::backup_being_created(arn));
        }
        let record = self.0.record(arn).await?;
        let origin = Origin::Backup(record.backup_id);
        let plan = self.0.plan(&origin, &[]).await.map_err(|error| failed("plan a restore", &error))?;
        let from = RestoredFrom {
            source_backup_arn: Some(record.arn),
            source_table_arn: Some(record.table_arn),
            restore_time_ms: record.creation_time_ms,
        };
        let definition = target.into_definition(&plan.definition, new_table_id(), environment::wall_ms(), from)?;
        self.0.begin(origin, plan, definition).await
    }

    async fn restore_to_point_in_time(
        &self,
        _account: &str,
        source: RestoreSource<'_>,
        time: RestoreTime,
        target: RestoreTarget,
    ) -> Result<Arc<TableView>, ServiceError> {
        let (name, table_id, window) = match source {
            RestoreSource::Table(table) => {
                let name = table.definition.table_name.clone();
                let window = self.restorable_window(table).await?;
                (name.clone(), table.definition.table_id, window.ok_or_else(|| errors::nothing_restorable_yet(&name))?)
            }
            RestoreSource::Absent(name) => {
                let (table_id, window) = self.0.deleted(name).await?;
                (name.to_owned(), table_id, window)
            }
        };
        let at_ms = match time {
            RestoreTime::Latest => window.latest_ms,
            RestoreTime::Millis(at_ms) if at_ms < window.earliest_ms || at_ms > window.latest_ms => {
                return Err(errors::invalid_restore_time(at_ms, window));
            }
            RestoreTime::Millis(at_ms) => at_ms,
        };
        let origin = Origin::Past(self.0.path(table_id), Timestamp::from_millis(at_ms));
        let plan = match self.0.plan(&origin, &[]).await {
            Ok(plan) => plan,
            Err(ArchiveError::NotRestorable { reason, .. }) => {
                tracing::warn!(table = name, at_ms, reason, "a time in the window can't be restored");
                return Err(errors::invalid_restore_time(at_ms, window));
            }
            Err(error) => return Err(failed("plan a restore", &error)),
        };
        let arn = TableArn { region: &self.0.region, account: ACCOUNT, table_name: &name }.to_string();
        let from = RestoredFrom { source_backup_arn: None, source_table_arn: Some(arn), restore_time_ms: at_ms };
        // The settings of a table that is there are those it has now.
        let settings = match source {
            RestoreSource::Table(table) => &table.definition,
            RestoreSource::Absent(_) => &plan.definition,
        };
        let definition = target.into_definition(settings, new_table_id(), environment::wall_ms(), from)?;
        self.0.begin(origin, plan, definition).await
    }
}

/// The catalog of a node with an archive: a table with recovery on leaves a backup when it is deleted.
#[async_trait]
impl Catalog for SharedBackups {
    fn table(&self, account: &str, name: &str) -> Option<Arc<TableView>> {
        self.0.tables.table(account, name)
    }

    fn list_tables(&self, account: &str) -> Vec<String> {
        self.0.tables.list_tables(account)
    }

    async fn create_table(&self, account: &str, table: NewTable) -> Result<Arc<TableView>, ServiceError> {
        self.0.tables.create_table(account, table).await
    }

    async fn update_table(
        &self,
        account: &str,
        name: &str,
        update: TableUpdate,
    ) -> Result<Arc<TableView>, ServiceError> {
        self.0.tables.update_table(account, name, update).await
    }

    async fn delete_table(&self, account: &str, name: &str) -> Result<Arc<TableView>, ServiceError> {
        let Some(table) = self.table(account, name).filter(|table| table.definition.continuous_backups.is_some())
        else {
            return self.0.tables.delete_table(account, name).await;
        };
        let partition = self.0.tables.partition_of(&table)?;
        let table = self.0.tables.begin_delete(name).await?;
        let (backups, account, name) = (self.0.clone(), account.to_owned(), name.to_owned());
        let deleting = table.clone();
        tokio::spawn(async move {
            backups.leave_system_backup(&deleting, partition).await;
            if let Err(error) = backups.tables.delete_table(&account, &name).await {
                tracing::error!(table = name, %error, "failed to delete a table: it is there still");
            }
            backups.tables.end_passing(&name).await;
        });
        Ok(table)
    }
}

impl LocalBackups {
    /// The newest table of a name that was deleted, and what can be restored of it.
    async fn deleted(&self, name: &str) -> Result<(TableId, RestorableWindow), ServiceError> {
        let found = restore::find_table(&self.bucket, CLUSTER, ACCOUNT, TableRef::Name(name)).await;
        let found = found.map_err(|error| failed("look for a deleted table", &error))?;
        let newest = found.into_iter().max_by_key(|table| table.definition.creation_time_ms);
        let table_id = newest.ok_or_else(|| errors::backed_up_table_not_found(name))?.definition.table_id;
        let recovery = restore::recoverable(&self.bucket, &self.path(table_id)).await;
        let recovery = recovery.map_err(|error| failed("look for what can be restored", &error))?;
        match (recovery.earliest_ms(), recovery.latest_ms()) {
            (Some(earliest_ms), Some(latest_ms)) => Ok((table_id, RestorableWindow { earliest_ms, latest_ms })),
            _ => Err(errors::backed_up_table_not_found(name)),
        }
    }
}

fn new_table_id() -> TableId {
    TableId(uuid::Uuid::new_v4().into_bytes())
}
