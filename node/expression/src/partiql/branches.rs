//! The branches of a WHERE clause: what each way for it to hold says of keys, and what it asks besides.

use super::keys::{asks_of, check_type, named, on_sort_key};
use crate::{Comparator, Condition};
use cairn_model::{
    AttributeValue, KeySchema, ServiceError,
    key::{EncodedKey, SortCondition},
    limits::STATEMENT_READS_MAX,
};
use std::sync::Arc;

/// One way for a condition to hold. A condition holds where one of its branches does. What it says may be large, and others say it too:
/// they share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Branch<'c> {
    /// What the partition key is said to equal, each value once: several fit no key.
    pub(super) partitions: Vec<&'c AttributeValue>,
    /// What is said of the sort key, all of which holds.
    pub(super) sort: Vec<Arc<SortCondition>>,
    /// What is asked besides, all of which holds.
    pub(super) rest: Vec<Arc<Condition>>,
    /// Whether it may read what another branch reads: it says of the sort key what that is not, and DynamoDB leaves it aside where
    /// it looks for overlaps.
    pub(super) may_overlap: bool,
}

/// Whether a condition holds only of items with one of the partition keys that it names.
pub(super) fn names_partitions(condition: &Condition, schema: &KeySchema) -> bool {
    let names = |condition| names_partitions(condition, schema);
    match condition {
        Condition::And(parts) => parts.iter().any(names),
        Condition::Or(parts) => parts.iter().all(names),
        other => named(other, &schema.partition.name).is_some(),
    }
}

/// Refuses values that no partition key has, wherever a condition that may hold names them: DynamoDB looks at their types though
/// it reads everything.
pub(super) fn check_partition_types(condition: &Condition, schema: &KeySchema) -> Result<(), ServiceError> {
    match condition {
        Condition::And(parts) | Condition::Or(parts) => {
            parts.iter().try_for_each(|part| check_partition_types(part, schema))
        }
        other => {
            let mut named = named(other, &schema.partition.name).into_iter().flatten();
            named.try_for_each(|value| check_type(&schema.partition, value))
        }
    }
}

impl<'c> Branch<'c> {
    /// The branches of a condition that [`names_partitions`], as many as a statement may be reads.
    pub(super) fn all_of(condition: &'c Condition, schema: &KeySchema) -> Result<Vec<Self>, ServiceError> {
        let branches = branches(condition, schema)?;
        check_count(branches.len())?;
        Ok(branches)
    }

    fn of_partition(value: &'c AttributeValue, schema: &KeySchema) -> Result<Self, ServiceError> {
        EncodedKey::check_partition(&schema.partition, value)?;
        Ok(Self { partitions: vec![value], ..Self::default() })
    }

    fn of_sort_key(condition: SortCondition) -> Self {
        Self { sort: vec![Arc::new(condition)], ..Self::default() }
    }

    fn of_others(condition: &Condition, schema: &KeySchema) -> Self {
        let may_overlap = schema.sort.as_ref().is_some_and(|attribute| is_left_aside(condition, &attribute.name));
        Self { rest: vec![Arc::new(condition.clone())], may_overlap, ..Self::default() }
    }

    /// Both hold. Said twice is said once.
    fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        extend(&mut both.partitions, &other.partitions);
        extend(&mut both.sort, &other.sort);
        extend(&mut both.rest, &other.rest);
        both.may_overlap |= other.may_overlap;
        both
    }
}

/// Parsing bounds how deep conditions lie.
fn branches<'c>(condition: &'c Condition, schema: &KeySchema) -> Result<Vec<Branch<'c>>, ServiceError> {
    if let Some(values) = named(condition, &schema.partition.name) {
        return values.into_iter().map(|value| Branch::of_partition(value, schema)).collect();
    }
    if let Some(attribute) = &schema.sort
        && let Some(conditions) = on_sort_key(condition, &attribute.name)
    {
        conditions.iter().flat_map(SortCondition::values).try_for_each(|value| {
            check_type(attribute, value)?;
            EncodedKey::check_sort(attribute, value)
        })?;
        return Ok(conditions.into_iter().map(Branch::of_sort_key).collect());
    }
    match condition {
        Condition::And(parts) => parts.iter().try_fold(vec![Branch::default()], |before, part| {
            let of_part = branches(part, schema)?;
            check_count(before.len() * of_part.len())?;
            Ok(before.iter().flat_map(|one| of_part.iter().map(|other| one.and(other))).collect())
        }),
        Condition::Or(parts) if names_key(condition, schema) => {
            let mut found = Vec::with_capacity(parts.len());
            for part in parts {
                found.extend(branches(part, schema)?);
                check_count(found.len())?;
            }
            Ok(found)
        }
        other => Ok(vec![Branch::of_others(other, schema)]),
    }
}

fn check_count(count: usize) -> Result<(), ServiceError> {
    if count > STATEMENT_READS_MAX {
        return Err(ServiceError::validation("Too many decomposed read operations for a given query."));
    }
    Ok(())
}

fn extend<T: Clone + PartialEq>(all: &mut Vec<T>, more: &[T]) {
    for one in more {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
}

/// Whether any part of a condition, but for what it denies, says which keys to read.
fn names_key(condition: &Condition, schema: &KeySchema) -> bool {
    match condition {
        Condition::And(parts) | Condition::Or(parts) => parts.iter().any(|part| names_key(part, schema)),
        other => {
            let of_sort_key = schema.sort.as_ref().and_then(|attribute| on_sort_key(other, &attribute.name));
            named(other, &schema.partition.name).is_some() || of_sort_key.is_some()
        }
    }
}

/// Whether a condition denies something of this attribute, or does so in one of its branches.
fn is_left_aside(condition: &Condition, name: &str) -> bool {
    let denies =
        matches!(condition, Condition::Not(_) | Condition::Or(_) | Condition::Compare(_, Comparator::NotEqual, _));
    denies && asks_of(condition, name)
}
