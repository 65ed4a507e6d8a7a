//! How much a process had read for it from a disk.

use anyhow::{Context, Result};
use std::{fs, path::Path};

const FIELD: &str = "read_bytes:";

/// Bytes that were in no cache of the kernel when the process asked for them.
pub(super) fn bytes_read(process: u32) -> Result<u64> {
    let file = Path::new("/proc").join(process.to_string()).join("io");
    let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
    parse(&text).with_context(|| format!("{} has no {FIELD} {text}", file.display()))
}

fn parse(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix(FIELD))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_from_the_disk_is_told_from_what_was_asked_for() {
        assert_eq!(parse("rchar: 900\nwchar: 5\nread_bytes: 4096\nwrite_bytes: 0\n"), Some(4_096));
        assert_eq!(parse("rchar: 900\n"), None);
    }
}
