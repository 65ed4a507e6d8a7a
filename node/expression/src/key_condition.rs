//! Key condition expressions.

use crate::{Comparator, Condition, Operand, Path, Placeholders, condition::parse, parser::invalid};
use cairn_model::{
    AttributeValue, ServiceError,
    key::{EncodedKey, SortCondition},
    keys::Keys,
    table::KeyAttribute,
};

const PARAMETER: &str = "KeyConditionExpression";

/// What a Query asks of the keys of a table, or of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyCondition {
    /// What each attribute of the partition key equals.
    pub partition: Vec<AttributeValue>,
    /// What the first attributes of the sort key equal: those before the last that is asked of anything.
    pub equal: Vec<AttributeValue>,
    /// What is asked of the attribute behind those.
    pub sort: Option<SortCondition>,
}

impl KeyCondition {
    pub fn parse(text: &str, keys: Keys<'_>, placeholders: &mut Placeholders) -> Result<Self, ServiceError> {
        let mut clauses = Vec::new();
        collect(parse(text, PARAMETER, placeholders)?, &mut clauses)?;
        Self::bind(clauses, keys)
    }

    /// What is wrong with an expression whatever the keys are: it is told before there is found to be no table.
    pub fn check(text: &str, placeholders: &mut Placeholders) -> Result<(), ServiceError> {
        collect(parse(text, PARAMETER, placeholders)?, &mut Vec::new())
    }

    /// Finds which clause is for which key attribute, and checks their values' types.
    pub(crate) fn bind(mut clauses: Vec<Clause>, keys: Keys<'_>) -> Result<Self, ServiceError> {
        let defined = keys.count();
        if clauses.len() > defined {
            return Err(ServiceError::validation(format!(
                "The number of query conditions ({}) exceeds the number of key attributes defined in the schema ({defined})",
                clauses.len()
            )));
        }
        check_partition(&clauses, keys)?;
        let mut take = |attribute: &KeyAttribute| {
            let found = clauses.iter().position(|clause| clause.name == attribute.name);
            found.map(|at| clauses.swap_remove(at).condition)
        };
        let mut partition = Vec::with_capacity(keys.partition.len());
        for attribute in keys.partition {
            let Some(SortCondition::Equal(value)) = take(attribute) else { return Err(unsupported_condition()) };
            check_value(attribute, &value)?;
            EncodedKey::check_partition(attribute, &value)?;
            partition.push(value);
        }
        let mut sort: Vec<_> = keys.sort.iter().map(&mut take).collect();
        if !clauses.is_empty() {
            let unasked = keys.sort.iter().zip(&sort).find(|(_, condition)| condition.is_none());
            return Err(unasked.map_or_else(unsupported_condition, |(attribute, _)| missed(attribute)));
        }
        check_without_gaps(keys.sort, &sort)?;
        for (attribute, condition) in keys.sort.iter().zip(&sort) {
            condition.iter().flat_map(SortCondition::values).try_for_each(|value| {
                check_value(attribute, value)?;
                EncodedKey::check_sort(attribute, value)
            })?;
        }
        sort.truncate(sort.iter().take_while(|condition| condition.is_some()).count());
        let last = sort.pop().flatten();
        let equal = sort.into_iter().filter_map(|condition| match condition {
            Some(SortCondition::Equal(value)) => Some(value),
            _ => None,
        });
        Ok(Self { partition, equal: equal.collect(), sort: last })
    }
}

/// Every attribute of the partition key must be said to equal something. DynamoDB has other words where keys have several attributes
/// of a kind.
fn check_partition(clauses: &[Clause], keys: Keys<'_>) -> Result<(), ServiceError> {
    let condition = |attribute: &KeyAttribute| {
        clauses.iter().find(|clause| clause.name == attribute.name).map(|clause| &clause.condition)
    };
    let unequal = |attribute: &&KeyAttribute| !matches!(condition(attribute), Some(SortCondition::Equal(_)));
    let lacking: Vec<&KeyAttribute> = keys.partition.iter().filter(unequal).collect();
    match lacking.first() {
        None => Ok(()),
        Some(_) if keys.are_several() => Err(ServiceError::validation(format!(
            "HASH key attributes {} must have equality conditions specified in the query",
            names(&lacking)
        ))),
        Some(attribute) if condition(attribute).is_some() => Err(unsupported_condition()),
        Some(attribute) => Err(missed(attribute)),
    }
}

/// Of the sort key's attributes one may be asked something only if all before it are said to equal something.
fn check_without_gaps(attributes: &[KeyAttribute], conditions: &[Option<SortCondition>]) -> Result<(), ServiceError> {
    let mut lacking: Vec<&KeyAttribute> = Vec::new();
    for (attribute, condition) in attributes.iter().zip(conditions) {
        if condition.is_some() && !lacking.is_empty() {
            return Err(ServiceError::validation(format!(
                "RANGE key attributes {} must have equality conditions specified in the query because a condition is present \
                 on key attribute {}",
                names(&lacking),
                attribute.name
            )));
        }
        if !matches!(condition, Some(SortCondition::Equal(_))) {
            lacking.push(attribute);
        }
    }
    Ok(())
}

fn names(attributes: &[&KeyAttribute]) -> String {
    let names: Vec<&str> = attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    names.join(", ")
}

fn missed(attribute: &KeyAttribute) -> ServiceError {
    ServiceError::validation(format!("Query condition missed key schema element: {}", attribute.name))
}

fn unsupported_condition() -> ServiceError {
    ServiceError::validation("Query key condition not supported")
}

/// A condition on one key attribute.
pub(crate) struct Clause {
    pub(crate) name: String,
    pub(crate) condition: SortCondition,
}

fn check_value(attribute: &KeyAttribute, value: &AttributeValue) -> Result<(), ServiceError> {
    if attribute.scalar_type.is_type_of(value) {
        return Ok(());
    }
    Err(ServiceError::validation(
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    ))
}

fn collect(condition: Condition, clauses: &mut Vec<Clause>) -> Result<(), ServiceError> {
    let clause = match condition {
        Condition::And(conditions) => {
            return conditions.into_iter().try_for_each(|condition| collect(condition, clauses));
        }
        Condition::Or(_) => return unsupported("OR"),
        Condition::Not(_) => return unsupported("NOT"),
        Condition::In(..) => return unsupported("IN"),
        Condition::AttributeExists(_) => return unsupported("attribute_exists"),
        Condition::AttributeNotExists(_) => return unsupported("attribute_not_exists"),
        Condition::AttributeType(..) => return unsupported("attribute_type"),
        Condition::Contains(..) => return unsupported("contains"),
        Condition::Compare(_, Comparator::NotEqual, _) => return unsupported("<>"),
        Condition::Compare(left, comparator, right) => {
            let (path, comparator, operand) = match (left, right) {
                (Operand::Path(_), Operand::Path(_)) => return several_names(),
                (Operand::Path(path), operand) => (path, comparator, operand),
                (operand, Operand::Path(path)) => (path, comparator.mirrored(), operand),
                (left, right) => {
                    value(left)?;
                    value(right)?;
                    return no_key();
                }
            };
            let name = key_name(path)?;
            let Some(condition) = comparator.on_sort_key(value(operand)?) else { return unsupported("<>") };
            Clause { name, condition }
        }
        Condition::Between(operand, low, high) => {
            let name = first_operand("BETWEEN", operand)?;
            Clause { name, condition: SortCondition::Between(value(low)?, value(high)?) }
        }
        Condition::BeginsWith(operand, prefix) => {
            let name = first_operand("begins_with", operand)?;
            Clause { name, condition: SortCondition::BeginsWith(value(prefix)?) }
        }
    };
    if clauses.iter().any(|before| before.name == clause.name) {
        return Err(invalid(PARAMETER, "KeyConditionExpressions must only contain one condition per key"));
    }
    clauses.push(clause);
    Ok(())
}

fn first_operand(operator: &str, operand: Operand) -> Result<String, ServiceError> {
    match operand {
        Operand::Path(path) => key_name(path),
        Operand::Size(_) | Operand::Truth(_) => nested_operation(),
        Operand::Value(_) => Err(invalid(
            PARAMETER,
            &format!(
                "Invalid condition in KeyConditionExpression: {operator} operator must have the key attribute as its first operand"
            ),
        )),
    }
}

fn key_name(path: Path) -> Result<String, ServiceError> {
    if path.rest().is_empty() {
        return Ok(path.name().to_owned());
    }
    Err(invalid(PARAMETER, "KeyConditionExpressions cannot have conditions on nested attributes"))
}

fn value(operand: Operand) -> Result<AttributeValue, ServiceError> {
    match operand {
        Operand::Value(value) => Ok(value),
        Operand::Path(_) => several_names(),
        Operand::Size(_) | Operand::Truth(_) => nested_operation(),
    }
}

fn several_names<T>() -> Result<T, ServiceError> {
    Err(invalid(
        PARAMETER,
        "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
    ))
}

fn no_key<T>() -> Result<T, ServiceError> {
    Err(invalid(PARAMETER, "Invalid condition in KeyConditionExpression: No key attribute specified"))
}

fn nested_operation<T>() -> Result<T, ServiceError> {
    Err(invalid(PARAMETER, "KeyConditionExpressions cannot contain nested operations"))
}

fn unsupported(operator: &str) -> Result<(), ServiceError> {
    Err(invalid(PARAMETER, &format!("Invalid operator used in KeyConditionExpression: {operator}")))
}

#[cfg(test)]
mod tests;
