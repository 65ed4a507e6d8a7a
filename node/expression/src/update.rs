//! Update expressions.

use crate::Placeholders;
use cairn_model::{Item, ServiceError};
use serde::{Deserialize, Serialize};

/// An update with its names and values in place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Update {}

/// The paths an update wrote, for `UPDATED_OLD` and `UPDATED_NEW`.
#[derive(Clone, Debug, PartialEq)]
pub struct TouchedPaths {}

impl Update {
    pub fn parse(_text: &str, _placeholders: &mut Placeholders) -> Result<Self, ServiceError> {
        todo!()
    }

    /// Changes the item; on an error it may be half changed.
    pub fn apply(&self, _item: &mut Item) -> Result<TouchedPaths, ServiceError> {
        todo!()
    }
}

impl TouchedPaths {
    /// What lies at the paths in an item.
    pub fn project(&self, _item: &Item) -> Item {
        todo!()
    }
}
