//! An attempt at an export, from its beginning to the note of how it ended.

use super::{Exporter, lease::Lease};
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
const OVERTAKEN: &str = "another archive makes it";

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
        let began_ms = self.now_ms();
        let Some(attempt) = records.attempt(id, number, &self.maker).await? else { return Ok(()) };
        let lease = Lease::since(began_ms, self.options.silence_max, self.options.clock.clone());
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
        let place = attempt.clone();
        let made = tokio::select! {
            made = self.make_and_conclude(&records, &id, &place, &before, lease.fence()) => made,
            () = lease.keep(&mut attempt) => {
                tracing::warn!(export = id, "an export that was made here was taken up by another archive");
                Ok(None)
            }
            _ = stopped.wait_for(|stopped| *stopped) => Err("the archive that made it was stopped".to_owned()),
        };
        let may_say = lease.is_held();
        lease.end();
        match made {
            Ok(None) => {}
            Ok(Some(outcome)) => self.note_at_last(&records, &outcome, attempt.number, stopped).await,
            Err(reason) => {
                if may_say && let Err(error) = attempt.give_up(reason).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        export = id,
                        error,
                        "failed to tell that an export was given up: others learn it later"
                    );
                }
            }
        }
    }

    /// How the export ended, which stands from then on; none where that is noted already. Fails with the reason for which it is
    /// left to another attempt.
    async fn make_and_conclude(
        &self,
        records: &ExportRecords,
        id: &str,
        attempt: &Attempt,
        before: &str,
        fence: Fence,
    ) -> Result<Option<ExportRecord>, String> {
        let begun = records.begun(id).await.map_err(|error| error.text())?;
        let Some(mut record) = begun.filter(|record| record.state == ExportState::InProgress) else {
            records.close(id).await.map_err(|error| error.text())?;
            return Ok(None);
        };
        let export = &record.arn;
        record.state = if attempt.number > ATTEMPTS_MAX {
            let tried = attempt.number - 1;
            failed("UNKNOWN", format!("it was tried {tried} times and not done; of the last time is known: {before}"))
        } else {
            match self.make(&record, attempt.number, fence.clone()).await {
                Ok(state) => {
                    tracing::info!(export, "exported a table");
                    state
                }
                Err(_) if !fence.is_open() => return Err(OVERTAKEN.to_owned()),
                Err(error) => {
                    tracing::error!(export, error = &*error as &dyn std::error::Error, "failed to export a table");
                    failure(&error, attempt.number == ATTEMPTS_MAX).ok_or_else(|| format!("{error:#}"))?
                }
            }
        };
        let mut pause = PAUSE_FIRST;
        loop {
            match attempt.conclude(&record).await {
                Ok(true) => return Ok(Some(record)),
                Ok(false) => return Err(OVERTAKEN.to_owned()),
                Err(error) => untold(&record, &error),
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(PAUSE_MAX);
        }
    }

    /// Notes what stands as the outcome of an export, unless this stops: then another will.
    async fn note_at_last(
        &self,
        records: &ExportRecords,
        outcome: &ExportRecord,
        number: u32,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut pause = PAUSE_FIRST;
        while let Err(error) = self.note(records, outcome, number).await {
            untold(outcome, &error);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
            pause = (2 * pause).min(PAUSE_MAX);
        }
    }

    /// Notes what stands as the outcome of an export, after attempts up to this number.
    pub(super) async fn note(
        &self,
        records: &ExportRecords,
        outcome: &ExportRecord,
        number: u32,
    ) -> Result<(), ArchiveError> {
        // An attempt that was thought to be gone for good may conclude after all that was known of it went.
        if records.get(&outcome.export_id).await?.state != ExportState::InProgress {
            return records.close(&outcome.export_id).await;
        }
        if let ExportState::Failed { .. } = outcome.state {
            self.clean(outcome, number).await;
        }
        records.end(outcome).await
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

fn untold(outcome: &ExportRecord, error: &ArchiveError) {
    tracing::warn!(
        export = outcome.arn,
        error = error as &dyn std::error::Error,
        "failed to note that an export has ended, trying again"
    );
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
