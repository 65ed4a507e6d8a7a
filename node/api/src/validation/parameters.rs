//! The parameters of expressions and their legacy forerunners: not both, and no substitutions without an expression.

use cairn_expression::Placeholders;
use cairn_model::{Item, ServiceError, json::JsonValue};
use std::collections::BTreeMap;

pub(crate) type Names = BTreeMap<String, String>;
pub(crate) type Values = BTreeMap<String, JsonValue>;

/// Which of the parameters a request has, each list in DynamoDB's order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mixture<'a> {
    pub(crate) legacy: &'a [(&'static str, bool)],
    pub(crate) expressions: &'a [(&'static str, bool)],
    /// The expressions that values can be in, where DynamoDB's message names them.
    pub(crate) with_values: &'a [&'static str],
}

impl Mixture<'_> {
    pub(crate) fn check(self, names: bool, values: bool) -> Result<(), ServiceError> {
        let given = |parameters: &[(&'static str, bool)]| {
            parameters.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect::<Vec<_>>()
        };
        let (legacy, expressions) = (given(self.legacy), given(self.expressions));
        if !legacy.is_empty() && !expressions.is_empty() {
            return Err(ServiceError::validation(format!(
                "Can not use both expression and non-expression parameters in the same request: Non-expression \
                 parameters: {{{}}} Expression parameters: {{{}}}",
                legacy.join(", "),
                expressions.join(", ")
            )));
        }
        if names && expressions.is_empty() {
            return Err(ServiceError::validation(
                "ExpressionAttributeNames can only be specified when using expressions",
            ));
        }
        if values && expressions.is_empty() {
            let mut message = "ExpressionAttributeValues can only be specified when using expressions".to_owned();
            for (position, name) in self.with_values.iter().enumerate() {
                message += if position == 0 { ": " } else { " and " };
                message += &format!("{name} is null");
            }
            return Err(ServiceError::validation(message));
        }
        Ok(())
    }
}

/// The operations that say the name of an expression's value with what is wrong with it; each for other faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValuesOf {
    UpdateItem,
    DeleteItem,
    Query,
    Scan,
    /// PutItem and the other reads.
    Others,
}

impl ValuesOf {
    fn names(self, fault: &str) -> bool {
        if fault.contains("Supplied AttributeValue is empty") {
            return matches!(self, Self::DeleteItem | Self::Query);
        }
        if fault.contains("more than one datatypes") {
            return matches!(self, Self::UpdateItem | Self::DeleteItem);
        }
        fault.contains("may not be empty") || fault.contains("should not be empty")
    }
}

/// The substitutions, their values read.
pub(crate) fn placeholders(
    names: Option<Names>,
    values: Option<Values>,
    values_of: ValuesOf,
) -> Result<Placeholders, ServiceError> {
    if names.is_none() && values.is_none() {
        return Ok(Placeholders::default());
    }
    Placeholders::new(names, values.map(|values| read_values(values, values_of)).transpose()?)
}

/// `ExpressionAttributeValues`, read.
pub(crate) fn read_values(values: Values, values_of: ValuesOf) -> Result<Item, ServiceError> {
    values.into_iter().map(|entry| read_value(entry, values_of)).collect()
}

fn read_value(
    (key, value): (String, JsonValue),
    values_of: ValuesOf,
) -> Result<(String, cairn_model::AttributeValue), ServiceError> {
    let in_older_words = values_of == ValuesOf::Scan && value.is_told_otherwise_before();
    let read = if in_older_words { value.into_value_as_before() } else { value.into_value() };
    match read {
        Ok(value) => Ok((key, value)),
        Err(mut error) => {
            if in_older_words || values_of.names(&error.message) {
                error.message =
                    format!("ExpressionAttributeValues contains invalid value: {} for key {key}", error.message);
            }
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_and_their_forerunners_do_not_mix() {
        let mixture = Mixture {
            legacy: &[("Expected", true), ("ConditionalOperator", false)],
            expressions: &[("ConditionExpression", true)],
            with_values: &[],
        };
        assert_eq!(
            mixture.check(false, false).unwrap_err().message,
            "Can not use both expression and non-expression parameters in the same request: Non-expression \
             parameters: {Expected} Expression parameters: {ConditionExpression}"
        );
    }

    #[test]
    fn values_without_an_expression_are_refused_naming_those_they_could_be_in() {
        let mixture =
            Mixture { legacy: &[], expressions: &[], with_values: &["FilterExpression", "KeyConditionExpression"] };
        assert_eq!(
            mixture.check(false, true).unwrap_err().message,
            "ExpressionAttributeValues can only be specified when using expressions: FilterExpression is null and \
             KeyConditionExpression is null"
        );
    }
}
