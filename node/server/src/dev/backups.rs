//! The backups of `cairn dev`: what its archive keeps, and the tables that are being made of it.

use super::tables::{ACCOUNT, LocalTables, new_table_id};
use crate::{
    archive::{
        self, HostSource, RestoringPartition,
        past::{self, Past, path_of},
    },
    environment,
    node::Node,
};
use async_trait::async_trait;
use cairn_api::{
    Backups, Catalog, NewTable, TableUpdate, TableView, TagUpdate, Tags,
    arn::{BackupArn, TableArn, backup_id},
    backups::{
        BackupDescription, BackupDetails, BackupFilter, BackupPage, BackupState, BackupSummary, BackupType,
        RestorableWindow, RestoreSource, RestoreTarget, RestoreTime,
    },
    errors,
};
use cairn_archive::{
    ArchiveError, Bucket, Shipper, Source,
    backup::{self, BackupOrder, BackupRecord},
    table::{self, Deletion},
};
use cairn_model::{
    ServiceError, TableDefinition,
    archive::{self as model, ArchiveOwner, BackupReport, RestoreOrigin, TableReference},
    ids::{PartitionId, TableId},
    table::RestoredFrom,
    table_class::TableClassHistory,
    throughput::ThroughputHistory,
};
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
/// The longest wait between two attempts to make a deleted table's last backup.
const SYSTEM_BACKUP_PAUSE_MAX: Duration = Duration::from_secs(30);
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

    async fn record(&self, arn: BackupArn<'_>) -> Result<BackupRecord, ServiceError> {
        let got = backup::get(&self.bucket, CLUSTER, ACCOUNT, arn.backup_id).await;
        got.map_err(|error| match error {
            ArchiveError::NotFound { .. } => errors::backup_not_found(arn),
            error => failed("read a backup", &error),
        })
    }

    fn new_backup(&self, table: &TableView, name: String, backup_type: BackupType) -> BackupOrder {
        let now_ms = environment::wall_ms();
        let is_system = backup_type == BackupType::System;
        let backup_id = backup_id(now_ms, uuid::Uuid::new_v4().as_fields().0);
        let table_arn = TableArn { region: &self.region, account: ACCOUNT, table_name: &table.definition.table_name };
        let arn = BackupArn { table: table_arn, backup_id: &backup_id }.to_string();
        BackupOrder {
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
    async fn upload(&self, partition: PartitionId, order: BackupOrder) -> Result<BackupRecord, ArchiveError> {
        let source = HostSource(self.node.host().clone());
        let claim = source.close(partition).await?;
        archive::back_up(&source, &self.bucket, &owner(), (partition, claim), order, Arc::default()).await
    }

    /// Makes the backup that a table with recovery on leaves when it is deleted; the table stays until that is there.
    async fn leave_system_backup(&self, table: &TableView, partition: PartitionId) {
        let name = &table.definition.table_name;
        let mut pause = Duration::from_secs(1);
        loop {
            let backup_name = format!("{name}$DeletedTableBackup");
            let new = self.new_backup(table, backup_name, BackupType::System);
            match self.upload(partition, new).await {
                Ok(_) => return,
                Err(error) => tracing::warn!(
                    table = name,
                    error = &error as &dyn std::error::Error,
                    "a table that is being deleted waits until the archive has its last backup; without one it goes when its \
                     point-in-time recovery is turned off before"
                ),
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(SYSTEM_BACKUP_PAUSE_MAX);
        }
    }

    /// Notes in the archive that a table is gone, so that what is there of it goes too in time.
    async fn mark_deleted(&self, table_id: TableId) {
        let deletion = Deletion { at_ms: environment::wall_ms(), with_archive: false };
        let marked = table::mark_deleted(&self.bucket, &path_of(&owner(), table_id), deletion).await;
        if let Err(error) = marked {
            tracing::warn!(table = %table_id, error = &error as &dyn std::error::Error, "the archive of a deleted table does not know that it is, and is kept");
        }
    }

    /// Begins to make a table of what lies in the archive.
    async fn begin(
        self: &Arc<Self>,
        origin: RestoreOrigin,
        definition: TableDefinition,
    ) -> Result<Arc<TableView>, ServiceError> {
        let view = self.tables.begin_restore(definition.clone()).await?;
        let reading = match &origin {
            RestoreOrigin::Backup { backup_id, .. } => Some(Reading::begin(&self.restoring, backup_id)),
            RestoreOrigin::Table { .. } => None,
        };
        let backups = self.clone();
        tokio::spawn(async move {
            let (table, table_id) = (definition.table_name.clone(), definition.table_id);
            match backups.restore(&origin, definition).await {
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
            backups.tables.end_passing(table_id).await;
        });
        Ok(view)
    }

    async fn restore(&self, origin: &RestoreOrigin, definition: TableDefinition) -> anyhow::Result<()> {
        let plan = |except: Vec<String>| async move { archive::plan(&self.bucket, origin, &except).await };
        let node = self.node.clone();
        let begin = move || RestoringPartition::begin(node.host(), node.disk());
        let end = |partition: RestoringPartition| Ok(partition.finish()?);
        let restored = archive::load(plan, Arc::default(), begin, end).await?;
        self.tables.adopt(restored, definition).await
    }
}

/// Under whose name the archive has what is here.
pub(super) fn owner() -> ArchiveOwner {
    ArchiveOwner { region: CLUSTER.to_owned(), account: ACCOUNT.to_owned() }
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

fn description(record: BackupRecord) -> BackupDescription {
    record.into_report(BackupState::Available).into()
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
        let new = this.new_backup(table, name.to_owned(), BackupType::User);
        let begun = BackupDescription::from(BackupReport {
            order: new.clone(),
            state: BackupState::Creating,
            item_count: table.item_count,
            table_size_bytes: table.size_bytes,
            size_bytes: 0,
            bytes_done: 0,
        });
        let creating = begun.details.clone();
        let id = new.backup_id.clone();
        this.creating.lock().insert(id.clone(), begun);
        let upload = tokio::spawn(async move {
            let uploaded = this.upload(partition, new).await;
            this.creating.lock().remove(&id);
            uploaded.map_err(|error| failed("make a backup", &error))
        });
        match tokio::time::timeout(PATIENCE, upload).await {
            Ok(Ok(record)) => Ok(description(record?).details),
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
            self.0.creating.lock().iter().map(|(id, creating)| (id.clone(), creating.summary())).collect();
        all.extend(listed.into_iter().map(|record| (record.order.backup_id.clone(), description(record).summary())));
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
        deleted.details.status = BackupState::Deleted;
        Ok(deleted)
    }

    async fn restorable_window(&self, table: &TableView) -> Result<Option<RestorableWindow>, ServiceError> {
        Ok(window_of(&self.0.past(table)))
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
        let origin = RestoreOrigin::Backup { owner: owner(), backup_id: record.order.backup_id };
        let from = RestoredFrom {
            source_backup_arn: Some(record.order.arn),
            source_table_arn: Some(record.order.table_arn),
            restore_time_ms: record.order.creation_time_ms,
        };
        let definition = target.into_definition(
            &record.order.definition,
            new_table_id(),
            environment::wall_ms(),
            from,
            new_table_id,
        )?;
        self.0.begin(origin, definition).await
    }

    async fn restore_to_point_in_time(
        &self,
        _account: &str,
        source: RestoreSource<'_>,
        time: RestoreTime,
        target: RestoreTarget,
    ) -> Result<Arc<TableView>, ServiceError> {
        // The settings of a table that is there are those it has now.
        let (settings, past) = match source {
            RestoreSource::Table(table) => (table.definition.clone(), self.0.past(table)),
            RestoreSource::Absent(name) => self.0.deleted(name).await?,
        };
        let name = settings.table_name.clone();
        let window = window_of(&past).ok_or_else(|| match source {
            RestoreSource::Table(_) => errors::nothing_restorable_yet(&name),
            RestoreSource::Absent(_) => errors::backed_up_table_not_found(&name),
        })?;
        let time = match time {
            RestoreTime::Latest => model::RestoreTime::Latest,
            RestoreTime::Millis(at_ms) => model::RestoreTime::Millis(at_ms),
        };
        let Some((at_ms, at)) = past.moment(time) else {
            tracing::warn!("{}", past.refusal(&name, time));
            let at_ms = match time {
                model::RestoreTime::Latest => window.latest_ms,
                model::RestoreTime::Millis(at_ms) => at_ms,
            };
            return Err(errors::invalid_restore_time(at_ms, window));
        };
        let origin = RestoreOrigin::Table { owner: owner(), table_id: settings.table_id, at };
        match archive::plan(&self.0.bucket, &origin, &[]).await {
            Ok(_) => {}
            Err(ArchiveError::NotRestorable { reason, .. }) => {
                tracing::warn!(table = name, at_ms, reason, "a time in the window can't be restored");
                return Err(errors::invalid_restore_time(at_ms, window));
            }
            Err(error) => return Err(failed("plan a restore", &error)),
        }
        let arn = TableArn { region: &self.0.region, account: ACCOUNT, table_name: &name }.to_string();
        let from = RestoredFrom { source_backup_arn: None, source_table_arn: Some(arn), restore_time_ms: at_ms };
        let definition =
            target.into_definition(&settings, new_table_id(), environment::wall_ms(), from, new_table_id)?;
        self.0.begin(origin, definition).await
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

    fn throughput_history(&self, table: &TableView) -> ThroughputHistory {
        self.0.tables.throughput_history(table)
    }

    fn table_class_history(&self, table: &TableView) -> TableClassHistory {
        self.0.tables.table_class_history(table)
    }

    async fn tags(&self, table: &TableView) -> Result<Tags, ServiceError> {
        self.0.tables.tags(table).await
    }

    async fn update_tags(&self, account: &str, name: &str, update: TagUpdate) -> Result<(), ServiceError> {
        self.0.tables.update_tags(account, name, update).await
    }

    async fn delete_table(&self, account: &str, name: &str) -> Result<Arc<TableView>, ServiceError> {
        let Some(table) = self.table(account, name).filter(|table| table.definition.continuous_backups.is_some())
        else {
            return self.0.tables.delete_table(account, name).await;
        };
        let partition = self.0.tables.partition_of(&table)?;
        let table = self.0.tables.begin_delete(name).await?;
        let (backups, deleting) = (self.0.clone(), table.clone());
        tokio::spawn(async move {
            let (name, table_id) = (&deleting.definition.table_name, deleting.definition.table_id);
            backups.leave_system_backup(&deleting, partition).await;
            match backups.tables.drop_table(table_id).await {
                Ok(()) => backups.mark_deleted(table_id).await,
                Err(error) => tracing::error!(table = name, %error, "failed to delete a table: it is there still"),
            }
            backups.tables.end_passing(table_id).await;
        });
        Ok(table)
    }
}

impl LocalBackups {
    /// What can be restored of a table that is there.
    fn past(&self, table: &TableView) -> Past {
        let definition = &table.definition;
        let shipped = definition.continuous_backups.and_then(|_| self.shipper.status(definition.table_id));
        Past::new(shipped.unwrap_or_default(), definition, environment::wall_ms())
    }

    /// A table that is not there any more, and what can be restored of it.
    async fn deleted(&self, name: &str) -> Result<(TableDefinition, Past), ServiceError> {
        let table = TableReference::Name(name.to_owned());
        let found = past::find(&self.bucket, &owner(), &table, environment::wall_ms()).await;
        let found = found.map_err(|error| failed("look for a deleted table", &error))?;
        found.ok_or_else(|| errors::backed_up_table_not_found(name))
    }
}

/// From its earliest time to its latest.
fn window_of(past: &Past) -> Option<RestorableWindow> {
    let windows = past.windows();
    let (first, last) = (windows.first()?, windows.last()?);
    Some(RestorableWindow { earliest_ms: first.earliest_ms, latest_ms: last.latest_ms })
}
