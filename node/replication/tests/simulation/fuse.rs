//! Kills a process inside a flush: a fuse is set from outside and blows where the flush reaches its point.

use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Messages have left; the append is not in the log.
    BeforeSync,
    /// Messages have left; the append is in the log's file, or a part of it, and not synced.
    DuringSync,
    /// The append is synced; nothing is applied.
    BeforeApply,
    /// All is applied; answers and followers' messages have not left.
    BeforeAnswers,
}

#[derive(Debug, Default)]
struct State {
    set: Option<Point>,
    blown: Option<Point>,
    /// In the present flush.
    messages_left: bool,
    synced: bool,
}

/// Shared between the node's disks and whoever kills it.
#[derive(Clone, Debug, Default)]
pub struct Fuse(Arc<Mutex<State>>);

/// The process is dead.
#[derive(Debug, thiserror::Error)]
#[error("the process was killed")]
pub struct Killed;

impl Fuse {
    pub fn set(&self, point: Point) {
        self.0.lock().unwrap().set = Some(point);
    }

    pub fn clear(&self) {
        *self.0.lock().unwrap() = State::default();
    }

    /// Where it blew, if it did.
    pub fn blown(&self) -> Option<Point> {
        self.0.lock().unwrap().blown
    }

    pub fn begin_flush(&self) {
        let mut state = self.0.lock().unwrap();
        state.messages_left = false;
        state.synced = false;
    }

    /// True if the message, or answer, still leaves.
    pub fn let_out(&self) -> bool {
        let mut state = self.0.lock().unwrap();
        if state.synced && state.set == Some(Point::BeforeAnswers) {
            state.blown = state.set;
        }
        state.messages_left = true;
        state.blown.is_none()
    }

    /// The log is about to be written.
    pub fn write(&self) -> Result<(), Killed> {
        let mut state = self.0.lock().unwrap();
        let blows = state.messages_left && state.set == Some(Point::BeforeSync);
        state.blow(blows)
    }

    /// The log is written and about to be synced.
    pub fn sync(&self) -> Result<(), Killed> {
        let mut state = self.0.lock().unwrap();
        let blows = state.messages_left && state.set == Some(Point::DuringSync);
        state.blow(blows)?;
        state.synced = true;
        Ok(())
    }

    /// Entries are about to be applied.
    pub fn apply(&self) -> Result<(), Killed> {
        let mut state = self.0.lock().unwrap();
        let blows = state.set == Some(Point::BeforeApply);
        state.blow(blows)
    }
}

impl State {
    fn blow(&mut self, blows: bool) -> Result<(), Killed> {
        if blows {
            self.blown = self.set;
        }
        if self.blown.is_some() { Err(Killed) } else { Ok(()) }
    }
}
