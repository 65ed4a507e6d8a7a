//! ListTagsOfResource. The first page has all that a table can have: whatever `NextToken` there is, DynamoDB begins with that one.

use super::Call;
use crate::{
    input::{self, Input, shape::Shape},
    output::Object,
    validation::references::{required_resource_arn, tagged_table},
};
use cairn_model::ServiceError;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListTagsOfResourceInput {
    resource_arn: Option<String>,
}

impl Input for ListTagsOfResourceInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[("ResourceArn", Shape::Text), ("NextToken", Shape::Text)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: ListTagsOfResourceInput = input::parse(call.body)?;
    let arn = required_resource_arn(input.resource_arn)?;
    let name = tagged_table(call, &arn)?;
    call.renew(name).await;
    let table = call.tagged_table(name, &arn)?;
    let tags = call.catalog.tags(&table).await?;
    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    answer.list("Tags", &tags, |(key, value), out| {
        let mut tag = Object::begin(out);
        tag.text("Key", key);
        tag.text("Value", value);
        tag.end();
    });
    answer.end();
    Ok(out)
}
