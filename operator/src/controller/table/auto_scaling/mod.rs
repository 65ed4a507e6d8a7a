//! Auto-scaling: what the throughput of a table and of its global indexes is to be, from what their nodes say was consumed. It is
//! written into the status, and the definition follows from there like any other change.

mod figures;
mod tracking;

use super::{
    indexes::{Indexes, index_of},
    observation::{Answers, Observation},
    throughput,
};
use crate::error::Result;
use cairn_crds::{
    TableResourceStatus, TableSpec, condition,
    table::{AutoScaling, AutoScalingStatus, ProvisionedThroughput, TargetTracking},
};
use figures::Minute;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Whether the throughput follows the consumption; there while it is asked for, of the table or of an index.
pub const AUTO_SCALING: &str = "AutoScaling";

/// How it stands with the auto-scaling of a table and its indexes: the worst of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Off,
    Tracks,
    /// It tracks, and more would be needed than the table, or this index, may have.
    AtMaximum {
        index_name: Option<String>,
    },
    /// No node tells what was consumed.
    Blind,
}

/// Decides, and writes what the throughput is to be. An increase is never held up; a decrease waits until the throughput may go down.
/// `indexes`: what the nodes say of those that the status names.
pub fn stamp(
    status: &mut TableResourceStatus,
    spec: &TableSpec,
    observation: &Observation<'_>,
    indexes: &Indexes<'_>,
    answers: Answers<'_>,
    now: Timestamp,
) -> Result<Standing> {
    let held = observation.definition();
    let mut standing = Standing::Off;
    status.auto_scaling = spec.auto_scaling.zip(spec.provisioned_throughput).map(|(scaling, declared)| {
        let scaled = Scaled {
            scaling,
            declared,
            held: held.and_then(|held| held.provisioned_throughput).map(ProvisionedThroughput::from),
            may_decrease: throughput::may_decrease(status.throughput.as_ref(), now),
            minutes: figures::minutes(observation, None, answers),
        };
        let (scaled_to, at_maximum) = scaled.decide(status.auto_scaling.as_ref(), now);
        standing = match (scaled.minutes.is_empty(), at_maximum) {
            (true, _) => Standing::Blind,
            (false, true) => Standing::AtMaximum { index_name: None },
            (false, false) => Standing::Tracks,
        };
        scaled_to
    });
    for entry in &mut status.global_secondary_indexes {
        let mut asked = spec.global_secondary_indexes.iter().flatten();
        let asked = asked.find(|asked| asked.index_name == entry.index_name && !entry.is_deleting());
        let Some((scaling, declared)) = asked.and_then(|asked| asked.auto_scaling.zip(asked.provisioned_throughput))
        else {
            entry.auto_scaling = None;
            continue;
        };
        let id = entry.id()?;
        let held = held.and_then(|held| index_of(held, id)).and_then(|held| held.provisioned_throughput);
        throughput::note_units(&mut entry.throughput, held, now);
        let observed = indexes.get(id);
        let scaled = Scaled {
            scaling,
            declared,
            held: held.map(ProvisionedThroughput::from),
            may_decrease: throughput::may_decrease(entry.throughput.as_ref(), now),
            // What a write costs an index is counted where its table is led.
            minutes: observed.map(|index| figures::minutes(index, Some(observation), answers)).unwrap_or_default(),
        };
        let (scaled_to, at_maximum) = scaled.decide(entry.auto_scaling.as_ref(), now);
        entry.auto_scaling = Some(scaled_to);
        let is_made = entry.schema_version.is_some();
        standing = standing.max(match (is_made && scaled.minutes.is_empty(), at_maximum) {
            (true, _) => Standing::Blind,
            (false, true) => Standing::AtMaximum { index_name: Some(entry.index_name.clone()) },
            (false, false) => Standing::Tracks,
        });
    }
    Ok(standing)
}

/// Says how it stands.
pub fn note(status: &mut TableResourceStatus, standing: &Standing, generation: Option<i64>, now: Timestamp) {
    let (works, reason, message) = match standing {
        Standing::Off => return status.conditions.retain(|condition| condition.type_ != AUTO_SCALING),
        Standing::Tracks => (true, "Tracking", String::new()),
        Standing::AtMaximum { index_name: None } => (
            true,
            "AtMaximum",
            "the table consumes more than its target of maxUnits: raise spec.autoScaling's maxUnits".to_owned(),
        ),
        Standing::AtMaximum { index_name: Some(name) } => (
            true,
            "AtMaximum",
            format!(
                "the index {name} consumes more than its target of maxUnits: raise the maxUnits of the autoScaling of \
                 spec.globalSecondaryIndexes[indexName={name}]"
            ),
        ),
        Standing::Blind => (
            false,
            "NoFigures",
            "no storage node tells what is consumed: they do where the chart's value storage.throttling is true"
                .to_owned(),
        ),
    };
    condition::set(&mut status.conditions, AUTO_SCALING, works, reason, &message, generation, &Time(now));
}

/// A table or an index whose throughput is scaled.
struct Scaled {
    scaling: AutoScaling,
    /// Where it begins.
    declared: ProvisionedThroughput,
    /// As the nodes have it.
    held: Option<ProvisionedThroughput>,
    /// Whether the throughput may go down now.
    may_decrease: bool,
    /// The newest last.
    minutes: Vec<Minute>,
}

impl Scaled {
    /// Where it is from now on, and whether more would be needed than it may have.
    fn decide(&self, before: Option<&AutoScalingStatus>, now: Timestamp) -> (AutoScalingStatus, bool) {
        let is_restarted = before.is_some_and(|before| before.restarts < self.scaling.restarts);
        let kind = |tracking, units: fn(ProvisionedThroughput) -> i64, consumed| Kind {
            tracking,
            declared: units(self.declared),
            floor: self.held.filter(|_| !self.may_decrease).map_or(0, units),
            before: before.map(|before| (units(before.units), units(before.began_with))),
            is_restarted,
            minutes: &self.minutes,
            consumed,
        };
        let read = kind(self.scaling.read, |units| units.read_capacity_units, |minute| minute.read_half_units);
        let write = kind(self.scaling.write, |units| units.write_capacity_units, |minute| minute.write_half_units);
        let (read, write) = (read.decide(), write.decide());
        let both = |read_capacity_units, write_capacity_units| ProvisionedThroughput {
            read_capacity_units,
            write_capacity_units,
        };
        let units = both(read.units, write.units);
        let last_scaled_at = match before {
            Some(before) if before.units == units => before.last_scaled_at.clone(),
            Some(_) => Some(Time(now)),
            None => None,
        };
        let began_with = both(read.began_with, write.began_with);
        let restarts = self.scaling.restarts;
        (AutoScalingStatus { units, began_with, restarts, last_scaled_at }, read.at_maximum || write.at_maximum)
    }
}

/// One kind of capacity of it.
struct Kind<'m> {
    tracking: Option<TargetTracking>,
    declared: i64,
    /// It may not be less now.
    floor: i64,
    /// Its units, and what they began with.
    before: Option<(i64, i64)>,
    /// It begins anew, though nothing else is declared.
    is_restarted: bool,
    minutes: &'m [Minute],
    consumed: fn(&Minute) -> u64,
}

struct DecidedKind {
    units: i64,
    began_with: i64,
    at_maximum: bool,
}

impl Kind<'_> {
    fn decide(&self) -> DecidedKind {
        let (units, began_with, at_maximum) = match self.before {
            Some((units, began_with)) if began_with == self.declared && !self.is_restarted => {
                let (units, at_maximum) = self.tracked(units, self.minutes);
                (units, self.declared, at_maximum)
            }
            before => match (before, self.tracked(self.declared, &[]).0) {
                // What was declared anew is where it begins anew; until it may, it goes up as it would. Where it is what was
                // declared before, it goes on as far down as it may now.
                (Some((units, began_with)), begun) if begun < self.floor => {
                    let (units, at_maximum) = self.tracked(units.max(self.floor), self.minutes);
                    (units, began_with, at_maximum)
                }
                (_, begun) => (begun, self.declared, false),
            },
        };
        DecidedKind { units: units.max(self.floor), began_with, at_maximum }
    }

    /// What the units become by their target; what is not scaled is as declared.
    fn tracked(&self, units: i64, minutes: &[Minute]) -> (i64, bool) {
        let Some(tracking) = self.tracking else { return (self.declared, false) };
        let decision = tracking::decide(&tracking, u64::try_from(units).unwrap_or_default(), minutes, self.consumed);
        (i64::try_from(decision.units).unwrap_or(i64::MAX), decision.at_maximum)
    }
}

/// What the changes of the units are told as.
pub fn told(before: &TableResourceStatus, after: &TableResourceStatus) -> Vec<String> {
    let of_table = told_of("the throughput", before.auto_scaling.as_ref(), after.auto_scaling.as_ref());
    let of_indexes = after.global_secondary_indexes.iter().filter_map(|after| {
        let before = before.global_secondary_indexes.iter().find(|before| before.index_id == after.index_id)?;
        let of = format!("the throughput of the index {}", after.index_name);
        told_of(&of, before.auto_scaling.as_ref(), after.auto_scaling.as_ref())
    });
    of_table.into_iter().chain(of_indexes).collect()
}

fn told_of(of: &str, before: Option<&AutoScalingStatus>, after: Option<&AutoScalingStatus>) -> Option<String> {
    let (before, after) = (before?.units, after?.units);
    (before != after).then(|| {
        format!(
            "{of} goes from {} to {} read and from {} to {} write capacity units",
            before.read_capacity_units,
            after.read_capacity_units,
            before.write_capacity_units,
            after.write_capacity_units
        )
    })
}

#[cfg(test)]
mod tests;
