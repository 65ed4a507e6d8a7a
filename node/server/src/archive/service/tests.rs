use super::{ArchiveService, BucketKeeper, BucketSettings, Reach};
use crate::{
    archive::{
        Adopter, Adoption, HostSource,
        testing::{ACCOUNT, TestNode, definition},
    },
    environment,
};
use async_trait::async_trait;
use cairn_archive::{ArchiveConfig, Metrics};
use cairn_model::{
    archive::{
        ArchiveAnswer, ArchiveCall, ArchiveOwner, ArchiveRefusal, ArchiveReport, BackupOrder, BackupReport,
        BackupState, BackupType, Resolved, RestoreOrigin, RestoreProgress, RestoreSource, RestoreTime, TableReference,
    },
    ids::{PartitionId, TableId},
};
use parking_lot::Mutex;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
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
        let service = ArchiveService::new(own.clone(), source.clone(), adopter(&node), reach.clone());
        let url = format!("file://{}/bucket", folder.path().display());
        let config = ArchiveConfig { url, ..ArchiveConfig::default() };
        let settings = BucketSettings { config, credentials_dir: Some(folder.path().join("credentials")) };
        let (stop, stopped) = watch::channel(false);
        let look_interval = Duration::from_millis(50);
        let metrics = Metrics::new().unwrap();
        let name = "node-0".to_owned();
        let keeper = BucketKeeper { settings, own, node: name, source, metrics, reach: reach.clone(), look_interval };
        let keeping = tokio::spawn(keeper.run(stopped));
        Self { folder, node, service: Arc::new(service), reach, stop, keeping }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_table_comes_back_as_of_a_time_and_of_now() {
    let beside = Beside::start().await;
    let users = beside.node.create_table("users", 7).await;
    beside.shipped().await;
    beside.node.put(users, 1, 10).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let at_ms = environment::wall_ms();
    tokio::time::sleep(Duration::from_millis(5)).await;
    beside.node.put(users, 1, 20).await;
    beside.shipped().await;

    let past = beside.resolve_name("users", RestoreTime::Millis(at_ms)).await.unwrap();
    assert_eq!(past.restore_time_ms, at_ms);
    let partition = beside.restored(&past.origin, 20).await;
    assert_eq!(beside.node.value(partition, 1).await, Some(10));
    let now = beside.resolve_name("users", RestoreTime::Latest).await.unwrap();
    assert_eq!((now.table_arn.as_str(), now.backup_arn), ("arn:aws:dynamodb:east:game:table/users", None));
    assert_eq!(now.definition, definition("users", 7));
    let partition = beside.restored(&now.origin, 21).await;
    assert_eq!(beside.node.value(partition, 1).await, Some(20));
    // Asked again, it is there.
    assert_eq!(beside.restore(&now.origin, 21).await, ArchiveAnswer::Restore(RestoreProgress::Done));
    let recovery = beside.service.answer(ArchiveCall::Recovery { table_id: TableId([7; 16]) }).await;
    let ArchiveAnswer::Recovery(recovery) = recovery else { panic!("{recovery:?}") };
    assert!(recovery.windows[0].latest_ms >= now.restore_time_ms, "{recovery:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_outside_is_refused_with_what_can_be_restored_and_an_unknown_table_by_its_name() {
    let beside = Beside::start().await;
    beside.node.create_table("users", 7).await;
    beside.shipped().await;
    let later = environment::wall_ms() + 3_600_000;
    for at in [0, later] {
        let (reason, message) = beside.resolve_name("users", RestoreTime::Millis(at)).await.unwrap_err();
        assert_eq!(reason, ArchiveRefusal::NotRestorable);
        assert!(message.contains("it can be to times from") && message.contains("the nearest is"), "{message}");
    }
    let (reason, message) = beside.resolve_name("other", RestoreTime::Latest).await.unwrap_err();
    assert_eq!(reason, ArchiveRefusal::NotFound);
    assert!(message.contains("other"), "{message}");
    assert_eq!(beside.resolve(from_backup("0001-a")).await.unwrap_err().0, ArchiveRefusal::NotFound);
    assert_eq!(beside.resolve(from_backup("")).await.unwrap_err().0, ArchiveRefusal::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_tables_of_a_name_the_one_there_is_wins_and_else_the_youngest() {
    let beside = Beside::start().await;
    let mark = async |id: u8| {
        let call = ArchiveCall::MarkDeleted { table_id: TableId([id; 16]), deleted_at_ms: environment::wall_ms() };
        assert_eq!(beside.service.answer(call).await, ArchiveAnswer::Done);
    };
    let found = async || {
        let resolved = beside.resolve_name("users", RestoreTime::Latest).await.unwrap();
        resolved.definition.table_id
    };
    for id in [7, 8] {
        beside.node.create_table("users", id).await;
    }
    beside.shipped().await;
    beside.node.drop_table(PartitionId([8; 16]), TableId([8; 16])).await;
    eventually(async || beside.report().await.tables.len() == 1).await;
    // Whatever of the dropped one was on its way is there by now.
    tokio::time::sleep(Duration::from_secs(3)).await;
    mark(8).await;
    assert_eq!(found().await, TableId([7; 16]));
    beside.node.drop_table(PartitionId([7; 16]), TableId([7; 16])).await;
    eventually(async || beside.report().await.tables.is_empty()).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    mark(7).await;
    assert_eq!(found().await, TableId([8; 16]));
    // Of a table that the bucket never had, nothing has to be noted.
    mark(9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_once_told_of_restored_from_and_deleted() {
    let beside = Beside::start().await;
    let users = beside.node.create_table("users", 7).await;
    beside.node.put(users, 1, 10).await;
    beside.reachable().await;
    let made = beside.created_backup(users, "0001-a").await;
    assert_eq!((made.item_count, made.bytes_done), (1, made.table_size_bytes));
    assert_eq!(beside.create_backup(users, "0001-a").await.unwrap(), made);
    beside.node.put(users, 1, 20).await;
    beside.created_backup(users, "0002-b").await;
    assert_eq!(beside.list_backups(None, 1).await, (vec!["0001-a".to_owned()], true));
    assert_eq!(beside.list_backups(Some("0001-a"), 10).await, (vec!["0002-b".to_owned()], false));

    let owner = Some(ArchiveOwner { region: "east".into(), account: ACCOUNT.into() });
    let describe = ArchiveCall::DescribeBackup { owner: owner.clone(), backup_id: "0001-a".into() };
    assert_eq!(backup(beside.service.answer(describe).await).unwrap(), made);
    let resolved = beside.resolve(RestoreSource::Backup { owner, backup_id: "0001-a".into() }).await.unwrap();
    assert_eq!((resolved.backup_arn, resolved.restore_time_ms), (Some(made.order.arn.clone()), 5));
    let partition = beside.restored(&resolved.origin, 20).await;
    assert_eq!(beside.node.value(partition, 1).await, Some(10));

    let deleted = beside.delete_backup("0001-a").await.unwrap();
    assert_eq!((deleted.state, deleted.order), (BackupState::Deleted, made.order));
    assert_eq!(beside.delete_backup("0001-a").await, Err(ArchiveRefusal::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_lead_makes_no_backup_and_another_accounts_table_is_not_taken() {
    let beside = Beside::start().await;
    let users = beside.node.create_table("users", 7).await;
    beside.reachable().await;
    let strange = beside.create_backup(PartitionId([9; 16]), "0001-a").await;
    assert_eq!(strange, Err(ArchiveRefusal::NotLeader));
    let mut of_another = order("0001-a");
    of_another.definition.account = "shop".into();
    let answer = beside.service.answer(ArchiveCall::CreateBackup { partition_id: users, backup: of_another }).await;
    assert_eq!(refused(answer).0, ArchiveRefusal::Invalid);
    let mut definition = definition("restored", 20);
    definition.account = "shop".into();
    let descriptor = beside.node.descriptor(definition.table_id, 20);
    let origin = RestoreOrigin::Backup {
        owner: ArchiveOwner { region: "east".into(), account: "shop".into() },
        backup_id: "0001-a".into(),
    };
    let answer = beside.service.answer(ArchiveCall::Restore { descriptor, definition, origin }).await;
    assert_eq!(refused(answer).0, ArchiveRefusal::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_told_of_once_by_its_object_and_then_tried_anew() {
    let beside = Beside::start().await;
    let users = beside.node.create_table("users", 7).await;
    beside.node.put(users, 1, 10).await;
    beside.reachable().await;
    beside.created_backup(users, "0001-a").await;
    let resolved = beside.resolve(from_backup("0001-a")).await.unwrap();
    let object = beside.objects(".snap").into_iter().find(|path| path.to_str().unwrap().contains("0001-a")).unwrap();
    let sound = damage(&object);
    let mut told = None;
    eventually(async || match beside.restore(&resolved.origin, 20).await {
        ArchiveAnswer::Restore(RestoreProgress::Loading { .. }) => false,
        answer => {
            told = Some(refused(answer));
            true
        }
    })
    .await;
    let (reason, message) = told.unwrap();
    assert_eq!(reason, ArchiveRefusal::NotRestorable);
    assert!(message.contains(object.file_name().unwrap().to_str().unwrap()), "{message}");
    std::fs::write(&object, sound).unwrap();
    let partition = beside.restored(&resolved.origin, 20).await;
    assert_eq!(beside.node.value(partition, 1).await, Some(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_whose_log_is_damaged_is_refused_with_the_object_and_the_nearest_time() {
    let beside = Beside::start().await;
    let users = beside.node.create_table("users", 7).await;
    for value in 0..3 {
        beside.shipped().await;
        beside.node.put(users, 1, value).await;
    }
    beside.shipped().await;
    let resolved = beside.resolve_name("users", RestoreTime::Latest).await.unwrap();
    let segment = beside.objects(".seg").pop().unwrap();
    damage(&segment);
    let mut told = None;
    eventually(async || match beside.restore(&resolved.origin, 20).await {
        ArchiveAnswer::Restore(RestoreProgress::Loading { .. }) => false,
        answer => {
            told = Some(refused(answer));
            true
        }
    })
    .await;
    let (reason, message) = told.unwrap();
    assert_eq!(reason, ArchiveRefusal::NotRestorable);
    assert!(message.contains(segment.file_name().unwrap().to_str().unwrap()), "{message}");
    assert!(message.contains("the nearest time that can be restored is 20"), "{message}");
}

/// Loads nothing before it is told to.
struct Slow {
    adopter: Arc<dyn Adopter>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

#[async_trait]
impl Adopter for Slow {
    async fn has(&self, partition: PartitionId) -> anyhow::Result<bool> {
        self.adopter.has(partition).await
    }

    fn begin(&self) -> anyhow::Result<Box<dyn Adoption>> {
        self.go_on.lock().recv()?;
        self.adopter.begin()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn few_restores_go_on_at_once_and_what_they_read_is_not_deleted() {
    let (tell, go_on) = mpsc::channel();
    let slow =
        |node: &TestNode| -> Arc<dyn Adopter> { Arc::new(Slow { adopter: node.adopter(), go_on: Mutex::new(go_on) }) };
    let beside = Beside::start_with(slow, |_| {}).await;
    let users = beside.node.create_table("users", 7).await;
    beside.reachable().await;
    beside.created_backup(users, "0001-a").await;
    let origin = beside.resolve(from_backup("0001-a")).await.unwrap().origin;
    let total = async |id| match beside.restore(&origin, id).await {
        ArchiveAnswer::Restore(RestoreProgress::Loading { bytes_total, .. }) => bytes_total,
        other => panic!("{other:?}"),
    };
    for id in [20, 21, 22] {
        total(id).await;
    }
    eventually(async || total(20).await > 0 && total(21).await > 0).await;
    assert_eq!(total(22).await, 0, "it has to wait for a place");
    assert_eq!(beside.delete_backup("0001-a").await, Err(ArchiveRefusal::InUse));
    for _ in 0..3 {
        tell.send(()).unwrap();
    }
    for id in [20, 21, 22] {
        beside.restored(&origin, id).await;
    }
    beside.delete_backup("0001-a").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_told_of_by_its_setting_and_used_once_it_is() {
    // A file is where the bucket's folder should be.
    let occupy = |folder: &Path| std::fs::write(folder.join("bucket"), "").unwrap();
    let beside = Beside::start_with(|node| node.adopter(), occupy).await;
    let users = beside.node.create_table("users", 7).await;
    eventually(async || beside.report().await.unreachable.is_some_and(|why| why.contains("url:"))).await;
    let report = beside.report().await;
    assert_eq!(report.tables[0].table_id, TableId([7; 16]));
    let (reason, message) = beside.resolve_name("users", RestoreTime::Latest).await.unwrap_err();
    assert_eq!((reason, Some(message)), (ArchiveRefusal::Failed, report.unreachable));
    assert_eq!(beside.create_backup(users, "0001-a").await, Err(ArchiveRefusal::Failed));
    std::fs::remove_file(beside.folder.path().join("bucket")).unwrap();
    beside.shipped().await;
    assert_eq!(beside.report().await.unreachable, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_goes_away_is_told_of_until_it_is_back() {
    let beside = Beside::start().await;
    beside.reachable().await;
    let (bucket, away) = (beside.folder.path().join("bucket"), beside.folder.path().join("away"));
    std::fs::rename(&bucket, &away).unwrap();
    std::fs::write(&bucket, "").unwrap();
    eventually(async || beside.report().await.unreachable.is_some()).await;
    std::fs::remove_file(&bucket).unwrap();
    std::fs::rename(&away, &bucket).unwrap();
    beside.reachable().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_change_open_the_bucket_anew() {
    let beside = Beside::start().await;
    beside.reachable().await;
    let shipper = beside.reach.shipper().unwrap();
    let credentials = beside.folder.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(credentials.join("accessKeyId"), "AKIA\n").unwrap();
    eventually(async || beside.reach.shipper().is_some_and(|other| !Arc::ptr_eq(&shipper, &other))).await;
}

#[tokio::test]
async fn credentials_that_are_missing_are_named_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let config = ArchiveConfig { url: "s3://backups".into(), ..ArchiveConfig::default() };
    let settings = BucketSettings { config, credentials_dir: Some(folder.path().to_owned()) };
    std::fs::write(folder.path().join("accessKeyId"), "AKIA").unwrap();
    std::fs::write(folder.path().join("secretAccessKey"), "\n").unwrap();
    let why = settings.open_now().await.unwrap_err();
    assert!(why.starts_with("secret_access_key: ") && why.contains("secretAccessKey is not there"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_last_is_shipped_when_it_stops() {
    let beside = Beside::start().await;
    let users = beside.node.create_table("users", 7).await;
    beside.shipped().await;
    beside.node.put(users, 1, 10).await;
    let written_ms = environment::wall_ms();
    // The clocks of a group may differ by a little: that far behind its own, a node closes.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    beside.stop.send(true).unwrap();
    beside.keeping.await.unwrap();
    let url = format!("file://{}/bucket", beside.folder.path().display());
    let config = ArchiveConfig { url, ..ArchiveConfig::default() };
    let bucket = cairn_archive::Bucket::open(&config).await.unwrap();
    let own = ArchiveOwner { region: "east".into(), account: ACCOUNT.into() };
    let path = crate::archive::past::path_of(&own, TableId([7; 16]));
    let recovery = cairn_archive::restore::recoverable(&bucket, &path).await.unwrap();
    assert!(recovery.latest_ms() > Some(written_ms), "{recovery:?}");
}
