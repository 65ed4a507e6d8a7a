//! Backups, and tables that are restored from them.

use super::{Beside, backup, damage, eventually, from_backup, order, refused};
use crate::archive::{
    Adopter, Adoption, Intake,
    testing::{ACCOUNT, TestNode, definition},
};
use async_trait::async_trait;
use cairn_model::{
    archive::{
        ArchiveAnswer, ArchiveCall, ArchiveOwner, ArchiveRefusal, BackupState, RestoreOrigin, RestoreProgress,
        RestoreSource,
    },
    ids::PartitionId,
};
use parking_lot::Mutex;
use std::sync::{Arc, mpsc};

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

    fn fill(&self) -> anyhow::Result<Box<dyn Intake>> {
        self.go_on.lock().recv()?;
        self.adopter.fill()
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
