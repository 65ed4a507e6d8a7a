//! Key condition expressions.

use crate::{Comparator, Condition, Operand, Path, Placeholders, condition::parse, parser::invalid};
use cairn_model::{
    AttributeValue, KeySchema, ServiceError,
    key::{EncodedKey, SortCondition},
    table::KeyAttribute,
};

const PARAMETER: &str = "KeyConditionExpression";

/// What a Query asks of its table's keys.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyCondition {
    pub partition: AttributeValue,
    pub sort: Option<SortCondition>,
}

impl KeyCondition {
    pub fn parse(text: &str, schema: &KeySchema, placeholders: &mut Placeholders) -> Result<Self, ServiceError> {
        let mut clauses = Vec::new();
        collect(parse(text, PARAMETER, placeholders)?, &mut clauses)?;
        Self::bind(clauses, schema)
    }

    /// What is wrong with an expression whatever the keys are: it is told before there is found to be no table.
    pub fn check(text: &str, placeholders: &mut Placeholders) -> Result<(), ServiceError> {
        collect(parse(text, PARAMETER, placeholders)?, &mut Vec::new())
    }

    /// Finds which clause is for which key attribute, and checks their values' types.
    pub(crate) fn bind(mut clauses: Vec<Clause>, schema: &KeySchema) -> Result<Self, ServiceError> {
        let defined = 1 + usize::from(schema.sort.is_some());
        if clauses.len() > defined {
            return Err(ServiceError::validation(format!(
                "The number of query conditions ({}) exceeds the number of key attributes defined in the schema ({defined})",
                clauses.len()
            )));
        }
        let missed = |attribute: &KeyAttribute| {
            ServiceError::validation(format!("Query condition missed key schema element: {}", attribute.name))
        };
        let of_partition = clauses
            .iter()
            .position(|clause| clause.name == schema.partition.name)
            .ok_or_else(|| missed(&schema.partition))?;
        let partition = clauses.swap_remove(of_partition);
        let SortCondition::Equal(value) = &partition.condition else {
            return Err(ServiceError::validation("Query key condition not supported"));
        };
        check_value(&schema.partition, value)?;
        EncodedKey::check_partition(&schema.partition, value)?;
        let sort = match (clauses.pop(), &schema.sort) {
            (Some(clause), Some(attribute)) => {
                if clause.name != attribute.name {
                    return Err(missed(attribute));
                }
                clause.condition.values().try_for_each(|value| {
                    check_value(attribute, value)?;
                    EncodedKey::check_sort(attribute, value)
                })?;
                Some(clause.condition)
            }
            _ => None,
        };
        let SortCondition::Equal(partition) = partition.condition else {
            return Err(ServiceError::validation("Query key condition not supported"));
        };
        Ok(Self { partition, sort })
    }
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
        Operand::Size(_) => nested_operation(),
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
        Operand::Size(_) => nested_operation(),
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
