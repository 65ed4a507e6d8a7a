//! DynamoDB's expression languages: parsed, checked, evaluated. No I/O.
//!
//! Parsing puts the real names and values in place of placeholders at once, so that what travels to a storage node needs
//! nothing else. Messages and the order of checks are DynamoDB's.

mod condition;
mod cursor;
mod key_condition;
pub mod legacy;
mod parser;
pub mod partiql;
mod path;
mod placeholders;
mod projection;
mod reserved;
#[cfg(test)]
mod testing;
mod token;
mod update;

pub use condition::{Comparator, Condition, ExpressionKind, Operand};
pub use key_condition::KeyCondition;
pub use path::{Path, PathElement};
pub use placeholders::Placeholders;
pub use projection::Projection;
pub use update::{Action, TouchedPaths, Update, Value};
