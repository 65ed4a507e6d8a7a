//! JSON documents in the bucket: each has `"version": 1` besides its own fields.

use crate::{ArchiveError, Bucket};
use bytes::Bytes;
use object_store::path::Path;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const VERSION: u64 = 1;

#[derive(Serialize)]
struct Versioned<'a, T> {
    version: u64,
    #[serde(flatten)]
    document: &'a T,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u64,
}

pub(crate) fn encode<T: Serialize>(path: &Path, document: &T) -> Result<Bytes, ArchiveError> {
    serde_json::to_vec(&Versioned { version: VERSION, document }).map(Bytes::from).map_err(|error| {
        ArchiveError::Damaged { object: path.to_string(), reason: format!("it cannot be written as JSON: {error}") }
    })
}

pub(crate) fn decode<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, ArchiveError> {
    let damaged =
        |error: serde_json::Error| ArchiveError::Damaged { object: path.to_string(), reason: error.to_string() };
    let VersionOnly { version } = serde_json::from_slice(bytes).map_err(damaged)?;
    if version != VERSION {
        return Err(ArchiveError::NewerFormat { object: path.to_string(), found: version, known: VERSION });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

pub(crate) async fn read<T: DeserializeOwned>(bucket: &Bucket, path: &Path) -> Result<T, ArchiveError> {
    decode(path, &bucket.get(path).await?)
}

/// `u64`s as 16 hexadecimal digits: JSON's numbers end at 2^53 for many readers.
pub(crate) mod hex_u64 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{number:016x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}
