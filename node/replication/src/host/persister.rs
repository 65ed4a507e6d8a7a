//! The thread beside the machine's that waits for the engine's fsyncs and takes back dead data.

use super::{OnFatal, driver::Command};
use cairn_engine::{Engine, EngineError, LogMark, Store};
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

type Marks = BTreeMap<u64, LogMark>;

pub(super) struct Persister {
    asked: Option<Sender<Marks>>,
    thread: Option<JoinHandle<()>>,
}

pub(super) fn start<S: Store>(
    engine: Arc<Engine<S>>,
    commands: SyncSender<Command>,
    on_fatal: Arc<OnFatal>,
) -> std::io::Result<Persister> {
    let (asked, queue) = std::sync::mpsc::channel();
    let run = move || {
        if let Err(error) = run(&engine, &queue, &commands) {
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
) -> Result<(), EngineError> {
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
        engine.reclaim(RECLAIM_KEYS_A_STEP)?;
    }
}
