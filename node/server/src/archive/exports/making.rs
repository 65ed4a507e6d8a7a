//! An attempt at an export, from its beginning to the note of how it ended.

use super::{
    Exporter,
    lease::{Lease, now_ms},
};
use crate::environment;
use cairn_archive::{
    ArchiveError,
    export::{self, Attempt, ExportRecords, Fence, WriteError},
};
use cairn_model::export::{ExportRecord, ExportState};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// Attempts at one export, whoever makes them: more would come to nothing either.
pub(super) const ATTEMPTS_MAX: u32 = 10;
/// What can't be noted is tried again, after 0.5 s, 1 s, …
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

impl Exporter {
    /// Begins an attempt, unless another is faster. `before` says what became of the last one.
    pub(super) async fn take_up(
        self: &Arc<Self>,
        records: &ExportRecords,
        id: &str,
        number: u32,
        before: String,
        stopped: &watch::Receiver<bool>,
    ) -> Result<(), ArchiveError> {
        let began_ms = now_ms();
        let Some(attempt) = records.attempt(id, number, &self.maker).await? else { return Ok(()) };
        let lease = Lease::since(began_ms, self.options.silence_max);
        self.running.lock().insert(id.to_owned());
        let (exporter, records, id, stopped) = (self.clone(), records.clone(), id.to_owned(), stopped.clone());
        tokio::spawn(async move {
            let making = exporter.clone().attempt(records, id.clone(), attempt, lease.clone(), before, stopped);
            // Within another task: what ends it early must not keep its place.
            if let Err(error) = tokio::spawn(making).await {
                tracing::error!(export = id, %error, "making an export ended early");
            }
            lease.end();
            exporter.running.lock().remove(&id);
            exporter.wake.notify_one();
        });
        Ok(())
    }

    async fn attempt(
        self: Arc<Self>,
        records: ExportRecords,
        id: String,
        mut attempt: Attempt,
        lease: Lease,
        before: String,
        mut stopped: watch::Receiver<bool>,
    ) {
        let number = attempt.number;
        let given_up = tokio::select! {
            made = self.make_and_note(&records, &id, number, &before, lease.fence()) => made.err(),
            () = lease.keep(&mut attempt) => {
                tracing::warn!(export = id, "an export that was made here was taken up by another archive");
                None
            }
            _ = stopped.wait_for(|stopped| *stopped) => Some("the archive that made it was stopped".to_owned()),
        };
        let may_say = lease.is_held();
        lease.end();
        if let Some(reason) = given_up
            && may_say
            && let Err(error) = attempt.give_up(reason).await
        {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(export = id, error, "failed to tell that an export was given up: others learn it later");
        }
    }

    /// Fails with the reason for which it is left to another attempt.
    async fn make_and_note(
        &self,
        records: &ExportRecords,
        id: &str,
        number: u32,
        before: &str,
        fence: Fence,
    ) -> Result<(), String> {
        let mut record = records.get(id).await.map_err(|error| error.text())?;
        let export = &record.arn;
        // Else it ended before an end was noted apart.
        if record.state == ExportState::InProgress {
            record.state = if number > ATTEMPTS_MAX {
                let tried = number - 1;
                failed(
                    "UNKNOWN",
                    format!("it was tried {tried} times and not done; of the last time is known: {before}"),
                )
            } else {
                match self.make(&record, number, fence.clone()).await {
                    Ok(state) => {
                        tracing::info!(export, "exported a table");
                        state
                    }
                    Err(_) if !fence.is_open() => return Err("another archive makes it".to_owned()),
                    Err(error) => {
                        tracing::error!(export, error = &*error as &dyn std::error::Error, "failed to export a table");
                        failure(&error, number == ATTEMPTS_MAX).ok_or_else(|| format!("{error:#}"))?
                    }
                }
            };
        }
        if let ExportState::Failed { .. } = record.state {
            // Else what is deleted may be another's.
            if !fence.is_open() {
                return Err("another archive makes it".to_owned());
            }
            self.clean(&record, number).await;
        }
        self.note(records, &record).await;
        Ok(())
    }

    async fn note(&self, records: &ExportRecords, record: &ExportRecord) {
        let mut pause = PAUSE_FIRST;
        while let Err(error) = records.end(record).await {
            tracing::warn!(
                export = record.arn,
                error = &error as &dyn std::error::Error,
                "failed to note that an export has ended, trying again"
            );
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(PAUSE_MAX);
        }
    }

    /// Nothing of a failed export stays.
    async fn clean(&self, record: &ExportRecord, last: u32) {
        let cleaned = match self.target(record) {
            Ok(bucket) => export::clean(&bucket, record, last).await.map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = cleaned {
            tracing::warn!(
                export = record.arn,
                error = &*error as &dyn std::error::Error,
                "a failed export left files"
            );
        }
    }
}

fn failed(code: &str, message: String) -> ExportState {
    ExportState::Failed { end_time_ms: environment::wall_ms(), code: code.to_owned(), message }
}

/// What an export comes to that would fail whoever makes it; none where another attempt, unless this is the last, may succeed.
fn failure(error: &anyhow::Error, is_last: bool) -> Option<ExportState> {
    if let Some(error) = error.downcast_ref::<WriteError>().filter(|error| is_last || error.is_final()) {
        let (code, message) = error.failure();
        return Some(failed(code, message));
    }
    match error.downcast_ref::<ArchiveError>()? {
        ArchiveError::Sink(_)
        | ArchiveError::Source(_)
        | ArchiveError::Store { .. }
        | ArchiveError::TimedOut { .. }
        | ArchiveError::Interrupted { .. } => None,
        error => Some(failed("UNKNOWN", error.text())),
    }
}
