//! The data folder: whose it is, and what lies where in it.
//!
//! ```text
//! cairn.json   format version, the node's id, and whose folder it is: {"format": 1, "nodeId": "…", "region": "…", …}
//! lock         locked by the process that uses the folder
//! items/       the store (fjall)
//! log/         the log of all the node's replicas
//! marker       what was durable at the last fsync (see [`crate::marker`])
//! ```

use crate::{FolderError, file};
use cairn_model::ids::NodeId;
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

const FORMAT: u64 = 1;
const IDENTITY: &str = "cairn.json";
const LOCK: &str = "lock";
/// What a new file system has in its root.
const LOST_AND_FOUND: &str = "lost+found";

/// Whose folder it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub region: String,
    pub account: String,
    pub group: String,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "group {} of account {} in region {}", self.group, self.account, self.region)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    format: u64,
    node_id: NodeId,
    region: String,
    account: String,
    group: String,
}

/// Only the version, to be read before anything whose shape may have changed with it.
#[derive(Deserialize)]
struct Format {
    format: u64,
}

/// A data folder, locked for as long as this is held.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    node_id: NodeId,
    _lock: File,
}

impl Folder {
    /// Opens the folder, or makes it for a node with the given new id. What is not this owner's, not of a format this
    /// program knows, or not readable is refused, and nothing in it is changed.
    pub fn open(path: &Path, owner: &Owner, new_id: NodeId) -> Result<Self, FolderError> {
        std::fs::create_dir_all(path).map_err(io("make the folder", path))?;
        let identity = path.join(IDENTITY);
        if !identity.exists() {
            refuse_a_strangers(path)?;
        }
        let lock = lock(path)?;
        let node_id = match std::fs::read(&identity) {
            Ok(json) => read(&identity, &json, owner)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                write(&identity, owner, new_id)?;
                new_id
            }
            Err(error) => return Err(io("read", &identity)(error)),
        };
        Ok(Self { path: path.to_owned(), node_id, _lock: lock })
    }

    pub fn node_id(&self) -> NodeId {
        self.node_id
    }

    pub fn items(&self) -> PathBuf {
        self.path.join("items")
    }

    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub fn marker(&self) -> PathBuf {
        self.path.join("marker")
    }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { action, path, source }
}

/// A folder that is not empty and has no identity is somebody else's, or lost its identity: both are for a person.
fn refuse_a_strangers(path: &Path) -> Result<(), FolderError> {
    for entry in std::fs::read_dir(path).map_err(io("list", path))? {
        let name = entry.map_err(io("list", path))?.file_name().to_string_lossy().into_owned();
        let begun = Path::new(IDENTITY).with_extension("new");
        if name != LOCK && name != LOST_AND_FOUND && Path::new(&name) != begun {
            return Err(FolderError::NotOurs { path: path.to_owned(), found: name });
        }
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, FolderError> {
    let lock = path.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&lock).map_err(io("open", &lock))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FolderError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io("lock", &lock)(error)),
    }
}

fn read(path: &Path, json: &[u8], owner: &Owner) -> Result<NodeId, FolderError> {
    let damaged = |error: serde_json::Error| FolderError::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
        advice: "put the file back from a copy, or give this node an empty folder and let it be rebuilt from its peers",
    };
    let Format { format } = serde_json::from_slice(json).map_err(damaged)?;
    if format > FORMAT {
        return Err(FolderError::NewerFormat { path: path.to_owned(), found: format, known: FORMAT });
    }
    let found: Identity = serde_json::from_slice(json).map_err(damaged)?;
    let theirs = Owner { region: found.region, account: found.account, group: found.group };
    if theirs != *owner {
        return Err(FolderError::OtherOwner {
            path: path.to_owned(),
            found: theirs.to_string(),
            expected: owner.to_string(),
        });
    }
    Ok(found.node_id)
}

fn write(path: &Path, owner: &Owner, node_id: NodeId) -> Result<(), FolderError> {
    let identity = Identity {
        format: FORMAT,
        node_id,
        region: owner.region.clone(),
        account: owner.account.clone(),
        group: owner.group.clone(),
    };
    let json = serde_json::to_vec_pretty(&identity).map_err(|error| io("write", path)(error.into()))?;
    file::replace(path, &json).map_err(io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: NodeId = NodeId([7; 16]);

    fn owner() -> Owner {
        Owner { region: "east".into(), account: "game".into(), group: "default".into() }
    }

    #[test]
    fn a_folder_keeps_its_node_id() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Folder::open(folder.path(), &owner(), ID).unwrap().node_id(), ID);
        assert_eq!(Folder::open(folder.path(), &owner(), NodeId([8; 16])).unwrap().node_id(), ID);
    }

    #[test]
    fn an_emptied_folder_is_a_new_node() {
        let folder = tempfile::tempdir().unwrap();
        Folder::open(folder.path(), &owner(), ID).unwrap();
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert_eq!(Folder::open(folder.path(), &owner(), NodeId([8; 16])).unwrap().node_id(), NodeId([8; 16]));
    }

    #[test]
    fn a_folder_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _held = Folder::open(folder.path(), &owner(), ID).unwrap();
        let refused = Folder::open(folder.path(), &owner(), ID).unwrap_err();
        assert!(matches!(refused, FolderError::InUse { .. }), "{refused}");
    }

    #[test]
    fn a_folder_of_another_owner_a_newer_format_or_no_sense_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        Folder::open(folder.path(), &owner(), ID).unwrap();
        let identity = folder.path().join(IDENTITY);
        let good = std::fs::read_to_string(&identity).unwrap();
        for (content, says) in [
            (good.replace("game", "shop"), "account shop"),
            (good.replace("\"format\": 1", "\"format\": 2"), "format version 2"),
            (good[..good.len() / 2].to_owned(), "cairn.json"),
            (String::new(), "cairn.json"),
        ] {
            std::fs::write(&identity, &content).unwrap();
            let refused = Folder::open(folder.path(), &owner(), ID).unwrap_err().to_string();
            assert!(refused.contains(says), "{refused}");
            assert_eq!(std::fs::read_to_string(&identity).unwrap(), content);
        }
    }

    #[test]
    fn a_folder_of_something_else_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("thesis.tex"), b"years of work").unwrap();
        let refused = Folder::open(folder.path(), &owner(), ID).unwrap_err();
        assert!(refused.to_string().contains("thesis.tex"), "{refused}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_volume_with_its_file_systems_own_folder_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(LOST_AND_FOUND)).unwrap();
        assert_eq!(Folder::open(folder.path(), &owner(), ID).unwrap().node_id(), ID);
    }
}
