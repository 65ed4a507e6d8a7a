//! One region, as seen by its operator and its clients.

use crate::{
    link::Link,
    support::group::{ACCOUNT, Group, definition},
};
use cairn_api::TableView;
use cairn_model::{
    AttributeValue, Item, TableDefinition,
    codec::EncodedItem,
    ids::{PartitionId, RequestId, TableId},
    key::EncodedKey,
    node::{Order, OrderOutcome},
    region::{RegionReport, RegionState, RegionTrouble},
    table::{GlobalReplicas, PeerCluster},
};
use cairn_replication::operation::{
    PartitionOutcome, PartitionRequest, RangeRequest, ReturnValues, WriteAction, WriteRequest,
};
use cairn_server::{router::peers, tls::Tls};
use std::{collections::BTreeMap, ops::Bound, time::Duration};
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

pub struct Side {
    pub group: Group,
    pub link: Link,
    pub cluster_id: String,
}

/// A table of one side.
pub struct Table<'a> {
    pub side: &'a Side,
    pub view: TableView,
    partition: PartitionId,
}

impl Side {
    pub async fn start(region: &str, nodes: usize) -> Self {
        Self::start_as(region, ACCOUNT, nodes).await
    }

    /// With nodes of another account.
    pub async fn start_as(region: &str, account: &str, nodes: usize) -> Self {
        let group = Group::start_in(region, account, nodes).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = Link::to(listener.local_addr().unwrap()).await;
        let tls = Tls::from_dir(&group.tls_dir("router")).unwrap();
        tokio::spawn(peers::serve(listener, tls, group.as_router.clone(), group.map.clone()));
        Self { group, link, cluster_id: format!("cluster-{region}") }
    }

    /// What its peer bundle says.
    pub fn bundle(&self) -> PeerCluster {
        PeerCluster {
            endpoint: format!("https://{}", self.link.address),
            cluster_id: self.cluster_id.clone(),
            ca: self.group.ca(),
        }
    }

    /// A table of the same name has the same number in every region.
    pub async fn table(&self, number: u8) -> Table<'_> {
        self.table_with(number, |_| {}).await
    }

    /// One that is there.
    pub fn known(&self, number: u8, view: TableView) -> Table<'_> {
        Table { side: self, view, partition: self.partition(number) }
    }

    fn partition(&self, number: u8) -> PartitionId {
        PartitionId([self.group.region.as_bytes()[0] ^ number ^ 0x80; 16])
    }

    pub async fn table_with(&self, number: u8, change: impl FnOnce(&mut TableDefinition)) -> Table<'_> {
        let id = self.group.region.as_bytes()[0];
        let mut definition = definition(TableId([id ^ number; 16]));
        definition.table_name = format!("table-{number}");
        change(&mut definition);
        let partition = self.partition(number);
        let view = self.group.create_partition(partition, definition).await;
        self.group.leader_of(partition).await;
        self.group.map.refresh(PATIENCE).await;
        Table { side: self, view, partition }
    }
}

impl Table<'_> {
    /// The table's members are this side and those, known by these bundles.
    pub async fn list(&mut self, peers: &[(&str, PeerCluster)]) {
        let before = self.view.definition.replicas.take();
        let own = &self.side.group.region;
        let mut replicas = GlobalReplicas::in_region(own);
        replicas.epoch = before.map_or(1, |before| before.epoch + 1);
        replicas.cluster_id.clone_from(&self.side.cluster_id);
        replicas.members.extend(peers.iter().map(|(region, _)| (*region).to_owned()));
        replicas.peers = peers.iter().map(|(region, peer)| ((*region).to_owned(), peer.clone())).collect();
        self.view.definition.replicas = Some(replicas);
        self.view.definition.schema_version += 1;
        let (partition_id, definition) = (self.partition, self.view.definition.clone());
        let group = &self.side.group;
        let leader = group.leader_of(partition_id).await;
        let outcome = group.order(leader, &Order::UpdateDefinition { partition_id, definition }).await;
        assert_eq!(outcome, OrderOutcome::Done);
        group.map.refresh(PATIENCE).await;
    }

    async fn write(&self, key: EncodedKey, action: WriteAction) {
        let write = WriteRequest {
            request_id: RequestId(*uuid::Uuid::new_v4().as_bytes()),
            key: key.clone(),
            action,
            condition: None,
            return_values: ReturnValues::None,
            return_item_on_condition_failure: false,
        };
        self.side.group.request(&self.view, &key.0, PartitionRequest::Write(write)).await.unwrap();
    }

    fn key(&self, id: u64) -> EncodedKey {
        EncodedKey::new(&self.view.definition.key_schema, &item(id, 0)).unwrap()
    }

    pub async fn put(&self, id: u64, value: u64) {
        self.write(self.key(id), WriteAction::Put(EncodedItem::encode(&item(id, value)))).await;
    }

    pub async fn delete(&self, id: u64) {
        self.write(self.key(id), WriteAction::Delete).await;
    }

    /// All items: values by id.
    pub async fn contents(&self) -> BTreeMap<u64, u64> {
        let mut contents = BTreeMap::new();
        let mut lower = Bound::Unbounded;
        loop {
            let range = RangeRequest {
                lower,
                upper: Bound::Unbounded,
                forward: true,
                limit: None,
                page_bytes: 1 << 20,
                filter: None,
                projection: None,
                count_only: false,
                consistent: true,
                index: None,
            };
            let outcome = self.side.group.request(&self.view, &[], PartitionRequest::Range(range)).await.unwrap();
            let PartitionOutcome::Range(page) = outcome else { panic!("{outcome:?}") };
            contents.extend(page.items.iter().map(|item| numbers(&item.decode().unwrap())));
            let Some(last) = page.last_evaluated_key else { return contents };
            lower = Bound::Excluded(EncodedKey::new(&self.view.definition.key_schema, &last).unwrap().0);
        }
    }

    /// What the leader tells of a region.
    pub async fn report(&self, region: &str) -> Option<RegionReport> {
        let group = &self.side.group;
        let report = group.report(group.leader_of(self.partition).await).await;
        let of_table = report.replicas.into_iter().find(|replica| replica.descriptor.partition_id == self.partition);
        of_table.unwrap().regions.into_iter().find(|report| report.region == region)
    }

    pub async fn report_that(&self, region: &str, fits: impl Fn(&RegionReport) -> bool) -> RegionReport {
        let mut last = None;
        let waiting = tokio::time::timeout(PATIENCE, async {
            loop {
                last = self.report(region).await;
                if let Some(report) = last.clone().filter(|report| fits(report)) {
                    return report;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        let waited = waiting.await;
        waited.unwrap_or_else(|_| panic!("{} tells of {region}: {last:?}", self.side.group.region))
    }

    pub async fn trouble(&self, region: &str, reason: RegionTrouble) -> String {
        let has = |report: &RegionReport| report.problem.as_ref().is_some_and(|problem| problem.reason == reason);
        self.report_that(region, has).await.problem.unwrap().message
    }

    pub async fn replicates(&self, region: &str) -> RegionReport {
        self.report_that(region, |report| report.state == RegionState::Replicating && report.problem.is_none()).await
    }

    pub async fn reads_nothing_of(&self, region: &str) {
        let ended = tokio::time::timeout(PATIENCE, async {
            while self.report(region).await.is_some() {
                tokio::time::sleep(PAUSE).await;
            }
        });
        assert!(ended.await.is_ok(), "{} still reads from {region}", self.side.group.region);
    }

    /// Waits until it has just these items.
    pub async fn comes_to(&self, expected: &BTreeMap<u64, u64>) {
        let mut last = BTreeMap::new();
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                last = self.contents().await;
                if last == *expected {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        if waited.await.is_err() {
            let regions = ["east", "west"];
            let mut reports = Vec::new();
            for region in regions {
                reports.push(self.report(region).await);
            }
            assert_eq!(last, *expected, "in region {}: {reports:?}", self.side.group.region);
        }
    }
}

/// Each lists the other.
pub async fn join(one: &mut Table<'_>, other: &mut Table<'_>) {
    one.list(&[(&other.side.group.region, other.side.bundle())]).await;
    other.list(&[(&one.side.group.region, one.side.bundle())]).await;
}

fn item(id: u64, value: u64) -> Item {
    Item::from([
        ("Id".to_owned(), AttributeValue::S(id.to_string())),
        ("Value".to_owned(), AttributeValue::S(value.to_string())),
    ])
}

fn numbers(item: &Item) -> (u64, u64) {
    let number = |name: &str| match &item[name] {
        AttributeValue::S(text) => text.parse().unwrap(),
        other => panic!("{other:?}"),
    };
    (number("Id"), number("Value"))
}
