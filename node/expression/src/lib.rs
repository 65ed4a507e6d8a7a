//! DynamoDB's expression languages: parsed, checked, evaluated. No I/O.

mod condition;
mod key_condition;
mod placeholders;
mod projection;
mod update;

pub use condition::{Condition, ExpressionKind};
pub use key_condition::KeyCondition;
pub use placeholders::Placeholders;
pub use projection::Projection;
pub use update::{TouchedPaths, Update};
