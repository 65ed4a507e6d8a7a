//! DeleteTable.

use super::{Call, describe_table::parse_table_name, table_description};
use crate::errors;
use cairn_model::{ServiceError, table::TableStatus};

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let name = parse_table_name(call)?;
    let mut table = call.any_table(&name)?;
    if table.status == TableStatus::Deleting {
        // Another may have its name by now.
        call.renew(&name).await;
        table = call.any_table(&name)?;
    }
    if table.definition.deletion_protection_enabled {
        return Err(errors::deletion_protected());
    }
    match table.status {
        TableStatus::Creating if call.catalog.has_failed(&table) => {}
        TableStatus::Creating => return Err(errors::table_being_created(&name)),
        TableStatus::Updating => return Err(errors::table_being_updated(&name)),
        // Of an ACTIVE table what it takes at once may be UPDATING, and keeps it (measured; the API reference does not say so).
        TableStatus::Active if table.is_warming => return Err(errors::table_being_updated(&name)),
        // The API reference says that this is no error; DynamoDB says that it is.
        TableStatus::Deleting => return Err(errors::table_being_deleted(&name)),
        TableStatus::Active if table.global_indexes.iter().any(|index| index.table.status != TableStatus::Active) => {
            return Err(errors::table_with_indexes_in_use());
        }
        TableStatus::Active => {}
    }
    let table = call.catalog.delete_table(call.account, &name).await?;
    Ok(table_description::deleted(call, &table))
}
