//! What the operations have in common: a transaction that is read or written, metered, and what it consumed.

use super::{
    Addressed, Got, Identity, Keyed, Written,
    capacity::{self, Consumed},
};
use crate::{
    capacity::{ConsumedCapacity, HalfUnits, Side},
    errors,
    operations::Call,
};
use cairn_model::{ServiceError, limits::TRANSACTION_BYTES_MAX, throttling::CapacityKind};
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

/// What was done, and what it consumed; `names` are the tables' in the request.
pub(crate) async fn write<'n>(
    call: &Call<'_>,
    actions: &[Addressed<TransactAction>],
    identity: Identity,
    names: &'n [String],
) -> Result<(Written, Consumed<'n>), ServiceError> {
    let written = match call.coordinator().write(actions, identity).await {
        Ok(written) => written,
        Err(error) => return Err(metered(call, actions, error, CapacityKind::Write)),
    };
    let side = if written.replayed { Side::Read } else { Side::Write };
    let mut consumed = Vec::with_capacity(actions.len());
    for ((name, action), outcome) in names.iter().zip(actions).zip(&written.outcomes) {
        let table = &action.table.definition;
        let units = match side {
            Side::Read => capacity::read(outcome.size_before.max(outcome.size_after)),
            Side::Write => ConsumedCapacity::write(table, outcome).in_transaction(),
        };
        match side {
            Side::Read => call.meter.read(table, units.total()),
            Side::Write => call.meter.written(table, &units),
        }
        consumed.push((name.as_str(), units));
    }
    Ok((written, Consumed::of(side, consumed)))
}

/// The items, in the order of the gets, and what they cost.
pub(crate) async fn read<'n>(
    call: &Call<'_>,
    gets: &[Addressed<TransactGet>],
    names: &'n [String],
) -> Result<(Vec<Got>, Consumed<'n>), ServiceError> {
    let items = match call.coordinator().read(gets).await {
        Ok(items) => items,
        Err(error) => return Err(metered(call, gets, error, CapacityKind::Read)),
    };
    if items.iter().flatten().map(|(_, size)| *size as usize).sum::<usize>() > TRANSACTION_BYTES_MAX {
        return Err(errors::transaction_too_large());
    }
    let mut consumed = Vec::with_capacity(gets.len());
    for ((name, get), got) in names.iter().zip(gets).zip(&items) {
        let units = capacity::read(got.as_ref().map_or(0, |(_, size)| *size));
        call.meter.read(&get.table.definition, units.total());
        consumed.push((name.as_str(), units));
    }
    Ok((items, Consumed::of(Side::Read, consumed)))
}

/// Counts what a transaction was cancelled for.
fn metered<T>(
    call: &Call<'_>,
    addressed: &[Addressed<T>],
    error: ServiceError,
    capacity: CapacityKind,
) -> ServiceError {
    for (reason, of) in error.cancellation_reasons.iter().zip(addressed) {
        match reason.code {
            // The item that it met is not told of; the least that a write in a transaction costs is.
            "ConditionalCheckFailed" => {
                let least = HalfUnits::write(0, 0);
                call.meter.condition_failed(&of.table.definition, least.plus(least));
            }
            "ProvisionedThroughputExceeded" | "ThrottlingError" => {
                call.meter.throttled_once(&of.table.definition, capacity);
            }
            "TransactionConflict" => call.meter.conflicted(&of.table.definition),
            _ => {}
        }
    }
    error
}
