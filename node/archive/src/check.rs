//! The regular look at what a table's archive consists of, so that damage is found before a restore needs what it hit.

use crate::{
    ArchiveError, Bucket, TablePath,
    manifest::{SegmentRecord, SnapshotRecord},
    presence,
    restore::history::{self, History},
    segment::SegmentReader,
    snapshot::{self, SnapshotReader},
    window::{self, Window},
};
use object_store::path::Path;

const RANGE_BYTES: u64 = 8 << 20;

/// An object that a restore cannot use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub object: String,
    pub reason: String,
    /// The times that cannot be restored without it; none where others make up for it.
    pub lost: Vec<Window>,
}

/// Looks for every object of a table; with `deep`, reads and verifies each, which takes as long as restoring all of it.
pub async fn check(bucket: &Bucket, path: &TablePath, deep: bool) -> Result<Vec<Finding>, ArchiveError> {
    let mut findings = Vec::new();
    for history in history::load_unchecked(bucket, path).await? {
        for problem in &history.problems {
            findings.push(Finding { object: problem.object.clone(), reason: problem.reason.clone(), lost: Vec::new() });
        }
        let mut unusable = presence::check(bucket, &history.path, &history.state.manifest).await?;
        if deep {
            let missing: Vec<String> = unusable.iter().map(|finding| finding.object.clone()).collect();
            unusable.extend(read_all(bucket, &history, &missing).await?);
        }
        let whole = history.state.manifest.windows(&history.state.claims);
        for presence::Finding { object, reason } in unusable {
            let name = Path::from(object.as_str());
            let without = history.state.manifest.without_name(name.filename().unwrap_or_default());
            let lost = window::difference(&whole, &without.windows(&history.state.claims));
            findings.push(Finding { object, reason, lost });
        }
    }
    Ok(findings)
}

async fn read_all(
    bucket: &Bucket,
    history: &History,
    missing: &[String],
) -> Result<Vec<presence::Finding>, ArchiveError> {
    let manifest = &history.state.manifest;
    let mut findings = Vec::new();
    for snapshot in &manifest.snapshots {
        let object = history.path.snapshots().join(snapshot.object.as_str());
        if !missing.contains(&object.to_string()) {
            let read = read_snapshot(bucket, &object, snapshot).await;
            findings.extend(finding(&object, read)?);
        }
    }
    for segment in &manifest.segments {
        let object = history.path.log().join(segment.object.as_str());
        if !missing.contains(&object.to_string()) {
            let read = read_segment(bucket, &object, segment).await;
            findings.extend(finding(&object, read)?);
        }
    }
    Ok(findings)
}

fn finding(
    object: &Path,
    read: Result<Result<(), String>, ArchiveError>,
) -> Result<Option<presence::Finding>, ArchiveError> {
    let reason = match read {
        Ok(Ok(())) => return Ok(None),
        Ok(Err(reason)) => reason,
        Err(error @ (ArchiveError::Damaged { .. } | ArchiveError::NotFound { .. })) => error.to_string(),
        Err(error) => return Err(error),
    };
    Ok(Some(presence::Finding { object: object.to_string(), reason }))
}

async fn read_snapshot(
    bucket: &Bucket,
    object: &Path,
    record: &SnapshotRecord,
) -> Result<Result<(), String>, ArchiveError> {
    let bytes = record.bytes;
    let mut reader = SnapshotReader::default();
    for start in (0..bytes).step_by(RANGE_BYTES as usize) {
        let piece = bucket.get_range(object, start..(start + RANGE_BYTES).min(bytes)).await?;
        let read = verified(move || {
            reader.push(piece)?;
            while let Some(block) = reader.next()? {
                snapshot::chunks_of(block)?;
            }
            Ok(reader)
        });
        reader = match read.await {
            Ok(reader) => reader,
            Err(reason) => return Ok(Err(reason)),
        };
    }
    Ok(reader.finish().and_then(|stored| record.check(&stored)))
}

async fn read_segment(
    bucket: &Bucket,
    object: &Path,
    record: &SegmentRecord,
) -> Result<Result<(), String>, ArchiveError> {
    let object = bucket.get_range(object, 0..record.bytes).await?;
    let record = record.clone();
    let read = verified(move || {
        let mut reader = SegmentReader::new(&object)?;
        while reader.next()?.is_some() {}
        record.check(reader.header())
    });
    Ok(read.await)
}

/// Decompresses and computes checksums away from the tasks that wait for the network.
async fn verified<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err("its verification ended early".into()))
}
