//! What a table's definition says of its regions, made of the GlobalTable, the peer bundles, and what the nodes hold: absence
//! never takes a region out.

use super::bundle;
use crate::controller::Refusal;
use cairn_crds::GlobalTable;
use cairn_model::table::GlobalReplicas;
use k8s_openapi::api::core::v1::ConfigMap;
use std::{collections::BTreeMap, sync::Arc};

/// What is said where a flaw keeps a region from being taken in anew.
pub const KEPT: &str = "until then the nodes go on with what they have of it";

/// Who this cluster is.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    pub region: &'a str,
    pub cluster_id: &'a str,
}

/// The regions as they are to be, and what is wrong with those listed that can't be taken in, by region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// With the epoch of what the nodes hold, or one above it.
    pub replicas: GlobalReplicas,
    pub flaws: BTreeMap<String, Refusal>,
    /// Regions that the nodes hold and nobody lists, and that stay because what is declared is older than what the nodes hold.
    pub unlisted: Vec<String>,
}

/// Makes the membership for nodes that hold these replicas. `peers` has the known bundles by the names of their ConfigMaps, and
/// `ordered` is the epoch that was ordered last, as far as the cluster remembers.
pub fn of(
    global: &GlobalTable,
    peers: &BTreeMap<String, Arc<ConfigMap>>,
    own: Own<'_>,
    ordered: Option<u64>,
    held: Option<&GlobalReplicas>,
) -> Membership {
    let mut replicas =
        GlobalReplicas { cluster_id: own.cluster_id.to_owned(), ..GlobalReplicas::in_region(own.region) };
    let mut flaws = BTreeMap::new();
    for replica in &global.spec.replicas {
        let region = &replica.region_name;
        if region == own.region {
            let message = format!(
                "spec.replicas[regionName={region}]: {region} is this cluster's own region; name only the others"
            );
            flaws.insert(region.clone(), Refusal::new("OwnRegion", message));
            continue;
        }
        let read = match peers.get(replica.peer_name()) {
            Some(peer) => bundle::read(peer, replica, own.cluster_id),
            None => Err(bundle::missing(&global.account(), replica, false)),
        };
        let known_as = |cluster_id: &str| {
            let other = replicas.peers.iter().find(|(_, other)| other.cluster_id == cluster_id);
            other.map(|(other, _)| {
                let message = format!(
                    "spec.replicas[regionName={region}]: its peer bundle has the clusterId of {other}; apply that of {region}"
                );
                Refusal::new("PeerInvalid", message)
            })
        };
        let read = read.and_then(|peer| known_as(&peer.cluster_id).map_or(Ok(peer), Err));
        match read {
            Ok(peer) => {
                replicas.members.insert(region.clone());
                replicas.peers.insert(region.clone(), peer);
            }
            Err(flaw) => {
                let is_held = held.is_some_and(|held| held.members.contains(region));
                if is_held {
                    replicas.members.insert(region.clone());
                    let peer = held.and_then(|held| held.peers.get(region)).cloned();
                    replicas.peers.extend(peer.map(|peer| (region.clone(), peer)));
                }
                let flaw = if is_held { flaw.and(KEPT) } else { flaw };
                flaws.insert(region.clone(), flaw);
            }
        }
    }
    let mut unlisted = Vec::new();
    if let Some(held) = held.filter(|held| ordered.is_none_or(|ordered| held.epoch > ordered)) {
        let is_listed = |region: &String| global.spec.replicas.iter().any(|replica| replica.region_name == *region);
        unlisted.extend(held.members.iter().filter(|region| *region != own.region && !is_listed(region)).cloned());
        let peer = |region: &String| Some((region.clone(), held.peers.get(region)?.clone()));
        replicas.members.extend(unlisted.iter().cloned());
        replicas.peers.extend(unlisted.iter().filter_map(peer));
    }
    Membership { replicas: numbered(replicas, held), flaws, unlisted }
}

/// The replicas with the epoch for nodes that hold these: one above theirs where anything differs.
pub fn numbered(mut replicas: GlobalReplicas, held: Option<&GlobalReplicas>) -> GlobalReplicas {
    replicas.epoch = held.map_or(0, |held| held.epoch);
    if held != Some(&replicas) {
        replicas.epoch += 1;
    }
    replicas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::global_table::fixture::{bundle, global};
    use cairn_crds::{PEER_CA_KEY, PEER_CLUSTER_ID_KEY, PEER_ENDPOINT_KEY};

    const OWN: Own<'_> = Own { region: "east", cluster_id: "east-cluster" };

    fn bundles(regions: &[&str]) -> BTreeMap<String, Arc<ConfigMap>> {
        regions.iter().map(|region| ((*region).to_owned(), Arc::new(bundle(region)))).collect()
    }

    fn membership(listed: &[&str], known: &[&str], held: Option<&GlobalReplicas>) -> Membership {
        let ordered = held.map(|held| held.epoch);
        of(&global("users", 1, listed), &bundles(known), OWN, ordered, held)
    }

    fn members(membership: &Membership) -> Vec<&str> {
        membership.replicas.members.iter().map(String::as_str).collect()
    }

    #[test]
    fn all_regions_with_a_bundle_are_members() {
        let made = membership(&["north", "west"], &["north", "west"], None);
        assert_eq!(members(&made), ["east", "north", "west"]);
        assert_eq!((made.replicas.epoch, made.replicas.cluster_id.as_str()), (1, "east-cluster"));
        assert_eq!(made.replicas.peers["west"].cluster_id, "west-cluster");
        assert!(made.flaws.is_empty() && made.replicas.flaw(None).is_none());
    }

    #[test]
    fn a_region_whose_bundle_is_missing_stays_out_and_the_others_go_on() {
        let made = membership(&["north", "west"], &["west"], None);
        assert_eq!(members(&made), ["east", "west"]);
        assert_eq!(made.flaws["north"].reason, "PeerMissing");
    }

    #[test]
    fn nothing_that_is_the_same_gets_another_epoch() {
        let first = membership(&["west"], &["west"], None).replicas;
        assert_eq!(membership(&["west"], &["west"], Some(&first)).replicas, first);
    }

    #[test]
    fn a_region_joins_and_leaves_with_a_higher_epoch() {
        let first = membership(&["west"], &["west"], None).replicas;
        let second = membership(&["west", "north"], &["west", "north"], Some(&first)).replicas;
        assert_eq!((second.epoch, second.flaw(Some(&first))), (2, None));
        let third = membership(&["north"], &["west", "north"], Some(&second));
        assert_eq!((third.replicas.epoch, members(&third)), (3, vec!["east", "north"]));
        assert_eq!(third.replicas.flaw(Some(&second)), None);
    }

    #[test]
    fn a_bundle_that_changes_raises_the_epoch() {
        let first = membership(&["west"], &["west"], None).replicas;
        for (key, value) in [
            (PEER_ENDPOINT_KEY, "https://west.example:9443".to_owned()),
            (PEER_CA_KEY, crate::pki::Authority::generate("other", jiff::Timestamp::UNIX_EPOCH).unwrap().0),
            (PEER_CLUSTER_ID_KEY, "another".to_owned()),
        ] {
            let mut changed = bundle("west");
            changed.data.as_mut().unwrap().insert(key.to_owned(), value);
            let peers = [("west".to_owned(), Arc::new(changed))].into();
            let made = of(&global("users", 1, &["west"]), &peers, OWN, Some(1), Some(&first));
            assert_eq!((made.replicas.epoch, made.flaws.len()), (2, 0), "{key}");
        }
    }

    #[test]
    fn a_bundle_that_is_gone_or_broken_takes_no_member_out() {
        let held = membership(&["north", "west"], &["north", "west"], None).replicas;
        let gone = membership(&["north", "west"], &["north"], Some(&held));
        assert_eq!(gone.replicas, held);
        assert!(gone.flaws["west"].message.contains("go on with what they have"), "{:?}", gone.flaws);
        let mut peers = bundles(&["north", "west"]);
        let mut broken = bundle("west");
        broken.data = None;
        peers.insert("west".into(), Arc::new(broken));
        let broken = of(&global("users", 1, &["north", "west"]), &peers, OWN, Some(1), Some(&held));
        assert_eq!((broken.replicas, broken.flaws["west"].reason), (held, "PeerInvalid"));
    }

    #[test]
    fn what_is_older_than_what_the_nodes_hold_takes_nobody_out() {
        let first = membership(&["west"], &["west"], None).replicas;
        let held = membership(&["north", "west"], &["north", "west"], Some(&first)).replicas;
        let declared = global("users", 1, &["west"]);
        for ordered in [None, Some(1)] {
            let made = of(&declared, &bundles(&["west"]), OWN, ordered, Some(&held));
            assert_eq!((&made.replicas, made.unlisted), (&held, vec!["north".to_owned()]));
        }
        let made = of(&declared, &bundles(&["west"]), OWN, Some(2), Some(&held));
        assert_eq!((members(&made), made.unlisted.len()), (vec!["east", "west"], 0));
    }

    #[test]
    fn the_own_region_is_refused_and_the_others_go_on() {
        let made = membership(&["east", "west"], &["east", "west"], None);
        assert_eq!(members(&made), ["east", "west"]);
        assert!(made.flaws["east"].message.starts_with("spec.replicas[regionName=east]"), "{:?}", made.flaws);
    }

    #[test]
    fn two_regions_are_two_clusters() {
        let mut peers = bundles(&["north", "west"]);
        let mut copied = bundle("west");
        copied.data.as_mut().unwrap().insert(PEER_CLUSTER_ID_KEY.into(), "north-cluster".into());
        peers.insert("west".into(), Arc::new(copied));
        let made = of(&global("users", 1, &["north", "west"]), &peers, OWN, None, None);
        assert_eq!(members(&made), ["east", "north"]);
        assert!(made.flaws["west"].message.contains("clusterId of north"), "{:?}", made.flaws);
    }
}
