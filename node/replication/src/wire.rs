//! Requests and answers between router and storage node as bytes.
//!
//! Byte 0 is the version, 1. The rest is the value in postcard's encoding, in which fields and variants go by their
//! position: they are only ever added at the end of an enum; any other change is a new version.

use crate::operation::{PartitionError, PartitionOutcome, PartitionRequest};
use bytes::Bytes;
use cairn_model::ids::PartitionId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const VERSION: u8 = 1;

/// A request with the partition it is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionCall {
    pub partition: PartitionId,
    /// Of the descriptor the router knows.
    pub epoch: u64,
    pub request: PartitionRequest,
}

/// What a partition answers.
pub type PartitionAnswer = Result<PartitionOutcome, PartitionError>;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("failed to read a message: it is empty")]
    Empty,
    #[error("failed to read a message: its version is {0}, and this program knows none above {VERSION}")]
    UnknownVersion(u8),
    #[error("failed to read a message")]
    Malformed(#[from] postcard::Error),
    #[error("failed to read a message: {0} bytes are left behind its end")]
    TrailingBytes(usize),
}

pub fn encode_call(call: &PartitionCall) -> Result<Bytes, WireError> {
    encode(call)
}

pub fn decode_call(bytes: impl AsRef<[u8]>) -> Result<PartitionCall, WireError> {
    decode(bytes.as_ref())
}

/// Can't fail: what has no encoding becomes an answer that says so.
pub fn encode_answer(answer: &PartitionAnswer) -> Bytes {
    let unknown = |error: WireError| {
        let reason = error.to_string();
        encode(&PartitionAnswer::Err(PartitionError::Unknown { reason })).unwrap_or_default()
    };
    encode(answer).unwrap_or_else(unknown)
}

pub fn decode_answer(bytes: impl AsRef<[u8]>) -> Result<PartitionAnswer, WireError> {
    decode(bytes.as_ref())
}

pub(crate) fn encode(value: &impl Serialize) -> Result<Bytes, WireError> {
    Ok(postcard::to_extend(value, vec![VERSION])?.into())
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    let (&version, body) = bytes.split_first().ok_or(WireError::Empty)?;
    if version != VERSION {
        return Err(WireError::UnknownVersion(version));
    }
    let (value, rest) = postcard::take_from_bytes(body)?;
    if rest.is_empty() { Ok(value) } else { Err(WireError::TrailingBytes(rest.len())) }
}
