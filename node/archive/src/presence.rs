//! Whether the objects of a partition's manifest are there, with their sizes; without reading any of them.

use crate::{ArchiveError, Bucket, layout::PartitionPath, manifest::Manifest};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use std::{collections::HashMap, fmt};

const LOOKS_AT_ONCE: usize = 8;

/// An object that a restore cannot use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) object: String,
    pub(crate) reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The texts of errors begin with the object already.
        match self.reason.starts_with(&self.object) {
            true => f.write_str(&self.reason),
            false => write!(f, "{} {}", self.object, self.reason),
        }
    }
}

pub(crate) async fn check(
    bucket: &Bucket,
    path: &PartitionPath,
    manifest: &Manifest,
) -> Result<Vec<Finding>, ArchiveError> {
    let snapshots = manifest.snapshots.iter().map(|snapshot| (&snapshot.object, snapshot.bytes));
    let segments = manifest.segments.iter().map(|segment| (&segment.object, segment.bytes));
    let mut findings = compare(bucket, &path.snapshots(), snapshots).await?;
    findings.extend(compare(bucket, &path.log(), segments).await?);
    Ok(findings)
}

async fn compare<'a>(
    bucket: &Bucket,
    folder: &Path,
    expected: impl Iterator<Item = (&'a String, u64)>,
) -> Result<Vec<Finding>, ArchiveError> {
    let listed = bucket.list(folder, None).await?;
    let sizes: HashMap<&str, u64> =
        listed.iter().filter_map(|object| Some((object.location.filename()?, object.size))).collect();
    let unlike = expected.filter(|(name, bytes)| sizes.get(name.as_str()) != Some(bytes));
    let look = |(name, bytes): (&'a String, u64)| {
        let path = folder.clone().join(name.as_str());
        async move {
            // What a listing does not have may be there all the same.
            let reason = match bucket.head(&path).await {
                Ok(object) if object.size == bytes => return Ok(None),
                Ok(object) => format!("is damaged: it has {} bytes, not {bytes}", object.size),
                Err(ArchiveError::NotFound { .. }) => "is missing".to_owned(),
                Err(error) => return Err(error),
            };
            Ok(Some(Finding { object: path.to_string(), reason }))
        }
    };
    stream::iter(unlike.map(look).collect::<Vec<_>>())
        .buffered(LOOKS_AT_ONCE)
        .try_filter_map(|finding| async move { Ok(finding) })
        .try_collect()
        .await
}
