//! Which regions this node reads from: for every partition that it leads, those that the table's definition tells how to
//! reach. A reader ends as soon as it is seen that one of the two is not so any more.

use super::{
    metrics::RegionMetrics,
    pair::Pair,
    peer::{Ends, PeerClient},
    pull::{Ground, Pull, UNPACKING_MAX},
    standing::{PairName, Standings},
};
use crate::{node::Node, tls::Tls};
use cairn_replication::Clock;
use prometheus::Registry;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{sync::Semaphore, task::JoinHandle};

/// As often as what a node leads is told anew.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Readers {
    ground: Arc<Ground>,
    peers: PeerClient,
    random: StdRng,
    running: BTreeMap<PairName, Running>,
}

#[derive(Debug)]
struct Running {
    pair: Pair,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Readers {
    pub(crate) fn new(
        node: Arc<Node>,
        tls: Arc<Tls>,
        clock: Arc<dyn Clock>,
        seed: u64,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let standings = Arc::<Standings>::default();
        let metrics = RegionMetrics::register(registry, standings.clone())?;
        let peers = PeerClient::new(tls, clock.clone());
        let unpacking = Arc::new(Semaphore::new(UNPACKING_MAX));
        let ground = Arc::new(Ground { node, clock, standings, metrics, readers: 0.into(), unpacking });
        Ok(Self { ground, peers, random: StdRng::seed_from_u64(seed), running: BTreeMap::new() })
    }

    pub(crate) fn standings(&self) -> Arc<Standings> {
        self.ground.standings.clone()
    }

    /// Until the task is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            self.look();
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn look(&mut self) {
        let reports = self.ground.node.host().reports();
        let wanted: BTreeMap<PairName, Pair> =
            reports.iter().flat_map(Pair::of).map(|pair| (pair.name(), pair)).collect();
        let here: BTreeSet<&str> = reports.iter().map(|replica| replica.definition.table_name.as_str()).collect();
        self.ground.metrics.keep(|table| here.contains(table));
        let standings = &self.ground.standings;
        self.running.retain(|name, running| match wanted.get(name) {
            Some(pair) => *pair == running.pair && !running.task.is_finished(),
            None => {
                standings.end(name);
                false
            }
        });
        self.ground.readers.store(wanted.len(), Ordering::Relaxed);
        for (name, pair) in wanted {
            if self.running.contains_key(&name) {
                continue;
            }
            self.ground.standings.begin(&name, &pair.table);
            let connection = self.peers.connection(Ends::new(&pair.own_region, &pair.region, &pair.peer));
            let pull = Pull::new(self.ground.clone(), pair.clone(), connection, self.random.random());
            self.running.insert(name, Running { pair, task: tokio::spawn(pull.run()) });
        }
    }
}
