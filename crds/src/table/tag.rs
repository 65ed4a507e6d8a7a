//! Tags of a Table, which its resource alone keeps: no node and no request needs them.

use super::{TableSpec, rules};
use crate::rules::json;
use cairn_model::tags::Tags;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = json(rules::TAG)))]
pub struct Tag {
    #[schemars(length(min = 1, max = 128))]
    pub key: String,
    #[schemars(length(max = 256))]
    pub value: String,
}

impl TableSpec {
    /// The tags by their keys.
    pub fn tags_by_key(&self) -> Tags {
        self.tags.iter().flatten().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
    }

    /// Takes over these tags and leaves no others.
    pub fn set_tags(&mut self, tags: Tags) {
        let tags: Vec<Tag> = tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
        self.tags = (!tags.is_empty()).then_some(tags);
    }
}
