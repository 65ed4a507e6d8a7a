//! What is to be made: looked for in the bucket again and again, and taken up where nobody is at it.

use super::{Exporter, making::ATTEMPTS_MAX};
use cairn_archive::{
    ArchiveError,
    export::{AttemptEnd, ExportRecords, LastAttempt, Mark},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::watch;

/// Under way at once: most of them wait for what the archive does not have yet, or for a place.
const RUNNING_MAX: usize = 4;
/// Attempts to make an export, or at least to note that it failed: beyond them, not even its record can be read.
const NUMBER_MAX: u32 = 2 * ATTEMPTS_MAX;
/// How often a bucket that is not open is tried.
const REACH_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is looked whether those under way have given up.
const END_INTERVAL: Duration = Duration::from_millis(50);

/// What was seen of exports that are not made here.
#[derive(Default)]
struct Seen {
    /// The last sign of life, and since when it is that.
    signs: HashMap<String, (u32, Mark, u64)>,
    /// Whether the last round failed.
    failed: bool,
}

impl Exporter {
    /// Takes up what is to be made until `stopped`; what is under way then is given up, for others to go on with.
    pub(crate) async fn run(self: Arc<Self>, stopped: watch::Receiver<bool>) {
        let (mut seen, mut stopping) = (Seen::default(), stopped.clone());
        loop {
            let mut pause = self.options.look_interval;
            // Who keeps the bucket open tells why it is not.
            match self.records() {
                Ok(records) => match self.round(&records, &mut seen, &stopped).await {
                    Ok(()) => seen.failed = false,
                    Err(error) => {
                        if !std::mem::replace(&mut seen.failed, true) {
                            let error = &error as &dyn std::error::Error;
                            tracing::warn!(error, "failed to look for exports to make: trying on");
                        }
                    }
                },
                Err(_) => pause = pause.min(REACH_INTERVAL),
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                _ = stopping.wait_for(|stopped| *stopped) => break,
            }
        }
        while !self.running.lock().is_empty() {
            tokio::time::sleep(END_INTERVAL).await;
        }
    }

    async fn round(
        self: &Arc<Self>,
        records: &ExportRecords,
        seen: &mut Seen,
        stopped: &watch::Receiver<bool>,
    ) -> Result<(), ArchiveError> {
        let looked_ms = self.now_ms();
        let open = records.open().await?;
        seen.signs.retain(|id, _| open.contains_key(id));
        for (id, last) in &open {
            let running = self.running.lock().len();
            if running >= RUNNING_MAX {
                break;
            }
            if self.running.lock().contains(id) {
                continue;
            }
            let next = self.next(records, seen, id, last, looked_ms).await?;
            if let Some((number, before)) = next.filter(|(number, _)| *number <= NUMBER_MAX) {
                self.take_up(records, id, number, before, stopped).await?;
            }
        }
        Ok(())
    }

    /// `looked_ms`: a moment before `last` was the last. The number of the attempt that is to be made, and what became of the one before; none while somebody is at it, or where
    /// there is nothing left to do but to note how it ended.
    async fn next(
        &self,
        records: &ExportRecords,
        seen: &mut Seen,
        id: &str,
        last: &LastAttempt,
        looked_ms: u64,
    ) -> Result<Option<(u32, String)>, ArchiveError> {
        let Some((number, mark)) = last else { return Ok(Some((1, String::new()))) };
        let known = seen.signs.get(id).filter(|(of, last, _)| of == number && last == mark);
        let silent = match known {
            Some((_, _, since_ms))
                if looked_ms.saturating_sub(*since_ms) < self.options.silence_max.as_millis() as u64 =>
            {
                return Ok(None);
            }
            Some(_) => true,
            None => {
                seen.signs.insert(id.to_owned(), (*number, mark.clone(), self.now_ms()));
                false
            }
        };
        Ok(match records.end_of_attempt(id, *number, &self.maker).await? {
            Some(AttemptEnd::Outcome(outcome)) => {
                self.note(records, &outcome, *number).await?;
                None
            }
            // What could not be done here, another may try first.
            Some(AttemptEnd::GivenUp { reason, by_us }) if silent || !by_us => Some((number + 1, reason)),
            None if silent => Some((number + 1, "nothing was heard any more of the archive that made it".to_owned())),
            Some(_) | None => None,
        })
    }
}
