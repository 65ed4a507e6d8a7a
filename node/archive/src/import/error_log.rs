//! `errors.jsonl`: what stood in the source and was no item, a line of JSON each.

use super::Rejected;
use crate::{ArchiveError, Bucket, bucket::Upload};
use object_store::path::Path;
use serde::Serialize;

#[derive(Serialize)]
struct Line<'a> {
    object: &'a str,
    line: u64,
    message: &'a str,
    /// The beginning of what stood there.
    item: &'a str,
}

/// The errors of one import, on their way into the bucket; no object is there where there are none.
pub struct ErrorLog {
    bucket: Bucket,
    path: Path,
    upload: Option<Upload>,
}

impl std::fmt::Debug for ErrorLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ErrorLog").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ErrorLog {
    pub(super) fn new(bucket: Bucket, path: Path) -> Self {
        Self { bucket, path, upload: None }
    }

    /// After an error there will be no log.
    pub async fn write(&mut self, object: &str, line: u64, rejected: &Rejected) -> Result<(), ArchiveError> {
        let upload = self.upload.get_or_insert_with(|| self.bucket.upload(self.path.clone(), 0));
        let line = Line { object, line, message: &rejected.message, item: &rejected.text };
        let mut text = serde_json::to_vec(&line).map_err(|error| ArchiveError::Damaged {
            object: self.path.to_string(),
            reason: format!("an error cannot be written as JSON: {error}"),
        })?;
        text.push(b'\n');
        let written = upload.write(&text).await;
        if written.is_err() {
            upload.abort().await;
        }
        written
    }

    /// Without it nothing is there, or only parts that no one sees.
    pub async fn finish(self) -> Result<(), ArchiveError> {
        match self.upload {
            Some(upload) => upload.finish().await,
            None => Ok(()),
        }
    }
}
