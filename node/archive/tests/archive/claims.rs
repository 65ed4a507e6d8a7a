//! Up to which time what was shipped is all there is.

use crate::model::{Model, eventually, often, run, ship_all, shipper, table};
use cairn_archive::{Bucket, Shipper, ShipperOptions, restore};
use cairn_model::time::Timestamp;
use object_store::memory::InMemory;
use std::{sync::Arc, time::Duration};

async fn latest(bucket: &Bucket) -> Timestamp {
    restore::recoverable(bucket, &table()).await.unwrap().windows.last().unwrap().latest
}

/// A table that is shipped, by a shipper that writes no manifest until it has to.
async fn shipped_table() -> (Bucket, Arc<Model>, Shipper) {
    let bucket = Bucket::over(Arc::new(InMemory::new()));
    let model = Model::new();
    for key in 0..5 {
        model.write(key, 1);
    }
    let options = ShipperOptions { manifest_interval: Duration::from_secs(3_600), ..often() };
    let shipper = shipper(&bucket, &model, "node-a", options);
    ship_all(&shipper, &model).await;
    model.advance(1_000);
    (bucket, model, shipper)
}

/// While the node makes no claims.
async fn ship_unclaimed(shipper: &Shipper, model: &Model) {
    model.overload(true);
    let last = model.last_index();
    shipper.run(eventually(async || model.archived_index() >= last)).await;
}

async fn restored(bucket: &Bucket, at: Timestamp) -> crate::model::Restored {
    run(restore::plan(bucket, &table(), at, &[]).await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn what_was_shipped_behind_the_last_claim_can_be_restored_to_its_last_entry() {
    let (bucket, model, shipper) = shipped_table().await;
    model.write(1, 2);
    let last = model.write(2, 2);
    ship_unclaimed(&shipper, &model).await;
    assert_eq!(latest(&bucket).await, last);
    assert_eq!(restored(&bucket, last).await.state, model.state_at(last));
}

#[tokio::test]
async fn what_is_prepared_may_be_decided_right_after_until_a_claim_is_later() {
    let (bucket, model, shipper) = shipped_table().await;
    let before = model.write(1, 2);
    let prepared = model.prepare();
    model.advance(1_000);
    let after = model.write(1, 3);
    ship_unclaimed(&shipper, &model).await;
    assert_eq!(latest(&bucket).await, Timestamp(prepared.0 - 1));
    assert_eq!(restored(&bucket, before).await.state, model.state_at(before));
    assert!(restore::plan(&bucket, &table(), after, &[]).await.is_err());
    model.overload(false);
    ship_all(&shipper, &model).await;
    assert!(latest(&bucket).await >= after);
    assert_eq!(restored(&bucket, after).await.state, model.state_at(after));
}

#[tokio::test]
async fn a_restore_reads_on_until_all_that_was_decided_by_its_time_has_come() {
    let (bucket, model, shipper) = shipped_table().await;
    let at = model.prepare();
    // The claim behind it comes later than what is shipped with it.
    ship_unclaimed(&shipper, &model).await;
    model.advance(1_000);
    model.write(1, 2);
    let behind = model.last_index();
    model.overload(false);
    ship_all(&shipper, &model).await;
    model.advance(60_000);
    for value in 0..3 {
        model.write(1, value);
        ship_all(&shipper, &model).await;
    }
    let restored = restored(&bucket, at).await;
    assert_eq!(restored.state, model.state_at(at));
    assert_eq!(restored.behind, [behind], "as far as the claim goes, and no further");
}
