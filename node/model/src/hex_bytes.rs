//! Byte strings as hexadecimal text in JSON and as bytes elsewhere.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    if !serializer.is_human_readable() {
        return bytes.serialize(serializer);
    }
    serializer.collect_str(&format_args!("{:x}", Hex(bytes)))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    if !deserializer.is_human_readable() {
        return Bytes::deserialize(deserializer);
    }
    let text = String::deserialize(deserializer)?;
    if text.len() % 2 != 0 || !text.is_ascii() {
        return Err(D::Error::custom("a byte string must be an even number of hexadecimal digits"));
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(D::Error::custom))
        .collect::<Result<Vec<u8>, _>>()
        .map(Bytes::from)
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::LowerHex for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
