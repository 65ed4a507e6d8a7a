//! The CEL rule of a ScheduledBackup, with schedules it lets through and schedules it refuses.

#![allow(clippy::unwrap_used)]

mod support;

use support::{errors, schema};

fn told(schedule: &str) -> Vec<String> {
    let manifest =
        format!("{{metadata: {{name: nightly}}, spec: {{tableName: users, keep: 7, schedule: '{schedule}'}}}}");
    errors(&schema("scheduledbackups"), &manifest, None)
}

#[test]
fn a_schedule_has_five_fields_or_a_nickname() {
    for good in
        ["0 3 * * *", "*/15 0-6,22 1,L * MON-FRI", "0 0 1 jan ?", "0  3 * * 5#2", "@daily", "@hourly", "@weekly"]
    {
        assert_eq!(told(good), [""; 0], "{good}");
    }
    for bad in ["", "* * * *", "0 0 3 * * *", "@fortnightly", "@daily @daily", "every day", "@every 5m"] {
        assert!(told(bad).iter().any(|error| error.contains("five fields")), "{bad}");
    }
}
