//! What becomes of a transaction whose coordinator is gone: whoever meets one of its locks, once it is old, finds out and
//! tells its partitions.

use super::Coordinator;
use crate::TableView;
use cairn_model::ids::RequestId;
use cairn_replication::transaction::{MetLock, Participant, TransactOutcome, TransactRequest, TransactStep};
use futures::future::join_all;
use std::sync::Arc;

/// A coordinator that lives is done within that long, or loses.
pub(super) const LOCK_AGE_MS_MIN: u64 = 3_000;
/// A table that is not known here may be a new one. After that long it is gone, and so is what it would say.
const GONE_AGE_MS_MIN: u64 = 15 * 60 * 1_000;
/// Transactions that one request resolves at once.
const RESOLVED_MAX: usize = 8;

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
        let tables: Vec<(Arc<TableView>, &Participant)> = met
            .participants
            .iter()
            .filter_map(|participant| {
                Some((self.catalog.table_of_id(self.account, participant.table_id)?, participant))
            })
            .collect();
        let Some(((table, primary), others)) = tables.split_first() else { return false };
        if met.participants.first() != Some(*primary) && now.saturating_sub(met.since_ms) < GONE_AGE_MS_MIN {
            return false;
        }
        let ask = TransactStep::Abort { age_ms_min: LOCK_AGE_MS_MIN };
        let step = match self.step(table, &primary.key, self.request(met, ask)).await {
            Ok(TransactOutcome::Committed(_)) => TransactStep::Commit,
            Ok(TransactOutcome::Aborted) => TransactStep::Abort { age_ms_min: 0 },
            Ok(_) => return false,
            Err(error) => {
                tracing::debug!(%error, "failed to ask what became of a transaction");
                return false;
            }
        };
        tracing::info!(transaction = ?met.transaction, ?step, "a transaction was left behind, and is ended");
        let tell = others.iter().map(|(table, other)| self.step(table, &other.key, self.request(met, step.clone())));
        join_all(tell).await.into_iter().all(|told| told.is_ok())
    }

    fn request(&self, met: &MetLock, step: TransactStep) -> TransactRequest {
        let request_id = RequestId(self.environment.unique_id());
        TransactRequest { request_id, transaction: met.transaction, step }
    }
}
