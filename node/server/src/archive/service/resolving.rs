//! What can be restored, from the bucket alone: the tables and their nodes may be gone.

use super::{ArchiveService, refusal::Refusal};
use crate::{
    archive::past::{self, Past, path_of},
    environment,
};
use cairn_api::arn::TableArn;
use cairn_archive::table;
use cairn_model::{
    archive::{
        ArchiveOwner, ArchiveRefusal, ArchiveReport, Recovery, Resolved, RestoreOrigin, RestoreSource, RestoreTime,
        TableArchive, TableReference,
    },
    ids::{PartitionId, TableId},
    table::TableDefinition,
};
use std::{collections::BTreeMap, time::Duration};

/// For a node to answer at all.
const NODE_DEADLINE: Duration = Duration::from_secs(2);

impl ArchiveService {
    /// From memory, but for whether the node answers.
    pub(super) async fn report(&self) -> ArchiveReport {
        let shipper = self.reach.shipper();
        let unreachable = match self.reach.unreachable() {
            Some(why) => Some(why),
            None => self.node_unreachable().await,
        };
        // One table may have several partitions here.
        let led: BTreeMap<TableId, TableDefinition> =
            self.source.partitions().into_iter().map(|led| (led.definition.table_id, led.definition)).collect();
        let now_ms = environment::wall_ms();
        let tables = led.into_iter().map(|(table_id, definition)| {
            let shipped = shipper.as_ref().and_then(|shipper| shipper.status(table_id));
            let mut recovery = recovery(Past::new(shipped.unwrap_or_default(), &definition, now_ms));
            recovery.problems.extend(unreachable.clone());
            TableArchive { table_id, recovery }
        });
        let tables = tables.collect();
        ArchiveReport { version: env!("CARGO_PKG_VERSION").to_owned(), unreachable, tables }
    }

    /// Why the node beside this archive can't be asked, if it can't.
    async fn node_unreachable(&self) -> Option<String> {
        // A partition that nobody has.
        let asked = tokio::time::timeout(NODE_DEADLINE, self.adopter.has(PartitionId([0; 16]))).await;
        let error = match asked {
            Ok(answered) => answered.err().map(|error| format!("{error:#}"))?,
            Err(_) => format!("it did not answer within {} s", NODE_DEADLINE.as_secs()),
        };
        Some(format!("the storage node beside the archive can't be asked: {error}"))
    }

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
        let record = self.backup(owner.as_ref(), id).await?;
        let owner = owner.unwrap_or_else(|| self.own.clone());
        Ok(Resolved {
            origin: RestoreOrigin::Backup { owner, backup_id: record.backup_id },
            definition: record.definition,
            table_arn: record.table_arn,
            backup_arn: Some(record.arn),
            restore_time_ms: record.creation_time_ms,
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

    pub(super) async fn mark_deleted(&self, table_id: TableId, deleted_at_ms: u64) -> Result<(), Refusal> {
        let marked = table::mark_deleted(&self.reach.bucket()?, &path_of(&self.own, table_id), deleted_at_ms).await;
        marked.map_err(|error| Refusal::from(&error))
    }
}

fn recovery(past: Past) -> Recovery {
    Recovery { windows: past.windows(), problems: past.into_problems() }
}
