//! GetItem. The benchmark's path: nothing here is built that the answer doesn't need.

use super::Call;
use crate::{
    capacity::{CapacityReport, HalfUnits},
    input::{
        self, Input,
        fields::Flag,
        shape::{ATTRIBUTES, NAMES, Shape, TEXTS},
    },
    output::Object,
    validation::{
        constraints::{Constraints, table_name_not_empty},
        key_paths,
        parameters::{Mixture, Names, ValuesOf, placeholders},
        references::resolve_table_arn,
    },
};
use cairn_expression::{Projection, legacy};
use cairn_model::{ServiceError, json::JsonItem, key::EncodedKey};
use cairn_replication::operation::GetRequest;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetItemInput {
    table_name: Option<String>,
    key: Option<JsonItem>,
    attributes_to_get: Option<Vec<String>>,
    consistent_read: Option<Flag>,
    projection_expression: Option<String>,
    expression_attribute_names: Option<Names>,
    return_consumed_capacity: Option<String>,
}

impl Input for GetItemInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("ReturnConsumedCapacity", Shape::Text),
        ("AttributesToGet", TEXTS),
        ("TableName", Shape::Text),
        ("Key", ATTRIBUTES),
        ("ConsistentRead", Shape::Flag),
        ("ProjectionExpression", Shape::Text),
        ("ExpressionAttributeNames", NAMES),
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let mut input: GetItemInput = input::parse(call.body)?;
    let arn = resolve_table_arn(call, &mut input.table_name)?;
    table_name_not_empty(input.table_name.as_deref())?;
    let mut constraints = Constraints::default();
    constraints.required("key", input.key.is_some());
    constraints.item_table_name(input.table_name.as_deref());
    constraints.return_consumed_capacity(input.return_consumed_capacity.as_deref());
    constraints.attributes_to_get("attributesToGet", input.attributes_to_get.as_deref());
    constraints.finish()?;

    let mixture = Mixture {
        legacy: &[("AttributesToGet", input.attributes_to_get.is_some())],
        expressions: &[("ProjectionExpression", input.projection_expression.is_some())],
        with_values: &[],
    };
    mixture.check(input.expression_attribute_names.is_some(), false)?;
    let key = input.key.unwrap_or_default().into_item()?;
    let projection =
        projection(input.projection_expression.as_deref(), input.attributes_to_get, input.expression_attribute_names)?;

    let table_name = input.table_name.unwrap_or_default();
    let table = call.open_table(&table_name)?;
    let schema = &table.definition.key_schema;
    let key = EncodedKey::from_key(schema, &key)?;
    if let Some(projection) = &projection {
        key_paths::check_projection(projection, &table.definition)?;
    }
    let consistent = input.consistent_read.is_some_and(|flag| flag.0);
    let mut outcome = call.get(&table, GetRequest { keys: vec![key], projection, consistent }).await?;

    let found = outcome.items.pop().flatten();
    let mut out = Vec::with_capacity(128 + found.as_ref().map_or(0, |(item, _)| item.0.len() * 2));
    let mut answer = Object::begin(&mut out);
    if let Some((item, _)) = &found {
        answer.encoded_item("Item", item)?;
    }
    let units = HalfUnits::read(found.map_or(0, |(_, size)| u64::from(size)), consistent);
    CapacityReport::of(input.return_consumed_capacity.as_deref()).write(
        arn.as_ref().unwrap_or(&table_name),
        &units.into(),
        &mut answer,
    );
    answer.end();
    Ok(out)
}

/// What is wanted of an item, from either of the parameters that say so.
pub(super) fn projection(
    expression: Option<&str>,
    attributes_to_get: Option<Vec<String>>,
    names: Option<Names>,
) -> Result<Option<Projection>, ServiceError> {
    let Some(expression) = expression else {
        return attributes_to_get.map(legacy::attributes_to_get).transpose();
    };
    let mut placeholders = placeholders(names, None, ValuesOf::Others)?;
    let projection = Projection::parse(expression, &mut placeholders)?;
    placeholders.finish()?;
    Ok(Some(projection))
}
