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

/// What is wrong with the form of a value of `ExpressionAttributeValues` is said with its name; what is wrong with its
/// content is not.
const NAMED: &[&str] = &["more than one datatypes", "may not be empty", "should not be empty"];
/// Query, alone, also names a value without a type.
const NAMED_IN_QUERY: &[&str] =
    &["more than one datatypes", "may not be empty", "should not be empty", "Supplied AttributeValue is empty"];

/// The substitutions, their values read.
pub(crate) fn placeholders(names: Option<Names>, values: Option<Values>) -> Result<Placeholders, ServiceError> {
    read_placeholders(names, values, NAMED)
}

/// As [`placeholders`], for Query.
pub(crate) fn placeholders_of_query(
    names: Option<Names>,
    values: Option<Values>,
) -> Result<Placeholders, ServiceError> {
    read_placeholders(names, values, NAMED_IN_QUERY)
}

fn read_placeholders(
    names: Option<Names>,
    values: Option<Values>,
    named: &[&str],
) -> Result<Placeholders, ServiceError> {
    if names.is_none() && values.is_none() {
        return Ok(Placeholders::default());
    }
    let read = |values: Values| values.into_iter().map(|entry| read_value(entry, named)).collect::<Result<Item, _>>();
    Placeholders::new(names, values.map(read).transpose()?)
}

fn read_value(
    (key, value): (String, JsonValue),
    named: &[&str],
) -> Result<(String, cairn_model::AttributeValue), ServiceError> {
    match value.into_value() {
        Ok(value) => Ok((key, value)),
        Err(mut error) => {
            if named.iter().any(|part| error.message.contains(part)) {
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
