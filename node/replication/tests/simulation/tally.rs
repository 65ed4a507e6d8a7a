//! What happened in a run, counted: a simulation in which nothing happens finds nothing.

use crate::fuse::Point;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub answered: u64,
    pub unknown: u64,
    pub crashes: u64,
    pub volumes_lost: u64,
    pub logs_lost: u64,
    pub definitions_changed: u64,
    pub leaders: u64,
    pub claims: u64,
    /// Replicas that went on from a snapshot.
    pub snapshots: u64,
    pub killed_before_sync: u64,
    pub killed_during_sync: u64,
    pub killed_before_apply: u64,
    pub killed_before_answers: u64,
    /// Of every event and its time: two runs of one seed have the same.
    pub fingerprint: u64,
}

impl Tally {
    pub fn killed_at(&mut self, point: Point) {
        let count = match point {
            Point::BeforeSync => &mut self.killed_before_sync,
            Point::DuringSync => &mut self.killed_during_sync,
            Point::BeforeApply => &mut self.killed_before_apply,
            Point::BeforeAnswers => &mut self.killed_before_answers,
        };
        *count += 1;
    }

    /// Takes one more number into the fingerprint.
    pub fn print(&mut self, number: u64) {
        self.fingerprint = (self.fingerprint.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    pub fn add(&mut self, other: &Self) {
        self.counts_mut().into_iter().zip(other.counts()).for_each(|((_, sum), (_, count))| *sum += count);
    }

    pub fn never_happened(&self) -> Vec<&'static str> {
        self.counts().into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
    }

    fn counts(&self) -> [(&'static str, u64); 13] {
        self.clone().counts_mut().map(|(name, count)| (name, *count))
    }

    fn counts_mut(&mut self) -> [(&'static str, &mut u64); 13] {
        [
            ("operations answered", &mut self.answered),
            ("operations of unknown outcome", &mut self.unknown),
            ("crashes", &mut self.crashes),
            ("volumes lost", &mut self.volumes_lost),
            ("logs lost", &mut self.logs_lost),
            ("definitions changed", &mut self.definitions_changed),
            ("leaders", &mut self.leaders),
            ("claims", &mut self.claims),
            ("snapshots installed", &mut self.snapshots),
            ("kills before a sync", &mut self.killed_before_sync),
            ("kills during a sync", &mut self.killed_during_sync),
            ("kills before an apply", &mut self.killed_before_apply),
            ("kills before answers", &mut self.killed_before_answers),
        ]
    }
}
