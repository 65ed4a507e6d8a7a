//! Why a call can't be done, as its caller is told.

use crate::archive::past::iso_time;
use cairn_archive::{ArchiveError, SourceError};
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveRefusal},
    time::Timestamp,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    reason: ArchiveRefusal,
    message: String,
}

impl Refusal {
    pub(crate) fn new(reason: ArchiveRefusal, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(ArchiveRefusal::Failed, message)
    }

    pub(crate) fn reason(&self) -> ArchiveRefusal {
        self.reason
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Of a call for one object: `what` it is about.
    pub(crate) fn of_lookup(what: &str, error: &ArchiveError) -> Self {
        match error {
            ArchiveError::NotFound { .. } => Self::new(ArchiveRefusal::NotFound, format!("the bucket has no {what}")),
            error => Self::from(error),
        }
    }

    /// Of data that was being read from the bucket.
    pub(crate) fn of_restore(error: &anyhow::Error) -> Self {
        match error.downcast_ref::<ArchiveError>() {
            Some(error @ ArchiveError::NotFound { .. }) => Self::new(ArchiveRefusal::NotRestorable, error.text()),
            Some(error) => Self::from(error),
            None => Self::failed(format!("{error:#}")),
        }
    }
}

impl From<&ArchiveError> for Refusal {
    fn from(error: &ArchiveError) -> Self {
        let not_restorable = |message| Self::new(ArchiveRefusal::NotRestorable, message);
        match error {
            ArchiveError::Hole { source, window, nearest, .. } => {
                not_restorable(format!("{}{}", source.text(), nearest_time(window.latest, *nearest)))
            }
            ArchiveError::NotRestorable { at, reason, nearest, .. } => {
                not_restorable(format!("{reason}{}", nearest_time(*at, *nearest)))
            }
            ArchiveError::Damaged { .. } | ArchiveError::NewerFormat { .. } => not_restorable(error.text()),
            ArchiveError::Source(SourceError::NotLeader) => Self::not_leader(),
            error => Self::failed(error.text()),
        }
    }
}

impl Refusal {
    pub(crate) fn not_leader() -> Self {
        Self::new(ArchiveRefusal::NotLeader, "the node beside this archive does not lead the partition")
    }
}

impl From<Refusal> for ArchiveAnswer {
    fn from(Refusal { reason, message }: Refusal) -> Self {
        Self::Refused { reason, message }
    }
}

/// The nearest millisecond that can be restored as a whole.
fn nearest_time(at: Timestamp, nearest: Option<Timestamp>) -> String {
    let whole = |time: Timestamp| if time > at { time.0.div_ceil(1 << 16) } else { time.millis() };
    nearest.map_or_else(
        || "; no other time can be restored".to_owned(),
        |time| format!("; the nearest time that can be restored is {}", iso_time(whole(time))),
    )
}
