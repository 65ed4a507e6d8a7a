//! DescribeContinuousBackups.

use super::{Call, continuous_backups, describe_table::parse_table_name};
use cairn_model::ServiceError;

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let name = parse_table_name(call)?;
    call.renew(&name).await;
    continuous_backups::answer(call, &*call.backed_up_table(&name)?).await
}
