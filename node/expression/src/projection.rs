//! Projection expressions.

use crate::Placeholders;
use cairn_model::{Item, ServiceError};
use serde::{Deserialize, Serialize};

/// A projection with its names in place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Projection {}

impl Projection {
    pub fn parse(_text: &str, _placeholders: &mut Placeholders) -> Result<Self, ServiceError> {
        todo!()
    }

    /// What lies at the paths in an item.
    pub fn project(&self, _item: &Item) -> Item {
        todo!()
    }
}
