//! Room for one request's answer: made before what it is made of comes, and held until the answer has gone.

use super::budget::{Budget, Share};
use crate::errors;
use cairn_model::ServiceError;
use cairn_replication::{
    operation::{GetOutcome, PartitionOutcome, RangeOutcome, StreamOutcome},
    transaction::TransactGetOutcome,
};
use parking_lot::Mutex;
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

/// Of an answer, what every request may have without asking (`super::limits` counts it).
pub(super) const FREE_BYTES: usize = 8 << 10;
/// What comes of each byte that a partition answers: it, what it is read into, and a byte or more of the answer's JSON.
const BYTES_OF_A_BYTE: usize = 3;
/// What a request may have become once it is read, likewise.
pub(super) const FREE_READ_BYTES: usize = 16 << 10;
const FREE_JSON_BYTES: usize = 512;
/// What an object or an element of a request's JSON takes at the most once it is read: a map of one entry has two braces, and room for
/// eleven entries; a string is allocated.
const BYTES_OF_A_BRACE: usize = 370;
const BYTES_OF_A_COMMA: usize = 64;
/// How long a request waits for room.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The room that one request has.
#[derive(Debug)]
pub struct Room {
    budget: Budget,
    share: Mutex<Option<Share>>,
    /// What of it the request takes, and not what it is answered.
    read_bytes: AtomicUsize,
    patience: Duration,
}

impl Room {
    /// Waited for with this much patience.
    pub(crate) fn new(budget: &Budget, patience: Duration) -> Self {
        Self { budget: budget.clone(), share: Mutex::new(None), read_bytes: AtomicUsize::new(0), patience }
    }

    /// Room that nobody shares, for those who ask partitions outside of a client's request.
    pub fn within(bytes: usize) -> Self {
        Self::new(&Budget::new(bytes, 0), PATIENCE)
    }

    /// Makes room for what a request's JSON becomes in memory, which may be a hundred times as much.
    pub(crate) async fn make_to_read(&self, json: &[u8]) -> Result<(), ServiceError> {
        // Most requests are so short that it is not worth looking.
        let bytes = if json.len() <= FREE_JSON_BYTES { 0 } else { bytes_once_read(json) };
        if bytes <= FREE_READ_BYTES {
            return Ok(());
        }
        if bytes > self.budget.largest() {
            return Err(errors::too_much_to_read());
        }
        self.grow(bytes).await?;
        self.read_bytes.store(bytes, Relaxed);
        Ok(())
    }

    /// Makes room for what comes of so many bytes that a partition is about to answer, or has. Where others hold all that there is,
    /// for a moment longer than one can wait, the error is a `ThrottlingException`: the bytes should be dropped then.
    pub async fn make(&self, answered_bytes: usize) -> Result<(), ServiceError> {
        if answered_bytes * BYTES_OF_A_BYTE <= FREE_BYTES {
            return Ok(());
        }
        self.grow(answered_bytes.saturating_mul(BYTES_OF_A_BYTE)).await
    }

    async fn grow(&self, more: usize) -> Result<(), ServiceError> {
        let mut share = self.share.lock().take().unwrap_or_else(|| self.budget.empty_share());
        let held = share.bytes();
        // One answer of any size must be possible, to a request of any size.
        let first = held <= self.read_bytes.load(Relaxed);
        let more = if first { more.min(self.budget.largest().saturating_sub(held)) } else { more };
        let grown = share.grow(more, self.patience).await;
        self.keep(share);
        grown.map_err(|_| errors::overloaded())
    }

    /// As [`Self::make`], for an outcome that is in memory; a write's, which can't be undone, is counted with its answer.
    pub async fn make_for(&self, outcome: &PartitionOutcome) -> Result<(), ServiceError> {
        self.make(outcome_bytes(outcome)).await
    }

    fn keep(&self, share: Share) {
        let mut kept = self.share.lock();
        match kept.as_mut() {
            // Parts of a request may ask at once.
            Some(kept) => kept.absorb(share),
            None => *kept = Some(share),
        }
    }

    /// What the answer, which is made and takes so many bytes, holds until it has gone.
    pub(crate) fn settle(self, answer_bytes: usize) -> Option<Share> {
        if answer_bytes <= FREE_BYTES {
            return None;
        }
        let mut share = self.share.into_inner().unwrap_or_else(|| self.budget.empty_share());
        share.set(answer_bytes);
        Some(share)
    }
}

/// What the JSON becomes at the most. What is in a string is no structure.
fn bytes_once_read(json: &[u8]) -> usize {
    let mut bytes = 0;
    let mut rest = json.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'{' => bytes += BYTES_OF_A_BRACE,
            b',' => bytes += BYTES_OF_A_COMMA,
            b'"' => {
                while let Some(byte) = rest.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(rest.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    bytes
}

fn outcome_bytes(outcome: &PartitionOutcome) -> usize {
    match outcome {
        PartitionOutcome::Get(GetOutcome { items }) => items.iter().flatten().map(|(item, _)| item.0.len()).sum(),
        PartitionOutcome::Range(RangeOutcome { items, .. }) => items.iter().map(|item| item.0.len()).sum(),
        PartitionOutcome::Stream(StreamOutcome { records, .. }) => {
            let items = records.iter().flat_map(|it| it.old_image.iter().chain(&it.new_image).chain([&it.keys]));
            items.map(|item| item.0.len()).sum()
        }
        PartitionOutcome::TransactGet(TransactGetOutcome { items }) => {
            items.iter().filter_map(|got| got.item.as_ref()).map(|(item, _)| item.0.len()).sum()
        }
        PartitionOutcome::Write(_)
        | PartitionOutcome::Transact(_)
        | PartitionOutcome::Locked(_)
        | PartitionOutcome::Fed(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    fn room_in(budget: &Budget) -> Room {
        Room::new(budget, PATIENCE)
    }

    #[tokio::test]
    async fn an_answer_holds_what_it_takes_until_it_has_gone() {
        let budget = Budget::new(40 * MB, 0);
        let room = room_in(&budget);
        room.make(4 * MB).await.unwrap();
        assert_eq!(budget.free(), 28 * MB as i64);
        let other = room_in(&budget);
        assert!(errors::is_overload(other.make(8 * MB).await.unwrap_err().kind));
        let answer = room.settle(5 * MB);
        assert_eq!(budget.free(), 35 * MB as i64);
        other.make(8 * MB).await.unwrap();
        drop((answer, other));
        assert_eq!(budget.free(), 40 * MB as i64);
    }

    #[tokio::test]
    async fn a_request_that_becomes_much_once_it_is_read_needs_room_for_that() {
        let budget = Budget::new(8 * MB, 0);
        let maps = |count: usize| r#"{"M":{"a":{"N":"1"}}},"#.repeat(count);
        let room = room_in(&budget);
        room.make_to_read(maps(10).as_bytes()).await.unwrap();
        assert_eq!(budget.free(), 8 * MB as i64);
        room.make_to_read(maps(4_000).as_bytes()).await.unwrap();
        assert!(budget.free() < 4 * MB as i64);
        let refused = room_in(&budget).make_to_read(maps(4_000).as_bytes()).await.unwrap_err();
        assert!(errors::is_overload(refused.kind));
        drop(room);
        let text = format!(r#"{{"S":"{} \""}}"#, "{,".repeat(MB));
        room_in(&budget).make_to_read(text.as_bytes()).await.unwrap();
        assert_eq!(budget.free(), 8 * MB as i64);
        let never = room_in(&budget).make_to_read(maps(10_000).as_bytes()).await.unwrap_err();
        assert_eq!(never.kind, cairn_model::ErrorKind::RequestEntityTooLarge);
    }

    #[tokio::test]
    async fn what_every_request_may_have_is_not_counted() {
        let budget = Budget::new(0, 0);
        let room = room_in(&budget);
        room.make(FREE_BYTES / BYTES_OF_A_BYTE).await.unwrap();
        assert!(room.settle(FREE_BYTES).is_none());
    }

    #[tokio::test]
    async fn an_answer_larger_than_all_there_is_can_be_had_alone() {
        let budget = Budget::new(4 * MB, 0);
        let room = room_in(&budget);
        room.make(400 * MB).await.unwrap();
        assert!(errors::is_overload(room_in(&budget).make(MB).await.unwrap_err().kind));
    }

    #[tokio::test]
    async fn a_request_that_took_room_itself_can_have_an_answer_larger_than_all_there_is_and_no_second() {
        let budget = Budget::new(4 * MB, 0);
        let room = room_in(&budget);
        room.make_to_read(r#"{"S":"x"},"#.repeat(1_000).as_bytes()).await.unwrap();
        assert!(budget.free() < 4 * MB as i64);
        room.make(400 * MB).await.unwrap();
        assert!(errors::is_overload(room.make(MB).await.unwrap_err().kind));
    }

    #[tokio::test]
    async fn parts_of_a_request_make_room_at_once() {
        let budget = Budget::new(40 * MB, 0);
        let room = room_in(&budget);
        let made = futures::future::join_all((0..4).map(|_| room.make(2 * MB))).await;
        assert!(made.iter().all(Result::is_ok));
        assert_eq!(budget.free(), 16 * MB as i64);
    }
}
