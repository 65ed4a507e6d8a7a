//! The bucket: the few things that the archive does with an object store, with errors that name the object.

use crate::{ArchiveConfig, ArchiveError};
use object_store::ObjectStore;
use std::sync::Arc;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
}

impl Bucket {
    /// Reaches the bucket and proves that it keeps what was created from being overwritten.
    pub async fn open(config: &ArchiveConfig) -> Result<Self, ArchiveError> {
        let bucket = Self::connect(config)?;
        bucket.probe().await?;
        Ok(bucket)
    }

    /// As [`Self::open`], but without reaching for it: for a program that must start while the bucket is down.
    pub fn connect(_config: &ArchiveConfig) -> Result<Self, ArchiveError> {
        todo!()
    }

    pub async fn probe(&self) -> Result<(), ArchiveError> {
        let _ = &self.store;
        todo!()
    }
}
