//! The parameters that came before expressions, as the conditions, updates and projections they stand for.

use crate::{
    input::fields::{LegacyCondition, LegacyExpected, LegacyUpdate},
    validation::constraints::{COMPARISON_OPERATORS, Constraints},
};
use cairn_expression::{
    Condition, KeyCondition, Update,
    legacy::{self, AttributeUpdate, ComparisonOperator, ConditionalOperator, ExpectedValue, UpdateAction},
};
use cairn_model::{AttributeValue, ServiceError, json::JsonValue, keys::Keys};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `KeyConditions`, `QueryFilter` or `ScanFilter`.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Conditions(BTreeMap<String, LegacyCondition>);

impl Conditions {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn constrain(&self, parameter: &str, constraints: &mut Constraints) {
        for (name, condition) in &self.0 {
            let path = format!("{parameter}.{name}.member.comparisonOperator");
            constraints.required(&path, condition.comparison_operator.is_some());
            constraints.one_of(&path, condition.comparison_operator.as_deref(), COMPARISON_OPERATORS);
        }
    }

    pub(super) fn filter(self, operator: Option<&str>) -> Result<Option<Condition>, ServiceError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        legacy::filter(self.read()?, conditional_operator(operator)).map(Some)
    }

    pub(super) fn key_condition(self, keys: Keys<'_>) -> Result<KeyCondition, ServiceError> {
        legacy::key_conditions(self.read()?, keys)
    }

    fn read(self) -> Result<BTreeMap<String, legacy::LegacyCondition>, ServiceError> {
        let conditions = self.0.into_iter();
        conditions
            .map(|(name, condition)| {
                let operator = comparison_operator(condition.comparison_operator.as_deref())?;
                let values = values(condition.attribute_value_list.unwrap_or_default())?;
                Ok((name, legacy::LegacyCondition { operator, values }))
            })
            .collect()
    }
}

/// The condition of `Expected`.
pub(super) fn expected(
    expected: BTreeMap<String, LegacyExpected>,
    operator: Option<&str>,
) -> Result<Option<Condition>, ServiceError> {
    if expected.is_empty() {
        return Ok(None);
    }
    let expected = expected
        .into_iter()
        .map(|(name, expected)| {
            let operator = expected.comparison_operator.as_deref();
            let expected = ExpectedValue {
                value: expected.value.map(JsonValue::into_value).transpose()?,
                exists: expected.exists.map(|flag| flag.0),
                operator: operator.map(|operator| comparison_operator(Some(operator))).transpose()?,
                values: expected.attribute_value_list.map(values).transpose()?,
            };
            Ok((name, expected))
        })
        .collect::<Result<_, ServiceError>>()?;
    legacy::expected(expected, conditional_operator(operator)).map(Some)
}

pub(super) fn constrain_updates(updates: &BTreeMap<String, LegacyUpdate>, constraints: &mut Constraints) {
    let known = |update: &LegacyUpdate| matches!(update.action.as_deref(), None | Some("ADD" | "DELETE" | "PUT"));
    if !updates.values().all(known) {
        // DynamoDB's text, its stray quote included.
        constraints.add("Member must satisfy enum value set: [ADD, DELETE, PUT]' for Action");
    }
}

/// The update of `AttributeUpdates`.
pub(super) fn attribute_updates(updates: BTreeMap<String, LegacyUpdate>) -> Result<Update, ServiceError> {
    let updates = updates
        .into_iter()
        .map(|(name, update)| {
            let action = match update.action.as_deref() {
                Some("ADD") => UpdateAction::Add,
                Some("DELETE") => UpdateAction::Delete,
                _ => UpdateAction::Put,
            };
            let value = update.value.map(JsonValue::into_value).transpose()?;
            Ok((name, AttributeUpdate { action, value }))
        })
        .collect::<Result<_, ServiceError>>()?;
    legacy::attribute_updates(updates)
}

fn values(values: Vec<JsonValue>) -> Result<Vec<AttributeValue>, ServiceError> {
    values.into_iter().map(JsonValue::into_value).collect()
}

/// The constraints have refused what is none; a missing one is refused here, where it is needed.
fn comparison_operator(operator: Option<&str>) -> Result<ComparisonOperator, ServiceError> {
    operator.unwrap_or_default().parse().map_err(|_| {
        ServiceError::validation("One or more parameter values were invalid: ComparisonOperator is not valid")
    })
}

fn conditional_operator(operator: Option<&str>) -> ConditionalOperator {
    match operator {
        Some("OR") => ConditionalOperator::Or,
        _ => ConditionalOperator::And,
    }
}
