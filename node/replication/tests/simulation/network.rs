//! The network between nodes, and between clients and nodes: drops, delays, reorders, duplicates and cuts.

use rand::{Rng, rngs::StdRng};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub drop_rate: f64,
    pub duplicate_rate: f64,
    /// How many messages take up to `late_us_max` instead of up to `delay_us_max`.
    pub late_rate: f64,
    pub delay_us_max: u64,
    pub late_us_max: u64,
}

impl Weather {
    pub const FAIR: Self =
        Self { drop_rate: 0.0, duplicate_rate: 0.0, late_rate: 0.0, delay_us_max: 2_000, late_us_max: 2_000 };
}

#[derive(Debug)]
pub struct Network {
    pub weather: Weather,
    /// Directed: from, to.
    cut: BTreeSet<(usize, usize)>,
}

impl Network {
    pub fn new(weather: Weather) -> Self {
        Self { weather, cut: BTreeSet::new() }
    }

    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.contains(&(from, to))
    }

    /// After how many microseconds a message between nodes arrives: never, once or twice.
    pub fn arrivals_us(&self, from: usize, to: usize, random: &mut StdRng) -> Vec<u64> {
        if self.is_cut(from, to) || random.random_bool(self.weather.drop_rate) {
            return Vec::new();
        }
        let copies = 1 + usize::from(random.random_bool(self.weather.duplicate_rate));
        (0..copies).map(|_| self.delay_us(random)).collect()
    }

    /// After how many microseconds a message between a client and a node arrives, if it does. A connection that breaks
    /// loses messages but duplicates none; clients retry, which does.
    pub fn arrival_us(&self, random: &mut StdRng) -> Option<u64> {
        (!random.random_bool(self.weather.drop_rate)).then(|| self.delay_us(random))
    }

    fn delay_us(&self, random: &mut StdRng) -> u64 {
        let late = random.random_bool(self.weather.late_rate);
        random.random_range(50..=if late { self.weather.late_us_max } else { self.weather.delay_us_max })
    }
}
