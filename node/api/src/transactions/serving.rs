//! What the operations have in common: a transaction that is read or written, metered, and what it consumed.

use super::{
    Addressed, Got, Identity, Keyed,
    capacity::{self, Consumed},
};
use crate::operations::Call;
use cairn_model::ServiceError;
use cairn_replication::transaction::{TransactAction, TransactGet};
use std::collections::HashSet;

/// No two on one item, though a table is named by its name and by its ARN.
pub(crate) fn check_distinct<T: Keyed>(addressed: &[Addressed<T>]) -> Result<(), ServiceError> {
    let mut seen = HashSet::with_capacity(addressed.len());
    if addressed.iter().all(|of| seen.insert((of.table.definition.table_id, of.what.key()))) {
        return Ok(());
    }
    Err(ServiceError::validation("Transaction request cannot include multiple operations on one item"))
}

/// `names` are the tables' in the request, for the report.
pub(crate) async fn write<'n>(
    call: &Call<'_>,
    actions: &'n [Addressed<TransactAction>],
    identity: Identity,
    names: &'n [String],
) -> Result<Consumed<'n>, ServiceError> {
    let written = match call.coordinator().write(actions, identity).await {
        Ok(written) => written,
        Err(error) => return Err(metered(call, actions, error)),
    };
    let of_actions = || capacity::named(names, actions, &written.outcomes);
    if written.replayed {
        let sizes: Vec<_> =
            of_actions().map(|(name, table, done)| (name, table, done.size_before.max(done.size_after))).collect();
        for (_, table, size) in &sizes {
            call.meter.read(&table.definition, capacity::units_of_read(*size));
        }
        return Ok(Consumed::by_reads(sizes.into_iter().map(|(name, _, size)| (name, size))));
    }
    for (_, table, outcome) in of_actions() {
        call.meter.written(&table.definition, capacity::units_of(outcome));
    }
    Ok(Consumed::by_writes(names, actions, &written.outcomes))
}

/// The items, in the order of the gets.
pub(crate) async fn read<'n>(
    call: &Call<'_>,
    gets: &'n [Addressed<TransactGet>],
    names: &'n [String],
) -> Result<(Vec<Got>, Consumed<'n>), ServiceError> {
    let items = match call.coordinator().read(gets).await {
        Ok(items) => items,
        Err(error) => return Err(metered(call, gets, error)),
    };
    let size = |got: &Got| got.as_ref().map_or(0, |(_, size)| *size);
    for (get, got) in gets.iter().zip(&items) {
        call.meter.read(&get.table.definition, capacity::units_of_read(size(got)));
    }
    let consumed = Consumed::by_reads(names.iter().map(String::as_str).zip(items.iter().map(size)));
    Ok((items, consumed))
}

/// Counts what a transaction was cancelled for.
fn metered<T>(call: &Call<'_>, addressed: &[Addressed<T>], error: ServiceError) -> ServiceError {
    for (reason, of) in error.cancellation_reasons.iter().zip(addressed) {
        match reason.code {
            "ConditionalCheckFailed" => call.meter.condition_failed(&of.table.definition),
            "TransactionConflict" => call.meter.conflicted(&of.table.definition),
            _ => {}
        }
    }
    error
}
