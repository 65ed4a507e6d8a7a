//! What a plan of the archive says, loaded into this node to be read.

use super::RestoringPartition;
use anyhow::Context;
use cairn_archive::{ArchiveError, restore::RestorePlan};
use cairn_engine::FjallStore;
use cairn_model::time::Timestamp;
use cairn_replication::{Host, restore::Loaded};
use std::future::Future;

/// Damaged objects that are looked for a way around.
const DAMAGED_OBJECTS_MAX: usize = 4;

/// Loads what `plan` gives, which it is asked for anew, without the objects that turned out damaged; what was deleted
/// after `deletions_after` is kept. A table has one partition here.
pub(crate) async fn load<P: Future<Output = Result<RestorePlan, ArchiveError>>>(
    host: &Host,
    plan: impl Fn(Vec<String>) -> P,
    deletions_after: Option<Timestamp>,
) -> anyhow::Result<Loaded<FjallStore>> {
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
            anyhow::Ok(sink.read()?)
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
