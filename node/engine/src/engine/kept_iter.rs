//! A range of what is kept beside the items.

use crate::{EngineError, StoreRange, layout};
use bytes::Bytes;
use std::fmt;

/// Keys, behind the storage id and the index, and values. It holds a snapshot of the store: drop it within seconds.
pub struct KeptIter(pub(super) StoreRange);

impl Iterator for KeptIter {
    type Item = Result<(Bytes, Bytes), EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.0.next()?;
        Some(pair.map(|(key, value)| (key.slice(layout::HEADER_BYTES..), value)).map_err(EngineError::from))
    }
}

impl fmt::Debug for KeptIter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptIter")
    }
}
