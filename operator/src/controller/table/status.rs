//! What a Table's status says of what was observed.

use super::{observation::Observation, restore::Loading, throughput, validate::ValidatedTable};
use cairn_crds::{TableResourceStatus, condition, condition::Progress, table::definition::table_arn};
use cairn_model::table::TableStatus;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Whether all of a table's zones have all of it.
pub const FULLY_REPLICATED: &str = "FullyReplicated";

/// Fills in what does not change.
pub fn name(status: &mut TableResourceStatus, table: &ValidatedTable, region: &str) {
    status.table_name = Some(table.table_name.clone());
    status.table_arn = Some(table_arn(region, &table.account, &table.table_name));
}

/// How far the nodes are with what is wanted of them.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// In how many of the zones everything of the table and its indexes is well, and how many zones there are.
    pub zones_ready: (usize, usize),
    /// They hold it, and nothing but filling is left to do for the indexes.
    pub is_current: bool,
    /// Every index that the table is to have serves: a new table does not before.
    pub are_indexes_made: bool,
}

/// Fills in what the nodes say. A table without a leader keeps what was last known of it.
pub fn observe(
    status: &mut TableResourceStatus,
    observation: &Observation<'_>,
    state: State,
    generation: Option<i64>,
    now: Timestamp,
) -> Progress {
    let (ready, zones) = state.zones_ready;
    if zones > 0 {
        status.zones_ready = Some(format!("{ready}/{zones}"));
    }
    if !observation.is_led() {
        let was_led = status.schema_version.is_some();
        status.table_status.get_or_insert(TableStatus::Creating);
        return if was_led {
            Progress::reconciling("LeaderMissing", "a partition of the table has no leader")
        } else {
            Progress::reconciling("Creating", "the table's partition is being made")
        };
    }
    if let Some(restore) = &mut status.restore {
        restore.restore_in_progress = false;
        restore.progress = None;
    }
    status.schema_version =
        observation.definition().and_then(|definition| i64::try_from(definition.schema_version).ok());
    if let Some(held) = observation.definition() {
        throughput::note(status, held, now);
    }
    status.item_count = i64::try_from(observation.item_count()).ok();
    status.table_size_bytes = i64::try_from(observation.size_bytes()).ok();
    let (reason, message) = if ready == zones {
        ("AllZones", String::new())
    } else {
        ("ZonesNotReady", format!("{} of {zones} zones do not have all of the table, or do not answer", zones - ready))
    };
    condition::set(&mut status.conditions, FULLY_REPLICATED, ready == zones, reason, &message, generation, &Time(now));
    if !state.are_indexes_made && status.table_status == Some(TableStatus::Creating) {
        return Progress::reconciling("IndexesCreating", "the table's global indexes are being made");
    }
    if state.is_current {
        status.table_status = Some(TableStatus::Active);
        Progress::Ready
    } else {
        status.table_status = Some(TableStatus::Updating);
        Progress::reconciling("Updating", "the table's definition is being changed")
    }
}

/// Fills in how far the loading is; what is not known now stays as it was.
pub fn note_loading(status: &mut TableResourceStatus, loading: &Loading) {
    if let (Some(restore), Some(percent)) = (&mut status.restore, &loading.percent) {
        restore.progress = Some(percent.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::{fixture, observation::Answers};
    use std::sync::Arc;

    fn observed(status: &mut TableResourceStatus, count: usize, is_current: bool) -> Progress {
        let nodes = fixture::nodes();
        let mut reports: Vec<_> =
            fixture::reports_of_one_table(3).into_iter().map(Some).collect::<Vec<Option<Arc<_>>>>();
        reports.iter_mut().skip(count).for_each(|report| *report = None);
        let answers = Answers { nodes: &nodes, reports: &reports };
        let observation = Observation::of(fixture::table_id(), answers);
        let state = State { zones_ready: observation.zones_ready(answers), is_current, are_indexes_made: true };
        observe(status, &observation, state, Some(1), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_table_with_a_leader_is_active() {
        let mut status = TableResourceStatus::default();
        assert_eq!(observed(&mut status, 3, true), Progress::Ready);
        assert_eq!(status.table_status, Some(TableStatus::Active));
        assert_eq!((status.item_count, status.zones_ready.as_deref()), (Some(5), Some("3/3")));
    }

    #[test]
    fn a_table_whose_definition_lags_is_updating() {
        let mut status = TableResourceStatus::default();
        assert_eq!(observed(&mut status, 3, false).reason(), "Updating");
        assert_eq!(status.table_status, Some(TableStatus::Updating));
    }

    #[test]
    fn an_active_table_that_loses_its_leader_stays_active_and_says_so() {
        let mut status = TableResourceStatus::default();
        observed(&mut status, 3, true);
        assert_eq!(observed(&mut status, 0, true).reason(), "LeaderMissing");
        assert_eq!(status.table_status, Some(TableStatus::Active));
        assert_eq!(status.item_count, Some(5));
    }

    #[test]
    fn a_zone_that_is_down_leaves_the_table_ready_and_is_told() {
        let mut status = TableResourceStatus::default();
        assert_eq!(observed(&mut status, 2, true), Progress::Ready);
        assert_eq!(status.zones_ready.as_deref(), Some("2/3"));
        assert!(!condition::is_true(&status.conditions, FULLY_REPLICATED));
    }
}
