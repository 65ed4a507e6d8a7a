//! The log's folder: whose files lie in it, of what format, and how to set it aside.
//!
//! ```text
//! format.json       {"format": 1}
//! LOCK              locked by the process that has it open (raft-engine's)
//! N.raftlog         the append queue (file_scan.rs); N has 16 digits
//! N.rewrite         the rewrite queue
//! ```

use super::{LogError, file_scan::Queue};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, TryLockError},
    io::Write,
    path::{Path, PathBuf},
};

const FORMAT: u64 = 1;
const FORMAT_FILE: &str = "format.json";
const LOCK_FILE: &str = "LOCK";
/// Damaged folders that are kept beside the log; with as many there, a person must look.
const SET_ASIDE_MAX: u32 = 8;

#[derive(Serialize, Deserialize)]
struct Format {
    format: u64,
}

/// One of the log's files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogFile {
    pub(super) queue: Queue,
    pub(super) number: u64,
    pub(super) path: PathBuf,
}

/// Makes the folder if there is none, refuses what is not a log of a format known here, and lists its files in the order in
/// which they are read.
pub(super) fn list(folder: &Path) -> Result<Vec<LogFile>, LogError> {
    std::fs::create_dir_all(folder).map_err(LogError::io("make the folder", folder))?;
    let mut files = Vec::new();
    let mut found = None;
    for entry in std::fs::read_dir(folder).map_err(LogError::io("list", folder))? {
        let entry = entry.map_err(LogError::io("list", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match log_file(&name, entry.path()) {
            Some(file) => files.push(file),
            None if [FORMAT_FILE, LOCK_FILE, "format.new"].contains(&name.as_str()) => {}
            None => found = Some(name),
        }
    }
    if let Some(found) = found {
        return Err(LogError::NotOurs { path: folder.to_owned(), found });
    }
    check_lock(&folder.join(LOCK_FILE))?;
    check_format(&folder.join(FORMAT_FILE), files.is_empty())?;
    files.sort();
    Ok(files)
}

/// The size of all the files.
pub(super) fn bytes(path: &Path) -> Result<u64, LogError> {
    let entries = std::fs::read_dir(path).map_err(LogError::io("list", path))?;
    let sizes = entries.map(|entry| entry.and_then(|entry| entry.metadata()).map(|metadata| metadata.len()));
    sizes.sum::<std::io::Result<u64>>().map_err(LogError::io("list", path))
}

fn log_file(name: &str, path: PathBuf) -> Option<LogFile> {
    let (number, suffix) = name.split_at_checked(16)?;
    let queue = match suffix {
        ".raftlog" => Queue::Append,
        ".rewrite" => Queue::Rewrite,
        _ => return None,
    };
    Some(LogFile { queue, number: number.parse().ok()?, path })
}

/// raft-engine locks the file itself; here it is only seen whether that will fail, to say it clearly.
fn check_lock(path: &Path) -> Result<(), LogError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(LogError::io("open", path)(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(LogError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(LogError::io("lock", path)(error)),
    }
}

fn check_format(path: &Path, is_new: bool) -> Result<(), LogError> {
    let damaged = |reason: String| LogError::DamagedFolder { path: path.to_owned(), reason };
    match std::fs::read(path) {
        Ok(json) => {
            let Format { format } = serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
            if format > FORMAT {
                return Err(LogError::NewerFormat { path: path.to_owned(), found: format, known: FORMAT });
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_new => write_format(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(damaged("it is missing".into())),
        Err(error) => Err(LogError::io("read", path)(error)),
    }
}

fn write_format(path: &Path) -> Result<(), LogError> {
    let json = format!("{{\"format\": {FORMAT}}}\n");
    let new = path.with_extension("new");
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(json.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&new, path)).map_err(LogError::io("write", path))?;
    sync_folder_of(path)
}

/// Makes a file, or the names in a folder, durable.
pub(super) fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes the names in the folder of `path` durable.
pub(super) fn sync_folder_of(path: &Path) -> Result<(), LogError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    sync(folder).map_err(LogError::io("sync", folder))
}

/// Moves a damaged log out of the way, with all that is in it, and says where it is now.
pub(super) fn set_aside(folder: &Path, reason: &str) -> Result<PathBuf, LogError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let free =
        (1..=SET_ASIDE_MAX).map(|n| folder.with_file_name(format!("{name}.damaged-{n}"))).find(|path| !path.exists());
    let Some(aside) = free else {
        return Err(LogError::DamagedFolder {
            path: folder.to_owned(),
            reason: format!("{reason}; and {SET_ASIDE_MAX} damaged logs were kept beside it already"),
        });
    };
    std::fs::rename(folder, &aside).map_err(LogError::io("move", folder))?;
    sync_folder_of(folder)?;
    Ok(aside)
}
