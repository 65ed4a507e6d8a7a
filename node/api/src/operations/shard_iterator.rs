//! A shard iterator: where in a shard reading goes on, and since when. Format version 1.
//!
//! ```text
//! iterator = the stream's ARN "|1|" base64 of: 01 table shard issued start checksum
//! table    = 16 bytes     the table's id: one made again under the same name has other streams
//! shard    = 16 bytes     the id of its partition
//! issued   = u64          milliseconds since the Unix epoch; big-endian, as all that follows
//! start    = 00           the oldest record that is not trimmed
//!          | 01 u64 u32   behind the record of this entry time and ordinal
//! checksum = u32          CRC-32 of the ARN and of all before it
//! ```

use crate::errors;
use base64::{Engine, engine::general_purpose::STANDARD};
use cairn_model::{
    ServiceError,
    ids::{PartitionId, TableId},
    stream::SequenceNumber,
    time::Timestamp,
};

const VERSION: u8 = 1;
const SEPARATOR: &str = "|1|";
const CHECKSUM_BYTES: usize = 4;
/// For how long an iterator may be used (reference, ExpiredIteratorException).
const VALID_MS: u64 = 15 * 60 * 1_000;
/// Of the iterator as a client has it (reference, `ShardIterator`).
pub(super) const ITERATOR_BYTES_MAX: usize = 2_048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShardIterator<'a> {
    pub(super) stream_arn: &'a str,
    pub(super) table: TableId,
    pub(super) shard: PartitionId,
    pub(super) issued_at_ms: u64,
    /// None: from the oldest record.
    pub(super) after: Option<SequenceNumber>,
}

impl<'a> ShardIterator<'a> {
    pub(super) fn to_text(self) -> String {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.table.0);
        bytes.extend_from_slice(&self.shard.0);
        bytes.extend_from_slice(&self.issued_at_ms.to_be_bytes());
        match self.after {
            None => bytes.push(0),
            Some(number) => {
                bytes.push(1);
                bytes.extend_from_slice(&number.time.0.to_be_bytes());
                bytes.extend_from_slice(&number.ordinal.to_be_bytes());
            }
        }
        let checksum = checksum(self.stream_arn, &bytes);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        format!("{}{SEPARATOR}{}", self.stream_arn, STANDARD.encode(bytes))
    }

    /// An error for what was never an iterator.
    pub(super) fn parse(text: &'a str) -> Result<Self, ServiceError> {
        Self::read(text).ok_or_else(errors::invalid_iterator)
    }

    fn read(text: &'a str) -> Option<Self> {
        let (stream_arn, encoded) = text.split_once(SEPARATOR)?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (content, found) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
        if checksum(stream_arn, content) != u32::from_be_bytes(*found) {
            return None;
        }
        let (version, rest) = content.split_first()?;
        let (table, rest) = rest.split_first_chunk::<16>()?;
        let (shard, rest) = rest.split_first_chunk::<16>()?;
        let (issued, rest) = rest.split_first_chunk::<8>()?;
        let after = match rest.split_first()? {
            (0, []) => None,
            (1, rest) => {
                let (time, rest) = rest.split_first_chunk::<8>()?;
                let ordinal = u32::from_be_bytes(rest.try_into().ok()?);
                Some(SequenceNumber { time: Timestamp(u64::from_be_bytes(*time)), ordinal })
            }
            _ => return None,
        };
        (*version == VERSION).then_some(Self {
            stream_arn,
            table: TableId(*table),
            shard: PartitionId(*shard),
            issued_at_ms: u64::from_be_bytes(*issued),
            after,
        })
    }

    pub(super) fn is_expired(&self, now_ms: u64) -> bool {
        now_ms > self.issued_at_ms.saturating_add(VALID_MS)
    }
}

fn checksum(stream_arn: &str, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(stream_arn.as_bytes());
    hasher.update(content);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:dynamodb:east:game:table/users/stream/2015-05-11T21:21:33.291";

    fn iterator(after: Option<SequenceNumber>) -> ShardIterator<'static> {
        ShardIterator {
            stream_arn: ARN,
            table: TableId([1; 16]),
            shard: PartitionId([2; 16]),
            issued_at_ms: 1_000_000,
            after,
        }
    }

    fn behind() -> ShardIterator<'static> {
        iterator(Some(SequenceNumber { time: Timestamp(7 << 50), ordinal: 3 }))
    }

    #[test]
    fn an_iterator_is_read_as_it_was_given() {
        for iterator in [iterator(None), behind()] {
            let text = iterator.to_text();
            assert!(text.len() < ITERATOR_BYTES_MAX);
            assert_eq!(ShardIterator::parse(&text), Ok(iterator));
        }
    }

    #[test]
    fn an_iterator_is_valid_for_fifteen_minutes() {
        assert!(!behind().is_expired(1_000_000 + 900_000));
        assert!(behind().is_expired(1_000_000 + 900_001));
    }

    #[test]
    fn a_damaged_iterator_or_one_of_another_stream_is_refused() {
        let text = behind().to_text();
        let (arn, encoded) = text.split_once(SEPARATOR).unwrap();
        let good = STANDARD.decode(encoded).unwrap();
        let refused = |arn: &str, bytes: &[u8]| {
            let text = format!("{arn}{SEPARATOR}{}", STANDARD.encode(bytes));
            ShardIterator::parse(&text).unwrap_err().message
        };
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            assert_eq!(refused(arn, &bytes), "Invalid ShardIterator");
            assert_eq!(refused(arn, &good[..at]), "Invalid ShardIterator");
        }
        assert_eq!(refused(&arn.replace("users", "games"), &good), "Invalid ShardIterator");
        let mut of_a_later_version = good[..good.len() - CHECKSUM_BYTES].to_vec();
        of_a_later_version[0] = 2;
        let checksum = checksum(arn, &of_a_later_version);
        of_a_later_version.extend_from_slice(&checksum.to_be_bytes());
        assert_eq!(refused(arn, &of_a_later_version), "Invalid ShardIterator");
        for text in ["", "x", "a|1|no base64!"] {
            assert!(ShardIterator::parse(text).is_err(), "{text}");
        }
    }
}
