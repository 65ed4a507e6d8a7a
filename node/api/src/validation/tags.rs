//! Tags and their keys as requests have them.

use crate::{errors, input::shape::Shape, tags::Tags};
use cairn_model::{ServiceError, limits, tags};
use serde::Deserialize;
use std::collections::BTreeSet;

pub(crate) const TAGS: Shape = Shape::List(&Shape::Struct("Tag", &[("Key", Shape::Text), ("Value", Shape::Text)]));

/// `Tag` as a request has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TagInput {
    key: Option<String>,
    value: Option<String>,
}

/// The tags of CreateTable, which may be none, and of TagResource.
pub(crate) fn checked(given: Vec<TagInput>) -> Result<Tags, ServiceError> {
    let mut checked = Tags::new();
    let count = given.len();
    for TagInput { key, value } in given {
        let key = checked_key(key)?;
        let value = match value {
            Some(value) if tags::is_value(&value) => value,
            value => return Err(invalid("Value", value.as_deref())),
        };
        if checked.contains_key(&key) {
            return Err(ServiceError::validation(format!(
                "Duplicate Tag Keys provided as input: Duplicate Tag Key found {key}"
            )));
        }
        checked.insert(key, value);
    }
    check_count(count)?;
    Ok(checked)
}

/// The keys of UntagResource. Those that none can have are refused here too, and so are more than a table can have.
pub(crate) fn checked_keys(given: Vec<String>) -> Result<BTreeSet<String>, ServiceError> {
    let count = given.len();
    let keys = given.into_iter().map(|key| checked_key(Some(key))).collect::<Result<_, _>>()?;
    check_count(count)?;
    Ok(keys)
}

/// `Tags` or `TagKeys`, of which one at least is needed; `what` it is a list of.
pub(crate) fn not_empty<T>(what: &str, list: Vec<T>) -> Result<Vec<T>, ServiceError> {
    if list.is_empty() {
        // DynamoDB's spelling.
        return Err(ServiceError::validation(format!("Atleast one {what} needs to be provided as Input.")));
    }
    Ok(list)
}

fn checked_key(key: Option<String>) -> Result<String, ServiceError> {
    match key {
        Some(key) if tags::is_reserved(&key) => {
            Err(ServiceError::validation(format!("Tag Key cannot be prefixed with aws:, Key: {key}")))
        }
        Some(key) if tags::is_key(&key) => Ok(key),
        key => Err(invalid("Key", key.as_deref())),
    }
}

fn check_count(count: usize) -> Result<(), ServiceError> {
    if count > limits::TAGS_MAX { Err(errors::too_many_tags()) } else { Ok(()) }
}

fn invalid(part: &str, text: Option<&str>) -> ServiceError {
    ServiceError::validation(format!("The Tag {part} provided is invalid, {part}: {}", text.unwrap_or("null")))
}
