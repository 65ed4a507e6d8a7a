//! The global tables of a cluster: which other regions a table has is declared by `GlobalTable` resources, kept by the nodes in
//! the table's definition, and reported by the leaders of its partitions.

mod description;
mod peers;
mod resources;

use super::{
    mirror::{Mirror, Watched},
    routes::Routes,
    tables::Tables,
    writes::ApiWrites,
};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use cairn_api::{GlobalTables, TableView, errors, global_tables::ReplicaUpdate};
use cairn_crds::{GlobalTable, resource_name};
use cairn_model::{ErrorKind, ServiceError};
use description::Declared;
use kube::{Client, ResourceExt};
use parking_lot::RwLock;
use resources::{Change, Resources};
use std::sync::Arc;

/// A change of a resource is tried again where somebody else, the operator with its status above all, wrote at the same time.
const ATTEMPTS: usize = 3;

#[allow(missing_debug_implementations)]
pub struct ClusterGlobalTables {
    client: Client,
    region: String,
    tables: Arc<Tables>,
    routes: Arc<ArcSwap<Routes>>,
    mirror: RwLock<Mirror<GlobalTable>>,
    resources: Resources,
}

impl ClusterGlobalTables {
    /// `watched`: the namespaces that are watched; none for all.
    pub fn new(
        region: String,
        client: Client,
        (tables, routes): (Arc<Tables>, Arc<ArcSwap<Routes>>),
        watched: Vec<String>,
        writes: ApiWrites,
    ) -> Arc<Self> {
        let resources = Resources::new(client.clone(), writes);
        let mirror = RwLock::new(Mirror::new(watched));
        Arc::new(Self { client, region, tables, routes, mirror, resources })
    }

    /// Takes over all GlobalTables of a namespace, or of all namespaces, at once.
    pub fn replace(&self, namespace: Option<&str>, resources: Vec<GlobalTable>) {
        self.mirror.write().replace(namespace, resources);
    }

    /// The resource that declares the table's replicas: of several the one that it had, or else the first that was made, as the
    /// operator has it.
    fn declared(&self, account: &str, table_name: &str) -> Option<Arc<GlobalTable>> {
        let table = self.tables.resource(account, table_name);
        let had = table.as_ref().and_then(|table| table.status.as_ref()?.global_table.clone());
        let mirror = self.mirror.read();
        let stays = mirror.of(account).filter(|resource| resource.metadata.deletion_timestamp.is_none());
        let of_table = stays.filter(|resource| {
            resource.table_name() == table_name && !resources::goes_with_another(resource, table.as_deref())
        });
        let age = |resource: &&Arc<GlobalTable>| {
            let created = resource.metadata.creation_timestamp.as_ref().map(|time| time.0.as_millisecond());
            let name = resource.name_any();
            (Some(&name) != had.as_ref(), created, name)
        };
        of_table.min_by_key(age).cloned()
    }

    /// Whether the table had a resource that declared its replicas, though none does now. Where it never had one, what the nodes
    /// hold stays.
    fn had_one(&self, account: &str, table_name: &str) -> bool {
        let table = self.tables.resource(account, table_name);
        let status = table.as_ref().and_then(|table| table.status.as_ref());
        status.is_some_and(|status| status.global_table.is_some()) && self.mirror.read().is_complete()
    }
}

#[async_trait]
impl GlobalTables for ClusterGlobalTables {
    fn describe(&self, table: &TableView) -> Option<cairn_api::global_tables::GlobalTable> {
        let definition = &table.definition;
        let (account, name) = (&definition.account, &definition.table_name);
        let declared = match self.declared(account, name) {
            Some(resource) => Declared::By(resource),
            None if self.had_one(account, name) => Declared::NoMore,
            None => Declared::Unknown,
        };
        let routes = self.routes.load();
        description::describe(&self.region, definition, &declared, routes.table(definition.table_id))
    }

    async fn update_replicas(&self, table: &TableView, update: ReplicaUpdate) -> Result<(), ServiceError> {
        let account = &table.definition.account;
        self.resources.check_writes()?;
        for region in &update.create {
            peers::check(&self.client, account, region).await?;
        }
        for _ in 1..ATTEMPTS {
            match self.write(table, &update).await {
                Err(error) if error.kind == ErrorKind::ResourceInUseException => {
                    tracing::debug!(account, table = table.definition.table_name, %error, "trying once more");
                }
                written => return written,
            }
        }
        self.write(table, &update).await
    }
}

impl ClusterGlobalTables {
    /// Changes the resource as it is now at the API server, or makes one.
    async fn write(&self, table: &TableView, update: &ReplicaUpdate) -> Result<(), ServiceError> {
        let (account, name) = (&table.definition.account, &table.definition.table_name);
        let asked = self.mirror.read().moment();
        let declared = self.declared(account, name).map(|resource| resource.name_any());
        let found = self.resources.find(account, &declared.unwrap_or_else(|| resource_name(name)), name).await?;
        let of_table = self.tables.resource(account, name);
        let (resource, update) = match found {
            Some(resource)
                if resource.metadata.deletion_timestamp.is_some()
                    || resources::goes_with_another(&resource, of_table.as_deref()) =>
            {
                return Err(errors::global_table_in_use());
            }
            // Made, but never filled: by an attempt before this one.
            Some(resource) if resource.spec.replicas.is_empty() && !self.had_one(account, name) => {
                (resource, self.with_held(table, update)?)
            }
            Some(resource) if resources::is_past(&resource, update) => {
                self.mirror.write().answer(resource, asked);
                return Err(errors::overtaken());
            }
            Some(resource) => (resource, update.clone()),
            None => {
                let update = self.with_held(table, update)?;
                (self.resources.create(account, name, of_table.as_deref()).await?, update)
            }
        };
        self.resources.check(&resource, &update)?;
        match self.resources.update(&resource, &update).await? {
            Change::Applied(resource) => self.mirror.write().answer(*resource, asked),
            Change::Deleted(resource) => self.mirror.write().remove(&resource),
        }
        Ok(())
    }

    /// The update of a table that has no resource: what the nodes hold without one stays, or it would leave them.
    fn with_held(&self, table: &TableView, update: &ReplicaUpdate) -> Result<ReplicaUpdate, ServiceError> {
        if !self.mirror.read().is_complete() {
            let message = "This router does not know yet which GlobalTables there are. Please try again";
            return Err(ServiceError::new(ErrorKind::InternalServerError, message));
        }
        let routes = self.routes.load();
        let held = routes.table(table.definition.table_id).and_then(|known| known.definition.replicas.as_ref());
        let others = held.into_iter().flat_map(|held| held.members.iter().filter(|region| **region != held.region));
        let mut create = update.create.clone();
        create.extend(others.cloned());
        if create.is_empty() {
            return Err(errors::global_table_in_use());
        }
        create.retain(|region| !update.delete.contains(region));
        if create.is_empty() {
            return Err(ServiceError::validation(
                "The storage nodes hold this table with other regions, and no GlobalTable names them: apply one that does, \
                 and to leave them delete it then",
            ));
        }
        Ok(ReplicaUpdate { create, delete: update.delete.clone() })
    }
}

impl Watched<GlobalTable> for ClusterGlobalTables {
    fn put(&self, resource: GlobalTable) {
        self.mirror.write().put(resource);
    }

    fn remove(&self, resource: &GlobalTable) {
        self.mirror.write().remove(resource);
    }

    fn replace(&self, namespace: Option<&str>, resources: Vec<GlobalTable>) {
        self.replace(namespace, resources);
    }
}
