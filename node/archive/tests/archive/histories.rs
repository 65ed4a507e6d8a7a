//! A partition whose log is not the one that was archived, such as that of a data folder that was set back; and one whose
//! archive is not what the listings of the bucket say.

use crate::{
    model::{Model, TABLE_ID, eventually, often, ship_all, shipped, shipper, table},
    point_in_time::every_time_comes_back,
    stamped::Stamped,
};
use cairn_archive::{Bucket, Shipper, ShipperOptions, restore};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use std::{sync::Arc, time::Duration};

async fn contents(store: &InMemory) -> Vec<(Path, Vec<u8>)> {
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut contents = Vec::new();
    for object in objects {
        let bytes = store.get(&object.location).await.unwrap().bytes().await.unwrap();
        contents.push((object.location, bytes.to_vec()));
    }
    contents
}

fn is_another(shipper: &Shipper) -> bool {
    let status = shipper.status(TABLE_ID).unwrap_or_default();
    status.problems.iter().any(|problem| problem.contains("its history is another one"))
}

/// Six entries are archived; all but two of them are forgotten.
async fn a_partition_that_is_set_back(store: &Arc<InMemory>) -> (Bucket, Arc<Model>) {
    let bucket = Bucket::over(store.clone());
    let model = Model::new();
    for key in 0..5 {
        model.write(key, 1);
    }
    ship_all(&shipper(&bucket, &model, "node-a", often()), &model).await;
    model.set_back(4);
    model.advance(10_000);
    model.write(1, 2);
    (bucket, model)
}

#[tokio::test]
async fn a_partition_that_ends_before_what_is_archived_is_noticed_before_it_gets_there() {
    let store = Arc::new(InMemory::new());
    let (bucket, model) = a_partition_that_is_set_back(&store).await;
    let (archived, recovery) = (contents(&store).await, restore::recoverable(&bucket, &table()).await.unwrap());
    let shipper = shipper(&bucket, &model, "node-b", often());
    let rounds = async {
        eventually(async || is_another(&shipper)).await;
        // It lasts, also when the log is as long as the archive, and when it is longer.
        for value in 0..6 {
            model.advance(1_000);
            model.write(1, value);
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(2)).await;
                assert!(is_another(&shipper));
            }
        }
    };
    shipper.run(rounds).await;
    assert_eq!(contents(&store).await, archived);
    assert_eq!(restore::recoverable(&bucket, &table()).await.unwrap(), recovery);
}

#[tokio::test]
async fn an_entry_of_the_same_term_with_another_time_is_another_history() {
    let store = Arc::new(InMemory::new());
    let (bucket, model) = a_partition_that_is_set_back(&store).await;
    for value in 0..9 {
        model.write(2, value);
    }
    let archived = contents(&store).await;
    let shipper = shipper(&bucket, &model, "node-b", often());
    shipper.run(eventually(async || is_another(&shipper))).await;
    assert_eq!(contents(&store).await, archived);
}

#[tokio::test]
async fn a_partition_that_is_set_back_below_a_running_shipper_is_noticed() {
    let store = Arc::new(InMemory::new());
    let bucket = Bucket::over(store.clone());
    let model = Model::new();
    for key in 0..5 {
        model.write(key, 1);
    }
    let shipper = shipper(&bucket, &model, "node-a", often());
    let rounds = async {
        shipped(&shipper, &model).await;
        model.set_back(4);
        model.advance(10_000);
        model.write(1, 2);
        eventually(async || is_another(&shipper)).await;
    };
    shipper.run(rounds).await;
    let latest_ms = restore::recoverable(&bucket, &table()).await.unwrap().latest_ms().unwrap();
    assert!(latest_ms <= model.now_ms() - 10_000);
}

#[tokio::test]
async fn a_node_that_can_close_no_timestamps_ships_its_log_all_the_same() {
    let bucket = Bucket::over(Arc::new(InMemory::new()));
    let model = Model::new();
    model.overload(true);
    for key in 0..5 {
        model.write(key, 1);
    }
    let shipper = shipper(&bucket, &model, "node-a", often());
    let told = async || {
        let problems = shipper.status(TABLE_ID).unwrap_or_default().problems;
        problems.iter().any(|problem| problem.contains("too much to do"))
    };
    let rounds = async {
        eventually(async || model.archived_index() == model.last_index()).await;
        model.write(1, 2);
        eventually(async || model.archived_index() == model.last_index() && told().await).await;
        model.overload(false);
        shipped(&shipper, &model).await;
        eventually(async || !told().await).await;
    };
    shipper.run(rounds).await;
}

#[tokio::test]
async fn a_listing_that_comes_late_makes_no_hole() {
    let model = Model::new();
    let store = Stamped::new(&model);
    let bucket = Bucket::over(store.clone());
    for round in 0..6 {
        model.advance(1_000);
        model.write(1, round);
        ship_all(&shipper(&bucket, &model, "node-a", often()), &model).await;
    }
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut segments: Vec<Path> =
        objects.into_iter().map(|object| object.location).filter(|path| path.as_ref().ends_with(".seg")).collect();
    segments.sort();
    let last = segments.len() - 1;
    for late in [&segments[1..3], &segments[last..], &segments[..]] {
        store.set_unlisted(late.to_vec());
        // What is in the archive already, the log need not have any more.
        model.compact(model.last_index());
        model.advance(1_000);
        model.write(2, 1);
        ship_all(&shipper(&bucket, &model, "node-b", often()), &model).await;
        store.set_unlisted([]);
        let recovery = restore::recoverable(&bucket, &table()).await.unwrap();
        assert_eq!((recovery.windows.len(), recovery.problems.len()), (1, 0), "{late:?}: {recovery:?}");
        every_time_comes_back(&bucket, &model).await;
    }
}

#[tokio::test]
async fn what_another_node_shipped_meanwhile_is_not_lost() {
    let bucket = Bucket::over(Arc::new(InMemory::new()));
    let model = Model::new();
    model.write(1, 1);
    let slow = ShipperOptions { seal_interval: Duration::from_millis(300), ..often() };
    let slow = shipper(&bucket, &model, "node-a", slow);
    let rounds = async {
        shipped(&slow, &model).await;
        model.advance(1_000);
        model.write(1, 2);
        ship_all(&shipper(&bucket, &model, "node-b", often()), &model).await;
        model.compact(model.last_index() + 1);
        model.advance(1_000);
        model.write(1, 3);
        model.compact(model.last_index());
        shipped(&slow, &model).await;
    };
    slow.run(rounds).await;
    every_time_comes_back(&bucket, &model).await;
    assert_eq!(slow.status(TABLE_ID).unwrap().problems, [""; 0]);
}
