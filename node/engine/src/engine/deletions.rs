//! When items were deleted last: what tells one absence of an item from another.

use cairn_model::key::EncodedKey;

const BUCKETS: usize = 64;

/// For each of a few groups of keys the log index of the last deletion, or a later one that was applied by then. So of two
/// states of one partition, on whatever replicas, that say the same for a key, no deletion of it lies between.
#[derive(Clone, Debug)]
pub(super) struct Deletions(Box<[u64; BUCKETS]>);

impl Deletions {
    /// Whatever was applied until now may have been deletions.
    pub(super) fn until(index: u64) -> Self {
        Self(Box::new([index; BUCKETS]))
    }

    pub(super) fn note(&mut self, key: &EncodedKey, index: u64) {
        self.0[bucket(key)] = index;
    }

    pub(super) fn last(&self, key: &EncodedKey) -> u64 {
        self.0[bucket(key)]
    }
}

/// FNV-1a: the same on every replica.
fn bucket(key: &EncodedKey) -> usize {
    let hash = key
        .0
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    (hash >> 32) as usize % BUCKETS
}
