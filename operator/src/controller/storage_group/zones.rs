//! Which zones a group lies in: recorded once, changed only with its spec.

use crate::controller::Refusal;
use cairn_crds::StorageGroupSpec;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use std::collections::BTreeSet;

/// The zones that the cluster's nodes say they are in.
pub fn of_nodes(nodes: &[Node], zone_label: &str) -> BTreeSet<String> {
    nodes.iter().filter_map(|node| node.labels().get(zone_label)).filter(|zone| !zone.is_empty()).cloned().collect()
}

/// The recorded zones, and as many new ones as the spec asks for beyond them. A recorded zone stays though its nodes are gone.
pub fn choose(spec: &StorageGroupSpec, recorded: &[String], found: &BTreeSet<String>) -> Result<Vec<String>, Refusal> {
    let refusal = |missing: String| {
        let found =
            if found.is_empty() { "none".to_owned() } else { found.iter().cloned().collect::<Vec<_>>().join(", ") };
        Refusal::new(
            "ZonesMissing",
            format!(
                "{missing}; the nodes' labels name these zones: {found}. Add nodes, ask for fewer zones, or set the chart's zoneLabel to a label that the nodes have"
            ),
        )
    };
    if let Some(names) = &spec.zone_names {
        let missing: Vec<_> =
            names.iter().filter(|name| !found.contains(*name) && !recorded.contains(name)).cloned().collect();
        if !missing.is_empty() {
            return Err(refusal(format!("no node is in {}", missing.join(", "))));
        }
        return Ok(names.clone());
    }
    let wanted = spec.zones_wanted();
    let mut zones = recorded.to_vec();
    zones.extend(
        found.iter().filter(|zone| !recorded.contains(zone)).take(wanted.saturating_sub(recorded.len())).cloned(),
    );
    if zones.len() < wanted {
        return Err(refusal(format!("{wanted} zones are asked for")));
    }
    Ok(zones)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::fixture;

    fn found(zones: &[&str]) -> BTreeSet<String> {
        zones.iter().map(|&zone| zone.to_owned()).collect()
    }

    fn list(zones: &[&str]) -> Vec<String> {
        zones.iter().map(|&zone| zone.to_owned()).collect()
    }

    #[test]
    fn three_zones_are_chosen_where_nothing_is_said() {
        assert_eq!(choose(&fixture::spec(), &[], &found(&["d", "a", "c", "b"])).unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn the_recorded_zones_stay_whatever_the_nodes_say() {
        let recorded = list(&["b", "c", "d"]);
        assert_eq!(choose(&fixture::spec(), &recorded, &found(&["a"])).unwrap(), recorded);
    }

    #[test]
    fn a_group_that_asks_for_more_keeps_what_it_has() {
        let mut spec = fixture::spec();
        spec.zone_count = Some(5);
        let zones = choose(&spec, &list(&["b", "c", "d"]), &found(&["a", "b", "c", "d", "e"])).unwrap();
        assert_eq!(zones, ["b", "c", "d", "a", "e"]);
    }

    #[test]
    fn too_few_zones_are_told_with_those_there_are() {
        let refusal = choose(&fixture::spec(), &[], &found(&["a", "b"])).unwrap_err();
        assert_eq!(refusal.reason, "ZonesMissing");
        assert!(refusal.message.contains("3 zones are asked for") && refusal.message.contains("a, b"), "{refusal:?}");
    }

    #[test]
    fn named_zones_must_be_there() {
        let mut spec = fixture::spec();
        spec.zone_names = Some(list(&["a", "x"]));
        assert!(choose(&spec, &[], &found(&["a", "b"])).unwrap_err().message.contains("no node is in x"));
        assert_eq!(choose(&spec, &list(&["x"]), &found(&["a"])).unwrap(), ["a", "x"]);
    }
}
