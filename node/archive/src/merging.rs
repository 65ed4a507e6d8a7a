//! Small segments become large ones, so that a table that was written to for weeks is not millions of objects.
//!
//! The merged segment stands in a manifest before what it was made of is deleted ([`crate::retention`]).

use crate::{
    ArchiveError, Bucket,
    layout::PartitionPath,
    manifest::{Manifest, SegmentRecord},
    segment::{SegmentBuilder, SegmentReader},
};
use cairn_model::time::Timestamp;
use std::ops::Range;

/// Of a merged segment, compressed; a restore holds a few in memory.
const MERGED_BYTES_MAX: u64 = 8 << 20;
/// A larger one gains nothing.
const SMALL_BYTES_MAX: u64 = 1 << 20;
/// More are left for the next time.
const MERGES_MAX: usize = 64;

/// Merges runs of at least `segments_min` small segments from before `before`; gives what stands for them.
pub(crate) async fn merge(
    bucket: &Bucket,
    path: &PartitionPath,
    manifest: &Manifest,
    before: Timestamp,
    segments_min: usize,
) -> Result<Vec<SegmentRecord>, ArchiveError> {
    let mut merged = Vec::new();
    for run in runs(&manifest.segments, before, segments_min).into_iter().take(MERGES_MAX) {
        match merge_run(bucket, path, manifest, run).await {
            Ok(segment) => merged.push(segment),
            // What cannot be merged stays as it is; the check tells what is wrong with it.
            Err(
                error @ (ArchiveError::Damaged { .. } | ArchiveError::NotFound { .. } | ArchiveError::Exists { .. }),
            ) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "failed to merge segments");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(merged)
}

fn runs(segments: &[SegmentRecord], before: Timestamp, segments_min: usize) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let (mut run, mut bytes) = (0..0, 0);
    // The last one stays: what the next has to follow is its checksum.
    let candidates = &segments[..segments.len().saturating_sub(1)];
    for (number, segment) in candidates.iter().enumerate() {
        if segment.last_time >= before {
            break;
        }
        let small = segment.bytes <= SMALL_BYTES_MAX;
        let follows = number > 0 && segments[number - 1].last + 1 == segment.first;
        let fits = bytes + segment.bytes <= MERGED_BYTES_MAX;
        if run.is_empty() || !small || !follows || !fits {
            runs.push(std::mem::replace(&mut run, if small { number..number } else { 0..0 }));
            bytes = 0;
        }
        if small {
            run.end = number + 1;
            bytes += segment.bytes;
        }
    }
    runs.push(run);
    runs.retain(|run| run.len() >= segments_min.max(2));
    runs
}

async fn merge_run(
    bucket: &Bucket,
    path: &PartitionPath,
    manifest: &Manifest,
    run: Range<usize>,
) -> Result<SegmentRecord, ArchiveError> {
    let (first, last) = (manifest.segments[run.start].first, manifest.segments[run.end - 1].last);
    let merged = path.merged_segment(first, last);
    let interrupted = |_| ArchiveError::Interrupted { object: merged.to_string() };
    let closed = manifest.segments[run.clone()].iter().map(SegmentRecord::complete_to).max();
    let follows = manifest.segments[..run.start].last().filter(|segment| segment.last + 1 == first);
    let mut builder = SegmentBuilder::new(manifest.partition_id, follows.map(SegmentRecord::link));
    for segment in &manifest.segments[run] {
        let source = path.log().join(segment.object.as_str());
        let object = bucket.get_range(&source, 0..segment.bytes).await?;
        let record = segment.clone();
        let added = tokio::task::spawn_blocking(move || {
            let mut reader = SegmentReader::new(&object)?;
            record.check(reader.header())?;
            while let Some(entries) = reader.next()? {
                for (entry, time) in entries {
                    builder.entry(&entry, time).map_err(|error| error.to_string())?;
                }
            }
            Ok::<_, String>(builder)
        });
        builder = added
            .await
            .map_err(interrupted)?
            .map_err(|reason| ArchiveError::Damaged { object: source.to_string(), reason })?;
    }
    let finished = tokio::task::spawn_blocking(move || builder.finish()).await.map_err(interrupted)?;
    let (header, object) =
        finished.map_err(|error| ArchiveError::Damaged { object: merged.to_string(), reason: error.to_string() })?;
    bucket.create(&merged, object).await?;
    Ok(SegmentRecord { closed, ..SegmentRecord::new(merged.filename().unwrap_or_default().to_owned(), &header) })
}
