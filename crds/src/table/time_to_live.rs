//! Time To Live of a Table: what its spec asks for, and since when it is so.

use super::{definition::DefinitionError, recovery::millis_of_time, recovery::time_of_millis};
use cairn_model::{limits::KEY_NAME_BYTES_MAX, table};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The deletion of expired items, as it is asked for.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeToLive {
    /// A top-level number, in seconds since the Unix epoch. Needed unless it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub attribute_name: Option<String>,
    /// On where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// The deletion of expired items, as the nodes are told.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeToLiveStatus {
    #[schemars(length(max = 255))]
    pub attribute_name: String,
    /// Since when items expire by this attribute.
    pub enabled_at: Time,
}

impl TimeToLive {
    /// By which attribute items are to expire; none where they aren't to.
    pub fn attribute(&self) -> Result<Option<&str>, DefinitionError> {
        if self.enabled == Some(false) {
            return Ok(None);
        }
        let named = |name: &&str| (1..=KEY_NAME_BYTES_MAX).contains(&name.len());
        self.attribute_name.as_deref().filter(named).map(Some).ok_or(DefinitionError::TimeToLive)
    }

    /// What asks for items to expire by `after`, or for those not to expire any more that did by `before`.
    pub fn changed(before: Option<&str>, after: Option<&str>) -> Self {
        Self { attribute_name: after.or(before).map(str::to_owned), enabled: Some(after.is_some()) }
    }
}

impl TimeToLiveStatus {
    pub fn new(attribute_name: &str, enabled_at_ms: u64) -> Self {
        Self { attribute_name: attribute_name.to_owned(), enabled_at: time_of_millis(enabled_at_ms) }
    }

    pub fn definition(&self) -> table::TimeToLive {
        table::TimeToLive {
            attribute_name: self.attribute_name.clone(),
            enabled_at_ms: millis_of_time(&self.enabled_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_expire_by_the_attribute_unless_that_is_switched_off() {
        let of = |yaml: &str| {
            let asked: TimeToLive = serde_yaml_ng::from_str(yaml).unwrap();
            asked.attribute().map(|name| name.map(str::to_owned))
        };
        assert_eq!(of("{attributeName: ends}"), Ok(Some("ends".into())));
        assert_eq!(of("{attributeName: ends, enabled: true}"), Ok(Some("ends".into())));
        assert_eq!(of("{attributeName: ends, enabled: false}"), Ok(None));
        assert_eq!(of("{enabled: false}"), Ok(None));
        assert_eq!(of("{enabled: true}"), Err(DefinitionError::TimeToLive));
        assert_eq!(of("{}"), Err(DefinitionError::TimeToLive));
    }
}
