//! The index of expirations: its keys, and how far it is made. Pure.
//!
//! ```text
//! key in the index (engine: layout.rs, 0x83); no value
//! 0   8  expiry: whole seconds since the Unix epoch, big-endian
//! 8   …  the item's encoded key
//!
//! how far it is made (version 1); kept only until it is
//! 0   1  version: 1
//! 1   1  what is done: 1 what was in it is removed, 2 the items are entered
//! 2   …  the key behind which that goes on, of the index or of an item; nothing: from the first on
//! ```
//!
//! A change of a table's Time To Live begins it anew, in the entry of the change: what is in the index then is removed, and where
//! items expire afterwards they are entered. Meanwhile every write enters its own item as it does later on, so that what is
//! removed of those by chance is entered again.

use bytes::{BufMut, Bytes};
use cairn_engine::{EXPIRATIONS, IndexChange, IndexEffect};
use cairn_model::{
    codec::{CodecError, EncodedItem},
    key::EncodedKey,
    table::TableDefinition,
    ttl,
};
use std::ops::Range;

const VERSION: u8 = 1;
const EXPIRY_BYTES: usize = 8;

/// What is still to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Making {
    Clearing { behind: Bytes },
    Filling { behind: Bytes },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read how far the index of expirations is made: {0}")]
pub(crate) struct MakingError(&'static str);

impl Making {
    pub(crate) fn begin() -> Self {
        Self::Clearing { behind: Bytes::new() }
    }

    /// What follows once the index is empty.
    pub(crate) fn of_cleared(definition: &TableDefinition) -> Option<Self> {
        definition.time_to_live.as_ref().map(|_| Self::Filling { behind: Bytes::new() })
    }

    pub(crate) fn encode(&self) -> Bytes {
        let (kind, behind) = match self {
            Self::Clearing { behind } => (1, behind),
            Self::Filling { behind } => (2, behind),
        };
        let mut out = Vec::with_capacity(2 + behind.len());
        out.put_u8(VERSION);
        out.put_u8(kind);
        out.put_slice(behind);
        out.into()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, MakingError> {
        let behind = || bytes.slice(2..);
        match bytes.as_ref() {
            [VERSION, 1, ..] => Ok(Self::Clearing { behind: behind() }),
            [VERSION, 2, ..] => Ok(Self::Filling { behind: behind() }),
            [VERSION, ..] => Err(MakingError("it is of no known kind")),
            _ => Err(MakingError("its format version is not known")),
        }
    }
}

/// The place of an item that expires then.
pub(crate) fn index_key(expiry_seconds: u64, key: &EncodedKey) -> Bytes {
    let mut in_index = Vec::with_capacity(EXPIRY_BYTES + key.0.len());
    in_index.put_u64(expiry_seconds);
    in_index.put_slice(&key.0);
    in_index.into()
}

/// When the item at a place in the index expires, and its key; none of what is no such place.
pub(crate) fn parse_index_key(in_index: &Bytes) -> Option<(u64, EncodedKey)> {
    let (expiry, key) = in_index.split_first_chunk::<EXPIRY_BYTES>()?;
    (!key.is_empty()).then(|| (u64::from_be_bytes(*expiry), EncodedKey(in_index.slice(EXPIRY_BYTES..))))
}

/// The bounds, the upper one exclusive, of the places of items that expire within a range.
pub(crate) fn bounds(expiries: &Range<u64>) -> [[u8; EXPIRY_BYTES]; 2] {
    [expiries.start.to_be_bytes(), expiries.end.to_be_bytes()]
}

/// What becomes of an item's place when `before` gives way to `after`; none: there was, or is, no item.
pub(crate) fn changes(
    definition: &TableDefinition,
    key: &EncodedKey,
    before: Option<&EncodedItem>,
    after: Option<&EncodedItem>,
) -> Result<Vec<IndexChange>, CodecError> {
    let Some(time_to_live) = &definition.time_to_live else { return Ok(Vec::new()) };
    let expiry = |item: Option<&EncodedItem>| match item {
        Some(item) => ttl::expiry_of(item, &time_to_live.attribute_name),
        None => Ok(None),
    };
    let (before, after) = (expiry(before)?, expiry(after)?);
    if before == after {
        return Ok(Vec::new());
    }
    let removed = before.map(|expiry| removal(index_key(expiry, key)));
    Ok(removed.into_iter().chain(after.map(|expiry| entering(index_key(expiry, key)))).collect())
}

pub(crate) fn entering(in_index: Bytes) -> IndexChange {
    IndexChange { index: EXPIRATIONS, effect: IndexEffect::Put, key: in_index, size_change: 0 }
}

pub(crate) fn removal(in_index: Bytes) -> IndexChange {
    IndexChange { index: EXPIRATIONS, effect: IndexEffect::Remove, key: in_index, size_change: 0 }
}

/// The first place that is entered.
pub(crate) fn first_entered(changes: &[IndexChange]) -> Option<Bytes> {
    let entered = changes.iter().filter(|change| change.index == EXPIRATIONS && change.effect == IndexEffect::Put);
    entered.map(|change| &change.key).min().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use cairn_model::table::TimeToLive;

    fn definition() -> TableDefinition {
        let time_to_live = Some(TimeToLive { attribute_name: "n".into(), enabled_at_ms: 1 });
        TableDefinition { time_to_live, ..testing::definition() }
    }

    fn item(number: i64) -> EncodedItem {
        EncodedItem::encode(&testing::item("a", number))
    }

    fn of(before: Option<&EncodedItem>, after: Option<&EncodedItem>) -> Vec<IndexChange> {
        changes(&definition(), &testing::key("a"), before, after).unwrap()
    }

    #[test]
    fn an_item_has_the_place_of_its_expiry() {
        let place = |expiry| index_key(expiry, &testing::key("a"));
        assert_eq!(of(None, Some(&item(7))), [entering(place(7))]);
        assert_eq!(of(Some(&item(7)), Some(&item(8))), [removal(place(7)), entering(place(8))]);
        assert_eq!(of(Some(&item(8)), None), [removal(place(8))]);
        assert_eq!(of(Some(&item(8)), Some(&item(8))), []);
        let key_only = EncodedItem::encode(&testing::key_attributes("a"));
        assert_eq!(of(None, Some(&key_only)), [], "it has no expiry");
        assert_eq!(of(Some(&item(7)), Some(&key_only)), [removal(place(7))]);
        let off = changes(&testing::definition(), &testing::key("a"), None, Some(&item(7)));
        assert_eq!(off, Ok(Vec::new()));
    }

    #[test]
    fn places_are_in_the_order_of_time_and_lead_to_their_items() {
        let (first, second) = (index_key(255, &testing::key("z")), index_key(256, &testing::key("a")));
        assert!(first < second);
        assert_eq!(parse_index_key(&second), Some((256, testing::key("a"))));
        assert_eq!(parse_index_key(&Bytes::from_static(&[0; 8])), None);
        let [lower, upper] = bounds(&(255..256));
        assert!(first[..] > lower[..] && first[..] < upper[..] && second[..] > upper[..]);
    }

    #[test]
    fn how_far_it_is_made_survives_a_restart() {
        let behind = Bytes::from_static(b"key");
        for making in [Making::begin(), Making::Clearing { behind: behind.clone() }, Making::Filling { behind }] {
            assert_eq!(Making::decode(&making.encode()), Ok(making));
        }
        for damaged in [&b""[..], b"\x01", b"\x02\x01", b"\x01\x03"] {
            assert!(Making::decode(&Bytes::from_static(damaged)).is_err(), "{damaged:?}");
        }
    }
}
