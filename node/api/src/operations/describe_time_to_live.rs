//! DescribeTimeToLive.

use super::{
    Call,
    describe_table::parse_table_name,
    table_description::status,
    time_to_live::{Standing, write_time_to_live},
};
use crate::{errors, output::Object};
use cairn_model::{ServiceError, table::TableStatus};

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let name = parse_table_name(call)?;
    call.renew(&name).await;
    let table = call.any_table(&name)?;
    if matches!(table.status, TableStatus::Creating | TableStatus::Deleting) {
        return Err(errors::time_to_live_not_described(status(table.status)));
    }
    let standing = Standing::of(call, &table).await;
    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    write_time_to_live(standing.status, standing.attribute_name.as_deref(), &mut answer);
    answer.end();
    Ok(out)
}
