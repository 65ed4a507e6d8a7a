//! The files that an import reads: objects of a bucket, by the prefix of their keys.

use crate::{ArchiveConfig, ArchiveError, Bucket, config};
use bytes::Bytes;
use object_store::{Error as StoreError, path::Path};
use std::{
    collections::VecDeque,
    io::{self, Read},
    ops::Range,
};
use tokio::{runtime::Handle, task::JoinHandle};

/// Files of one import (DynamoDB's quota).
const FILES_MAX: usize = 50_000;
/// What is asked of the bucket at once; this and the next are held besides what is being read.
const PART_BYTES: u64 = 4 << 20;
const PARTS_AHEAD: usize = 2;
/// The code of a bucket that did not answer, or not as it should.
const UNREACHED: &str = "S3ReadError";

/// A file that is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    pub key: String,
    path: Path,
    /// As it lies there.
    pub bytes: u64,
}

/// The files of an import.
#[derive(Clone, Debug)]
pub struct SourceFiles {
    bucket: Bucket,
    /// In ascending order of their keys.
    pub files: Vec<SourceFile>,
}

/// Why the files of an import can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceProblem {
    /// What `FailureCode` says.
    pub code: &'static str,
    pub message: String,
}

/// Why a part of a file did not come, where that may pass.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unreached(String);

/// Whether what ended the reading of a file was that its bucket could not be reached: another try may do better.
pub fn is_unreached(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|cause| cause.is::<Unreached>())
}

impl SourceProblem {
    /// Whether another try may do better.
    pub fn may_pass(&self) -> bool {
        self.code == UNREACHED
    }

    fn new(code: &'static str, message: String) -> Self {
        Self { code, message }
    }

    /// What the bucket of this name answered.
    fn of_bucket(name: &str, error: &ArchiveError) -> Self {
        let text = config::chain(error);
        if let ArchiveError::Store { source: StoreError::InvalidPath { source }, .. } = error {
            let advice = "rename that object, or give a prefix whose folder it is not in";
            return Self::new(
                "S3InvalidKey",
                format!("The bucket {name} has an object that cannot be read: {source}: {advice}"),
            );
        }
        let code = match error {
            ArchiveError::Store {
                source: StoreError::Unauthenticated { .. } | StoreError::PermissionDenied { .. },
                ..
            } => "S3AccessDenied",
            ArchiveError::NotFound { .. } => "S3NoSuchBucket",
            _ if text.contains("NoSuchBucket") => "S3NoSuchBucket",
            _ => UNREACHED,
        };
        match code {
            "S3NoSuchBucket" => Self::no_such_bucket(name),
            _ => Self::new(code, format!("The bucket {name} cannot be read: {text}")),
        }
    }

    fn no_such_bucket(name: &str) -> Self {
        Self::new("S3NoSuchBucket", format!("The specified bucket does not exist: {name}"))
    }
}

impl SourceFiles {
    /// Finds the files whose keys begin with `prefix` in the bucket of this name, which is reached as the archive is.
    /// Those without any bytes are left out; that there is none is no problem, as it is none to DynamoDB.
    pub async fn find(archive: &ArchiveConfig, name: &str, prefix: &str) -> Result<Self, SourceProblem> {
        let config = archive.for_bucket(name);
        if let Some(folder) = config.url.strip_prefix("file://")
            // Connecting would make it.
            && !tokio::fs::metadata(folder).await.is_ok_and(|metadata| metadata.is_dir())
        {
            return Err(SourceProblem::no_such_bucket(name));
        }
        // Keys that a store in folders can't have are listed without a slash before them.
        let prefix = prefix.trim_start_matches('/');
        let bucket = Bucket::connect(&config).map_err(|error| SourceProblem::of_bucket(name, &error))?;
        let listed = list(&bucket, prefix, folder_of(prefix)?).await;
        let Some(files) = listed.map_err(|error| SourceProblem::of_bucket(name, &error))? else {
            let message = format!("The bucket {name} has more than {FILES_MAX} objects with the prefix '{prefix}'");
            return Err(SourceProblem::new("S3TooManyObjects", message));
        };
        Ok(Self { bucket, files })
    }

    /// Reads a file, for a blocking thread of this runtime.
    pub fn open(&self, file: &SourceFile, runtime: Handle) -> impl Read + Send + use<> {
        Parts {
            bucket: self.bucket.clone(),
            path: file.path.clone(),
            runtime,
            bytes: file.bytes,
            asked: 0,
            coming: VecDeque::new(),
            current: Bytes::new(),
        }
    }
}

/// The folder that all keys with this prefix are in.
fn folder_of(prefix: &str) -> Result<Path, SourceProblem> {
    // No key that could be read begins like one that is none: that must not be taken for an empty bucket.
    Path::parse(prefix.rsplit_once('/').map_or("", |(folder, _)| folder)).map_err(|error| {
        SourceProblem::new("S3InvalidKey", format!("Objects with the prefix '{prefix}' cannot be read: {error}"))
    })
}

/// None where there are too many.
async fn list(bucket: &Bucket, prefix: &str, folder: Path) -> Result<Option<Vec<SourceFile>>, ArchiveError> {
    let wanted = |object: &object_store::ObjectMeta| object.size > 0 && object.location.as_ref().starts_with(prefix);
    let found = bucket.list_up_to(FILES_MAX, &folder, wanted).await?;
    let file = |object: object_store::ObjectMeta| SourceFile {
        key: object.location.to_string(),
        path: object.location,
        bytes: object.size,
    };
    Ok(found.map(|objects| objects.into_iter().map(file).collect()))
}

/// A file in parts, the next of which are on their way while one is read.
struct Parts {
    bucket: Bucket,
    path: Path,
    runtime: Handle,
    bytes: u64,
    asked: u64,
    coming: VecDeque<JoinHandle<Result<Bytes, ArchiveError>>>,
    current: Bytes,
}

impl Parts {
    fn ask(&mut self) {
        while self.asked < self.bytes && self.coming.len() < PARTS_AHEAD {
            let range: Range<u64> = self.asked..self.bytes.min(self.asked + PART_BYTES);
            self.asked = range.end;
            let (bucket, path) = (self.bucket.clone(), self.path.clone());
            self.coming.push_back(self.runtime.spawn(async move { bucket.get_range_patiently(&path, range).await }));
        }
    }
}

impl Read for Parts {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            self.ask();
            let Some(part) = self.coming.pop_front() else { return Ok(0) };
            let part = self.runtime.block_on(part).map_err(io::Error::other)?;
            self.current = part.map_err(|error| unreadable(&error))?;
        }
        let part = self.current.split_to(out.len().min(self.current.len()));
        out[..part.len()].copy_from_slice(&part);
        Ok(part.len())
    }
}

pub(super) fn unreadable(error: &ArchiveError) -> io::Error {
    let text = config::chain(error);
    match error {
        ArchiveError::NotFound { .. }
        | ArchiveError::Store {
            source: StoreError::Unauthenticated { .. } | StoreError::PermissionDenied { .. },
            ..
        } => io::Error::other(text),
        _ => io::Error::other(Unreached(text)),
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.coming.iter().for_each(JoinHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::{
        ObjectStoreExt,
        memory::InMemory,
        throttle::{ThrottleConfig, ThrottledStore},
    };
    use std::{sync::Arc, time::Duration};

    #[tokio::test]
    async fn a_part_that_does_not_come_is_asked_for_again() {
        let store = Arc::new(ThrottledStore::new(InMemory::new(), ThrottleConfig::default()));
        let (key, content) = (Path::from("a"), Bytes::from(vec![7; 5 << 20]));
        store.put(&key, content.clone().into()).await.unwrap();
        let slow = Duration::from_secs(60);
        store.config_mut(|config| config.wait_get_per_call = slow);
        let bucket = Bucket::over(store.clone()).with_request_timeout(Duration::from_millis(100));
        let file = SourceFile { key: "a".to_owned(), path: key, bytes: content.len() as u64 };
        let mut reader = SourceFiles { bucket, files: Vec::new() }.open(&file, Handle::current());
        let reading = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).map(|_| read)
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        store.config_mut(|config| config.wait_get_per_call = Duration::ZERO);
        assert!(reading.await.unwrap().unwrap() == content);
    }

    #[test]
    fn a_key_that_cannot_be_read_ends_the_import_and_is_named() {
        for key in ["a//b", "a/../b"] {
            let source = Path::parse(key).unwrap_err().into();
            let error = ArchiveError::Store { action: "list", object: "a".into(), source };
            let problem = SourceProblem::of_bucket("source", &error);
            assert!(!problem.may_pass());
            assert!(problem.message.contains(&format!("\"{key}\"")), "{problem}");
        }
    }
}
