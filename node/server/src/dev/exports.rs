//! The exports of `cairn dev`: made from its archive, into the buckets beside it. What is known of them is in the archive
//! too, so that a restart loses none: what was under way is begun anew.

use super::{backups::owner, tables::ACCOUNT};
use crate::{
    archive::{
        HostReader,
        exports::{Exporter, ExporterOptions},
        service::Refusal,
    },
    exports::ExportArchive,
    node::Node,
};
use async_trait::async_trait;
use cairn_api::{TableView, arn::ExportArn};
use cairn_archive::{ArchiveConfig, Bucket};
use cairn_model::export::ExportRecord;
use std::sync::Arc;
use tokio::sync::watch;

/// Made at the same time: each has a copy of its table in the data folder.
const LAID_OUT_MAX: usize = 2;

pub(super) struct LocalExports(Arc<Exporter>);

impl LocalExports {
    /// Goes on with what was under way when this node was last running, until `stopped`.
    pub(super) fn start(node: &Node, archive: Bucket, config: ArchiveConfig, stopped: watch::Receiver<bool>) -> Self {
        let reader = HostReader { host: node.host().clone(), disk: node.disk().clone() };
        let access = Box::new(move || Ok((archive.clone(), config.clone())));
        let options = ExporterOptions { laid_out_max: LAID_OUT_MAX, ..ExporterOptions::default() };
        let exporter = Exporter::new(owner(), node.id().to_string(), Arc::new(reader), access, options);
        let exporter = Arc::new(exporter);
        tokio::spawn(exporter.clone().run(stopped));
        Self(exporter)
    }
}

#[async_trait]
impl ExportArchive for LocalExports {
    async fn find(&self, _table: &TableView, client_token: &str) -> Result<ExportRecord, Refusal> {
        self.0.find(client_token).await
    }

    async fn begin(&self, _table: &TableView, export: ExportRecord) -> Result<ExportRecord, Refusal> {
        self.0.begin(export).await
    }

    async fn describe(&self, _account: &str, arn: ExportArn<'_>) -> Result<ExportRecord, Refusal> {
        self.0.describe(arn.export_id).await
    }

    async fn list(
        &self,
        account: &str,
        table_arn: Option<&str>,
        before: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<ExportRecord>, bool), Refusal> {
        if account != ACCOUNT {
            return Ok((Vec::new(), false));
        }
        self.0.list(table_arn, before, limit).await
    }
}
