//! Paths in filters and projections, against the key attributes of the table and of its indexes.

use cairn_expression::{Condition, Path, PathElement, Projection};
use cairn_model::{ServiceError, TableDefinition, keys::Keys};

/// Refuses a step into a key attribute: they are scalars.
pub(crate) fn check_projection(projection: &Projection, table: &TableDefinition) -> Result<(), ServiceError> {
    projection.paths().iter().try_for_each(|path| check_path(path, table))
}

/// As [`check_projection`], for a filter.
pub(crate) fn check_filter(filter: &Condition, table: &TableDefinition) -> Result<(), ServiceError> {
    let mut checked = Ok(());
    filter.for_each_path(&mut |path| {
        if checked.is_ok() {
            checked = check_path(path, table);
        }
    });
    checked
}

/// The first attribute in a filter that is one of these keys.
pub(crate) fn key_in_filter<'k>(filter: &Condition, keys: Keys<'k>) -> Option<&'k str> {
    let mut found = None;
    filter.for_each_path(&mut |path| found = found.or_else(|| key(path.name(), keys)));
    found
}

/// As [`check_projection`], for one path.
pub(crate) fn check_path(path: &Path, table: &TableDefinition) -> Result<(), ServiceError> {
    let Some(PathElement::Attribute(_) | PathElement::Index(_)) = path.rest().first() else { return Ok(()) };
    let index_key = || {
        let mut keys = table.index_keys().map(|key| key.attribute.name.as_str());
        keys.find(|key| *key == path.name()).map(|key| ("IndexKey", key))
    };
    match key(path.name(), table.key_schema.keys()).map(|key| ("Key", key)).or_else(index_key) {
        Some((kind, key)) => Err(ServiceError::validation(format!(
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: {kind}: {key}"
        ))),
        None => Ok(()),
    }
}

fn key<'k>(name: &str, keys: Keys<'k>) -> Option<&'k str> {
    keys.attributes().find(|key| key.name == name).map(|key| key.name.as_str())
}
