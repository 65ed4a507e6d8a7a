//! Query.

use super::{
    Call,
    get_item::projection,
    item_write::check_conditional_operator,
    legacy,
    page::{self, PageStyle, Pager},
};
use crate::{
    capacity::CapacityReport,
    input::{
        self, Input,
        fields::{Flag, Integer},
        shape::{ATTRIBUTES, CONDITIONS, NAMES, Shape, TEXTS},
    },
    read_target::ReadTarget,
    validation::{
        constraints::{Constraints, EMPTY_TABLE_NAME},
        key_paths,
        parameters::{Mixture, Names, Values, ValuesOf, placeholders},
        references::resolve_table_arn,
        select::{Select, SelectParameters},
    },
};
use bytes::Bytes;
use cairn_expression::{Condition, ExpressionKind, KeyCondition, Placeholders, Projection};
use cairn_model::{
    Item, ServiceError,
    json::JsonItem,
    key::{KeyBounds, key_bounds},
    keys::Keys,
    limits,
};
use cairn_replication::operation::RangeRequest;
use serde::Deserialize;
use std::ops::{Bound, RangeBounds};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueryInput {
    table_name: Option<String>,
    index_name: Option<String>,
    select: Option<String>,
    attributes_to_get: Option<Vec<String>>,
    limit: Option<Integer>,
    consistent_read: Option<Flag>,
    key_conditions: Option<legacy::Conditions>,
    query_filter: Option<legacy::Conditions>,
    conditional_operator: Option<String>,
    scan_index_forward: Option<Flag>,
    exclusive_start_key: Option<JsonItem>,
    return_consumed_capacity: Option<String>,
    projection_expression: Option<String>,
    filter_expression: Option<String>,
    key_condition_expression: Option<String>,
    expression_attribute_names: Option<Names>,
    expression_attribute_values: Option<Values>,
}

impl Input for QueryInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("Select", Shape::Text),
        ("IndexName", Shape::Text),
        ("ReturnConsumedCapacity", Shape::Text),
        ("QueryFilter", CONDITIONS),
        ("TableName", Shape::Text),
        ("ConditionalOperator", Shape::Text),
        ("AttributesToGet", TEXTS),
        ("Limit", Shape::Integer),
        ("KeyConditions", CONDITIONS),
        ("ExclusiveStartKey", ATTRIBUTES),
        ("ConsistentRead", Shape::Flag),
        ("ScanIndexForward", Shape::Flag),
        ("KeyConditionExpression", Shape::Text),
        ("FilterExpression", Shape::Text),
        ("ProjectionExpression", Shape::Text),
        ("ExpressionAttributeValues", ATTRIBUTES),
        ("ExpressionAttributeNames", NAMES),
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let mut input: QueryInput = input::parse(call.body)?;
    let arn = resolve_table_arn(call, &mut input.table_name)?;
    input.constrain()?;
    input.mixture()?;
    let conditions = input.query_filter.as_ref().map_or(0, legacy::Conditions::len);
    check_conditional_operator(input.conditional_operator.as_deref(), conditions)?;
    let select = SelectParameters {
        select: input.select.as_deref(),
        attributes_to_get: input.attributes_to_get.is_some(),
        projection_expression: input.projection_expression.is_some(),
        index: input.index_name.is_some(),
    }
    .check()?;
    let start = page::start_values(input.exclusive_start_key.take(), Pager::Query)?;
    if input.key_conditions.is_none() && input.key_condition_expression.is_none() {
        return Err(ServiceError::validation(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
        ));
    }
    let mut placeholders = placeholders(
        input.expression_attribute_names.take(),
        input.expression_attribute_values.take(),
        ValuesOf::Query,
    )?;
    let (filter, parameter) = match (&input.filter_expression, input.query_filter.take()) {
        (Some(expression), _) => {
            (Some(Condition::parse(expression, ExpressionKind::Filter, &mut placeholders)?), "Filter Expression")
        }
        (None, Some(conditions)) => (conditions.filter(input.conditional_operator.as_deref())?, "QueryFilter"),
        (None, None) => (None, ""),
    };
    let projection = match &input.projection_expression {
        Some(expression) => Some(Projection::parse(expression, &mut placeholders)?),
        None => projection(None, input.attributes_to_get.take(), None)?,
    };

    let table = match call.open_to_read(&input.table_name.clone().unwrap_or_default(), input.index_name.as_deref()) {
        Ok(table) => table,
        Err(error) => {
            if let Some(expression) = &input.key_condition_expression {
                KeyCondition::check(expression, &mut placeholders)?;
                placeholders.finish()?;
            }
            return Err(error);
        }
    };
    let consistent = input.consistent_read.is_some_and(|flag| flag.0);
    let target = page::target(&table, input.index_name.as_deref(), consistent)?;
    let keys = target.keys();
    let condition = input.key_condition(keys, placeholders)?;
    if let Some(filter) = &filter {
        if let Some(key) = key_paths::key_in_filter(filter, keys) {
            return Err(ServiceError::validation(format!(
                "{parameter} can only contain non-primary key attributes: Primary key attribute: {key}"
            )));
        }
        key_paths::check_filter(filter, target.table())?;
        if select != Select::WholeItems {
            target.check_filter(filter)?;
        }
    }
    if let Some(projection) = &projection {
        key_paths::check_projection(projection, target.table())?;
    }
    target.check_select(select)?;
    target.check_projection(projection.as_ref())?;
    let forward = input.scan_index_forward.is_none_or(|flag| flag.0);
    let (lower, upper) = bounds(target, &condition, start.as_ref(), forward)?;
    let request = RangeRequest {
        lower,
        upper,
        forward,
        limit: input.limit.and_then(|limit| u32::try_from(limit.0).ok()),
        page_bytes: limits::PAGE_BYTES_MAX as u32,
        filter,
        index: target.index_read(select, projection.as_ref()),
        projection,
        count_only: select == Select::Count,
        consistent,
    };
    let outcome = call.range(target, request).await?;
    let report = CapacityReport::of(input.return_consumed_capacity.as_deref());
    page::write(target, &outcome, PageStyle { table_arn: arn.as_deref(), select, consistent, report })
}

impl QueryInput {
    fn constrain(&self) -> Result<(), ServiceError> {
        let mut constraints = Constraints::default();
        constraints.within("Limit", self.limit.map(|limit| limit.0), 1..=i64::MAX);
        if self.table_name.as_deref() == Some("") {
            constraints.add(EMPTY_TABLE_NAME);
        }
        constraints.finish()?;
        let mut constraints = Constraints::default();
        constraints.item_table_name(self.table_name.as_deref());
        constraints.return_consumed_capacity(self.return_consumed_capacity.as_deref());
        if let Some(index) = &self.index_name {
            constraints.name("indexName", index);
        }
        constraints.attributes_to_get("attributesToGet", self.attributes_to_get.as_deref());
        for (path, conditions) in [("keyConditions", &self.key_conditions), ("queryFilter", &self.query_filter)] {
            if let Some(conditions) = conditions {
                conditions.constrain(path, &mut constraints);
            }
        }
        constraints.finish()
    }

    fn mixture(&self) -> Result<(), ServiceError> {
        let mixture = Mixture {
            legacy: &[
                ("AttributesToGet", self.attributes_to_get.is_some()),
                ("QueryFilter", self.query_filter.is_some()),
                ("ConditionalOperator", self.conditional_operator.is_some()),
                // They go with the other expressions: only the one that took their place excludes them.
                ("KeyConditions", self.key_conditions.is_some() && self.key_condition_expression.is_some()),
            ],
            expressions: &[
                ("ProjectionExpression", self.projection_expression.is_some()),
                ("FilterExpression", self.filter_expression.is_some()),
                ("KeyConditionExpression", self.key_condition_expression.is_some()),
            ],
            with_values: &["FilterExpression", "KeyConditionExpression"],
        };
        mixture.check(self.expression_attribute_names.is_some(), self.expression_attribute_values.is_some())
    }

    fn key_condition(&mut self, keys: Keys<'_>, mut placeholders: Placeholders) -> Result<KeyCondition, ServiceError> {
        let condition = match (&self.key_condition_expression, self.key_conditions.take()) {
            (Some(expression), _) => KeyCondition::parse(expression, keys, &mut placeholders)?,
            (None, conditions) => conditions.unwrap_or_default().key_condition(keys)?,
        };
        placeholders.finish()?;
        Ok(condition)
    }
}

/// The range to read: what the condition allows, from the starting key on.
fn bounds(
    target: ReadTarget<'_>,
    condition: &KeyCondition,
    start: Option<&Item>,
    forward: bool,
) -> Result<KeyBounds, ServiceError> {
    let KeyCondition { partition, equal, sort } = condition;
    let bounds = key_bounds(partition, equal, sort.as_ref())?;
    let Some(start) = start else { return Ok(bounds) };
    let key = page::start_key(target, start, Pager::Query)?;
    if bounds.contains(&key) {
        return Ok(behind(bounds, key, forward));
    }
    let asked = target.keys().partition.iter().zip(partition);
    let partition: Vec<_> =
        asked.map(|(attribute, asked)| start.get(&attribute.name).unwrap_or(asked).clone()).collect();
    let fits_sort = key_bounds(&partition, equal, sort.as_ref())?.contains(&key);
    Err(ServiceError::validation(match sort {
        _ if !fits_sort => "The provided starting key does not match the range key predicate",
        Some(_) => "The query can return at most one row and cannot be restarted",
        None if !target.is_index() && target.table().key_schema.sort.is_none() => {
            "The provided exclusive start key is invalid"
        }
        None => "The provided starting key is outside query boundaries based on provided conditions",
    }))
}

/// What is left of a range behind one of its keys.
pub(crate) fn behind((lower, upper): KeyBounds, key: Bytes, forward: bool) -> KeyBounds {
    if forward { ordered(Bound::Excluded(key), upper) } else { ordered(lower, Bound::Excluded(key)) }
}

/// A range whose bounds exclude one and the same key holds nothing; some stores take it for a mistake.
fn ordered(lower: Bound<Bytes>, upper: Bound<Bytes>) -> KeyBounds {
    match (&lower, &upper) {
        (Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) if low >= high => {
            (Bound::Included(low.clone()), Bound::Excluded(low.clone()))
        }
        (Bound::Included(low), Bound::Excluded(high)) if low >= high => {
            (Bound::Included(high.clone()), Bound::Excluded(high.clone()))
        }
        _ => (lower, upper),
    }
}
