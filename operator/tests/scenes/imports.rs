//! Tables made of files in a bucket.

use crate::support::{
    World,
    api_server::ApiServer,
    bucket::{Bucket, RESTORED_ITEMS},
    wait,
};
use cairn_crds::{Table, TableResourceStatus, table::ImportStatus};
use cairn_model::archive::import::{self, ImportFormat};
use kube::api::DeleteParams;

const DEFAULTS: &str = "{volume: {size: 1Gi}, archive: {url: 's3://tables'}}";
const FROM_CSV: &str = ", importFrom: {s3BucketSource: {s3Bucket: source, s3KeyPrefix: some/}, inputFormat: CSV, \
                        inputFormatOptions: {csv: {delimiter: ';'}}, inputCompressionType: GZIP}";

pub(crate) async fn play(server: &ApiServer) {
    a_table_is_imported_and_says_how_far_it_is(server).await;
    an_import_that_fails_leaves_no_data_and_is_not_tried_again(server).await;
    an_import_that_fails_by_some_items_leaves_a_table_of_the_others(server).await;
    an_import_waits_for_an_archive(server).await;
    what_is_imported_for_a_deleted_table_goes(server).await;
}

async fn world(server: &ApiServer, namespace: &str) -> (World, Bucket) {
    let world = World::with_defaults(server, namespace, DEFAULTS, &[]).await;
    let bucket = Bucket::default();
    bucket.serve(&world.fleet);
    (world, bucket)
}

async fn status(world: &World) -> TableResourceStatus {
    world.table("users").await.status.unwrap_or_default()
}

/// Waits until the table's import has come so far.
async fn wait_import(world: &World, wanted: import::ImportStatus) -> ImportStatus {
    wait(&format!("the import to be {wanted:?}"), || async {
        status(world).await.import.filter(|import| import.import_status == wanted)
    })
    .await
}

fn replicas_held(world: &World) -> usize {
    world.fleet.with(|nodes| nodes.values().map(|node| node.replicas.len()).sum())
}

async fn delete(world: &World) {
    let tables = world.api::<Table>();
    tables.delete("users", &DeleteParams::default()).await.unwrap();
    wait("the table to go", || async { tables.get_opt("users").await.unwrap().is_none().then_some(()) }).await;
}

async fn a_table_is_imported_and_says_how_far_it_is(server: &ApiServer) {
    let (world, bucket) = world(server, "import").await;
    let id = world.create_table("users", FROM_CSV).await.import_id().unwrap();
    world.wait_reason("users", "Importing").await;
    let importing =
        wait("the progress", || async { status(&world).await.import.filter(|import| import.imported_item_count == 5) })
            .await;
    assert!(importing.is_in_progress());
    assert_eq!(importing.import_arn, format!("arn:aws:dynamodb:east:import:table/users/import/{id}"));
    assert_eq!(replicas_held(&world), 0, "nothing is made empty");
    let order = bucket.with(|contents| contents.import.clone()).unwrap().order;
    assert_eq!((order.import_id, order.source.bucket), (id, "source".to_owned()));
    assert!(matches!(order.format, ImportFormat::Csv { options: Some(_) }), "{:?}", order.format);

    bucket.with(|contents| contents.failure = Some("the disk is full".into()));
    assert_eq!(world.wait_reason("users", "ArchiveFailed").await, "the disk is full");
    bucket.with(|contents| {
        contents.failure = None;
        contents.finishes = true;
    });
    let table = world.wait_active("users").await;
    assert_eq!(table.status.unwrap().item_count, i64::try_from(RESTORED_ITEMS).ok());
    let ended = wait_import(&world, import::ImportStatus::Completed).await;
    assert_eq!((ended.imported_item_count, ended.end_time.is_some()), (42, true));
    world.wait_reason("users", "Ready").await;
}

async fn an_import_that_fails_leaves_no_data_and_is_not_tried_again(server: &ApiServer) {
    let (world, bucket) = world(server, "import-fails").await;
    bucket.with(|contents| contents.import_failure = Some("the specified bucket does not exist".into()));
    world.create_table("users", FROM_CSV).await;
    let message = world.wait_reason("users", "ImportFailed").await;
    assert!(message.contains("the specified bucket does not exist"), "{message}");
    let failed = wait_import(&world, import::ImportStatus::Failed).await;
    assert_eq!(failed.failure_code.as_deref(), Some("S3NoSuchBucket"));
    let asked = bucket.with(|contents| {
        contents.import_failure = None;
        contents.finishes = true;
        contents.loads
    });
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!((bucket.with(|contents| contents.loads), replicas_held(&world)), (asked, 0));
    delete(&world).await;
    world.create_table("users", FROM_CSV).await;
    world.wait_active("users").await;
}

async fn an_import_that_fails_by_some_items_leaves_a_table_of_the_others(server: &ApiServer) {
    let (world, bucket) = world(server, "import-part").await;
    bucket.with(|contents| (contents.rejected_items, contents.finishes) = (3, true));
    world.create_table("users", FROM_CSV).await;
    let table = world.wait_active("users").await;
    assert_eq!(table.status.unwrap().item_count, i64::try_from(RESTORED_ITEMS).ok());
    let failed = wait_import(&world, import::ImportStatus::Failed).await;
    assert_eq!((failed.failure_code.as_deref(), failed.error_count), (Some("ItemValidationError"), 3));
    world.wait_reason("users", "Ready").await;
    let (asked, held) = (bucket.with(|contents| contents.loads), replicas_held(&world));
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(
        (bucket.with(|contents| contents.loads), replicas_held(&world)),
        (asked, held),
        "nothing is tried again"
    );
    let after = world.wait_reason("users", "Ready").await;
    assert!(!after.contains("import") && status(&world).await.import == Some(failed), "{after}");
}

async fn an_import_waits_for_an_archive(server: &ApiServer) {
    let world = World::new(server, "import-bare").await;
    world.create_table("users", FROM_CSV).await;
    assert!(world.wait_reason("users", "ArchiveMissing").await.contains("spec.archive"));
    let status = status(&world).await;
    assert!(status.placements.is_none() && status.import.is_none(), "{status:?}");
}

async fn what_is_imported_for_a_deleted_table_goes(server: &ApiServer) {
    let (world, bucket) = world(server, "import-late").await;
    world.create_table("users", FROM_CSV).await;
    world.wait_reason("users", "Importing").await;
    wait("the import to begin", || async { bucket.with(|contents| contents.load.is_some()).then_some(()) }).await;
    delete(&world).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    bucket.finish(&world.fleet);
    wait("the data to be dropped", || async { (replicas_held(&world) == 0).then_some(()) }).await;
}
