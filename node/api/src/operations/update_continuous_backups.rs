//! UpdateContinuousBackups: point-in-time recovery on or off, and its period.

use super::{Call, continuous_backups};
use crate::{
    RecoveryUpdate, TableUpdate, TableView, errors,
    input::{
        self, Input,
        fields::{Flag, Integer},
        shape::Shape,
    },
    validation::{constraints::Constraints, references::required_table},
};
use cairn_model::ServiceError;
use serde::Deserialize;

/// The most, and what a table has that wasn't given another period (reference).
const PERIOD_DAYS_MAX: u16 = 35;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateContinuousBackupsInput {
    table_name: Option<String>,
    point_in_time_recovery_specification: Option<RecoverySpecification>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecoverySpecification {
    point_in_time_recovery_enabled: Option<Flag>,
    recovery_period_in_days: Option<Integer>,
}

const RECOVERY_SPECIFICATION: Shape = Shape::Struct(
    "PointInTimeRecoverySpecification",
    &[("PointInTimeRecoveryEnabled", Shape::Flag), ("RecoveryPeriodInDays", Shape::Integer)],
);

impl Input for UpdateContinuousBackupsInput {
    const FIELDS: &'static [(&'static str, Shape)] =
        &[("TableName", Shape::Text), ("PointInTimeRecoverySpecification", RECOVERY_SPECIFICATION)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: UpdateContinuousBackupsInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    let name = required_table(call, input.table_name, &mut constraints)?;
    let specification = input.point_in_time_recovery_specification;
    constraints.required("pointInTimeRecoverySpecification", specification.is_some());
    if let Some(specification) = &specification {
        specification.constrain(&mut constraints);
    }
    constraints.finish()?;
    let recovery = specification.ok_or_else(errors::internal)?.update()?;
    call.renew(&name).await;
    let mut table = call.backed_up_table(&name)?;
    // Turning it off asks nothing of an archive.
    if recovery != RecoveryUpdate::Off && call.backups_of(&table).is_none() {
        return Err(errors::backups_unavailable());
    }
    if current(&table) != recovery {
        let update = TableUpdate { recovery: Some(recovery), ..TableUpdate::default() };
        table = call.catalog.update_table(call.account, &name, update).await?;
    }
    continuous_backups::answer(call, &table).await
}

impl RecoverySpecification {
    fn constrain(&self, constraints: &mut Constraints) {
        let path = |member| format!("pointInTimeRecoverySpecification.{member}");
        constraints.required(&path("pointInTimeRecoveryEnabled"), self.point_in_time_recovery_enabled.is_some());
        let days = self.recovery_period_in_days.map(|days| days.0);
        constraints.at_least(&path("recoveryPeriodInDays"), days, 1);
        constraints.at_most(&path("recoveryPeriodInDays"), days, i64::from(PERIOD_DAYS_MAX));
    }

    /// After [`Self::constrain`] found nothing.
    fn update(&self) -> Result<RecoveryUpdate, ServiceError> {
        let enabled = self.point_in_time_recovery_enabled.is_some_and(|flag| flag.0);
        match self.recovery_period_in_days {
            Some(_) if !enabled => Err(ServiceError::validation(
                "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.",
            )),
            None if !enabled => Ok(RecoveryUpdate::Off),
            days => Ok(RecoveryUpdate::On { period_days: days.map_or(PERIOD_DAYS_MAX, |days| days.0 as u16) }),
        }
    }
}

fn current(table: &TableView) -> RecoveryUpdate {
    match table.definition.continuous_backups {
        Some(settings) => RecoveryUpdate::On { period_days: settings.recovery_period_days },
        None => RecoveryUpdate::Off,
    }
}
