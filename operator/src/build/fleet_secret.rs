//! The derived Secret that routers mount: every access key, and where the nodes of every group are.

use crate::{config::Config, error::Error, error::Result};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use serde::{Deserialize, Serialize};

const CREDENTIALS: &str = "credentials.json";
const FLEET: &str = "fleet.json";
const VERSION: u32 = 1;

/// `credentials.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub version: u32,
    pub keys: Vec<AccessKey>,
}

/// An access key and the account it speaks for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessKey {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub account: String,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey")
            .field("access_key_id", &self.access_key_id)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// `fleet.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    pub version: u32,
    pub groups: Vec<FleetGroup>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetGroup {
    pub account: String,
    pub group: String,
    pub nodes: Vec<FleetNode>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetNode {
    pub address: String,
    pub zone: String,
    /// Where the archive beside it listens, if the group has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
}

/// Sorted, so that equal content is the same text.
pub fn build(mut keys: Vec<AccessKey>, mut groups: Vec<FleetGroup>, config: &Config) -> Result<Secret> {
    keys.sort_by(|a, b| a.access_key_id.cmp(&b.access_key_id));
    groups.sort_by(|a, b| (&a.account, &a.group).cmp(&(&b.account, &b.group)));
    let json = |file: &str, text: Result<Vec<u8>, serde_json::Error>| {
        text.map(|text| (file.to_owned(), ByteString(text)))
            .map_err(|source| Error::Json { action: format!("write {file}"), source })
    };
    Ok(Secret {
        metadata: super::names::release_metadata(config, config.fleet_secret()),
        data: Some(
            [
                json(CREDENTIALS, serde_json::to_vec(&Credentials { version: VERSION, keys }))?,
                json(FLEET, serde_json::to_vec(&Fleet { version: VERSION, groups }))?,
            ]
            .into(),
        ),
        ..Secret::default()
    })
}

/// The access keys in a derived Secret; none where there are none that can be read.
pub fn read_keys(secret: &Secret) -> Vec<AccessKey> {
    secret
        .data
        .as_ref()
        .and_then(|data| data.get(CREDENTIALS))
        .and_then(|text| serde_json::from_slice::<Credentials>(&text.0).ok())
        .map(|credentials| credentials.keys)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::fixture;

    #[test]
    fn the_routers_files_have_the_form_they_expect() {
        let key = AccessKey { access_key_id: "AKIA".into(), secret_access_key: "s".into(), account: "game".into() };
        let node = FleetNode { address: "pod:7400".into(), zone: "a".into(), archive: None };
        let group = FleetGroup { account: "game".into(), group: "default".into(), nodes: vec![node] };
        let secret = build(vec![key.clone()], vec![group], &fixture::config()).unwrap();
        assert_eq!(secret.metadata.name.as_deref(), Some("cairn-fleet"));
        let data = secret.data.clone().unwrap();
        assert_eq!(
            String::from_utf8(data[CREDENTIALS].0.clone()).unwrap(),
            r#"{"version":1,"keys":[{"accessKeyId":"AKIA","secretAccessKey":"s","account":"game"}]}"#
        );
        assert_eq!(
            String::from_utf8(data[FLEET].0.clone()).unwrap(),
            r#"{"version":1,"groups":[{"account":"game","group":"default","nodes":[{"address":"pod:7400","zone":"a"}]}]}"#
        );
        assert_eq!(read_keys(&secret), [key]);
    }

    #[test]
    fn a_secret_key_does_not_reach_the_log() {
        let key =
            AccessKey { access_key_id: "AKIA".into(), secret_access_key: "hidden".into(), account: "game".into() };
        assert!(!format!("{key:?}").contains("hidden"));
    }
}
