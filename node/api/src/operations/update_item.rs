//! UpdateItem.

use super::{
    Call,
    item_write::{self, ConditionParameters, Expected, Options},
    legacy,
};
use crate::{
    input::{
        self, Input,
        fields::LegacyUpdate,
        shape::{ATTRIBUTES, EXPECTED, NAMES, Shape},
    },
    validation::{
        constraints::{CONDITIONAL_OPERATORS, Constraints, RETURN_VALUES, table_name_not_empty},
        enveloped,
        index_updates::check_index_updates,
        parameters::{Mixture, Names, Values, ValuesOf, placeholders},
        references::resolve_table_arn,
    },
};
use cairn_expression::{Condition, Update};
use cairn_model::{Item, ServiceError, json::JsonItem, key::EncodedKey};
use cairn_replication::operation::{WriteAction, WriteRequest};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateItemInput {
    table_name: Option<String>,
    key: Option<JsonItem>,
    attribute_updates: Option<BTreeMap<String, LegacyUpdate>>,
    expected: Option<Expected>,
    conditional_operator: Option<String>,
    return_values: Option<String>,
    return_consumed_capacity: Option<String>,
    return_item_collection_metrics: Option<String>,
    update_expression: Option<String>,
    condition_expression: Option<String>,
    expression_attribute_names: Option<Names>,
    expression_attribute_values: Option<Values>,
    return_values_on_condition_check_failure: Option<String>,
}

const ATTRIBUTE_UPDATE: Shape =
    Shape::Struct("AttributeValueUpdate", &[("Action", Shape::Text), ("Value", Shape::Value)]);

impl Input for UpdateItemInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("ReturnConsumedCapacity", Shape::Text),
        ("TableName", Shape::Text),
        ("ReturnItemCollectionMetrics", Shape::Text),
        ("ReturnValues", Shape::Text),
        ("Key", ATTRIBUTES),
        ("ConditionalOperator", Shape::Text),
        ("Expected", EXPECTED),
        ("AttributeUpdates", Shape::Map("AttributeValueUpdate", &ATTRIBUTE_UPDATE)),
        ("ConditionExpression", Shape::Text),
        ("UpdateExpression", Shape::Text),
        ("ExpressionAttributeValues", ATTRIBUTES),
        ("ExpressionAttributeNames", NAMES),
        ("ReturnValuesOnConditionCheckFailure", Shape::Text),
    ];
}

/// What to do to the item, as it was given.
struct UpdateParameters {
    expression: Option<String>,
    attribute_updates: Option<BTreeMap<String, LegacyUpdate>>,
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let mut input: UpdateItemInput = input::parse(call.body)?;
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
    check_members(input.table_name.as_deref(), input.key.is_some(), &options, &condition)?;
    let mut constraints = Constraints::default();
    condition.constrain(&mut constraints);
    if let Some(updates) = &input.attribute_updates {
        legacy::constrain_updates(updates, &mut constraints);
    }
    constraints.finish()?;

    let update = UpdateParameters { expression: input.update_expression, attribute_updates: input.attribute_updates };
    let (key_attributes, update, condition) =
        checked(input.key.unwrap_or_default(), update, &mut condition).map_err(enveloped)?;

    let table = call.open_table(&input.table_name.unwrap_or_default())?;
    let schema = &table.definition.key_schema;
    let key = EncodedKey::from_key(schema, &key_attributes)?;
    update.check_key_untouched(schema)?;
    check_index_updates(&table.definition, &update)?;
    let request = WriteRequest {
        request_id: call.request_ids.write(0),
        key,
        action: WriteAction::Update { key_attributes, update },
        condition,
        return_values: options.return_values(),
        return_item_on_condition_failure: options.item_on_condition_failure(),
    };
    item_write::finish(call, &table, request, &options).await
}

/// The table's name comes first and alone, then one of the options. Only where the key is missing are they told together.
fn check_members(
    table_name: Option<&str>,
    key: bool,
    options: &Options,
    condition: &ConditionParameters,
) -> Result<(), ServiceError> {
    let mut constraints = Constraints::default();
    if !key {
        options.constrain_in_full(table_name, &mut constraints);
        constraints.one_of("conditionalOperator", condition.conditional_operator.as_deref(), CONDITIONAL_OPERATORS);
        constraints.required("key", false);
        return constraints.finish();
    }
    table_name_not_empty(table_name)?;
    match table_name {
        Some(name) => constraints.name_in_full("tableName", name),
        None => {
            constraints.required("tableName", false);
            constraints.one_of("returnValues", options.return_values.as_deref(), RETURN_VALUES);
        }
    }
    constraints.finish()?;
    options.check_first()
}

/// What DynamoDB reports in its envelope, in its order.
fn checked(
    key: JsonItem,
    update: UpdateParameters,
    condition: &mut ConditionParameters,
) -> Result<(Item, Update, Option<Condition>), ServiceError> {
    let mixture = Mixture {
        legacy: &[
            ("AttributeUpdates", update.attribute_updates.is_some()),
            ("Expected", condition.expected.is_some()),
            ("ConditionalOperator", condition.conditional_operator.is_some()),
        ],
        expressions: &[
            ("UpdateExpression", update.expression.is_some()),
            ("ConditionExpression", condition.expression.is_some()),
        ],
        with_values: &[],
    };
    mixture.check(condition.names.is_some(), condition.values.is_some())?;
    condition.check_operator()?;
    let key = key.into_item()?;
    let mut placeholders = placeholders(condition.names.take(), condition.values.take(), ValuesOf::UpdateItem)?;
    let update = match update.expression {
        Some(expression) => Update::parse(&expression, &mut placeholders)?,
        None => legacy::attribute_updates(update.attribute_updates.unwrap_or_default())?,
    };
    let parsed = condition.condition(&mut placeholders)?;
    placeholders.finish()?;
    Ok((key, update, parsed))
}
