//! Auto-scaling: what a table's throughput is to be, from what its nodes say it consumed. It is written into the status, and the
//! definition follows from there like any other change.

mod figures;
mod tracking;

use super::{
    observation::{Answers, Observation},
    throughput,
};
use cairn_crds::{
    TableResourceStatus, TableSpec, condition,
    table::{AutoScaling, AutoScalingStatus, ProvisionedThroughput},
};
use figures::Minute;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Whether the table's throughput follows its consumption; there while it is asked for.
pub const AUTO_SCALING: &str = "AutoScaling";

/// How it stands with the table's auto-scaling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Off,
    Tracks,
    /// It tracks, and more would be needed than it may give.
    AtMaximum,
    /// No node tells what was consumed.
    Blind,
}

/// Decides, and writes what the throughput is to be. An increase is never held up; a decrease waits until the throughput may go down.
pub fn stamp(
    status: &mut TableResourceStatus,
    spec: &TableSpec,
    observation: &Observation<'_>,
    answers: Answers<'_>,
    now: Timestamp,
) -> Standing {
    let (Some(scaling), Some(declared)) = (spec.auto_scaling, spec.provisioned_throughput) else {
        status.auto_scaling = None;
        return Standing::Off;
    };
    let before = status.auto_scaling.take();
    let minutes = figures::minutes(observation, answers);
    let held = observation.definition().and_then(|held| held.provisioned_throughput).map(ProvisionedThroughput::from);
    let (wanted, at_maximum) = match &before {
        // What was declared anew is where it begins anew.
        Some(before) if before.began_with == declared => track(&scaling, before.units, declared, &minutes),
        _ => (bounded(&scaling, declared), false),
    };
    let units = match held {
        Some(held) if !throughput::may_decrease(status, now) => more_of(wanted, held),
        _ => wanted,
    };
    let begun = before.as_ref().filter(|_| units != wanted).map_or(declared, |before| before.began_with);
    let last_scaled_at = match &before {
        Some(before) if before.units == units => before.last_scaled_at.clone(),
        Some(_) => Some(Time(now)),
        None => None,
    };
    status.auto_scaling = Some(AutoScalingStatus { units, began_with: begun, last_scaled_at });
    match (minutes.is_empty(), at_maximum) {
        (true, _) => Standing::Blind,
        (false, true) => Standing::AtMaximum,
        (false, false) => Standing::Tracks,
    }
}

/// Says how it stands.
pub fn note(status: &mut TableResourceStatus, standing: Standing, generation: Option<i64>, now: Timestamp) {
    let (works, reason, message) = match standing {
        Standing::Off => return status.conditions.retain(|condition| condition.type_ != AUTO_SCALING),
        Standing::Tracks => (true, "Tracking", ""),
        Standing::AtMaximum => (
            true,
            "AtMaximum",
            "the table consumes more than its target of maxUnits: raise spec.autoScaling's maxUnits",
        ),
        Standing::Blind => (
            false,
            "NoFigures",
            "no storage node tells what the table consumes: they do where the chart's value storage.throttling is true",
        ),
    };
    condition::set(&mut status.conditions, AUTO_SCALING, works, reason, message, generation, &Time(now));
}

/// What the units become by their targets; one that is not scaled is as declared.
fn track(
    scaling: &AutoScaling,
    units: ProvisionedThroughput,
    declared: ProvisionedThroughput,
    minutes: &[Minute],
) -> (ProvisionedThroughput, bool) {
    let mut at_maximum = false;
    let mut decided = |tracking: Option<_>, units: i64, declared: i64, consumed: fn(&Minute) -> u64| {
        let Some(tracking) = tracking else { return declared };
        let decision = tracking::decide(&tracking, u64::try_from(units).unwrap_or_default(), minutes, consumed);
        at_maximum |= decision.at_maximum;
        i64::try_from(decision.units).unwrap_or(i64::MAX)
    };
    let units = ProvisionedThroughput {
        read_capacity_units: decided(scaling.read, units.read_capacity_units, declared.read_capacity_units, |minute| {
            minute.read_half_units
        }),
        write_capacity_units: decided(
            scaling.write,
            units.write_capacity_units,
            declared.write_capacity_units,
            |minute| minute.write_half_units,
        ),
    };
    (units, at_maximum)
}

/// The units within the bounds.
fn bounded(scaling: &AutoScaling, units: ProvisionedThroughput) -> ProvisionedThroughput {
    track(scaling, units, units, &[]).0
}

fn more_of(one: ProvisionedThroughput, other: ProvisionedThroughput) -> ProvisionedThroughput {
    ProvisionedThroughput {
        read_capacity_units: one.read_capacity_units.max(other.read_capacity_units),
        write_capacity_units: one.write_capacity_units.max(other.write_capacity_units),
    }
}

/// What a change of the units is told as; none where there is none.
pub fn told(before: &TableResourceStatus, after: &TableResourceStatus) -> Option<String> {
    let units = |status: &TableResourceStatus| status.auto_scaling.as_ref().map(|scaling| scaling.units);
    let (before, after) = (units(before)?, units(after)?);
    (before != after).then(|| {
        format!(
            "the throughput goes from {} to {} read and from {} to {} write capacity units",
            before.read_capacity_units,
            after.read_capacity_units,
            before.write_capacity_units,
            after.write_capacity_units
        )
    })
}

#[cfg(test)]
mod tests;
