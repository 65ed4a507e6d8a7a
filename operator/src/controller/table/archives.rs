//! What archives last said: a hundred tables of a group ask each of them once, and no load is asked after more often than it should be.

use super::{import, restore::Resolution};
use crate::node_client::{Reports, Target};
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveCall, ArchiveReport, RestoreProgress},
    ids::PartitionId,
};
use jiff::{SignedDuration, Timestamp};
use std::{
    borrow::Borrow,
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A report comes from memory: an archive that takes longer is as good as silent.
const REPORT_PATIENCE: Duration = Duration::from_secs(3);
/// How soon a load is asked after again; one that can't go on; and one whose archive does not answer.
const LOADING: SignedDuration = SignedDuration::from_secs(1);
const REFUSED: SignedDuration = SignedDuration::from_secs(10);
const SILENT: SignedDuration = SignedDuration::from_secs(3);

/// What an archive reported, and when it was asked.
#[derive(Clone, Debug)]
pub struct Heard {
    pub at: Timestamp,
    pub report: ArchiveReport,
}

/// How far the load of a partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    Loading {
        bytes_done: u64,
        /// 0 while it is not known yet.
        bytes_total: u64,
    },
    Done,
    /// It can't go on now; the text says why.
    Refused(String),
    Silent(String),
}

/// The last report of an archive; none where it did not answer.
#[derive(Debug, Default)]
struct Last {
    asked_at: Option<Timestamp>,
    heard: Option<Arc<Heard>>,
}

/// Answers that are not asked for again before they are due, whatever else there is to look at.
#[derive(Debug)]
pub struct Paced<K, V>(Mutex<HashMap<K, (Timestamp, V)>>);

impl<K, V> Default for Paced<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Paced<K, V> {
    /// The last answer, as long as another is not due.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let now = Timestamp::now();
        lock(&self.0).get(key).filter(|(due, _)| now < *due).map(|(_, answer)| answer.clone())
    }

    /// Keeps an answer for so long.
    pub fn put(&self, key: K, answer: V, pause: SignedDuration) {
        let now = Timestamp::now();
        let mut answers = lock(&self.0);
        answers.retain(|_, (due, _)| now < *due);
        answers.insert(key, (now.saturating_add(pause).unwrap_or(now), answer));
    }
}

/// The memory of what archives said.
#[derive(Debug, Default)]
pub struct Archives {
    reports: Mutex<HashMap<Target, Arc<tokio::sync::Mutex<Last>>>>,
    loads: Paced<PartitionId, Load>,
    /// By the Table's uid, why it can't be made of its source yet.
    pub resolutions: Paced<String, Resolution>,
    /// By the Table's uid, how far its import is, and whether the table was led then.
    pub imports: Paced<String, (bool, import::Heard)>,
    /// By the partition's id, why a deleted table's last backup is not there yet.
    pub last_backups: Paced<String, String>,
}

impl Archives {
    /// What the archive beside the node reports, not older than the age; none where it does not answer.
    pub async fn report(&self, reports: &Reports, beside: &Target, age_max: SignedDuration) -> Option<Arc<Heard>> {
        let known = Arc::clone(lock(&self.reports).entry(beside.clone()).or_default());
        let mut last = known.lock().await;
        let now = Timestamp::now();
        if last.asked_at.is_some_and(|at| now.duration_since(at) < age_max) {
            return last.heard.clone();
        }
        let answer = tokio::time::timeout(REPORT_PATIENCE, reports.archive(beside, &ArchiveCall::Report)).await;
        let heard = match answer {
            Ok(Ok(ArchiveAnswer::Report(report))) => Some(Arc::new(Heard { at: now, report })),
            other => {
                tracing::debug!(node = beside.address, answer = ?other, "an archive does not report");
                None
            }
        };
        *last = Last { asked_at: Some(now), heard: heard.clone() };
        heard
    }

    /// Forgets the archives of groups that are not among those there are, by namespace and name.
    pub fn forget_others(&self, present: &BTreeSet<(String, String)>) {
        let is_of = |target: &Target| (target.identity.namespace.clone(), target.identity.group.clone());
        lock(&self.reports).retain(|target, _| present.contains(&is_of(target)));
    }

    /// Has the archive beside the node load a partition, or go on with it; not before it is due.
    pub async fn load(&self, reports: &Reports, beside: &Target, partition: PartitionId, call: &ArchiveCall) -> Load {
        if let Some(load) = self.loads.get(&partition) {
            return load;
        }
        let (load, pause) = match reports.archive(beside, call).await {
            Ok(ArchiveAnswer::Restore(RestoreProgress::Loading { bytes_done, bytes_total })) => {
                (Load::Loading { bytes_done, bytes_total }, LOADING)
            }
            Ok(ArchiveAnswer::Restore(RestoreProgress::Done)) => (Load::Done, LOADING),
            Ok(ArchiveAnswer::Refused { message, .. }) => (Load::Refused(message), REFUSED),
            Ok(other) => (Load::Refused(format!("it answered {other:?} when it was to load the table")), REFUSED),
            Err(error) => (Load::Silent(crate::error::chain(&error)), SILENT),
        };
        self.loads.put(partition, load.clone(), pause);
        load
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_of_groups_that_are_gone_are_forgotten() {
        let archives = Archives::default();
        let target = crate::controller::table::fixture::nodes().remove(0).target;
        let group = (target.identity.namespace.clone(), target.identity.group.clone());
        lock(&archives.reports).insert(target, Arc::default());
        archives.forget_others(&[group].into());
        assert_eq!(lock(&archives.reports).len(), 1);
        archives.forget_others(&BTreeSet::new());
        assert!(lock(&archives.reports).is_empty());
    }

    #[test]
    fn an_answer_is_kept_until_it_is_due_again() {
        let paced = Paced::<String, u8>::default();
        paced.put("a".into(), 1, SignedDuration::from_mins(1));
        paced.put("b".into(), 2, SignedDuration::ZERO);
        assert_eq!((paced.get("a"), paced.get("b"), paced.get("c")), (Some(1), None, None));
        paced.put("d".into(), 3, SignedDuration::from_mins(1));
        assert_eq!(lock(&paced.0).len(), 2, "what is over is forgotten");
    }
}
