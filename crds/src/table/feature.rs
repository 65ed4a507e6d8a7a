//! Fields of a Table whose features are not there yet: kept in the schema, so that they are not pruned, and refused by name.

use super::TableSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SseSpecification {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "kmsMasterKeyID")]
    #[schemars(length(max = 2048))]
    pub kms_master_key_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("enum" = ["AES256", "KMS"]))]
    pub sse_type: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableReplica {
    #[schemars(length(min = 1, max = 63))]
    pub region_name: String,
}

impl TableSpec {
    /// The fields that ask for a feature this version does not have, in the order of the schema. One that is empty or switched off
    /// asks for nothing.
    pub fn features_missing(&self) -> Vec<&'static str> {
        let asked = [
            ("spec.sseSpecification", self.sse_specification.as_ref().is_some_and(|s| s.enabled != Some(false))),
            ("spec.tableReplicas", self.table_replicas.as_ref().is_some_and(|list| !list.is_empty())),
            ("spec.contributorInsights", self.contributor_insights.as_deref() == Some("ENABLE")),
            ("spec.resourcePolicy", self.resource_policy.as_deref().is_some_and(|p| !p.is_empty())),
        ];
        asked.into_iter().filter(|(_, asked)| *asked).map(|(field, _)| field).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(more: &str) -> TableSpec {
        serde_yaml_ng::from_str(&format!(
            "attributeDefinitions: [{{attributeName: Id, attributeType: S}}]
keySchema: [{{attributeName: Id, keyType: HASH}}]
billingMode: PAY_PER_REQUEST
{more}"
        ))
        .unwrap()
    }

    #[test]
    fn every_field_of_a_missing_feature_is_named() {
        for (more, field) in [
            ("sseSpecification: {enabled: true}", "spec.sseSpecification"),
            ("tableReplicas: [{regionName: west}]", "spec.tableReplicas"),
            ("contributorInsights: ENABLE", "spec.contributorInsights"),
            ("resourcePolicy: '{}'", "spec.resourcePolicy"),
        ] {
            assert_eq!(spec(more).features_missing(), [field], "{more}");
        }
    }

    #[test]
    fn a_feature_that_is_switched_off_is_not_asked_for() {
        for more in ["tableReplicas: []", "sseSpecification: {enabled: false}", "contributorInsights: DISABLE"] {
            assert!(spec(more).features_missing().is_empty(), "{more}");
        }
    }
}
