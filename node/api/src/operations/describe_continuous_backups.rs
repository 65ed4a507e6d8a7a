//! DescribeContinuousBackups.

use super::{Call, continuous_backups, describe_table::TableNameInput};
use crate::{
    input,
    validation::{constraints::Constraints, references::required_table},
};
use cairn_model::ServiceError;

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: TableNameInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    let name = required_table(call, input.table_name, &mut constraints)?;
    constraints.finish()?;
    continuous_backups::answer(call, &*call.backed_up_table(&name)?).await
}
