//! What a Table's status says of what was observed.

use super::{indexes, observation::Observation, restore::Loading, table_class, throughput, validate::ValidatedTable};
use cairn_crds::{TableResourceStatus, condition, condition::Progress, table::definition::table_arn};
use cairn_model::table::{self, TableDefinition, TableStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Whether all of a table's zones have all of it.
pub const FULLY_REPLICATED: &str = "FullyReplicated";
const LEADER_MISSING: &str = "a partition of the table has no leader: it goes on when most of its storage nodes are up (kubectl get pods); \
                              where their volumes are lost, delete the Table and apply it again, with spec.restoreFrom if it has an \
                              archive";

/// Fills in what does not change.
pub fn name(status: &mut TableResourceStatus, table: &ValidatedTable, region: &str) {
    status.table_name = Some(table.table_name.clone());
    status.table_arn = Some(table_arn(region, &table.account, &table.table_name));
}

/// How what the nodes hold stands to what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Current,
    /// Only what DynamoDB changes of a table that is ACTIVE and stays so is another: Time To Live, point-in-time recovery, and whatever
    /// [`table::is_updating`] does not know.
    ChangingBeside,
    Changing,
}

impl Standing {
    pub fn of(wanted: Option<&TableDefinition>, held: Option<&TableDefinition>) -> Self {
        let Some((wanted, held)) = wanted.zip(held) else { return Self::Changing };
        // Where indexes lie may change under them.
        if indexes::are_same_elsewhere(wanted, held) {
            return Self::Current;
        }
        let is_shown = wanted.replicas != held.replicas || table::is_updating(held, wanted);
        if is_shown { Self::Changing } else { Self::ChangingBeside }
    }
}

/// How far the nodes are with what is wanted of them.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// In how many of the zones everything of the table and its indexes is well, and how many zones there are.
    pub zones_ready: (usize, usize),
    /// But for the filling of indexes.
    pub standing: Standing,
    /// Every index that the table is to have serves: a new table does not before.
    pub are_indexes_made: bool,
    /// All storage nodes of the group answer: what none of them holds is nowhere.
    pub are_nodes_heard: bool,
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
        return if !was_led {
            Progress::reconciling("Creating", "the table's partition is being made")
        } else if state.are_nodes_heard && observation.partitions.is_empty() {
            Progress::stalled("DataMissing", data_missing(status.table_id.as_deref().unwrap_or_default()))
        } else {
            Progress::reconciling("LeaderMissing", LEADER_MISSING)
        };
    }
    if let Some(restore) = &mut status.restore {
        restore.restore_in_progress = false;
        restore.progress = None;
    }
    // A leader that does not know yet that it was voted out tells of an older one.
    let version = observation.definition().and_then(|definition| i64::try_from(definition.schema_version).ok());
    status.schema_version = status.schema_version.max(version);
    if let Some(held) = observation.definition() {
        throughput::note(status, held, now);
        table_class::note(status, held, now);
    }
    status.item_count = i64::try_from(observation.item_count()).ok();
    status.table_size_bytes = i64::try_from(observation.size_bytes()).ok();
    let (reason, message) = if ready == zones {
        ("AllZones", String::new())
    } else {
        let message = format!(
            "{} of {zones} zones do not have all of the table, or do not answer: it mends itself when their storage nodes are up \
             (kubectl get pods)",
            zones - ready
        );
        ("ZonesNotReady", message)
    };
    condition::set(&mut status.conditions, FULLY_REPLICATED, ready == zones, reason, &message, generation, &Time(now));
    if !state.are_indexes_made && status.table_status == Some(TableStatus::Creating) {
        return Progress::reconciling("IndexesCreating", "the table's global indexes are being made");
    }
    let is_updating = state.standing == Standing::Changing;
    status.table_status = Some(if is_updating { TableStatus::Updating } else { TableStatus::Active });
    match state.standing {
        Standing::Current => Progress::Ready,
        _ => Progress::reconciling("Updating", "the table's definition is being changed"),
    }
}

/// Of a table that was there: its resource came back with its status, or the volumes went.
fn data_missing(table_id: &str) -> String {
    format!(
        "all storage nodes answer, and none holds anything of the table {table_id}: it was deleted, or its volumes are lost. Delete \
         the Table and apply it again; what its archive has comes back with spec.restoreFrom: {{tableId: {table_id}, latest: true}}"
    )
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
    use cairn_model::table::{BillingMode, OnDemandThroughput, TableClass, TimeToLive};
    use std::sync::Arc;

    fn observed(status: &mut TableResourceStatus, count: usize, standing: Standing) -> Progress {
        let nodes = fixture::nodes();
        let mut reports: Vec<_> =
            fixture::reports_of_one_table(3).into_iter().map(Some).collect::<Vec<Option<Arc<_>>>>();
        reports.iter_mut().skip(count).for_each(|report| *report = None);
        let answers = Answers { nodes: &nodes, reports: &reports };
        let observation = Observation::of(fixture::table_id(), answers);
        let state = State {
            zones_ready: observation.zones_ready(answers),
            standing,
            are_indexes_made: true,
            are_nodes_heard: answers.are_all_heard(),
        };
        observe(status, &observation, state, Some(1), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_table_with_a_leader_is_active() {
        let mut status = TableResourceStatus::default();
        assert_eq!(observed(&mut status, 3, Standing::Current), Progress::Ready);
        assert_eq!(status.table_status, Some(TableStatus::Active));
        assert_eq!((status.item_count, status.zones_ready.as_deref()), (Some(5), Some("3/3")));
    }

    #[test]
    fn a_table_that_was_led_and_has_no_leader_says_what_to_do() {
        let was_led = || TableResourceStatus { schema_version: Some(1), ..TableResourceStatus::default() };
        let Progress::Reconciling { reason, message } = observed(&mut was_led(), 0, Standing::Current) else {
            panic!()
        };
        assert_eq!(reason, "LeaderMissing");
        assert!(message.contains("kubectl get pods") && message.contains("spec.restoreFrom"), "{message}");
    }

    /// As a Table is that a backup of the cluster brought back with its status, after its data was dropped.
    #[test]
    fn a_table_of_which_no_node_holds_anything_waits_for_a_person() {
        let mut status = TableResourceStatus {
            table_id: Some("id".into()),
            schema_version: Some(1),
            ..TableResourceStatus::default()
        };
        let state =
            State { zones_ready: (0, 0), standing: Standing::Changing, are_indexes_made: true, are_nodes_heard: true };
        let progress = observe(&mut status, &Observation::default(), state, Some(1), Timestamp::UNIX_EPOCH);
        let Progress::Stalled { reason, message } = progress else { panic!("{progress:?}") };
        assert_eq!(reason, "DataMissing");
        assert!(message.contains("spec.restoreFrom: {tableId: id, latest: true}"), "{message}");
    }

    #[test]
    fn the_version_that_was_seen_does_not_go_back() {
        let mut status = TableResourceStatus { schema_version: Some(9), ..TableResourceStatus::default() };
        observed(&mut status, 3, Standing::Current);
        assert_eq!(status.schema_version, Some(9));
    }

    #[test]
    fn a_table_whose_definition_lags_is_updating() {
        let mut status = TableResourceStatus::default();
        assert_eq!(observed(&mut status, 3, Standing::Changing).reason(), "Updating");
        assert_eq!(status.table_status, Some(TableStatus::Updating));
    }

    #[test]
    fn a_table_whose_items_begin_to_expire_stays_active() {
        let held = fixture::definition();
        let time_to_live = Some(TimeToLive { attribute_name: "ends".into(), enabled_at_ms: 1 });
        let wanted = TableDefinition { time_to_live, ..held.clone() };
        let standing = Standing::of(Some(&wanted), Some(&held));
        let mut status = TableResourceStatus::default();
        assert_eq!(observed(&mut status, 3, standing).reason(), "Updating");
        assert_eq!(status.table_status, Some(TableStatus::Active));
        assert_eq!(Standing::of(Some(&held), Some(&held)), Standing::Current);
    }

    #[test]
    fn what_dynamodb_changes_of_an_active_table_leaves_it_active_and_all_else_does_not() {
        let held =
            TableDefinition { global_indexes: vec![fixture::global_index("by-team", 0)], ..fixture::definition() };
        let standing = |change: fn(&mut TableDefinition)| {
            let mut wanted = held.clone();
            change(&mut wanted);
            Standing::of(Some(&wanted), Some(&held))
        };
        let beside = [
            standing(|wanted| wanted.deletion_protection_enabled = true),
            standing(|wanted| wanted.on_demand_throughput = Some(OnDemandThroughput::default())),
            standing(|wanted| wanted.warm_throughput = Some(wanted.warm())),
            standing(|wanted| wanted.global_indexes[0].warm_throughput = Some(wanted.warm())),
        ];
        assert_eq!(beside, [Standing::ChangingBeside; 4]);
        let changing = [
            standing(|wanted| wanted.billing_mode = BillingMode::Provisioned),
            standing(|wanted| wanted.table_class = Some(TableClass::StandardInfrequentAccess)),
            standing(|wanted| wanted.global_indexes.clear()),
        ];
        assert_eq!(changing, [Standing::Changing; 3]);
    }

    #[test]
    fn an_active_table_that_loses_its_leader_stays_active_and_says_so() {
        let mut status = TableResourceStatus::default();
        observed(&mut status, 3, Standing::Current);
        assert_eq!(observed(&mut status, 0, Standing::Current).reason(), "LeaderMissing");
        assert_eq!(status.table_status, Some(TableStatus::Active));
        assert_eq!(status.item_count, Some(5));
    }

    #[test]
    fn a_zone_that_is_down_leaves_the_table_ready_and_is_told() {
        let mut status = TableResourceStatus::default();
        assert_eq!(observed(&mut status, 2, Standing::Current), Progress::Ready);
        assert_eq!(status.zones_ready.as_deref(), Some("2/3"));
        assert!(!condition::is_true(&status.conditions, FULLY_REPLICATED));
    }
}
