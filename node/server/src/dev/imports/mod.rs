//! The imports of `cairn dev`: tables made of files in a bucket that is reached as the archive is.

mod marker;

use super::{
    backups::CLUSTER,
    tables::{ACCOUNT, LocalTables, new_table_id},
};
use crate::{
    archive::{FillingPartition, Progress, fill, give_up},
    environment,
    node::Node,
};
use async_trait::async_trait;
use cairn_api::{
    Catalog, Imports, NewTable,
    arn::{ImportArn, TableArn, backup_id},
    errors,
    imports::{
        IMPORTS_MAX, ImportOrder, ImportOutcome, ImportPage, ImportReport, ImportRequest, TOKEN_MS, answered_before,
    },
};
use cairn_archive::{ArchiveConfig, ArchiveError, Bucket, import};
use cairn_model::{
    ServiceError,
    archive::import::{IMPORTS_KEPT_MS, ImportFailure, ImportProgress},
    ids::TableId,
    limits,
};
use marker::{Marker, Markers};
use parking_lot::Mutex;
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Imports that are read at the same time.
const IMPORTS_AT_ONCE: usize = 4;
/// Records that are looked at for a client token, at a time.
const TOKEN_PAGE: usize = 100;
/// Between attempts to bring an outcome into the bucket.
const OUTCOME_PAUSE: Duration = Duration::from_secs(5);

/// Imports into one node.
struct LocalImports {
    node: Arc<Node>,
    tables: Arc<LocalTables>,
    archive: ArchiveConfig,
    records: import::Imports,
    markers: Markers,
    region: String,
    /// One import begins at a time: two of the same token are one.
    beginning: tokio::sync::Mutex<()>,
    at_once: Semaphore,
    /// Imports whose outcome is not in the bucket, by id.
    running: Mutex<BTreeMap<String, Arc<Running>>>,
    /// Outcomes from before the last start that may not be in the bucket, by id.
    settling: Mutex<BTreeMap<String, ImportOutcome>>,
}

struct Running {
    order: ImportOrder,
    progress: Progress,
    outcome: Mutex<Option<ImportOutcome>>,
}

/// What is known here of imports, before the bucket is asked: what has ended since has its outcome there.
struct Known {
    running: BTreeMap<String, Arc<Running>>,
    settling: BTreeMap<String, ImportOutcome>,
}

impl SharedImports {
    /// What was interrupted has been looked after when it returns.
    pub(super) async fn start(
        data: &Path,
        node: Arc<Node>,
        archive: ArchiveConfig,
        bucket: Bucket,
        tables: Arc<LocalTables>,
        region: String,
    ) -> anyhow::Result<Self> {
        let markers = Markers::new(data);
        let recovered = markers.recover(&tables).await?;
        let imports = Arc::new(LocalImports {
            node,
            tables,
            records: import::Imports::new(bucket, &archive, CLUSTER, ACCOUNT),
            archive,
            markers,
            region,
            beginning: tokio::sync::Mutex::default(),
            at_once: Semaphore::new(IMPORTS_AT_ONCE),
            running: Mutex::default(),
            settling: Mutex::new(recovered.clone()),
        });
        let settling = imports.clone();
        tokio::spawn(async move {
            for (import_id, outcome) in recovered {
                settling.settle(&import_id, &outcome).await;
                settling.settling.lock().remove(&import_id);
                settling.forget(&import_id).await;
            }
        });
        Ok(Self(imports))
    }
}

impl LocalImports {
    async fn begin(self: Arc<Self>, request: ImportRequest, table: NewTable) -> Result<ImportReport, ServiceError> {
        let _alone = self.beginning.lock().await;
        let now_ms = environment::wall_ms();
        let earlier = match &request.client_token {
            Some(token) => self.of_token(token, now_ms).await?,
            None => None,
        };
        let is_taken = self.tables.table(ACCOUNT, &table.table_name).is_some();
        if let Some(earlier) = answered_before(earlier, &table.table_name, is_taken)? {
            return Ok(earlier);
        }
        let table_id = new_table_id();
        let import_id = backup_id(now_ms, uuid::Uuid::new_v4().as_fields().0);
        let table_arn = TableArn { region: &self.region, account: ACCOUNT, table_name: &table.table_name };
        let order = ImportOrder {
            arn: ImportArn { table: table_arn, import_id: &import_id }.to_string(),
            table_arn: table_arn.to_string(),
            import_id,
            definition: table.into_definition(ACCOUNT, table_id, now_ms, new_table_id),
            client_token: request.client_token,
            source: request.source,
            format: request.format,
            compression: request.compression,
            start_time_ms: now_ms,
        };
        if self.running.lock().len() >= IMPORTS_MAX {
            return Err(errors::too_many_imports(IMPORTS_MAX));
        }
        if self.tables.list_tables(ACCOUNT).len() >= limits::TABLES_PER_ACCOUNT_MAX {
            return Err(errors::too_many_tables());
        }
        self.tables.begin_import(order.definition.clone()).await?;
        let begun = ImportReport::in_progress(order.clone(), ImportProgress::default());
        let running = Arc::new(Running { order, progress: Progress::default(), outcome: Mutex::default() });
        let id = running.order.import_id.clone();
        // Before the bucket has it: what is there and not here has ended.
        self.running.lock().insert(id.clone(), running.clone());
        if let Err(error) = self.records.create(&running.order).await {
            self.running.lock().remove(&id);
            self.tables.end_passing(table_id).await;
            return Err(failed("begin an import", &error));
        }
        let imports = self.clone();
        tokio::spawn(async move { imports.run(&running).await });
        Ok(begun)
    }

    async fn run(&self, running: &Running) {
        let order = &running.order;
        let (table, table_id) = (&order.definition.table_name, order.definition.table_id);
        let permit = self.at_once.acquire().await;
        let outcome = match self.make(running).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(table, error = &*error as &dyn std::error::Error, "failed to import a table");
                self.undo(table_id).await;
                broken(running, &error)
            }
        };
        drop(permit);
        match &outcome.failure {
            Some(failure) if !outcome.completed => {
                tracing::warn!(table, reason = failure.message, "failed to import a table: there is none");
            }
            Some(failure) => {
                tracing::warn!(table, reason = failure.message, "imported a table without some of its items")
            }
            None => tracing::info!(table, items = outcome.progress.imported_item_count, "imported a table"),
        }
        self.tables.end_passing(table_id).await;
        *running.outcome.lock() = Some(outcome.clone());
        self.settle(&order.import_id, &outcome).await;
        self.running.lock().remove(&order.import_id);
        self.forget(&order.import_id).await;
    }

    /// Makes the table, if its import comes to an end that leaves one; that is noted before.
    async fn make(&self, Running { order, progress, .. }: &Running) -> anyhow::Result<ImportOutcome> {
        let (log, log_url) = (self.records.error_log(&order.import_id), self.records.error_log_url(&order.import_id));
        let node = self.node.clone();
        let begin = move || FillingPartition::begin(node.host(), node.disk());
        let (outcome, partition) = fill(&self.archive, order, log, &log_url, progress, begin).await?;
        if let Some(partition) = partition {
            if let Err(error) = self.markers.write(Marker::new(order, outcome.clone())).await {
                give_up(partition).await;
                return Err(error.into());
            }
            let restored = tokio::task::spawn_blocking(move || partition.finish()).await??;
            self.tables.adopt(restored, order.definition.clone()).await?;
        }
        Ok(outcome)
    }

    /// Takes away a table that was made and did not start.
    async fn undo(&self, table_id: TableId) {
        self.tables.refresh();
        if let Err(error) = self.tables.drop_table(table_id).await {
            tracing::error!(%table_id, %error, "failed to drop the table of an import that failed: delete it");
        }
    }

    /// Brings an outcome into the bucket, however long that takes.
    async fn settle(&self, import_id: &str, outcome: &ImportOutcome) {
        loop {
            match self.records.end(import_id, outcome).await {
                Ok(()) | Err(ArchiveError::Exists { .. }) => break,
                Err(error) => tracing::warn!(
                    import = import_id,
                    error = &error as &dyn std::error::Error,
                    "failed to write how an import ended into the archive: trying again"
                ),
            }
            tokio::time::sleep(OUTCOME_PAUSE).await;
        }
    }

    /// The data folder needs to know nothing of an import whose outcome is in the bucket.
    async fn forget(&self, import_id: &str) {
        if let Err(error) = self.markers.remove(import_id).await {
            tracing::warn!(import = import_id, %error, "failed to forget an import that ended");
        }
    }

    fn describe_running(&self, running: &Running) -> ImportReport {
        match &*running.outcome.lock() {
            None => ImportReport::in_progress(running.order.clone(), running.progress.get()),
            Some(outcome) => self.ended(running.order.clone(), outcome.clone()),
        }
    }

    fn ended(&self, order: ImportOrder, outcome: ImportOutcome) -> ImportReport {
        let error_log = self.records.error_log_url(&order.import_id);
        ImportReport::ended(order, outcome, error_log)
    }

    fn known(&self) -> Known {
        Known { running: self.running.lock().clone(), settling: self.settling.lock().clone() }
    }

    /// What the bucket had of an import, after `known`.
    fn describe(&self, known: &Known, (order, outcome): (ImportOrder, Option<ImportOutcome>)) -> ImportReport {
        let outcome = outcome.or_else(|| known.settling.get(&order.import_id).cloned());
        match (known.running.get(&order.import_id), outcome) {
            (Some(running), _) => self.describe_running(running),
            (None, Some(outcome)) => self.ended(order, outcome),
            // It ended with its process, and its data folder is another one's or lost.
            (None, None) => {
                let interrupted = ImportOutcome::interrupted(order.start_time_ms);
                self.ended(order, interrupted)
            }
        }
    }

    /// The newest `limit` of the imports below `below` that were begun since then, those into one table if its ARN is given; and
    /// whether there are more.
    async fn list(
        &self,
        table_arn: Option<&str>,
        below: Option<&str>,
        limit: usize,
        oldest_ms: u64,
    ) -> Result<ImportPage, ServiceError> {
        let (mut found, mut below) = (ImportPage::default(), below.map(str::to_owned));
        loop {
            let known = self.known();
            let left = limit + 1 - found.imports.len();
            let page = self.records.page(table_arn, below.as_deref(), left, oldest_ms).await;
            let page = page.map_err(|error| failed("list the imports", &error))?;
            found.imports.extend(page.imports.into_iter().map(|import| self.describe(&known, import)));
            found.more = found.imports.len() > limit;
            found.imports.truncate(limit);
            below = page.read_to;
            if found.more || below.is_none() {
                return Ok(found);
            }
        }
    }

    /// The import that a client token stands for.
    async fn of_token(&self, token: &str, now_ms: u64) -> Result<Option<ImportReport>, ServiceError> {
        let mut below: Option<String> = None;
        loop {
            let page = self.list(None, below.as_deref(), TOKEN_PAGE, now_ms.saturating_sub(TOKEN_MS)).await?;
            below = page.imports.last().map(|last| last.order.import_id.clone());
            let mut imports = page.imports.into_iter();
            let found = imports.find(|import| import.order.client_token.as_deref() == Some(token));
            if found.is_some() || !page.more {
                return Ok(found);
            }
        }
    }
}

/// The outcome of an import that failed, and not by what its source holds.
fn broken(running: &Running, error: &anyhow::Error) -> ImportOutcome {
    ImportOutcome {
        progress: running.progress.get(),
        failure: Some(ImportFailure { code: "InternalServerError".to_owned(), message: format!("{error:#}") }),
        ..ImportOutcome::interrupted(environment::wall_ms())
    }
}

/// The archive could not do something: the client asks again, the log tells why.
fn failed(action: &'static str, error: &ArchiveError) -> ServiceError {
    tracing::error!(error = error as &dyn std::error::Error, "failed to {action}");
    errors::internal()
}

/// The implementor of [`Imports`]: what it begins goes on after the call.
#[derive(Clone)]
pub(super) struct SharedImports(Arc<LocalImports>);

#[async_trait]
impl Imports for SharedImports {
    async fn import_table(
        &self,
        _account: &str,
        request: ImportRequest,
        table: NewTable,
    ) -> Result<ImportReport, ServiceError> {
        // Spawned, so that a client that goes away leaves nothing half begun.
        let begun = tokio::spawn(self.0.clone().begin(request, table)).await;
        begun.unwrap_or_else(|_| Err(errors::internal()))
    }

    async fn describe_import(&self, account: &str, arn: ImportArn<'_>) -> Result<ImportReport, ServiceError> {
        let arn_text = arn.to_string();
        let not_found = || errors::import_not_found(arn);
        // One under way needs no bucket to tell of it.
        let known = self.0.known();
        let described = match known.running.get(arn.import_id) {
            Some(running) => self.0.describe_running(running),
            None => match self.0.records.get(arn.import_id).await {
                Ok(import) => self.0.describe(&known, import),
                Err(ArchiveError::NotFound { .. }) => return Err(not_found()),
                Err(error) => return Err(failed("read an import", &error)),
            },
        };
        if account == ACCOUNT && described.order.arn == arn_text { Ok(described) } else { Err(not_found()) }
    }

    async fn list_imports(
        &self,
        account: &str,
        table_arn: Option<&str>,
        limit: usize,
        exclusive_start_id: Option<&str>,
    ) -> Result<ImportPage, ServiceError> {
        if account != ACCOUNT {
            return Ok(ImportPage::default());
        }
        let oldest_ms = environment::wall_ms().saturating_sub(IMPORTS_KEPT_MS);
        self.0.list(table_arn, exclusive_start_id, limit, oldest_ms).await
    }
}
