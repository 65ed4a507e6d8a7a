//! `ContinuousBackupsDescription`: what UpdateContinuousBackups and DescribeContinuousBackups answer.

use super::Call;
use crate::{TableView, backups::RestorableWindow, output::Object};
use cairn_model::{ServiceError, table::ContinuousBackups};

pub(super) async fn answer(call: &Call<'_>, table: &TableView) -> Result<Vec<u8>, ServiceError> {
    let backups = call.backups_of(table);
    let recovery = match (backups, table.definition.continuous_backups) {
        (Some(backups), Some(settings)) => Some((settings, backups.restorable_window(table).await?)),
        _ => None,
    };
    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    let mut description = answer.object("ContinuousBackupsDescription");
    description.text("ContinuousBackupsStatus", if backups.is_some() { "ENABLED" } else { "DISABLED" });
    write_recovery(recovery, description.object("PointInTimeRecoveryDescription"));
    description.end();
    answer.end();
    Ok(out)
}

fn write_recovery(recovery: Option<(ContinuousBackups, Option<RestorableWindow>)>, mut description: Object<'_>) {
    description.text("PointInTimeRecoveryStatus", if recovery.is_some() { "ENABLED" } else { "DISABLED" });
    if let Some((settings, window)) = recovery {
        description.literal("RecoveryPeriodInDays", settings.recovery_period_days);
        if let Some(window) = window.and_then(shown) {
            description.timestamp("EarliestRestorableDateTime", window.earliest_ms);
            description.timestamp("LatestRestorableDateTime", window.latest_ms);
        }
    }
    description.end();
}

/// The window from its first whole second: SDKs send times without their fraction, and what this said was the
/// earliest one must still be in the window then.
fn shown(window: RestorableWindow) -> Option<RestorableWindow> {
    let earliest_ms = window.earliest_ms.div_ceil(1_000).saturating_mul(1_000);
    (earliest_ms <= window.latest_ms).then_some(RestorableWindow { earliest_ms, ..window })
}
