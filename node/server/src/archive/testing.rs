//! A storage node in the test's own process, with tables whose items are numbers.

use super::{Adopter, HostAdopter, HostReader, Reader};
use crate::node::{ExpiryArguments, Node, OpenFolder};
use bytes::Bytes;
use cairn_engine::Owner;
use cairn_model::{
    AttributeValue, Item,
    codec::EncodedItem,
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    ids::{PartitionId, ReplicaId, RequestId, TableId},
    key::EncodedKey,
    node::{Order, OrderOutcome, ReplicaState},
    table::{ContinuousBackups, KeyAttribute, KeySchema, ScalarType, TableDefinition},
};
use cairn_replication::{
    Host, Transport,
    log::OnDamage,
    operation::{GetRequest, PartitionOutcome, PartitionRequest, ReturnValues, WriteAction, WriteRequest},
};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

pub(crate) const ACCOUNT: &str = "game";

/// With the partition key `Id` of type S, and recovery on since the table was made.
pub(crate) fn definition(name: &str, id: u8) -> TableDefinition {
    TableDefinition {
        creation_time_ms: u64::from(id),
        continuous_backups: Some(ContinuousBackups { recovery_period_days: 35, enabled_at_ms: u64::from(id) }),
        ..TableDefinition::new(
            ACCOUNT.to_owned(),
            name.to_owned(),
            TableId([id; 16]),
            KeySchema { partition: KeyAttribute { name: "Id".to_owned(), scalar_type: ScalarType::S }, sort: None },
        )
    }
}

#[derive(Debug)]
struct NoPeers;

impl Transport for NoPeers {
    fn send(&self, _to: &Member, _frame: Bytes) {}
}

/// For a test with threads to spare.
pub(crate) struct TestNode {
    node: Arc<Node>,
    _folder: TempDir,
}

impl Drop for TestNode {
    /// A node whose folder goes while it runs ends the process.
    fn drop(&mut self) {
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(self.node.stop()));
    }
}

impl TestNode {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner { region: "east".into(), account: ACCOUNT.into(), group: "default".into() };
        let path = folder.path().join("data");
        let open = OpenFolder::open(path, owner, None, OnDamage::Refuse, Duration::ZERO).await.unwrap();
        let node = open
            .start(
                Arc::new(NoPeers),
                &prometheus::Registry::new(),
                true,
                None,
                ExpiryArguments { ttl_interval_ms: 1_000 },
            )
            .unwrap();
        Self { _folder: folder, node }
    }

    pub(crate) fn host(&self) -> &Host {
        self.node.host()
    }

    pub(crate) fn adopter(&self) -> Arc<dyn Adopter> {
        Arc::new(HostAdopter(self.node.clone()))
    }

    pub(crate) fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(HostReader { host: self.host().clone(), disk: self.node.disk().clone() })
    }

    /// The first of a table whose one partition has this id.
    pub(crate) fn descriptor(&self, table_id: TableId, id: u8) -> PartitionDescriptor {
        let member = Member {
            replica_id: ReplicaId(1),
            node_id: self.node.id(),
            zone: "z".to_owned(),
            address: String::new(),
            role: MemberRole::Voter,
        };
        PartitionDescriptor::first(PartitionId([id; 16]), table_id, KeyRange::default(), vec![member])
    }

    /// Makes the table [`definition`] says, with one partition of the same number.
    pub(crate) async fn create_table(&self, name: &str, id: u8) -> PartitionId {
        let definition = definition(name, id);
        let descriptor = self.descriptor(definition.table_id, id);
        let partition = descriptor.partition_id;
        let outcome = self.host().order(Order::Bootstrap { descriptor, definition }).await;
        assert!(matches!(outcome, OrderOutcome::Done | OrderOutcome::InProgress { .. }), "{outcome:?}");
        self.leads(partition).await;
        partition
    }

    pub(crate) async fn drop_table(&self, partition: PartitionId, table_id: TableId) {
        let outcome =
            self.host().order(Order::DropPartition { partition_id: partition, table_id, deleted_at_ms: None }).await;
        assert_eq!(outcome, OrderOutcome::Done);
    }

    async fn leads(&self, partition: PartitionId) {
        let leads = || {
            let replicas = self.host().replicas();
            replicas.iter().any(|it| it.descriptor.partition_id == partition && it.state == ReplicaState::Leader)
        };
        for _ in 0..500 {
            if leads() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the partition does not start");
    }

    pub(crate) async fn put(&self, partition: PartitionId, id: u32, value: u64) {
        let item = item(id, value);
        let write = WriteRequest {
            request_id: RequestId(uuid::Uuid::new_v4().into_bytes()),
            key: key(&item),
            action: WriteAction::Put(EncodedItem::encode(&item)),
            condition: None,
            return_values: ReturnValues::None,
            return_item_on_condition_failure: false,
        };
        self.host().request(partition, 1, PartitionRequest::Write(write)).await.unwrap();
    }

    pub(crate) async fn value(&self, partition: PartitionId, id: u32) -> Option<u64> {
        self.leads(partition).await;
        let get = GetRequest { keys: vec![key(&item(id, 0))], projection: None, consistent: true };
        let outcome = self.host().request(partition, 1, PartitionRequest::Get(get)).await.unwrap();
        let PartitionOutcome::Get(outcome) = outcome else { panic!("{outcome:?}") };
        let (item, _) = outcome.items.into_iter().next().unwrap()?;
        match &item.decode().unwrap()["Value"] {
            AttributeValue::S(value) => value.parse().ok(),
            other => panic!("{other:?}"),
        }
    }
}

fn item(id: u32, value: u64) -> Item {
    Item::from([
        ("Id".to_owned(), AttributeValue::S(id.to_string())),
        ("Value".to_owned(), AttributeValue::S(value.to_string())),
    ])
}

fn key(item: &Item) -> EncodedKey {
    EncodedKey::new(&definition("any", 1).key_schema, item).unwrap()
}
