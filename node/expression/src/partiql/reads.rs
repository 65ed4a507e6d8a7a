//! What a SELECT reads, by what its WHERE clause says about keys.

use super::{
    OrderTerm,
    branches::{Branch, check_partition_types, names_partitions},
    keys::joined,
};
use crate::{Condition, Path, condition::order};
use bytes::Bytes;
use cairn_model::{
    AttributeValue, Item, KeySchema, ServiceError,
    key::{KeyBounds, SortCondition, sort_bounds},
    table::KeyAttribute,
};
use std::{cmp::Ordering, ops::Bound, sync::Arc};

/// The reads that a SELECT is.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadKeys {
    /// One of everything, with what is asked of the items: no condition that must hold names partition keys.
    All(Filter),
    /// One for each branch of the condition.
    Branches {
        /// At least one, in the order to read them. No key is in two of them.
        reads: Vec<KeyRead>,
        /// Whether sort keys ascend.
        forward: bool,
    },
}

/// Keys of one partition key value from one on, up to another or to the last there is.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRead {
    partition: AttributeValue,
    /// What holds of the sort keys; nothing where reads were joined.
    sort: Vec<Arc<SortCondition>>,
    start: Bytes,
    end: Option<Bytes>,
    pub filter: Filter,
}

/// What is left to ask of the items. Reads of one statement share it as far as they ask the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// All of them hold.
    conditions: Vec<Arc<Condition>>,
}

impl Filter {
    fn of(condition: Condition) -> Self {
        Self { conditions: vec![Arc::new(condition)] }
    }

    /// As one condition; none if nothing is asked.
    pub fn condition(&self) -> Option<Condition> {
        joined(self.conditions.iter().map(|condition| Condition::clone(condition)).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Each path that it asks of.
    pub fn for_each_path<'f>(&'f self, visit: &mut dyn FnMut(&'f Path)) {
        self.conditions.iter().for_each(|condition| condition.for_each_path(visit));
    }
}

const NOT_ONE_PARTITION: &str =
    "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.";

impl ReadKeys {
    /// `schema` is that of the table, or of the index that is read.
    pub fn of(condition: Option<Condition>, terms: &[OrderTerm], schema: &KeySchema) -> Result<Self, ServiceError> {
        check_terms(condition.is_some(), terms, schema)?;
        condition.iter().try_for_each(|condition| check_partition_types(condition, schema))?;
        let Some(whole) = condition.as_ref().filter(|condition| names_partitions(condition, schema)) else {
            if terms.is_empty() {
                return Ok(Self::All(condition.map(Filter::of).unwrap_or_default()));
            }
            return Err(ServiceError::validation(NOT_ONE_PARTITION));
        };
        let branches = Branch::all_of(whole, schema)?;
        let mut partitions: Vec<AttributeValue> = Vec::new();
        let mut reads = Vec::with_capacity(branches.len());
        for branch in &branches {
            let read = KeyRead::of(branch)?;
            if !partitions.contains(&read.partition) {
                partitions.push(read.partition.clone());
            }
            reads.push(read);
        }
        check_apart(branches.iter().zip(&reads).filter(|(branch, _)| !branch.may_overlap).map(|(_, read)| read))?;
        if !terms.is_empty() && branches.iter().any(|branch| branch.partitions.len() > 1) {
            return Err(ServiceError::validation(NOT_ONE_PARTITION));
        }
        let forward = in_order(&mut partitions, terms, schema)?;
        let mut reads = joined_reads(reads, whole);
        let place = |read: &KeyRead| partitions.iter().position(|partition| *partition == read.partition);
        reads.sort_by(|one, other| {
            let sorted = one.start.cmp(&other.start);
            place(one).cmp(&place(other)).then(if forward { sorted } else { sorted.reverse() })
        });
        Ok(Self::Branches { reads, forward })
    }

    /// What is asked of the items of each branch, in the order of their partition keys; nothing where everything is read.
    pub fn filters(&self) -> Vec<&Filter> {
        let Self::Branches { reads, .. } = self else { return Vec::new() };
        let mut reads: Vec<&KeyRead> = reads.iter().collect();
        reads.sort_by(|one, other| ascending(&one.partition, &other.partition));
        reads.into_iter().map(|read| &read.filter).collect()
    }
}

impl KeyRead {
    fn of(branch: &Branch<'_>) -> Result<Self, ServiceError> {
        let Some((partition, others)) = branch.partitions.split_first() else {
            return Err(ServiceError::validation("A branch of the condition names no partition key"));
        };
        let (start, end) = range(partition, None)?;
        let mut read =
            Self { partition: (*partition).clone(), sort: branch.sort.clone(), start, end, filter: Filter::default() };
        if !others.is_empty() {
            read.end = Some(read.start.clone());
            return Ok(read);
        }
        for condition in &branch.sort {
            let (start, end) = range(partition, Some(condition))?;
            read.start = read.start.max(start);
            read.end = match (read.end, end) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        read.filter.conditions.clone_from(&branch.rest);
        Ok(read)
    }

    /// Whether no key fits.
    pub fn is_empty(&self) -> bool {
        self.ends_before(&self.start)
    }

    pub fn bounds(&self) -> KeyBounds {
        let end = if self.is_empty() { Some(self.start.clone()) } else { self.end.clone() };
        (Bound::Included(self.start.clone()), end.map_or(Bound::Unbounded, Bound::Excluded))
    }

    /// The one key of a table that fits; none where there may be several, as of an index there always may.
    pub fn key(&self, schema: &KeySchema) -> Option<Item> {
        if self.is_empty() {
            return None;
        }
        let mut key = Item::from([(schema.partition.name.clone(), self.partition.clone())]);
        let sort: Vec<&SortCondition> = self.sort.iter().map(AsRef::as_ref).collect();
        match (&schema.sort, sort.as_slice()) {
            (None, []) => {}
            (Some(attribute), [SortCondition::Equal(value)]) => {
                key.insert(attribute.name.clone(), value.clone());
            }
            _ => return None,
        }
        Some(key)
    }

    /// Whether it ends before it gets to a key.
    fn ends_before(&self, key: &[u8]) -> bool {
        self.end.as_ref().is_some_and(|end| end.as_ref() <= key)
    }

    /// Takes in another that shares keys with it and does not start before it; `whole` is asked of both.
    fn join(&mut self, other: Self, whole: &Filter) {
        self.end = match (self.end.take(), other.end) {
            (Some(one), Some(other)) => Some(one.max(other)),
            _ => None,
        };
        self.sort.clear();
        self.filter = whole.clone();
    }
}

/// From a key on, up to another or to the last there is.
fn range(partition: &AttributeValue, sort: Option<&SortCondition>) -> Result<(Bytes, Option<Bytes>), ServiceError> {
    let (lower, upper) = sort_bounds(partition, sort)?;
    let key = |bound| match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key),
        Bound::Unbounded => None,
    };
    Ok((key(lower).unwrap_or_default(), key(upper)))
}

/// Refuses reads of one key twice.
fn check_apart<'r>(reads: impl Iterator<Item = &'r KeyRead>) -> Result<(), ServiceError> {
    let mut reads: Vec<&KeyRead> = reads.filter(|read| !read.is_empty()).collect();
    reads.sort_by(|one, other| one.start.cmp(&other.start));
    if reads.windows(2).any(|pair| !pair[0].ends_before(&pair[1].start)) {
        return Err(ServiceError::validation(
            "Overlapping conditions with range keys are not supported in where clause",
        ));
    }
    Ok(())
}

/// Those that share keys become one, of which the whole condition is asked.
fn joined_reads(reads: Vec<KeyRead>, whole: &Condition) -> Vec<KeyRead> {
    let (mut reads, empty): (Vec<_>, Vec<_>) = reads.into_iter().partition(|read| !read.is_empty());
    reads.sort_by(|one, other| one.start.cmp(&other.start));
    let mut apart: Vec<KeyRead> = Vec::with_capacity(reads.len() + empty.len());
    let mut shared = None;
    for read in reads {
        match apart.last_mut() {
            Some(last) if !last.ends_before(&read.start) => {
                last.join(read, shared.get_or_insert_with(|| Filter::of(whole.clone())));
            }
            _ => apart.push(read),
        }
    }
    apart.extend(empty);
    apart
}

fn ascending(one: &AttributeValue, other: &AttributeValue) -> Ordering {
    order(one, other).unwrap_or(Ordering::Equal)
}

fn check_terms(has_condition: bool, terms: &[OrderTerm], schema: &KeySchema) -> Result<(), ServiceError> {
    if !terms.is_empty() && !has_condition {
        return Err(ServiceError::validation("Must have WHERE clause in the statement when using ORDER BY clause."));
    }
    let is_key = |name: &str| std::iter::once(&schema.partition).chain(&schema.sort).any(|key| key.name == name);
    let refused = terms.iter().find_map(|term| match &term.attribute {
        Ok(name) if is_key(name) => None,
        Ok(name) => Some(format!("Attribute {name} in ORDER BY clause must be part of the primary key")),
        Err(message) => Some(message.clone()),
    });
    refused.map_or(Ok(()), |message| Err(ServiceError::validation(message)))
}

/// Puts the partitions in the order asked for; true if sort keys ascend in each.
///
/// Where just the partition key is named, DynamoDB reads each partition from its end, whatever the direction.
fn in_order(partitions: &mut [AttributeValue], terms: &[OrderTerm], schema: &KeySchema) -> Result<bool, ServiceError> {
    if terms.is_empty() {
        return Ok(true);
    }
    let of = |key: &KeyAttribute| terms.iter().find(|term| term.attribute.as_ref() == Ok(&key.name));
    match of(&schema.partition) {
        None if partitions.len() > 1 => {
            return Err(ServiceError::validation(
                "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.",
            ));
        }
        None => {}
        Some(term) => {
            partitions.sort_by(ascending);
            if term.descending {
                partitions.reverse();
            }
        }
    }
    Ok(schema.sort.as_ref().and_then(of).is_some_and(|term| !term.descending))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{partiql::Statement, testing::value};

    /// What a statement is given may be megabytes, of which there would be one for each of its reads.
    #[test]
    fn reads_share_what_all_of_them_ask() {
        let schema =
            serde_json::from_str(r#"{"partition":{"name":"p","scalarType":"S"},"sort":{"name":"s","scalarType":"S"}}"#);
        let text = "SELECT * FROM t WHERE p IN ['a', 'b'] AND s > ? AND (s < 'm' AND n = 1 OR s > 'n') AND n = ?";
        let parameters = [r#"{"S":"c"}"#, r#"{"S":"large"}"#].map(value);
        let Ok(Statement::Select(select)) = Statement::parse(text, &parameters) else { panic!("{text}") };
        let ReadKeys::Branches { reads, .. } = ReadKeys::of(select.condition, &[], &schema.unwrap()).unwrap() else {
            panic!("{text}")
        };
        let (first, others) = reads.split_first().unwrap();
        assert_eq!(others.len(), 3);
        for read in others {
            assert!(Arc::ptr_eq(&read.sort[0], &first.sort[0]));
            let large = |read: &KeyRead| read.filter.conditions.last().cloned().unwrap();
            assert!(Arc::ptr_eq(&large(read), &large(first)));
        }
    }
}
