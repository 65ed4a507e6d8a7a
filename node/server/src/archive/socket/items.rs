//! Items with their keys, as a frame has them.
//!
//! ```text
//! item (numbers big-endian)  0  2  bytes of the key
//!                            2  4  bytes of the item
//!                            6  …  key
//!                            …  …  item
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cairn_model::{codec::EncodedItem, key::EncodedKey};

/// A frame whose items are not whole.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a frame of items ends within one")]
pub(super) struct CutShort;

const HEADER_BYTES: usize = 6;

/// Keys and items are within DynamoDB's limits, which are far below those of this form.
pub(super) fn encode(items: &[(EncodedKey, EncodedItem)]) -> Bytes {
    let bytes = items.iter().map(|(key, item)| HEADER_BYTES + key.0.len() + item.0.len()).sum();
    let mut out = BytesMut::with_capacity(bytes);
    for (key, item) in items {
        out.put_u16(key.0.len() as u16);
        out.put_u32(item.0.len() as u32);
        out.put_slice(&key.0);
        out.put_slice(&item.0);
    }
    out.freeze()
}

pub(super) fn decode(mut bytes: Bytes) -> Result<Vec<(EncodedKey, EncodedItem)>, CutShort> {
    let mut items = Vec::new();
    while !bytes.is_empty() {
        if bytes.len() < HEADER_BYTES {
            return Err(CutShort);
        }
        let (key_bytes, item_bytes) = (usize::from(bytes.get_u16()), bytes.get_u32() as usize);
        if bytes.len() < key_bytes + item_bytes {
            return Err(CutShort);
        }
        items.push((EncodedKey(bytes.split_to(key_bytes)), EncodedItem(bytes.split_to(item_bytes))));
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_as_they_went_in_and_cut_ones_do_not() {
        let pair = |key: &'static [u8], item: &'static [u8]| {
            (EncodedKey(Bytes::from_static(key)), EncodedItem(Bytes::from_static(item)))
        };
        let items = vec![pair(b"k", b"item"), pair(b"", b""), pair(b"key", b"i")];
        let encoded = encode(&items);
        assert_eq!(&encoded[..11], b"\0\x01\0\0\0\x04kitem", "as other versions expect it");
        assert_eq!(decode(encoded.clone()), Ok(items));
        for end in [1, 5, 10, encoded.len() - 1] {
            assert_eq!(decode(encoded.slice(..end)), Err(CutShort), "cut at {end}");
        }
    }
}
