//! What becomes of writes in a table's stream: whether there is a record of one, and its form on disk. Format version 1; integers
//! are little-endian, `n*` is a byte string of that many bytes.
//!
//! ```text
//! offset  size
//!      0     1  format version: 1
//!      1     1  1 insert, 2 modify, 3 remove; 128 is added where it was the service's doing
//!      2     2  n, n* the item's encoded key
//!            4  n, n* the item as it was, as the stream's view type shows it; n is 0 where it does not, or there was none
//!            4  n, n* the item as it became, the same
//! ```
//!
//! Its number is in its key (engine: layout.rs): the time of the entry, and which of the entry's changes of items it is.

mod change;

pub(crate) use change::{Recorder, StreamChange};

use crate::operation::{StreamEvent, StreamRecord};
use bytes::{Buf, BufMut, Bytes};
use cairn_model::{
    KeySchema,
    codec::{CodecError, EncodedItem},
    key::EncodedKey,
    stream::SequenceNumber,
};

const VERSION: u8 = 1;
const BY_SERVICE: u8 = 0x80;
const CUT: CodecError = CodecError::Damaged("a stream's record is cut short");

/// A record as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    event: StreamEvent,
    by_service: bool,
    key: EncodedKey,
    /// Empty: not shown.
    old_image: Bytes,
    new_image: Bytes,
}

impl Kept {
    fn encode(&self) -> Bytes {
        let key = &self.key.0[..];
        let mut out = Vec::with_capacity(12 + key.len() + self.old_image.len() + self.new_image.len());
        out.put_u8(VERSION);
        let event = match self.event {
            StreamEvent::Insert => 1,
            StreamEvent::Modify => 2,
            StreamEvent::Remove => 3,
        };
        out.put_u8(if self.by_service { event | BY_SERVICE } else { event });
        out.put_u16_le(key.len() as u16);
        out.put_slice(key);
        for image in [&self.old_image, &self.new_image] {
            out.put_u32_le(image.len() as u32);
            out.put_slice(image);
        }
        out.into()
    }

    /// Slices into `bytes`.
    fn decode(mut bytes: Bytes) -> Result<Self, CodecError> {
        let version = bytes.try_get_u8().map_err(|_| CUT)?;
        if version != VERSION {
            return Err(CodecError::UnknownVersion(version));
        }
        let flags = bytes.try_get_u8().map_err(|_| CUT)?;
        let event = match flags & !BY_SERVICE {
            1 => StreamEvent::Insert,
            2 => StreamEvent::Modify,
            3 => StreamEvent::Remove,
            _ => return Err(CodecError::Damaged("a stream's record is of no known kind")),
        };
        let key_bytes = usize::from(bytes.try_get_u16_le().map_err(|_| CUT)?);
        let key = EncodedKey(take(&mut bytes, key_bytes)?);
        let mut image = || {
            let image_bytes = bytes.try_get_u32_le().map_err(|_| CUT)? as usize;
            take(&mut bytes, image_bytes)
        };
        let (old_image, new_image) = (image()?, image()?);
        if !bytes.is_empty() {
            return Err(CodecError::Damaged("bytes are left behind a stream's record"));
        }
        Ok(Self { event, by_service: flags & BY_SERVICE != 0, key, old_image, new_image })
    }
}

fn take(bytes: &mut Bytes, length: usize) -> Result<Bytes, CodecError> {
    if length <= bytes.len() { Ok(bytes.split_to(length)) } else { Err(CUT) }
}

/// A record as it is shown.
pub(crate) fn shown(number: SequenceNumber, bytes: Bytes, schema: &KeySchema) -> Result<StreamRecord, CodecError> {
    let Kept { event, by_service, key, old_image, new_image } = Kept::decode(bytes)?;
    let image = |bytes: Bytes| (!bytes.is_empty()).then_some(EncodedItem(bytes));
    Ok(StreamRecord {
        number,
        event,
        by_service,
        keys: EncodedItem::encode(&key.decode(schema)?),
        old_image: image(old_image),
        new_image: image(new_image),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &[u8] = b"\x01\x83\x03\x00key\x03\x00\x00\x00old\x00\x00\x00\x00";

    fn kept() -> Kept {
        Kept {
            event: StreamEvent::Remove,
            by_service: true,
            key: EncodedKey(Bytes::from_static(b"key")),
            old_image: Bytes::from_static(b"old"),
            new_image: Bytes::new(),
        }
    }

    #[test]
    fn records_of_format_version_1_stay_readable() {
        assert_eq!(kept().encode(), GOLDEN);
        assert_eq!(Kept::decode(Bytes::from_static(GOLDEN)), Ok(kept()));
        for (event, flags) in [(StreamEvent::Insert, 1), (StreamEvent::Modify, 2), (StreamEvent::Remove, 3)] {
            let other = Kept { event, by_service: false, ..kept() };
            assert_eq!(other.encode()[1], flags);
            assert_eq!(Kept::decode(other.encode()), Ok(other));
        }
    }

    #[test]
    fn a_record_that_is_damaged_or_of_an_unknown_format_is_refused() {
        for end in 0..GOLDEN.len() {
            assert!(Kept::decode(Bytes::from_static(&GOLDEN[..end])).is_err(), "cut at {end}");
        }
        assert!(Kept::decode([GOLDEN, &[0]].concat().into()).is_err());
        let mut other = GOLDEN.to_vec();
        other[0] = 2;
        assert_eq!(Kept::decode(other.clone().into()), Err(CodecError::UnknownVersion(2)));
        (other[0], other[1]) = (1, 4);
        assert!(Kept::decode(other.into()).is_err());
    }
}
