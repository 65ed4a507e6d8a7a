//! A group that may be built: its zones are chosen.

use super::zones;
use crate::{
    controller::Refusal,
    error::{Error, Result},
};
use cairn_crds::{StorageGroup, StorageGroupSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use std::collections::BTreeSet;

/// A group whose zones are known: the only thing the builders take.
#[derive(Clone, Debug)]
pub struct ValidatedGroup {
    pub namespace: String,
    pub name: String,
    pub owner: OwnerReference,
    pub spec: StorageGroupSpec,
    pub zones: Vec<String>,
    /// Whether its volumes go when it goes: only while it is about to be removed, and empty.
    pub removes_claims: bool,
}

/// Checks the group against the zones that the cluster has; the inner error is for the group's conditions.
pub fn validate(group: &StorageGroup, zones_found: &BTreeSet<String>) -> Result<Result<ValidatedGroup, Refusal>> {
    let recorded = group.status.as_ref().map(|status| status.zones.as_slice()).unwrap_or_default();
    let owner = group.controller_owner_ref(&()).ok_or(Error::Incomplete { field: "metadata.uid" })?;
    Ok(zones::choose(&group.spec, recorded, zones_found).map(|zones| ValidatedGroup {
        namespace: group.namespace().unwrap_or_default(),
        name: group.name_any(),
        owner,
        spec: group.spec.clone(),
        zones,
        removes_claims: false,
    }))
}
