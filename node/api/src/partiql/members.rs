//! The members of a request that say what to execute: constraints, and values.

use crate::{
    input::fields::Flag,
    validation::constraints::{Constraints, ON_CONDITION_CHECK_FAILURE},
};
use cairn_model::{AttributeValue, ServiceError, json::JsonValue, limits::STATEMENT_CHARS_MAX};
use serde::Deserialize;

/// One statement as a request has it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StatementMembers {
    pub(crate) statement: Option<String>,
    pub(crate) parameters: Option<Vec<JsonValue>>,
    pub(crate) consistent_read: Option<Flag>,
    pub(crate) return_values_on_condition_check_failure: Option<String>,
}

impl StatementMembers {
    /// `prefix` comes before the members' names: the path of a batch's statement.
    pub(crate) fn constrain_statement(&self, prefix: &str, constraints: &mut Constraints) {
        let path = format!("{prefix}statement");
        let Some(statement) = &self.statement else { return constraints.required(&path, false) };
        let constraint = match statement.chars().count() {
            0 => "Member must have length greater than or equal to 1",
            count if count > STATEMENT_CHARS_MAX => "Member must have length less than or equal to 8192",
            _ => return,
        };
        constraints.value(statement, &path, constraint);
    }

    pub(crate) fn constrain_parameters(&self, prefix: &str, constraints: &mut Constraints) {
        if self.parameters.as_ref().is_some_and(Vec::is_empty) {
            let path = format!("{prefix}parameters");
            constraints.value("[]", &path, "Member must have length greater than or equal to 1");
        }
    }

    pub(crate) fn constrain_on_condition_failure(&self, prefix: &str, constraints: &mut Constraints) {
        let path = format!("{prefix}returnValuesOnConditionCheckFailure");
        constraints.one_of(&path, self.return_values_on_condition_check_failure.as_deref(), ON_CONDITION_CHECK_FAILURE);
    }

    pub(crate) fn text(&self) -> &str {
        self.statement.as_deref().unwrap_or_default()
    }

    pub(crate) fn is_consistent(&self) -> bool {
        self.consistent_read.is_some_and(|flag| flag.0)
    }

    pub(crate) fn item_on_condition_failure(&self) -> bool {
        self.return_values_on_condition_check_failure.as_deref() == Some("ALL_OLD")
    }

    /// The parameters' values, or what is wrong with the first that has something wrong.
    pub(crate) fn take_parameters(&mut self) -> Result<Vec<AttributeValue>, ServiceError> {
        self.parameters.take().unwrap_or_default().into_iter().map(JsonValue::into_value_as_before).collect()
    }
}
