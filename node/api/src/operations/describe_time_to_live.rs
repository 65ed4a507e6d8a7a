//! DescribeTimeToLive.

use super::{Call, describe_table::parse_table_name, time_to_live::Standing};
use crate::output::Object;
use cairn_model::ServiceError;

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let name = parse_table_name(call)?;
    let standing = Standing::of(call, &*call.any_table(&name)?).await;
    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    let mut description = answer.object("TimeToLiveDescription");
    description.text("TimeToLiveStatus", standing.status.name());
    if let Some(attribute_name) = &standing.attribute_name {
        description.text("AttributeName", attribute_name);
    }
    description.end();
    answer.end();
    Ok(out)
}
