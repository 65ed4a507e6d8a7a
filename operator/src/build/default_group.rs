//! The StorageGroup `default`, which a namespace gets with its first table.

use super::names;
use crate::FIELD_MANAGER;
use cairn_crds::{DEFAULT_STORAGE_GROUP, StorageGroup, StorageGroupSpec};

/// Made once and left alone from then on. The label says that the operator made it, and may remove it when it is empty for long.
pub fn build(namespace: &str, defaults: &StorageGroupSpec) -> StorageGroup {
    let mut group = StorageGroup::new(DEFAULT_STORAGE_GROUP, defaults.clone());
    group.metadata.namespace = Some(namespace.to_owned());
    group.metadata.labels = Some(names::labels_of([(names::MANAGED_BY_LABEL, FIELD_MANAGER)]));
    group
}

/// Whether the operator made the group.
pub fn is_ours(group: &StorageGroup) -> bool {
    let labels = group.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(names::MANAGED_BY_LABEL)).is_some_and(|by| by == FIELD_MANAGER)
}
