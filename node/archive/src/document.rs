//! JSON documents in the bucket.
//!
//! ```text
//! {"version":1,…,"checksum":"0123456789abcdef"}
//! ```
//!
//! The checksum stands last, written just so: the XXH3-64 (seed 0), in 16 hexadecimal digits, of the document as it is
//! without it, `{"version":1,…}`. It is checked before anything else of the document is believed, its version included:
//! this much is the same in every version.

use crate::{ArchiveError, Bucket};
use bytes::Bytes;
use object_store::path::Path;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use xxhash_rust::xxh3::xxh3_64;

const VERSION: u64 = 1;
const CHECKSUM: &str = ",\"checksum\":\"";

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
    serde_json::to_vec(&Versioned { version: VERSION, document }).map(seal).map_err(|error| ArchiveError::Damaged {
        object: path.to_string(),
        reason: format!("it cannot be written as JSON: {error}"),
    })
}

pub(crate) fn decode<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, ArchiveError> {
    let damaged = |reason| ArchiveError::Damaged { object: path.to_string(), reason };
    let unreadable = |error: serde_json::Error| damaged(error.to_string());
    let text = open(bytes).map_err(damaged)?;
    let VersionOnly { version } = serde_json::from_slice(&text).map_err(unreadable)?;
    if version != VERSION {
        return Err(ArchiveError::NewerFormat { object: path.to_string(), found: version, known: VERSION });
    }
    serde_json::from_slice(&text).map_err(unreadable)
}

/// How a document with these fields ends.
fn end(text: &[u8]) -> String {
    format!("{CHECKSUM}{:016x}\"}}", xxh3_64(text))
}

/// Adds its checksum to a JSON object.
pub(crate) fn seal(mut text: Vec<u8>) -> Bytes {
    let end = end(&text);
    text.pop();
    text.extend(end.into_bytes());
    text.into()
}

/// The JSON object without its checksum, if that is right.
fn open(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let end_bytes = CHECKSUM.len() + 16 + "\"}".len();
    let split = bytes.len().checked_sub(end_bytes).and_then(|at| bytes.split_at_checked(at));
    let (fields, found) =
        split.filter(|(_, found)| found.starts_with(CHECKSUM.as_bytes())).ok_or("it has no checksum")?;
    let mut text = Vec::with_capacity(fields.len() + 1);
    text.extend_from_slice(fields);
    text.push(b'}');
    if end(&text).as_bytes() == found { Ok(text) } else { Err("its checksum does not match".into()) }
}

/// Whether the error is about one document alone: what is beside it can be used all the same.
pub(crate) fn is_unusable(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::Damaged { .. } | ArchiveError::NewerFormat { .. })
}

/// What a look at many documents makes of each: one that cannot be used is told of and passed over, as is one that is not
/// there.
pub(crate) fn pass_over<T>(read: Result<T, ArchiveError>) -> Result<Option<T>, ArchiveError> {
    match read {
        Ok(document) => Ok(Some(document)),
        Err(ArchiveError::NotFound { .. }) => Ok(None),
        Err(error) if is_unusable(&error) => {
            tracing::warn!(%error, "passed over a document of the archive");
            Ok(None)
        }
        Err(error) => Err(error),
    }
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
