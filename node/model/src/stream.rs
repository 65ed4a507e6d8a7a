//! Streams: how their records are numbered, what a stream and its shard are called, and when what is in them goes.

use crate::{ids::PartitionId, table::StreamViewType, time::Timestamp};
use jiff::{civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;

/// For how long a record can be read, and a stream that was disabled.
pub const RETENTION_MS: u64 = 24 * 60 * 60 * 1_000;
/// How many streams a table remembers that were disabled within the retention.
pub const PAST_STREAMS_MAX: usize = 64;
/// Digits of a sequence number as a client has it (reference, `SequenceNumber`).
pub const SEQUENCE_DIGITS_MIN: usize = 21;
pub const SEQUENCE_DIGITS_MAX: usize = 40;

/// Where a record stands in its table's log: entry times rise strictly along it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SequenceNumber {
    /// Of the entry that made the change.
    pub time: Timestamp,
    /// Of the write in the entry.
    pub ordinal: u32,
}

impl SequenceNumber {
    /// The last of a time.
    pub fn last_of(time: Timestamp) -> Self {
        Self { time, ordinal: u32::MAX }
    }

    /// The one just before the first of a millisecond.
    pub fn before_millis(millis: u64) -> Self {
        Self { time: Timestamp::from_millis(millis), ordinal: 0 }.before()
    }

    /// The one just before; the first has none, and stays.
    #[must_use]
    pub fn before(self) -> Self {
        Self::of_number(self.number().saturating_sub(1))
    }

    /// `None` for a text that no record can have as its number.
    pub fn parse(text: &str) -> Option<Self> {
        let is_numeric = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: u128 = text.parse().ok().filter(|_| is_numeric)?;
        (number >> 96 == 0).then(|| Self::of_number(number))
    }

    fn number(self) -> u128 {
        u128::from(self.time.0) << 32 | u128::from(self.ordinal)
    }

    fn of_number(number: u128) -> Self {
        Self { time: Timestamp((number >> 32) as u64), ordinal: number as u32 }
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0SEQUENCE_DIGITS_MIN$}", self.number())
    }
}

/// `StreamLabel`: when the stream was enabled, as `2015-05-11T21:21:33.291`.
pub fn label(enabled_at_ms: u64) -> String {
    let time = i64::try_from(enabled_at_ms).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    let time = time.unwrap_or(jiff::Timestamp::MAX).to_zoned(TimeZone::UTC);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3f").to_string()
}

/// When a stream of this label was enabled; `None` for a text that [`label`] does not make.
pub fn enabled_at_ms(text: &str) -> Option<u64> {
    let time: DateTime = text.parse().ok()?;
    let millis = time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
    u64::try_from(millis).ok().filter(|millis| label(*millis) == text)
}

/// `ShardId`: of a stream that was enabled then, what comes of this partition.
pub fn shard_id(enabled_at_ms: u64, partition: PartitionId) -> String {
    let [a, b, c, d, ..] = partition.0;
    format!("shardId-{enabled_at_ms:020}-{:08x}", u32::from_be_bytes([a, b, c, d]))
}

/// A table's streams: the one that is on, and those that were lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Streams {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Stream>,
    /// In the order in which they were disabled; at most [`PAST_STREAMS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<PastStream>,
}

/// What keeps the changes of a table's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    pub view_type: StreamViewType,
    /// Since when; milliseconds since the Unix epoch. It is the stream's label, and so part of its ARN: no other stream of the
    /// table has the same.
    pub enabled_at_ms: u64,
}

/// A stream that takes no more records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastStream {
    #[serde(flatten)]
    pub stream: Stream,
    /// Milliseconds since the Unix epoch.
    pub disabled_at_ms: u64,
}

impl PastStream {
    fn until_ms(&self) -> u64 {
        self.disabled_at_ms.saturating_add(RETENTION_MS)
    }

    fn is_readable(&self, now_ms: u64) -> bool {
        now_ms < self.until_ms()
    }
}

impl Streams {
    /// Begins a stream, in the place of one that is on.
    pub fn enable(&mut self, view_type: StreamViewType, now_ms: u64) {
        self.disable(now_ms);
        let last = self.past.iter().map(|past| past.stream.enabled_at_ms).max();
        let enabled_at_ms = last.map_or(now_ms, |last| now_ms.max(last + 1));
        self.current = Some(Stream { view_type, enabled_at_ms });
    }

    /// Ends the stream that is on, if one is, and forgets those that can't be read any more.
    pub fn disable(&mut self, now_ms: u64) {
        let ended = self.current.take().map(|stream| PastStream { stream, disabled_at_ms: now_ms });
        self.past.extend(ended);
        self.past.retain(|past| past.is_readable(now_ms));
        let surplus = self.past.len().saturating_sub(PAST_STREAMS_MAX);
        self.past.drain(..surplus);
    }

    /// All that can be read, the oldest first, and whether each is on.
    pub fn readable(&self, now_ms: u64) -> impl DoubleEndedIterator<Item = (Stream, bool)> {
        let past = self.past.iter().filter(move |past| past.is_readable(now_ms)).map(|past| (past.stream, false));
        past.chain(self.current.map(|stream| (stream, true)))
    }

    /// Until when one that has ended can be read; milliseconds since the Unix epoch, 0 where none has.
    pub fn past_until_ms(&self) -> u64 {
        self.past.iter().map(PastStream::until_ms).max().unwrap_or_default()
    }

    /// Whether the stream that was enabled then takes no more. One that is newer than all that are known here has not begun yet: whoever
    /// asks for it was told of it before.
    pub fn has_ended(&self, enabled_at_ms: u64) -> bool {
        let is_on = self.current.is_some_and(|stream| stream.enabled_at_ms == enabled_at_ms);
        let known = self.past.iter().map(|past| past.stream).chain(self.current);
        !is_on && known.map(|stream| stream.enabled_at_ms).max().is_some_and(|newest| enabled_at_ms <= newest)
    }

    pub fn is_empty(&self) -> bool {
        self.current.is_none() && self.past.is_empty()
    }
}

impl StreamViewType {
    pub fn shows_old(self) -> bool {
        matches!(self, Self::OldImage | Self::NewAndOldImages)
    }

    pub fn shows_new(self) -> bool {
        matches!(self, Self::NewImage | Self::NewAndOldImages)
    }

    /// DynamoDB's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeysOnly => "KEYS_ONLY",
            Self::NewImage => "NEW_IMAGE",
            Self::OldImage => "OLD_IMAGE",
            Self::NewAndOldImages => "NEW_AND_OLD_IMAGES",
        }
    }

    /// `None` for what is none of DynamoDB's words.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::KeysOnly, Self::NewImage, Self::OldImage, Self::NewAndOldImages].into_iter().find(|it| it.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = RETENTION_MS;

    #[test]
    fn sequence_numbers_have_their_order_as_numbers_and_are_read_as_they_are_written() {
        let number = |millis, ordinal| SequenceNumber { time: Timestamp::from_millis(millis), ordinal };
        let ascending = [number(0, 0), number(0, 7), number(1_700_000_000_000, 0), number(1_700_000_000_001, u32::MAX)];
        for pair in ascending.windows(2) {
            assert!(pair[0] < pair[1]);
            let [lower, higher] = [pair[0], pair[1]].map(|number| number.to_string());
            assert!(lower.parse::<u128>().unwrap() < higher.parse::<u128>().unwrap());
        }
        for number in ascending {
            let text = number.to_string();
            assert!((SEQUENCE_DIGITS_MIN..=SEQUENCE_DIGITS_MAX).contains(&text.len()), "{text}");
            assert_eq!(SequenceNumber::parse(&text), Some(number));
        }
        assert_eq!(number(1, 0).before(), SequenceNumber { time: Timestamp(65_535), ordinal: u32::MAX });
        for text in ["", "+00000000000000000000001", "79228162514264337593543950336", "12a"] {
            assert_eq!(SequenceNumber::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_label_is_the_time_and_is_read_as_it_is_written() {
        assert_eq!(label(1_431_379_293_291), "2015-05-11T21:21:33.291");
        for millis in [0, 1_431_379_293_000, 1_431_379_293_291] {
            assert_eq!(enabled_at_ms(&label(millis)), Some(millis));
        }
        for text in ["2015-05-11T21:21:33.29", "2015-05-11", "2015-05-11T21:21:33.291Z", "x"] {
            assert_eq!(enabled_at_ms(text), None, "{text}");
        }
    }

    #[test]
    fn a_shard_is_named_by_its_stream_and_its_partition() {
        let id = shard_id(1_431_379_293_291, PartitionId([0xab; 16]));
        assert_eq!(id, "shardId-00000001431379293291-abababab");
    }

    #[test]
    fn a_stream_that_was_disabled_is_there_for_a_day_and_the_next_has_another_label() {
        let mut streams = Streams::default();
        streams.enable(StreamViewType::KeysOnly, 1_000);
        streams.disable(2_000);
        streams.enable(StreamViewType::NewImage, 900);
        let second = Stream { view_type: StreamViewType::NewImage, enabled_at_ms: 1_001 };
        assert_eq!(streams.current, Some(second), "a clock that went back makes no label twice");
        let first = Stream { view_type: StreamViewType::KeysOnly, enabled_at_ms: 1_000 };
        assert_eq!(streams.readable(DAY_MS).collect::<Vec<_>>(), [(first, false), (second, true)]);
        assert_eq!(streams.readable(DAY_MS + 2_000).collect::<Vec<_>>(), [(second, true)]);
        streams.disable(DAY_MS + 2_000);
        assert_eq!(streams.past.len(), 1, "the first is forgotten");
    }

    #[test]
    fn what_is_newer_than_all_that_are_known_has_not_ended_and_all_else_has_but_for_the_one_that_is_on() {
        let mut streams = Streams::default();
        assert!(!streams.has_ended(1_000), "it has not begun");
        streams.enable(StreamViewType::KeysOnly, 1_000);
        assert_eq!([999, 1_000, 1_001].map(|at_ms| streams.has_ended(at_ms)), [true, false, false]);
        streams.disable(2_000);
        assert_eq!([999, 1_000, 1_001].map(|at_ms| streams.has_ended(at_ms)), [true, true, false]);
        streams.enable(StreamViewType::KeysOnly, 3_000);
        assert_eq!([1_000, 2_999, 3_000, 3_001].map(|at_ms| streams.has_ended(at_ms)), [true, true, false, false]);
    }

    #[test]
    fn no_more_streams_are_remembered_than_may_be() {
        let mut streams = Streams::default();
        (0..200).for_each(|n| streams.enable(StreamViewType::KeysOnly, 1_000 + n));
        assert_eq!(streams.past.len(), PAST_STREAMS_MAX);
        assert_eq!(streams.past[0].stream.enabled_at_ms, 1_199 - PAST_STREAMS_MAX as u64);
    }
}
