//! The exports of `cairn dev`: made from its archive, into the buckets beside it. The records of them are in the archive
//! too, so that a restart loses none: what was under way is begun anew.

mod run;

use super::{backups::CLUSTER, tables::ACCOUNT};
use crate::{environment, node::Node};
use async_trait::async_trait;
use cairn_api::{
    Backups, Exports, TableView,
    arn::{ExportArn, TableArn, backup_id},
    backups::RestorableWindow,
    errors,
    exports::{
        ExportDescription, ExportFailure, ExportFormat, ExportPage, ExportRequest, ExportScope, ExportStatus,
        ExportView,
    },
};
use cairn_archive::{
    ArchiveConfig, ArchiveError, Bucket,
    export::{self, ExportRecord, ExportState},
};
use cairn_model::ServiceError;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// DynamoDB's, in an account.
const IN_PROGRESS_MAX: usize = 300;
/// Made at the same time: each has a copy of its table in the data folder.
const RUNNING_MAX: usize = 2;
const HOUR_MS: u64 = 3_600 * 1_000;
/// For as long, a client token stands for its first request.
const TOKEN_MS: u64 = 8 * HOUR_MS;
/// For as long, exports are told of.
const RECORD_MS: u64 = 90 * 24 * HOUR_MS;
/// What can't be noted in the archive is tried again, after 0.5 s, 1 s, …
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
const PREFIX: &str = "One or more parameter values were invalid: S3Prefix";

/// The exports of one node.
pub(super) struct LocalExports {
    node: Arc<Node>,
    backups: Arc<dyn Backups>,
    archive: Bucket,
    /// How the archive is reached, and so are the other buckets.
    config: ArchiveConfig,
    region: String,
    /// One request at a time looks for another one's token.
    asking: tokio::sync::Mutex<()>,
    /// Exports whose end is not in the archive yet, by id.
    open: Mutex<BTreeMap<String, ExportRecord>>,
    places: Semaphore,
}

/// The implementor of [`Exports`]: what it begins goes on after the call.
#[derive(Clone)]
pub(super) struct SharedExports(Arc<LocalExports>);

impl SharedExports {
    /// Goes on with what was under way when this node was last running.
    pub(super) fn start(
        node: Arc<Node>,
        backups: Arc<dyn Backups>,
        archive: Bucket,
        config: ArchiveConfig,
        region: String,
    ) -> Self {
        let exports = Arc::new(LocalExports {
            node,
            backups,
            archive,
            config,
            region,
            asking: tokio::sync::Mutex::default(),
            open: Mutex::default(),
            places: Semaphore::new(RUNNING_MAX),
        });
        let resuming = exports.clone();
        let started_ms = environment::wall_ms();
        tokio::spawn(async move { resuming.resume(started_ms).await });
        Self(exports)
    }
}

impl LocalExports {
    /// Goes on with exports that began before this process did.
    async fn resume(self: Arc<Self>, started_ms: u64) {
        let mut pause = PAUSE_FIRST;
        let records = loop {
            match self.records_since(RECORD_MS).await {
                Ok(records) => break records,
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "failed to look for exports that were under way, trying again"
                ),
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(PAUSE_MAX);
        };
        for record in records {
            let is_ours = record.node_id == self.node.id() && record.start_time_ms < started_ms;
            if is_ours && record.state == ExportState::InProgress {
                self.begin(record);
            }
        }
        let before_ms = environment::wall_ms().saturating_sub(RECORD_MS);
        if let Err(error) = export::forget(&self.archive, CLUSTER, ACCOUNT, before_ms).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "failed to delete the records of old exports");
        }
    }

    async fn records_since(&self, age_ms: u64) -> Result<Vec<ExportRecord>, ArchiveError> {
        let from_ms = environment::wall_ms().saturating_sub(age_ms);
        export::list(&self.archive, CLUSTER, ACCOUNT, from_ms).await
    }

    /// Makes an export whose record is in the archive.
    fn begin(self: &Arc<Self>, mut record: ExportRecord) {
        let id = record.export_id.clone();
        self.open.lock().insert(id.clone(), record.clone());
        let exports = self.clone();
        tokio::spawn(async move {
            record.state = exports.run(&record).await;
            // Only then it is told: after a kill in between, it would be under way again.
            exports.note(&record).await;
            exports.open.lock().remove(&id);
        });
    }

    async fn note(&self, record: &ExportRecord) {
        let mut pause = PAUSE_FIRST;
        while let Err(error) = export::update(&self.archive, CLUSTER, ACCOUNT, record).await {
            tracing::warn!(
                export = record.arn,
                error = &error as &dyn std::error::Error,
                "failed to note that an export has ended, trying again"
            );
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(PAUSE_MAX);
        }
    }

    /// The record of what is asked for now.
    fn new_record(
        &self,
        table: &TableView,
        request: ExportRequest,
        window: RestorableWindow,
    ) -> Result<ExportRecord, ServiceError> {
        let now_ms = environment::wall_ms();
        // What the archive does not have yet is waited for.
        let window = RestorableWindow { latest_ms: now_ms.max(window.latest_ms), ..window };
        let check = |time_ms: u64, window: RestorableWindow| {
            if window.contains(time_ms) { Ok(time_ms) } else { Err(errors::invalid_export_time(time_ms, window)) }
        };
        let (scope, until_request) = match request.scope {
            ExportScope::Full { time_ms } => {
                let scope = export::ExportScope::FullExport { time_ms: check(time_ms.unwrap_or(now_ms), window)? };
                (scope, time_ms.is_none())
            }
            ExportScope::Incremental { from_ms, to_ms, view } => {
                // It begins with what was there a moment before, and ends before a moment that may be the next.
                let from = RestorableWindow { earliest_ms: window.earliest_ms + 1, ..window };
                let to = RestorableWindow { earliest_ms: from_ms + 1, latest_ms: window.latest_ms + 1 };
                let from_ms = check(from_ms, from)?;
                let scope = export::ExportScope::IncrementalExport {
                    from_ms,
                    to_ms: check(to_ms.unwrap_or(now_ms + 1), to)?,
                    view: match view {
                        ExportView::NewImage => export::ExportView::NewImage,
                        ExportView::NewAndOldImages => export::ExportView::NewAndOldImages,
                    },
                };
                (scope, to_ms.is_none())
            }
        };
        let export_id = backup_id(now_ms, uuid::Uuid::new_v4().as_fields().0);
        let table_arn = TableArn { region: &self.region, account: ACCOUNT, table_name: &table.definition.table_name };
        Ok(ExportRecord {
            arn: ExportArn { table: table_arn, export_id: &export_id }.to_string(),
            export_id,
            table_arn: table_arn.to_string(),
            table_id: table.definition.table_id,
            node_id: self.node.id(),
            scope,
            format: match request.format {
                ExportFormat::DynamoDbJson => export::ExportFormat::DynamodbJson,
                ExportFormat::Ion => export::ExportFormat::Ion,
            },
            until_request,
            client_token: request.client_token,
            s3_bucket: request.s3_bucket,
            s3_prefix: request.s3_prefix,
            start_time_ms: now_ms,
            state: ExportState::InProgress,
        })
    }

    /// What was asked for before under the request's token.
    async fn asked_before(
        &self,
        table: &TableView,
        request: &ExportRequest,
    ) -> Result<Option<ExportDescription>, ServiceError> {
        let Some(token) = &request.client_token else { return Ok(None) };
        let records = self.records_since(TOKEN_MS).await;
        let records = records.map_err(|error| failed("look for an export's token", &error))?;
        let Some(record) = records.into_iter().rfind(|record| record.client_token.as_ref() == Some(token)) else {
            return Ok(None);
        };
        if record.table_id != table.definition.table_id || asked(&record) != *request {
            return Err(errors::export_conflict(&record.arn));
        }
        let open = self.open.lock().get(&record.export_id).cloned();
        Ok(Some(description(open.unwrap_or(record))))
    }
}

#[async_trait]
impl Exports for SharedExports {
    async fn export_table(&self, table: &TableView, request: ExportRequest) -> Result<ExportDescription, ServiceError> {
        let exports = &self.0;
        if let Some(fault) = request.s3_prefix.as_deref().and_then(export::prefix_fault) {
            return Err(ServiceError::validation(format!("{PREFIX}: {fault}")));
        }
        let _alone = exports.asking.lock().await;
        if let Some(before) = exports.asked_before(table, &request).await? {
            return Ok(before);
        }
        let window = exports.backups.restorable_window(table).await?;
        let window = window.ok_or_else(|| errors::nothing_restorable_yet(&table.definition.table_name))?;
        let record = exports.new_record(table, request, window)?;
        if exports.open.lock().len() >= IN_PROGRESS_MAX {
            return Err(errors::too_many_exports(IN_PROGRESS_MAX));
        }
        let created = export::create(&exports.archive, CLUSTER, ACCOUNT, &record).await;
        created.map_err(|error| failed("note an export", &error))?;
        exports.begin(record.clone());
        Ok(description(record))
    }

    async fn describe_export(&self, _account: &str, arn: ExportArn<'_>) -> Result<ExportDescription, ServiceError> {
        let open = self.0.open.lock().get(arn.export_id).cloned();
        let record = match open {
            Some(record) => Ok(record),
            None => export::get(&self.0.archive, CLUSTER, ACCOUNT, arn.export_id).await,
        };
        match record {
            Ok(record) if record.arn == arn.to_string() => Ok(description(record)),
            Ok(_) | Err(ArchiveError::NotFound { .. }) => Err(errors::export_not_found(arn)),
            Err(error) => Err(failed("read an export's record", &error)),
        }
    }

    async fn list_exports(
        &self,
        account: &str,
        table_arn: Option<&str>,
        limit: usize,
        exclusive_start_arn: Option<&str>,
    ) -> Result<ExportPage, ServiceError> {
        if account != ACCOUNT {
            return Ok(ExportPage::default());
        }
        let listed = self.0.records_since(RECORD_MS).await;
        let listed = listed.map_err(|error| failed("list the exports", &error))?;
        let mut all: BTreeMap<String, ExportRecord> =
            listed.into_iter().map(|record| (record.arn.clone(), record)).collect();
        all.extend(self.0.open.lock().values().map(|record| (record.arn.clone(), record.clone())));
        let wanted = all.into_values().rev().filter(|record| {
            table_arn.is_none_or(|table_arn| table_arn == record.table_arn)
                && exclusive_start_arn.is_none_or(|start| record.arn.as_str() < start)
        });
        let mut wanted = wanted.map(description);
        let exports: Vec<ExportDescription> = wanted.by_ref().take(limit).collect();
        Ok(ExportPage { exports, more: wanted.next().is_some() })
    }
}

/// The archive could not do something: the client asks again, the log tells why.
fn failed(action: &'static str, error: &ArchiveError) -> ServiceError {
    tracing::error!(error = error as &dyn std::error::Error, "failed to {action}");
    errors::internal()
}

/// The scope of a record, with every time.
fn scope(record: &ExportRecord) -> ExportScope {
    match record.scope {
        export::ExportScope::FullExport { time_ms } => ExportScope::Full { time_ms: Some(time_ms) },
        export::ExportScope::IncrementalExport { from_ms, to_ms, view } => ExportScope::Incremental {
            from_ms,
            to_ms: Some(to_ms),
            view: match view {
                export::ExportView::NewImage => ExportView::NewImage,
                export::ExportView::NewAndOldImages => ExportView::NewAndOldImages,
            },
        },
    }
}

/// The request that a record is of.
fn asked(record: &ExportRecord) -> ExportRequest {
    let scope = match scope(record) {
        ExportScope::Full { .. } if record.until_request => ExportScope::Full { time_ms: None },
        ExportScope::Incremental { from_ms, view, .. } if record.until_request => {
            ExportScope::Incremental { from_ms, to_ms: None, view }
        }
        scope => scope,
    };
    ExportRequest {
        scope,
        format: match record.format {
            export::ExportFormat::DynamodbJson => ExportFormat::DynamoDbJson,
            export::ExportFormat::Ion => ExportFormat::Ion,
        },
        client_token: record.client_token.clone(),
        s3_bucket: record.s3_bucket.clone(),
        s3_prefix: record.s3_prefix.clone(),
    }
}

fn description(record: ExportRecord) -> ExportDescription {
    let request = ExportRequest { scope: scope(&record), ..asked(&record) };
    let mut description = ExportDescription {
        arn: record.arn,
        status: ExportStatus::InProgress,
        start_time_ms: record.start_time_ms,
        end_time_ms: None,
        table_arn: record.table_arn,
        table_id: record.table_id,
        request,
        manifest: None,
        billed_size_bytes: None,
        item_count: None,
        failure: None,
    };
    match record.state {
        ExportState::InProgress => {}
        ExportState::Completed { end_time_ms, manifest, billed_size_bytes, item_count } => {
            description.status = ExportStatus::Completed;
            description.end_time_ms = Some(end_time_ms);
            description.manifest = Some(manifest);
            description.billed_size_bytes = Some(billed_size_bytes);
            description.item_count = Some(item_count);
        }
        ExportState::Failed { end_time_ms, code, message } => {
            description.status = ExportStatus::Failed;
            description.end_time_ms = Some(end_time_ms);
            description.failure = Some(ExportFailure { code, message });
        }
    }
    description
}
