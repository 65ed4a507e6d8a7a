//! PutItem.

use super::{
    Call,
    item_write::{self, ConditionParameters, Expected, Options},
};
use crate::{
    input::{
        self, Input,
        shape::{ATTRIBUTES, EXPECTED, NAMES, Shape},
    },
    validation::{
        constraints::{Constraints, table_name_not_empty},
        enveloped,
        parameters::{Mixture, Names, Values, ValuesOf, placeholders},
        references::resolve_table_arn,
    },
};
use cairn_expression::Condition;
use cairn_model::{
    Item, ServiceError, codec::EncodedItem, index_keys::check_index_keys, json::JsonItem, key::EncodedKey, limits,
    size::item_size,
};
use cairn_replication::operation::{WriteAction, WriteRequest};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutItemInput {
    table_name: Option<String>,
    item: Option<JsonItem>,
    expected: Option<Expected>,
    return_values: Option<String>,
    return_consumed_capacity: Option<String>,
    return_item_collection_metrics: Option<String>,
    conditional_operator: Option<String>,
    condition_expression: Option<String>,
    expression_attribute_names: Option<Names>,
    expression_attribute_values: Option<Values>,
    return_values_on_condition_check_failure: Option<String>,
}

impl Input for PutItemInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("ReturnConsumedCapacity", Shape::Text),
        ("TableName", Shape::Text),
        ("Item", ATTRIBUTES),
        ("ConditionalOperator", Shape::Text),
        ("Expected", EXPECTED),
        ("ReturnValues", Shape::Text),
        ("ReturnItemCollectionMetrics", Shape::Text),
        ("ConditionExpression", Shape::Text),
        ("ExpressionAttributeValues", ATTRIBUTES),
        ("ExpressionAttributeNames", NAMES),
        ("ReturnValuesOnConditionCheckFailure", Shape::Text),
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let mut input: PutItemInput = input::parse(call.body)?;
    let options = Options {
        table_arn: resolve_table_arn(call, &mut input.table_name)?,
        return_values: input.return_values,
        return_consumed_capacity: input.return_consumed_capacity,
        return_item_collection_metrics: input.return_item_collection_metrics,
        return_values_on_condition_check_failure: input.return_values_on_condition_check_failure,
    };
    let mut condition = ConditionParameters {
        expression: input.condition_expression,
        expected: input.expected,
        conditional_operator: input.conditional_operator,
        names: input.expression_attribute_names,
        values: input.expression_attribute_values,
    };
    table_name_not_empty(input.table_name.as_deref())?;
    let mut constraints = Constraints::default();
    constraints.item_table_name(input.table_name.as_deref());
    constraints.required("item", input.item.is_some());
    options.constrain(&mut constraints);
    condition.constrain(&mut constraints);
    constraints.finish()?;

    let (item, condition) = checked(input.item.unwrap_or_default(), &mut condition, &options).map_err(enveloped)?;
    check_size(&item)?;

    let table = call.open_table(&input.table_name.unwrap_or_default())?;
    let key = EncodedKey::new(&table.definition.key_schema, &item)?;
    check_index_keys(&table.definition, &item)?;
    let request = WriteRequest {
        request_id: call.request_ids.write(0),
        key,
        action: WriteAction::Put(EncodedItem::encode(&item)),
        condition,
        return_values: options.return_values(),
        return_item_on_condition_failure: options.item_on_condition_failure(),
    };
    item_write::finish(call, &table, request, &options).await
}

/// What DynamoDB reports in its envelope, in its order.
fn checked(
    item: JsonItem,
    condition: &mut ConditionParameters,
    options: &Options,
) -> Result<(Item, Option<Condition>), ServiceError> {
    let item = item.into_item()?;
    let mixture = Mixture {
        legacy: &[
            ("Expected", condition.expected.is_some()),
            ("ConditionalOperator", condition.conditional_operator.is_some()),
        ],
        expressions: &[("ConditionExpression", condition.expression.is_some())],
        with_values: &[],
    };
    mixture.check(condition.names.is_some(), condition.values.is_some())?;
    condition.check_operator()?;
    let mut placeholders = placeholders(condition.names.take(), condition.values.take(), ValuesOf::Others)?;
    let parsed = condition.condition(&mut placeholders)?;
    item_write::only_old_values(options.return_values())?;
    placeholders.finish()?;
    Ok((item, parsed))
}

/// The limit of an item, for whoever puts one.
pub(crate) fn check_size(item: &Item) -> Result<(), ServiceError> {
    if item_size(item) > limits::ITEM_BYTES_MAX {
        return Err(ServiceError::validation("Item size has exceeded the maximum allowed size"));
    }
    Ok(())
}
