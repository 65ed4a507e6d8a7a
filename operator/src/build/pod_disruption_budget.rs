//! The PodDisruptionBudget of a group: one node at a time, whichever zone it is in.

use super::names;
use crate::{config::Config, controller::storage_group::validate::ValidatedGroup};
use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

pub fn build(group: &ValidatedGroup, config: &Config) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: names::metadata(names::group_object(&group.name), group, config),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(names::label_selector(names::selector(&group.name, config))),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::fixture;

    #[test]
    fn one_budget_spans_all_zones_of_a_group() {
        let spec = build(&fixture::group(), &fixture::config()).spec.unwrap();
        assert_eq!(spec.max_unavailable, Some(IntOrString::Int(1)));
        let labels = spec.selector.unwrap().match_labels.unwrap();
        assert!(!labels.contains_key(names::ZONE_LABEL) && labels.contains_key(names::GROUP_LABEL));
    }
}
