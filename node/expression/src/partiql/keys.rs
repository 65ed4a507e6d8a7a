//! What a WHERE clause says about keys: which items to read or write, and what is left to ask of them.

use super::{Insert, OrderTerm};
use crate::{Comparator, Condition, Operand, Path, condition::order};
use cairn_model::{
    AttributeValue, Item, KeySchema, ServiceError,
    key::{EncodedKey, SortCondition, sort_bounds},
    limits::STATEMENT_READS_MAX,
    table::KeyAttribute,
};
use std::ops::Bound;

/// What a SELECT reads.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadKeys {
    /// The partition keys to read, each once, in the order to read them; none where everything is to be read.
    pub partitions: Option<Vec<AttributeValue>>,
    /// What holds of the sort keys in each of those, all of it.
    pub sort: Vec<SortCondition>,
    /// Of which in each one at least holds besides, in the order to read them; no key fits two. None where nothing is said so.
    pub alternatives: Vec<Vec<SortCondition>>,
    /// What is left to ask of the items that are read.
    pub filter: Option<Condition>,
    /// Whether sort keys ascend.
    pub forward: bool,
    /// Whether a condition that must hold names the partition keys: the read is a Query, even where an index is read.
    pub by_key: bool,
}

/// The one item that an UPDATE or a DELETE writes.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteKey {
    pub key: Item,
    /// What is left to ask of the item.
    pub condition: Option<Condition>,
}

impl ReadKeys {
    /// `schema` is that of the table, or of the index that is read.
    pub fn of(condition: Option<Condition>, terms: &[OrderTerm], schema: &KeySchema) -> Result<Self, ServiceError> {
        check_terms(condition.is_some(), terms, schema)?;
        let mut conjuncts = distinct(conjuncts(condition));
        let named = named_partitions(&mut conjuncts, schema)?;
        let by_key = named.as_ref().is_some_and(|named| named.by_key);
        let mut partitions = named.map(|named| named.partitions);
        let (mut sort, mut alternatives) = (Vec::new(), Vec::new());
        if let (Some(named), Some(attribute)) = (&partitions, &schema.sort) {
            let mut rest = Vec::with_capacity(conjuncts.len());
            for conjunct in conjuncts {
                match on_sort_key(&conjunct, attribute)? {
                    Some(condition) => sort.push(condition),
                    None => rest.push(conjunct),
                }
            }
            conjuncts = rest;
            if by_key {
                alternatives = sort_alternatives(&mut conjuncts, &named[0], attribute)?;
            }
            check_reads(named.len() * alternatives.len().max(1))?;
        }
        let forward = in_order(&mut partitions, terms, schema)?;
        if !terms.is_empty() && !forward {
            alternatives.reverse();
        }
        Ok(Self { partitions, sort, alternatives, filter: joined(conjuncts), forward, by_key })
    }
}

/// A statement is no more than so many reads.
fn check_reads(count: usize) -> Result<(), ServiceError> {
    if count > STATEMENT_READS_MAX {
        return Err(ServiceError::validation("Too many decomposed read operations for a given query."));
    }
    Ok(())
}

/// What the first conjunct that says it lists of the sort key, in ascending order: values of an IN, or what the branches of an OR ask
/// for. The conjunct goes, where it says nothing more than that. `partition` is any of those that are read.
fn sort_alternatives(
    conjuncts: &mut Vec<Condition>,
    partition: &AttributeValue,
    attribute: &KeyAttribute,
) -> Result<Vec<Vec<SortCondition>>, ServiceError> {
    for (at, conjunct) in conjuncts.iter().enumerate() {
        let Some(Listed { alternatives, is_all }) = Listed::of(conjunct, attribute)? else { continue };
        let mut reads = Vec::with_capacity(alternatives.len());
        for alternative in alternatives {
            let mut range = Range::of(partition, None)?;
            for condition in &alternative {
                range = range.within(Range::of(partition, Some(condition))?);
            }
            // What no key fits is not read.
            if !range.ends_before(&range.start) {
                reads.push((range, alternative));
            }
        }
        reads.sort_by(|(one, _), (other, _)| one.start.cmp(&other.start));
        if reads.windows(2).any(|pair| !pair[0].0.ends_before(&pair[1].0.start)) {
            return Err(overlapping());
        }
        if is_all && !reads.is_empty() {
            conjuncts.remove(at);
        }
        return Ok(reads.into_iter().map(|(_, alternative)| alternative).collect());
    }
    Ok(Vec::new())
}

/// What a condition lists of the sort key.
struct Listed {
    alternatives: Vec<Vec<SortCondition>>,
    /// Whether it says nothing more.
    is_all: bool,
}

impl Listed {
    /// None where it lists nothing, or denies something: that DynamoDB leaves aside here too.
    fn of(condition: &Condition, attribute: &KeyAttribute) -> Result<Option<Self>, ServiceError> {
        if let Some(values) = listed(condition, &attribute.name) {
            values.iter().try_for_each(|value| check_type(attribute, value))?;
            let alternatives = values.into_iter().map(|value| vec![SortCondition::Equal(value.clone())]).collect();
            return Ok(Some(Self { alternatives, is_all: true }));
        }
        let Condition::Or(branches) = condition else { return Ok(None) };
        let mut found = Self { alternatives: Vec::with_capacity(branches.len()), is_all: true };
        for branch in branches {
            let mut asked = Vec::new();
            for part in conjuncts(Some(branch.clone())) {
                match on_sort_key(&part, attribute)? {
                    Some(condition) => asked.push(condition),
                    None if asks_of(&part, &attribute.name) => return Ok(None),
                    None => found.is_all = false,
                }
            }
            found.alternatives.push(asked);
        }
        let lists = found.alternatives.iter().any(|asked| !asked.is_empty());
        Ok(lists.then_some(found))
    }
}

impl WriteKey {
    pub fn of(condition: Option<Condition>, schema: &KeySchema) -> Result<Self, ServiceError> {
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
                if key.get(&attribute.name).is_some_and(|before| before != value) {
                    return Err(ServiceError::validation(format!(
                        "Multiple conditions on same key {}. Only single item Update/Insert/Delete are supported",
                        attribute.name
                    )));
                }
                key.insert(attribute.name.clone(), value.clone());
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

/// Said twice is said once.
fn distinct(conjuncts: Vec<Condition>) -> Vec<Condition> {
    let mut distinct = Vec::with_capacity(conjuncts.len());
    for conjunct in conjuncts {
        if !distinct.contains(&conjunct) {
            distinct.push(conjunct);
        }
    }
    distinct
}

fn joined(mut conjuncts: Vec<Condition>) -> Option<Condition> {
    match conjuncts.len() {
        0 | 1 => conjuncts.pop(),
        _ => Some(Condition::And(conjuncts)),
    }
}

fn is_attribute(path: &Path, name: &str) -> bool {
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

/// The partition keys outside of which the condition can't hold; none where it names none.
fn partitions_of<'c>(condition: &'c Condition, name: &str) -> Option<Vec<&'c AttributeValue>> {
    if let Some((Comparator::Equal, value)) = compared(condition, name) {
        return Some(vec![value]);
    }
    match condition {
        Condition::And(conditions) => conditions.iter().find_map(|condition| partitions_of(condition, name)),
        Condition::Or(conditions) => {
            let branches: Option<Vec<_>> = conditions.iter().map(|condition| partitions_of(condition, name)).collect();
            branches.map(|branches| branches.into_iter().flatten().collect())
        }
        _ => listed(condition, name),
    }
}

struct NamedPartitions {
    /// Each once.
    partitions: Vec<AttributeValue>,
    /// By = or IN, not by the branches of an OR.
    by_key: bool,
}

/// The partition keys to read, by the first conjunct that names any: it goes, where it says nothing more than that.
fn named_partitions(
    conjuncts: &mut Vec<Condition>,
    schema: &KeySchema,
) -> Result<Option<NamedPartitions>, ServiceError> {
    let attribute = &schema.partition;
    let found = conjuncts
        .iter()
        .enumerate()
        .find_map(|(at, conjunct)| partitions_of(conjunct, &attribute.name).map(|values| (at, values)));
    let Some((at, values)) = found else { return Ok(None) };
    let count = values.len();
    check_reads(count)?;
    let mut partitions: Vec<AttributeValue> = Vec::with_capacity(count);
    for value in values {
        check_type(attribute, value)?;
        EncodedKey::check_partition(attribute, value)?;
        if !partitions.contains(value) {
            partitions.push(value.clone());
        }
    }
    if let Condition::Or(branches) = &conjuncts[at] {
        check_apart(branches, schema)?;
        return Ok(Some(NamedPartitions { partitions, by_key: false }));
    }
    if partitions.len() < count {
        return Err(overlapping());
    }
    conjuncts.remove(at);
    if let [only] = partitions.as_slice() {
        // Another that says the same says nothing.
        let is_said = |conjunct: &Condition| matches!(partitions_of(conjunct, &attribute.name).as_deref(), Some([value]) if *value == only);
        conjuncts.retain(|conjunct| !is_said(conjunct) || matches!(conjunct, Condition::Or(_)));
    }
    Ok(Some(NamedPartitions { partitions, by_key: true }))
}

/// Keys from one on, up to another or to the last there is.
struct Range {
    start: Vec<u8>,
    end: Option<Vec<u8>>,
}

impl Range {
    fn of(partition: &AttributeValue, sort: Option<&SortCondition>) -> Result<Self, ServiceError> {
        let (lower, upper) = sort_bounds(partition, sort)?;
        let bytes = |bound| match bound {
            Bound::Included(key) | Bound::Excluded(key) => Some(Vec::from(key)),
            Bound::Unbounded => None,
        };
        Ok(Self { start: bytes(lower).unwrap_or_default(), end: bytes(upper) })
    }

    /// Whether it ends before it gets to a key.
    fn ends_before(&self, key: &[u8]) -> bool {
        self.end.as_ref().is_some_and(|end| end.as_slice() <= key)
    }

    fn within(self, other: Self) -> Self {
        let end = match (self.end, other.end) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self { start: self.start.max(other.start), end }
    }
}

/// Refuses branches of an OR that read one key twice.
fn check_apart(branches: &[Condition], schema: &KeySchema) -> Result<(), ServiceError> {
    let mut ranges = Vec::new();
    for branch in branches {
        ranges.extend(ranges_of(branch, schema)?);
    }
    ranges.sort_by(|one, other| one.start.cmp(&other.start));
    let meet = ranges.windows(2).any(|pair| !pair[0].ends_before(&pair[1].start));
    if meet { Err(overlapping()) } else { Ok(()) }
}

/// The keys that a branch reads; none of one that says of its sort key what it is not, or says it in branches of its own, which
/// DynamoDB leaves aside here.
fn ranges_of(branch: &Condition, schema: &KeySchema) -> Result<Vec<Range>, ServiceError> {
    let parts = conjuncts(Some(branch.clone()));
    let mut partitions = None;
    let mut alternatives = vec![None];
    let mut sort = Vec::new();
    for part in &parts {
        if let Some(values) = partitions_of(part, &schema.partition.name).filter(|_| !matches!(part, Condition::Or(_)))
        {
            partitions.get_or_insert(values);
            continue;
        }
        let Some(attribute) = &schema.sort else { continue };
        if let Some(condition) = on_sort_key(part, attribute)? {
            sort.push(condition);
        } else if let Some(values) = listed(part, &attribute.name) {
            alternatives = values.into_iter().map(|value| Some(SortCondition::Equal(value.clone()))).collect();
        } else if is_left_aside(part, &attribute.name) {
            return Ok(Vec::new());
        }
    }
    let mut ranges = Vec::new();
    for partition in partitions.into_iter().flatten() {
        for alternative in &alternatives {
            let mut range = Range::of(partition, alternative.as_ref())?;
            for condition in &sort {
                range = range.within(Range::of(partition, Some(condition))?);
            }
            if !range.ends_before(&range.start) {
                ranges.push(range);
            }
        }
    }
    Ok(ranges)
}

/// Whether a condition denies something of this attribute, or has branches that ask for it.
fn is_left_aside(condition: &Condition, name: &str) -> bool {
    let denies =
        matches!(condition, Condition::Not(_) | Condition::Or(_) | Condition::Compare(_, Comparator::NotEqual, _));
    denies && asks_of(condition, name)
}

fn asks_of(condition: &Condition, name: &str) -> bool {
    let mut of_attribute = false;
    condition.for_each_path(&mut |path| of_attribute |= path.name() == name);
    of_attribute
}

fn overlapping() -> ServiceError {
    ServiceError::validation("Overlapping conditions with range keys are not supported in where clause")
}

/// The conjunct as a condition on the sort key, if it is one.
fn on_sort_key(conjunct: &Condition, attribute: &KeyAttribute) -> Result<Option<SortCondition>, ServiceError> {
    let name = attribute.name.as_str();
    let found = match conjunct {
        Condition::Compare(..) => {
            compared(conjunct, name).and_then(|(comparator, value)| comparator.on_sort_key(value.clone()))
        }
        Condition::Between(Operand::Path(path), Operand::Value(low), Operand::Value(high))
            if is_attribute(path, name) =>
        {
            Some(SortCondition::Between(low.clone(), high.clone()))
        }
        Condition::BeginsWith(Operand::Path(path), Operand::Value(prefix)) if is_attribute(path, name) => {
            Some(SortCondition::BeginsWith(prefix.clone()))
        }
        _ => match listed(conjunct, name).as_deref() {
            Some([value]) => Some(SortCondition::Equal((*value).clone())),
            _ => None,
        },
    };
    found.iter().flat_map(SortCondition::values).try_for_each(|value| check_type(attribute, value))?;
    Ok(found)
}

fn check_type(attribute: &KeyAttribute, value: &AttributeValue) -> Result<(), ServiceError> {
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

fn check_terms(has_condition: bool, terms: &[OrderTerm], schema: &KeySchema) -> Result<(), ServiceError> {
    if !terms.is_empty() && !has_condition {
        return Err(ServiceError::validation("Must have WHERE clause in the statement when using ORDER BY clause."));
    }
    let is_key =
        |path: &Path| std::iter::once(&schema.partition).chain(&schema.sort).any(|key| is_attribute(path, &key.name));
    match terms.iter().find(|term| !is_key(&term.path)) {
        Some(OrderTerm { path, .. }) => {
            let shown = if path.rest().is_empty() { path.name().to_owned() } else { path.to_string() };
            Err(ServiceError::validation(format!(
                "Attribute {shown} in ORDER BY clause must be part of the primary key"
            )))
        }
        None => Ok(()),
    }
}

/// Puts the partitions in the order asked for; true if sort keys ascend in each.
///
/// Where just the partition key is named, DynamoDB reads each partition from its end, whatever the direction.
fn in_order(
    partitions: &mut Option<Vec<AttributeValue>>,
    terms: &[OrderTerm],
    schema: &KeySchema,
) -> Result<bool, ServiceError> {
    if terms.is_empty() {
        return Ok(true);
    }
    let Some(partitions) = partitions else {
        return Err(ServiceError::validation(
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
        ));
    };
    let of = |key: &KeyAttribute| terms.iter().find(|term| is_attribute(&term.path, &key.name));
    match of(&schema.partition) {
        None if partitions.len() > 1 => {
            return Err(ServiceError::validation(
                "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.",
            ));
        }
        None => {}
        Some(term) => {
            partitions.sort_by(|one, two| order(one, two).unwrap_or(std::cmp::Ordering::Equal));
            if term.descending {
                partitions.reverse();
            }
        }
    }
    Ok(schema.sort.as_ref().and_then(of).is_some_and(|term| !term.descending))
}
