//! Target tracking, as Application Auto Scaling does it for DynamoDB: more after two minutes above the target, less after fifteen
//! well below it. Pure of what was consumed and when.

use super::figures::Minute;
use cairn_crds::table::TargetTracking;
use cairn_model::consumption::MINUTES_KEPT;

/// Minutes above the target before there is more.
const OUT_MINUTES: usize = 2;
/// Minutes below it before there is less.
const IN_MINUTES: usize = MINUTES_KEPT as usize;
/// Well below the target: by so many points of a percent, as the alarms of AWS have it, or by half of a target that is low.
const IN_MARGIN_PERCENT: u64 = 20;

/// What a throughput is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) units: u64,
    /// More would be needed than it may have.
    pub(super) at_maximum: bool,
}

/// What `units` a second should become after these minutes, the newest last; `consumed` has of a minute what counts here.
pub(super) fn decide(
    tracking: &TargetTracking,
    units: u64,
    minutes: &[Minute],
    consumed: impl Fn(&Minute) -> u64,
) -> Decision {
    let percent = whole(tracking.target_utilization_percent);
    let above = |minute: &Minute| is_above(consumed(minute), units, percent);
    let last = minutes.get(minutes.len().saturating_sub(OUT_MINUTES)..).unwrap_or_default();
    if last.len() == OUT_MINUTES && last.iter().all(above) {
        let needed = needed(last.iter().map(&consumed).max().unwrap_or_default(), percent);
        let within = within(tracking, needed.max(units));
        return Decision { units: within, at_maximum: needed > within };
    }
    let low = percent.saturating_sub(IN_MARGIN_PERCENT).max(percent / 2);
    let quiet = minutes.get(minutes.len().saturating_sub(IN_MINUTES)..).unwrap_or_default();
    let is_quiet = !tracking.disable_scale_in
        && quiet.len() == IN_MINUTES
        && quiet.iter().all(|minute| minute.complete && !is_above(consumed(minute), units, low));
    let needed = match is_quiet {
        true => needed(quiet.iter().map(&consumed).max().unwrap_or_default(), percent).min(units),
        false => units,
    };
    Decision { units: within(tracking, needed), at_maximum: false }
}

/// The bounds, whatever the target says.
pub(super) fn within(tracking: &TargetTracking, units: u64) -> u64 {
    // A minimum above the maximum is refused before; then the maximum counts.
    units.max(whole(tracking.min_units)).min(whole(tracking.max_units))
}

/// Whether a minute's half units are more than this percentage of the units.
fn is_above(half_units: u64, units: u64, percent: u64) -> bool {
    u128::from(half_units) * 100 > u128::from(units) * 120 * u128::from(percent)
}

/// The units of which a minute's half units are this percentage, rounded up.
fn needed(half_units: u64, percent: u64) -> u64 {
    let needed = (u128::from(half_units) * 100).div_ceil(120 * u128::from(percent.max(1)));
    u64::try_from(needed).unwrap_or(u64::MAX)
}

fn whole(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACKING: TargetTracking =
        TargetTracking { min_units: 5, max_units: 100, target_utilization_percent: 70, disable_scale_in: false };

    /// Complete minutes in which so many units a second were consumed.
    fn minutes(units_per_second: &[u64]) -> Vec<Minute> {
        let minute = |units: &u64| Minute { read_half_units: units * 120, write_half_units: 0, complete: true };
        units_per_second.iter().map(minute).collect()
    }

    fn decided(units: u64, consumed: &[u64]) -> u64 {
        decide(&TRACKING, units, &minutes(consumed), |minute| minute.read_half_units).units
    }

    #[test]
    fn two_minutes_above_the_target_bring_what_the_larger_needs() {
        assert_eq!(decided(10, &[8]), 10);
        assert_eq!(decided(10, &[8, 7]), 10, "70 % is not above 70 %");
        assert_eq!(decided(10, &[8, 14]), 20);
        assert_eq!(decided(10, &[14, 8]), 20);
        assert_eq!(decided(10, &[14, 8, 7]), 10, "it is over");
    }

    #[test]
    fn there_is_no_more_than_the_maximum_and_it_is_told() {
        let decision = decide(&TRACKING, 90, &minutes(&[95, 95]), |minute| minute.read_half_units);
        assert_eq!(decision, Decision { units: 100, at_maximum: true });
    }

    #[test]
    fn fifteen_quiet_minutes_bring_less_and_fourteen_do_not() {
        assert_eq!(decided(50, &[7; 14]), 50);
        assert_eq!(decided(50, &[7; 15]), 10);
        assert_eq!(decided(50, &[0; 15]), 5, "the minimum, though nothing is consumed");
        let one_louder = [7, 7, 7, 7, 30, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7];
        assert_eq!(decided(50, &one_louder), 50);
    }

    #[test]
    fn quiet_minutes_bring_no_less_where_that_is_disabled() {
        let only_up = TargetTracking { disable_scale_in: true, ..TRACKING };
        let decided = |consumed: &[u64]| decide(&only_up, 50, &minutes(consumed), |m| m.read_half_units).units;
        assert_eq!((decided(&[7; 15]), decided(&[50, 50])), (50, 72));
    }

    #[test]
    fn what_is_a_little_below_the_target_stays() {
        assert_eq!(decided(50, &[26; 15]), 50, "52 % is not below 50 %");
        assert_eq!(decided(50, &[25; 15]), 36);
        let low = TargetTracking { target_utilization_percent: 20, ..TRACKING };
        let decision = |consumed: u64| decide(&low, 50, &minutes(&[consumed; 15]), |m| m.read_half_units).units;
        assert_eq!((decision(6), decision(5)), (50, 25));
    }

    #[test]
    fn minutes_that_are_not_wholly_known_bring_more_but_never_less() {
        let mut known = minutes(&[0; 15]);
        known[3].complete = false;
        assert_eq!(decide(&TRACKING, 50, &known, |minute| minute.read_half_units).units, 50);
        let mut known = minutes(&[50, 50]);
        known.iter_mut().for_each(|minute| minute.complete = false);
        assert_eq!(decide(&TRACKING, 50, &known, |minute| minute.read_half_units).units, 72);
    }

    #[test]
    fn the_bounds_hold_whatever_is_known() {
        assert_eq!((decided(1, &[]), decided(500, &[])), (5, 100));
    }

    #[test]
    fn what_was_decided_is_right_for_the_same_minutes() {
        for consumed in 0..100 {
            for units in [5, 20, 60, 100] {
                let consumed = [consumed; 15];
                let decided_once = decided(units, &consumed);
                assert_eq!(decided(decided_once, &consumed), decided_once, "{units} units, {consumed:?}");
            }
        }
    }

    #[test]
    fn the_largest_figures_overflow_nothing() {
        let most = Minute { read_half_units: u64::MAX, write_half_units: 0, complete: true };
        assert_eq!(decide(&TRACKING, 5, &[most, most], |minute| minute.read_half_units).units, 100);
    }
}
