//! TagResource.

use super::Call;
use crate::{
    TagUpdate, errors,
    input::{self, Input, shape::Shape},
    validation::{
        constraints::Constraints,
        references::{required_resource_arn, tagged_table},
        tags::{self, TAGS, TagInput},
    },
};
use cairn_model::{ServiceError, table::TableStatus};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagResourceInput {
    resource_arn: Option<String>,
    tags: Option<Vec<TagInput>>,
}

impl Input for TagResourceInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[("ResourceArn", Shape::Text), ("Tags", TAGS)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: TagResourceInput = input::parse(call.body)?;
    let arn = required_resource_arn(input.resource_arn)?;
    let mut constraints = Constraints::default();
    constraints.required("tags", input.tags.is_some());
    constraints.finish()?;
    let name = tagged_table(call, &arn)?;
    let tags = tags::checked(tags::not_empty("Tag", input.tags.unwrap_or_default())?)?;
    update(call, name, &arn, TagUpdate::Put(tags)).await
}

/// Changes the tags of the table that the ARN names.
pub(super) async fn update(call: &Call<'_>, name: &str, arn: &str, update: TagUpdate) -> Result<Vec<u8>, ServiceError> {
    match call.tagged_table(name, arn)?.status {
        TableStatus::Creating => return Err(errors::table_being_created(name)),
        TableStatus::Deleting => return Err(errors::table_being_deleted(name)),
        TableStatus::Active | TableStatus::Updating => {}
    }
    call.catalog.update_tags(call.account, name, update).await?;
    // There is nothing to say, not even an object.
    Ok(Vec::new())
}
