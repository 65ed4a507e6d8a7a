//! How global indexes get what their tables have: for every partition that this node leads, and every global index of its
//! table, a task that sends the index what the partition's log changes in it ([`cairn_replication::feed`]).

mod feeder;
pub(crate) mod sink;
mod standing;

use sink::Sink;

use crate::node::Node;
use cairn_model::{
    index::GlobalIndex,
    node::{ReplicaReport, ReplicaState},
};
use cairn_replication::Clock;
use feeder::Feeder;
use prometheus::Registry;
use rand::{Rng, SeedableRng, rngs::StdRng};
use standing::{IndexGauges, Name, Standings};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// As often as what a node leads is told anew.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The feeders of a node.
#[derive(Debug)]
pub(crate) struct Feeders<S> {
    node: Arc<Node>,
    sink: Arc<S>,
    standings: Arc<Standings>,
    random: StdRng,
    running: BTreeMap<Name, Running>,
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
    pub(crate) fn new(
        node: Arc<Node>,
        sink: S,
        clock: Arc<dyn Clock>,
        seed: u64,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let standings = Arc::new(Standings::new(clock));
        IndexGauges::register(registry, standings.clone(), node.host().clone())?;
        let random = StdRng::seed_from_u64(seed);
        Ok(Self { node, sink: Arc::new(sink), standings, random, running: BTreeMap::new() })
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
        let wanted: BTreeMap<Name, (&str, GlobalIndex)> = reports.iter().flat_map(to_feed).collect();
        self.running.retain(|name, running| {
            wanted.get(name).is_some_and(|(_, index)| *index == running.index) && !running.task.is_finished()
        });
        self.standings.keep(|name| wanted.contains_key(name));
        for (name, (table, index)) in wanted {
            if !self.running.contains_key(&name) {
                self.standings.begin(name, table, &index);
                let (node, sink, standings) = (self.node.clone(), self.sink.clone(), self.standings.clone());
                let feeder = Feeder::new(node, sink, standings, name.0, &index, self.random.random());
                self.running.insert(name, Running { index, task: tokio::spawn(feeder.run()) });
            }
        }
    }
}

/// The indexes that this node feeds of a replica's table: if it leads, those of which it is known where they are.
fn to_feed(report: &ReplicaReport) -> Vec<(Name, (&str, GlobalIndex))> {
    if report.state != ReplicaState::Leader {
        return Vec::new();
    }
    let located = report.definition.global_indexes.iter().filter(|index| !index.partitions.is_empty());
    let table = report.definition.table_name.as_str();
    located.map(|index| ((report.descriptor.partition_id, index.index_id), (table, index.clone()))).collect()
}
