use super::*;
use crate::{
    dev::{
        NoPeers,
        records::Records,
        tables::{ACCOUNT, LocalTables},
    },
    indexes::{Feeders, sink::NodeSink},
    node::{ExpiryArguments, Node, OpenFolder},
};
use cairn_api::{Catalog, NewTable, Partitions, Room, RoutingKey, TableUpdate, catalog::OnDemandUpdate};
use cairn_engine::Owner;
use cairn_model::{
    AttributeValue, Item, KeySchema,
    codec::EncodedItem,
    ids::RequestId,
    index::{IndexProjection, NewGlobalIndex, ProjectionType},
    key::EncodedKey,
    node::{FedReport, ReplicaState},
    table::{BillingMode, KeyAttribute, ScalarType},
};
use cairn_replication::{
    Clock, SystemClock,
    log::OnDamage,
    operation::{PartitionOutcome, PartitionRequest, RangeRequest, ReturnValues, WriteAction, WriteRequest},
};
use std::{collections::BTreeMap, ops::Bound, path::Path, time::Duration};
use tokio::task::JoinHandle;

const TABLE: TableId = TableId([1; 16]);
const INDEX: TableId = TableId([2; 16]);

fn keys(partition: &str) -> KeySchema {
    KeySchema { partition: KeyAttribute { name: partition.to_owned(), scalar_type: ScalarType::S }, sort: None }
}

fn by_group() -> NewGlobalIndex {
    NewGlobalIndex {
        index_name: "by-group".to_owned(),
        key_schema: keys("Group").into(),
        projection: IndexProjection { projection_type: ProjectionType::All, non_key_attributes: Default::default() },
        provisioned_throughput: None,
        on_demand_throughput: None,
        warm_throughput: None,
    }
}

fn new_table(global_indexes: Vec<NewGlobalIndex>) -> NewTable {
    NewTable {
        table_name: "users".to_owned(),
        key_schema: keys("Id"),
        billing_mode: BillingMode::PayPerRequest,
        provisioned_throughput: None,
        on_demand_throughput: None,
        warm_throughput: None,
        table_class: None,
        deletion_protection_enabled: false,
        local_indexes: Vec::new(),
        global_indexes,
        stream: None,
        tags: Default::default(),
    }
}

fn update(update: GlobalIndexUpdate) -> TableUpdate {
    TableUpdate { global_indexes: vec![update], ..TableUpdate::default() }
}

fn delete() -> TableUpdate {
    update(GlobalIndexUpdate::Delete { index_name: "by-group".to_owned() })
}

/// A table's definition with an index, at this version.
fn definition(version: u64) -> TableDefinition {
    let mut definition = new_table(vec![by_group()]).into_definition(ACCOUNT, TABLE, 5, || INDEX);
    definition.schema_version = version;
    locate(&mut definition, NodeId([3; 16]));
    definition.global_indexes[0].partitions[0].partition_id = PartitionId([2; 16]);
    definition
}

fn report(partition: u8, definition: TableDefinition) -> ReplicaReport {
    let members = vec![first_member(NodeId([3; 16]))];
    let descriptor =
        PartitionDescriptor::first(PartitionId([partition; 16]), definition.table_id, KeyRange::default(), members);
    let report = ReplicaReport::new(ReplicaId(1), ReplicaState::Leader, descriptor, definition);
    ReplicaReport { item_count: 7, size_bytes: 70, ..report }
}

#[test]
fn what_tables_say_of_their_indexes_is_what_is_made_and_dropped() {
    let table = definition(4);
    let index = table.of_index(&table.global_indexes[0]);
    let made = due(&[report(1, table.clone())]);
    let [Order::Bootstrap { descriptor, definition }] = &made[..] else { panic!("{made:?}") };
    assert_eq!((descriptor.partition_id, definition), (PartitionId([2; 16]), &index));
    assert_eq!(due(&[report(1, table.clone()), report(2, index.clone())]), []);
    let earlier = TableDefinition { schema_version: 2, ..index.clone() };
    let next = TableDefinition { schema_version: 3, ..index.clone() };
    let followed = Order::UpdateDefinition { partition_id: PartitionId([2; 16]), definition: next };
    assert_eq!(due(&[report(1, table), report(2, earlier)]), [followed], "a version at a time");
    let dropped = Order::DropPartition { partition_id: PartitionId([2; 16]), table_id: INDEX, deleted_at_ms: None };
    assert_eq!(due(&[report(2, index)]), [dropped], "its table is gone");
}

#[test]
fn an_index_is_active_once_it_has_what_was_there_before_it_and_deleting_until_it_is_gone() {
    let table = definition(1);
    let of = |hidden: &[&ReplicaReport], table: &TableDefinition, made_empty: &[TableId]| {
        let views = views(table, "arn", hidden, &made_empty.iter().copied().collect());
        let [view] = &views[..] else { panic!("{views:?}") };
        assert_eq!(view.table.arn, "arn/index/by-group");
        (view.table.status, view.backfilling, view.table.item_count)
    };
    let mut hidden = report(2, table.of_index(&table.global_indexes[0]));
    assert_eq!(of(&[], &table, &[]), (TableStatus::Creating, false, 0));
    assert_eq!(of(&[&hidden], &table, &[]), (TableStatus::Creating, true, 7));
    assert_eq!(of(&[&hidden], &table, &[INDEX]), (TableStatus::Active, false, 7));
    hidden.fed_by = vec![FedReport { partition_id: PartitionId([1; 16]), complete: true, through: 9 }];
    assert_eq!(of(&[&hidden], &table, &[]), (TableStatus::Active, false, 7));
    let without = TableDefinition { global_indexes: Vec::new(), ..table };
    assert_eq!(of(&[&hidden], &without, &[]), (TableStatus::Deleting, false, 7));
}

/// `cairn dev` without its API.
struct World {
    node: Arc<Node>,
    tables: Arc<LocalTables>,
    feeders: JoinHandle<()>,
    registry: prometheus::Registry,
}

impl World {
    async fn start(folder: &Path) -> Self {
        let owner = Owner { region: "east".into(), account: ACCOUNT.into(), group: "dev".into() };
        let opened = OpenFolder::open(folder.to_owned(), owner, None, OnDamage::Refuse, Duration::from_secs(5)).await;
        let expiry = ExpiryArguments { ttl_interval_ms: 1_000 };
        let registry = prometheus::Registry::new();
        let node = opened.unwrap().start(Arc::new(NoPeers), &registry, false, None, expiry).unwrap();
        let there = node.host().replicas().into_iter().map(|replica| replica.definition.table_id).collect();
        let records = Records::open(folder, there).await.unwrap();
        let tables = LocalTables::new(node.clone(), "east".to_owned(), records);
        let sink = NodeSink { node: node.clone(), others: None };
        let feeders = Feeders::new(node.clone(), sink, Arc::new(SystemClock), 7, &registry).unwrap();
        Self { node, tables, feeders: tokio::spawn(feeders.run()), registry }
    }

    async fn stop(self) {
        self.feeders.abort();
        let _ = self.feeders.await;
        self.node.stop().await;
    }

    fn table(&self) -> Arc<TableView> {
        self.tables.table(ACCOUNT, "users").unwrap()
    }

    fn index(&self) -> Option<IndexView> {
        self.table().global_indexes.first().cloned()
    }

    async fn put(&self, id: &str, group: &str) {
        let item: Item = [("Id", id), ("Group", group)]
            .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())))
            .into();
        let write = WriteRequest {
            request_id: RequestId(uuid::Uuid::new_v4().into_bytes()),
            key: EncodedKey::new(&keys("Id"), &item).unwrap(),
            action: WriteAction::Put(EncodedItem::encode(&item)),
            condition: None,
            return_values: ReturnValues::None,
            return_item_on_condition_failure: false,
        };
        self.ask(&self.table(), PartitionRequest::Write(write)).await;
    }

    async fn ask(&self, table: &TableView, request: PartitionRequest) -> PartitionOutcome {
        let room = Room::within(100 << 20);
        self.tables.request(table, RoutingKey(&[]), request, &room).await.unwrap()
    }

    /// Every item's group, as a table or an index has it.
    async fn groups(&self, of: &TableView) -> BTreeMap<String, String> {
        let request = RangeRequest {
            lower: Bound::Unbounded,
            upper: Bound::Unbounded,
            forward: true,
            limit: None,
            page_bytes: u32::MAX,
            filter: None,
            projection: None,
            count_only: false,
            consistent: true,
            index: None,
        };
        let PartitionOutcome::Range(page) = self.ask(of, PartitionRequest::Range(request)).await else { panic!() };
        let text = |item: &Item, name: &str| match &item[name] {
            AttributeValue::S(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        let items = page.items.iter().map(|item| item.decode().unwrap());
        items.map(|item| (text(&item, "Id"), text(&item, "Group"))).collect()
    }

    /// The value of a gauge of the index, where it is shown.
    fn gauge(&self, name: &str) -> Option<f64> {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name)?;
        Some(family.get_metric().first()?.get_gauge().get_value())
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let waited = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(20), waited).await;
        ended.unwrap_or_else(|_| panic!("it is never so: {what}"));
    }

    async fn until_active(&self) {
        let active = async || self.index().is_some_and(|index| index.table.status == TableStatus::Active);
        self.until("the index is ACTIVE", active).await;
    }

    /// Until the index shows what the table holds.
    async fn until_indexed(&self) {
        let same = async || {
            let index = self.index().unwrap();
            self.groups(&self.table()).await == self.groups(&index.table).await
        };
        self.until("the index is as its table", same).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_with_an_index_has_it_at_once_and_writes_show_up_in_it_soon() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path()).await;
    let created = world.tables.create_table(ACCOUNT, new_table(vec![by_group()])).await.unwrap();
    assert_eq!(created.global_indexes[0].table.status, TableStatus::Creating);
    assert_eq!(world.index().unwrap().table.status, TableStatus::Active);
    assert_eq!(world.tables.list_tables(ACCOUNT), ["users"]);
    world.put("0", "first").await;
    world.until_indexed().await;
    let mut waits = Vec::new();
    for number in 0..20 {
        world.put("a", &number.to_string()).await;
        let begun_ms = SystemClock.now().boot_ms;
        world.until_indexed().await;
        waits.push(SystemClock.now().boot_ms - begun_ms);
    }
    waits.sort_unstable();
    println!("behind its table by {waits:?} ms");
    assert!(waits[10] < 250, "{waits:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_added_while_writes_go_on_is_active_when_it_has_all_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path()).await;
    world.tables.create_table(ACCOUNT, new_table(Vec::new())).await.unwrap();
    for number in 0..700 {
        world.put(&number.to_string(), "before").await;
    }
    let create = update(GlobalIndexUpdate::Create(by_group()));
    let updated = world.tables.update_table(ACCOUNT, "users", create).await.unwrap();
    assert_eq!(updated.global_indexes[0].table.status, TableStatus::Creating);
    for number in 0..100 {
        world.put(&(7 * number).to_string(), "during").await;
    }
    world.until_active().await;
    assert!(world.groups(&world.index().unwrap().table).await.len() >= 700);
    world.until_indexed().await;
    let caught_up = async || world.gauge("cairn_index_pending_entries") == Some(0.0);
    world.until("nothing is pending", caught_up).await;
    assert_eq!(world.gauge("cairn_index_lag_seconds"), Some(0.0));
    assert_eq!(world.gauge("cairn_index_online_percentage_progress"), Some(100.0));
    assert!(world.gauge("cairn_index_online_consumed_write_capacity_units").unwrap() >= 500.0);
    let counted = world.tables.counts(&world.index().unwrap().table).await.unwrap();
    assert_eq!(counted.item_count, 700);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_deleted_is_deleting_and_gone_with_its_partition() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path()).await;
    world.tables.create_table(ACCOUNT, new_table(vec![by_group()])).await.unwrap();
    world.put("a", "g").await;
    world.until_indexed().await;
    let updated = world.tables.update_table(ACCOUNT, "users", delete()).await.unwrap();
    assert_eq!(updated.global_indexes[0].table.status, TableStatus::Deleting);
    assert_eq!((world.index(), world.node.host().replicas().len()), (None, 1));
    // One of the same name is another.
    let create = update(GlobalIndexUpdate::Create(by_group()));
    world.tables.update_table(ACCOUNT, "users", create).await.unwrap();
    world.until_active().await;
    world.until_indexed().await;
    let deleted = world.tables.delete_table(ACCOUNT, "users").await.unwrap();
    assert_eq!(deleted.global_indexes[0].table.status, TableStatus::Deleting);
    assert_eq!(world.node.host().replicas().len(), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_in_an_index_or_its_tables_billing_is_known_to_its_partition() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path()).await;
    world.tables.create_table(ACCOUNT, new_table(vec![by_group()])).await.unwrap();
    let change = GlobalIndexUpdate::Update {
        index_name: "by-group".to_owned(),
        provisioned_throughput: None,
        on_demand_throughput: Some(OnDemandUpdate {
            max_read_request_units: None,
            max_write_request_units: Some(cairn_api::MaximumUpdate::Set(5)),
        }),
        warm_throughput: None,
    };
    world.tables.update_table(ACCOUNT, "users", update(change)).await.unwrap();
    let hidden = world.node.host().replicas().into_iter().find(|report| report.definition.index_of.is_some()).unwrap();
    assert_eq!(hidden.definition.on_demand_throughput.unwrap().max_write_request_units, Some(5));
    assert_eq!(hidden.definition.schema_version, world.table().definition.schema_version);
    world.put("a", "g").await;
    world.until_indexed().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_half_done_is_made_good_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path()).await;
    world.tables.create_table(ACCOUNT, new_table(Vec::new())).await.unwrap();
    world.put("a", "g").await;
    let table = world.table().definition.clone();
    let partition_id = world.tables.partition_of(&world.table()).unwrap();
    // The definition has an index that has no partition, and there is a partition of an index that no table has.
    let mut definition = TableDefinition { schema_version: table.schema_version + 1, ..table.clone() };
    definition.global_indexes = vec![by_group().into_index(INDEX, 0)];
    locate(&mut definition, world.node.id());
    let orphan = by_group().into_index(TableId([8; 16]), 1);
    let orphan = Order::Bootstrap {
        descriptor: PartitionDescriptor::first(
            PartitionId([8; 16]),
            orphan.index_id,
            KeyRange::default(),
            vec![first_member(world.node.id())],
        ),
        definition: table.of_index(&orphan),
    };
    for order in [Order::UpdateDefinition { partition_id, definition }, orphan] {
        assert_eq!(world.node.host().order(order).await, cairn_model::node::OrderOutcome::Done);
    }
    world.stop().await;

    let world = World::start(folder.path()).await;
    world.until_active().await;
    world.until_indexed().await;
    assert_eq!(world.tables.list_tables(ACCOUNT), ["users"]);
    assert_eq!(world.node.host().replicas().len(), 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_came_or_went_since_it_was_looked_for_is_neither_made_nor_deleted_again() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path()).await;
    world.tables.create_table(ACCOUNT, new_table(vec![by_group()])).await.unwrap();
    let again = update(GlobalIndexUpdate::Create(by_group()));
    let refused = world.tables.update_table(ACCOUNT, "users", again).await.unwrap_err();
    assert_eq!(refused.message, "Attempting to create an index which already exists");
    world.tables.update_table(ACCOUNT, "users", delete()).await.unwrap();
    let refused = world.tables.update_table(ACCOUNT, "users", delete()).await.unwrap_err();
    assert_eq!(refused.kind, cairn_model::ErrorKind::ResourceNotFoundException);
    world.stop().await;
}
