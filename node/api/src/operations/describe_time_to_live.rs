//! DescribeTimeToLive.

use super::{
    Call,
    describe_table::parse_table_name,
    time_to_live::{Standing, write_time_to_live},
};
use crate::output::Object;
use cairn_model::ServiceError;

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let name = parse_table_name(call)?;
    call.renew(&name).await;
    let standing = Standing::of(call, &*call.any_table(&name)?).await;
    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    write_time_to_live(standing.status, standing.attribute_name.as_deref(), &mut answer);
    answer.end();
    Ok(out)
}
