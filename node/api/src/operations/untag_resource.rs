//! UntagResource.

use super::{Call, tag_resource};
use crate::{
    TagUpdate,
    input::{
        self, Input,
        shape::{Shape, TEXTS},
    },
    validation::{
        constraints::Constraints,
        references::{required_resource_arn, tagged_table},
        tags,
    },
};
use cairn_model::ServiceError;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UntagResourceInput {
    resource_arn: Option<String>,
    tag_keys: Option<Vec<String>>,
}

impl Input for UntagResourceInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[("ResourceArn", Shape::Text), ("TagKeys", TEXTS)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: UntagResourceInput = input::parse(call.body)?;
    let arn = required_resource_arn(input.resource_arn)?;
    let mut constraints = Constraints::default();
    constraints.required("tagKeys", input.tag_keys.is_some());
    constraints.finish()?;
    let name = tagged_table(call, &arn)?;
    let keys = tags::checked_keys(tags::not_empty("Tag Key", input.tag_keys.unwrap_or_default())?)?;
    tag_resource::update(call, name, &arn, TagUpdate::Remove(keys)).await
}
