//! DescribeGlobalTable.

use super::{
    Call,
    global_table_description::{self, GlobalTableNameInput, required_name},
};
use crate::{input, validation::constraints::Constraints};
use cairn_model::ServiceError;

/// Reads and checks the name.
pub(super) fn parse_name(call: &Call<'_>) -> Result<String, ServiceError> {
    let input: GlobalTableNameInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    let name = required_name(input.global_table_name, &mut constraints);
    constraints.finish()?;
    Ok(name)
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let (table, global) = global_table_description::find(call, &parse_name(call)?)?;
    Ok(global_table_description::answer(call, &table, &global))
}
