//! Scan, whole or in segments.

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
use cairn_expression::{Condition, ExpressionKind, Projection};
use cairn_model::{
    Item, ServiceError,
    json::JsonItem,
    key::{KeyBounds, segment_bounds},
    limits,
};
use cairn_replication::operation::RangeRequest;
use serde::Deserialize;
use std::ops::{Bound, RangeBounds};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScanInput {
    table_name: Option<String>,
    index_name: Option<String>,
    attributes_to_get: Option<Vec<String>>,
    limit: Option<Integer>,
    select: Option<String>,
    scan_filter: Option<legacy::Conditions>,
    conditional_operator: Option<String>,
    exclusive_start_key: Option<JsonItem>,
    return_consumed_capacity: Option<String>,
    total_segments: Option<Integer>,
    segment: Option<Integer>,
    projection_expression: Option<String>,
    filter_expression: Option<String>,
    expression_attribute_names: Option<Names>,
    expression_attribute_values: Option<Values>,
    consistent_read: Option<Flag>,
}

impl Input for ScanInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("Select", Shape::Text),
        ("IndexName", Shape::Text),
        ("TotalSegments", Shape::Integer),
        ("ReturnConsumedCapacity", Shape::Text),
        ("TableName", Shape::Text),
        ("ConditionalOperator", Shape::Text),
        ("ScanFilter", CONDITIONS),
        ("Segment", Shape::Integer),
        ("Limit", Shape::Integer),
        ("AttributesToGet", TEXTS),
        ("ExclusiveStartKey", ATTRIBUTES),
        ("FilterExpression", Shape::Text),
        ("ProjectionExpression", Shape::Text),
        ("ExpressionAttributeValues", ATTRIBUTES),
        ("ExpressionAttributeNames", NAMES),
        ("ConsistentRead", Shape::Flag),
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let mut input: ScanInput = input::parse(call.body)?;
    let arn = resolve_table_arn(call, &mut input.table_name)?;
    input.constrain()?;
    input.mixture()?;
    let conditions = input.scan_filter.as_ref().map_or(0, legacy::Conditions::len);
    check_conditional_operator(input.conditional_operator.as_deref(), conditions)?;
    let start = page::start_values(input.exclusive_start_key.take(), Pager::Scan)?;
    let mut placeholders = placeholders(
        input.expression_attribute_names.take(),
        input.expression_attribute_values.take(),
        ValuesOf::Scan,
    )?;
    let select = SelectParameters {
        select: input.select.as_deref(),
        attributes_to_get: input.attributes_to_get.is_some(),
        projection_expression: input.projection_expression.is_some(),
        index: input.index_name.is_some(),
    };
    let filter = match (&input.filter_expression, input.scan_filter.take()) {
        (Some(expression), _) => Some(Condition::parse(expression, ExpressionKind::Filter, &mut placeholders)?),
        (None, Some(conditions)) => conditions.filter(input.conditional_operator.as_deref())?,
        (None, None) => None,
    };
    let select = select.check()?;
    let projection = match &input.projection_expression {
        Some(expression) => Some(Projection::parse(expression, &mut placeholders)?),
        None => projection(None, input.attributes_to_get.take(), None)?,
    };
    let segment = input.segment()?;
    placeholders.finish()?;

    let table = call.open_to_read(&input.table_name.unwrap_or_default(), input.index_name.as_deref())?;
    let consistent = input.consistent_read.is_some_and(|flag| flag.0);
    let target = page::target(&table, input.index_name.as_deref(), consistent)?;
    target.check_select(select)?;
    let (lower, upper) = bounds(target, segment, start.as_ref())?;
    if let Some(projection) = &projection {
        key_paths::check_projection(projection, target.table())?;
    }
    if let Some(filter) = &filter {
        key_paths::check_filter(filter, target.table())?;
    }
    target.check_projection(projection.as_ref())?;
    let request = RangeRequest {
        lower,
        upper,
        forward: true,
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

/// One of so many parts of a table.
#[derive(Clone, Copy, Debug)]
struct Segment {
    segment: u32,
    total: u32,
}

impl ScanInput {
    fn constrain(&self) -> Result<(), ServiceError> {
        let mut constraints = Constraints::default();
        let most = i64::from(limits::SEGMENTS_MAX);
        constraints.within("Limit", self.limit.map(|limit| limit.0), 1..=i64::MAX);
        constraints.within("Segment", self.segment.map(|segment| segment.0), 0..=most - 1);
        constraints.within("TotalSegments", self.total_segments.map(|total| total.0), 1..=most);
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
        if let Some(conditions) = &self.scan_filter {
            conditions.constrain("scanFilter", &mut constraints);
        }
        constraints.finish()
    }

    fn mixture(&self) -> Result<(), ServiceError> {
        let mixture = Mixture {
            legacy: &[
                ("AttributesToGet", self.attributes_to_get.is_some()),
                ("ScanFilter", self.scan_filter.is_some()),
                ("ConditionalOperator", self.conditional_operator.is_some()),
            ],
            expressions: &[
                ("ProjectionExpression", self.projection_expression.is_some()),
                ("FilterExpression", self.filter_expression.is_some()),
            ],
            with_values: &["FilterExpression"],
        };
        mixture.check(self.expression_attribute_names.is_some(), self.expression_attribute_values.is_some())
    }

    fn segment(&self) -> Result<Option<Segment>, ServiceError> {
        let number = |value: Option<Integer>| value.and_then(|value| u32::try_from(value.0).ok());
        match (number(self.segment), number(self.total_segments)) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(ServiceError::validation(
                "The TotalSegments parameter is required but was not present in the request when Segment parameter \
                 is present",
            )),
            (None, Some(_)) => Err(ServiceError::validation(
                "The Segment parameter is required but was not present in the request when parameter TotalSegments \
                 is present",
            )),
            (Some(segment), Some(total)) if segment >= total => Err(ServiceError::validation(
                "The Segment parameter is zero-based and must be less than parameter TotalSegments",
            )),
            (Some(segment), Some(total)) => Ok(Some(Segment { segment, total })),
        }
    }
}

/// The range to read: the segment, from the starting key on.
fn bounds(target: ReadTarget<'_>, segment: Option<Segment>, start: Option<&Item>) -> Result<KeyBounds, ServiceError> {
    let (lower, upper) = match segment {
        Some(Segment { segment, total }) => segment_bounds(segment, total),
        None => (Bound::Unbounded, Bound::Unbounded),
    };
    let Some(start) = start else { return Ok((lower, upper)) };
    let key = page::start_key(target, start, Pager::Scan)?;
    match segment {
        Some(Segment { segment, total }) if !(lower, upper.clone()).contains(&key) => {
            Err(ServiceError::validation(format!(
                "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with \
                 correct Segment. TotalSegments: {total} Segment: {segment}"
            )))
        }
        _ => Ok((Bound::Excluded(key), upper)),
    }
}
