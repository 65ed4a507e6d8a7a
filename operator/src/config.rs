//! What the operator is told at start: flags, each also an environment variable.

use crate::error::{Error, Result};
use cairn_crds::StorageGroupSpec;
use clap::Parser;
use std::{net::SocketAddr, path::PathBuf};

/// Runs Cairn's storage groups and tables on Kubernetes.
#[derive(Clone, Debug, Parser)]
#[command(name = "cairn-operator", version)]
pub struct Config {
    /// The name this cluster has in ARNs; fixed since the installation.
    #[arg(long, env = "CAIRN_REGION")]
    pub region: String,
    /// The namespace the chart is installed in.
    #[arg(long, env = "CAIRN_RELEASE_NAMESPACE")]
    pub release_namespace: String,
    /// The name the chart is installed under.
    #[arg(long, env = "CAIRN_RELEASE_NAME", default_value = "cairn")]
    pub release_name: String,
    /// The image of storage nodes.
    #[arg(long, env = "CAIRN_IMAGE")]
    pub image: String,
    #[arg(long, env = "CAIRN_IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    pub image_pull_policy: String,
    /// A pull secret for storage pods, in the accounts' namespaces; may be repeated.
    #[arg(long = "image-pull-secret", env = "CAIRN_IMAGE_PULL_SECRETS", value_delimiter = ',')]
    pub image_pull_secrets: Vec<String>,
    /// The namespaces to watch, separated by commas; all of them where it is left out.
    #[arg(long, env = "CAIRN_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    #[arg(long, env = "CAIRN_CLUSTER_DOMAIN", default_value = "cluster.local")]
    pub cluster_domain: String,
    /// The label of Kubernetes nodes that names their zone.
    #[arg(long, env = "CAIRN_ZONE_LABEL", default_value = "topology.kubernetes.io/zone")]
    pub zone_label: String,
    /// A YAML file with the spec of the group `default` that a namespace gets with its first table.
    #[arg(long, env = "CAIRN_GROUP_DEFAULTS")]
    pub group_defaults: PathBuf,
    /// Where health and metrics are served.
    #[arg(long, env = "CAIRN_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// For how long a group that the operator made outlives its last table.
    #[arg(long, env = "CAIRN_EMPTY_GROUP_RETENTION_SECONDS", default_value_t = 86_400)]
    pub empty_group_retention_seconds: u32,
    /// How often storage nodes look for expired items while there are none.
    #[arg(long, env = "CAIRN_TTL_INTERVAL_MS", value_name = "MILLISECONDS", default_value_t = 1_000)]
    pub ttl_interval_ms: u32,
    /// Whether tables may have regions in other clusters: storage pods are let out to those, then.
    #[arg(long, env = "CAIRN_PEERS")]
    pub peers: bool,
    /// `https://HOST:PORT` under which other clusters reach this one's routers; needed before they can.
    #[arg(long, env = "CAIRN_PEER_ENDPOINT")]
    pub peer_endpoint: Option<String>,
    /// Whether storage nodes hold tables to their throughput.
    #[arg(long, env = "CAIRN_STORAGE_THROTTLING", default_value_t = true, action = clap::ArgAction::Set)]
    pub storage_throttling: bool,
    /// Whether tables on demand are held to what DynamoDB gives them at once, where tables are held to their throughput at all.
    #[arg(long, env = "CAIRN_STORAGE_ON_DEMAND_LIMITS", default_value_t = false, action = clap::ArgAction::Set)]
    pub storage_on_demand_limits: bool,
    /// Who holds the lease; the pod's name.
    #[arg(long, env = "POD_NAME", default_value = "cairn-operator")]
    pub identity: String,
}

impl Config {
    /// Reads the spec of groups named `default`.
    pub fn read_group_defaults(&self) -> Result<StorageGroupSpec> {
        let path = self.group_defaults.display().to_string();
        let text = std::fs::read_to_string(&self.group_defaults)
            .map_err(|source| Error::File { path: path.clone(), source })?;
        serde_yaml_ng::from_str(&text).map_err(|source| Error::GroupDefaults { path, source })
    }

    /// Under which other clusters reach this one, if they are to.
    pub fn peer_endpoint(&self) -> Option<&str> {
        self.peer_endpoint.as_deref().filter(|endpoint| self.peers && !endpoint.is_empty())
    }

    pub fn authority_secret(&self) -> String {
        format!("{}-ca", self.release_name)
    }

    pub fn fleet_secret(&self) -> String {
        format!("{}-fleet", self.release_name)
    }

    pub fn router_tls_secret(&self) -> String {
        format!("{}-router-tls", self.release_name)
    }

    pub fn lease(&self) -> String {
        format!("{}-operator", self.release_name)
    }
}
