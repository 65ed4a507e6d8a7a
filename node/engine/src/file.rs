//! Small files that are replaced whole.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

/// Puts the content in the file's place, durably: after a crash there is the old content or the new, never half of one.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_parent(path)
}

/// Makes the names in the file's folder durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}
