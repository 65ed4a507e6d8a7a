//! What a shipper that ended abruptly left: segments behind the last claim, that may be all there is up to their last entry.

use crate::{
    ArchiveError, Bucket, Claim,
    layout::PartitionPath,
    manifest::{Manifest, SegmentRecord},
    prepares::Prepares,
    segment::SegmentReader,
};
use cairn_model::time::Timestamp;
use cairn_replication::restore::prepares;

/// While claims are made there are a few.
const SEGMENTS_MAX: usize = 16;

/// Notes with the segments behind the last claim up to which time they, and those before them, are all there is.
pub(crate) async fn complete(
    bucket: &Bucket,
    path: &PartitionPath,
    manifest: &mut Manifest,
    claims: &[Claim],
) -> Result<(), ArchiveError> {
    let Some(claim) = claims.iter().max_by_key(|claim| claim.time).copied() else { return Ok(()) };
    let is_before = |segment: &SegmentRecord| segment.last_time.0 > 0 && segment.last_time <= claim.time;
    let begin = manifest.segments.iter().rposition(is_before).map_or(0, |before| before + 1);
    let tail = &manifest.segments[begin..];
    let is_known = tail.last().is_none_or(|last| last.closed.is_none_or(|closed| closed >= last.last_time));
    let Some(after) = follows(manifest, begin).filter(|_| !is_known && tail.len() <= SEGMENTS_MAX) else {
        return Ok(());
    };
    let mut passed = Prepares::default();
    passed.begin(after);
    passed.claim(claim);
    for at in begin..manifest.segments.len() {
        let segment = manifest.segments[at].clone();
        let newest = segment.last_time;
        let times = match read(bucket, path, segment).await {
            Ok(times) => times,
            // What is wrong with it is found out where all objects are looked at, or where it is needed.
            Err(ArchiveError::Damaged { .. } | ArchiveError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        passed.pass(times, newest);
        passed.claim(claim);
        let segment = &mut manifest.segments[at];
        segment.closed = segment.closed.max(Some(passed.complete_to()));
    }
    Ok(())
}

/// The time of the last entry before the segments from `begin` on, if what lies before them, and they, are without a hole.
fn follows(manifest: &Manifest, begin: usize) -> Option<Timestamp> {
    let tail = &manifest.segments[begin..];
    let first = tail.first()?.first;
    let is_whole = tail.windows(2).all(|pair| pair[0].last + 1 == pair[1].first);
    let before = match begin.checked_sub(1) {
        Some(before) => Some(&manifest.segments[before]).filter(|it| it.last + 1 == first).map(|it| it.last_time),
        None => manifest.snapshots.first().filter(|it| it.index + 1 >= first).map(|it| it.entry_time),
    };
    before.filter(|_| is_whole)
}

/// When what a segment has prepared was prepared.
async fn read(bucket: &Bucket, path: &PartitionPath, segment: SegmentRecord) -> Result<Vec<Timestamp>, ArchiveError> {
    let location = path.log().join(segment.object.as_str());
    let object = bucket.get_range(&location, 0..segment.bytes).await?;
    let times = tokio::task::spawn_blocking(move || {
        let mut reader = SegmentReader::new(&object)?;
        segment.check(reader.header())?;
        let mut times = Vec::new();
        while let Some(entries) = reader.next()? {
            times.extend(entries.into_iter().filter(|(entry, _)| prepares(entry)).map(|(_, time)| time));
        }
        Ok::<_, String>(times)
    });
    let times = times.await.map_err(|_| ArchiveError::Interrupted { object: location.to_string() })?;
    times.map_err(|reason| ArchiveError::Damaged { object: location.to_string(), reason })
}
