//! The constraints of single parameters: collected, and reported together as
//! "N validation errors detected: Value … at '…' failed to satisfy constraint: …".

use cairn_model::{ServiceError, limits};
use std::fmt::Display;

/// As many as DynamoDB reports at once.
const REPORTED_MAX: usize = 10;
/// Characters of a value that a message repeats.
const ECHO_CHARS_MAX: usize = 1_000;

const NAME_PATTERN: &str = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
pub(crate) const RETURN_VALUES: &[&str] = &["ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"];
pub(crate) const CONDITIONAL_OPERATORS: &[&str] = &["OR", "AND"];
pub(crate) const RETURN_ITEM_COLLECTION_METRICS: &[&str] = &["SIZE", "NONE"];
pub(crate) const ON_CONDITION_CHECK_FAILURE: &[&str] = &["ALL_OLD", "NONE"];
pub(crate) const COMPARISON_OPERATORS: &[&str] = &[
    "IN",
    "NULL",
    "BETWEEN",
    "LT",
    "NOT_CONTAINS",
    "EQ",
    "GT",
    "NOT_NULL",
    "NE",
    "LE",
    "BEGINS_WITH",
    "GE",
    "CONTAINS",
];

/// The violations found so far, in the order in which they were looked for.
#[derive(Debug, Default)]
pub(crate) struct Constraints(Vec<String>);

impl Constraints {
    pub(crate) fn finish(self) -> Result<(), ServiceError> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into_error()) }
    }

    /// The error, where there is something to report.
    pub(crate) fn into_error(self) -> ServiceError {
        let count = self.0.len().min(REPORTED_MAX);
        let plural = if count == 1 { "" } else { "s" };
        let list = self.0[..count].join("; ");
        ServiceError::validation(format!("{count} validation error{plural} detected: {list}"))
    }

    /// The first violation, without the count of them.
    pub(crate) fn finish_bare(self) -> Result<(), ServiceError> {
        self.0.into_iter().next().map_or(Ok(()), |violation| Err(ServiceError::validation(violation)))
    }

    /// A violation in DynamoDB's words.
    pub(crate) fn add(&mut self, violation: impl Into<String>) {
        self.0.push(violation.into());
    }

    /// A value at a path, and what it fails to be.
    pub(crate) fn value(&mut self, value: impl Display, path: &str, constraint: &str) {
        let value = value.to_string();
        let shown = value.char_indices().nth(ECHO_CHARS_MAX).map_or(value.as_str(), |(end, _)| &value[..end]);
        self.add(format!("Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"));
    }

    pub(crate) fn required(&mut self, path: &str, present: bool) {
        if !present {
            self.add(format!("Value null at '{path}' failed to satisfy constraint: Member must not be null"));
        }
    }

    /// `allowed` is in the order in which DynamoDB lists it.
    pub(crate) fn one_of(&mut self, path: &str, value: Option<&str>, allowed: &[&str]) {
        if let Some(value) = value.filter(|value| !allowed.contains(value)) {
            let list = allowed.join(", ");
            self.value(value, path, &format!("Member must satisfy enum value set: [{list}]"));
        }
    }

    pub(crate) fn return_consumed_capacity(&mut self, value: Option<&str>) {
        self.one_of("returnConsumedCapacity", value, &["INDEXES", "TOTAL", "NONE"]);
    }

    pub(crate) fn at_least(&mut self, path: &str, value: Option<i64>, least: i64) {
        if let Some(value) = value.filter(|value| *value < least) {
            self.value(value, path, &format!("Member must have value greater than or equal to {least}"));
        }
    }

    pub(crate) fn at_most(&mut self, path: &str, value: Option<i64>, most: i64) {
        if let Some(value) = value.filter(|value| *value > most) {
            self.value(value, path, &format!("Member must have value less than or equal to {most}"));
        }
    }

    /// The length of a text in bytes.
    pub(crate) fn length(&mut self, path: &str, text: Option<&str>, lengths: std::ops::RangeInclusive<usize>) {
        let Some(text) = text else { return };
        let (bound, side) = match (text.len() < *lengths.start(), text.len() > *lengths.end()) {
            (true, _) => (lengths.start(), "greater"),
            (_, true) => (lengths.end(), "less"),
            _ => return,
        };
        self.value(text, path, &format!("Member must have length {side} than or equal to {bound}"));
    }

    /// As the newer operations have it: capitalised, the value not repeated.
    pub(crate) fn within(&mut self, member: &str, value: Option<i64>, range: std::ops::RangeInclusive<i64>) {
        let Some(value) = value else { return };
        let (bound, side) = match (value < *range.start(), value > *range.end()) {
            (true, _) => (range.start(), "greater"),
            (_, true) => (range.end(), "less"),
            _ => return,
        };
        self.add(format!(
            "Value at '{member}' failed to satisfy constraint: Member must have value {side} than or equal to {bound}"
        ));
    }

    /// How many a list or a map of the batches holds: told as [`Self::within`] tells a number.
    pub(crate) fn item_count(&mut self, member: &str, count: usize, counts: std::ops::RangeInclusive<usize>) {
        let (bound, side) = match (count < *counts.start(), count > *counts.end()) {
            (true, _) => (counts.start(), "greater"),
            (_, true) => (counts.end(), "less"),
            _ => return,
        };
        self.add(format!(
            "Value at '{member}' failed to satisfy constraint: Member must have length {side} than or equal to {bound}"
        ));
    }

    /// `AttributesToGet`: 1 to 255 names.
    pub(crate) fn attributes_to_get(&mut self, path: &str, names: Option<&[String]>) {
        match names {
            Some([]) => self.value("[]", path, "Member must have length greater than or equal to 1"),
            Some(names) if names.len() > 255 => self.value(
                format_args!("[{}]", names.join(", ")),
                path,
                "Member must have length less than or equal to 255",
            ),
            _ => {}
        }
    }

    /// The table's name in an operation on items: one violation, the length before the pattern.
    pub(crate) fn item_table_name(&mut self, name: Option<&str>) {
        let Some(name) = name else { return self.required("tableName", false) };
        self.name("tableName", name);
    }

    /// A name of a table or an index.
    pub(crate) fn name(&mut self, path: &str, name: &str) {
        if self.name_length(path, name) {
            self.name_pattern(path, name);
        }
    }

    /// As [`Self::name`], but every violation, the pattern before the length: CreateTable and UpdateItem.
    pub(crate) fn name_in_full(&mut self, path: &str, name: &str) {
        self.name_pattern(path, name);
        self.name_length(path, name);
    }

    /// Whether the length was right.
    fn name_length(&mut self, path: &str, name: &str) -> bool {
        let constraint = match name.len() {
            limits::TABLE_NAME_BYTES_MIN..=limits::TABLE_NAME_BYTES_MAX => return true,
            ..limits::TABLE_NAME_BYTES_MIN => "Member must have length greater than or equal to 3",
            _ => "Member must have length less than or equal to 255",
        };
        self.value(name, path, constraint);
        false
    }

    /// The pattern alone, where the length has been seen to.
    pub(crate) fn name_pattern(&mut self, path: &str, name: &str) {
        if !matches_pattern(name) {
            self.value(name, path, NAME_PATTERN);
        }
    }
}

fn matches_pattern(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Whether a name may be a table's.
pub(crate) fn is_table_name(name: &str) -> bool {
    (limits::TABLE_NAME_BYTES_MIN..=limits::TABLE_NAME_BYTES_MAX).contains(&name.len()) && matches_pattern(name)
}

/// An empty table name is reported before everything else and alone.
pub(crate) fn table_name_not_empty(name: Option<&str>) -> Result<(), ServiceError> {
    if name != Some("") {
        return Ok(());
    }
    let mut constraints = Constraints::default();
    constraints.add(EMPTY_TABLE_NAME);
    constraints.finish()
}

pub(crate) const EMPTY_TABLE_NAME: &str = "Value at 'TableName' failed to satisfy constraint: Member must have length \
     greater than or equal to 1";

pub(crate) fn required_table_name(name: Option<String>) -> Result<String, ServiceError> {
    name.ok_or_else(|| {
        ServiceError::validation("The parameter 'TableName' is required but was not present in the request")
    })
}

/// The table's name in an operation on tables that are there.
pub(crate) fn table_name(name: Option<String>) -> Result<String, ServiceError> {
    let name = required_table_name(name)?;
    if !(limits::TABLE_NAME_BYTES_MIN..=limits::TABLE_NAME_BYTES_MAX).contains(&name.len()) {
        return Err(ServiceError::validation(
            "TableName must be at least 3 characters long and at most 255 characters long",
        ));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_are_counted_and_listed_in_the_order_found() {
        let mut constraints = Constraints::default();
        constraints.required("key", false);
        constraints.item_table_name(Some("a!b"));
        constraints.return_consumed_capacity(Some("SOME"));
        assert_eq!(
            constraints.finish().unwrap_err().message,
            "3 validation errors detected: Value null at 'key' failed to satisfy constraint: Member must not be null; \
             Value 'a!b' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: \
             [a-zA-Z0-9_.-]+; Value 'SOME' at 'returnConsumedCapacity' failed to satisfy constraint: Member must \
             satisfy enum value set: [INDEXES, TOTAL, NONE]"
        );
    }

    #[test]
    fn no_more_than_ten_violations_are_reported() {
        let mut constraints = Constraints::default();
        (0..12).for_each(|_| constraints.required("key", false));
        assert!(constraints.finish().unwrap_err().message.starts_with("10 validation errors detected: "));
    }
}
