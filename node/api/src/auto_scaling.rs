//! How the throughput of tables and of their global indexes follows what is consumed, as the API's callers see and change it. Who
//! scales is the catalog's business.

use cairn_model::ServiceError;
use std::collections::BTreeMap;

/// The percentages that a target may be, and the one where none is given.
pub const TARGET_PERCENT_MIN: u8 = 20;
pub const TARGET_PERCENT_MAX: u8 = 90;
const TARGET_PERCENT: u8 = 70;

/// Target tracking of the read capacity, or of the write capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetTracking {
    /// 1 to `max_units`.
    pub min_units: u64,
    pub max_units: u64,
    /// How much of the throughput is to be consumed: [`TARGET_PERCENT_MIN`] to [`TARGET_PERCENT_MAX`].
    pub target_percent: u8,
    pub disable_scale_in: bool,
}

/// Of a table, or of an index. What is not scaled stays as it was set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AutoScaling {
    pub read: Option<TargetTracking>,
    pub write: Option<TargetTracking>,
}

/// Of a table and of its global indexes, by their names; one that is not here is not scaled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableAutoScaling {
    pub table: AutoScaling,
    pub indexes: BTreeMap<String, AutoScaling>,
}

/// What becomes of one capacity's target tracking: `AutoScalingSettingsUpdate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackingUpdate {
    Off,
    /// What is not given stays as it is.
    On {
        min_units: Option<u64>,
        max_units: Option<u64>,
        target_percent: Option<u8>,
        disable_scale_in: Option<bool>,
    },
}

/// Of a table, or of an index; what is not given stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapacityUpdates {
    pub read: Option<TrackingUpdate>,
    pub write: Option<TrackingUpdate>,
}

/// What an UpdateTableReplicaAutoScaling changes. The indexes are the table's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AutoScalingUpdate {
    pub table: CapacityUpdates,
    pub indexes: BTreeMap<String, CapacityUpdates>,
}

impl AutoScalingUpdate {
    /// The settings of a table that had these; an error where they are not whole, or their bounds are the wrong way round.
    pub fn apply(&self, mut settings: TableAutoScaling) -> Result<TableAutoScaling, ServiceError> {
        settings.table = self.table.apply(settings.table)?;
        for (name, updates) in &self.indexes {
            let before = settings.indexes.remove(name).unwrap_or_default();
            settings.indexes.insert(name.clone(), updates.apply(before)?);
        }
        settings.indexes.retain(|_, scaling| *scaling != AutoScaling::default());
        Ok(settings)
    }
}

impl CapacityUpdates {
    fn apply(self, before: AutoScaling) -> Result<AutoScaling, ServiceError> {
        let changed = |update: Option<TrackingUpdate>, before| update.map_or(Ok(before), |update| update.apply(before));
        Ok(AutoScaling { read: changed(self.read, before.read)?, write: changed(self.write, before.write)? })
    }
}

impl TrackingUpdate {
    fn apply(self, before: Option<TargetTracking>) -> Result<Option<TargetTracking>, ServiceError> {
        let Self::On { min_units, max_units, target_percent, disable_scale_in } = self else { return Ok(None) };
        let missing = |name: &str| invalid(format!("{name} must be specified where auto scaling is not enabled yet"));
        let before_min = before.map(|before| before.min_units);
        let before_max = before.map(|before| before.max_units);
        let tracking = TargetTracking {
            min_units: min_units.or(before_min).ok_or_else(|| missing("MinimumUnits"))?,
            max_units: max_units.or(before_max).ok_or_else(|| missing("MaximumUnits"))?,
            target_percent: target_percent.or(before.map(|before| before.target_percent)).unwrap_or(TARGET_PERCENT),
            disable_scale_in: disable_scale_in.or(before.map(|before| before.disable_scale_in)).unwrap_or_default(),
        };
        if tracking.min_units > tracking.max_units {
            let TargetTracking { min_units, max_units, .. } = tracking;
            return Err(invalid(format!(
                "MinimumUnits must not be greater than MaximumUnits. MinimumUnits: {min_units}, MaximumUnits: {max_units}"
            )));
        }
        Ok(Some(tracking))
    }
}

fn invalid(what: String) -> ServiceError {
    ServiceError::validation(format!("One or more parameter values were invalid: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: TrackingUpdate =
        TrackingUpdate::On { min_units: None, max_units: None, target_percent: None, disable_scale_in: None };

    fn on(min: u64, max: u64) -> TrackingUpdate {
        TrackingUpdate::On { min_units: Some(min), max_units: Some(max), target_percent: None, disable_scale_in: None }
    }

    fn tracking(min_units: u64, max_units: u64) -> TargetTracking {
        TargetTracking { min_units, max_units, target_percent: 70, disable_scale_in: false }
    }

    #[test]
    fn what_is_not_given_stays() {
        let before = Some(TargetTracking { disable_scale_in: true, target_percent: 50, ..tracking(5, 10) });
        let more =
            TrackingUpdate::On { max_units: Some(20), min_units: None, target_percent: None, disable_scale_in: None };
        assert_eq!(more.apply(before), Ok(before.map(|before| TargetTracking { max_units: 20, ..before })));
        assert_eq!(NOTHING.apply(before), Ok(before));
        assert_eq!(TrackingUpdate::Off.apply(before), Ok(None));
    }

    #[test]
    fn what_was_not_scaled_needs_both_bounds_and_nothing_else() {
        assert_eq!(on(5, 5).apply(None), Ok(Some(tracking(5, 5))));
        for (update, told) in [
            (NOTHING, "MinimumUnits must be specified"),
            (on(6, 5), "MinimumUnits must not be greater than MaximumUnits"),
        ] {
            assert!(update.apply(None).unwrap_err().message.contains(told));
        }
    }

    #[test]
    fn an_index_that_is_not_scaled_any_more_is_gone_and_the_others_stay() {
        let write = |tracking| AutoScaling { read: None, write: Some(tracking) };
        let of = |name: &str, updates| AutoScalingUpdate {
            indexes: [(name.to_owned(), updates)].into(),
            ..AutoScalingUpdate::default()
        };
        let updates = |update| CapacityUpdates { read: None, write: Some(update) };
        let one = of("one", updates(on(1, 2))).apply(TableAutoScaling::default()).unwrap();
        let both = of("two", updates(on(3, 4))).apply(one).unwrap();
        assert_eq!(both.indexes["one"], write(tracking(1, 2)));
        let left = of("one", updates(TrackingUpdate::Off)).apply(both).unwrap();
        assert_eq!(left.indexes, [("two".to_owned(), write(tracking(3, 4)))].into());
    }
}
