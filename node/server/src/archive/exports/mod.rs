//! The exports of an account: begun and told of for who asks, and made, a few at a time. The bucket is the queue: what is to
//! be made stands there, and whichever archive has a place takes it up, also where the one that made it is gone.

mod lease;
mod making;
mod rounds;
mod writing;

use super::{Reader, service::Refusal};
use crate::environment;
use cairn_archive::{
    ArchiveConfig, ArchiveError, Bucket,
    export::{self, ExportRecords, Maker},
};
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveCall, ArchiveOwner, ArchiveRefusal},
    arn::is_backup_id,
    export::{ExportRecord, ExportState},
};
use cairn_replication::{Clock, SystemClock};
use parking_lot::Mutex;
use std::{collections::HashSet, fmt, sync::Arc, time::Duration};
use tokio::sync::{Notify, Semaphore};

/// DynamoDB's, in an account.
pub(crate) const IN_PROGRESS_MAX: usize = 300;
/// Of one page.
const PAGE_MAX: usize = 100;

/// The bucket, and how it and those beside it are reached now.
pub(crate) type Access = Box<dyn Fn() -> Result<(Bucket, ArchiveConfig), Refusal> + Send + Sync>;

#[derive(Clone, Debug)]
pub(crate) struct ExporterOptions {
    /// Tables that are laid out at once; of an incremental export, two times of the table.
    pub(crate) laid_out_max: usize,
    /// How often the bucket is looked at for what is to be made.
    pub(crate) look_interval: Duration,
    /// Of whoever makes an export, after that long without a sign of life it is taken to be gone. A third of it before, it
    /// stops by itself.
    pub(crate) silence_max: Duration,
    /// By which silence is measured, on the clock that goes on while the machine sleeps.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for ExporterOptions {
    fn default() -> Self {
        Self {
            laid_out_max: 1,
            look_interval: Duration::from_secs(15),
            silence_max: Duration::from_secs(60),
            clock: Arc::new(SystemClock),
        }
    }
}

pub(crate) struct Exporter {
    /// Under whose name the records and the tables lie in the bucket.
    own: ArchiveOwner,
    maker: Maker,
    reader: Arc<dyn Reader>,
    access: Access,
    options: ExporterOptions,
    /// The ids of those that are made here.
    running: Mutex<HashSet<String>>,
    places: Semaphore,
    /// There is something to be made.
    wake: Notify,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("maker", &self.maker).field("running", &self.running).finish_non_exhaustive()
    }
}

impl Exporter {
    /// Of no two that run at the same time, the names are the same.
    pub(crate) fn new(
        own: ArchiveOwner,
        name: String,
        reader: Arc<dyn Reader>,
        access: Access,
        options: ExporterOptions,
    ) -> Self {
        let maker = Maker { name, instance: uuid::Uuid::new_v4().to_string() };
        let places = Semaphore::new(options.laid_out_max);
        let (running, wake) = (Mutex::default(), Notify::new());
        Self { own, maker, reader, access, options, running, places, wake }
    }

    fn now_ms(&self) -> u64 {
        self.options.clock.now().boot_ms
    }

    fn records(&self) -> Result<ExportRecords, Refusal> {
        let (bucket, _) = (self.access)()?;
        Ok(ExportRecords::new(bucket, &self.own.region, &self.own.account))
    }

    fn check(&self, export: &ExportRecord) -> Result<(), Refusal> {
        check_id(&export.export_id)?;
        if export.state != ExportState::InProgress {
            return Err(Refusal::new(ArchiveRefusal::Invalid, "export.state: one that is begun is IN_PROGRESS"));
        }
        let (_, config) = (self.access)()?;
        match export::target_fault(&config, &self.own.region, &export.s3_bucket, export.s3_prefix.as_deref()) {
            Some(fault) => Err(Refusal::new(ArchiveRefusal::Invalid, format!("S3Prefix: {fault}"))),
            None => Ok(()),
        }
    }

    /// Answers the calls about exports.
    pub(crate) async fn answer(&self, call: ArchiveCall) -> Result<ArchiveAnswer, Refusal> {
        let one = |record| ArchiveAnswer::Export(Box::new(record));
        Ok(match call {
            ArchiveCall::BeginExport { export } => one(self.begin(*export).await?),
            ArchiveCall::FindExport { client_token } => one(self.find(&client_token).await?),
            ArchiveCall::DescribeExport { export_id } => one(self.describe(&export_id).await?),
            ArchiveCall::ListExports { table_arn, before, limit } => {
                let (exports, more) = self.list(table_arn.as_deref(), before.as_deref(), limit).await?;
                ArchiveAnswer::Exports { exports, more }
            }
            _ => return Err(Refusal::new(ArchiveRefusal::Invalid, "the call is about no export")),
        })
    }

    pub(crate) async fn begin(&self, export: ExportRecord) -> Result<ExportRecord, Refusal> {
        self.check(&export)?;
        let records = self.records()?;
        match records.get(&export.export_id).await {
            Ok(asked_before) => return Ok(asked_before),
            Err(ArchiveError::NotFound { .. }) => {}
            Err(error) => return Err(Refusal::from(&error)),
        }
        let open = records.open().await.map_err(|error| Refusal::from(&error))?.len();
        if open >= IN_PROGRESS_MAX {
            let message = format!("{open} exports of the account are in progress, and {IN_PROGRESS_MAX} can be");
            return Err(Refusal::new(ArchiveRefusal::LimitExceeded, message));
        }
        let begun = records.take_token(&export).await.map_err(|error| Refusal::from(&error))?;
        // Whoever took the token before may have come no further.
        match records.begin(&begun).await {
            Ok(()) | Err(ArchiveError::Exists { .. }) => {}
            Err(error) => return Err(Refusal::from(&error)),
        }
        self.wake.notify_one();
        records.get(&begun.export_id).await.map_err(|error| Refusal::from(&error))
    }

    /// What a client token stood for in the last eight hours.
    pub(crate) async fn find(&self, client_token: &str) -> Result<ExportRecord, Refusal> {
        let records = self.records()?;
        let found = records.under_token(client_token, environment::wall_ms()).await;
        match found.map_err(|error| Refusal::from(&error))? {
            // Its record may not be there yet.
            Some(begun) => match records.get(&begun.export_id).await {
                Err(ArchiveError::NotFound { .. }) => Ok(begun),
                got => got.map_err(|error| Refusal::from(&error)),
            },
            None => Err(Refusal::new(ArchiveRefusal::NotFound, "the client token stands for no export")),
        }
    }

    pub(crate) async fn describe(&self, export_id: &str) -> Result<ExportRecord, Refusal> {
        check_id(export_id)?;
        let got = self.records()?.get(export_id).await;
        got.map_err(|error| Refusal::of_lookup(&format!("export {export_id}"), &error))
    }

    /// A page, and whether there is more.
    pub(crate) async fn list(
        &self,
        table_arn: Option<&str>,
        before: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<ExportRecord>, bool), Refusal> {
        let wanted = |record: &ExportRecord| table_arn.is_none_or(|table_arn| table_arn == record.table_arn);
        let oldest_ms = environment::wall_ms().saturating_sub(export::EXPORTS_KEPT_MS);
        let page = self.records()?.page(oldest_ms, before, limit.clamp(1, PAGE_MAX), wanted).await;
        page.map_err(|error| Refusal::from(&error))
    }
}

/// Ids become parts of objects' paths.
fn check_id(id: &str) -> Result<(), Refusal> {
    if is_backup_id(id) {
        return Ok(());
    }
    let message = "exportId: it has to be fourteen digits, a hyphen and eight hexadecimal digits";
    Err(Refusal::new(ArchiveRefusal::Invalid, message))
}
