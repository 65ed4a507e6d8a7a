//! Requests and answers between router and storage node, and between regions, as bytes.
//!
//! Byte 0 is the version: 2 of calls of a partition, their answers and the outcomes that are kept of them, 1 of all else. The
//! rest is the value in postcard's encoding, in which fields and variants go by their position: they are only ever added at
//! the end of an enum; any other change is a new version.

use crate::operation::{PartitionError, PartitionOutcome, PartitionRequest};
use bytes::Bytes;
use cairn_model::{ServiceError, ids::PartitionId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const VERSION: u8 = 1;
/// Version 1 knew nothing of indexes.
const CALL_VERSION: u8 = 2;

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
    #[error("failed to read a message: its version is {found}, and this program knows only {known}")]
    UnknownVersion { found: u8, known: u8 },
    #[error("failed to read a message")]
    Malformed(#[from] postcard::Error),
    #[error("failed to read a message: {0} bytes are left behind its end")]
    TrailingBytes(usize),
}

pub fn encode_call(call: &PartitionCall) -> Result<Bytes, WireError> {
    encode_as(CALL_VERSION, call)
}

pub fn decode_call(bytes: impl AsRef<[u8]>) -> Result<PartitionCall, WireError> {
    decode_as(CALL_VERSION, bytes.as_ref())
}

/// Can't fail: what has no encoding becomes an answer that says so.
pub fn encode_answer(answer: &PartitionAnswer) -> Bytes {
    let unknown = |error: WireError| {
        let reason = error.to_string();
        encode_as(CALL_VERSION, &PartitionAnswer::Err(PartitionError::Unknown { reason })).unwrap_or_default()
    };
    encode_as(CALL_VERSION, answer).unwrap_or_else(unknown)
}

pub fn decode_answer(bytes: impl AsRef<[u8]>) -> Result<PartitionAnswer, WireError> {
    decode_as(CALL_VERSION, bytes.as_ref())
}

/// What a write, or a step of a transaction, came to, as it is kept for its retries.
pub(crate) fn encode_outcome(outcome: &Result<impl Serialize, ServiceError>) -> Result<Bytes, WireError> {
    encode_as(CALL_VERSION, outcome)
}

pub(crate) fn decode_outcome<T: DeserializeOwned>(bytes: &[u8]) -> Result<Result<T, ServiceError>, WireError> {
    decode_as(CALL_VERSION, bytes)
}

/// The bytes of any other message between Cairn's own programs.
pub fn encode(value: &impl Serialize) -> Result<Bytes, WireError> {
    encode_as(VERSION, value)
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    decode_as(VERSION, bytes)
}

fn encode_as(version: u8, value: &impl Serialize) -> Result<Bytes, WireError> {
    Ok(postcard::to_extend(value, vec![version])?.into())
}

fn decode_as<T: DeserializeOwned>(known: u8, bytes: &[u8]) -> Result<T, WireError> {
    let (&found, body) = bytes.split_first().ok_or(WireError::Empty)?;
    if found != known {
        return Err(WireError::UnknownVersion { found, known });
    }
    let (value, rest) = postcard::take_from_bytes(body)?;
    if rest.is_empty() { Ok(value) } else { Err(WireError::TrailingBytes(rest.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::{GetOutcome, GetRequest, WriteOutcome},
        testing,
        transaction::{Idempotency, TransactOutcome, TransactRequest, TransactStep, TransactWrite, TransactionId},
    };
    use cairn_model::{ErrorKind, ServiceError, codec::EncodedItem, ids::RequestId, key::EncodedKey, time::Timestamp};

    fn call(request: PartitionRequest) -> PartitionCall {
        PartitionCall { partition: PartitionId([1; 16]), epoch: 3, request }
    }

    #[test]
    fn calls_and_answers_are_read_as_they_were_written() {
        let requests = [testing::put_new(1, "a", 1), testing::add(2, "b", 2), testing::delete(3, "c")];
        for request in requests.map(PartitionRequest::Write) {
            let call = call(request);
            assert_eq!(decode_call(encode_call(&call).unwrap()), Ok(call));
        }
        let mut failed = ServiceError::new(ErrorKind::ConditionalCheckFailedException, "failed");
        failed.item = Some(testing::item("a", 1));
        let answers: [PartitionAnswer; 5] = [
            Ok(PartitionOutcome::Write(WriteOutcome {
                attributes: None,
                size_before: 1,
                size_after: 2,
                indexes: Vec::new(),
                collection_bytes: None,
            })),
            Ok(PartitionOutcome::Get(GetOutcome {
                items: vec![None, Some((EncodedItem::encode(&testing::item("a", 1)), 5))],
            })),
            Err(PartitionError::Service(failed)),
            Err(PartitionError::NotLeader { leader: Some(testing::descriptor(1).members[0].clone()) }),
            Err(PartitionError::EpochMismatch { epoch: 7 }),
        ];
        for answer in answers {
            assert_eq!(decode_answer(encode_answer(&answer)), Ok(answer));
        }
    }

    /// The bytes of version 2: routers and storage nodes of neighbouring versions run together.
    #[test]
    fn calls_and_answers_of_version_2_stay_readable() {
        let key = EncodedKey(Bytes::from_static(b"key"));
        let get = GetRequest { keys: vec![key], projection: None, consistent: true };
        let mut golden = b"\x02\x2401010101-0101-0101-0101-010101010101".to_vec();
        golden.extend_from_slice(b"\x03\x01\x01\x03key\x00\x01");
        assert_eq!(encode_call(&call(PartitionRequest::Get(get))).unwrap(), golden);
        let overloaded = Err(PartitionError::Overloaded { reason: "full".into() });
        assert_eq!(encode_answer(&overloaded), b"\x02\x01\x04\x04full".as_slice());
    }

    /// The places of steps and outcomes, which those that are added come behind.
    #[test]
    fn steps_of_transactions_and_their_outcomes_stay_readable() {
        let time = Timestamp(300);
        let steps = [
            (TransactStep::Commit, &[1, 1][..]),
            (TransactStep::Abort { age_ms_min: 3 }, &[1, 2, 3]),
            (TransactStep::Finish, &[1, 4]),
            (TransactStep::CommitDecided { decided_at: time }, &[1, 7, 0xac, 2]),
            (TransactStep::Resolve { age_ms_min: 3 }, &[1, 8, 3]),
        ];
        for (step, golden) in steps {
            assert_eq!(encode(&step).unwrap(), golden);
            assert_eq!(decode(golden), Ok(step));
        }
        let outcomes = [
            (TransactOutcome::Committed(Vec::new()), &[1, 0, 0][..]),
            (TransactOutcome::Aborted, &[1, 3]),
            (TransactOutcome::ParameterMismatch, &[1, 7]),
            (TransactOutcome::CommittedAt { outcomes: Vec::new(), decided_at: time }, &[1, 8, 0, 0xac, 2]),
            (TransactOutcome::PreparedAt { outcomes: Vec::new(), prepared_at: time }, &[1, 9, 0, 0xac, 2]),
        ];
        for (outcome, golden) in outcomes {
            assert_eq!(encode(&outcome).unwrap(), golden);
            assert_eq!(decode(golden), Ok(outcome));
        }
        let idempotency = Idempotency { token: [1; 16], parameters: [2; 16] };
        let write = TransactWrite { idempotency, actions: Vec::new(), participants: Vec::new(), begun_ms: 5 };
        let prepare = encode(&TransactStep::Prepare(write.clone())).unwrap();
        assert_eq!(prepare[..2], [1, 5]);
        let (prepared_bytes, finished) = (9, vec![TransactionId([3; 16])]);
        let decide = TransactStep::DecideAfter { write, prepared_bytes, finished, prepared_at: time };
        let decide = encode(&decide).unwrap();
        assert_eq!((&decide[..2], &decide[2..prepare.len()]), (&[1, 6][..], &prepare[2..]));
        assert_eq!(decide[prepare.len()..], [&[9, 1][..], &[3; 16], &[0xac, 2]].concat());
    }

    /// Of routers and nodes that know nothing of times: they ask and answer by the first places, and are answered in kind.
    #[test]
    fn steps_and_outcomes_of_older_versions_are_read_and_those_of_newer_ones_are_refused() {
        let idempotency = Idempotency { token: [1; 16], parameters: [2; 16] };
        let write = TransactWrite { idempotency, actions: Vec::new(), participants: Vec::new(), begun_ms: 5 };
        let written = [&[1; 16][..], &[2; 16], &[0, 0, 5]].concat();
        let decide =
            TransactStep::Decide { write: write.clone(), prepared_bytes: 9, finished: vec![TransactionId([3; 16])] };
        let steps = [
            (TransactStep::Write(write), [&[0][..], &written].concat()),
            (decide, [&[3][..], &written, &[9, 1], &[3; 16]].concat()),
        ];
        let request =
            |step| TransactRequest { request_id: RequestId([4; 16]), transaction: TransactionId([6; 16]), step };
        let called = |step: &[u8]| {
            let head = b"\x02\x2401010101-0101-0101-0101-010101010101\x03\x04";
            [&head[..], &[4; 16], &[6; 16], step].concat()
        };
        for (step, golden) in steps {
            let call = call(PartitionRequest::Transact(request(step)));
            assert_eq!(encode_call(&call).unwrap(), called(&golden));
            assert_eq!(decode_call(called(&golden)), Ok(call));
        }
        let replayed = TransactOutcome::Replayed {
            transaction: TransactionId([7; 16]),
            participants: Vec::new(),
            outcomes: Vec::new(),
        };
        let outcomes = [
            (TransactOutcome::Prepared(Vec::new()), vec![1, 0]),
            (TransactOutcome::Cancelled(vec![None]), vec![2, 1, 0]),
            (TransactOutcome::Pending, vec![4]),
            (replayed, [&[5][..], &[7; 16], &[0, 0]].concat()),
        ];
        for (outcome, golden) in outcomes {
            let (answer, golden) = (Ok(PartitionOutcome::Transact(outcome)), [&[2, 0, 4][..], &golden].concat());
            assert_eq!(encode_answer(&answer), golden);
            assert_eq!(decode_answer(golden), Ok(answer));
        }
        // Whoever asked so is refused, and asks by a form that is known here.
        assert!(matches!(decode_call(called(&[9, 0])), Err(WireError::Malformed(_))));
        assert!(matches!(decode_answer([2, 0, 4, 10, 0]), Err(WireError::Malformed(_))));
    }

    #[test]
    fn what_is_cut_short_or_goes_on_is_refused() {
        let bytes = encode_call(&call(PartitionRequest::Write(testing::put_new(1, "a", 1)))).unwrap();
        for end in 0..bytes.len() {
            assert!(decode_call(&bytes[..end]).is_err(), "cut at {end}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(decode_call(longer), Err(WireError::TrailingBytes(1)));
        assert_eq!(decode_call([9]), Err(WireError::UnknownVersion { found: 9, known: 2 }));
    }
}
