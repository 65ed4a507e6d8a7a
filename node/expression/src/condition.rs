//! Condition and filter expressions.

use crate::Placeholders;
use cairn_model::{Item, ServiceError};
use serde::{Deserialize, Serialize};

/// Which parameter an expression came in; DynamoDB's errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExpressionKind {
    Condition,
    Filter,
}

/// A condition with its names and values in place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    And(Vec<Condition>),
}

impl Condition {
    pub fn parse(_text: &str, _kind: ExpressionKind, _placeholders: &mut Placeholders) -> Result<Self, ServiceError> {
        todo!()
    }

    /// Whether it holds for an item; without one, no attribute exists.
    pub fn evaluate(&self, _item: Option<&Item>) -> bool {
        todo!()
    }
}
