//! Regions, what travels between them, and what they hold.

use crate::{
    cluster::{Answer, Cluster},
    indexed,
    requests::{self, PARTITION},
    streamed,
};
use cairn_engine::{Engine, Kept, MemoryStore};
use cairn_model::{
    codec::{EncodedItem, StoredVersion, Version},
    descriptor::PartitionDescriptor,
    ids::PartitionId,
    key::EncodedKey,
    node::{Order, OrderOutcome},
    table::{GlobalReplicas, TableDefinition},
    ttl,
};
use cairn_replication::{
    CoreConfig,
    core::Input,
    global::{OutboundError, Reader, RemoteBatch, outbound::Source},
    operation::{PartitionError, PartitionOutcome, PartitionRequest, StreamEvent, StreamRecord},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    rc::Rc,
    sync::Arc,
};

pub const NAMES: [&str; 3] = ["east", "north", "west"];
pub const BATCH_BYTES: usize = 64 << 10;

pub struct World {
    configure: Rc<dyn Fn(&mut CoreConfig)>,
    pub clusters: Vec<Cluster>,
    /// Of each region.
    pub partitions: Vec<PartitionId>,
    /// Where each reader said that it stands, by source and reader.
    pub readers: BTreeMap<(usize, usize), Reader>,
    /// From and to: nothing passes.
    pub cut: BTreeSet<(usize, usize)>,
    /// Global indexes that were made so far, in all regions.
    pub indexes_made: u8,
}

/// All that a region has of a table: key, version, item.
pub type Contents = Vec<(EncodedKey, Version, Vec<u8>)>;

impl World {
    /// Regions of so many nodes each, whose tables are not global yet.
    pub fn new(regions: usize, nodes: usize, configure: impl Fn(&mut CoreConfig) + 'static) -> Self {
        let configure: Rc<dyn Fn(&mut CoreConfig)> = Rc::new(configure);
        let cluster = |_| {
            let configure = configure.clone();
            let mut cluster = Cluster::configured(nodes, move |config| configure(config));
            cluster.bootstrap(nodes);
            cluster
        };
        Self {
            clusters: (0..regions).map(cluster).collect(),
            configure,
            partitions: vec![PARTITION; regions],
            readers: BTreeMap::new(),
            cut: BTreeSet::new(),
            indexes_made: 0,
        }
    }

    /// Regions of one node each that have the table in common.
    pub fn global(regions: usize) -> Self {
        let mut world = Self::new(regions, 1, |_| {});
        world.join_all(1);
        world
    }

    pub fn join_all(&mut self, epoch: u64) {
        let all: Vec<usize> = (0..self.clusters.len()).collect();
        all.iter().for_each(|region| self.list(*region, epoch, &all));
        self.greet();
    }

    /// Every region hears of every other's table.
    fn greet(&mut self) {
        for from in 0..self.clusters.len() {
            for to in (0..self.clusters.len()).filter(|to| *to != from) {
                self.ship(from, to, BATCH_BYTES);
            }
        }
    }

    /// A region lists these members, itself among them; none: its table is not global any more.
    pub fn list(&mut self, region: usize, epoch: u64, members: &[usize]) {
        let replicas = (!members.is_empty()).then(|| GlobalReplicas {
            epoch,
            members: members.iter().map(|member| NAMES[*member].to_owned()).collect(),
            ..GlobalReplicas::in_region(NAMES[region])
        });
        let definition = TableDefinition { replicas, ..self.definition(region) };
        self.redefine(region, definition);
    }

    /// What the region's table is.
    pub fn definition(&mut self, region: usize) -> TableDefinition {
        let leader = self.leader(region);
        self.clusters[region].report(leader).unwrap().definition
    }

    /// The region's table becomes this, under its next version.
    pub fn redefine(&mut self, region: usize, mut definition: TableDefinition) {
        definition.schema_version += 1;
        let leader = self.leader(region);
        let order = Order::UpdateDefinition { partition_id: self.partitions[region], definition };
        assert_eq!(self.clusters[region].order(leader, order), OrderOutcome::Done);
    }

    /// A region loses its table, with its indexes, and makes them anew, empty, on a node of its own.
    pub fn make_anew(&mut self, region: usize, members: &[usize]) {
        let partition = PartitionId([self.partitions[region].0[0] + 1; 16]);
        let lost = self.definition(region);
        let old = &self.clusters[region];
        let configure = self.configure.clone();
        let mut cluster = Cluster::configured(1, move |config| configure(config));
        cluster.boot_ms = old.boot_ms;
        cluster.nodes[0].wall_offset_ms = old.nodes[0].wall_offset_ms;
        let descriptor = PartitionDescriptor { partition_id: partition, ..requests::descriptor(1) };
        (self.clusters[region], self.partitions[region]) = (cluster, partition);
        let mut definition = TableDefinition { time_to_live: lost.time_to_live, ..requests::definition() };
        for index in lost.global_indexes {
            let index = self.make_index(region, index, &definition);
            definition.global_indexes.push(index);
        }
        assert_eq!(self.clusters[region].order(0, Order::Bootstrap { descriptor, definition }), OrderOutcome::Done);
        self.clusters[region].ticks(5);
        self.readers.retain(|(from, to), _| *from != region && *to != region);
        self.list(region, 1, members);
    }

    pub fn leader(&mut self, region: usize) -> usize {
        let cluster = &mut self.clusters[region];
        match cluster.leader() {
            Some(leader) => leader,
            None => cluster.await_leader(None),
        }
    }

    pub fn engine(&mut self, region: usize) -> Arc<Engine<MemoryStore>> {
        let leader = self.leader(region);
        self.clusters[region].nodes[leader].engine.clone().unwrap()
    }

    fn storage(&mut self, region: usize) -> (Arc<Engine<MemoryStore>>, u64) {
        let engine = self.engine(region);
        let storage_id = engine.replica(self.partitions[region]).unwrap().storage_id;
        (engine, storage_id)
    }

    pub fn ask(&mut self, region: usize, request: PartitionRequest) -> Option<Answer> {
        let leader = self.leader(region);
        let partition = self.partitions[region];
        self.clusters[region].ask_at(leader, partition, request)
    }

    pub fn write(&mut self, region: usize, request: PartitionRequest) {
        let answer = self.ask(region, request);
        assert!(matches!(answer, Some(Ok(_))), "not written: {answer:?}");
    }

    pub fn ticks(&mut self, ticks: u64) {
        self.clusters.iter_mut().for_each(|cluster| cluster.ticks(ticks));
    }

    /// Time passes everywhere, all at once.
    pub fn pass(&mut self, ms: u64) {
        self.clusters.iter_mut().for_each(|cluster| cluster.boot_ms += ms);
        self.ticks(30);
    }

    /// The next batch of one region for another.
    pub fn batch(&mut self, from: usize, to: usize, bytes_max: usize) -> Result<RemoteBatch, OutboundError> {
        let leader = self.leader(from);
        let node = &self.clusters[from].nodes[leader];
        let source = Source::of(node.engine.as_ref().unwrap(), &node.log, self.partitions[from])?;
        match self.readers.get(&(from, to)) {
            None => source.hello(NAMES[to]),
            Some(reader) => source.batch(reader, None, bytes_max),
        }
    }

    /// The next batch of a source whose log was cut behind what the reader has.
    pub fn batch_of_cut_log(&mut self, from: usize, to: usize, bytes_max: usize) -> Result<RemoteBatch, OutboundError> {
        if let Some(reader) = self.readers.get_mut(&(from, to)) {
            (reader.place, reader.copy) = (None, None);
        }
        self.batch(from, to, bytes_max)
    }

    /// A batch arrives, as the bytes that travel; what it is answered.
    pub fn deliver(&mut self, to: usize, batch: &RemoteBatch) -> Result<Reader, PartitionError> {
        let batch = RemoteBatch::decode(batch.encode().unwrap()).unwrap();
        let leader = self.leader(to);
        let cluster = &mut self.clusters[to];
        let token = cluster.token();
        cluster.step(leader, Input::Remote { token, partition: self.partitions[to], batch: Box::new(batch) });
        cluster.settle();
        cluster.taken.remove(&token).unwrap_or(Err(PartitionError::Unknown { reason: "no answer".into() }))
    }

    /// One batch from one region to another, unless nothing passes or the one does not ship to the other.
    pub fn ship(&mut self, from: usize, to: usize, bytes_max: usize) {
        if self.cut.contains(&(from, to)) {
            return;
        }
        let taken = self.batch(from, to, bytes_max).ok().and_then(|batch| self.deliver(to, &batch).ok());
        match taken {
            Some(reader) => self.readers.insert((from, to), reader),
            // It may be of a table that is no more: it greets again.
            None => self.readers.remove(&(from, to)),
        };
    }

    /// Some batches between all regions that are not cut off.
    pub fn ship_all(&mut self, rounds: usize) {
        for _ in 0..rounds {
            for from in 0..self.clusters.len() {
                for to in (0..self.clusters.len()).filter(|to| *to != from) {
                    self.ship(from, to, BATCH_BYTES);
                }
                self.feed(from);
            }
            self.ticks(10);
        }
    }

    /// The links are whole and time passes, until all that all know is known to all.
    pub fn settle(&mut self) {
        self.cut.clear();
        for _ in 0..12 {
            self.pass(6_000);
            self.ship_all(3);
        }
    }

    /// The node that leads falls, and another one, or it, takes over.
    pub fn fell_leader(&mut self, region: usize) {
        let leader = self.leader(region);
        let cluster = &mut self.clusters[region];
        cluster.crash(leader);
        cluster.start(leader);
        cluster.await_leader(None);
    }

    /// The version of one key, a tombstone too.
    pub fn version(&mut self, region: usize, id: &str) -> Option<StoredVersion> {
        let (engine, storage_id) = self.storage(region);
        let key = requests::key(id);
        let stored = match engine.get(storage_id, &key).unwrap() {
            None => engine.kept(storage_id, &Kept::Tombstone(key)).unwrap(),
            stored => stored,
        };
        stored.map(|bytes| StoredVersion::parse(bytes).unwrap())
    }

    pub fn contents(&mut self, region: usize) -> Contents {
        let (engine, storage_id) = self.storage(region);
        engine
            .scan(storage_id, Bound::Unbounded, Bound::Unbounded, true)
            .map(|pair| {
                let (key, stored) = pair.unwrap();
                let version = StoredVersion::parse(stored).unwrap();
                (key, version.version(NAMES[region]), version.item.0.to_vec())
            })
            .collect()
    }

    pub fn n(&mut self, region: usize, id: &str) -> Option<i64> {
        let found = match self.ask(region, requests::get(id, true)) {
            Some(Ok(PartitionOutcome::Get(outcome))) => outcome.items[0].as_ref()?.0.decode().unwrap(),
            other => panic!("not read: {other:?}"),
        };
        (-1_000..100_000).find(|n| found == requests::item(id, *n))
    }

    pub fn tombstones(&mut self, region: usize) -> usize {
        let (engine, storage_id) = self.storage(region);
        engine.tombstones(storage_id, None).count()
    }

    pub fn set_aside(&mut self, region: usize) -> usize {
        let (engine, storage_id) = self.storage(region);
        engine.set_aside(storage_id, None).count()
    }

    /// All that the region's stream shows.
    pub fn records(&mut self, region: usize) -> Vec<StreamRecord> {
        let definition = self.definition(region);
        let (engine, storage_id) = self.storage(region);
        streamed::records(&engine, storage_id, &definition)
    }

    /// The stream, of which nothing is trimmed yet, also shows how every item came; only what expired is the service's doing.
    pub fn assert_streamed(&mut self, region: usize) {
        let definition = self.definition(region);
        let records = self.records(region);
        for (key, ..) in self.contents(region) {
            let item = EncodedItem::encode(&key.decode(&definition.key_schema).unwrap());
            let first = records.iter().find(|record| record.keys == item);
            assert!(first.is_some_and(|record| record.event == StreamEvent::Insert), "{key:x?} came without a record");
        }
        for record in records.iter().filter(|record| record.by_service) {
            assert_eq!(record.event, StreamEvent::Remove);
            let attribute = definition.time_to_live.as_ref().map(|on| &on.attribute_name);
            let old = record.old_image.as_ref().unwrap();
            assert!(attribute.is_some_and(|name| ttl::expiry_of(old, name).unwrap().is_some()), "{record:?}");
        }
    }

    /// Every region has the same, says how much it is, shows just that in its indexes and its stream, and keeps nothing beside it.
    pub fn assert_converged(&mut self) {
        let first = self.contents(0);
        for (region, name) in NAMES.iter().enumerate().take(self.clusters.len()) {
            let contents = self.contents(region);
            assert_eq!(contents, first, "{name} differs from {}", NAMES[0]);
            let leader = self.leader(region);
            let report = self.clusters[region].report(leader).unwrap();
            let bytes = |item: &Vec<u8>| EncodedItem(item.clone().into()).size().unwrap();
            let size: u64 = contents.iter().map(|(_, _, item)| u64::from(bytes(item))).sum();
            assert_eq!((report.item_count, report.size_bytes), (contents.len() as u64, size), "{name}");
            assert_eq!(self.tombstones(region), 0, "tombstones in {name}");
            assert_eq!(self.set_aside(region), 0, "set aside in {name}");
            let (engine, storage_id) = self.storage(region);
            assert_eq!(indexed::flaw(&engine, storage_id, &report.definition), None, "{name}");
            assert_eq!(streamed::flaw(&engine, storage_id, &report.definition), None, "{name}");
            self.assert_indexed(region);
        }
    }
}
