//! Conditions as kstatus reads them: `Ready`, `Reconciling`, `Stalled`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

pub const READY: &str = "Ready";
pub const RECONCILING: &str = "Reconciling";
pub const STALLED: &str = "Stalled";
/// The API server takes no message beyond 32 KiB; texts of others, such as a bucket's errors, have no limit of their own.
const MESSAGE_BYTES_MAX: usize = 4_096;

/// How far an object is on its way to what its spec asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is as its spec says.
    Ready,
    /// Work is under way and needs nobody.
    Reconciling { reason: String, message: String },
    /// Nothing goes on before a person changes something; the message says what.
    Stalled { reason: String, message: String },
}

impl Progress {
    pub fn reconciling(reason: &str, message: impl Into<String>) -> Self {
        Self::Reconciling { reason: reason.to_owned(), message: message.into() }
    }

    pub fn stalled(reason: &str, message: impl Into<String>) -> Self {
        Self::Stalled { reason: reason.to_owned(), message: message.into() }
    }

    /// The reason of the `Ready` condition.
    pub fn reason(&self) -> &str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling { reason, .. } | Self::Stalled { reason, .. } => reason,
        }
    }
}

/// Writes the three conditions; one that keeps its status keeps its transition time. Conditions of other types are left alone.
pub fn set_progress(conditions: &mut Vec<Condition>, progress: &Progress, generation: Option<i64>, now: &Time) {
    let (ready, reconciling, stalled, message) = match progress {
        Progress::Ready => (true, false, false, ""),
        Progress::Reconciling { message, .. } => (false, true, false, message.as_str()),
        Progress::Stalled { message, .. } => (false, false, true, message.as_str()),
    };
    for (type_, is_true) in [(READY, ready), (RECONCILING, reconciling), (STALLED, stalled)] {
        set(conditions, type_, is_true, progress.reason(), message, generation, now);
    }
}

/// Writes one condition; of a message that is too long, the beginning.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    is_true: bool,
    reason: &str,
    message: &str,
    generation: Option<i64>,
    now: &Time,
) {
    let status = if is_true { "True" } else { "False" };
    let at = conditions.iter().position(|c| c.type_ == type_);
    let last_transition_time = at
        .map(|at| &conditions[at])
        .filter(|c| c.status == status)
        .map_or_else(|| now.clone(), |c| c.last_transition_time.clone());
    let condition = Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: bounded(message, MESSAGE_BYTES_MAX).to_owned(),
        observed_generation: generation,
        last_transition_time,
    };
    match at {
        Some(at) => conditions[at] = condition,
        None => conditions.push(condition),
    }
}

/// The text, or as much of its beginning as has this many bytes.
pub fn bounded(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Whether the condition is there and true.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    conditions.iter().any(|c| c.type_ == type_ && c.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn a_message_has_a_limit() {
        let mut conditions = Vec::new();
        set_progress(&mut conditions, &Progress::stalled("Failed", "ä".repeat(100_000)), Some(1), &at(1));
        assert!(conditions.iter().all(|c| c.message.len() <= MESSAGE_BYTES_MAX && c.message.starts_with('ä')));
        assert_eq!((bounded("äb", 1), bounded("äb", 2), bounded("äb", 9)), ("", "ä", "äb"));
    }

    #[test]
    fn a_condition_that_keeps_its_status_keeps_its_transition_time() {
        let mut conditions = Vec::new();
        set_progress(&mut conditions, &Progress::reconciling("Waiting", "one"), Some(1), &at(1));
        set_progress(&mut conditions, &Progress::reconciling("Waiting", "two"), Some(1), &at(2));
        let reconciling = conditions.iter().find(|c| c.type_ == RECONCILING).unwrap();
        assert_eq!((reconciling.message.as_str(), &reconciling.last_transition_time), ("two", &at(1)));
        set_progress(&mut conditions, &Progress::Ready, Some(1), &at(3));
        assert!(is_true(&conditions, READY) && !is_true(&conditions, RECONCILING));
        assert_eq!(conditions[0].last_transition_time, at(3));
    }
}
