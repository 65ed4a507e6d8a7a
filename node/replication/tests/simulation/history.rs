//! What the clients of the simulation did and were told: the operations on one item, and what each must do to it.

use std::fmt;

/// The attributes the simulation's items have, next to their keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes {
    /// Set by puts, to a value no other put writes.
    pub written: Option<u64>,
    /// Raised by updates; 0 where the item has none.
    pub count: u64,
}

/// An item, or that there is none.
pub type State = Option<Attributes>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Put { written: u64 },
    PutIfAbsent { written: u64 },
    PutIfWritten { written: u64, expected: u64 },
    Add { amount: u64 },
    Delete,
    Get,
}

/// What an operation is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The item a get found, a put or a delete replaced (`ALL_OLD`) or an update made (`ALL_NEW`).
    Item(State),
    /// The item that made the condition fail.
    ConditionFailed(State),
}

/// One operation of one client on one item; times are microseconds of virtual time.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub client: usize,
    pub action: Action,
    pub invoked_at_us: u64,
    /// None: nobody knows. It may have taken effect, or may still, or never will.
    pub completed: Option<Completion>,
}

#[derive(Clone, Copy, Debug)]
pub struct Completion {
    pub at_us: u64,
    pub answer: Answer,
}

impl Action {
    /// The sequential specification: the item afterwards, and the answer.
    pub fn perform(self, before: State) -> (State, Answer) {
        let put = |written| Some(Attributes { written: Some(written), count: 0 });
        match self {
            Self::Put { written } => (put(written), Answer::Item(before)),
            Self::PutIfAbsent { written } => match before {
                None => (put(written), Answer::Item(None)),
                Some(_) => (before, Answer::ConditionFailed(before)),
            },
            Self::PutIfWritten { written, expected } => {
                if before.and_then(|item| item.written) == Some(expected) {
                    (put(written), Answer::Item(before))
                } else {
                    (before, Answer::ConditionFailed(before))
                }
            }
            Self::Add { amount } => {
                let item = before.unwrap_or_default();
                let after = Some(Attributes { count: item.count + amount, ..item });
                (after, Answer::Item(after))
            }
            Self::Delete => (None, Answer::Item(before)),
            Self::Get => (before, Answer::Item(before)),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} at {:>9} us: {:?}", self.client, self.invoked_at_us, self.action)?;
        match self.completed {
            Some(Completion { at_us, answer }) => write!(f, " -> {answer:?} at {at_us} us"),
            None => write!(f, " -> unknown"),
        }
    }
}
