//! The ServiceAccount of a group's storage pods, which has no rights and whose token no pod gets.

use super::names;
use crate::{config::Config, controller::storage_group::validate::ValidatedGroup};
use k8s_openapi::api::core::v1::ServiceAccount;

pub fn build(group: &ValidatedGroup, config: &Config) -> ServiceAccount {
    ServiceAccount {
        metadata: names::metadata(names::group_object(&group.name), group, config),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
