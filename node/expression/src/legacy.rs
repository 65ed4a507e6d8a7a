//! The parameters that expressions replaced (`Expected`, `AttributeUpdates`, `KeyConditions`, `QueryFilter`,
//! `ScanFilter`, `AttributesToGet`), made into the same conditions, updates and projections.

use crate::{
    Action, Comparator, Condition, KeyCondition, Operand, Path, Projection, Update, Value, condition::order,
    key_condition::Clause,
};
use cairn_model::{AttributeValue, ServiceError, key::SortCondition, keys::Keys, limits::ATTRIBUTE_NAME_BYTES_MAX};
use std::{collections::BTreeMap, str::FromStr};

const INVALID: &str = "One or more parameter values were invalid:";

/// What is compared how, in DynamoDB's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComparisonOperator {
    Eq,
    Ne,
    Le,
    Lt,
    Ge,
    Gt,
    NotNull,
    Null,
    Contains,
    NotContains,
    BeginsWith,
    In,
    Between,
}

/// `ConditionalOperator`: how several conditions are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConditionalOperator {
    #[default]
    And,
    Or,
}

/// One entry of `KeyConditions`, `QueryFilter` or `ScanFilter`.
#[derive(Clone, Debug, PartialEq)]
pub struct LegacyCondition {
    pub operator: ComparisonOperator,
    pub values: Vec<AttributeValue>,
}

/// One entry of `Expected`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectedValue {
    pub value: Option<AttributeValue>,
    pub exists: Option<bool>,
    pub operator: Option<ComparisonOperator>,
    pub values: Option<Vec<AttributeValue>>,
}

/// What an entry of `AttributeUpdates` does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateAction {
    #[default]
    Put,
    Add,
    Delete,
}

/// One entry of `AttributeUpdates`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttributeUpdate {
    pub action: UpdateAction,
    pub value: Option<AttributeValue>,
}

/// The condition of `Expected`.
pub fn expected(
    expected: BTreeMap<String, ExpectedValue>,
    operator: ConditionalOperator,
) -> Result<Condition, ServiceError> {
    check_names(expected.keys())?;
    let conditions: Result<_, _> = expected.into_iter().map(|(name, expected)| expected_one(name, expected)).collect();
    Ok(join(conditions?, operator))
}

/// The condition of `QueryFilter` or `ScanFilter`.
pub fn filter(
    conditions: BTreeMap<String, LegacyCondition>,
    operator: ConditionalOperator,
) -> Result<Condition, ServiceError> {
    check_lengths(conditions.keys())?;
    let conditions: Result<_, _> = conditions
        .into_iter()
        .map(|(name, LegacyCondition { operator, values })| {
            check_values(operator, &values)?;
            Ok(condition(name, operator, values))
        })
        .collect::<Result<_, ServiceError>>();
    Ok(join(conditions?, operator))
}

/// The key condition of `KeyConditions`.
pub fn key_conditions(
    conditions: BTreeMap<String, LegacyCondition>,
    keys: Keys<'_>,
) -> Result<KeyCondition, ServiceError> {
    use ComparisonOperator::{BeginsWith, Between, Eq, Ge, Gt, Le, Lt};
    if conditions.is_empty() || (conditions.len() > 2 && !keys.are_several()) {
        return Err(ServiceError::validation("Conditions can be of length 1 or 2 only"));
    }
    let mut clauses = Vec::with_capacity(conditions.len());
    for (name, LegacyCondition { operator, values }) in conditions {
        check_values(operator, &values)?;
        let mut values = values.into_iter();
        let condition = match (operator, values.next(), values.next()) {
            (Between, Some(low), Some(high)) => SortCondition::Between(low, high),
            (Eq, Some(value), _) => SortCondition::Equal(value),
            (Le, Some(value), _) => SortCondition::LessOrEqual(value),
            (Lt, Some(value), _) => SortCondition::Less(value),
            (Ge, Some(value), _) => SortCondition::GreaterOrEqual(value),
            (Gt, Some(value), _) => SortCondition::Greater(value),
            (BeginsWith, Some(value), _) => SortCondition::BeginsWith(value),
            _ => {
                return Err(ServiceError::validation("Attempted conditional constraint is not an indexable operation"));
            }
        };
        clauses.push(Clause { name, condition });
    }
    KeyCondition::bind(clauses, keys)
}

/// The update of `AttributeUpdates`.
pub fn attribute_updates(updates: BTreeMap<String, AttributeUpdate>) -> Result<Update, ServiceError> {
    check_names(updates.keys())?;
    let actions: Result<_, _> = updates.into_iter().map(|(name, update)| update_one(name, update)).collect();
    Ok(Update::of_attribute_updates(actions?))
}

/// The projection of `AttributesToGet`: top-level attributes, their names taken as they are.
pub fn attributes_to_get(names: Vec<String>) -> Result<Projection, ServiceError> {
    check_names(&names)?;
    let duplicate = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
    match duplicate {
        Some((_, name)) => {
            Err(ServiceError::validation(format!("{INVALID} Duplicate value in attribute name: {name}")))
        }
        None => Ok(Projection::of_names(names)),
    }
}

fn check_names<'n>(names: impl IntoIterator<Item = &'n String> + Clone) -> Result<(), ServiceError> {
    if names.clone().into_iter().any(String::is_empty) {
        return Err(ServiceError::validation("Empty attribute name"));
    }
    check_lengths(names)
}

/// The limit is that of every name; the words are DynamoDB's where a name is given as it is.
fn check_lengths<'n>(names: impl IntoIterator<Item = &'n String>) -> Result<(), ServiceError> {
    match names.into_iter().any(|name| name.len() > ATTRIBUTE_NAME_BYTES_MAX) {
        true => Err(ServiceError::validation(format!(
            "Attribute name is too large, must be less than {} bytes",
            ATTRIBUTE_NAME_BYTES_MAX + 1
        ))),
        false => Ok(()),
    }
}

fn join(mut conditions: Vec<Condition>, operator: ConditionalOperator) -> Condition {
    match (conditions.len(), operator) {
        (1, _) => conditions.remove(0),
        (_, ConditionalOperator::And) => Condition::And(conditions),
        (_, ConditionalOperator::Or) => Condition::Or(conditions),
    }
}

fn expected_one(name: String, expected: ExpectedValue) -> Result<Condition, ServiceError> {
    let fail = |problem: String| Err(ServiceError::validation(format!("{INVALID} {problem} for Attribute: {name}")));
    let ExpectedValue { value, exists, operator, values } = expected;
    if value.is_some() && values.is_some() {
        return fail("Value and AttributeValueList cannot be used together".to_owned());
    }
    let Some(operator) = operator else {
        return match (values, exists, value) {
            (Some(_), ..) => fail("AttributeValueList can only be used with a ComparisonOperator".to_owned()),
            (_, Some(false), Some(_)) => fail("Value cannot be used when Exists is false".to_owned()),
            (_, Some(false), None) => Ok(Condition::AttributeNotExists(Path::new(name))),
            (_, Some(true), None) => fail("Value must be provided when Exists is true".to_owned()),
            (_, None, None) => fail("Value must be provided when Exists is null".to_owned()),
            (_, _, Some(value)) => Ok(condition(name, ComparisonOperator::Eq, vec![value])),
        };
    };
    if exists.is_some() {
        return fail("Exists and ComparisonOperator cannot be used together".to_owned());
    }
    let takes_none = matches!(operator, ComparisonOperator::Null | ComparisonOperator::NotNull);
    if value.is_none() && values.is_none() && !takes_none {
        return fail(format!("Value or AttributeValueList must be used with ComparisonOperator: {}", operator.name()));
    }
    let values = values.unwrap_or_else(|| value.into_iter().collect());
    check_values(operator, &values)?;
    Ok(condition(name, operator, values))
}

fn update_one(name: String, update: AttributeUpdate) -> Result<Action, ServiceError> {
    use AttributeValue::{Bs, L, N, Ns, Ss};
    let path = Path::new(name);
    let unsupported = |action: &str, value: &AttributeValue| {
        Err(ServiceError::validation(format!("{INVALID} {action} is not supported for the type {}", value.type_name())))
    };
    match (update.action, update.value) {
        (UpdateAction::Delete, None) => Ok(Action::Remove(path)),
        (_, None) => Err(ServiceError::validation(format!(
            "{INVALID} Only DELETE action is allowed when no attribute value is specified"
        ))),
        (UpdateAction::Put, Some(value)) => Ok(Action::Set(path, Value::Literal(value))),
        (UpdateAction::Add, Some(value @ (N(_) | Ss(_) | Ns(_) | Bs(_) | L(_)))) => Ok(Action::Add(path, value)),
        (UpdateAction::Delete, Some(value @ (Ss(_) | Ns(_) | Bs(_)))) => Ok(Action::Delete(path, value)),
        (UpdateAction::Add, Some(value)) => unsupported("ADD action", &value),
        (UpdateAction::Delete, Some(value)) => unsupported("DELETE action with value", &value),
    }
}

/// Checks how many values an operator has, and of which types.
fn check_values(operator: ComparisonOperator, values: &[AttributeValue]) -> Result<(), ServiceError> {
    use ComparisonOperator::{BeginsWith, Between, Eq, In, Ne, NotNull, Null};
    let name = operator.name();
    let count_fits = match operator {
        Null | NotNull => values.is_empty(),
        In => !values.is_empty(),
        Between => values.len() == 2,
        _ => values.len() == 1,
    };
    if !count_fits {
        return Err(ServiceError::validation(format!(
            "{INVALID} Invalid number of argument(s) for the {name} ComparisonOperator"
        )));
    }
    let type_fits = |value: &&AttributeValue| match operator {
        Eq | Ne => true,
        BeginsWith => matches!(value, AttributeValue::S(_) | AttributeValue::B(_)),
        _ => matches!(value, AttributeValue::S(_) | AttributeValue::N(_) | AttributeValue::B(_)),
    };
    if let Some(value) = values.iter().find(|value| !type_fits(value)) {
        return Err(ServiceError::validation(format!(
            "{INVALID} ComparisonOperator {name} is not valid for {} AttributeValue type",
            value.type_name()
        )));
    }
    if values.windows(2).any(|pair| pair[0].type_name() != pair[1].type_name()) {
        return Err(ServiceError::validation(format!(
            "{INVALID} AttributeValues inside AttributeValueList must be of same type"
        )));
    }
    if let (Between, [low, high]) = (operator, values)
        && order(low, high).is_some_and(std::cmp::Ordering::is_gt)
    {
        return Err(ServiceError::validation(
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
        ));
    }
    Ok(())
}

/// A condition whose values have been checked.
fn condition(name: String, operator: ComparisonOperator, values: Vec<AttributeValue>) -> Condition {
    use ComparisonOperator::{BeginsWith, Between, Contains, Eq, Ge, Gt, In, Le, Lt, Ne, NotContains, NotNull, Null};
    let path = Path::new(name);
    let mut values = values.into_iter().map(Operand::Value);
    let comparator = match operator {
        Null => return Condition::AttributeNotExists(path),
        NotNull => return Condition::AttributeExists(path),
        In => return Condition::In(Operand::Path(path), values.collect()),
        Eq => Some(Comparator::Equal),
        Ne => Some(Comparator::NotEqual),
        Le => Some(Comparator::LessOrEqual),
        Lt => Some(Comparator::Less),
        Ge => Some(Comparator::GreaterOrEqual),
        Gt => Some(Comparator::Greater),
        Contains | NotContains | BeginsWith | Between => None,
    };
    let operand = Operand::Path(path.clone());
    let mut next = || values.next().unwrap_or(Operand::Value(AttributeValue::Null));
    match (comparator, operator) {
        (Some(comparator), _) => Condition::Compare(operand, comparator, next()),
        (None, Between) => Condition::Between(operand, next(), next()),
        (None, BeginsWith) => Condition::BeginsWith(operand, next()),
        // Of an attribute that is not there, neither this nor its opposite holds.
        (None, NotContains) => Condition::And(vec![
            Condition::AttributeExists(path),
            Condition::Not(Box::new(Condition::Contains(operand, next()))),
        ]),
        (None, _) => Condition::Contains(operand, next()),
    }
}

impl ComparisonOperator {
    const ALL: [(Self, &str); 13] = [
        (Self::Eq, "EQ"),
        (Self::Ne, "NE"),
        (Self::Le, "LE"),
        (Self::Lt, "LT"),
        (Self::Ge, "GE"),
        (Self::Gt, "GT"),
        (Self::NotNull, "NOT_NULL"),
        (Self::Null, "NULL"),
        (Self::Contains, "CONTAINS"),
        (Self::NotContains, "NOT_CONTAINS"),
        (Self::BeginsWith, "BEGINS_WITH"),
        (Self::In, "IN"),
        (Self::Between, "BETWEEN"),
    ];

    /// DynamoDB's name of it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(operator, _)| *operator == self).map_or("", |(_, name)| name)
    }
}

/// The text is none of DynamoDB's operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the comparison operator is not known")]
pub struct UnknownOperator;

impl FromStr for ComparisonOperator {
    type Err = UnknownOperator;

    fn from_str(text: &str) -> Result<Self, UnknownOperator> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(operator, _)| *operator).ok_or(UnknownOperator)
    }
}

#[cfg(test)]
mod tests;
