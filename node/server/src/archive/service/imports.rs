//! Tables on their way out of import files into the node beside this archive, and what the bucket knows of them.
//!
//! How an import ended is in the bucket before the node is told to take the partition: an archive that is asked again finds
//! the node with the partition and how it went, or begins anew.

use super::{ArchiveService, jobs::Jobs, reach::Opened, refusal::Refusal};
use crate::{
    archive::{
        Adopter,
        importing::{Progress, fill, give_up},
    },
    environment,
};
use cairn_archive::{ArchiveError, import::Imports};
use cairn_model::{
    archive::{
        ArchiveAnswer, ArchiveRefusal,
        import::{IMPORTS_KEPT_MS, ImportOrder, ImportOutcome, ImportReport},
    },
    arn::is_backup_id,
    descriptor::{KeyRange, PartitionDescriptor},
};
use std::sync::Arc;

/// Imports on their way at once.
const IMPORTS_MAX: usize = 2;
/// Of one page.
const PAGE_MAX: usize = 100;

pub(super) struct Importing {
    order: ImportOrder,
    progress: Progress,
}

pub(super) type Importings = Jobs<String, Importing>;

pub(super) fn importings() -> Importings {
    Jobs::new(IMPORTS_MAX)
}

impl ArchiveService {
    pub(super) async fn import(
        &self,
        descriptor: PartitionDescriptor,
        order: ImportOrder,
    ) -> Result<ImportReport, Refusal> {
        self.check_import(&descriptor, &order)?;
        let id = order.import_id.clone();
        if let Some(importing) = self.importings.look(&id)? {
            return Ok(importing.told());
        }
        let opened = self.reach.opened()?;
        let records = self.records(&opened);
        let has = self.adopter.has(descriptor.partition_id).await;
        let has =
            has.map_err(|error| Refusal::failed(format!("the node can't be asked for its partitions: {error:#}")))?;
        match records.get(&id).await {
            Ok((order, Some(outcome))) if has || !outcome.completed => return Ok(ended(&records, order, outcome)),
            Ok(_) | Err(ArchiveError::NotFound { .. }) if !has => {}
            Ok(_) => return Err(unknown(&id)),
            Err(error) => return Err(Refusal::of_lookup(&format!("import {id}"), &error)),
        }
        let importing = Importing { order, progress: Progress::default() };
        let waiting = importing.told();
        let adopter = self.adopter.clone();
        self.importings.begin(
            &id,
            importing,
            |_| false,
            |importing| async move {
                let table = importing.order.definition.table_name.clone();
                match run(&opened, &records, adopter, &importing, descriptor).await {
                    Ok(outcome) => {
                        let reason = outcome.failure.map_or_else(String::new, |failure| failure.message);
                        tracing::info!(
                            table,
                            items = outcome.progress.imported_item_count,
                            reason,
                            "an import has ended"
                        );
                        Ok(())
                    }
                    Err(error) => {
                        let error = &*error as &dyn std::error::Error;
                        tracing::error!(table, error, "failed to import a table");
                        Err(Refusal::failed(format!("{error:#}")))
                    }
                }
            },
        );
        // It may have been fast, and there may have been no place for it.
        Ok(self.importings.look(&id)?.map_or(waiting, |importing| importing.told()))
    }

    pub(super) async fn describe_import(&self, id: &str) -> Result<ImportReport, Refusal> {
        check_id(id)?;
        let records = self.records(&self.reach.opened()?);
        let got = records.get(id).await.map_err(|error| Refusal::of_lookup(&format!("import {id}"), &error));
        got.map(|(order, outcome)| report(&records, order, outcome))
    }

    pub(super) async fn list_imports(
        &self,
        table_arn: Option<&str>,
        below: Option<&str>,
        limit: usize,
    ) -> Result<ArchiveAnswer, Refusal> {
        let records = self.records(&self.reach.opened()?);
        let oldest_ms = environment::wall_ms().saturating_sub(IMPORTS_KEPT_MS);
        let page = records.page(table_arn, below, limit.clamp(1, PAGE_MAX), oldest_ms).await;
        let page = page.map_err(|error| Refusal::from(&error))?;
        let imports = page.imports.into_iter().map(|(order, outcome)| report(&records, order, outcome)).collect();
        Ok(ArchiveAnswer::Imports { imports, read_to: page.read_to })
    }

    fn records(&self, opened: &Opened) -> Imports {
        Imports::new(opened.bucket.clone(), &opened.config, &self.own.region, &self.own.account)
    }

    fn check_import(&self, descriptor: &PartitionDescriptor, order: &ImportOrder) -> Result<(), Refusal> {
        let invalid = |message: String| Err(Refusal::new(ArchiveRefusal::Invalid, message));
        check_id(&order.import_id)?;
        if order.definition.account != self.own.account {
            let (account, own) = (&order.definition.account, &self.own.account);
            return invalid(format!("order.definition.account: it is {account}, and this archive is of {own}"));
        }
        if descriptor.table_id != order.definition.table_id {
            return invalid("descriptor.tableId: it is not order.definition.tableId".to_owned());
        }
        if descriptor.range != KeyRange::default() {
            return invalid("descriptor.range: an import makes a table of one partition".to_owned());
        }
        Ok(())
    }
}

/// It becomes part of paths.
fn check_id(id: &str) -> Result<(), Refusal> {
    if is_backup_id(id) {
        return Ok(());
    }
    Err(Refusal::new(ArchiveRefusal::Invalid, format!("importId: {id:?} is not the id of an import")))
}

fn unknown(id: &str) -> Refusal {
    Refusal::new(
        ArchiveRefusal::NotFound,
        format!("the node has the table, and the bucket not how the import {id} ended"),
    )
}

fn report(records: &Imports, order: ImportOrder, outcome: Option<ImportOutcome>) -> ImportReport {
    match outcome {
        Some(outcome) => ended(records, order, outcome),
        None => ImportReport::in_progress(order, Default::default()),
    }
}

fn ended(records: &Imports, order: ImportOrder, outcome: ImportOutcome) -> ImportReport {
    let error_log = records.error_log_url(&order.import_id);
    ImportReport::ended(order, outcome, error_log)
}

impl Importing {
    fn told(&self) -> ImportReport {
        ImportReport::in_progress(self.order.clone(), self.progress.get())
    }
}

async fn run(
    opened: &Opened,
    records: &Imports,
    adopter: Arc<dyn Adopter>,
    Importing { order, progress }: &Importing,
    descriptor: PartitionDescriptor,
) -> anyhow::Result<ImportOutcome> {
    match records.create(order).await {
        // What is asked of the table may have changed since; what it is made of can't.
        Ok(()) | Err(ArchiveError::Exists { .. }) => records.reopen(&order.import_id).await?,
        Err(error) => return Err(error.into()),
    }
    let (log, log_url) = (records.error_log(&order.import_id), records.error_log_url(&order.import_id));
    let (outcome, intake) = fill(&opened.config, order, log, &log_url, progress, move || adopter.fill()).await?;
    if let Err(error) = records.end(&order.import_id, &outcome).await {
        give_up(intake).await;
        return Err(error.into());
    }
    if let Some(intake) = intake {
        let definition = order.definition.clone();
        tokio::task::spawn_blocking(move || intake.adopt(descriptor, definition)).await??;
    }
    Ok(outcome)
}
