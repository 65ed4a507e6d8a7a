//! What a plan of the archive says, loaded into a node.

use super::past::path_of;
use anyhow::Context;
use cairn_archive::{
    ArchiveError, Bucket,
    restore::{self, RestorePlan, RestoreSink},
};
use cairn_model::archive::RestoreOrigin;
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Damaged objects that are looked for a way around.
const DAMAGED_OBJECTS_MAX: usize = 4;

/// How far it is, in bytes of what lies in the bucket.
#[derive(Debug, Default)]
pub(crate) struct LoadProgress {
    done: AtomicU64,
    total: AtomicU64,
}

impl LoadProgress {
    fn begin(&self, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn bytes_done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// 0 while it is not known yet.
    pub(crate) fn bytes_total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// How a table is restored from what cannot change any more.
pub(crate) async fn plan(
    bucket: &Bucket,
    origin: &RestoreOrigin,
    except: &[String],
) -> Result<RestorePlan, ArchiveError> {
    match origin {
        RestoreOrigin::Backup { owner, backup_id } => {
            restore::plan_backup(bucket, &owner.region, &owner.account, backup_id).await
        }
        RestoreOrigin::Table { owner, table_id, at } => {
            restore::plan(bucket, &path_of(owner, *table_id), *at, except).await
        }
    }
}

/// Loads what `plan` gives, which it is asked for anew, without the objects that turned out damaged; each time from the
/// beginning, into what `begin` makes. `end` says what becomes of it. Both block. A table has one partition here.
pub(crate) async fn load<S: RestoreSink, T: Send + 'static, P: Future<Output = Result<RestorePlan, ArchiveError>>>(
    plan: impl Fn(Vec<String>) -> P,
    progress: Arc<LoadProgress>,
    begin: impl Fn() -> anyhow::Result<S> + Clone + Send + 'static,
    end: impl FnOnce(S) -> anyhow::Result<T> + Clone + Send + 'static,
) -> anyhow::Result<T> {
    let (mut except, mut damage) = (Vec::new(), Vec::new());
    loop {
        let planned = plan(except.clone()).await.map_err(|error| blame(error, &damage))?;
        let [partition] = <[_; 1]>::try_from(planned.partitions)
            .map_err(|partitions| anyhow::anyhow!("it has {} partitions, and here one is known", partitions.len()))?;
        progress.begin(partition.bytes());
        let (begin, end, progress) = (begin.clone(), end.clone(), progress.clone());
        let loading = tokio::task::spawn_blocking(move || {
            let mut sink = begin()?;
            partition.run(&mut sink, &mut |bytes| progress.add(bytes))?;
            end(sink)
        });
        match loading.await.context("the thread that loads ended early")? {
            Ok(loaded) => return Ok(loaded),
            Err(error) => match error.downcast::<ArchiveError>()? {
                ArchiveError::Hole { object, source, .. } if except.len() < DAMAGED_OBJECTS_MAX => {
                    let error = &*source as &dyn std::error::Error;
                    tracing::warn!(object, error, "reading without a damaged object");
                    damage.push(source.text());
                    except.push(object);
                }
                error => return Err(error.into()),
            },
        }
    }
}

/// Where there is no way around what is damaged, that is to blame.
fn blame(error: ArchiveError, damage: &[String]) -> ArchiveError {
    match error {
        ArchiveError::NotRestorable { at, windows, nearest, .. } if !damage.is_empty() => {
            ArchiveError::NotRestorable { at, reason: damage.join("; "), windows, nearest }
        }
        error => error,
    }
}
