//! The peer bundle of another cluster, as it lies in a ConfigMap of the account: where that cluster is, and who signs for it.

use crate::{controller::Refusal, pki::check_authority};
use cairn_crds::{
    GlobalTableReplica, PEER_BUNDLE, PEER_CA_KEY, PEER_CLUSTER_ID_KEY, PEER_ENDPOINT_KEY, PEER_LABEL, PEER_REGION_KEY,
};
use cairn_model::table::PeerCluster;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;

/// It goes into the table's definition, and so through the log of every partition.
const CA_BYTES_MAX: usize = 16 * 1024;
const CLUSTER_ID_LENGTH_MAX: usize = 128;
const ENDPOINT_LENGTH_MAX: usize = 300;

/// The cluster that the entry of `spec.replicas` stands for; or what is wrong with its ConfigMap, key by key, and what to do.
pub fn read(config_map: &ConfigMap, replica: &GlobalTableReplica, own_cluster: &str) -> Result<PeerCluster, Refusal> {
    let region = &replica.region_name;
    let name = format!("ConfigMap {}/{}", config_map.namespace().unwrap_or_default(), config_map.name_any());
    let invalid = |key: &str, problem: &str| {
        let advice = apply_again(region);
        Refusal::new("PeerInvalid", format!("{name}, key {key}: {problem}; {advice}"))
    };
    let value = |key: &str| {
        let value = config_map.data.as_ref().and_then(|data| data.get(key)).map(|value| value.trim());
        value.filter(|value| !value.is_empty()).ok_or_else(|| invalid(key, "it is missing"))
    };
    let found = value(PEER_REGION_KEY)?;
    if found != region {
        let advice = format!("or name the ConfigMap of {region} in spec.replicas[regionName={region}].peerRef");
        return Err(invalid(PEER_REGION_KEY, &format!("it is the bundle of the region {found:?}, not of {region:?}"))
            .and(&advice));
    }
    let cluster_id = value(PEER_CLUSTER_ID_KEY)?;
    if cluster_id.len() > CLUSTER_ID_LENGTH_MAX {
        return Err(invalid(PEER_CLUSTER_ID_KEY, "it is too long for the id of a cluster"));
    }
    if cluster_id == own_cluster {
        let message = format!(
            "{name}, key {PEER_CLUSTER_ID_KEY}: it is the bundle of this very cluster; apply that of the region {region}"
        );
        return Err(Refusal::new("OwnCluster", message));
    }
    let endpoint = match &replica.endpoint {
        Some(endpoint) => {
            check_endpoint(endpoint).map_err(|problem| {
                let message = format!("spec.replicas[regionName={region}].endpoint: {problem}; correct it");
                Refusal::new("InvalidSpec", message)
            })?;
            endpoint
        }
        None => {
            let endpoint = value(PEER_ENDPOINT_KEY)?;
            check_endpoint(endpoint).map_err(|problem| invalid(PEER_ENDPOINT_KEY, &problem))?;
            endpoint
        }
    };
    let ca = value(PEER_CA_KEY)?;
    if ca.len() > CA_BYTES_MAX {
        return Err(invalid(PEER_CA_KEY, &format!("it has more than {CA_BYTES_MAX} bytes")));
    }
    check_authority(ca).map_err(|problem| invalid(PEER_CA_KEY, &problem))?;
    Ok(PeerCluster { endpoint: endpoint.to_owned(), cluster_id: cluster_id.to_owned(), ca: format!("{ca}\n") })
}

/// What is said of a ConfigMap that is not known: `is_there` where it is and only lacks the label.
pub fn missing(namespace: &str, replica: &GlobalTableReplica, is_there: bool) -> Refusal {
    let (name, region) = (replica.peer_name(), &replica.region_name);
    if is_there {
        let message = format!(
            "ConfigMap {namespace}/{name} lacks the label {PEER_LABEL}: \"true\"; if it is the peer bundle of {region}, give it that label: \
             kubectl -n {namespace} label configmap {name} {PEER_LABEL}=true"
        );
        return Refusal::new("PeerUnlabelled", message);
    }
    let message =
        format!("ConfigMap {namespace}/{name}, with the peer bundle of {region}, is missing; {}", apply_again(region));
    Refusal::new("PeerMissing", message)
}

/// The port of an endpoint.
pub fn port(endpoint: &str) -> Option<u16> {
    endpoint.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}

fn apply_again(region: &str) -> String {
    format!(
        "apply in this namespace what the key manifest.yaml of the ConfigMap {PEER_BUNDLE} says in the release's namespace of {region}"
    )
}

/// `https://HOST:PORT`, and nothing behind it.
fn check_endpoint(endpoint: &str) -> Result<(), String> {
    let refuse = || Err(format!("{endpoint:?} does not have the form https://HOST:PORT"));
    let Some(authority) = endpoint.strip_prefix("https://").filter(|_| endpoint.len() <= ENDPOINT_LENGTH_MAX) else {
        return refuse();
    };
    let Some((host, port)) = authority.rsplit_once(':') else { return refuse() };
    let is_name = |host: &str| {
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
            && !host.starts_with(['.', '-'])
            && !host.ends_with(['.', '-'])
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && is_name(host),
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if is_host && is_port { Ok(()) } else { refuse() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::global_table::fixture::{bundle, certificate, replica};

    fn refusal(change: impl FnOnce(&mut ConfigMap)) -> Refusal {
        let mut config_map = bundle("west");
        change(&mut config_map);
        read(&config_map, &replica("west"), "east-cluster").unwrap_err()
    }

    fn set(config_map: &mut ConfigMap, key: &str, value: &str) {
        config_map.data.as_mut().unwrap().insert(key.to_owned(), value.to_owned());
    }

    #[test]
    fn a_whole_bundle_tells_the_cluster() {
        let peer = read(&bundle("west"), &replica("west"), "east-cluster").unwrap();
        assert_eq!((peer.endpoint.as_str(), peer.cluster_id.as_str()), ("https://west.example:8443", "west-cluster"));
        assert_eq!(peer.ca.trim(), certificate().trim());
    }

    #[test]
    fn an_endpoint_in_the_spec_wins() {
        let mut replica = replica("west");
        replica.endpoint = Some("https://10.0.0.7:30443".into());
        let peer = read(&bundle("west"), &replica, "east-cluster").unwrap();
        assert_eq!((peer.endpoint.as_str(), port(&peer.endpoint)), ("https://10.0.0.7:30443", Some(30443)));
        replica.endpoint = Some("https://10.0.0.7".into());
        let refusal = read(&bundle("west"), &replica, "east-cluster").unwrap_err();
        assert!(refusal.message.starts_with("spec.replicas[regionName=west].endpoint"), "{refusal:?}");
    }

    #[test]
    fn each_key_that_is_missing_is_named() {
        for key in [PEER_REGION_KEY, PEER_CLUSTER_ID_KEY, PEER_ENDPOINT_KEY, PEER_CA_KEY] {
            for refusal in [
                refusal(|bundle| drop(bundle.data.as_mut().unwrap().remove(key))),
                refusal(|bundle| set(bundle, key, " \n")),
            ] {
                assert_eq!(refusal.reason, "PeerInvalid");
                let told = format!("ConfigMap game/west, key {key}: it is missing; apply");
                assert!(refusal.message.starts_with(&told), "{refusal:?}");
            }
        }
    }

    #[test]
    fn a_bundle_of_another_region_or_of_this_cluster_is_refused() {
        let other = refusal(|bundle| set(bundle, PEER_REGION_KEY, "north"));
        assert!(other.message.contains("\"north\", not of \"west\"") && other.message.contains("peerRef"), "{other:?}");
        assert_eq!(refusal(|bundle| set(bundle, PEER_CLUSTER_ID_KEY, "east-cluster")).reason, "OwnCluster");
    }

    #[test]
    fn an_endpoint_is_https_with_host_and_port() {
        for bad in [
            "http://west:8443",
            "https://west",
            "https://west:",
            "https://west:0",
            "https://west:65536",
            "https://west:8443/",
            "https://a@west:8443",
            "https://:8443",
            "https://-west:8443",
            "https://fd00::7:8443",
            "https://[west]:8443",
        ] {
            let refusal = refusal(|bundle| set(bundle, PEER_ENDPOINT_KEY, bad));
            assert!(refusal.message.contains("key endpoint") && refusal.message.contains("HOST:PORT"), "{bad}");
        }
        assert!(check_endpoint("https://[fd00::7]:443").is_ok());
    }

    #[test]
    fn a_certificate_is_an_authoritys_and_comes_without_a_key() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for (ca, told) in [
            ("no certificate", "no certificate in PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "can't be read"),
            (key, "PRIVATE KEY"),
            (&format!("{}{key}", certificate()), "PRIVATE KEY"),
            (&certificate().repeat(5), "5 certificates, more than 4"),
            (&certificate().repeat(100), "bytes"),
        ] {
            let refusal = refusal(|bundle| set(bundle, PEER_CA_KEY, ca));
            assert!(refusal.message.contains("key ca.crt") && refusal.message.contains(told), "{refusal:?}");
        }
    }

    #[test]
    fn a_config_map_that_lacks_the_label_is_told_as_such() {
        let (unlabelled, gone) = (missing("game", &replica("west"), true), missing("game", &replica("west"), false));
        assert_eq!((unlabelled.reason, gone.reason), ("PeerUnlabelled", "PeerMissing"));
        assert!(unlabelled.message.contains("label configmap west cairn.dev/peer=true"), "{unlabelled:?}");
        assert!(gone.message.contains("cairn-peer"), "{gone:?}");
    }
}
