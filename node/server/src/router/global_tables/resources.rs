//! `GlobalTable` resources as the API writes them: as the field manager `cairn-api`, never by force, its own replicas and no
//! others.

use crate::router::writes::{ApiWrites, FIELD_MANAGER, answered, denied, other_owner, owns_member};
use cairn_api::global_tables::ReplicaUpdate;
use cairn_crds::{GlobalTable, GlobalTableReplica, GlobalTableSpec, Table, resource_name};
use cairn_model::ServiceError;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
};
use std::collections::BTreeSet;

/// What became of a resource.
pub(super) enum Change {
    Applied(Box<GlobalTable>),
    Deleted(Box<GlobalTable>),
}

pub(super) struct Resources {
    client: Client,
    writes: ApiWrites,
}

impl Resources {
    pub(super) fn new(client: Client, writes: ApiWrites) -> Self {
        Self { client, writes }
    }

    fn api(&self, account: &str) -> Api<GlobalTable> {
        Api::namespaced(self.client.clone(), account)
    }

    /// The resource of this name, as it is now, if it is the table's.
    pub(super) async fn find(
        &self,
        account: &str,
        name: &str,
        table_name: &str,
    ) -> Result<Option<GlobalTable>, ServiceError> {
        match answered(self.api(account).get_opt(name)).await? {
            Some(resource) if resource.table_name() != table_name => Err(ServiceError::validation(format!(
                "The GlobalTable {name} in the namespace {account} is of the table {}: rename it",
                resource.table_name()
            ))),
            found => Ok(found),
        }
    }

    /// Whether replicas may be changed through the API at all.
    pub(super) fn check_writes(&self) -> Result<(), ServiceError> {
        self.writes.check::<GlobalTable>()
    }

    /// Whether the API may make this change.
    pub(super) fn check(&self, resource: &GlobalTable, update: &ReplicaUpdate) -> Result<(), ServiceError> {
        let name = resource.name_any();
        self.writes.check_owner(resource, &name)?;
        let Some(owner) = other_owner(resource) else { return Ok(()) };
        match update.delete.iter().find(|region| !is_own(resource, region)) {
            Some(region) => Err(denied(&format!(
                "The replica {region} of GlobalTable {name} is managed by {owner}: take it out there"
            ))),
            None => Ok(()),
        }
    }

    /// Makes the resource, without replicas: added together with it, they could undo what another router adds at the same time. It
    /// goes with the table, of which this is the resource.
    pub(super) async fn create(
        &self,
        account: &str,
        table_name: &str,
        table: Option<&Table>,
    ) -> Result<GlobalTable, ServiceError> {
        let metadata = ObjectMeta {
            name: Some(resource_name(table_name)),
            namespace: Some(account.to_owned()),
            owner_references: table.and_then(owner_reference).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        };
        let spec = GlobalTableSpec { table_name: Some(table_name.to_owned()), replicas: Vec::new() };
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        answered(self.api(account).create(&params, &GlobalTable { metadata, spec, status: None })).await
    }

    /// Changes the resource; what is empty afterwards and nobody else's is deleted.
    pub(super) async fn update(&self, resource: &GlobalTable, update: &ReplicaUpdate) -> Result<Change, ServiceError> {
        let shared = other_owner(resource).is_some();
        let present = resource.spec.replicas.iter().map(|replica| &replica.region_name);
        let own = present.filter(|region| !shared || is_own(resource, region));
        let mut regions: BTreeSet<String> = own.filter(|region| !update.delete.contains(*region)).cloned().collect();
        regions.extend(update.create.iter().cloned());
        if !regions.is_empty() || shared {
            return self.apply(resource, &regions).await;
        }
        let preconditions = Preconditions { uid: resource.uid(), resource_version: resource.resource_version() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let deleted = answered(self.api(&resource.account()).delete(&resource.name_any(), &params)).await?;
        Ok(match deleted.left() {
            // A finalizer keeps it for a while.
            Some(left) if left.metadata.deletion_timestamp.is_some() => Change::Applied(Box::new(left)),
            _ => Change::Deleted(Box::new(resource.clone())),
        })
    }

    async fn apply(&self, resource: &GlobalTable, regions: &BTreeSet<String>) -> Result<Change, ServiceError> {
        let account = resource.account();
        let own = other_owner(resource).is_none();
        let replica =
            |region: &String| GlobalTableReplica { region_name: region.clone(), endpoint: None, peer_ref: None };
        let applied = GlobalTable {
            metadata: ObjectMeta {
                name: Some(resource.name_any()),
                namespace: Some(account.clone()),
                uid: resource.uid(),
                resource_version: resource.resource_version(),
                owner_references: resource.metadata.owner_references.clone().filter(|_| own),
                ..ObjectMeta::default()
            },
            spec: GlobalTableSpec {
                table_name: resource.spec.table_name.clone(),
                replicas: regions.iter().map(replica).collect(),
            },
            status: None,
        };
        let (api, name, params) = (self.api(&account), resource.name_any(), PatchParams::apply(FIELD_MANAGER));
        let applied = answered(api.patch(&name, &params, &Patch::Apply(&applied))).await?;
        Ok(Change::Applied(Box::new(applied)))
    }
}

/// Whether the resource belongs to tables, and this is none of them: the garbage collector has not come to it yet.
pub(super) fn goes_with_another(resource: &GlobalTable, table: Option<&Table>) -> bool {
    let uid = table.and_then(|table| table.metadata.uid.as_ref());
    let mut owners = resource.owner_references().iter().filter(|owner| owner.kind == "Table").peekable();
    owners.peek().is_some() && owners.all(|owner| Some(&owner.uid) != uid)
}

/// Whether somebody else made a part of this update already.
pub(super) fn is_past(resource: &GlobalTable, update: &ReplicaUpdate) -> bool {
    let has = |region: &String| resource.spec.replicas.iter().any(|replica| replica.region_name == *region);
    update.create.iter().any(has) || !update.delete.iter().all(has)
}

/// Whether the API added this replica.
fn is_own(resource: &GlobalTable, region: &str) -> bool {
    owns_member(resource, FIELD_MANAGER, "replicas", &serde_json::json!({"regionName": region}))
}

fn owner_reference(table: &Table) -> Option<OwnerReference> {
    Some(OwnerReference { controller: None, block_owner_deletion: None, ..table.owner_ref(&())? })
}
