//! Long work that goes on after the call that began it: each under a key, told how far it is, its failure told once.

use super::refusal::Refusal;
use crate::environment;
use parking_lot::Mutex;
use std::{collections::HashMap, future::Future, hash::Hash, sync::Arc};

/// For how long a failure waits for who asks.
const FAILURE_AGE_MAX_MS: u64 = 10 * 60 * 1000;
/// The oldest failures beyond these are forgotten.
const FAILURES_MAX: usize = 64;

/// `P` tells how far one is.
pub(super) struct Jobs<K, P> {
    running_max: usize,
    all: Arc<Mutex<HashMap<K, Job<P>>>>,
}

enum Job<P> {
    Running(Arc<P>),
    Failed { refusal: Refusal, at_ms: u64 },
}

impl<K: Clone + Eq + Hash + Send + 'static, P: Send + Sync + 'static> Jobs<K, P> {
    pub(super) fn new(running_max: usize) -> Self {
        Self { running_max, all: Arc::default() }
    }

    /// How far it is; none where it is not under way. Its failure, once: then it is forgotten.
    pub(super) fn look(&self, key: &K) -> Result<Option<Arc<P>>, Refusal> {
        let mut all = self.all.lock();
        match all.get(key) {
            None => Ok(None),
            Some(Job::Running(progress)) => Ok(Some(progress.clone())),
            Some(Job::Failed { refusal, .. }) => {
                let refusal = refusal.clone();
                all.remove(key);
                Err(refusal)
            }
        }
    }

    /// Whether any that is under way is such a one.
    pub(super) fn any(&self, such: impl Fn(&P) -> bool) -> bool {
        self.all.lock().values().any(|job| matches!(job, Job::Running(progress) if such(progress)))
    }

    /// Begins it, unless it is under way already, as many are as may be at once, or one that is excludes it.
    pub(super) fn begin<F: Future<Output = Result<(), Refusal>> + Send + 'static>(
        &self,
        key: &K,
        progress: P,
        excludes: impl Fn(&P) -> bool,
        work: impl FnOnce(Arc<P>) -> F,
    ) {
        let progress = Arc::new(progress);
        {
            let mut all = self.all.lock();
            let running = all.values().filter_map(|job| match job {
                Job::Running(progress) => Some(progress),
                Job::Failed { .. } => None,
            });
            let (mut count, mut excluded) = (0, false);
            running.for_each(|progress| {
                count += 1;
                excluded |= excludes(progress);
            });
            if count >= self.running_max || excluded || matches!(all.get(key), Some(Job::Running(_))) {
                return;
            }
            all.insert(key.clone(), Job::Running(progress.clone()));
        }
        // Within another task: what ends it early is a failure too.
        let working = tokio::spawn(work(progress));
        let (all, key) = (self.all.clone(), key.clone());
        tokio::spawn(async move {
            let worked = working.await.unwrap_or_else(|error| Err(Refusal::failed(format!("it ended early: {error}"))));
            let mut all = all.lock();
            match worked {
                Ok(()) => drop(all.remove(&key)),
                Err(refusal) => {
                    let at_ms = environment::wall_ms();
                    all.insert(key, Job::Failed { refusal, at_ms });
                    forget(&mut all, at_ms);
                }
            }
        });
    }
}

fn forget<K: Clone + Eq + Hash, P>(all: &mut HashMap<K, Job<P>>, now_ms: u64) {
    let failed_at = |job: &Job<P>| match job {
        Job::Running(_) => None,
        Job::Failed { at_ms, .. } => Some(*at_ms),
    };
    all.retain(|_, job| failed_at(job).is_none_or(|at_ms| now_ms.saturating_sub(at_ms) < FAILURE_AGE_MAX_MS));
    let mut failures: Vec<(u64, K)> =
        all.iter().filter_map(|(key, job)| Some((failed_at(job)?, key.clone()))).collect();
    failures.sort_by_key(|(at_ms, _)| std::cmp::Reverse(*at_ms));
    for (_, key) in failures.into_iter().skip(FAILURES_MAX) {
        all.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    async fn until(done: impl Fn() -> bool) {
        while !done() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn as_many_go_on_at_once_as_may_and_each_once() {
        let jobs: Jobs<u32, u32> = Jobs::new(2);
        let (end, ended) = oneshot::channel::<()>();
        jobs.begin(&1, 10, |_| false, |_| async { ended.await.map_err(|_| Refusal::failed("")) });
        jobs.begin(&1, 11, |_| false, |_| async { panic!("it is under way") });
        jobs.begin(&2, 20, |other| *other == 10, |_| async { panic!("the first excludes it") });
        jobs.begin(&3, 30, |_| false, |_| std::future::pending());
        jobs.begin(&4, 40, |_| false, |_| async { panic!("there is no place") });
        assert_eq!(jobs.look(&1), Ok(Some(Arc::new(10))));
        assert_eq!([jobs.look(&2), jobs.look(&4)], [Ok(None), Ok(None)]);
        end.send(()).unwrap();
        until(|| jobs.look(&1) == Ok(None)).await;
        assert!(jobs.any(|progress| *progress == 30));
    }

    #[tokio::test]
    async fn a_failure_is_told_once_also_that_of_a_task_that_panicked() {
        let jobs: Jobs<u32, u32> = Jobs::new(2);
        jobs.begin(&1, 1, |_| false, |_| async { Err(Refusal::failed("the disk is full")) });
        jobs.begin(&2, 2, |_| false, |_| async { panic!("a bug") });
        until(|| !jobs.any(|_| true)).await;
        assert_eq!(jobs.look(&1), Err(Refusal::failed("the disk is full")));
        assert_eq!(jobs.look(&1), Ok(None));
        jobs.look(&2).unwrap_err();
    }

    #[tokio::test]
    async fn failures_that_nobody_asks_for_are_forgotten() {
        let mut all: HashMap<u64, Job<u32>> = HashMap::new();
        for key in 0..200 {
            all.insert(key, Job::Failed { refusal: Refusal::failed(""), at_ms: 1_000 + key });
        }
        forget(&mut all, 1_200);
        let mut keys: Vec<u64> = all.keys().copied().collect();
        keys.sort_unstable();
        assert_eq!(keys, (200 - FAILURES_MAX as u64..200).collect::<Vec<_>>());
        forget(&mut all, 1_200 + FAILURE_AGE_MAX_MS);
        assert!(all.is_empty());
    }
}
