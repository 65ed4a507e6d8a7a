//! What the operator tells the routers: the groups and addresses of the nodes, and the access keys. It comes in one
//! derived Secret, as a mounted folder and, while the API server answers, as a watch.

use arc_swap::ArcSwap;
use cairn_api::{AccessKey, Credentials};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, path::Path, sync::Arc};

pub const CREDENTIALS_FILE: &str = "credentials.json";
pub const FLEET_FILE: &str = "fleet.json";
/// The version of both files that this program reads.
const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error("failed to read {file}: {source}")]
    Read { file: String, source: std::io::Error },
    #[error("failed to parse {file}: {source}")]
    Parse { file: &'static str, source: serde_json::Error },
    #[error("{file} has version {found}; this program reads version {VERSION}: upgrade the routers")]
    Version { file: &'static str, found: u32 },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetGroup {
    pub account: String,
    pub group: String,
    #[serde(default)]
    pub nodes: Vec<FleetNode>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetNode {
    pub address: String,
    pub zone: String,
    /// Where the archive beside it listens, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
}

#[derive(Deserialize)]
struct FleetFile {
    version: u32,
    #[serde(default)]
    groups: Vec<FleetGroup>,
}

#[derive(Deserialize)]
struct CredentialsFile {
    version: u32,
    #[serde(default)]
    keys: Vec<CredentialsEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialsEntry {
    access_key_id: String,
    secret_access_key: String,
    account: String,
}

/// The newest of what was told.
#[derive(Debug, Default)]
pub struct Fleet {
    groups: ArcSwap<Vec<FleetGroup>>,
    keys: ArcSwap<HashMap<String, Arc<AccessKey>>>,
}

impl Fleet {
    pub fn groups(&self) -> Arc<Vec<FleetGroup>> {
        self.groups.load_full()
    }

    /// Takes over the two files' contents. What can't be read changes nothing.
    pub fn update(&self, credentials: &[u8], fleet: &[u8]) -> Result<(), FleetError> {
        let fleet: FleetFile =
            serde_json::from_slice(fleet).map_err(|source| FleetError::Parse { file: FLEET_FILE, source })?;
        let keys = parse_credentials(credentials)?;
        if fleet.version != VERSION {
            return Err(FleetError::Version { file: FLEET_FILE, found: fleet.version });
        }
        self.groups.store(Arc::new(fleet.groups));
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// Takes over the mounted folder.
    pub fn update_from_dir(&self, dir: &Path) -> Result<(), FleetError> {
        let read = |file: &str| {
            let path = dir.join(file);
            std::fs::read(&path).map_err(|source| FleetError::Read { file: path.display().to_string(), source })
        };
        self.update(&read(CREDENTIALS_FILE)?, &read(FLEET_FILE)?)
    }
}

impl Credentials for Fleet {
    fn access_key(&self, id: &str) -> Option<Arc<AccessKey>> {
        self.keys.load().get(id).cloned()
    }
}

/// The access keys of a `credentials.json`, by their ids; `cairn dev --credentials` reads the same file.
pub fn parse_credentials(json: &[u8]) -> Result<HashMap<String, Arc<AccessKey>>, FleetError> {
    let file: CredentialsFile =
        serde_json::from_slice(json).map_err(|source| FleetError::Parse { file: CREDENTIALS_FILE, source })?;
    if file.version != VERSION {
        return Err(FleetError::Version { file: CREDENTIALS_FILE, found: file.version });
    }
    Ok(file
        .keys
        .into_iter()
        .map(|key| (key.access_key_id, Arc::new(AccessKey { account: key.account, secret: key.secret_access_key })))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[u8] = br#"{"version":1,"keys":[{"accessKeyId":"AK","secretAccessKey":"s","account":"game"}]}"#;
    const FLEET: &[u8] =
        br#"{"version":1,"groups":[{"account":"game","group":"default","nodes":[{"address":"a:1","zone":"z"}]}]}"#;

    #[test]
    fn the_secret_tells_keys_and_nodes() {
        let fleet = Fleet::default();
        fleet.update(KEYS, FLEET).unwrap();
        assert_eq!(fleet.access_key("AK").unwrap().account, "game");
        assert_eq!(fleet.groups()[0].nodes[0].address, "a:1");
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let fleet = Fleet::default();
        fleet.update(KEYS, FLEET).unwrap();
        for (keys, nodes) in
            [(KEYS, b"{".as_slice()), (b"{}", FLEET), (br#"{"version":2}"#, FLEET), (KEYS, br#"{"version":2}"#)]
        {
            assert!(fleet.update(keys, nodes).is_err());
            assert!(fleet.access_key("AK").is_some());
            assert_eq!(fleet.groups().len(), 1);
        }
    }
}
