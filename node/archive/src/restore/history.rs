//! What the bucket has of each of a table's partitions, and which of them make up the table at a time.

use crate::{
    ArchiveError, Bucket, Claim, TablePath, archived,
    layout::PartitionPath,
    manifest::Manifest,
    presence::{self, Finding},
    tail,
    window::{self, Window},
};
use cairn_model::{ids::PartitionId, time::Timestamp};
use futures::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;

/// A partition that is read from the bucket holds its manifest in memory.
const READS_AT_ONCE: usize = 4;

#[derive(Debug)]
pub(crate) struct History {
    pub(crate) path: PartitionPath,
    pub(crate) state: Arc<State>,
    windows: Vec<Window>,
    /// Objects that are missing, truncated or damaged.
    pub(crate) problems: Vec<Finding>,
}

/// What can be read of a partition.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) manifest: Manifest,
    pub(crate) claims: Vec<Claim>,
}

/// The history of each partition that the table ever had and that still is in the archive, as far as its objects are
/// there and are not among `except`.
pub(crate) async fn load(bucket: &Bucket, path: &TablePath, except: &[String]) -> Result<Vec<History>, ArchiveError> {
    let mut histories = load_unchecked(bucket, path).await?;
    for history in &mut histories {
        let State { manifest, claims } = &*history.state;
        let unusable = presence::check(bucket, &history.path, manifest).await?;
        let lost: Vec<String> =
            unusable.iter().map(|finding| finding.object.clone()).chain(except.iter().cloned()).collect();
        if !lost.is_empty() {
            let manifest = manifest.clone().without(&history.path, &lost);
            history.windows = manifest.windows(claims);
            history.state = Arc::new(State { manifest, claims: claims.clone() });
        }
        history.problems.extend(unusable);
    }
    Ok(histories)
}

/// As the manifests have it, whether the objects are there or not.
pub(crate) async fn load_unchecked(bucket: &Bucket, path: &TablePath) -> Result<Vec<History>, ArchiveError> {
    let folders = bucket.folders(&path.folder()).await?;
    let partitions: Vec<PartitionId> = folders.iter().filter_map(|name| name.parse().ok()).collect();
    let loaded = stream::iter(partitions)
        .map(|partition_id| load_partition(bucket, path.partition(partition_id)))
        .buffered(READS_AT_ONCE)
        .try_filter_map(|history| async move { Ok(history) });
    loaded.try_collect().await
}

async fn load_partition(bucket: &Bucket, path: PartitionPath) -> Result<Option<History>, ArchiveError> {
    let Some(archived) = archived::load(bucket, &path).await? else { return Ok(None) };
    let claims = archived::claims(bucket, &path).await?;
    let (mut manifest, mut problems) = (archived.manifest, archived.problems);
    tail::complete(bucket, &path, &mut manifest, &claims).await?;
    problems.extend(archived.broken);
    let windows = manifest.windows(&claims);
    Ok(Some(History { path, state: Arc::new(State { manifest, claims }), windows, problems }))
}

/// The partitions that together held all of the table's keys at `at` and can be restored to then.
pub(crate) fn covering(histories: &[History], at: Timestamp) -> Option<Vec<&History>> {
    let restorable: Vec<&History> =
        histories.iter().filter(|history| history.windows.iter().any(|window| window.contains(at))).collect();
    let is_parent = |id: PartitionId| restorable.iter().any(|other| other.state.manifest.parents.contains(&id));
    let mut chosen: Vec<&History> =
        restorable.iter().copied().filter(|history| !is_parent(history.state.manifest.partition_id)).collect();
    chosen.sort_by(|a, b| a.state.manifest.range.start.cmp(&b.state.manifest.range.start));
    let starts_and_ends =
        chosen.first()?.state.manifest.range.start.is_empty() && chosen.last()?.state.manifest.range.end.is_empty();
    let touching = chosen.windows(2).all(|pair| {
        let end = &pair[0].state.manifest.range.end;
        !end.is_empty() && *end == pair[1].state.manifest.range.start
    });
    (starts_and_ends && touching).then_some(chosen)
}

/// The times from `floor` on the whole table can be restored to.
pub(crate) fn windows(histories: &[History], floor: Timestamp) -> Vec<Window> {
    // Between two of these moments the same partitions can be restored.
    let mut moments: Vec<u64> = histories
        .iter()
        .flat_map(|history| &history.windows)
        .flat_map(|window| [window.earliest.0, window.latest.0.saturating_add(1)])
        .collect();
    moments.sort_unstable();
    moments.dedup();
    let whole = moments.windows(2).filter(|pair| covering(histories, Timestamp(pair[0])).is_some());
    let windows = whole.map(|pair| Window { earliest: Timestamp(pair[0]).max(floor), latest: Timestamp(pair[1] - 1) });
    window::merge(windows.filter(|window| window.earliest <= window.latest).collect())
}
