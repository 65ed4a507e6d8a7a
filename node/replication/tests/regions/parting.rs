//! Regions whose members come and go at random, whose tables leave and are made anew, while leaders fall: whoever is joined
//! has the same in the end, and no region ever sees again what it had replaced or deleted.

use crate::{
    convergence::for_each_seed,
    requests::{delete, put},
    world::{NAMES, World},
};
use cairn_model::codec::Version;
use cairn_replication::operation::PartitionError;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::collections::{BTreeMap, BTreeSet};

const STEPS: u64 = 250;
const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const MINUTE_MS: i64 = 60_000;

struct Run {
    world: World,
    random: StdRng,
    request: u64,
    epoch: u64,
    /// What each region lists; nothing: its table is not global.
    lists: Vec<Vec<usize>>,
    /// Of each region's table and item, the version that is there, and those that were.
    seen: BTreeMap<(usize, &'static str), Seen>,
}

#[derive(Default)]
struct Seen {
    now: Option<Version>,
    before: BTreeSet<Version>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let regions = random.random_range(2..=3);
        let nodes = if random.random_bool(0.2) { 3 } else { 1 };
        let mut world = World::new(regions, nodes, |config| {
            config.log_entries_kept = 16;
            config.persist_bytes = 2_000;
        });
        for cluster in &mut world.clusters {
            let offset = random.random_range(-3 * MINUTE_MS..=3 * MINUTE_MS);
            cluster.nodes.iter_mut().for_each(|node| node.wall_offset_ms = offset + 60 * MINUTE_MS);
        }
        world.ticks(60);
        let lists = vec![Vec::new(); regions];
        Self { world, random, request: 0, epoch: 1, lists, seen: BTreeMap::new() }
    }

    fn region(&mut self) -> usize {
        self.random.random_range(0..self.world.clusters.len())
    }

    fn write(&mut self) {
        let region = self.region();
        let id = KEYS.choose(&mut self.random).unwrap();
        self.request += 1;
        let is_put = self.random.random_bool(0.6);
        let request = if is_put { put(self.request, id, self.request as i64) } else { delete(self.request, id) };
        self.world.write(region, request);
    }

    fn list(&mut self, region: usize, members: Vec<usize>) {
        self.epoch += 1;
        self.world.list(region, self.epoch, &members);
        self.lists[region] = members;
    }

    fn list_some(&mut self) {
        let all: Vec<usize> = (0..self.world.clusters.len()).collect();
        let region = self.region();
        let members = match self.random.random_range(0..10) {
            0 => Vec::new(),
            1..4 => all.into_iter().filter(|other| *other == region || self.random.random_bool(0.5)).collect(),
            _ => all,
        };
        if members != self.lists[region] {
            self.list(region, members);
        }
    }

    fn make_anew(&mut self, region: usize) {
        let members = if self.lists[region].is_empty() { vec![region] } else { self.lists[region].clone() };
        self.world.make_anew(region, &members);
        self.lists[region] = members;
        self.seen.retain(|(of, _), _| *of != region);
    }

    /// Nothing that was replaced or deleted is there again.
    fn look(&mut self) {
        for (region, name) in NAMES.iter().enumerate().take(self.world.clusters.len()) {
            let contents = self.world.contents(region);
            for id in KEYS {
                let key = crate::requests::key(id);
                let now = contents.iter().find(|(of, _, _)| *of == key).map(|(_, version, _)| version.clone());
                let seen = self.seen.entry((region, id)).or_default();
                if seen.now != now {
                    let is_back = now.as_ref().is_some_and(|now| seen.before.contains(now));
                    assert!(!is_back, "{id} is back in {name} at {now:?}");
                    seen.before.extend(std::mem::replace(&mut seen.now, now));
                }
            }
        }
    }

    fn go(&mut self) {
        for _ in 0..STEPS {
            match self.random.random_range(0..100) {
                0..30 => self.write(),
                30..80 => {
                    let (from, to) = (self.region(), self.region());
                    if from != to {
                        let bytes_max = self.random.random_range(50..3_000);
                        self.world.ship(from, to, bytes_max);
                    }
                }
                80..90 => self.list_some(),
                90..96 => {
                    let ms = self.random.random_range(0..6_000);
                    self.world.pass(ms);
                }
                96..98 => {
                    let region = self.region();
                    self.world.fell_leader(region);
                }
                98 => {
                    let region = self.region();
                    self.make_anew(region);
                }
                _ => self.world.ship_all(3),
            }
            self.look();
        }
        let all: Vec<usize> = (0..self.world.clusters.len()).collect();
        all.iter().for_each(|region| self.list(*region, all.clone()));
        self.settle();
        for (one, other) in [(0, 1), (0, 2), (1, 2)].into_iter().filter(|(_, other)| *other < all.len()) {
            let refusals = [(one, other), (other, one)].map(|(from, to)| self.is_refused(from, to));
            assert_eq!(refusals[0], refusals[1], "{one} and {other}");
            if !refusals[0] {
                assert_eq!(self.world.contents(one), self.world.contents(other), "{one} and {other} are joined");
            }
        }
        let kept = self.world.contents(0);
        all[1..].iter().for_each(|region| self.make_anew(*region));
        self.settle();
        self.world.assert_converged();
        assert_eq!(self.world.contents(0), kept);
    }

    fn settle(&mut self) {
        self.world.settle();
        self.world.pass(8 * MINUTE_MS as u64);
        self.world.settle();
        self.look();
    }

    fn is_refused(&mut self, from: usize, to: usize) -> bool {
        self.world.readers.remove(&(from, to));
        let hello = self.world.batch(from, to, 1 << 20).unwrap();
        match self.world.deliver(to, &hello) {
            Ok(_) => false,
            Err(PartitionError::NotEmpty(_)) => true,
            Err(other) => panic!("from {from} to {to}: {other}"),
        }
    }
}

#[test]
fn whoever_comes_and_goes_nothing_that_was_deleted_comes_back() {
    for_each_seed(|seed| Run::new(seed).go());
}
