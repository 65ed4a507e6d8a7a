//! What becomes of a transaction whose coordinator is gone: whoever meets one of its locks, once it is old, finds out and
//! tells its partitions. What nobody meets is told by their leaders, and ended as well.

use super::{Coordinator, Finished, Told};
use crate::{Backends, Catalog, Environment, Partitions, Room, TableView};
use cairn_model::{ids::RequestId, transaction::LeftTransaction};
use cairn_replication::transaction::{MetLock, Participant, TransactOutcome, TransactRequest, TransactStep};
use futures::{StreamExt, future::join_all, stream};
use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

/// A coordinator that lives is done within that long, or loses.
pub(super) const LOCK_AGE_MS_MIN: u64 = 3_000;
/// A table that is not known here may be a new one. After that long it is gone, and so is what it would say; what the others did is
/// known for longer (`cairn_replication::transaction::RECORD_AGE_MS_MAX`).
const GONE_AGE_MS_MIN: u64 = 10 * 60 * 1_000;
/// Transactions that one request resolves at once.
const RESOLVED_MAX: usize = 8;
/// Between two looks at what is left behind.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// What partitions answer of transactions are sizes of items.
const ROOM_BYTES: usize = 1 << 20;

/// Ends transactions that nobody meets, until it is dropped.
pub(crate) async fn end_left_behind(backends: &Backends, finished: &Finished) -> Infallible {
    loop {
        backends.environment.sleep(LOOK_INTERVAL).await;
        end_those_left(&*backends.partitions, &*backends.catalog, &*backends.environment, finished).await;
    }
}

/// Those that are left behind now.
pub(super) async fn end_those_left(
    partitions: &dyn Partitions,
    catalog: &dyn Catalog,
    environment: &dyn Environment,
    finished: &Finished,
) {
    let room = &Room::within(ROOM_BYTES);
    // Whoever takes part may tell of it.
    let mut left = BTreeMap::new();
    for (account, told) in partitions.left_transactions() {
        left.extend(told.into_iter().map(|told| (told.transaction, (account.clone(), told))));
    }
    let ending = left.into_values().map(|(account, left)| async move {
        let account = account.as_str();
        let coordinator = Coordinator { partitions, catalog, environment, account, room, finished };
        coordinator.resolve(&[met(left)]).await
    });
    stream::iter(ending).buffer_unordered(RESOLVED_MAX).collect::<Vec<bool>>().await;
}

fn met(left: LeftTransaction) -> MetLock {
    let LeftTransaction { transaction, participants, since_ms } = left;
    MetLock { at: 0, transaction, participants, since_ms }
}

impl Coordinator<'_> {
    /// Resolves those of the transactions that are old; true if one is out of the way now.
    pub(crate) async fn resolve(&self, met: &[MetLock]) -> bool {
        let now = self.environment.wall_ms();
        let mut old: Vec<&MetLock> = Vec::new();
        for met in met.iter().filter(|met| now.saturating_sub(met.since_ms) >= LOCK_AGE_MS_MIN) {
            if old.len() < RESOLVED_MAX && !old.iter().any(|other| other.transaction == met.transaction) {
                old.push(met);
            }
        }
        join_all(old.into_iter().map(|met| self.resolve_one(met, now))).await.into_iter().any(|resolved| resolved)
    }

    async fn resolve_one(&self, met: &MetLock, now: u64) -> bool {
        // Asked first: all may become known while tables are looked up, and one that was not found then is there.
        let missing_are_gone = now.saturating_sub(met.since_ms) >= GONE_AGE_MS_MIN && self.catalog.knows_all();
        let tables: Vec<(Arc<TableView>, &Participant)> = met
            .participants
            .iter()
            .filter_map(|participant| {
                Some((self.catalog.table_of_id(self.account, participant.table_id)?, participant))
            })
            .collect();
        let Some(((table, first), behind)) = tables.split_first() else { return false };
        let primary = Some(*first).filter(|first| met.participants.first() == Some(*first));
        let step = match primary {
            Some(primary) => self.what_became(met, table, primary).await,
            None if missing_are_gone => self.what_others_did(met, &tables).await,
            None => None,
        };
        let Some(step) = step else { return false };
        let others = if primary.is_some() { behind } else { &tables };
        let tell = others.iter().map(|(table, other)| self.step(table, &other.key, self.request(met, step.clone())));
        // Who has applied it may have forgotten it.
        let is_over = |told: Result<Told, _>| {
            told.is_ok_and(|told| matches!(told.outcome, TransactOutcome::Committed(_) | TransactOutcome::Aborted))
        };
        let is_resolved = join_all(tell).await.into_iter().all(is_over);
        let all_are_told = is_resolved && (tables.len() == met.participants.len() || missing_are_gone);
        if all_are_told {
            tracing::info!(transaction = ?met.transaction, ?step, "a transaction was left behind, and is ended");
        }
        let is_committed = matches!(step, TransactStep::CommitDecided { .. });
        if let Some(primary) = primary.filter(|_| is_committed && all_are_told) {
            let finished = self.step(table, &primary.key, self.request(met, TransactStep::Finish)).await;
            return finished.is_ok();
        }
        is_resolved
    }

    /// What its primary says of it, and so what the others are to do. Where it does not know it that is never to come.
    async fn what_became(&self, met: &MetLock, table: &TableView, primary: &Participant) -> Option<TransactStep> {
        let ask = TransactStep::Resolve { age_ms_min: LOCK_AGE_MS_MIN };
        match self.step(table, &primary.key, self.request(met, ask)).await {
            Ok(Told { outcome: TransactOutcome::Committed(_), at }) => {
                Some(TransactStep::CommitDecided { decided_at: at })
            }
            Ok(Told { outcome: TransactOutcome::Aborted, .. }) => Some(TransactStep::Abort { age_ms_min: 0 }),
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(%error, "failed to ask what became of a transaction");
                None
            }
        }
    }

    /// The same, where the primary's table was deleted: what it had committed the others may have applied in part.
    async fn what_others_did(&self, met: &MetLock, left: &[(Arc<TableView>, &Participant)]) -> Option<TransactStep> {
        // Of such an age nobody lets go of what is prepared.
        let ask = TransactStep::Resolve { age_ms_min: u64::MAX };
        let asked = left.iter().map(|(table, other)| self.step(table, &other.key, self.request(met, ask.clone())));
        let mut step = TransactStep::Abort { age_ms_min: 0 };
        for told in join_all(asked).await {
            match told {
                Ok(Told { outcome: TransactOutcome::Committed(_), at }) => {
                    step = TransactStep::CommitDecided { decided_at: at };
                }
                Ok(Told { outcome: TransactOutcome::Pending | TransactOutcome::Aborted, .. }) => {}
                _ => return None,
            }
        }
        Some(step)
    }

    fn request(&self, met: &MetLock, step: TransactStep) -> TransactRequest {
        let request_id = RequestId(self.environment.unique_id());
        TransactRequest { request_id, transaction: met.transaction, step }
    }
}
