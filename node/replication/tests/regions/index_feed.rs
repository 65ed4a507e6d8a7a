//! Global indexes of the regions' tables: made on the same nodes, fed from the tables' logs, and compared with what the tables'
//! items say.

use crate::{
    requests::{self, TABLE},
    world::World,
};
use cairn_engine::{Engine, MemoryStore};
use cairn_model::{
    codec::{EncodedItem, StoredVersion},
    descriptor::PartitionDescriptor,
    ids::{PartitionId, TableId},
    index::{GlobalIndex, IndexProjection, ProjectionType},
    key::EncodedKey,
    node::{Order, OrderOutcome, ReplicaState},
    table::{KeyAttribute, KeySchema, ScalarType, TableDefinition},
};
use cairn_replication::{
    core::Input,
    feed::{FEED_BYTES_MAX, Fed, FeedBatch, FeedError, Source},
    operation::{PartitionOutcome, PartitionRequest},
};
use std::{collections::BTreeMap, ops::Bound};

/// Rounds in which an index has to get all that there is.
const ROUNDS_MAX: usize = 500;

/// By `group`, and `n` behind it.
pub fn by_group(projection_type: ProjectionType) -> GlobalIndex {
    let (group, n) = (("group", ScalarType::S), ("n", ScalarType::N));
    index("by-group", group, Some(n), projection_type)
}

/// By `n` alone: many items under one key.
pub fn by_n(projection_type: ProjectionType) -> GlobalIndex {
    index("by-n", ("n", ScalarType::N), None, projection_type)
}

type Key = (&'static str, ScalarType);

fn index(name: &str, partition: Key, sort: Option<Key>, projection_type: ProjectionType) -> GlobalIndex {
    let attribute = |(name, scalar_type): Key| KeyAttribute { name: name.into(), scalar_type };
    GlobalIndex {
        index_name: name.into(),
        index_id: TABLE,
        slot: 0,
        key_schema: KeySchema { partition: attribute(partition), sort: sort.map(attribute) }.into(),
        projection: IndexProjection { projection_type, non_key_attributes: Default::default() },
        provisioned_throughput: None,
        on_demand_throughput: None,
        warm_throughput: None,
        partitions: Vec::new(),
    }
}

fn partition_of(index: &GlobalIndex) -> PartitionId {
    PartitionId(index.index_id.0)
}

impl World {
    pub fn indexes(&mut self, region: usize) -> Vec<GlobalIndex> {
        self.definition(region).global_indexes
    }

    /// A region's table gets one more index, which is filled from now on.
    pub fn add_index(&mut self, region: usize, index: GlobalIndex) {
        let mut definition = self.definition(region);
        let index = self.make_index(region, index, &definition);
        definition.global_indexes.push(index);
        self.redefine(region, definition);
    }

    pub fn remove_index(&mut self, region: usize, name: &str) {
        let mut definition = self.definition(region);
        definition.global_indexes.retain(|index| index.index_name != name);
        self.redefine(region, definition);
    }

    /// Makes the index's partition, under an id and with a slot that no other index of the table has.
    pub fn make_index(&mut self, region: usize, index: GlobalIndex, definition: &TableDefinition) -> GlobalIndex {
        self.indexes_made += 1;
        let slot = cairn_model::index::free_slot(&definition.global_indexes).unwrap();
        let index = GlobalIndex { index_id: TableId([0x80 | self.indexes_made; 16]), slot, ..index };
        let cluster = &mut self.clusters[region];
        let descriptor = PartitionDescriptor {
            partition_id: partition_of(&index),
            table_id: index.index_id,
            ..requests::descriptor(cluster.nodes.len())
        };
        let order = Order::Bootstrap { descriptor, definition: definition.of_index(&index) };
        assert_eq!(cluster.order(0, order), OrderOutcome::Done);
        cluster.ticks(5);
        index
    }

    /// What the table's log has for the index where that says that it is; none if nothing, or not now.
    pub fn feed_batch(&mut self, region: usize, index: &GlobalIndex) -> Option<FeedBatch> {
        let fed = self
            .take_feed(region, FeedBatch { source: self.partitions[region], index: index.index_id, changes: None })?;
        self.next_feed_batch(region, index, &fed)
    }

    fn next_feed_batch(&mut self, region: usize, index: &GlobalIndex, fed: &Fed) -> Option<FeedBatch> {
        let (leader, partition) = (self.leader(region), self.partitions[region]);
        let node = &self.clusters[region].nodes[leader];
        let source = Source::of(node.engine.as_ref().unwrap(), &node.log, partition, index.index_id);
        match source.and_then(|source| source.batch(fed, FEED_BYTES_MAX)) {
            Ok(batch) => batch,
            Err(FeedError::NotBegun | FeedError::Behind { .. } | FeedError::UnknownIndex) => None,
            Err(FeedError::Gone(_)) => {
                self.clusters[region].step(leader, Input::LogLacks { partition });
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// An index gets a batch, and the table's leader hears where it is then.
    pub fn take_feed(&mut self, region: usize, batch: FeedBatch) -> Option<Fed> {
        let (index, partition) = (batch.index, PartitionId(batch.index.0));
        let leader = self.leader_of(region, partition)?;
        let table = self.partitions[region];
        let is_of_table = batch.source == table;
        let fed = match self.clusters[region].ask_at(leader, partition, PartitionRequest::Feed(batch))? {
            Ok(PartitionOutcome::Fed(fed)) => fed,
            _ => return None,
        };
        if let Some(place) = fed.place.filter(|_| is_of_table) {
            let leader = self.leader(region);
            self.clusters[region].step(leader, Input::Fed { partition: table, index, upto: place.index });
        }
        Some(fed)
    }

    /// One batch for each of the region's indexes.
    pub fn feed(&mut self, region: usize) {
        for index in self.indexes(region) {
            if let Some(batch) = self.feed_batch(region, &index) {
                self.take_feed(region, batch);
            }
        }
    }

    /// Feeds an index until it has all that there is, and all that was there before it.
    fn feed_all(&mut self, region: usize, index: &GlobalIndex) {
        let ask = FeedBatch { source: self.partitions[region], index: index.index_id, changes: None };
        for _ in 0..ROUNDS_MAX {
            let fed = self.take_feed(region, ask.clone());
            match fed.and_then(|fed| self.next_feed_batch(region, index, &fed)) {
                Some(batch) => drop(self.take_feed(region, batch)),
                None if fed.is_some_and(|fed| fed.complete && self.has_all(region, fed)) => return,
                None => self.ticks(2),
            }
        }
        panic!("{} of region {region} never has everything", index.index_name);
    }

    fn has_all(&mut self, region: usize, fed: Fed) -> bool {
        let partition = self.partitions[region];
        let applied = self.engine(region).replica(partition).unwrap().applied.index;
        fed.place.is_some_and(|place| place.index >= applied)
    }

    fn leader_of(&self, region: usize, partition: PartitionId) -> Option<usize> {
        let nodes = self.clusters[region].nodes.iter().enumerate();
        let leads = nodes.filter_map(|(node, held)| {
            let reports = held.core.as_ref()?.replicas();
            let report = reports.into_iter().find(|report| report.descriptor.partition_id == partition)?;
            (report.state == ReplicaState::Leader).then_some((report.term, node))
        });
        leads.max().map(|(_, node)| node)
    }

    /// How many items an index shows.
    pub fn index_count(&self, region: usize, index: &GlobalIndex) -> u64 {
        let engine = self.clusters[region].nodes[0].engine.as_ref().unwrap();
        engine.replica(partition_of(index)).unwrap().applied.item_count
    }

    /// Every index of the region, on every node, shows just what the table's items say.
    pub fn assert_indexed(&mut self, region: usize) {
        for index in self.indexes(region) {
            self.feed_all(region, &index);
            self.clusters[region].ticks(20);
            let definition = self.definition(region);
            let of_table = items(&self.engine(region), self.partitions[region]);
            let shown = of_table.into_iter().filter_map(|(key, item)| {
                let place = index.key_of(&key, &item).unwrap()?;
                Some((place, EncodedItem::encode(&index.project(&definition.key_schema, item.decode().unwrap()))))
            });
            let expected: BTreeMap<EncodedKey, EncodedItem> = shown.collect();
            let bytes: u64 = expected.values().map(|item| u64::from(item.size().unwrap())).sum();
            for node in &self.clusters[region].nodes {
                let engine = node.engine.as_ref().unwrap();
                let name = &index.index_name;
                assert_eq!(items(engine, partition_of(&index)), expected, "{name} of region {region}");
                let applied = engine.replica(partition_of(&index)).unwrap().applied;
                let counted = (applied.item_count, applied.size_bytes);
                assert_eq!(counted, (expected.len() as u64, bytes), "{name} of region {region}");
            }
        }
    }
}

fn items(engine: &Engine<MemoryStore>, partition: PartitionId) -> BTreeMap<EncodedKey, EncodedItem> {
    let storage_id = engine.replica(partition).unwrap().storage_id;
    let pairs = engine.scan(storage_id, Bound::Unbounded, Bound::Unbounded, true).map(Result::unwrap);
    pairs.map(|(key, stored)| (key, StoredVersion::parse(stored).unwrap().item)).collect()
}
