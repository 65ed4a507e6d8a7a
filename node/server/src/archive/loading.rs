//! What a plan of the archive says, loaded into this node.

use super::RestoringPartition;
use anyhow::Context;
use cairn_archive::{ArchiveError, restore::RestorePlan};
use cairn_model::time::Timestamp;
use cairn_replication::{Host, restore::RestoreError};
use std::future::Future;

/// Damaged objects that are looked for a way around.
const DAMAGED_OBJECTS_MAX: usize = 4;

/// Loads what `plan` gives, which it is asked for anew, without the objects that turned out damaged; what was deleted
/// after `deletions_after` is kept. `end` says what becomes of it. A table has one partition here.
pub(crate) async fn load<T: Send + 'static, P: Future<Output = Result<RestorePlan, ArchiveError>>>(
    host: &Host,
    plan: impl Fn(Vec<String>) -> P,
    deletions_after: Option<Timestamp>,
    end: fn(RestoringPartition) -> Result<T, RestoreError>,
) -> anyhow::Result<T> {
    let mut except = Vec::new();
    loop {
        let [partition] = <[_; 1]>::try_from(plan(except.clone()).await?.partitions)
            .map_err(|partitions| anyhow::anyhow!("it has {} partitions, and here one is known", partitions.len()))?;
        let host = host.clone();
        let loading = tokio::task::spawn_blocking(move || {
            let mut sink = RestoringPartition::begin(&host)?;
            if let Some(after) = deletions_after {
                sink.keep_deletions(after);
            }
            partition.run(&mut sink, &mut |_| {})?;
            anyhow::Ok(end(sink)?)
        });
        match loading.await.context("the thread that loads ended early")? {
            Ok(loaded) => return Ok(loaded),
            Err(error) => match error.downcast::<ArchiveError>()? {
                ArchiveError::Hole { object, source, .. } if except.len() < DAMAGED_OBJECTS_MAX => {
                    let error = &*source as &dyn std::error::Error;
                    tracing::warn!(object, error, "reading without a damaged object");
                    except.push(object);
                }
                error => return Err(error.into()),
            },
        }
    }
}
