//! The items as of every write under way: what is evaluated next must see them, though nothing of it is committed.

use bytes::Bytes;
use cairn_model::key::EncodedKey;
use std::collections::HashMap;

/// An item as a write under way leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OverlayItem {
    /// Its stored version; none: deleted.
    pub(crate) version: Option<Bytes>,
    /// The log index of the entry that writes it; what was read from it waits for that.
    pub(crate) index: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Overlay {
    items: HashMap<EncodedKey, OverlayItem>,
}

impl Overlay {
    pub(crate) fn get(&self, key: &EncodedKey) -> Option<&OverlayItem> {
        self.items.get(key)
    }

    pub(crate) fn put(&mut self, key: EncodedKey, version: Option<Bytes>, index: u64) {
        self.items.insert(key, OverlayItem { version, index });
    }

    /// The entry at `index` is applied: what it wrote is read from the engine from now on, unless a later one wrote it again.
    pub(crate) fn applied(&mut self, key: &EncodedKey, index: u64) {
        if self.items.get(key).is_some_and(|item| item.index <= index) {
            self.items.remove(key);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.items.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_stays_until_the_last_entry_that_wrote_it_is_applied() {
        let key = EncodedKey(Bytes::from_static(b"key"));
        let mut overlay = Overlay::default();
        overlay.put(key.clone(), Some(Bytes::from_static(b"first")), 5);
        overlay.put(key.clone(), None, 6);
        overlay.applied(&key, 5);
        assert_eq!(overlay.get(&key), Some(&OverlayItem { version: None, index: 6 }));
        overlay.applied(&key, 6);
        assert!(overlay.is_empty());
    }
}
