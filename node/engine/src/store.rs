//! The ordered key-value store below the engine: atomic commits, snapshots, and an explicit point of durability.

use crate::StoreError;
use bytes::Bytes;
use std::ops::Bound;

/// A sorted map from byte strings to byte strings.
///
/// What was committed is a prefix of the commits after a crash: everything up to the last [`Store::persist`], and perhaps
/// more, but never one commit without those before it, nor a part of one.
pub trait Store: Send + Sync + 'static {
    type Snapshot: StoreSnapshot;

    /// The latest committed value.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The state as of now, for as long as it is held. Old versions pile up meanwhile: keep it for seconds, not hours.
    fn snapshot(&self) -> Self::Snapshot;

    /// Applies all changes or none. Readers see them at once; a crash may lose them until [`Store::persist`] returns.
    fn commit(&self, changes: Changes) -> Result<(), StoreError>;

    /// Makes everything committed so far durable.
    fn persist(&self) -> Result<(), StoreError>;

    /// Begins to load many pairs at once, of keys that nothing else is at under this store's other work.
    fn ingest(&self) -> Result<Box<dyn Ingestion>, StoreError>;

    /// The marker as last written, none if none ever was.
    fn read_marker(&self) -> Result<Option<Bytes>, StoreError>;

    /// Replaces the marker, durably and atomically. It lies outside the store, so that it can tell when the store went back.
    fn write_marker(&self, marker: &[u8]) -> Result<(), StoreError>;

    /// What was lost when the store was opened, if not just the newest commits: any data in it may be incomplete then.
    fn damage(&self) -> Option<&str> {
        None
    }

    /// How close the store is to making writers wait.
    fn pressure(&self) -> Pressure;
}

pub type Pairs = Vec<(Bytes, Bytes)>;

/// Pairs on their way into a [`Store`], in ascending order of their keys. Readers see them, and they are durable, when it is
/// finished; one that is dropped before may leave any of them.
pub trait Ingestion: Send {
    fn write(&mut self, pairs: Pairs) -> Result<(), StoreError>;

    fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// One state of a [`Store`].
pub trait StoreSnapshot: Clone + Send + Sync + 'static {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Keys and values from `lower` to `upper`, upwards or downwards.
    fn range(&self, lower: Bound<Bytes>, upper: Bound<Bytes>, forward: bool) -> StoreRange;
}

pub type StoreRange = Box<dyn Iterator<Item = Result<(Bytes, Bytes), StoreError>> + Send>;

/// Changes to commit together; of two to one key the later one counts.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub(crate) writes: Vec<(Bytes, Option<Bytes>)>,
}

impl Changes {
    pub fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.writes.push((key.into(), Some(value.into())));
    }

    pub fn delete(&mut self, key: impl Into<Bytes>) {
        self.writes.push((key.into(), None));
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// Whether new work should be turned away before the store makes its writers wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    Low,
    /// Flushes or compactions are behind: refuse new writes for a while.
    High,
}
