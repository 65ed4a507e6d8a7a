//! When a schedule is due, and what is made up for.
//!
//! Of the times that passed while nobody looked, only the last is made up for, and only if it is later than the last one for which
//! a backup was made. What passed before the schedule was changed, or while it was suspended, is not made up for.

use super::schedule::Schedule;
use crate::controller::Refusal;
use cairn_crds::ScheduledBackup;
use jiff::{SignedDuration, Timestamp};

/// By how much the last time may be ahead of the clock.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);

/// What is to be done now, and when to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The time of the schedule for which a backup is to be made now.
    pub due: Option<Timestamp>,
    pub next: Timestamp,
}

pub fn plan(scheduled: &ScheduledBackup, schedule: &Schedule, now: Timestamp) -> Result<Plan, Refusal> {
    let status = scheduled.status.clone().unwrap_or_default();
    let next = schedule.after(now)?;
    let is_same = status.observed_generation == scheduled.metadata.generation;
    let expected = match (status.observed_generation, &scheduled.metadata.creation_timestamp) {
        (None, Some(created)) => schedule.after(created.0)?,
        // Written down by an operator whose clock was ahead, it would be waited for in vain.
        _ => status.next_schedule_time.filter(|_| is_same).map_or(next, |known| known.0.min(next)),
    };
    // One that is far ahead was written by an operator whose clock was: until then nothing would be made.
    let last = status.last_schedule_time.map(|time| time.0);
    let last = last.filter(|last| last.duration_since(now) <= AHEAD_MAX);
    let due = if expected <= now { schedule.last_until(now) } else { None };
    Ok(Plan { due: due.filter(|due| last.is_none_or(|last| last < *due)), next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_crds::ScheduledBackupStatus;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-{text}:00Z").parse().unwrap()
    }

    /// Daily at three, made on the first of the month and looked at then.
    fn daily() -> ScheduledBackup {
        let mut scheduled: ScheduledBackup = serde_json::from_str(
            r#"{"apiVersion": "cairn.dev/v1alpha1", "kind": "ScheduledBackup", "metadata": {"name": "nightly", "generation": 1},
                "spec": {"tableName": "users", "schedule": "0 3 * * *", "keep": 7}}"#,
        )
        .unwrap();
        scheduled.metadata.creation_timestamp = Some(Time(at("01T12:00")));
        scheduled.status = Some(ScheduledBackupStatus {
            next_schedule_time: Some(Time(at("02T03:00"))),
            observed_generation: Some(1),
            ..ScheduledBackupStatus::default()
        });
        scheduled
    }

    fn planned(scheduled: &ScheduledBackup, now: &str) -> (Option<Timestamp>, Timestamp) {
        let schedule = Schedule::parse(&scheduled.spec.schedule, None).unwrap();
        let plan = plan(scheduled, &schedule, at(now)).unwrap();
        (plan.due, plan.next)
    }

    #[test]
    fn it_is_due_at_its_time_and_not_before() {
        assert_eq!(planned(&daily(), "02T02:59"), (None, at("02T03:00")));
        assert_eq!(planned(&daily(), "02T03:00"), (Some(at("02T03:00")), at("03T03:00")));
    }

    #[test]
    fn of_what_was_missed_the_last_is_made_up_for() {
        assert_eq!(planned(&daily(), "05T10:00"), (Some(at("05T03:00")), at("06T03:00")));
        let mut unseen = daily();
        unseen.status = None;
        assert_eq!(planned(&unseen, "05T10:00").0, Some(at("05T03:00")));
        assert_eq!(planned(&unseen, "01T13:00").0, None);
    }

    #[test]
    fn nothing_is_made_twice_or_backwards() {
        let mut scheduled = daily();
        let status = scheduled.status.as_mut().unwrap();
        status.last_schedule_time = Some(Time(at("05T03:00")));
        assert_eq!(planned(&scheduled, "05T10:00").0, None);
        assert_eq!(planned(&scheduled, "04T10:00").0, None);
        assert_eq!(planned(&scheduled, "06T03:01").0, Some(at("06T03:00")));
    }

    #[test]
    fn a_last_time_from_a_clock_that_was_far_ahead_does_not_stop_the_schedule() {
        let mut scheduled = daily();
        scheduled.status.as_mut().unwrap().last_schedule_time = Some(Time("2036-01-01T03:00:00Z".parse().unwrap()));
        assert_eq!(planned(&scheduled, "02T03:00").0, Some(at("02T03:00")));
    }

    #[test]
    fn a_change_makes_up_for_nothing() {
        let mut scheduled = daily();
        scheduled.metadata.generation = Some(2);
        scheduled.spec.schedule = "@hourly".into();
        assert_eq!(planned(&scheduled, "05T10:17"), (None, at("05T11:00")));
    }

    #[test]
    fn a_suspended_time_is_not_made_up_for() {
        let mut scheduled = daily();
        scheduled.status.as_mut().unwrap().next_schedule_time = None;
        assert_eq!(planned(&scheduled, "05T10:00"), (None, at("06T03:00")));
    }

    #[test]
    fn a_next_time_from_a_clock_that_was_ahead_is_not_waited_for() {
        let mut scheduled = daily();
        scheduled.status.as_mut().unwrap().next_schedule_time = Some(Time("2036-01-01T03:00:00Z".parse().unwrap()));
        assert_eq!(planned(&scheduled, "05T10:00"), (None, at("06T03:00")));
    }
}
