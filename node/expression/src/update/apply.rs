//! Applying an update to an item.

use super::{Action, Form, TouchedPaths, Update, Value};
use crate::{Path, PathElement, path::Slot};
use cairn_model::{
    AttributeValue, Item, ServiceError,
    limits::{ITEM_BYTES_MAX, NESTING_DEPTH_MAX},
    size,
};

const INVALID_PATH: &str = "The document path provided in the update expression is invalid for update";
const MISSING: &str = "The provided expression refers to an attribute that does not exist in the item";
const WRONG_TYPE: &str = "An operand in the update expression has an incorrect data type";
const WRONG_TYPE_OF_ATTRIBUTE_UPDATE: &str = "Type mismatch for attribute to update";
const TOO_LARGE: &str = "Item size to update has exceeded the maximum allowed size";
const TOO_DEEP: &str = "Nesting Levels have exceeded supported limits";

impl Update {
    /// Changes the item; on an error it may be half changed. Every path and index means what it meant before.
    ///
    /// Of several things that are wrong, an operand is told first, then a path, then a number that can't be.
    pub fn apply(&self, item: &mut Item) -> Result<TouchedPaths, ServiceError> {
        let mut writes: Vec<(&Path, Computed)> = Vec::with_capacity(self.actions.len());
        // Places to take out, which comes last: the indexes of what is written must not move.
        let mut removals: Vec<&Path> = Vec::new();
        let wrong_type = ServiceError::validation(match self.form {
            Form::Expression => WRONG_TYPE,
            Form::AttributeUpdates => WRONG_TYPE_OF_ATTRIBUTE_UPDATE,
        });
        for action in &self.actions {
            match action {
                Action::Set(path, value) => writes.push((path, value.compute(item)?)),
                Action::Add(path, value) => {
                    writes.push((path, added(path.get(item), value).ok_or_else(|| wrong_type.clone())?));
                }
                Action::Delete(path, value) => {
                    if let Some(set) = path.get(item) {
                        match without(set, value).ok_or_else(|| wrong_type.clone())? {
                            Some(rest) => writes.push((path, Ok(rest))),
                            None => removals.push(path),
                        }
                    }
                }
                Action::Remove(path) if path.get(item).is_some() => removals.push(path),
                Action::Remove(_) => {}
            }
        }
        if !self.paths().all(|path| path.has_parent(item)) {
            return Err(ServiceError::validation(INVALID_PATH));
        }

        let mut before: Vec<Path> = self.paths().cloned().collect();
        before.sort_unstable();
        let mut after: Vec<Path> = Vec::with_capacity(self.actions.len());
        // In the order of their indexes, so that what goes past a list's end goes there in that order.
        writes.sort_unstable_by_key(|(path, _)| *path);
        for (path, value) in writes {
            after.push(write(path, value?, item)?);
        }
        removals.sort_unstable();
        for path in removals.iter().rev() {
            remove(path, item);
        }
        after.sort_unstable();
        // Elements behind one that was taken out of their list have moved up.
        after.iter_mut().for_each(|path| path.shift_past(&removals));

        check_item(item)?;
        Ok(TouchedPaths { before, after })
    }
}

/// A value, or why its number can't be.
type Computed = Result<AttributeValue, ServiceError>;

impl Value {
    /// Fails where an operand is missing or of the wrong type.
    fn compute(&self, item: &Item) -> Result<Computed, ServiceError> {
        use AttributeValue::{L, N};
        let operands =
            |first: &Self, second: &Self| Ok::<_, ServiceError>((first.compute(item)?, second.compute(item)?));
        let wrong_type = || Err(ServiceError::validation(WRONG_TYPE));
        Ok(Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Path(path) => path.get(item).cloned().ok_or_else(|| ServiceError::validation(MISSING))?,
            Self::IfNotExists(path, otherwise) => match path.get(item) {
                Some(value) => value.clone(),
                None => return otherwise.compute(item),
            },
            Self::ListAppend(first, second) => match operands(first, second)? {
                (Ok(L(mut first)), Ok(L(second))) => {
                    first.extend(second);
                    L(first)
                }
                _ => return wrong_type(),
            },
            Self::Plus(left, right) => match operands(left, right)? {
                (Ok(N(left)), Ok(N(right))) => return Ok(left.add(&right).map(N)),
                _ => return wrong_type(),
            },
            Self::Minus(left, right) => match operands(left, right)? {
                (Ok(N(left)), Ok(N(right))) => return Ok(left.sub(&right).map(N)),
                _ => return wrong_type(),
            },
        }))
    }
}

/// The sum or union; none where the types don't go together.
fn added(present: Option<&AttributeValue>, value: &AttributeValue) -> Option<Result<AttributeValue, ServiceError>> {
    use AttributeValue::{Bs, L, N, Ns, Ss};
    Some(Ok(match (present, value) {
        (None, N(_) | Ss(_) | Ns(_) | Bs(_) | L(_)) => value.clone(),
        (Some(N(present)), N(value)) => return Some(present.add(value).map(N)),
        (Some(Ss(present)), Ss(members)) => Ss(union(present, members)),
        (Some(Ns(present)), Ns(members)) => Ns(union(present, members)),
        (Some(Bs(present)), Bs(members)) => Bs(union(present, members)),
        (Some(L(present)), L(elements)) => L(present.iter().chain(elements).cloned().collect()),
        _ => return None,
    }))
}

/// A set without members, within it none where nothing is left; none where the types don't go together.
fn without(set: &AttributeValue, value: &AttributeValue) -> Option<Option<AttributeValue>> {
    use AttributeValue::{Bs, Ns, Ss};
    Some(match (set, value) {
        (Ss(present), Ss(members)) => difference(present, members).map(Ss),
        (Ns(present), Ns(members)) => difference(present, members).map(Ns),
        (Bs(present), Bs(members)) => difference(present, members).map(Bs),
        _ => return None,
    })
}

/// Sets are sorted, and stay so.
fn union<T: Ord + Clone>(present: &[T], members: &[T]) -> Vec<T> {
    let mut union: Vec<T> = present.iter().chain(members).cloned().collect();
    union.sort();
    union.dedup();
    union
}

fn difference<T: Ord + Clone>(present: &[T], members: &[T]) -> Option<Vec<T>> {
    let rest: Vec<T> = present.iter().filter(|member| members.binary_search(member).is_err()).cloned().collect();
    (!rest.is_empty()).then_some(rest)
}

/// Writes a value, past a list's end as its next element; gives the path it then lies at.
fn write(path: &Path, value: AttributeValue, item: &mut Item) -> Result<Path, ServiceError> {
    match path.slot(item).ok_or_else(|| ServiceError::validation(INVALID_PATH))? {
        Slot::Attribute(map, name) => {
            map.insert(name.to_owned(), value);
        }
        Slot::Element(list, at) => match list.get_mut(at) {
            Some(element) => *element = value,
            None => {
                list.push(value);
                let index = u32::try_from(list.len() - 1).unwrap_or(u32::MAX);
                return Ok(path.with_last(PathElement::Index(index)));
            }
        },
    }
    Ok(path.clone())
}

fn remove(path: &Path, item: &mut Item) {
    match path.slot(item) {
        Some(Slot::Attribute(map, name)) => {
            map.remove(name);
        }
        Some(Slot::Element(list, at)) if at < list.len() => {
            list.remove(at);
        }
        _ => {}
    }
}

fn check_item(item: &Item) -> Result<(), ServiceError> {
    if item.values().any(|value| value.nesting_depth() >= NESTING_DEPTH_MAX) {
        return Err(ServiceError::validation(TOO_DEEP));
    }
    if size::item_size(item) > ITEM_BYTES_MAX {
        return Err(ServiceError::validation(TOO_LARGE));
    }
    Ok(())
}
