//! Which items an export has, and what of them: a `FilterSpecification`, parsed for its table.

use crate::validation::{
    key_paths,
    parameters::{Mixture, Values, ValuesOf, placeholders},
};
use cairn_expression::{Condition, ExpressionKind, KeyCondition, Projection};
use cairn_model::{
    ServiceError, TableDefinition,
    codec::{CodecError, EncodedItem},
    export::ExportFilter,
    json::serialization_error,
    key::{EncodedKey, KeyBounds, key_bounds},
};
use std::ops::RangeBounds;

/// "DynamoDB exports only the data that matches the expressions you provide" (developer guide, Filtering a table export).
#[derive(Clone, Debug)]
pub struct Filter {
    keys: Option<KeyBounds>,
    condition: Option<Condition>,
    projection: Option<Projection>,
}

impl Filter {
    /// By the rules of Query and of Scan. A ValidationException where it does not go with the table.
    pub fn new(asked: &ExportFilter, table: &TableDefinition) -> Result<Self, ServiceError> {
        let mixture = Mixture {
            legacy: &[],
            expressions: &[
                ("ProjectionExpression", asked.projection_expression.is_some()),
                ("FilterExpression", asked.filter_expression.is_some()),
                ("KeyConditionExpression", asked.key_condition_expression.is_some()),
            ],
            with_values: &["FilterExpression", "KeyConditionExpression"],
        };
        let (names, values) = (&asked.expression_attribute_names, &asked.expression_attribute_values);
        mixture.check(names.is_some(), values.is_some())?;
        let read = |values: &serde_json::Value| serde_json::from_value::<Values>(values.clone());
        let values = values.as_ref().map(read).transpose().map_err(|error| serialization_error(&error))?;
        let mut placeholders = placeholders(names.clone(), values, ValuesOf::Query)?;
        let condition = asked.filter_expression.as_deref();
        let condition =
            condition.map(|text| Condition::parse(text, ExpressionKind::Filter, &mut placeholders)).transpose()?;
        let projection = asked.projection_expression.as_deref();
        let projection = projection.map(|text| Projection::parse(text, &mut placeholders)).transpose()?;
        let keys = table.key_schema.keys();
        let key_condition = asked.key_condition_expression.as_deref();
        let key_condition = key_condition.map(|text| KeyCondition::parse(text, keys, &mut placeholders)).transpose()?;
        placeholders.finish()?;
        if let Some(condition) = &condition {
            if key_condition.is_some()
                && let Some(key) = key_paths::key_in_filter(condition, keys)
            {
                return Err(ServiceError::validation(format!(
                    "Filter Expression can only contain non-primary key attributes: Primary key attribute: {key}"
                )));
            }
            key_paths::check_filter(condition, table)?;
        }
        if let Some(projection) = &projection {
            key_paths::check_projection(projection, table)?;
        }
        let bounds = |key: KeyCondition| key_bounds(&key.partition, &key.equal, key.sort.as_ref());
        Ok(Self { keys: key_condition.map(bounds).transpose()?, condition, projection })
    }

    /// Whether it has the item of this key that is, or was last, so.
    pub fn admits(&self, key: &EncodedKey, item: &EncodedItem) -> Result<bool, CodecError> {
        if self.keys.as_ref().is_some_and(|keys| !keys.contains(&key.0)) {
            return Ok(false);
        }
        match &self.condition {
            Some(condition) => Ok(condition.evaluate(Some(&item.decode()?))),
            None => Ok(true),
        }
    }

    /// What it has of an item.
    pub fn shown(&self, item: &EncodedItem) -> Result<EncodedItem, CodecError> {
        match &self.projection {
            Some(projection) => Ok(EncodedItem::encode(&projection.project(&item.decode()?))),
            None => Ok(item.clone()),
        }
    }
}
