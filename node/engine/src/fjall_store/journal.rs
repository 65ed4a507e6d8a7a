//! Sees what fjall cuts off its journals when it opens them.
//!
//! fjall ends a journal at the first entry that it can't parse, cuts the file there, and says nothing. In the newest
//! journal that loses the newest commits, which the marker tells. In an older one it loses commits from the middle, with
//! newer ones behind: nothing in the database would tell. So the older ones must not get shorter. (They may lose zeros at
//! their end: fjall makes each journal 64 MiB long in advance.)

use crate::FolderError;
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

const SUFFIX: &str = "jnl";
const BLOCK_BYTES: u64 = 64 * 1024;

/// A journal that fjall will not write to any more. Held open, because fjall may delete it once its content is elsewhere.
pub(super) struct Sealed {
    path: PathBuf,
    file: File,
    /// Up to its last byte that is not zero.
    content_bytes: u64,
}

/// All journals but the newest.
pub(super) fn sealed(items: &Path) -> Result<Vec<Sealed>, FolderError> {
    let failed = |action: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| FolderError::Io { action, path, source }
    };
    if !items.exists() {
        return Ok(Vec::new());
    }
    let mut numbered = Vec::new();
    for entry in std::fs::read_dir(items).map_err(failed("list", items))? {
        let path = entry.map_err(failed("list", items))?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|extension| extension == SUFFIX)) {
            numbered.push((number, path));
        }
    }
    numbered.sort();
    numbered.pop();
    let open = |(_, path): (u64, PathBuf)| {
        let read = || {
            let mut file = File::open(&path)?;
            let content_bytes = content_bytes(&mut file)?;
            Ok((file, content_bytes))
        };
        let (file, content_bytes) = read().map_err(failed("read", &path))?;
        Ok(Sealed { path, file, content_bytes })
    };
    numbered.into_iter().map(open).collect()
}

fn content_bytes(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut block = vec![0; BLOCK_BYTES as usize];
    while end > 0 {
        let start = end.saturating_sub(BLOCK_BYTES);
        let block = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        if let Some(last) = block.iter().rposition(|byte| *byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// What is missing from the journals since, if anything is.
pub(super) fn what_was_cut(journals: &[Sealed]) -> Result<Option<String>, FolderError> {
    for journal in journals {
        let metadata = journal.file.metadata();
        let length =
            metadata.map_err(|source| FolderError::Io { action: "look at", path: journal.path.clone(), source })?.len();
        if length < journal.content_bytes {
            return Ok(Some(format!(
                "{} was damaged at byte {length} of {}, and what followed is lost",
                journal.path.display(),
                journal.content_bytes
            )));
        }
    }
    Ok(None)
}
