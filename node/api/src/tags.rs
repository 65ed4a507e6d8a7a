//! What becomes of a table's tags.

use crate::errors;
pub use cairn_model::tags::Tags;
use cairn_model::{ServiceError, limits};
use std::collections::BTreeSet;

/// What a TagResource or an UntagResource changes; checked, but for how many tags the table has afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagUpdate {
    /// Of a key that is there, the value.
    Put(Tags),
    /// Keys that need not be there.
    Remove(BTreeSet<String>),
}

impl TagUpdate {
    /// The tags of a table that had these; an error where they are too many.
    pub fn apply(&self, mut tags: Tags) -> Result<Tags, ServiceError> {
        match self {
            Self::Put(more) => tags.extend(more.clone()),
            Self::Remove(keys) => tags.retain(|key, _| !keys.contains(key)),
        }
        if tags.len() > limits::TAGS_MAX { Err(errors::too_many_tags()) } else { Ok(tags) }
    }
}
