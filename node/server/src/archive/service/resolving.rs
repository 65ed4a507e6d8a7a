//! What can be restored, from the bucket alone: the tables and their nodes may be gone.

use super::{ArchiveService, refusal::Refusal};
use crate::{
    archive::past::{self, Past, path_of},
    environment,
};
use cairn_api::arn::TableArn;
use cairn_archive::table::{self, Deletion};
use cairn_model::{
    archive::{
        ArchiveOwner, ArchiveRefusal, Recovery, Resolved, RestoreOrigin, RestoreSource, RestoreTime, TableReference,
    },
    ids::TableId,
    table::TableDefinition,
};

impl ArchiveService {
    pub(super) async fn recovery(&self, table_id: TableId) -> Result<Recovery, Refusal> {
        let (_, past) = self.find(&TableReference::Id(table_id)).await?;
        Ok(recovery(past))
    }

    pub(super) async fn resolve(&self, source: RestoreSource) -> Result<Resolved, Refusal> {
        match source {
            RestoreSource::Backup { owner, backup_id } => self.resolve_backup(owner, &backup_id).await,
            RestoreSource::Table { table, at } => self.resolve_table(&table, at).await,
        }
    }

    async fn resolve_backup(&self, owner: Option<ArchiveOwner>, id: &str) -> Result<Resolved, Refusal> {
        let order = self.backup(owner.as_ref(), id).await?.order;
        let owner = owner.unwrap_or_else(|| self.own.clone());
        Ok(Resolved {
            origin: RestoreOrigin::Backup { owner, backup_id: order.backup_id },
            definition: order.definition,
            table_arn: order.table_arn,
            backup_arn: Some(order.arn),
            restore_time_ms: order.creation_time_ms,
        })
    }

    async fn resolve_table(&self, table: &TableReference, time: RestoreTime) -> Result<Resolved, Refusal> {
        let (definition, past) = self.find(table).await?;
        let Some((restore_time_ms, at)) = past.moment(time) else {
            return Err(Refusal::new(ArchiveRefusal::NotRestorable, past.refusal(&definition.table_name, time)));
        };
        let (region, account) = (&self.own.region, &self.own.account);
        let table_arn = TableArn { region, account, table_name: &definition.table_name }.to_string();
        let origin = RestoreOrigin::Table { owner: self.own.clone(), table_id: definition.table_id, at };
        Ok(Resolved { origin, definition, table_arn, backup_arn: None, restore_time_ms })
    }

    async fn find(&self, table: &TableReference) -> Result<(TableDefinition, Past), Refusal> {
        let found = past::find(&self.reach.bucket()?, &self.own, table, environment::wall_ms()).await;
        found.map_err(|error| Refusal::from(&error))?.ok_or_else(|| {
            let table = match table {
                TableReference::Name(name) => name.clone(),
                TableReference::Id(id) => id.to_string(),
            };
            let account = &self.own.account;
            let message =
                format!("the bucket has no table {table} of {account}: it never had point-in-time recovery on");
            Refusal::new(ArchiveRefusal::NotFound, message)
        })
    }

    pub(super) async fn mark_deleted(&self, table_id: TableId, deletion: Deletion) -> Result<(), Refusal> {
        let marked = table::mark_deleted(&self.reach.bucket()?, &path_of(&self.own, table_id), deletion).await;
        marked.map_err(|error| Refusal::from(&error))
    }
}

pub(super) fn recovery(past: Past) -> Recovery {
    Recovery { windows: past.windows(), problems: past.into_problems() }
}
