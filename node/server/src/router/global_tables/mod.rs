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
use cairn_crds::GlobalTable;
use cairn_model::ServiceError;
use kube::{Client, ResourceExt};
use parking_lot::RwLock;
use resources::{Change, Resources};
use std::sync::Arc;

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

    /// The resource that declares the table's replicas, the first made of several; and whether there can be no other.
    fn declared(&self, account: &str, table_name: &str) -> (Option<Arc<GlobalTable>>, bool) {
        let mirror = self.mirror.read();
        let of_table = mirror.of(account).filter(|resource| resource.table_name() == table_name);
        let age = |resource: &&Arc<GlobalTable>| {
            let created = resource.metadata.creation_timestamp.as_ref().map(|time| time.0.as_millisecond());
            (created, resource.name_any())
        };
        (of_table.min_by_key(age).cloned(), mirror.is_complete())
    }
}

#[async_trait]
impl GlobalTables for ClusterGlobalTables {
    fn describe(&self, table: &TableView) -> Option<cairn_api::global_tables::GlobalTable> {
        let definition = &table.definition;
        let (resource, complete) = self.declared(&definition.account, &definition.table_name);
        let routes = self.routes.load();
        let held = routes.table(definition.table_id);
        description::describe(&self.region, definition.creation_time_ms, resource.as_deref(), complete, held)
    }

    async fn update_replicas(&self, table: &TableView, update: ReplicaUpdate) -> Result<(), ServiceError> {
        let (account, name) = (&table.definition.account, &table.definition.table_name);
        let present = match self.declared(account, name).0 {
            Some(resource) => Some(resource),
            None => self.resources.find(account, name).await?.map(Arc::new),
        };
        if present.as_ref().is_some_and(|resource| resource.metadata.deletion_timestamp.is_some()) {
            return Err(errors::global_table_in_use());
        }
        self.resources.check(present.as_deref(), &update)?;
        for region in &update.create {
            peers::check(&self.client, account, region).await?;
        }
        let change = match present {
            Some(resource) => self.resources.update(&resource, &update).await?,
            None if update.create.is_empty() => return Err(errors::global_table_in_use()),
            None => {
                let of_table = self.tables.resource(account, name);
                self.resources.create(account, name, of_table.as_deref(), &update).await?
            }
        };
        match change {
            Change::Applied(resource) => self.mirror.write().put(*resource),
            Change::Deleted(resource) => self.mirror.write().remove(&resource),
        }
        Ok(())
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
