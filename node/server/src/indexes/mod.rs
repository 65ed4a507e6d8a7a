//! How global indexes get what their tables have: for every partition that this node leads, and every global index of its
//! table, a task that sends the index what the partition's log changes in it ([`cairn_replication::feed`]).

mod feeder;
pub(crate) mod sink;

use sink::Sink;

use crate::node::Node;
use cairn_model::{
    ids::{PartitionId, TableId},
    index::GlobalIndex,
    node::{ReplicaReport, ReplicaState},
};
use feeder::Feeder;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// As often as what a node leads is told anew.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The feeders of a node.
#[derive(Debug)]
pub(crate) struct Feeders<S> {
    node: Arc<Node>,
    sink: Arc<S>,
    random: StdRng,
    running: BTreeMap<(PartitionId, TableId), Running>,
}

#[derive(Debug)]
struct Running {
    index: GlobalIndex,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<S: Sink> Feeders<S> {
    pub(crate) fn new(node: Arc<Node>, sink: S, seed: u64) -> Self {
        Self { node, sink: Arc::new(sink), random: StdRng::seed_from_u64(seed), running: BTreeMap::new() }
    }

    /// Until the task is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            self.look();
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn look(&mut self) {
        let reports = self.node.host().reports();
        let wanted: BTreeMap<(PartitionId, TableId), GlobalIndex> = reports.iter().flat_map(to_feed).collect();
        self.running.retain(|name, running| {
            wanted.get(name).is_some_and(|index| *index == running.index) && !running.task.is_finished()
        });
        for (name, index) in wanted {
            if !self.running.contains_key(&name) {
                let feeder = Feeder::new(self.node.clone(), self.sink.clone(), name.0, &index, self.random.random());
                self.running.insert(name, Running { index, task: tokio::spawn(feeder.run()) });
            }
        }
    }
}

/// The indexes that this node feeds of a replica's table: if it leads, those of which it is known where they are.
fn to_feed(report: &ReplicaReport) -> Vec<((PartitionId, TableId), GlobalIndex)> {
    if report.state != ReplicaState::Leader {
        return Vec::new();
    }
    let located = report.definition.global_indexes.iter().filter(|index| !index.partitions.is_empty());
    located.map(|index| ((report.descriptor.partition_id, index.index_id), index.clone())).collect()
}
