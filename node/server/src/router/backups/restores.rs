//! Tables made of what lies in a bucket: the archive says what the source is, the new Table says it to the operator.

use super::ClusterBackups;
use crate::{internal::client::GroupName, router::archives::ArchiveError};
use cairn_api::{
    TableView,
    arn::BackupArn,
    backups::{RestoreSource, RestoreTarget, RestoreTime},
    errors,
};
use cairn_crds::{TableSpec, table::restore::RestoreFrom};
use cairn_model::{
    ServiceError, TableDefinition,
    archive::{self, ArchiveRefusal, Resolved, RestoreOrigin, TableReference},
    ids::TableId,
    table::RestoredFrom,
};
use k8s_openapi::jiff::Timestamp;
use std::sync::Arc;

/// Where a source was found, and what it is.
struct Found {
    group: GroupName,
    resolved: Resolved,
}

impl ClusterBackups {
    pub(super) async fn make_from_backup(
        &self,
        account: &str,
        arn: BackupArn<'_>,
        target: RestoreTarget,
    ) -> Result<Arc<TableView>, ServiceError> {
        self.catalog.check_writes()?;
        let source = archive::RestoreSource::Backup { owner: None, backup_id: arn.backup_id.to_owned() };
        let text = arn.to_string();
        let found = match self.resolve(self.archives.groups(account), &source).await {
            Ok(found) => found.filter(|found| found.resolved.backup_arn.as_ref() == Some(&text)),
            Err(error) if error.reason() == Some(ArchiveRefusal::InUse) => {
                return Err(errors::backup_being_created(arn));
            }
            Err(error) => return Err(error.internal("find the backup to restore")),
        };
        let Some(found) = found else {
            let resources = self.resources.of(account, arn).await?;
            let creating = resources.iter().any(super::description::is_creating);
            return Err(if creating { errors::backup_being_created(arn) } else { errors::backup_not_found(arn) });
        };
        let from = RestoreFrom { backup_arn: Some(text), ..nowhere() };
        self.make(account, target, &found.resolved.definition, &found, from).await
    }

    pub(super) async fn make_from_past(
        &self,
        account: &str,
        source: RestoreSource<'_>,
        time: RestoreTime,
        target: RestoreTarget,
    ) -> Result<Arc<TableView>, ServiceError> {
        self.catalog.check_writes()?;
        let groups = self.groups_to_restore_in(account, source);
        let table = match source {
            RestoreSource::Table(table) => TableReference::Id(table.definition.table_id),
            RestoreSource::Absent(name) => TableReference::Name(name.to_owned()),
        };
        let at = match time {
            RestoreTime::Latest => archive::RestoreTime::Latest,
            RestoreTime::Millis(millis) => archive::RestoreTime::Millis(millis),
        };
        let asked = archive::RestoreSource::Table { table: table.clone(), at };
        let found = match self.resolve(groups.clone(), &asked).await {
            Ok(Some(found)) => found,
            Ok(None) => return Err(nothing(source)),
            Err(error) if error.reason() == Some(ArchiveRefusal::NotRestorable) => {
                return Err(self.not_restorable(groups, source, table, time, &error).await);
            }
            Err(error) => return Err(error.internal("find the past to restore")),
        };
        let RestoreOrigin::Table { table_id, .. } = found.resolved.origin else {
            tracing::error!(group = found.group.group, "an archive found a backup where it was asked for a table");
            return Err(errors::internal());
        };
        let at = i64::try_from(found.resolved.restore_time_ms).ok();
        let at = at.and_then(|millis| Timestamp::from_millisecond(millis).ok()).ok_or_else(errors::internal)?;
        let from = RestoreFrom { table_id: Some(table_id.to_string()), at: Some(at.to_string()), ..nowhere() };
        // The settings of a table that is there are those it has now.
        let settings = match source {
            RestoreSource::Table(table) => &table.definition,
            RestoreSource::Absent(_) => &found.resolved.definition,
        };
        self.make(account, target, settings, &found, from).await
    }

    /// The groups in which the new table may lie: like any that the API makes in the default one, if its bucket has the
    /// source; else where the source is.
    fn groups_to_restore_in(&self, account: &str, source: RestoreSource<'_>) -> Vec<GroupName> {
        let mut groups = self.archives.groups(account);
        if let RestoreSource::Table(table) = source
            && let Some(own) = self.tables.group(table)
        {
            groups.retain(|group| group.group == cairn_crds::DEFAULT_STORAGE_GROUP || *group == own);
        }
        groups
    }

    /// The first of the groups in whose bucket the source is; none where it is in none.
    async fn resolve(
        &self,
        groups: Vec<GroupName>,
        source: &archive::RestoreSource,
    ) -> Result<Option<Found>, ArchiveError> {
        let mut failure: Option<ArchiveError> = None;
        for group in groups {
            match self.archives.resolve(&group, source).await {
                Ok(resolved) => return Ok(Some(Found { group, resolved })),
                Err(error) if error.reason() == Some(ArchiveRefusal::NotFound) => {}
                // Where one could not be asked, what another refuses is not the answer yet.
                Err(error) if failure.as_ref().is_none_or(|failure| failure.reason().is_some()) => {
                    failure = Some(error)
                }
                Err(_) => {}
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// What the client is told of a time that can't be restored.
    async fn not_restorable(
        &self,
        groups: Vec<GroupName>,
        source: RestoreSource<'_>,
        table: TableReference,
        time: RestoreTime,
        refusal: &ArchiveError,
    ) -> ServiceError {
        let RestoreTime::Millis(time_ms) = time else { return nothing(source) };
        let known = match self.past_of(groups, table).await {
            Ok(Some((group, table_id))) => self.window(&group, table_id).await,
            Ok(None) => Ok(None),
            Err(error) => Err(error.internal("look for what can be restored")),
        };
        match known {
            Ok(Some(window)) => {
                if window.contains(time_ms) {
                    tracing::warn!(time_ms, reason = %refusal, "a time in the window can't be restored");
                }
                errors::invalid_restore_time(time_ms, window)
            }
            Ok(None) => nothing(source),
            Err(error) => error,
        }
    }

    /// The table that is meant, and the group whose bucket has its past.
    async fn past_of(
        &self,
        groups: Vec<GroupName>,
        table: TableReference,
    ) -> Result<Option<(GroupName, TableId)>, ArchiveError> {
        let latest = archive::RestoreSource::Table { table, at: archive::RestoreTime::Latest };
        match self.resolve(groups, &latest).await {
            Ok(found) => Ok(found.and_then(|found| match found.resolved.origin {
                RestoreOrigin::Table { table_id, .. } => Some((found.group, table_id)),
                RestoreOrigin::Backup { .. } => None,
            })),
            Err(error) if error.reason() == Some(ArchiveRefusal::NotRestorable) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn make(
        &self,
        account: &str,
        target: RestoreTarget,
        settings: &TableDefinition,
        found: &Found,
        from: RestoreFrom,
    ) -> Result<Arc<TableView>, ServiceError> {
        let restored_from = RestoredFrom {
            source_backup_arn: found.resolved.backup_arn.clone(),
            source_table_arn: Some(found.resolved.table_arn.clone()),
            restore_time_ms: found.resolved.restore_time_ms,
        };
        let name = target.table_name.clone();
        // The resource's uid becomes the id, its creation time the table's, its namespace the account.
        let definition =
            target.into_definition(settings, TableId([0; 16]), 0, restored_from.clone(), || TableId([0; 16]))?;
        let spec = TableSpec {
            storage_group: found.group.group.clone(),
            restore_from: Some(from),
            ..TableSpec::from_definition(&definition)
        };
        let taken = |table: Option<&TableView>| match table {
            Some(table) => errors::restore_target_taken(table),
            None => errors::restore_target_exists(&name),
        };
        let mut view = self.catalog.create(account, &name, spec, taken).await?;
        view.definition.restored_from = Some(restored_from);
        Ok(Arc::new(view))
    }
}

/// What the client is told of a source of which nothing can be restored.
fn nothing(source: RestoreSource<'_>) -> ServiceError {
    match source {
        RestoreSource::Table(table) => errors::nothing_restorable_yet(&table.definition.table_name),
        RestoreSource::Absent(name) => errors::backed_up_table_not_found(name),
    }
}

fn nowhere() -> RestoreFrom {
    RestoreFrom { table: None, table_id: None, backup: None, backup_arn: None, at: None, latest: None }
}
