//! How far two regions' clocks are apart.

use super::{message::SourceClock, trouble::problem};
use cairn_model::region::{RegionProblem, RegionTrouble};

/// Clocks that differ by more are a problem.
const SKEW_MS_MAX: u64 = 2_000;

/// The source's clock less this one's, and by how much that may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockOffset {
    ms: i64,
    error_ms: u64,
}

impl ClockOffset {
    /// The answer left halfway between its call's arrival and its own, but for the time that it was held.
    pub(super) fn measured(clock: SourceClock, arrived_wall_ms: u64, took_ms: u64) -> Self {
        let error_ms = took_ms.saturating_sub(clock.held_ms) / 2;
        let left_ms = arrived_wall_ms.saturating_sub(error_ms);
        Self { ms: clock.wall_ms.cast_signed().wrapping_sub(left_ms.cast_signed()), error_ms }
    }

    /// None where nothing can be told.
    pub(super) fn told(self) -> Option<i64> {
        (self.error_ms < self.ms.unsigned_abs().max(SKEW_MS_MAX / 4)).then_some(self.ms)
    }
}

/// If it is more than is safe to ignore.
pub(super) fn skew(offset_ms: i64, region: &str, own_region: &str) -> Option<RegionProblem> {
    if offset_ms.unsigned_abs() <= SKEW_MS_MAX {
        return None;
    }
    let word = if offset_ms > 0 { "ahead of" } else { "behind" };
    let seconds = offset_ms.unsigned_abs() as f64 / 1_000.0;
    let message = format!(
        "the clocks of region {region} are {seconds:.1} s {word} those of region {own_region}: the later clock wins where both \
         write one item, so synchronise the nodes' clocks (NTP)"
    );
    Some(problem(RegionTrouble::ClockSkew, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer that was held for 1 s and took 40 ms on its way there and back.
    fn offset(source_wall_ms: u64) -> Option<i64> {
        let clock = SourceClock { wall_ms: source_wall_ms, held_ms: 1_000 };
        ClockOffset::measured(clock, 500_000, 1_040).told()
    }

    #[test]
    fn what_a_call_was_held_and_half_its_way_are_not_taken_for_the_clocks() {
        assert_eq!(offset(499_980), Some(0));
        assert_eq!(offset(503_000), Some(3_020));
        assert_eq!(offset(490_000), Some(-9_980));
    }

    #[test]
    fn an_answer_that_took_too_long_tells_nothing_of_the_clocks() {
        let slow = |source_wall_ms| {
            let clock = SourceClock { wall_ms: source_wall_ms, held_ms: 0 };
            ClockOffset::measured(clock, 500_000, 8_000).told()
        };
        assert_eq!(slow(499_000), None, "it may be right as well");
        assert_eq!(slow(600_000), Some(104_000), "no way takes that long");
    }

    #[test]
    fn a_skew_past_the_limit_is_told_with_whose_clocks_are_ahead() {
        let told = |offset_ms| skew(offset_ms, "west", "east").map(|problem| problem.message);
        assert!(told(2_500).unwrap().contains("region west are 2.5 s ahead of those of region east"));
        assert!(told(-3_000).unwrap().contains("3.0 s behind"));
        assert_eq!((told(2_000), told(-2_000)), (None, None));
    }
}
