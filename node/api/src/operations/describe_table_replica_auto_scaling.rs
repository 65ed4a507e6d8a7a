//! DescribeTableReplicaAutoScaling: of any table, whether other regions keep it too or not.

use super::{Call, auto_scaling_description, describe_table::parse_table_name};
use cairn_model::ServiceError;

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let name = parse_table_name(call)?;
    Ok(auto_scaling_description::answer(call, &*call.any_table(&name)?))
}
