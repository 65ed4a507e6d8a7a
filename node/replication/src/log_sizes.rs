//! How many bytes of a log lie behind an index, roughly: for limits on what a log keeps.

use std::collections::VecDeque;

/// As fine as it needs to be known.
const GRAIN_BYTES: u64 = 1 << 20;

/// Sizes of what was appended since the process started, behind an estimate of what was there before.
#[derive(Debug, Default)]
pub(crate) struct LogSizes {
    /// Indexes, and the bytes appended up to them.
    marks: VecDeque<(u64, u64)>,
    total: u64,
    /// Of the total, what was compacted.
    compacted: u64,
}

impl LogSizes {
    /// A log that was there when the process started: its entries are taken to be alike.
    pub(crate) fn of(start: u64, last_index: u64, bytes: u64) -> Self {
        let grains = bytes / GRAIN_BYTES;
        let entries = u128::from(last_index - start);
        let index = |total: u64| start + (entries * u128::from(total) / u128::from(bytes)) as u64;
        let marks = (1..=grains).map(|grain| (index(grain * GRAIN_BYTES), grain * GRAIN_BYTES)).collect();
        Self { marks, total: bytes, compacted: 0 }
    }

    pub(crate) fn appended(&mut self, last_index: u64, bytes: u64) {
        while self.marks.back().is_some_and(|(index, _)| *index >= last_index) {
            self.marks.pop_back();
        }
        self.total += bytes;
        if self.total - self.marks.back().map_or(0, |(_, total)| *total) >= GRAIN_BYTES {
            self.marks.push_back((last_index, self.total));
        }
    }

    pub(crate) fn compacted(&mut self, index: u64) {
        while let Some((_, total)) = self.marks.pop_front_if(|(marked, _)| *marked <= index) {
            self.compacted = total;
        }
    }

    /// An index behind which no more than `bytes_max` lie; 0 if all of the log is within the limit.
    pub(crate) fn index_within(&self, bytes_max: u64) -> u64 {
        if self.total - self.compacted <= bytes_max {
            return 0;
        }
        let within = self.marks.iter().find(|(_, total)| self.total - total <= bytes_max);
        within.or(self.marks.back()).map_or(0, |(index, _)| *index)
    }

    /// Bytes of the entries behind `index`, of a log that begins after `start`; those between two marks are taken to be alike.
    pub(crate) fn bytes_behind(&self, index: u64, start: u64, last_index: u64) -> u64 {
        if index >= last_index {
            return 0;
        }
        let index = index.max(start);
        let next = self.marks.partition_point(|(marked, _)| *marked <= index);
        let before = next.checked_sub(1).map_or((start, self.compacted), |mark| self.marks[mark]);
        let after = self.marks.get(next).copied().unwrap_or((last_index, self.total));
        let share =
            u128::from(index - before.0) * u128::from(after.1 - before.1) / u128::from((after.0 - before.0).max(1));
        self.total - before.1 - share as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_behind_an_index_are_limited_to_a_grain() {
        let mut sizes = LogSizes::default();
        for index in 1..=100 {
            sizes.appended(index, GRAIN_BYTES / 2);
        }
        assert_eq!(sizes.index_within(50 * GRAIN_BYTES), 0);
        let index = sizes.index_within(10 * GRAIN_BYTES);
        assert_eq!(index, 80, "the last twenty are ten grains");
        sizes.compacted(index);
        assert_eq!(sizes.index_within(10 * GRAIN_BYTES), 0);
    }

    #[test]
    fn a_log_that_was_there_before_counts() {
        let sizes = LogSizes::of(1_000, 2_000, 100 * GRAIN_BYTES);
        assert_eq!(sizes.index_within(100 * GRAIN_BYTES), 0);
        assert_eq!(sizes.index_within(10 * GRAIN_BYTES), 1_900);
        assert_eq!(LogSizes::of(5, 5, 0).index_within(0), 0);
    }

    #[test]
    fn the_bytes_behind_an_index_are_told_between_marks_too() {
        let mut sizes = LogSizes::default();
        for index in 1..=100 {
            sizes.appended(index, GRAIN_BYTES / 4);
        }
        for index in [0, 1, 50, 97, 99] {
            assert_eq!(sizes.bytes_behind(index, 0, 100), (100 - index) * GRAIN_BYTES / 4, "{index}");
        }
        assert_eq!(sizes.bytes_behind(100, 0, 100), 0);
        sizes.compacted(60);
        assert_eq!(sizes.bytes_behind(20, 60, 100), 10 * GRAIN_BYTES, "what is gone is not kept");
        let small = LogSizes::of(10, 20, 1_000);
        assert_eq!(small.bytes_behind(15, 10, 20), 500);
        assert_eq!(LogSizes::of(5, 5, 0).bytes_behind(0, 5, 5), 0);
    }

    #[test]
    fn one_entry_over_the_limit_is_not_kept() {
        let mut sizes = LogSizes::default();
        sizes.appended(7, 30 * GRAIN_BYTES);
        assert_eq!(sizes.index_within(10 * GRAIN_BYTES), 7);
        sizes.appended(8, 30 * GRAIN_BYTES);
        assert_eq!(sizes.index_within(10 * GRAIN_BYTES), 8);
    }
}
