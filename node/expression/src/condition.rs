//! Condition and filter expressions.

pub(crate) mod build;
mod parse;

use crate::{Path, Placeholders};
use cairn_model::{AttributeValue, Item, ServiceError, key::SortCondition, number::Number};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

pub(crate) use parse::parse;

/// Which parameter an expression came in; DynamoDB's errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExpressionKind {
    Condition,
    Filter,
}

/// A condition with its names and values in place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Operand, Comparator, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    AttributeExists(Path),
    AttributeNotExists(Path),
    /// The value and the name of the type it must have.
    AttributeType(Operand, String),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operand {
    Value(AttributeValue),
    Path(Path),
    /// `size(…)` of another operand.
    Size(Box<Operand>),
    /// What a condition says, as a boolean: statements compare that too.
    Truth(Box<Condition>),
}

impl Condition {
    pub fn parse(text: &str, kind: ExpressionKind, placeholders: &mut Placeholders) -> Result<Self, ServiceError> {
        let parameter = match kind {
            ExpressionKind::Condition => "ConditionExpression",
            ExpressionKind::Filter => "FilterExpression",
        };
        parse(text, parameter, placeholders)
    }

    /// Whether it holds for an item; without one, no attribute exists.
    pub fn evaluate(&self, item: Option<&Item>) -> bool {
        static NO_ITEM: Item = Item::new();
        self.holds(item.unwrap_or(&NO_ITEM))
    }

    /// Calls `visit` with every path in the condition.
    pub fn for_each_path<'a>(&'a self, visit: &mut dyn FnMut(&'a Path)) {
        match self {
            Self::And(conditions) | Self::Or(conditions) => {
                conditions.iter().for_each(|condition| condition.for_each_path(visit));
            }
            Self::Not(condition) => condition.for_each_path(visit),
            Self::AttributeExists(path) | Self::AttributeNotExists(path) => visit(path),
            Self::AttributeType(operand, _) => operand.for_each_path(visit),
            Self::Compare(left, _, right) | Self::BeginsWith(left, right) | Self::Contains(left, right) => {
                [left, right].into_iter().for_each(|operand| operand.for_each_path(visit));
            }
            Self::Between(operand, low, high) => {
                [operand, low, high].into_iter().for_each(|operand| operand.for_each_path(visit));
            }
            Self::In(operand, candidates) => {
                std::iter::once(operand).chain(candidates).for_each(|operand| operand.for_each_path(visit));
            }
        }
    }

    fn holds(&self, item: &Item) -> bool {
        match self {
            Self::And(conditions) => conditions.iter().all(|condition| condition.holds(item)),
            Self::Or(conditions) => conditions.iter().any(|condition| condition.holds(item)),
            Self::Not(condition) => !condition.holds(item),
            Self::Compare(left, comparator, right) => match (left.value(item), right.value(item)) {
                (Some(left), Some(right)) => comparator.holds(&left, &right),
                // What is not there differs from everything.
                _ => *comparator == Comparator::NotEqual,
            },
            Self::Between(operand, low, high) => match (operand.value(item), low.value(item), high.value(item)) {
                (Some(value), Some(low), Some(high)) => {
                    Comparator::GreaterOrEqual.holds(&value, &low) && Comparator::LessOrEqual.holds(&value, &high)
                }
                _ => false,
            },
            Self::In(operand, candidates) => operand.value(item).is_some_and(|value| {
                candidates.iter().filter_map(|candidate| candidate.value(item)).any(|candidate| candidate == value)
            }),
            Self::AttributeExists(path) => path.get(item).is_some(),
            Self::AttributeNotExists(path) => path.get(item).is_none(),
            Self::AttributeType(operand, name) => {
                operand.value(item).is_some_and(|value| value.type_name() == name.as_str())
            }
            Self::BeginsWith(operand, prefix) => match (operand.value(item), prefix.value(item)) {
                (Some(value), Some(prefix)) => begins_with(&value, &prefix),
                _ => false,
            },
            Self::Contains(operand, sought) => match (operand.value(item), sought.value(item)) {
                (Some(value), Some(sought)) => contains(&value, &sought),
                _ => false,
            },
        }
    }
}

impl Operand {
    fn value<'a>(&'a self, item: &'a Item) -> Option<Cow<'a, AttributeValue>> {
        match self {
            Self::Value(value) => Some(Cow::Borrowed(value)),
            Self::Path(path) => path.get(item).map(Cow::Borrowed),
            Self::Size(operand) => {
                let length = length(operand.value(item)?.as_ref())?;
                Some(Cow::Owned(AttributeValue::N(Number::from(length as u64))))
            }
            Self::Truth(condition) => Some(Cow::Owned(AttributeValue::Bool(condition.holds(item)))),
        }
    }

    fn for_each_path<'a>(&'a self, visit: &mut dyn FnMut(&'a Path)) {
        match self {
            Self::Value(_) => {}
            Self::Path(path) => visit(path),
            Self::Size(operand) => operand.for_each_path(visit),
            Self::Truth(condition) => condition.for_each_path(visit),
        }
    }
}

impl Comparator {
    fn holds(self, left: &AttributeValue, right: &AttributeValue) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => order(left, right).is_some_and(std::cmp::Ordering::is_lt),
            Self::LessOrEqual => order(left, right).is_some_and(std::cmp::Ordering::is_le),
            Self::Greater => order(left, right).is_some_and(std::cmp::Ordering::is_gt),
            Self::GreaterOrEqual => order(left, right).is_some_and(std::cmp::Ordering::is_ge),
        }
    }

    /// The one that holds with its operands exchanged.
    pub(crate) fn mirrored(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }

    /// What it asks of a sort key; none where a range of keys can't answer it.
    pub(crate) fn on_sort_key(self, value: AttributeValue) -> Option<SortCondition> {
        Some(match self {
            Self::Equal => SortCondition::Equal(value),
            Self::Less => SortCondition::Less(value),
            Self::LessOrEqual => SortCondition::LessOrEqual(value),
            Self::Greater => SortCondition::Greater(value),
            Self::GreaterOrEqual => SortCondition::GreaterOrEqual(value),
            Self::NotEqual => return None,
        })
    }

    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// The order of two values of one ordered type: strings and binaries by unsigned bytes, numbers by value.
pub(crate) fn order(left: &AttributeValue, right: &AttributeValue) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (AttributeValue::S(left), AttributeValue::S(right)) => Some(left.cmp(right)),
        (AttributeValue::N(left), AttributeValue::N(right)) => Some(left.cmp(right)),
        (AttributeValue::B(left), AttributeValue::B(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn begins_with(value: &AttributeValue, prefix: &AttributeValue) -> bool {
    match (value, prefix) {
        (AttributeValue::S(text), AttributeValue::S(prefix)) => text.starts_with(prefix.as_str()),
        (AttributeValue::B(bytes), AttributeValue::B(prefix)) => bytes.starts_with(prefix),
        _ => false,
    }
}

fn contains(value: &AttributeValue, sought: &AttributeValue) -> bool {
    match (value, sought) {
        (AttributeValue::S(text), AttributeValue::S(part)) => text.contains(part.as_str()),
        (AttributeValue::B(bytes), AttributeValue::B(part)) => contains_bytes(bytes, part),
        (AttributeValue::L(list), sought) => list.contains(sought),
        (AttributeValue::Ss(set), AttributeValue::S(member)) => set.binary_search(member).is_ok(),
        (AttributeValue::Ns(set), AttributeValue::N(member)) => set.binary_search(member).is_ok(),
        (AttributeValue::Bs(set), AttributeValue::B(member)) => set.binary_search(member).is_ok(),
        _ => false,
    }
}

/// Both can have 400 KB: comparing at every place could take minutes.
fn contains_bytes(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

/// What `size` gives: UTF-16 units of a string, bytes, elements; none for what has no size.
fn length(value: &AttributeValue) -> Option<usize> {
    match value {
        AttributeValue::S(text) => Some(text.encode_utf16().count()),
        AttributeValue::B(bytes) => Some(bytes.len()),
        AttributeValue::M(map) => Some(map.len()),
        AttributeValue::L(list) => Some(list.len()),
        AttributeValue::Ss(set) => Some(set.len()),
        AttributeValue::Ns(set) => Some(set.len()),
        AttributeValue::Bs(set) => Some(set.len()),
        AttributeValue::N(_) | AttributeValue::Bool(_) | AttributeValue::Null => None,
    }
}

#[cfg(test)]
mod tests;
