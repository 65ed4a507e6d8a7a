//! Paths in filters and projections, against the table's key attributes.

use cairn_expression::{Condition, Path, PathElement, Projection};
use cairn_model::{KeySchema, ServiceError};

/// Refuses a step into a key attribute: they are scalars.
pub(crate) fn check_projection(projection: &Projection, schema: &KeySchema) -> Result<(), ServiceError> {
    projection.paths().iter().try_for_each(|path| check(path, schema))
}

/// As [`check_projection`], for a filter.
pub(crate) fn check_filter(filter: &Condition, schema: &KeySchema) -> Result<(), ServiceError> {
    let mut checked = Ok(());
    filter.for_each_path(&mut |path| {
        if checked.is_ok() {
            checked = check(path, schema);
        }
    });
    checked
}

/// The first key attribute in a filter.
pub(crate) fn key_in_filter<'s>(filter: &Condition, schema: &'s KeySchema) -> Option<&'s str> {
    let mut found = None;
    filter.for_each_path(&mut |path| found = found.or_else(|| key(path.name(), schema)));
    found
}

fn check(path: &Path, schema: &KeySchema) -> Result<(), ServiceError> {
    match (path.rest().first(), key(path.name(), schema)) {
        (Some(PathElement::Attribute(_) | PathElement::Index(_)), Some(key)) => Err(ServiceError::validation(format!(
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: {key}"
        ))),
        _ => Ok(()),
    }
}

fn key<'s>(name: &str, schema: &'s KeySchema) -> Option<&'s str> {
    let mut keys = std::iter::once(&schema.partition).chain(&schema.sort);
    keys.find(|key| key.name == name).map(|key| key.name.as_str())
}
