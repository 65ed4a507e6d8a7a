//! `ExpressionAttributeNames` and `ExpressionAttributeValues`.

use cairn_model::{Item, ServiceError};
use std::collections::BTreeMap;

/// The substitutions of one request, and which of them its expressions used.
#[derive(Clone, Debug, Default)]
pub struct Placeholders {}

impl Placeholders {
    pub fn new(_names: Option<BTreeMap<String, String>>, _values: Option<Item>) -> Result<Self, ServiceError> {
        todo!()
    }

    /// Fails where one was not used.
    pub fn finish(self) -> Result<(), ServiceError> {
        todo!()
    }
}
