//! Tables that come back from their past.

use super::{Beside, damage, eventually, from_backup, refused};
use crate::{archive::testing::definition, environment};
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveCall, ArchiveRefusal, RestoreProgress, RestoreTime},
    ids::{PartitionId, TableId},
};
use std::time::Duration;

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
        let call = ArchiveCall::MarkDeleted {
            table_id: TableId([id; 16]),
            deleted_at_ms: environment::wall_ms(),
            with_archive: false,
        };
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
