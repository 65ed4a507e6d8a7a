//! TransactGetItems over its partitions: one view where there is one, else two looks that agree.
//!
//! Between the two looks no item changed and none was about to: so all of what was read was true at once.

use super::{Addressed, Coordinator, Part, canceled, conflict_reason, mismatch, parts, reason_of};
use cairn_model::{ServiceError, codec::EncodedItem};
use cairn_replication::{
    operation::{PartitionOutcome, PartitionRequest},
    transaction::{ItemVersion, MetLock, TransactGet, TransactGetRequest, TransactGot},
};
use futures::future::join_all;
use std::time::Duration;

/// Looks at a moment's items before it is given up.
const LOOKS_MAX: u32 = 5;
/// Longer each time.
const PAUSE: Duration = Duration::from_millis(10);

/// An item (projected) and its whole size in bytes.
pub(crate) type Got = Option<(EncodedItem, u32)>;

/// What was seen of all items at once, or where something was in the way.
enum Seen {
    All(Vec<TransactGot>),
    InTheWay { at: Vec<usize>, met: Vec<MetLock> },
}

impl Coordinator<'_> {
    /// The items, in the order of the gets, as they were at one moment.
    pub(crate) async fn read(&self, gets: &[Addressed<TransactGet>]) -> Result<Vec<Got>, ServiceError> {
        let parts = parts(gets);
        let mut in_the_way = Vec::new();
        for look in 1..=LOOKS_MAX {
            let before = match parts.len() {
                1 => None,
                _ => match self.look(&parts, gets.len(), true).await? {
                    Seen::All(all) => Some(all),
                    Seen::InTheWay { at, met } => {
                        in_the_way = at;
                        self.pause(look, &met).await;
                        continue;
                    }
                },
            };
            let after = match self.look(&parts, gets.len(), false).await? {
                Seen::All(all) => all,
                Seen::InTheWay { at, met } => {
                    in_the_way = at;
                    self.pause(look, &met).await;
                    continue;
                }
            };
            in_the_way = before.map_or_else(Vec::new, |before| changed(&before, &after));
            if in_the_way.is_empty() {
                return Ok(after.into_iter().map(|got| got.item).collect());
            }
            self.pause(look, &[]).await;
        }
        let reasons = (0..gets.len()).map(|at| in_the_way.contains(&at).then(conflict_reason));
        Err(canceled(reasons.collect()))
    }

    async fn look(
        &self,
        parts: &[Part<'_, TransactGet>],
        count: usize,
        versions_only: bool,
    ) -> Result<Seen, ServiceError> {
        let answers = join_all(parts.iter().map(|part| {
            let request = TransactGetRequest { gets: part.what.clone(), versions_only };
            self.ask(part.table, &part.key, PartitionRequest::TransactGet(request))
        }));
        let mut all: Vec<Option<TransactGot>> = vec![None; count];
        let (mut at, mut locks) = (Vec::new(), Vec::new());
        for (part, answer) in parts.iter().zip(answers.await) {
            let answer = match answer {
                // The table's throughput is exceeded.
                Err(error) if !error.throttling_reasons.is_empty() => {
                    let is_of_it = |at| part.ordinals.contains(&at);
                    let reasons = (0..count).map(|at| is_of_it(at).then(|| reason_of(error.clone())));
                    return Err(canceled(reasons.collect()));
                }
                answer => answer?,
            };
            match answer {
                PartitionOutcome::TransactGet(outcome) if outcome.items.len() == part.ordinals.len() => {
                    part.ordinals.iter().zip(outcome.items).for_each(|(at, got)| all[*at] = Some(got));
                }
                PartitionOutcome::Locked(met) => {
                    at.extend(part.ordinals_of(&met));
                    locks.extend(met);
                }
                _ => return Err(mismatch()),
            }
        }
        if !at.is_empty() {
            return Ok(Seen::InTheWay { at, met: locks });
        }
        all.into_iter().collect::<Option<_>>().map(Seen::All).ok_or_else(mismatch)
    }

    /// Until what is in the way may be out of it.
    async fn pause(&self, look: u32, met: &[MetLock]) {
        if !self.resolve(met).await && look < LOOKS_MAX {
            self.environment.sleep(PAUSE * look).await;
        }
    }
}

/// Where two looks differ.
fn changed(before: &[TransactGot], after: &[TransactGot]) -> Vec<usize> {
    let version = |got: &TransactGot| -> ItemVersion { got.version.clone() };
    before
        .iter()
        .zip(after)
        .enumerate()
        .filter(|(_, (before, after))| version(before) != version(after))
        .map(|(at, _)| at)
        .collect()
}
