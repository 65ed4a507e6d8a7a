//! What ExecuteStatement and BatchExecuteStatement have in common: a parsed statement and its table become the reads or
//! the write that the other operations ask of a partition.

pub(crate) mod members;
pub(crate) mod next_token;
pub(crate) mod read;
mod select_list;
pub(crate) mod write;

use crate::{TableView, operations::Call};
use cairn_model::ServiceError;
use std::sync::Arc;

/// The table that a SELECT reads. No table has indexes yet, so none has the one asked for.
pub(crate) fn read_table(call: &Call<'_>, table: &str, index: Option<&str>) -> Result<Arc<TableView>, ServiceError> {
    let table = call.open_table(table)?;
    match index {
        Some(_) => Err(ServiceError::validation("The table does not have the specified index")),
        None => Ok(table),
    }
}
