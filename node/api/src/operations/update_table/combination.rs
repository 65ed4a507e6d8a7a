//! Which changes one UpdateTable can ask for together (API reference, UpdateTable: "You can only perform one of the following
//! operations at once"). Which pairs DynamoDB takes, and which of its answers comes first, was measured there.

use super::index_updates::IndexUpdateInput;
use crate::{TableUpdate, operations::create_table::invalid};
use cairn_model::{ServiceError, table::BillingMode};

/// `encrypts`: whether there is anything about encryption; `warms`: whether the table is to take more at once.
pub(super) fn check(
    update: &TableUpdate,
    encrypts: bool,
    warms: bool,
    indexes: &[IndexUpdateInput],
) -> Result<(), ServiceError> {
    let (units, stream) = (update.provisioned_throughput.is_some(), update.stream.is_some());
    let (class, protection) = (update.table_class.is_some(), update.deletion_protection_enabled.is_some());
    let (mode, maxima) = (update.billing_mode.is_some(), update.on_demand_throughput.is_some());
    let given = [units, stream, class, protection, mode, maxima, warms, !indexes.is_empty()];
    let is_alone = given.iter().filter(|given| **given).count() == 1;
    let alone = "must be the only operation in the request";
    // Alone, it was refused.
    if encrypts {
        return Err(invalid(format_args!("Server-Side Encryption modification {alone}")));
    }
    if class && !is_alone {
        return Err(invalid(format_args!("TableClass modification {alone}")));
    }
    if protection && !is_alone {
        return Err(invalid(format_args!("DeletionProtection modification {alone}")));
    }
    if maxima && (warms || stream || units) {
        return Err(invalid("OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"));
    }
    if warms && indexes.iter().any(IndexUpdateInput::makes) {
        return Err(invalid("Create global secondary index cannot be specified when updating WarmThroughput"));
    }
    // Indexes are warmed with their table.
    if warms && (stream || mode || units) {
        return Err(invalid(format_args!("WarmThroughput {alone}")));
    }
    if stream && (units || update.billing_mode == Some(BillingMode::Provisioned)) {
        return Err(invalid("You cannot modify stream status while updating table IOPS"));
    }
    Ok(())
}
