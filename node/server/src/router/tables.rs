//! The Tables of the cluster as the router knows them: from the API server while it answers, and otherwise as they were
//! last, or as the storage nodes report them.

use super::{
    definition::definition,
    indexes,
    mirror::{Mirror, Moment, Watched},
    routes::Routes,
};
use crate::{environment, internal::client::GroupName};
use arc_swap::ArcSwap;
use cairn_api::TableView;
use cairn_crds::{Table, table::definition::table_arn};
use cairn_model::{
    ServiceError, TableDefinition,
    ids::TableId,
    table::{self, TableStatus},
};
use kube::ResourceExt;
use parking_lot::RwLock;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Every account's tables.
#[derive(Debug)]
pub struct Tables {
    region: String,
    routes: Arc<ArcSwap<Routes>>,
    resources: RwLock<Resources>,
}

#[derive(Debug)]
struct Resources {
    mirror: Mirror<Table>,
    /// The table that has each name of each account.
    by_account: HashMap<String, BTreeMap<String, Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    view: Arc<TableView>,
    resource: Arc<Table>,
}

impl Tables {
    /// `watched`: the namespaces that are watched; none for all.
    pub fn new(region: String, routes: Arc<ArcSwap<Routes>>, watched: Vec<String>) -> Arc<Self> {
        let resources = Resources { mirror: Mirror::new(watched), by_account: HashMap::new() };
        Arc::new(Self { region, routes, resources: RwLock::new(resources) })
    }

    /// Takes over one Table as it is now.
    pub fn put(&self, table: Table) {
        let Some(account) = table.namespace() else { return };
        let mut resources = self.resources.write();
        resources.mirror.put(table);
        self.index(&mut resources, &account);
    }

    /// To be taken before the API server is asked for a Table, or to change one.
    pub(super) fn moment(&self) -> Moment {
        self.resources.read().mirror.moment()
    }

    /// Takes over one Table as the API server answered that it is, asked at that moment.
    pub(super) fn answer(&self, table: Table, asked: Moment) {
        let Some(account) = table.namespace() else { return };
        let mut resources = self.resources.write();
        resources.mirror.answer(table, asked);
        self.index(&mut resources, &account);
    }

    /// The API server does not have this Table.
    pub(super) fn miss(&self, table: &Table) {
        let Some(account) = table.namespace() else { return };
        let mut resources = self.resources.write();
        resources.mirror.miss(table);
        self.index(&mut resources, &account);
    }

    /// This Table is no more.
    pub(super) fn remove(&self, table: &Table) {
        let Some(account) = table.namespace() else { return };
        let mut resources = self.resources.write();
        resources.mirror.remove(table);
        self.index(&mut resources, &account);
    }

    /// Takes over all Tables of a namespace, or of all namespaces, at once.
    pub fn replace(&self, namespace: Option<&str>, tables: Vec<Table>) {
        let mut resources = self.resources.write();
        resources.mirror.replace(namespace, tables);
        let mut accounts = resources.mirror.namespaces();
        accounts.extend(resources.by_account.keys().cloned());
        accounts.iter().for_each(|account| self.index(&mut resources, account));
    }

    /// The resource that has the table's name.
    pub(super) fn resource(&self, account: &str, name: &str) -> Option<Arc<Table>> {
        self.resources.read().by_account.get(account)?.get(name).map(|entry| entry.resource.clone())
    }

    /// The account's resources that have a table's name.
    pub(super) fn resources(&self, account: &str) -> Vec<Arc<Table>> {
        let resources = self.resources.read();
        let tables = resources.by_account.get(account).into_iter().flat_map(BTreeMap::values);
        tables.map(|entry| entry.resource.clone()).collect()
    }

    /// The storage group that holds the table, as its resource says or as the nodes report.
    pub(super) fn group(&self, table: &TableView) -> Option<GroupName> {
        let (account, name) = (&table.definition.account, &table.definition.table_name);
        let of_resource =
            |resource: Arc<Table>| GroupName { account: account.clone(), group: resource.spec.storage_group.clone() };
        let reported = || self.routes.load().find(table.definition.table_id, b"").map(|route| route.group.clone());
        self.resource(account, name).map(of_resource).or_else(reported)
    }

    pub(super) fn view(&self, account: &str, name: &str) -> Option<Arc<TableView>> {
        {
            let resources = self.resources.read();
            if let Some(entry) = resources.by_account.get(account).and_then(|tables| tables.get(name)) {
                return Some(entry.view.clone());
            }
            if resources.mirror.is_complete() {
                return None;
            }
        }
        let routes = self.routes.load();
        let known =
            routes.tables().find(|known| known.definition.account == account && known.definition.table_name == name)?;
        let arn = table_arn(&self.region, account, name);
        Some(Arc::new(TableView {
            global_indexes: indexes::reported(&routes, known, &arn),
            arn,
            definition: known.definition.clone(),
            status: TableStatus::Active,
            is_warming: false,
            item_count: known.item_count,
            size_bytes: known.size_bytes,
        }))
    }

    /// As the storage nodes report it of a table, or of a global index as one.
    pub(super) fn definition_held(&self, table_id: TableId) -> Option<TableDefinition> {
        self.routes.load().table(table_id).map(|known| known.definition.clone())
    }

    /// Whether every table that there is is known.
    pub(super) fn is_complete(&self) -> bool {
        self.resources.read().mirror.is_complete()
    }

    pub(super) fn names(&self, account: &str) -> Vec<String> {
        {
            let resources = self.resources.read();
            if resources.mirror.is_complete() {
                let tables = resources.by_account.get(account);
                return tables.map(|tables| tables.keys().cloned().collect()).unwrap_or_default();
            }
        }
        let mut names: Vec<String> = self
            .routes
            .load()
            .tables()
            .filter(|known| known.definition.account == account)
            .map(|known| known.definition.table_name.clone())
            .collect();
        names.sort();
        names
    }

    /// The table as its resource describes it.
    pub(super) fn describe(&self, table: &Table) -> Result<TableView, ServiceError> {
        let wanted = definition(table, &self.region, environment::wall_ms()).map_err(ServiceError::validation)?;
        let routes = self.routes.load();
        let held = |wanted: &TableDefinition| routes.table(wanted.table_id).map(|known| &known.definition);
        let is_unseen = is_unseen(table);
        // A stream is the table's once the operator has noted since when.
        let asked = table.spec.stream_view_type().ok().flatten();
        let has_stream = |held: &TableDefinition| held.current_stream().map(|stream| stream.view_type) == asked;
        let is_held = |held: &TableDefinition| has_stream(held) && !table::is_updating(held, &wanted);
        let is_updating = is_unseen && (table.scaling_begins_anew() || !held(&wanted).is_some_and(is_held));
        let is_warming = |wanted: &TableDefinition| {
            is_unseen && held(wanted).is_some_and(|held| held.warm().max(wanted.warm()) != held.warm())
        };
        let definition = with_class_of(table, wanted);
        let status = table.status.as_ref();
        let counted = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
        let arn = table_arn(&self.region, &definition.account, &definition.table_name);
        let mut global_indexes =
            indexes::views(table, &definition, &arn).map_err(|error| ServiceError::validation(error.to_string()))?;
        for index in &mut global_indexes {
            let index = Arc::make_mut(&mut index.table);
            index.is_warming = is_warming(&index.definition);
        }
        Ok(TableView {
            global_indexes,
            arn,
            status: match status.and_then(|status| status.table_status) {
                _ if table.metadata.deletion_timestamp.is_some() => TableStatus::Deleting,
                Some(TableStatus::Active) if is_updating => TableStatus::Updating,
                Some(status) => status,
                None => TableStatus::Creating,
            },
            is_warming: is_warming(&definition),
            item_count: counted(status.and_then(|status| status.item_count)),
            size_bytes: counted(status.and_then(|status| status.table_size_bytes)),
            definition,
        })
    }

    fn index(&self, resources: &mut Resources, account: &str) {
        let mut tables: BTreeMap<String, Entry> = BTreeMap::new();
        for resource in resources.mirror.of(account) {
            let view = match self.describe(resource) {
                Ok(view) => Arc::new(view),
                Err(error) => {
                    tracing::debug!(%account, name = resource.name_any(), %error, "a Table that says no table");
                    continue;
                }
            };
            let name = view.definition.table_name.clone();
            let entry = Entry { view, resource: resource.clone() };
            match tables.entry(name) {
                std::collections::btree_map::Entry::Vacant(vacant) => {
                    vacant.insert(entry);
                }
                std::collections::btree_map::Entry::Occupied(mut occupied) => {
                    if claim(&entry.resource) < claim(&occupied.get().resource) {
                        occupied.insert(entry);
                    }
                }
            }
        }
        if tables.is_empty() {
            resources.by_account.remove(account);
        } else {
            resources.by_account.insert(account.to_owned(), tables);
        }
    }
}

impl Watched<Table> for Tables {
    fn put(&self, table: Table) {
        self.put(table);
    }

    fn remove(&self, table: &Table) {
        self.remove(table);
    }

    fn replace(&self, namespace: Option<&str>, tables: Vec<Table>) {
        self.replace(namespace, tables);
    }
}

/// Whether the operator has yet to see what was changed just now: the nodes may hold the table otherwise.
fn is_unseen(table: &Table) -> bool {
    let observed = table.status.as_ref().and_then(|status| status.observed_generation);
    observed.is_some_and(|observed| table.metadata.generation.is_some_and(|now| now > observed))
}

/// With the class that the nodes have: what is asked for may have to wait.
fn with_class_of(table: &Table, wanted: TableDefinition) -> TableDefinition {
    let noted = table.status.as_ref().and_then(|status| status.table_class.as_ref()).map(|noted| noted.table_class);
    match noted.filter(|noted| *noted != wanted.table_class.unwrap_or_default()) {
        Some(noted) => TableDefinition { table_class: Some(noted), ..wanted },
        None => wanted,
    }
}

/// Of the resources that claim one name, the smallest claim has it: one that was given an id, then the first made.
fn claim(table: &Table) -> (bool, Option<i64>, String) {
    let named = table.status.as_ref().is_some_and(|status| status.table_id.is_some());
    let created = table.metadata.creation_timestamp.as_ref().map(|time| time.0.as_millisecond());
    (!named, created, table.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::routes::KnownNode;
    use cairn_model::{
        KeySchema,
        descriptor::{KeyRange, PartitionDescriptor},
        ids::{NodeId, PartitionId, ReplicaId, TableId},
        index::{GlobalIndex, IndexProjection, ProjectionType},
        node::{FedReport, NodeReport, ReplicaReport, ReplicaState},
        table::{KeyAttribute, ScalarType},
    };
    use serde_json::json;

    fn tables() -> Arc<Tables> {
        Tables::new("east".into(), Arc::default(), Vec::new())
    }

    fn table(name: &str, table_name: &str, created: &str, id: Option<&str>) -> Table {
        let mut table = json!({
            "apiVersion": "cairn.dev/v1alpha1", "kind": "Table",
            "metadata": {"name": name, "namespace": "game", "uid": "11111111-1111-4111-8111-111111111111", "creationTimestamp": created},
            "spec": {
                "tableName": table_name,
                "attributeDefinitions": [{"attributeName": "Id", "attributeType": "S"}],
                "keySchema": [{"attributeName": "Id", "keyType": "HASH"}],
                "billingMode": "PAY_PER_REQUEST",
            },
        });
        if let Some(id) = id {
            table["status"] =
                json!({"tableId": id, "creationDateTime": created, "tableStatus": "ACTIVE", "itemCount": 5});
        }
        serde_json::from_value(table).unwrap()
    }

    #[test]
    fn a_table_without_an_id_is_being_created_under_the_id_it_will_have() {
        let tables = tables();
        tables.put(table("users", "users", "2026-01-01T00:00:00Z", None));
        let view = tables.view("game", "users").unwrap();
        assert_eq!(view.status, TableStatus::Creating);
        assert_eq!(view.definition.table_id.to_string(), "11111111-1111-4111-8111-111111111111");
        assert_eq!(view.arn, "arn:aws:dynamodb:east:game:table/users");
    }

    #[test]
    fn the_first_resource_to_claim_a_name_has_it() {
        let tables = tables();
        tables.replace(None, Vec::new());
        let (first, second) = ("22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333");
        tables.put(table("late", "users", "2026-01-02T00:00:00Z", None));
        tables.put(table("early", "users", "2026-01-01T00:00:00Z", None));
        assert_eq!(tables.resource("game", "users").unwrap().name_any(), "early");
        tables.put(table("late", "users", "2026-01-02T00:00:00Z", Some(second)));
        assert_eq!(tables.resource("game", "users").unwrap().name_any(), "late", "it was given the name's id");
        tables.put(table("early", "users", "2026-01-01T00:00:00Z", Some(first)));
        assert_eq!(tables.names("game"), ["users"]);
    }

    #[test]
    fn what_only_the_nodes_tell_of_has_its_indexes_and_they_are_no_tables() {
        let (table_id, index_id) = (TableId([7; 16]), TableId([8; 16]));
        let key = |name: &str| KeyAttribute { name: name.into(), scalar_type: ScalarType::S };
        let keys = |name: &str| KeySchema { partition: key(name), sort: None };
        let index = GlobalIndex {
            index_name: "by-team".into(),
            index_id,
            slot: 0,
            key_schema: keys("Team").into(),
            projection: IndexProjection { projection_type: ProjectionType::All, non_key_attributes: [].into() },
            provisioned_throughput: None,
            on_demand_throughput: None,
            warm_throughput: None,
            partitions: Vec::new(),
        };
        let mut definition = TableDefinition::new("game", "users", table_id, keys("Id"));
        definition.global_indexes = vec![index.clone()];
        let seen = |complete| {
            let of_table = reported(definition.clone(), 1, Vec::new());
            let fed = FedReport { partition_id: PartitionId([1; 16]), complete, through: 1 };
            let of_index = reported(definition.of_index(&index), 2, vec![fed]);
            let routes =
                Routes::from_reports(&[KnownNode { address: "a".into(), report: node(vec![of_table, of_index]) }]);
            let tables = Tables::new("east".into(), Arc::new(ArcSwap::from_pointee(routes)), Vec::new());
            assert_eq!(tables.names("game"), ["users"]);
            let view = tables.view("game", "users").unwrap();
            let index = &view.global_indexes[0];
            assert_eq!((view.definition.table_id, index.table.definition.table_id), (table_id, index_id));
            (index.table.status, index.backfilling)
        };
        assert_eq!(seen(true), (TableStatus::Active, false));
        assert_eq!(seen(false), (TableStatus::Creating, true));
    }

    fn reported(definition: TableDefinition, partition: u8, fed_by: Vec<FedReport>) -> ReplicaReport {
        let (partition, range) = (PartitionId([partition; 16]), KeyRange::default());
        let descriptor = PartitionDescriptor::first(partition, definition.table_id, range, Vec::new());
        ReplicaReport { fed_by, ..ReplicaReport::new(ReplicaId(1), ReplicaState::Leader, descriptor, definition) }
    }

    fn node(replicas: Vec<ReplicaReport>) -> NodeReport {
        NodeReport {
            node_id: NodeId([9; 16]),
            region: "east".into(),
            account: "game".into(),
            group: "default".into(),
            zone: "z".into(),
            version: "0".into(),
            replicas,
            disk_free_bytes: 0,
            disk_total_bytes: 0,
            disk_full: false,
            retired: Vec::new(),
            consumption: None,
        }
    }

    #[test]
    fn what_a_table_takes_at_once_is_held_as_it_was_until_the_nodes_have_what_it_is_to_be() {
        let (id, text) = (TableId([0x22; 16]), "22222222-2222-2222-2222-222222222222");
        let key = KeyAttribute { name: "Id".into(), scalar_type: ScalarType::S };
        let held = TableDefinition::new("game", "users", id, KeySchema { partition: key, sort: None });
        let routes = Routes::from_reports(&[KnownNode {
            address: "a".into(),
            report: node(vec![reported(held.clone(), 1, Vec::new())]),
        }]);
        let tables = Tables::new("east".into(), Arc::new(ArcSwap::from_pointee(routes)), Vec::new());
        let mut users = table("users", "users", "2026-01-01T00:00:00Z", Some(text));
        let warm = json!({"readUnitsPerSecond": 20_000, "writeUnitsPerSecond": 4_000});
        users.spec.warm_throughput = Some(serde_json::from_value(warm).unwrap());
        users.metadata.generation = Some(2);
        users.status.as_mut().unwrap().observed_generation = Some(1);
        tables.put(users);
        let view = tables.view("game", "users").unwrap();
        assert_eq!((view.is_warming, view.definition.warm().read_units_per_second), (true, 20_000));
        assert_eq!(tables.definition_held(id), Some(held));
    }

    #[test]
    fn a_table_that_is_gone_is_gone() {
        let tables = tables();
        let users = table("users", "users", "2026-01-01T00:00:00Z", None);
        tables.replace(None, vec![users.clone()]);
        assert_eq!(tables.names("game"), ["users"]);
        tables.remove(&users);
        assert!(tables.view("game", "users").is_none());
        assert!(tables.names("game").is_empty());
    }
}
