//! The key under which a version waits for its time: the earliest first.

use bytes::{BufMut, Bytes, BytesMut};
use cairn_engine::Kept;
use cairn_model::{codec::StoredVersion, key::EncodedKey, time::Timestamp};

/// Where a version that names its origin is set aside; none if it is no version.
pub(crate) fn set_aside(key: &EncodedKey, version: &Bytes) -> Option<Kept> {
    let version = StoredVersion::parse(version.clone()).ok()?;
    let mut out = BytesMut::with_capacity(9 + version.origin.len() + key.0.len());
    out.put_u64(version.version_time.0);
    out.put_u8(u8::try_from(version.origin.len()).ok()?);
    out.put_slice(&version.origin);
    out.put_slice(&key.0);
    Some(Kept::SetAside(out.freeze()))
}

/// The version time in the key of one that is set aside, and the item's key.
pub(crate) fn time_and_key(aside: &Bytes) -> Option<(Timestamp, EncodedKey)> {
    let time = u64::from_be_bytes(aside.get(..8)?.try_into().ok()?);
    let region_bytes = usize::from(*aside.get(8)?);
    let key = (aside.len() > 9 + region_bytes).then(|| EncodedKey(aside.slice(9 + region_bytes..)))?;
    Some((Timestamp(time), key))
}

/// The region in the key of one that is set aside.
pub(crate) fn region_of(aside: &[u8]) -> Option<&[u8]> {
    let region_bytes = usize::from(*aside.get(8)?);
    aside.get(9..9 + region_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_tells_its_time_its_region_and_key() {
        let key = EncodedKey(Bytes::from_static(b"key"));
        let version = StoredVersion::tombstone(Timestamp(7), Bytes::from_static(b"west")).encode();
        let Some(Kept::SetAside(aside)) = set_aside(&key, &version) else { panic!("not set aside") };
        assert_eq!(time_and_key(&aside), Some((Timestamp(7), key)));
        assert_eq!(region_of(&aside), Some(&b"west"[..]));
    }
}
