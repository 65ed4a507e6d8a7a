//! What is deleted: objects that no manifest names any more, tables and backups past their time, leftovers.

use crate::{
    ArchiveError, Bucket, TablePath, archived, backup, document, export::ExportRecords, import, layout,
    layout::PartitionPath, manifest::Manifest, table,
};
use cairn_replication::Clock;
use object_store::ObjectMeta;
use std::collections::HashSet;

pub(crate) const DAY_MS: u64 = 24 * 3600 * 1000;
/// What was written later than this may belong to something that is under way.
const LEFTOVER_AGE_MS: u64 = DAY_MS;
/// A clock that is further from the store's is wrong.
const CLOCK_OFFSET_MAX_MS: u64 = 5 * 60 * 1000;

/// The time by this node's clock, if the store's agrees: a clock that is ahead would have everything deleted.
pub(crate) async fn agreed_ms(bucket: &Bucket, clock: &dyn Clock) -> Result<u64, ArchiveError> {
    let now_ms = clock.now().wall_ms;
    let store_ms = bucket.clock_ms().await?;
    let agrees = now_ms.saturating_sub(CLOCK_OFFSET_MAX_MS) <= store_ms
        && store_ms <= clock.now().wall_ms.saturating_add(CLOCK_OFFSET_MAX_MS);
    if agrees { Ok(now_ms) } else { Err(ArchiveError::Clock { now_ms, store_ms }) }
}

/// Deletes what is past its time of a whole cluster: deleted tables after their recovery period, backups that expire,
/// what unfinished backups left, and what is known of old imports and exports. What of a table is past its period, its [`crate::Shipper`] deletes.
/// [`ArchiveError::Clock`] where the store has another time.
pub async fn sweep(bucket: &Bucket, cluster: &str, clock: &dyn Clock) -> Result<(), ArchiveError> {
    let now_ms = agreed_ms(bucket, clock).await?;
    for account in bucket.folders(&layout::cluster(cluster)).await? {
        for name in bucket.folders(&layout::account(cluster, &account)).await? {
            let Ok(table_id) = name.parse() else { continue };
            let path = TablePath { cluster: cluster.into(), account: account.clone(), table_id };
            sweep_table(bucket, &path, now_ms).await?;
        }
        sweep_backups(bucket, cluster, &account, now_ms).await?;
        import::sweep(bucket, cluster, &account, now_ms).await?;
        ExportRecords::new(bucket.clone(), cluster, &account).sweep(now_ms).await?;
    }
    Ok(())
}

async fn sweep_table(bucket: &Bucket, path: &TablePath, now_ms: u64) -> Result<(), ArchiveError> {
    let Some(table) = document::pass_over(table::get(bucket, path).await)? else { return Ok(()) };
    if table.goes_at_ms().is_none_or(|at_ms| now_ms < at_ms) {
        return Ok(());
    }
    tracing::info!(table = table.definition.table_name, table_id = %path.table_id, "the archive of a deleted table is past its time");
    let (manifests, others): (Vec<ObjectMeta>, Vec<ObjectMeta>) = bucket
        .list(&path.folder(), None)
        .await?
        .into_iter()
        .filter(|object| object.location != path.table())
        .partition(|object| object.location.as_ref().contains("/manifests/"));
    // What names others goes first, what names the table last.
    for object in manifests.iter().chain(&others) {
        bucket.delete(&object.location).await?;
    }
    bucket.delete(&path.table()).await
}

async fn sweep_backups(bucket: &Bucket, cluster: &str, account: &str, now_ms: u64) -> Result<(), ArchiveError> {
    for id in bucket.folders(&layout::backups(cluster, account)).await? {
        match backup::get(bucket, cluster, account, &id).await {
            Ok(record) if record.order.expiry_time_ms.is_some_and(|at_ms| at_ms <= now_ms) => {
                backup::delete(bucket, cluster, account, &id).await?;
            }
            Ok(_) => {}
            Err(ArchiveError::NotFound { .. }) => {
                let objects = bucket.list(&layout::backup_folder(cluster, account, &id), None).await?;
                for object in objects.iter().filter(|object| is_leftover(object, now_ms)) {
                    bucket.delete(&object.location).await?;
                }
            }
            Err(error) if document::is_unusable(&error) => {
                tracing::warn!(%error, "failed to find out whether a backup expires: it stays");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Deletes the snapshots and segments of a partition that none of the manifests in the bucket names, nor the newest,
/// `manifest`, in memory.
pub(crate) async fn delete_unlisted(
    bucket: &Bucket,
    path: &PartitionPath,
    manifest: &Manifest,
    now_ms: u64,
) -> Result<(), ArchiveError> {
    // Before the manifests: what is added to them later is not among these.
    let mut objects = bucket.list(&path.snapshots(), None).await?;
    let head = manifest.head();
    let log = bucket.list(&path.log(), None).await?;
    objects
        .extend(log.into_iter().filter(|object| layout::number(&object.location).is_some_and(|first| first <= head)));
    let mut named: HashSet<String> = HashSet::new();
    for listed in archived::manifests(bucket, path).await?.iter().chain([manifest]) {
        named.extend(listed.snapshots.iter().map(|snapshot| snapshot.object.clone()));
        named.extend(listed.segments.iter().map(|segment| segment.object.clone()));
    }
    for object in objects {
        let unlisted = object.location.filename().is_some_and(|name| !named.contains(name));
        if unlisted && is_leftover(&object, now_ms) {
            bucket.delete(&object.location).await?;
        }
    }
    Ok(())
}

fn is_leftover(object: &ObjectMeta, now_ms: u64) -> bool {
    let written_ms = u64::try_from(object.last_modified.timestamp_millis()).unwrap_or(0);
    written_ms + LEFTOVER_AGE_MS < now_ms
}
