//! What a seed makes happen: how many tables, which weather, which faults and when. All of it follows from the seed.

use crate::network::Weather;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// Nodes at any one time: one in each zone.
pub const NODES: usize = 3;
/// Kinds of faults to draw from.
const FAULT_KINDS: usize = 16;
/// How long faults go on, in virtual time.
pub const FAULTS_US: u64 = 30_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process dies between two flushes. What was not synced is lost.
    Crash(usize),
    /// The process dies inside a flush of its choice, after its messages left: before its own append is synced.
    CrashBeforeSync(usize),
    /// The same, with the append half written.
    CrashTearingAppend(usize),
    /// The process dies inside a flush after its append is synced and before the entries are applied.
    CrashBeforeApply(usize),
    /// The process dies inside a flush after all is done and before the answers left.
    CrashBeforeAnswers(usize),
    /// The power of all three zones.
    CrashAll,
    /// Messages from the first to the second node are lost; the other way they pass.
    CutOneWay(usize, usize),
    /// The node hears nobody.
    Deafen(usize),
    /// Nobody hears the node.
    Mute(usize),
    Isolate(usize),
    /// The process stands still (a paused virtual machine, a stalled disk) and then goes on.
    Pause(usize),
    /// Every flush takes long.
    SlowDisk(usize),
    /// The wall clock jumps, and stays there until the fault ends.
    ClockJump(usize, i64),
    /// The volume is emptied; the pod comes back as a new node, and takes its replica's place.
    LoseVolume(usize),
    /// The log is lost and the items are not: the replicas are damaged, and replaced on the same node.
    LoseLog(usize),
    /// The table's definition changes under the writes.
    ChangeDefinition,
}

#[derive(Clone, Copy, Debug)]
pub struct TimedFault {
    pub fault: Fault,
    pub from_us: u64,
    pub to_us: u64,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub tables: usize,
    pub clients: usize,
    pub keys: usize,
    /// A client waits up to this long between two operations.
    pub think_us_max: u64,
    pub weather: Weather,
    /// A flush takes up to this long.
    pub flush_us_max: u64,
    /// Entries kept in the log behind what is applied.
    pub log_entries_kept: u64,
    pub faults: Vec<TimedFault>,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed ^ 0x0070_6c61_6e00);
        let calm = random.random_bool(0.1);
        let weather = if calm { Weather::FAIR } else { rough_weather(&mut random) };
        Self {
            tables: if seed % 4 == 3 { 5 } else { 1 },
            clients: random.random_range(3..=6),
            keys: random.random_range(1..=4),
            think_us_max: *[20_000, 100_000, 500_000].choose(&mut random).unwrap(),
            weather,
            flush_us_max: *[200, 2_000, 10_000].choose(&mut random).unwrap(),
            log_entries_kept: *[5, 20, 1_000].choose(&mut random).unwrap(),
            faults: if calm { Vec::new() } else { faults(&mut random) },
        }
    }
}

fn rough_weather(random: &mut StdRng) -> Weather {
    Weather {
        drop_rate: *[0.0, 0.01, 0.05, 0.15].choose(random).unwrap(),
        duplicate_rate: *[0.0, 0.02, 0.2].choose(random).unwrap(),
        late_rate: *[0.0, 0.01, 0.1].choose(random).unwrap(),
        delay_us_max: *[500, 5_000, 50_000].choose(random).unwrap(),
        late_us_max: *[100_000, 1_000_000, 5_000_000].choose(random).unwrap(),
    }
}

/// Every seed draws from a few kinds of faults only: what many kinds together hide, a few bring out.
fn faults(random: &mut StdRng) -> Vec<TimedFault> {
    let kinds: Vec<usize> = (0..random.random_range(1..=4)).map(|_| random.random_range(0..FAULT_KINDS)).collect();
    let mean_gap_us = random.random_range(500_000..4_000_000);
    let mut faults = Vec::new();
    let mut at_us = 500_000;
    loop {
        at_us += random.random_range(1..=2 * mean_gap_us);
        if at_us >= FAULTS_US {
            return faults;
        }
        let fault = fault(*kinds.choose(random).unwrap(), random);
        let lasts_us = match fault {
            Fault::LoseVolume(_) | Fault::LoseLog(_) => random.random_range(10_000..2_000_000),
            _ => random.random_range(10_000..8_000_000),
        };
        faults.push(TimedFault { fault, from_us: at_us, to_us: (at_us + lasts_us).min(FAULTS_US) });
    }
}

fn fault(kind: usize, random: &mut StdRng) -> Fault {
    let node = random.random_range(0..NODES);
    match kind {
        0 => Fault::Crash(node),
        1 => Fault::CrashBeforeSync(node),
        2 => Fault::CrashTearingAppend(node),
        3 => Fault::CrashBeforeApply(node),
        4 => Fault::CrashBeforeAnswers(node),
        5 => Fault::CrashAll,
        6 => Fault::CutOneWay(node, (node + random.random_range(1..NODES)) % NODES),
        7 => Fault::Deafen(node),
        8 => Fault::Mute(node),
        9 => Fault::Isolate(node),
        10 => Fault::Pause(node),
        11 => Fault::SlowDisk(node),
        12 => {
            let by_ms = *[100, 400, 600, 2_000, 60_000, 3_600_000].choose(random).unwrap();
            Fault::ClockJump(node, if random.random_bool(0.5) { by_ms } else { -by_ms })
        }
        13 => Fault::LoseVolume(node),
        14 => Fault::LoseLog(node),
        _ => Fault::ChangeDefinition,
    }
}
