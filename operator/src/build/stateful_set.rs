//! The StatefulSet of a group in one zone.

use super::{names, pod};
use crate::{config::Config, controller::storage_group::validate::ValidatedGroup};
use k8s_openapi::{
    api::{
        apps::v1::{
            StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
        },
        core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, PodTemplateSpec, VolumeResourceRequirements},
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};

/// The zones of a group share one rollout, one pod at a time, so pods are replaced by the operator (`OnDelete`).
pub fn build(group: &ValidatedGroup, zone: &str, config: &Config) -> StatefulSet {
    let labels = names::zone_selector(&group.name, zone, config);
    let mut metadata = names::metadata(names::stateful_set(&group.name, zone), group, config);
    metadata.labels.get_or_insert_default().extend(labels.clone());
    StatefulSet {
        metadata,
        spec: Some(StatefulSetSpec {
            replicas: Some(group.spec.nodes_per_zone),
            service_name: Some(names::group_object(&group.name)),
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                rolling_update: None,
            }),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some(if group.removes_claims { "Delete" } else { "Retain" }.to_owned()),
                when_scaled: Some("Retain".to_owned()),
            }),
            selector: names::label_selector(labels.clone()),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels.clone()), ..ObjectMeta::default() }),
                spec: Some(pod::build(group, zone, config)),
            },
            volume_claim_templates: Some(vec![claim(group, labels)]),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

fn claim(group: &ValidatedGroup, labels: std::collections::BTreeMap<String, String>) -> PersistentVolumeClaim {
    let size = Quantity(group.spec.volume.size.clone());
    PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some("data".to_owned()), labels: Some(labels), ..ObjectMeta::default() },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: group.spec.volume.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), size)].into()),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::fixture;

    #[test]
    fn a_zone_gets_a_set_of_its_own() {
        let [a, b] = ["zone-a", "zone-b"].map(|zone| build(&fixture::group(), zone, &fixture::config()));
        assert_ne!(a.metadata.name, b.metadata.name);
        let spec = a.spec.unwrap();
        assert_eq!(spec.service_name.as_deref(), Some("cairn-default"));
        assert_eq!(spec.pod_management_policy.as_deref(), Some("Parallel"));
        assert_eq!(spec.selector.match_labels.unwrap()[names::ZONE_LABEL], "zone-a");
    }

    #[test]
    fn a_set_that_is_deleted_keeps_its_volumes() {
        let spec = build(&fixture::group(), "zone-a", &fixture::config()).spec.unwrap();
        let policy = spec.persistent_volume_claim_retention_policy.unwrap();
        assert_eq!((policy.when_deleted.as_deref(), policy.when_scaled.as_deref()), (Some("Retain"), Some("Retain")));
    }

    #[test]
    fn the_longest_names_leave_room_for_the_revision_label() {
        let mut group = fixture::group();
        group.name = "g".repeat(36);
        let name = build(&group, "zone-a", &fixture::config()).metadata.name.unwrap();
        // A label's value has 63 characters, and Kubernetes puts `-` and up to 10 more behind the set's name.
        assert!(name.len() <= 52, "{name}");
    }
}
