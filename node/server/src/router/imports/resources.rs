//! What a Table says of the import that makes it.

use crate::{environment, router::definition::definition};
use cairn_api::imports::{ImportOrder, ImportOutcome, ImportProgress, ImportReport};
use cairn_crds::Table;

/// None for a Table that is not imported, or whose data was there before it.
pub(super) fn report(table: &Table, region: &str) -> Option<ImportReport> {
    let status = table.status.as_ref();
    let noted = status.and_then(|status| status.import.as_ref());
    if noted.is_none() && status.is_some_and(|status| status.table_id.is_some()) {
        return None;
    }
    let mut made = definition(table, region, environment::wall_ms()).ok()?;
    // As it is made first: what came later is no part of the import.
    made.schema_version = 1;
    made.continuous_backups = None;
    made.time_to_live = None;
    let order = table.import_order(region, made).ok()??;
    Some(match noted {
        Some(noted) => noted.report(order),
        None => ImportReport::in_progress(order, ImportProgress::default()),
    })
}

/// An import whose Table was deleted before its end.
pub(super) fn abandoned(order: ImportOrder) -> ImportReport {
    let outcome = ImportOutcome::interrupted(order.start_time_ms);
    ImportReport::ended(order, outcome, String::new())
}
