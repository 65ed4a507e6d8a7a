//! What a condition says about a key attribute, and the item that a write's WHERE clause names.

use super::Insert;
use crate::{Comparator, Condition, Operand, Path};
use cairn_model::{AttributeValue, Item, KeySchema, ServiceError, key::SortCondition, table::KeyAttribute};

/// The one item that an UPDATE or a DELETE writes.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteKey {
    pub key: Item,
    /// What is left to ask of the item.
    pub condition: Option<Condition>,
}

impl WriteKey {
    /// Refuses two values for one key.
    pub fn of(condition: Option<Condition>, schema: &KeySchema) -> Result<Self, ServiceError> {
        Self::named_by(condition, schema, |attribute| {
            Err(ServiceError::validation(format!(
                "Multiple conditions on same key {}. Only single item Update/Insert/Delete are supported",
                attribute.name
            )))
        })
    }

    /// Of an item that is only looked at: the first value for a key counts, and another is asked of the item, which can't have it
    /// (measured of EXISTS).
    pub fn of_check(condition: Option<Condition>, schema: &KeySchema) -> Result<Self, ServiceError> {
        Self::named_by(condition, schema, |_| Ok(()))
    }

    fn named_by(
        condition: Option<Condition>,
        schema: &KeySchema,
        another_value: impl Fn(&KeyAttribute) -> Result<(), ServiceError>,
    ) -> Result<Self, ServiceError> {
        let mut conjuncts = conjuncts(condition);
        let mut key = Item::new();
        for attribute in std::iter::once(&schema.partition).chain(&schema.sort) {
            let mut rest = Vec::with_capacity(conjuncts.len());
            for conjunct in conjuncts {
                let Some((Comparator::Equal, value)) = compared(&conjunct, &attribute.name) else {
                    rest.push(conjunct);
                    continue;
                };
                check_type(attribute, value)?;
                match key.get(&attribute.name) {
                    None => {
                        key.insert(attribute.name.clone(), value.clone());
                    }
                    Some(first) if first == value => {}
                    Some(_) => {
                        another_value(attribute)?;
                        rest.push(conjunct);
                    }
                }
            }
            conjuncts = rest;
            if !key.contains_key(&attribute.name) {
                return Err(ServiceError::validation(
                    "Where clause does not contain a mandatory equality on all key attributes",
                ));
            }
        }
        Ok(Self { key, condition: joined(conjuncts) })
    }
}

impl Insert {
    /// PartiQL has its own words for a key attribute of another type, before those of PutItem.
    pub fn check_key_types(&self, schema: &KeySchema) -> Result<(), ServiceError> {
        let mut attributes = std::iter::once(&schema.partition).chain(&schema.sort);
        attributes.try_for_each(|attribute| match self.item.get(&attribute.name) {
            Some(value) if !attribute.scalar_type.is_type_of(value) => Err(other_type(attribute)),
            _ => Ok(()),
        })
    }
}

/// The conditions that must all hold.
fn conjuncts(condition: Option<Condition>) -> Vec<Condition> {
    // Parsing bounds how deep they lie.
    match condition {
        None => Vec::new(),
        Some(Condition::And(conditions)) => {
            conditions.into_iter().flat_map(|condition| conjuncts(Some(condition))).collect()
        }
        Some(condition) => vec![condition],
    }
}

pub(super) fn joined(mut conjuncts: Vec<Condition>) -> Option<Condition> {
    match conjuncts.len() {
        0 | 1 => conjuncts.pop(),
        _ => Some(Condition::And(conjuncts)),
    }
}

pub(super) fn is_attribute(path: &Path, name: &str) -> bool {
    path.name() == name && path.rest().is_empty()
}

/// How a condition compares this attribute with a value, whichever stands first.
fn compared<'c>(condition: &'c Condition, name: &str) -> Option<(Comparator, &'c AttributeValue)> {
    match condition {
        Condition::Compare(Operand::Path(path), comparator, Operand::Value(value)) if is_attribute(path, name) => {
            Some((*comparator, value))
        }
        Condition::Compare(Operand::Value(value), comparator, Operand::Path(path)) if is_attribute(path, name) => {
            Some((comparator.mirrored(), value))
        }
        _ => None,
    }
}

/// The candidates of an IN of this attribute, where they are values.
fn listed<'c>(condition: &'c Condition, name: &str) -> Option<Vec<&'c AttributeValue>> {
    match condition {
        Condition::In(Operand::Path(path), candidates) if is_attribute(path, name) => {
            let value = |operand: &'c Operand| match operand {
                Operand::Value(value) => Some(value),
                _ => None,
            };
            candidates.iter().map(value).collect()
        }
        _ => None,
    }
}

/// The values that it says the attribute equals, one of them.
pub(super) fn named<'c>(condition: &'c Condition, name: &str) -> Option<Vec<&'c AttributeValue>> {
    match compared(condition, name) {
        Some((Comparator::Equal, value)) => Some(vec![value]),
        _ => listed(condition, name),
    }
}

/// What it says of this attribute in the words of conditions on a sort key: one of them holds. None where it says something else.
pub(super) fn on_sort_key(condition: &Condition, name: &str) -> Option<Vec<SortCondition>> {
    let found = match condition {
        Condition::Compare(..) => {
            compared(condition, name).and_then(|(comparator, value)| comparator.on_sort_key(value.clone()))
        }
        Condition::Between(Operand::Path(path), Operand::Value(low), Operand::Value(high))
            if is_attribute(path, name) =>
        {
            Some(SortCondition::Between(low.clone(), high.clone()))
        }
        Condition::BeginsWith(Operand::Path(path), Operand::Value(prefix)) if is_attribute(path, name) => {
            Some(SortCondition::BeginsWith(prefix.clone()))
        }
        _ => {
            let values = listed(condition, name)?;
            return Some(values.into_iter().cloned().map(SortCondition::Equal).collect());
        }
    };
    found.map(|condition| vec![condition])
}

/// Whether a condition asks anything of this attribute.
pub(super) fn asks_of(condition: &Condition, name: &str) -> bool {
    let mut of_attribute = false;
    condition.for_each_path(&mut |path| of_attribute |= path.name() == name);
    of_attribute
}

pub(super) fn check_type(attribute: &KeyAttribute, value: &AttributeValue) -> Result<(), ServiceError> {
    if attribute.scalar_type.is_type_of(value) {
        return Ok(());
    }
    Err(match value {
        AttributeValue::S(_) | AttributeValue::N(_) | AttributeValue::B(_) => other_type(attribute),
        _ => ServiceError::validation(format!(
            "Key value must be of type S, N, or B. Key name: {}, Key type: {}",
            attribute.name,
            value.type_name()
        )),
    })
}

fn other_type(attribute: &KeyAttribute) -> ServiceError {
    ServiceError::validation(format!(
        "Key attribute's data type should match its data type in table's schema: Key {}",
        attribute.name
    ))
}
