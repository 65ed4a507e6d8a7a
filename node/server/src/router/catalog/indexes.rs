//! Global indexes in the `Table` resource, where somebody else may own some of them.

use crate::router::writes::{FIELD_MANAGER, denied, other_member_owner, owns_member};
use cairn_crds::{Table, TableSpec};
use cairn_model::ServiceError;
use serde_json::{Value, json};

const INDEXES: &str = "globalSecondaryIndexes";

/// What is taken out of the spec would stay as long as another manager has it there.
pub(super) fn check_owners(resource: &Table, name: &str, spec: &TableSpec) -> Result<(), ServiceError> {
    let left = |index: &str| spec.global_secondary_indexes.iter().flatten().any(|left| left.index_name == index);
    let names = resource.spec.global_secondary_indexes.iter().flatten().map(|index| index.index_name.as_str());
    let owned = names
        .filter(|index| !left(index))
        .find_map(|index| Some((index, other_member_owner(resource, INDEXES, &json!({"indexName": index}))?)));
    match owned {
        Some((index, owner)) => {
            Err(denied(&format!("The index {index} of Table {name} is managed by {owner}: remove it there")))
        }
        None => Ok(()),
    }
}

/// Takes out of a spec that is to be applied the indexes and attributes that the API would only come to own together with
/// others: they could not remove theirs any more.
pub(super) fn leave_to_others(resource: &Table, spec: &mut TableSpec) {
    let is_others = |list: &str, key: &Value| {
        !owns_member(resource, FIELD_MANAGER, list, key) && other_member_owner(resource, list, key).is_some()
    };
    if let Some(indexes) = &mut spec.global_secondary_indexes {
        let before = resource.spec.global_secondary_indexes.as_deref().unwrap_or_default();
        indexes.retain(|index| !before.contains(index) || !is_others(INDEXES, &json!({"indexName": index.index_name})));
    }
    spec.global_secondary_indexes.take_if(|indexes| indexes.is_empty());
    spec.attribute_definitions
        .retain(|attribute| !is_others("attributeDefinitions", &json!({"attributeName": attribute.attribute_name})));
}
