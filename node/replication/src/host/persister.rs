//! The thread beside the machine's that waits for the engine's fsyncs, takes back dead data and trims streams.

use super::{OnFatal, driver::Command};
use crate::clock::{Clock, Now};
use cairn_engine::{Engine, EngineError, LogMark, Store};
use cairn_model::{stream::RETENTION_MS, time::Timestamp};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Between two steps of reclaiming while there is nothing to persist.
const RECLAIM_INTERVAL: Duration = Duration::from_secs(5);
const RECLAIM_KEYS_A_STEP: usize = 10_000;
/// Between two steps of trimming, unless one left something, and how many records of a replica go in one.
const TRIM_INTERVAL_MS: u64 = 30_000;
const TRIM_KEYS_A_STEP: usize = 10_000;
/// For so much longer than they can be read records are kept: who holds an iterator is told what was trimmed since.
const TRIM_DELAY_MS: u64 = 30 * 60 * 1_000;

type Marks = BTreeMap<u64, LogMark>;

pub(super) struct Persister {
    asked: Option<Sender<Marks>>,
    thread: Option<JoinHandle<()>>,
}

pub(super) fn start<S: Store>(
    engine: Arc<Engine<S>>,
    commands: SyncSender<Command>,
    clock: Arc<dyn Clock>,
    on_fatal: Arc<OnFatal>,
) -> std::io::Result<Persister> {
    let (asked, queue) = std::sync::mpsc::channel();
    let run = move || {
        if let Err(error) = run(&engine, &queue, &commands, clock.as_ref()) {
            on_fatal(&error);
        }
    };
    let thread = std::thread::Builder::new().name("cairn-persist".into()).spawn(run)?;
    Ok(Persister { asked: Some(asked), thread: Some(thread) })
}

impl Persister {
    /// Asked for once at a time, so its queue needs no bound.
    pub(super) fn persist(&self, marks: Marks) {
        if let Some(asked) = &self.asked {
            // The thread is gone only after a fatal error, which ends the process.
            let _ = asked.send(marks);
        }
    }

    /// Waits for what was asked for.
    pub(super) fn finish(&mut self) {
        self.asked = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run<S: Store>(
    engine: &Engine<S>,
    queue: &Receiver<Marks>,
    commands: &SyncSender<Command>,
    clock: &dyn Clock,
) -> Result<(), EngineError> {
    let mut trim_boot_ms = 0;
    loop {
        match queue.recv_timeout(RECLAIM_INTERVAL) {
            Ok(marks) => {
                engine.persist(&marks)?;
                // The driver may be stopping, and its queue be full of requests it will not take: then the log is cut after
                // the next start.
                let _ = commands.try_send(Command::Persisted);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        engine.rest();
        let Now { wall_ms, boot_ms } = clock.now();
        engine.drop_retired(wall_ms)?;
        engine.reclaim(RECLAIM_KEYS_A_STEP)?;
        if boot_ms >= trim_boot_ms {
            let before = Timestamp::from_millis(wall_ms.saturating_sub(RETENTION_MS + TRIM_DELAY_MS));
            let is_left = engine.trim_streams(before, TRIM_KEYS_A_STEP)?;
            trim_boot_ms = if is_left { boot_ms } else { boot_ms + TRIM_INTERVAL_MS };
        }
    }
}
