//! A partition as the archive has it now: its newest manifest, the segments after that, and the claims.

use crate::{
    ArchiveError, Bucket, Claim, document,
    layout::{self, PartitionPath},
    manifest::{Manifest, SegmentRecord},
    presence::Finding,
    segment::{HEADER_BYTES, SegmentHeader},
};
use cairn_model::time::Timestamp;
use futures::{StreamExt, stream};
use object_store::{ObjectMeta, path::Path};
use serde::{Deserialize, Serialize};

const READS_AT_ONCE: usize = 8;

/// `closed/NODE.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClosedDocument {
    pub(crate) index: u64,
    pub(crate) time: Timestamp,
    /// What is known of segments that no manifest has yet, and of a snapshot, for when what is behind them is lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) segments: Vec<ClosedSegment>,
}

/// All that was done up to `time` is in what ends with entry `last`, or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClosedSegment {
    pub(crate) last: u64,
    pub(crate) time: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Archived {
    /// With the segments that lie behind it.
    pub(crate) manifest: Manifest,
    /// How many of its last segments no manifest in the bucket has.
    pub(crate) unlisted: usize,
    /// What does not continue the chain: nothing behind it can be used.
    pub(crate) broken: Option<Finding>,
    /// The first index of the last segment in the bucket, whether it continues the chain or not.
    pub(crate) highest: u64,
    /// Objects that were passed over.
    pub(crate) problems: Vec<Finding>,
}

/// None where the partition has no manifest: nothing of it can be restored.
pub(crate) async fn load(bucket: &Bucket, path: &PartitionPath) -> Result<Option<Archived>, ArchiveError> {
    let Some((mut manifest, problems)) = newest_manifest(bucket, path).await? else { return Ok(None) };
    let after = path.segment(manifest.head());
    let mut listed = bucket.list(&path.log(), Some(&after)).await?;
    // Merged segments count only where a manifest names them.
    listed
        .retain(|object| layout::number(&object.location).is_some_and(|first| object.location == path.segment(first)));
    let highest = listed.last().and_then(|object| layout::number(&object.location)).unwrap_or(0);
    let headers = stream::iter(listed).map(|object| header(bucket, object)).buffered(READS_AT_ONCE);
    let mut headers = std::pin::pin!(headers);
    let (mut unlisted, mut broken) = (0, None);
    let mut next = headers.next().await;
    loop {
        let expected = manifest.head() + 1;
        // What a listing does not have may be there all the same.
        let found = match path.segment(expected) {
            location if next.as_ref().is_some_and(|(listed, _)| *listed <= location) => None,
            location => look(bucket, &location).await?,
        };
        let (location, header) = match found {
            Some(found) => found,
            None => match next.take() {
                Some(listed) => {
                    next = headers.next().await;
                    listed
                }
                None => break,
            },
        };
        match header.and_then(|header| follows(&manifest, expected, &location, header)) {
            Ok(segment) => {
                manifest.segments.push(segment);
                unlisted += 1;
            }
            // What the bucket does not give now may be sound.
            Err(error @ (ArchiveError::Store { .. } | ArchiveError::TimedOut { .. })) => return Err(error),
            Err(error) => {
                broken = Some(Finding { object: location.to_string(), reason: error.to_string() });
                break;
            }
        }
    }
    Ok(Some(Archived { manifest, unlisted, broken, highest, problems }))
}

/// The newest manifest that can be read, under the number of the newest there is.
async fn newest_manifest(
    bucket: &Bucket,
    path: &PartitionPath,
) -> Result<Option<(Manifest, Vec<Finding>)>, ArchiveError> {
    let listed = bucket.list(&path.manifests(), None).await?;
    let newest = listed.iter().filter_map(|object| layout::number(&object.location)).max();
    let mut problems = Vec::new();
    for object in listed.iter().rev() {
        match document::read::<Manifest>(bucket, &object.location).await {
            Ok(mut manifest) => {
                manifest.number = newest.unwrap_or(manifest.number);
                return Ok(Some((manifest, problems)));
            }
            // Several are kept for this.
            Err(error @ (ArchiveError::Damaged { .. } | ArchiveError::NotFound { .. })) => {
                problems.push(Finding { object: object.location.to_string(), reason: error.to_string() })
            }
            Err(error) => return Err(error),
        }
    }
    match listed.last() {
        None => Ok(None),
        Some(object) => Err(ArchiveError::Damaged {
            object: object.location.to_string(),
            reason: "and so is every manifest before it: the partition cannot be restored from its log".into(),
        }),
    }
}

/// All manifests in the bucket that can be read.
pub(crate) async fn manifests(bucket: &Bucket, path: &PartitionPath) -> Result<Vec<Manifest>, ArchiveError> {
    let mut manifests = Vec::new();
    for object in bucket.list(&path.manifests(), None).await? {
        match document::read(bucket, &object.location).await {
            Ok(manifest) => manifests.push(manifest),
            Err(ArchiveError::Damaged { .. } | ArchiveError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(manifests)
}

/// The segment at this place, if there is one.
async fn look(
    bucket: &Bucket,
    location: &Path,
) -> Result<Option<(Path, Result<SegmentHeader, ArchiveError>)>, ArchiveError> {
    match bucket.head(location).await {
        Ok(object) => Ok(Some(header(bucket, object).await)),
        Err(ArchiveError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn header(bucket: &Bucket, object: ObjectMeta) -> (Path, Result<SegmentHeader, ArchiveError>) {
    let location = object.location;
    let damaged = |reason| ArchiveError::Damaged { object: location.to_string(), reason };
    let bytes = object.size.min(HEADER_BYTES as u64);
    let header = match bucket.get_range(&location, 0..bytes).await {
        Ok(bytes) => SegmentHeader::decode(&bytes).map_err(damaged),
        Err(error) => Err(error),
    };
    let header = header.and_then(|header| match header.bytes() {
        bytes if bytes == object.size => Ok(header),
        bytes => Err(damaged(format!("it has {} bytes where its header says {bytes}", object.size))),
    });
    (location, header)
}

fn follows(
    manifest: &Manifest,
    expected: u64,
    location: &Path,
    header: SegmentHeader,
) -> Result<SegmentRecord, ArchiveError> {
    let damaged = |reason| Err(ArchiveError::Damaged { object: location.to_string(), reason });
    if header.partition_id != manifest.partition_id {
        return damaged(format!("it belongs to partition {}", header.partition_id));
    }
    if layout::number(location) != Some(header.first) {
        return damaged(format!("it begins with entry {}", header.first));
    }
    if header.first != expected {
        return damaged(format!("the segment before it is missing, with the entries from {expected} on"));
    }
    if header.previous != manifest.link() {
        return damaged("the segment before it is another one than it was written after".into());
    }
    Ok(SegmentRecord::new(location.filename().unwrap_or_default().to_owned(), &header))
}

/// The claims of all nodes. One that cannot be read only makes what can be restored end earlier.
pub(crate) async fn claims(bucket: &Bucket, path: &PartitionPath) -> Result<Vec<Claim>, ArchiveError> {
    let mut claims = Vec::new();
    for object in bucket.list(&path.closed_folder(), None).await? {
        match document::read::<ClosedDocument>(bucket, &object.location).await {
            Ok(ClosedDocument { index, time, segments }) => {
                claims.extend(segments.into_iter().map(|ClosedSegment { last, time }| Claim { index: last, time }));
                claims.push(Claim { index, time });
            }
            Err(error @ (ArchiveError::Damaged { .. } | ArchiveError::NotFound { .. })) => {
                tracing::warn!(%error, "passed over a closed timestamp");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(claims)
}
