//! An archive beside a node in the test's own process, over a bucket in a folder.

mod backups;
mod bucket;
mod exports;
mod imports;
mod restores;

use super::{ArchiveService, BucketKeeper, BucketSettings, Reach};
use crate::{
    archive::{
        Adopter, HostSource,
        exports::{Exporter, ExporterOptions},
        testing::{ACCOUNT, TestNode, definition},
    },
    environment,
};
use cairn_archive::{ArchiveConfig, Metrics};
use cairn_model::{
    archive::{
        ArchiveAnswer, ArchiveCall, ArchiveOwner, ArchiveRefusal, ArchiveReport, BackupOrder, BackupReport,
        BackupState, BackupType, Resolved, RestoreOrigin, RestoreProgress, RestoreSource, RestoreTime, TableReference,
    },
    ids::PartitionId,
};
use cairn_replication::{Clock, SystemClock};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};

/// An archive beside a node of the test's own, over a bucket in a folder.
struct Beside {
    folder: TempDir,
    node: TestNode,
    service: Arc<ArchiveService>,
    reach: Reach,
    exporter: Arc<Exporter>,
    stop_exporting: watch::Sender<bool>,
    exporting: JoinHandle<()>,
    stop: watch::Sender<bool>,
    keeping: JoinHandle<()>,
}

impl Beside {
    async fn start() -> Self {
        Self::start_with(|node| node.adopter(), |_| {}).await
    }

    async fn start_with(adopter: impl FnOnce(&TestNode) -> Arc<dyn Adopter>, prepare: impl FnOnce(&Path)) -> Self {
        let (folder, node) = (tempfile::tempdir().unwrap(), TestNode::start().await);
        prepare(folder.path());
        let own = ArchiveOwner { region: "east".into(), account: ACCOUNT.into() };
        let (source, reach) = (Arc::new(HostSource(node.host().clone())), Reach::new());
        let exporter = exporter("node-0", &node, &reach);
        let service = ArchiveService::new(own.clone(), source.clone(), adopter(&node), reach.clone(), exporter.clone());
        let url = format!("file://{}/bucket", folder.path().display());
        let config = ArchiveConfig { url, ..ArchiveConfig::default() };
        let settings = BucketSettings { config, credentials_dir: Some(folder.path().join("credentials")) };
        let (stop, stopped) = watch::channel(false);
        let look_interval = Duration::from_millis(50);
        let metrics = Metrics::new().unwrap();
        let name = "node-0".to_owned();
        let keeper = BucketKeeper { settings, own, node: name, source, metrics, reach: reach.clone(), look_interval };
        let keeping = tokio::spawn(keeper.run(stopped));
        let (stop_exporting, stopped) = watch::channel(false);
        let exporting = tokio::spawn(exporter.clone().run(stopped));
        Self { folder, node, service: Arc::new(service), reach, exporter, stop_exporting, exporting, stop, keeping }
    }

    /// Has the archive make no exports any more; what it was about is over when this returns.
    async fn stop_exporting(&mut self) {
        self.stop_exporting.send(true).unwrap();
        (&mut self.exporting).await.unwrap();
    }

    async fn report(&self) -> ArchiveReport {
        match self.service.answer(ArchiveCall::Report).await {
            ArchiveAnswer::Report(report) => report,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until all that was written by now can be restored.
    async fn shipped(&self) {
        let now_ms = environment::wall_ms();
        eventually(async || {
            let report = self.report().await;
            let latest = |windows: &[cairn_model::archive::RecoveryWindow]| windows.last().map(|last| last.latest_ms);
            !report.tables.is_empty()
                && report.tables.iter().all(|table| latest(&table.recovery.windows) > Some(now_ms))
        })
        .await;
    }

    async fn reachable(&self) {
        eventually(async || self.report().await.unreachable.is_none()).await;
    }

    async fn resolve(&self, source: RestoreSource) -> Result<Resolved, (ArchiveRefusal, String)> {
        match self.service.answer(ArchiveCall::Resolve { source }).await {
            ArchiveAnswer::Resolved(resolved) => Ok(*resolved),
            ArchiveAnswer::Refused { reason, message } => Err((reason, message)),
            other => panic!("{other:?}"),
        }
    }

    async fn resolve_name(&self, name: &str, at: RestoreTime) -> Result<Resolved, (ArchiveRefusal, String)> {
        self.resolve(RestoreSource::Table { table: TableReference::Name(name.into()), at }).await
    }

    /// Asks for a restore into a new table with one partition, both of this number.
    async fn restore(&self, origin: &RestoreOrigin, id: u8) -> ArchiveAnswer {
        let definition = definition("restored", id);
        let descriptor = self.node.descriptor(definition.table_id, id);
        self.service.answer(ArchiveCall::Restore { descriptor, definition, origin: origin.clone() }).await
    }

    async fn restored(&self, origin: &RestoreOrigin, id: u8) -> PartitionId {
        eventually(async || match self.restore(origin, id).await {
            ArchiveAnswer::Restore(progress) => progress == RestoreProgress::Done,
            other => panic!("{other:?}"),
        })
        .await;
        PartitionId([id; 16])
    }

    async fn create_backup(&self, partition: PartitionId, id: &str) -> Result<BackupReport, ArchiveRefusal> {
        backup(self.service.answer(ArchiveCall::CreateBackup { partition_id: partition, backup: order(id) }).await)
    }

    async fn created_backup(&self, partition: PartitionId, id: &str) -> BackupReport {
        let mut made = None;
        eventually(async || {
            let report = self.create_backup(partition, id).await.unwrap();
            let is_there = report.state == BackupState::Available;
            made = Some(report);
            is_there
        })
        .await;
        made.unwrap()
    }

    async fn delete_backup(&self, id: &str) -> Result<BackupReport, ArchiveRefusal> {
        backup(self.service.answer(ArchiveCall::DeleteBackup { backup_id: id.into() }).await)
    }

    async fn list_backups(&self, after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
        match self.service.answer(ArchiveCall::ListBackups { after: after.map(str::to_owned), limit }).await {
            ArchiveAnswer::Backups { backups, more } => {
                (backups.into_iter().map(|backup| backup.order.backup_id).collect(), more)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The objects in the bucket whose path ends so.
    fn objects(&self, end: &str) -> Vec<PathBuf> {
        let (mut found, mut folders) = (Vec::new(), vec![self.folder.path().join("bucket")]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false if path.to_str().unwrap().ends_with(end) => found.push(path),
                    false => {}
                }
            }
        }
        found.sort();
        found
    }
}

/// Of an archive of this name, which has no patience.
fn exporter(name: &str, node: &TestNode, reach: &Reach) -> Arc<Exporter> {
    exporter_at(Arc::new(SystemClock), name, node, reach)
}

fn exporter_at(clock: Arc<dyn Clock>, name: &str, node: &TestNode, reach: &Reach) -> Arc<Exporter> {
    let own = ArchiveOwner { region: "east".into(), account: ACCOUNT.into() };
    let reach = reach.clone();
    let options = ExporterOptions {
        laid_out_max: 1,
        look_interval: Duration::from_millis(100),
        silence_max: Duration::from_secs(3),
        clock,
    };
    Arc::new(Exporter::new(own, name.to_owned(), node.reader(), Box::new(move || reach.access()), options))
}

fn backup(answer: ArchiveAnswer) -> Result<BackupReport, ArchiveRefusal> {
    match answer {
        ArchiveAnswer::Backup(report) => Ok(*report),
        ArchiveAnswer::Refused { reason, .. } => Err(reason),
        other => panic!("{other:?}"),
    }
}

fn order(id: &str) -> BackupOrder {
    BackupOrder {
        backup_id: id.into(),
        arn: format!("arn:aws:dynamodb:east:{ACCOUNT}:table/users/backup/{id}"),
        name: "before".into(),
        backup_type: BackupType::User,
        table_arn: format!("arn:aws:dynamodb:east:{ACCOUNT}:table/users"),
        definition: definition("users", 7),
        creation_time_ms: 5,
        expiry_time_ms: None,
    }
}

fn from_backup(id: &str) -> RestoreSource {
    RestoreSource::Backup { owner: None, backup_id: id.into() }
}

fn refused(answer: ArchiveAnswer) -> (ArchiveRefusal, String) {
    match answer {
        ArchiveAnswer::Refused { reason, message } => (reason, message),
        other => panic!("{other:?}"),
    }
}

async fn eventually(mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not happen within 30 s");
}

fn damage(path: &Path) -> Vec<u8> {
    let sound = std::fs::read(path).unwrap();
    let mut damaged = sound.clone();
    let at = damaged.len() - 20;
    damaged[at] ^= 1;
    std::fs::write(path, damaged).unwrap();
    sound
}
