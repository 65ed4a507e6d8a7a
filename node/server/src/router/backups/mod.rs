//! The backups of a cluster's tables: they lie in the buckets of the storage groups' archives, and the operator makes them
//! and the tables restored from them, as `Backup` and `Table` resources ask.

mod description;
mod listing;
mod resources;
mod restores;

use super::{archives::Archives, catalog::KubernetesCatalog, tables::Tables, writes::ApiWrites};
use crate::internal::client::GroupName;
use async_trait::async_trait;
use cairn_api::{
    Backups, TableView,
    arn::BackupArn,
    backups::{
        BackupDescription, BackupDetails, BackupFilter, BackupPage, BackupSummary, RestorableWindow, RestoreSource,
        RestoreTarget, RestoreTime,
    },
    errors,
};
use cairn_crds::{Backup, Table};
use cairn_model::{
    ServiceError,
    archive::{ArchiveRefusal, BackupReport, BackupState},
    ids::TableId,
    table::TableStatus,
};
use futures::StreamExt;
use kube::{Client, ResourceExt};
use resources::Resources;
use std::{collections::BTreeMap, sync::Arc};

/// Groups of an account asked at once.
const GROUPS_AT_ONCE: usize = 16;

#[allow(missing_debug_implementations)]
pub struct ClusterBackups {
    archives: Arc<Archives>,
    resources: Resources,
    catalog: Arc<KubernetesCatalog>,
    tables: Arc<Tables>,
    region: String,
}

impl ClusterBackups {
    pub fn new(
        region: String,
        archives: Arc<Archives>,
        client: Client,
        catalog: Arc<KubernetesCatalog>,
        tables: Arc<Tables>,
        writes: ApiWrites,
    ) -> Self {
        Self { archives, resources: Resources::new(client, region.clone(), writes), catalog, tables, region }
    }

    /// The backup of this ARN that is in the bucket of one of the account's groups, whole.
    async fn in_bucket(
        &self,
        account: &str,
        arn: BackupArn<'_>,
    ) -> Result<Option<(GroupName, BackupReport)>, ServiceError> {
        let text = arn.to_string();
        let asked = self.archives.groups(account).into_iter().map(|group| async move {
            let report = self.archives.describe_backup(&group, arn.backup_id).await;
            (group, report)
        });
        let mut answers = futures::stream::iter(asked).buffered(GROUPS_AT_ONCE);
        let mut failure = None;
        while let Some((group, report)) = answers.next().await {
            match report {
                Ok(report) if report.order.arn == text => return Ok(Some((group, report))),
                Ok(_) => {}
                Err(error) if error.reason() == Some(ArchiveRefusal::NotFound) => {}
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) => Err(error.internal("look for a backup")),
            None => Ok(None),
        }
    }

    /// Whether a table is being made of the backup that these resources stand for too.
    fn is_being_restored(&self, account: &str, arn: BackupArn<'_>, resources: &[Backup]) -> bool {
        let arn = arn.to_string();
        let named = |name: &String| resources.iter().any(|resource| resource.name_any() == *name);
        self.tables.resources(account).iter().filter(|table| is_creating(table)).any(|table| {
            match table.status.as_ref().and_then(|status| status.restore.as_ref()) {
                Some(restore) => restore.restore_in_progress && restore.source_backup_arn.as_ref() == Some(&arn),
                None => table.spec.restore_from.as_ref().is_some_and(|from| {
                    from.backup_arn.as_ref() == Some(&arn) || from.backup.as_ref().is_some_and(named)
                }),
            }
        })
    }

    /// What of a table can be restored, as the bucket of this group has it.
    async fn window(&self, group: &GroupName, table_id: TableId) -> Result<Option<RestorableWindow>, ServiceError> {
        let recovery = match self.archives.recovery(group, table_id).await {
            Ok(recovery) => recovery,
            Err(error) if error.reason() == Some(ArchiveRefusal::NotFound) => return Ok(None),
            Err(error) => return Err(error.internal("look for what can be restored")),
        };
        let (first, last) = (recovery.windows.first(), recovery.windows.last());
        let window = |(first, last): (&cairn_model::archive::RecoveryWindow, &cairn_model::archive::RecoveryWindow)| {
            RestorableWindow { earliest_ms: first.earliest_ms, latest_ms: last.latest_ms }
        };
        Ok(first.zip(last).map(window))
    }
}

fn is_creating(table: &Table) -> bool {
    let status = table.status.as_ref().and_then(|status| status.table_status);
    table.metadata.deletion_timestamp.is_none() && status.is_none_or(|status| status == TableStatus::Creating)
}

#[async_trait]
impl Backups for ClusterBackups {
    fn covers(&self, table: &TableView) -> bool {
        self.tables.group(table).is_some_and(|group| self.archives.has(&group))
    }

    async fn create_backup(&self, table: &TableView, name: &str) -> Result<BackupDetails, ServiceError> {
        let definition = &table.definition;
        let asked_for = self.resources.create(&definition.account, &definition.table_name, name).await?;
        let resource = self.resources.settled(asked_for).await;
        let arn = description::arn(&resource, &self.region);
        arn.and_then(|arn| description::details(&resource, arn)).ok_or_else(errors::internal)
    }

    async fn describe_backup(&self, account: &str, arn: BackupArn<'_>) -> Result<BackupDescription, ServiceError> {
        if let Some((_, report)) = self.in_bucket(account, arn).await? {
            return Ok(report.into());
        }
        let resources = self.resources.of(account, arn).await?;
        let creating = resources.iter().filter(|resource| description::is_creating(resource));
        let mut creating =
            creating.filter_map(|resource| description::of_resource(resource, &self.tables, &self.region));
        if let Some(creating) = creating.next() {
            return Ok(creating);
        }
        // It may have become whole between the two looks.
        let whole = |resource: &Backup| {
            resource.status.as_ref().and_then(|status| status.backup_status) == Some(BackupState::Available)
        };
        let report = if resources.iter().any(whole) { self.in_bucket(account, arn).await? } else { None };
        report.map(|(_, report)| report.into()).ok_or_else(|| errors::backup_not_found(arn))
    }

    async fn list_backups(
        &self,
        account: &str,
        filter: &BackupFilter,
        limit: usize,
        exclusive_start_arn: Option<BackupArn<'_>>,
    ) -> Result<BackupPage, ServiceError> {
        // Before the buckets: what becomes whole meanwhile is in both, and not in neither.
        let resources = self.resources.list(account).await?;
        let creating = resources.iter().filter(|resource| description::is_creating(resource));
        let creating: BTreeMap<String, BackupSummary> = creating
            .filter_map(|resource| {
                let summary = description::of_resource(resource, &self.tables, &self.region)?.summary();
                let id = BackupArn::parse(&summary.details.arn)?.backup_id.to_owned();
                Some((id, summary))
            })
            .collect();
        let after = exclusive_start_arn.map(|arn| arn.backup_id);
        listing::page(&self.archives, self.archives.groups(account), creating, filter, limit, after).await
    }

    async fn delete_backup(&self, account: &str, arn: BackupArn<'_>) -> Result<BackupDescription, ServiceError> {
        self.resources.check_writes()?;
        let mut resources = self.resources.of(account, arn).await?;
        resources.iter().try_for_each(|resource| self.resources.check_owner(resource))?;
        let found = self.in_bucket(account, arn).await?;
        for resource in &mut resources {
            // Where it is in the bucket, the operator is about to say so.
            if found.is_some() {
                *resource = self.resources.settled(resource.clone()).await;
            }
            if description::is_creating(resource) {
                return Err(errors::backup_being_created(arn));
            }
        }
        let (group, report) = found.ok_or_else(|| errors::backup_not_found(arn))?;
        if self.is_being_restored(account, arn, &resources) {
            return Err(errors::backup_being_restored(arn));
        }
        let deleted = match self.archives.delete_backup(&group, arn.backup_id).await {
            Ok(deleted) => deleted,
            // Deleted just now, perhaps by an archive that did not come to say so.
            Err(error) if error.reason() == Some(ArchiveRefusal::NotFound) => report,
            Err(error) if error.reason() == Some(ArchiveRefusal::InUse) => {
                return Err(errors::backup_being_restored(arn));
            }
            Err(error) => return Err(error.internal("delete a backup")),
        };
        for resource in &resources {
            if let Err(error) = self.resources.delete(resource).await {
                tracing::warn!(
                    account,
                    name = resource.name_any(),
                    %error,
                    "a backup is deleted and its Backup resource is still there: delete it by hand"
                );
            }
        }
        let mut deleted = BackupDescription::from(deleted);
        deleted.details.status = BackupState::Deleted;
        Ok(deleted)
    }

    async fn restorable_window(&self, table: &TableView) -> Result<Option<RestorableWindow>, ServiceError> {
        let definition = &table.definition;
        let resource = self.tables.resource(&definition.account, &definition.table_name);
        let noted =
            |resource: &Table| resource.status.as_ref().is_some_and(|status| status.continuous_backups.is_some());
        if resource.is_some_and(|resource| !noted(&resource)) {
            return Ok(None);
        }
        match self.tables.group(table) {
            Some(group) => self.window(&group, definition.table_id).await,
            None => Ok(None),
        }
    }

    async fn restore_from_backup(
        &self,
        account: &str,
        arn: BackupArn<'_>,
        target: RestoreTarget,
    ) -> Result<Arc<TableView>, ServiceError> {
        self.make_from_backup(account, arn, target).await
    }

    async fn restore_to_point_in_time(
        &self,
        account: &str,
        source: RestoreSource<'_>,
        time: RestoreTime,
        target: RestoreTarget,
    ) -> Result<Arc<TableView>, ServiceError> {
        self.make_from_past(account, source, time, target).await
    }
}
