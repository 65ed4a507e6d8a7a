//! The imports of `cairn dev`: tables made of files in a bucket that is reached as the archive is.

mod description;
mod filling;
mod marker;

use super::{
    backups::CLUSTER,
    tables::{ACCOUNT, LocalTables},
};
use crate::environment;
use async_trait::async_trait;
use cairn_api::{
    Catalog, Imports, NewTable, TableView,
    arn::{ImportArn, TableArn, backup_id},
    errors,
    imports::{ImportDescription, ImportPage, ImportRequest},
};
use cairn_archive::{
    ArchiveConfig, ArchiveError, Bucket,
    import::record::{self, ImportOutcome, ImportRecord},
};
use cairn_model::{ServiceError, ids::TableId, limits};
use filling::{INVALID_ITEMS, Progress, failure};
use marker::{Marker, Markers};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::sync::Semaphore;

/// Imports under way of an account (DynamoDB's quota); of them, as many are read at the same time.
const IMPORTS_MAX: usize = 50;
const IMPORTS_AT_ONCE: usize = 4;
/// For how long a client token stands for one import (reference).
const TOKEN_MS: u64 = 8 * 3_600 * 1_000;
/// For how long imports are listed (reference).
const LISTED_MS: u64 = 90 * 24 * 3_600 * 1_000;
/// Records that are read at once for a page.
const READ_AT_ONCE: usize = 32;
/// Between attempts to bring an outcome into the bucket.
const OUTCOME_PAUSE: Duration = Duration::from_secs(5);

/// Imports into one node.
struct LocalImports {
    tables: Arc<LocalTables>,
    archive: ArchiveConfig,
    records: record::Imports,
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
    record: ImportRecord,
    progress: Progress,
    outcome: Mutex<Option<ImportOutcome>>,
}

/// The tables of imports that the process's end interrupted go, whether there is an archive now or not.
pub(super) async fn clean(data: &Path, tables: &LocalTables) -> anyhow::Result<()> {
    Markers::new(data).recover(tables).await.map(drop)
}

impl SharedImports {
    /// What was interrupted has been looked after when it returns.
    pub(super) async fn start(
        data: &Path,
        archive: ArchiveConfig,
        bucket: Bucket,
        tables: Arc<LocalTables>,
        region: String,
    ) -> anyhow::Result<Self> {
        let markers = Markers::new(data);
        let recovered = markers.recover(&tables).await?;
        let recovered: BTreeMap<String, ImportOutcome> =
            recovered.into_iter().filter_map(|marker| Some((marker.import_id, marker.outcome?))).collect();
        let imports = Arc::new(LocalImports {
            tables,
            archive,
            records: record::Imports::new(bucket, CLUSTER, ACCOUNT),
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
    async fn begin(
        self: Arc<Self>,
        request: ImportRequest,
        table: NewTable,
    ) -> Result<ImportDescription, ServiceError> {
        let _alone = self.beginning.lock().await;
        let now_ms = environment::wall_ms();
        if let Some(token) = &request.client_token
            && let Some((earlier, described)) = self.of_token(token, now_ms).await?
        {
            let definition = &earlier.definition;
            let asked = table.into_definition(ACCOUNT, definition.table_id, definition.creation_time_ms);
            if asked != *definition || request != description::request(&earlier) {
                return Err(errors::import_conflict(&earlier.arn));
            }
            return Ok(described);
        }
        let table_id = TableId(uuid::Uuid::new_v4().into_bytes());
        let import_id = backup_id(now_ms, uuid::Uuid::new_v4().as_fields().0);
        let table_arn = TableArn { region: &self.region, account: ACCOUNT, table_name: &table.table_name };
        let record = ImportRecord {
            arn: ImportArn { table: table_arn, import_id: &import_id }.to_string(),
            table_arn: table_arn.to_string(),
            import_id,
            definition: table.into_definition(ACCOUNT, table_id, now_ms),
            client_token: request.client_token,
            source: description::source_record(request.source),
            format: description::format_record(request.format),
            compression: description::compression(request.compression),
            start_time_ms: now_ms,
        };
        if self.tables.table(ACCOUNT, &record.definition.table_name).is_some() {
            return Err(errors::table_exists(&record.definition.table_name));
        }
        if self.running.lock().len() >= IMPORTS_MAX {
            return Err(errors::too_many_imports(IMPORTS_MAX));
        }
        if self.tables.list_tables(ACCOUNT).len() >= limits::TABLES_PER_ACCOUNT_MAX {
            return Err(errors::too_many_tables());
        }
        let view = self.tables.begin_import(record.definition.clone()).await?;
        let begun = description::in_progress(&record, Progress::default().get());
        let running = Arc::new(Running { record, progress: Progress::default(), outcome: Mutex::default() });
        let id = running.record.import_id.clone();
        // Before the bucket has it: what is there and not here has ended.
        self.running.lock().insert(id.clone(), running.clone());
        if let Err(error) = self.note(&running.record).await {
            self.running.lock().remove(&id);
            self.tables.end_passing(table_id).await;
            tracing::error!(error = &*error as &dyn std::error::Error, "failed to begin an import");
            return Err(errors::internal());
        }
        let imports = self.clone();
        tokio::spawn(async move { imports.run(&running, &view).await });
        Ok(begun)
    }

    /// Notes in the data folder that the table is not to stay, and in the bucket that there is an import.
    async fn note(&self, record: &ImportRecord) -> anyhow::Result<()> {
        self.markers.write(Marker::new(record.import_id.clone(), record.definition.table_id)).await?;
        if let Err(error) = self.records.create(record).await {
            self.markers.remove(&record.import_id).await?;
            return Err(error.into());
        }
        Ok(())
    }

    async fn run(&self, running: &Running, view: &Arc<TableView>) {
        let record = &running.record;
        let mut outcome = self.fill(running, view).await;
        let table_id = record.definition.table_id;
        let mut marker = Marker::new(record.import_id.clone(), table_id);
        if outcome.completed {
            marker.outcome = Some(outcome.clone());
            // From here on the table stays.
            if let Err(error) = self.markers.write(marker.clone()).await {
                outcome.completed = false;
                outcome.failure = Some(failure("InternalServerError", format!("failed to finish the import: {error}")));
            }
        }
        let table = &record.definition.table_name;
        let done = match outcome.completed {
            true => {
                tracing::info!(table, items = outcome.imported_item_count, "imported a table");
                true
            }
            false => self.undo(&mut marker, &outcome).await,
        };
        if done {
            self.tables.end_passing(table_id).await;
        }
        *running.outcome.lock() = Some(outcome.clone());
        self.settle(&record.import_id, &outcome).await;
        self.running.lock().remove(&record.import_id);
        if done {
            self.forget(&record.import_id).await;
        }
    }

    async fn fill(&self, running: &Running, view: &Arc<TableView>) -> ImportOutcome {
        let Running { record, progress, .. } = running;
        let permit = self.at_once.acquire().await;
        let filled = match self.tables.bootstrap(record.definition.clone()).await {
            Ok(()) => {
                let log = self.records.error_log(&record.import_id);
                filling::fill(&self.tables, view, &self.archive, record, log, progress).await
            }
            Err(error) => {
                filling::Filled { error_log: false, result: Err(failure("InternalServerError", error.to_string())) }
            }
        };
        drop(permit);
        let counts = progress.get();
        let completed = filled.result.is_ok();
        let mut failure = match filled.result {
            Err(failure) => Some(failure),
            Ok(()) if counts.error_count > 0 => {
                Some(failure(INVALID_ITEMS, "Some of the items failed validation checks".to_owned()))
            }
            Ok(()) => None,
        };
        if let Some(failure) = &mut failure
            && counts.error_count > 0
        {
            failure.message += &match filled.error_log {
                true => format!(". The errors are told in {}", self.error_log(&record.import_id)),
                false => ". The errors could not be written into the archive".to_owned(),
            };
        }
        ImportOutcome {
            end_time_ms: environment::wall_ms(),
            processed_size_bytes: counts.processed_size_bytes,
            processed_item_count: counts.processed_item_count,
            imported_item_count: counts.imported_item_count,
            error_count: counts.error_count,
            completed,
            error_log: filled.error_log,
            failure,
        }
    }

    /// Takes the table away again. If that fails, the table stays CREATING, and the next start takes it away.
    async fn undo(&self, marker: &mut Marker, outcome: &ImportOutcome) -> bool {
        let reason = outcome.failure.as_ref().map_or("", |failure| failure.message.as_str());
        tracing::warn!(import = marker.import_id, reason, "failed to import a table: it is gone again");
        self.tables.refresh();
        if let Err(error) = self.tables.drop_table(marker.table_id).await {
            tracing::error!(import = marker.import_id, %error, "the table of a failed import goes at the next start");
            return false;
        }
        marker.outcome = Some(outcome.clone());
        if let Err(error) = self.markers.write(marker.clone()).await {
            tracing::warn!(import = marker.import_id, %error, "failed to note how an import ended");
        }
        true
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

    /// Where the errors of an import are told: as an ARN where there are ARNs.
    fn error_log(&self, import_id: &str) -> String {
        let key = self.records.error_log_key(import_id);
        let folder = self.archive.url.trim_end_matches('/');
        match folder.strip_prefix("s3://") {
            Some(folder) => format!("arn:aws:s3:::{folder}/{key}"),
            None => format!("{folder}/{key}"),
        }
    }

    fn describe_running(&self, running: &Running) -> ImportDescription {
        match &*running.outcome.lock() {
            None => description::in_progress(&running.record, running.progress.get()),
            Some(outcome) => self.describe_ended(&running.record, outcome),
        }
    }

    fn describe_ended(&self, record: &ImportRecord, outcome: &ImportOutcome) -> ImportDescription {
        description::ended(record, outcome, self.error_log(&record.import_id))
    }

    /// The imports of these ids, in their order, but for those that are not there.
    async fn describe(&self, ids: Vec<String>) -> Result<Vec<(ImportRecord, ImportDescription)>, ServiceError> {
        // Before the bucket is asked: what has ended since has its outcome there.
        let running = self.running.lock().clone();
        let settling = self.settling.lock().clone();
        let read = self.records.read(ids).await.map_err(|error| failed("read the imports", &error))?;
        let describe = |(record, outcome): (ImportRecord, Option<ImportOutcome>)| {
            let outcome = outcome.or_else(|| settling.get(&record.import_id).cloned());
            let described = match (running.get(&record.import_id), outcome) {
                (Some(running), _) => self.describe_running(running),
                (None, Some(outcome)) => self.describe_ended(&record, &outcome),
                // It ended with its process, and its data folder is another one's or lost.
                (None, None) => self.describe_ended(&record, &marker::interrupted(record.start_time_ms)),
            };
            (record, described)
        };
        Ok(read.into_iter().map(describe).collect())
    }

    /// The import that a client token stands for.
    async fn of_token(
        &self,
        token: &str,
        now_ms: u64,
    ) -> Result<Option<(ImportRecord, ImportDescription)>, ServiceError> {
        let mut ids = self.records.ids().await.map_err(|error| failed("list the imports", &error))?;
        ids.retain(|id| begun_ms(id) + TOKEN_MS > now_ms);
        let read = self.describe(ids).await?;
        Ok(read.into_iter().rev().find(|(record, _)| record.client_token.as_deref() == Some(token)))
    }
}

/// When an import of this id was begun.
fn begun_ms(import_id: &str) -> u64 {
    import_id.split('-').next().and_then(|millis| millis.parse().ok()).unwrap_or(0)
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
    ) -> Result<ImportDescription, ServiceError> {
        // Spawned, so that a client that goes away leaves nothing half begun.
        let begun = tokio::spawn(self.0.clone().begin(request, table)).await;
        begun.unwrap_or_else(|_| Err(errors::internal()))
    }

    async fn describe_import(&self, account: &str, arn: ImportArn<'_>) -> Result<ImportDescription, ServiceError> {
        // One under way needs no bucket to tell of it.
        let running = self.0.running.lock().get(arn.import_id).cloned();
        let described = match running {
            Some(running) => Some((running.record.clone(), self.0.describe_running(&running))),
            None => self.0.describe(vec![arn.import_id.to_owned()]).await?.pop(),
        };
        described
            .filter(|(record, _)| account == ACCOUNT && record.arn == arn.to_string())
            .map(|(_, described)| described)
            .ok_or_else(|| errors::import_not_found(arn))
    }

    async fn list_imports(
        &self,
        account: &str,
        table_arn: Option<&str>,
        limit: usize,
        exclusive_start_id: Option<&str>,
    ) -> Result<ImportPage, ServiceError> {
        let mut page = ImportPage::default();
        if account != ACCOUNT {
            return Ok(page);
        }
        let this = &self.0;
        let oldest_ms = environment::wall_ms().saturating_sub(LISTED_MS);
        let ids = this.records.ids().await.map_err(|error| failed("list the imports", &error))?;
        let ids: BTreeSet<String> = ids.into_iter().filter(|id| begun_ms(id) >= oldest_ms).collect();
        let mut ids = ids.into_iter().rev().filter(|id| exclusive_start_id.is_none_or(|start| id.as_str() < start));
        loop {
            let some: Vec<String> = ids.by_ref().take(READ_AT_ONCE).collect();
            if some.is_empty() {
                return Ok(page);
            }
            for (record, described) in this.describe(some).await? {
                if table_arn.is_some_and(|arn| arn != record.table_arn) {
                    continue;
                }
                if page.imports.len() == limit {
                    page.more = true;
                    return Ok(page);
                }
                page.imports.push(described);
            }
        }
    }
}
