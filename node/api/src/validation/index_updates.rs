//! The values that an update's own text gives to key attributes of indexes. (What it computes is checked where the item is.)

use super::key_paths::check_path;
use cairn_expression::{Action, Update, Value};
use cairn_model::{AttributeValue, ServiceError, TableDefinition, index_keys::check_index_key_type};

/// Refuses a value of another type than the index's key has, and a step into the key.
pub(crate) fn check_index_updates(table: &TableDefinition, update: &Update) -> Result<(), ServiceError> {
    table.index_keys().try_for_each(|key| {
        let is_key = |action: &&Action| {
            let path = action.path();
            path.rest().is_empty() && path.name() == key.attribute.name
        };
        match update.actions().iter().find(is_key).and_then(given) {
            Some(value) => check_index_key_type(key.attribute, value, key.index_name),
            None => Ok(()),
        }
    })?;
    update.paths().try_for_each(|path| check_path(path, table))
}

fn given(action: &Action) -> Option<&AttributeValue> {
    match action {
        Action::Set(_, Value::Literal(value)) | Action::Add(_, value) | Action::Delete(_, value) => Some(value),
        Action::Set(..) | Action::Remove(_) => None,
    }
}
