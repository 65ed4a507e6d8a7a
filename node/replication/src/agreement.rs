//! Whether this node's wall clock agrees with its peers', measured on the frames between them.
//!
//! Every frame carries its sender's two clocks and gives back the last boot-time stamp it has seen of the receiver,
//! with how long it held it: that is a round trip, and with it the peer's wall clock is known to half of it.

use crate::clock::Now;
use cairn_model::ids::NodeId;
use std::collections::BTreeMap;

/// A better measurement outlives a worse one this long, and none outlives the second.
const SAMPLE_FRESH_MS: u64 = 1_000;
const SAMPLE_AGE_MS_MAX: u64 = 5_000;

/// What a frame says of clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FrameClock {
    pub(crate) wall_ms: u64,
    pub(crate) boot_ms: u64,
    /// The receiver's own boot time, as the sender last saw it; 0: never.
    pub(crate) echo_boot_ms: u64,
    /// How long ago the sender saw it.
    pub(crate) echo_held_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    Agrees,
    /// Not measured with a quorum (yet).
    Unknown,
    Disagrees,
}

#[derive(Debug, Default)]
struct Peer {
    seen: Option<Seen>,
    sample: Option<Sample>,
}

/// The peer's last stamp and when it came.
#[derive(Clone, Copy, Debug)]
struct Seen {
    their_boot_ms: u64,
    our_boot_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// The peer's wall clock less our boot-time clock: unmoved by a jump of our own wall clock.
    wall_less_boot_ms: i64,
    uncertainty_ms: u64,
    taken_boot_ms: u64,
}

impl Sample {
    fn offset_ms(&self, now: Now) -> i64 {
        self.wall_less_boot_ms + now.boot_ms as i64 - now.wall_ms as i64
    }

    fn is_current(&self, now: Now) -> bool {
        now.boot_ms.saturating_sub(self.taken_boot_ms) <= SAMPLE_AGE_MS_MAX
    }
}

/// What is known of the peers' clocks.
#[derive(Debug)]
pub(crate) struct ClockTable {
    offset_max_ms: u64,
    peers: BTreeMap<NodeId, Peer>,
}

impl ClockTable {
    pub(crate) fn new(offset_max_ms: u64) -> Self {
        Self { offset_max_ms, peers: BTreeMap::new() }
    }

    /// What to write on a frame to this peer.
    pub(crate) fn stamp(&self, to: NodeId, now: Now) -> FrameClock {
        let seen = self.peers.get(&to).and_then(|peer| peer.seen);
        FrameClock {
            wall_ms: now.wall_ms,
            boot_ms: now.boot_ms,
            echo_boot_ms: seen.map_or(0, |seen| seen.their_boot_ms),
            echo_held_ms: seen.map_or(0, |seen| now.boot_ms.saturating_sub(seen.our_boot_ms)),
        }
    }

    /// Takes in what a frame from this peer says; only of members, so that the table stays small.
    pub(crate) fn receive(&mut self, from: NodeId, clock: FrameClock, now: Now) {
        let peer = self.peers.entry(from).or_default();
        if peer.seen.is_none_or(|seen| clock.boot_ms >= seen.their_boot_ms || now.boot_ms > seen.our_boot_ms) {
            peer.seen = Some(Seen { their_boot_ms: clock.boot_ms, our_boot_ms: now.boot_ms });
        }
        if clock.echo_boot_ms == 0 {
            return;
        }
        let Some(round_trip_ms) =
            now.boot_ms.checked_sub(clock.echo_boot_ms).and_then(|since| since.checked_sub(clock.echo_held_ms))
        else {
            return;
        };
        // One more for the milliseconds cut off on both sides.
        let uncertainty_ms = round_trip_ms / 2 + 1;
        let keeps_old = peer.sample.is_some_and(|old| {
            old.uncertainty_ms < uncertainty_ms && now.boot_ms.saturating_sub(old.taken_boot_ms) < SAMPLE_FRESH_MS
        });
        if !keeps_old {
            peer.sample = Some(Sample {
                wall_less_boot_ms: clock.wall_ms as i64 + (round_trip_ms / 2) as i64 - now.boot_ms as i64,
                uncertainty_ms,
                taken_boot_ms: now.boot_ms,
            });
        }
    }

    fn sample(&self, node: &NodeId, now: Now) -> Option<Sample> {
        self.peers.get(node).and_then(|peer| peer.sample).filter(|sample| sample.is_current(now))
    }

    /// Whether this node's wall clock is near those of a quorum of `voters`, itself among them.
    pub(crate) fn agreement(&self, own: NodeId, voters: &[NodeId], now: Now) -> Agreement {
        let quorum = voters.len() / 2 + 1;
        let (mut agreeing, mut unknown) = (0, 0);
        for voter in voters {
            if *voter == own {
                agreeing += 1;
                continue;
            }
            match self.sample(voter, now) {
                None => unknown += 1,
                Some(sample) => {
                    let offset_ms = sample.offset_ms(now).unsigned_abs();
                    if offset_ms + sample.uncertainty_ms <= self.offset_max_ms {
                        agreeing += 1;
                    } else if offset_ms <= self.offset_max_ms + sample.uncertainty_ms {
                        unknown += 1;
                    }
                }
            }
        }
        if agreeing >= quorum {
            Agreement::Agrees
        } else if agreeing + unknown >= quorum {
            Agreement::Unknown
        } else {
            Agreement::Disagrees
        }
    }

    /// A voter, not this node, whose clock a quorum of the voters shares: who should lead while this one must not.
    pub(crate) fn successor(&self, own: NodeId, voters: &[NodeId], now: Now) -> Option<NodeId> {
        let quorum = voters.len() / 2 + 1;
        let offset_ms = |voter: &NodeId| {
            if *voter == own { Some(0) } else { self.sample(voter, now).map(|sample| sample.offset_ms(now)) }
        };
        voters.iter().copied().filter(|candidate| *candidate != own).find(|candidate| {
            let Some(theirs) = offset_ms(candidate) else { return false };
            let near = voters
                .iter()
                .filter_map(offset_ms)
                .filter(|offset| offset.abs_diff(theirs) <= self.offset_max_ms)
                .count();
            near >= quorum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId([1; 16]);
    const B: NodeId = NodeId([2; 16]);
    const C: NodeId = NodeId([3; 16]);

    fn at(boot_ms: u64, offset_ms: i64) -> Now {
        Now { boot_ms, wall_ms: (1_000_000 + boot_ms as i64 + offset_ms) as u64 }
    }

    /// A frame there and one back, each taking `one_way_ms`; all boot clocks are the same here.
    fn exchange(table: &mut ClockTable, with: NodeId, boot_ms: u64, their_offset_ms: i64, one_way_ms: u64) -> u64 {
        let mut theirs = ClockTable::new(500);
        let sent = table.stamp(with, at(boot_ms, 0));
        theirs.receive(A, sent, at(boot_ms + one_way_ms, their_offset_ms));
        let answer = theirs.stamp(A, at(boot_ms + one_way_ms + 5, their_offset_ms));
        let back = boot_ms + 2 * one_way_ms + 5;
        table.receive(with, answer, at(back, 0));
        back
    }

    #[test]
    fn a_clock_near_a_quorums_agrees() {
        let mut table = ClockTable::new(500);
        assert_eq!(table.agreement(A, &[A, B, C], at(10, 0)), Agreement::Unknown);
        let now = exchange(&mut table, B, 10, 300, 20);
        assert_eq!(table.agreement(A, &[A, B, C], at(now, 0)), Agreement::Agrees);
        assert_eq!(table.agreement(A, &[A, B, C], at(now + SAMPLE_AGE_MS_MAX + 1, 0)), Agreement::Unknown);
    }

    #[test]
    fn a_single_voter_always_agrees() {
        assert_eq!(ClockTable::new(500).agreement(A, &[A], at(0, 0)), Agreement::Agrees);
    }

    #[test]
    fn a_clock_that_jumped_disagrees_at_once_and_names_a_successor() {
        let mut table = ClockTable::new(500);
        let now = exchange(&mut table, B, 10, 0, 20);
        let now = exchange(&mut table, C, now, 10, 20);
        assert_eq!(table.agreement(A, &[A, B, C], at(now, 0)), Agreement::Agrees);
        assert_eq!(table.agreement(A, &[A, B, C], at(now, 600)), Agreement::Disagrees);
        assert_eq!(table.successor(A, &[A, B, C], at(now, 600)), Some(B));
    }

    #[test]
    fn nobody_succeeds_where_no_quorum_agrees() {
        let mut table = ClockTable::new(500);
        let now = exchange(&mut table, B, 10, 5_000, 20);
        let now = exchange(&mut table, C, now, -5_000, 20);
        assert_eq!(table.agreement(A, &[A, B, C], at(now, 0)), Agreement::Disagrees);
        assert_eq!(table.successor(A, &[A, B, C], at(now, 0)), None);
    }

    #[test]
    fn a_slow_answer_proves_nothing() {
        let mut table = ClockTable::new(500);
        let now = exchange(&mut table, B, 10, 0, 600);
        assert_eq!(table.agreement(A, &[A, B, C], at(now, 0)), Agreement::Unknown);
    }
}
