//! Applying an update to an item.

use super::{Action, Form, TouchedPaths, Update, Value};
use crate::{Path, path::Slot};
use cairn_model::{
    AttributeValue, Item, ServiceError,
    limits::{ITEM_BYTES_MAX, NESTING_DEPTH_MAX},
    number::Number,
    size,
};
use std::borrow::Cow;

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
        let mut writes: Vec<(&Path, Result<AttributeValue, ServiceError>)> = Vec::with_capacity(self.actions.len());
        let mut room = Room::default();
        // Places to take out, which comes last: the indexes of what is written must not move.
        let mut removals: Vec<&Path> = Vec::new();
        let wrong_type = ServiceError::validation(match self.form {
            Form::Expression => WRONG_TYPE,
            Form::AttributeUpdates => WRONG_TYPE_OF_ATTRIBUTE_UPDATE,
        });
        for action in &self.actions {
            match action {
                Action::Set(path, value) => {
                    let computed = value.compute(item, &mut room)?;
                    writes.push((path, room.keep(computed)));
                }
                Action::Add(path, value) => {
                    let sum = added(path.get(item), value).ok_or_else(|| wrong_type.clone())?;
                    writes.push((path, room.keep(sum.map(Cow::Owned))));
                }
                Action::Delete(path, value) => {
                    if let Some(set) = path.get(item) {
                        match without(set, value).ok_or_else(|| wrong_type.clone())? {
                            Some(rest) => writes.push((path, room.keep(Ok(Cow::Owned(rest))))),
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

        // In the order of their indexes, so that what goes past a list's end goes there in that order.
        writes.sort_unstable_by_key(|(path, _)| *path);
        for (path, value) in writes {
            write(path, value?, item)?;
        }
        removals.sort_unstable();
        if room.exceeded {
            return Err(ServiceError::validation(TOO_LARGE));
        }
        for path in removals.iter().rev() {
            remove(path, item);
        }
        check_item(item)?;
        let mut paths: Vec<Path> = self.paths().cloned().collect();
        paths.sort_unstable();
        Ok(TouchedPaths { paths })
    }
}

/// A value, or why its number can't be.
type Computed<'a> = Result<Cow<'a, AttributeValue>, ServiceError>;

/// What the values written may still take of an item: a short update can name a large one a thousand times.
#[derive(Default)]
struct Room {
    taken: usize,
    /// The item is too large, and what is written does not matter any more.
    exceeded: bool,
}

impl Room {
    /// The value, while all that are kept go into one item; nothing large after that.
    fn keep(&mut self, value: Computed<'_>) -> Result<AttributeValue, ServiceError> {
        let value = value?;
        if !self.exceeded {
            self.taken += size::value_size(&value);
            self.exceeded = self.taken > ITEM_BYTES_MAX;
        }
        Ok(if self.exceeded { AttributeValue::Null } else { value.into_owned() })
    }

    /// Both lists as one; none where they are no lists.
    fn append(&mut self, first: Cow<'_, AttributeValue>, second: Cow<'_, AttributeValue>) -> Option<AttributeValue> {
        use AttributeValue::L;
        if !matches!((first.as_ref(), second.as_ref()), (L(_), L(_))) {
            return None;
        }
        // What is made of a list that is too large is no smaller.
        self.exceeded = self.exceeded || size::value_size(&first) + size::value_size(&second) > ITEM_BYTES_MAX + 3;
        if self.exceeded {
            return Some(L(Vec::new()));
        }
        let (L(mut list), L(more)) = (first.into_owned(), second.into_owned()) else { return None };
        list.extend(more);
        Some(L(list))
    }
}

impl Value {
    /// Fails where an operand is missing or of the wrong type.
    fn compute<'a>(&'a self, item: &'a Item, room: &mut Room) -> Result<Computed<'a>, ServiceError> {
        use AttributeValue::N;
        let mut operands = |first: &'a Self, second: &'a Self| {
            Ok::<_, ServiceError>((first.compute(item, room)?, second.compute(item, room)?))
        };
        let wrong_type = || ServiceError::validation(WRONG_TYPE);
        Ok(Ok(match self {
            Self::Literal(value) => Cow::Borrowed(value),
            Self::Path(path) => Cow::Borrowed(path.get(item).ok_or_else(|| ServiceError::validation(MISSING))?),
            Self::IfNotExists(path, otherwise) => match path.get(item) {
                Some(value) => Cow::Borrowed(value),
                None => return otherwise.compute(item, room),
            },
            Self::ListAppend(first, second) => match operands(first, second)? {
                (Ok(first), Ok(second)) => Cow::Owned(room.append(first, second).ok_or_else(wrong_type)?),
                _ => return Err(wrong_type()),
            },
            Self::Plus(left, right) => {
                let (left, right) = numbers(operands(left, right)?).ok_or_else(wrong_type)?;
                return Ok(left.add(&right).map(|sum| Cow::Owned(N(sum))));
            }
            Self::Minus(left, right) => {
                let (left, right) = numbers(operands(left, right)?).ok_or_else(wrong_type)?;
                return Ok(left.sub(&right).map(|rest| Cow::Owned(N(rest))));
            }
        }))
    }
}

fn numbers((left, right): (Computed<'_>, Computed<'_>)) -> Option<(Number, Number)> {
    let number = |value: Computed<'_>| match value.ok()?.as_ref() {
        AttributeValue::N(number) => Some(*number),
        _ => None,
    };
    Some((number(left)?, number(right)?))
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

/// Writes a value, past a list's end as its next element.
fn write(path: &Path, value: AttributeValue, item: &mut Item) -> Result<(), ServiceError> {
    match path.slot(item).ok_or_else(|| ServiceError::validation(INVALID_PATH))? {
        Slot::Attribute(map, name) => {
            map.insert(name.to_owned(), value);
        }
        Slot::Element(list, at) => match list.get_mut(at) {
            Some(element) => *element = value,
            None => list.push(value),
        },
    }
    Ok(())
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
