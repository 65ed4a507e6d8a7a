//! DescribeGlobalTableSettings.

use super::{Call, describe_global_table::parse_name, global_table_description, global_table_settings};
use cairn_model::ServiceError;

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let (table, global) = global_table_description::find(call, &parse_name(call)?)?;
    Ok(global_table_settings::answer(call, &table, &global))
}
