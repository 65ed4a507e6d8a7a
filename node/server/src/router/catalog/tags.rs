//! Tags, which lie in the `Table` resource and nowhere else: as the field manager `cairn-api`, its own and no others.

use super::{KubernetesCatalog, change};
use crate::router::writes::{FIELD_MANAGER, answered, denied, other_member_owner, owns_member};
use cairn_api::{TagUpdate, errors};
use cairn_crds::{Table, TableSpec};
use cairn_model::{ErrorKind, ServiceError};
use kube::ResourceExt;
use serde_json::json;

impl KubernetesCatalog {
    /// Changes the tags of the resource as it is now at the API server.
    pub(super) async fn change_tags(&self, account: &str, name: &str, update: &TagUpdate) -> Result<(), ServiceError> {
        let known = self.own(account, name)?;
        let asked = self.tables.moment();
        let found = answered(self.api(account).get_opt(&known.name_any())).await?;
        let resource = found.ok_or_else(|| errors::table_not_found(name))?;
        self.writes.check_owner(&resource, name)?;
        if resource.metadata.deletion_timestamp.is_some() {
            return Err(errors::table_being_deleted(name));
        }
        let before = resource.spec.tags_by_key();
        let after = update.apply(before.clone())?;
        let changed = before.keys().chain(after.keys()).filter(|key| before.get(*key) != after.get(*key));
        if let Some((key, owner)) = changed.filter_map(|key| Some((key, other_owner(&resource, key)?))).next() {
            return Err(denied(&format!("The tag {key} of Table {name} is managed by {owner}: change it there")));
        }
        if after == before {
            return Ok(());
        }
        let mut spec = resource.spec.clone();
        spec.set_tags(after);
        leave_to_others(&resource, &mut spec);
        self.tables.answer(self.apply(&change(&resource, spec)).await?, asked);
        Ok(())
    }
}

/// Takes out of a spec that is to be applied what the API would only come to own together with others: theirs stays.
pub(super) fn leave_to_others(resource: &Table, spec: &mut TableSpec) {
    let mut tags = spec.tags_by_key();
    tags.retain(|key, _| is_owned(resource, key, FIELD_MANAGER) || other_owner(resource, key).is_none());
    spec.set_tags(tags);
}

/// What a client is told whose router has not heard of the resource.
pub(super) fn not_told() -> ServiceError {
    ServiceError::new(
        ErrorKind::InternalServerError,
        "This table's tags are not known: they are in its Table resource, and the Kubernetes API server has not told of it \
         yet. Please try again",
    )
}

/// The manager, other than the API, that owns the tag.
fn other_owner<'a>(resource: &'a Table, key: &str) -> Option<&'a str> {
    other_member_owner(resource, "tags", &json!({"key": key}))
}

fn is_owned(resource: &Table, key: &str, manager: &str) -> bool {
    owns_member(resource, manager, "tags", &json!({"key": key}))
}
