//! Hybrid timestamps: wall milliseconds with a logical counter below them.

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch in the upper 48 bits, a logical counter in the lower 16.
///
/// Entry times are strictly increasing along a partition's log; version times order the versions of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    pub fn from_millis(millis: u64) -> Self {
        Self(millis << 16)
    }

    pub fn millis(self) -> u64 {
        self.0 >> 16
    }

    /// The first timestamp at or after the wall clock that is above `self`.
    #[must_use]
    pub fn next(self, wall_millis: u64) -> Self {
        Self((self.0 + 1).max(wall_millis << 16))
    }
}
