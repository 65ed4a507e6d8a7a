//! Watches every replica after every flush and remembers what must never be contradicted.

use cairn_model::{
    ids::{PartitionId, ReplicaId},
    time::Timestamp,
};
use cairn_replication::core::Claim;
use std::collections::BTreeMap;

/// One life of the process on one volume: restarts make another.
pub type Life = u64;

/// What a replica shows of itself after a flush.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    pub partition: PartitionId,
    pub replica: ReplicaId,
    pub life: Life,
    pub term: u64,
    pub leads: bool,
    pub applied_index: u64,
    pub applied_term: u64,
    /// The proposer's, in that term, of the last entry that was not void.
    pub sequence: u64,
    pub entry_time: Timestamp,
    /// Of everything the replica keeps: items, outcomes, descriptor, definition.
    pub digest: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AppliedState {
    term: u64,
    sequence: u64,
    entry_time: Timestamp,
    digest: u64,
}

#[derive(Debug, Default)]
pub struct Witness {
    leaders: BTreeMap<(PartitionId, u64), (ReplicaId, Life)>,
    applied: BTreeMap<(PartitionId, u64), AppliedState>,
    /// Of each replica in each life (another may take its place on its node): how far it has applied, its term, and whether
    /// it leads.
    last: BTreeMap<(PartitionId, ReplicaId, Life), (u64, u64, bool)>,
    claims: Vec<(PartitionId, Claim)>,
}

impl Witness {
    /// False if the replica shows what it did when it was last seen.
    pub fn is_news(&self, seen: &Sighting) -> bool {
        let last = self.last.get(&(seen.partition, seen.replica, seen.life));
        last != Some(&(seen.applied_index, seen.term, seen.leads))
    }

    pub fn knows_leader_of(&self, seen: &Sighting) -> bool {
        self.leaders.contains_key(&(seen.partition, seen.term))
    }

    pub fn see(&mut self, seen: Sighting) -> Result<(), String> {
        self.see_leader(&seen)?;
        self.see_progress(&seen)?;
        self.see_state(&seen)
    }

    /// A leader closed a time.
    pub fn hear(&mut self, partition: PartitionId, claim: Claim) {
        self.claims.push((partition, claim));
    }

    pub fn claims(&self) -> u64 {
        self.claims.len() as u64
    }

    /// Whether any entry behind a claim's index was stamped at or below its time.
    pub fn check_claims(&self) -> Result<(), String> {
        for (partition, claim) in &self.claims {
            let behind = self.applied.range((*partition, claim.index)..=(*partition, u64::MAX));
            let times: Vec<(u64, Timestamp)> = behind.map(|((_, index), state)| (*index, state.entry_time)).collect();
            let broken = times.windows(2).find(|pair| pair[0].1 < pair[1].1 && pair[1].1 <= claim.time);
            if let Some(pair) = broken {
                return Err(format!("{claim:x?} was broken by an entry between {:x?} and {:x?}", pair[0], pair[1]));
            }
        }
        Ok(())
    }

    /// How many leaders there were.
    pub fn leaders(&self) -> u64 {
        self.leaders.len() as u64
    }

    fn see_leader(&mut self, seen: &Sighting) -> Result<(), String> {
        if !seen.leads {
            return Ok(());
        }
        let leader = (seen.replica, seen.life);
        let first = *self.leaders.entry((seen.partition, seen.term)).or_insert(leader);
        if first.0 != leader.0 {
            return Err(format!("two leaders in term {}: replicas {:?} and {:?}", seen.term, first.0, leader.0));
        }
        if first.1 != leader.1 {
            return Err(format!("replica {:?} leads in term {}, as it did before a restart", leader.0, seen.term));
        }
        Ok(())
    }

    fn see_progress(&mut self, seen: &Sighting) -> Result<(), String> {
        let now = (seen.applied_index, seen.term, seen.leads);
        let before = self.last.insert((seen.partition, seen.replica, seen.life), now).unwrap_or(now);
        if now.0 < before.0 || now.1 < before.1 {
            return Err(format!(
                "replica {:?} went back from (applied index, term, leads) {before:?} to {now:?}",
                seen.replica
            ));
        }
        Ok(())
    }

    fn see_state(&mut self, seen: &Sighting) -> Result<(), String> {
        if seen.applied_index == 0 {
            // It has no data yet, and knows the members by hearsay.
            return Ok(());
        }
        let state = AppliedState {
            term: seen.applied_term,
            sequence: seen.sequence,
            entry_time: seen.entry_time,
            digest: seen.digest,
        };
        let index = seen.applied_index;
        let first = *self.applied.entry((seen.partition, index)).or_insert(state);
        if first != state {
            return Err(format!(
                "replica {:?} at applied index {index} has {state:x?}, where another had {first:x?}",
                seen.replica
            ));
        }
        let below = self.applied.range((seen.partition, 0)..(seen.partition, index)).next_back();
        let above = self.applied.range((seen.partition, index + 1)..=(seen.partition, u64::MAX)).next();
        let in_order = below.is_none_or(|(_, below)| below.may_precede(&state))
            && above.is_none_or(|(_, above)| state.may_precede(above));
        if !in_order {
            return Err(format!(
                "the log is out of order around index {index}: {below:x?}, then {state:x?}, then {above:x?}"
            ));
        }
        Ok(())
    }
}

impl AppliedState {
    fn may_precede(&self, later: &Self) -> bool {
        // An entry that was not void has a sequence of its own.
        let another_was_applied = later.sequence > 0 && (self.term, self.sequence) != (later.term, later.sequence);
        self.term <= later.term
            && self.entry_time <= later.entry_time
            && (!another_was_applied || self.entry_time < later.entry_time)
    }
}

mod tests {
    use super::*;

    const FIRST: Sighting = Sighting {
        partition: PartitionId([1; 16]),
        replica: ReplicaId(1),
        life: 1,
        term: 3,
        leads: true,
        applied_index: 10,
        applied_term: 3,
        sequence: 4,
        entry_time: Timestamp(100),
        digest: 7,
    };

    #[track_caller]
    fn assert_caught(second: Sighting) {
        let mut witness = Witness::default();
        assert_eq!(witness.see(FIRST), Ok(()));
        assert!(witness.see(second).is_err(), "{second:?} was let through");
    }

    fn next() -> Sighting {
        Sighting { applied_index: 11, sequence: 5, entry_time: Timestamp(101), digest: 8, ..FIRST }
    }

    #[test]
    fn a_log_that_goes_on_is_let_through() {
        let mut witness = Witness::default();
        for seen in [FIRST, FIRST, next(), Sighting { replica: ReplicaId(2), life: 2, leads: false, ..next() }] {
            assert_eq!(witness.see(seen), Ok(()));
        }
    }

    #[test]
    fn two_leaders_in_one_term_are_caught() {
        assert_caught(Sighting { replica: ReplicaId(2), life: 2, ..FIRST });
    }

    #[test]
    fn a_replica_that_leads_again_in_its_term_after_a_restart_is_caught() {
        assert_caught(Sighting { life: 2, ..FIRST });
    }

    #[test]
    fn a_replica_that_goes_back_within_one_life_is_caught() {
        assert_caught(Sighting { applied_index: 9, sequence: 3, entry_time: Timestamp(99), ..FIRST });
        assert_caught(Sighting { term: 2, leads: false, ..FIRST });
    }

    #[test]
    fn replicas_that_differ_at_one_index_are_caught() {
        let other = Sighting { replica: ReplicaId(2), life: 2, leads: false, ..FIRST };
        assert_caught(Sighting { digest: 9, ..other });
        assert_caught(Sighting { applied_term: 2, ..other });
    }

    #[test]
    fn an_entry_stamped_at_a_closed_time_is_caught() {
        for (time, caught) in [(100, false), (101, true), (200, true)] {
            let mut witness = Witness::default();
            witness.see(FIRST).unwrap();
            witness.hear(FIRST.partition, Claim { index: 10, time: Timestamp(time) });
            witness.see(next()).unwrap();
            assert_eq!(witness.check_claims().is_err(), caught, "{time}");
        }
    }

    #[test]
    fn entry_times_that_do_not_rise_along_the_log_are_caught() {
        assert_caught(Sighting { entry_time: Timestamp(100), ..next() });
        assert_caught(Sighting { entry_time: Timestamp(99), ..next() });
    }
}
