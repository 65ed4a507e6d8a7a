//! RestoreTableToPointInTime.

use super::{
    Call,
    restore::{
        self, BILLING_MODE_OVERRIDE, GLOBAL_INDEX_OVERRIDE, LOCAL_INDEX_OVERRIDE, ON_DEMAND_THROUGHPUT_OVERRIDE,
        PROVISIONED_THROUGHPUT_OVERRIDE, TargetInput,
    },
    table_description,
};
use crate::{
    TableView,
    arn::TableArn,
    backups::{Backups, RestoreSource, RestoreTarget, RestoreTime},
    errors,
    input::{
        self, Input,
        fields::{Flag, Time},
        shape::Shape,
    },
    validation::constraints::{Constraints, is_table_name, required_table_name},
};
use cairn_model::{ServiceError, node::Counts, table::TableStatus};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RestoreTableToPointInTimeInput {
    source_table_arn: Option<String>,
    source_table_name: Option<String>,
    use_latest_restorable_time: Option<Flag>,
    restore_date_time: Option<Time>,
    #[serde(flatten)]
    target: TargetInput,
}

impl Input for RestoreTableToPointInTimeInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("SourceTableArn", Shape::Text),
        ("SourceTableName", Shape::Text),
        ("TargetTableName", Shape::Text),
        ("UseLatestRestorableTime", Shape::Flag),
        ("RestoreDateTime", Shape::Time),
        BILLING_MODE_OVERRIDE,
        GLOBAL_INDEX_OVERRIDE,
        LOCAL_INDEX_OVERRIDE,
        PROVISIONED_THROUGHPUT_OVERRIDE,
        ON_DEMAND_THROUGHPUT_OVERRIDE,
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: RestoreTableToPointInTimeInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    input.target.constrain(&mut constraints)?;
    if let Some(name) = &input.source_table_name {
        constraints.name("sourceTableName", name);
    }
    constraints.finish()?;
    let name = input.source_table(call)?;
    let time = input.time()?;
    let target = input.target.into_target()?;
    check_not_warmed(&target)?;
    let backups = call.backups.ok_or_else(errors::backups_unavailable)?;
    call.check_table_count()?;
    let table = call.known_table(&name).filter(|table| table.status != TableStatus::Deleting);
    let source = match &table {
        Some(table) => {
            check_source(backups, table, time).await?;
            target.check(&table.definition)?;
            restore::check_target_free(call, &target)?;
            RestoreSource::Table(table)
        }
        None => RestoreSource::Absent(&name),
    };
    let restored = backups.restore_to_point_in_time(call.account, source, time, target).await?;
    Ok(table_description::answer(call, "TableDescription", &restored, &Counts::of_new(&restored.definition)))
}

impl RestoreTableToPointInTimeInput {
    /// The source's name, from whichever of its two parameters is there.
    fn source_table(&self, call: &Call<'_>) -> Result<String, ServiceError> {
        match (&self.source_table_name, &self.source_table_arn) {
            (Some(name), None) => Ok(name.clone()),
            (None, Some(arn)) => source_named_by_arn(call, arn),
            (Some(_), Some(_)) => Err(ServiceError::validation(
                "Invalid Request: Must provide exactly one of: sourceTableArn, sourceTableName",
            )),
            (None, None) => required_table_name(None),
        }
    }

    fn time(&self) -> Result<RestoreTime, ServiceError> {
        let latest = self.use_latest_restorable_time.is_some_and(|flag| flag.0);
        match self.restore_date_time {
            Some(_) if latest => Err(ServiceError::validation(
                "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set for point-in-time \
                 restore request. Please specify either RestoreDateTime time or UseLatestRestorableTime",
            )),
            Some(time) => Ok(RestoreTime::Millis(time.millis)),
            None if latest => Ok(RestoreTime::Latest),
            None => Err(ServiceError::validation(
                "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not \
                 both",
            )),
        }
    }
}

fn source_named_by_arn(call: &Call<'_>, text: &str) -> Result<String, ServiceError> {
    if !text.starts_with("arn:") {
        return Err(ServiceError::validation(format!(
            "One or more parameter values were invalid: ARNs must start with 'arn:': {text}"
        )));
    }
    let arn = TableArn::parse(text).filter(|arn| is_table_name(arn.table_name));
    let arn = arn.ok_or_else(|| ServiceError::validation("sourceTableArn is not a valid ARN"))?;
    if arn.account != call.account {
        return Err(ServiceError::validation(
            "This action is only supported by accounts that match the resource owner’s account.",
        ));
    }
    if arn.region != call.region {
        return Err(errors::backed_up_table_not_found(arn.table_name));
    }
    Ok(arn.table_name.to_owned())
}

/// "The WarmThroughput setting is not supported on global secondary indexes when you use RestoreTableToPointInTime" (reference,
/// GlobalSecondaryIndexOverride).
fn check_not_warmed(target: &RestoreTarget) -> Result<(), ServiceError> {
    let mut overrides = target.global_indexes.iter().flatten();
    match overrides.find(|index| index.warm_throughput.is_some()) {
        Some(index) => Err(errors::index_override_warmed(&index.like.index_name)),
        None => Ok(()),
    }
}

/// Whether the table can be restored to that time.
async fn check_source(backups: &dyn Backups, table: &TableView, time: RestoreTime) -> Result<(), ServiceError> {
    let name = &table.definition.table_name;
    if table.status == TableStatus::Creating {
        return Err(errors::backed_up_table_not_found(name));
    }
    if !backups.covers(table) {
        return Err(errors::backups_unavailable());
    }
    if table.definition.continuous_backups.is_none() {
        return Err(errors::recovery_off(name));
    }
    let window = backups.restorable_window(table).await?.ok_or_else(|| errors::nothing_restorable_yet(name))?;
    match time {
        RestoreTime::Millis(millis) if !window.contains(millis) => Err(errors::invalid_restore_time(millis, window)),
        RestoreTime::Millis(_) | RestoreTime::Latest => Ok(()),
    }
}
