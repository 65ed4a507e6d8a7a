//! How much memory a process has, and a limit to it that the kernel keeps.

use anyhow::{Context, Result};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// Where a kernel has control groups, and how it names what limits them: version 2 first.
const VERSIONS: [Version; 2] = [
    Version { root: "/sys/fs/cgroup", limit: "memory.max", swap: "memory.swap.max", none: "max" },
    Version { root: "/sys/fs/cgroup/memory", limit: "memory.limit_in_bytes", swap: "memory.swappiness", none: "-1" },
];

struct Version {
    root: &'static str,
    limit: &'static str,
    /// Takes 0 for: nothing is swapped.
    swap: &'static str,
    none: &'static str,
}

/// The most bytes that a process ever had, with what it has mapped of files: in its program, mostly.
pub(super) fn peak_bytes(process: u32) -> Result<u64> {
    bytes_of(process, "VmHWM:")
}

/// Bytes that a process has of its own: what the kernel can't take back.
pub(super) fn anonymous_bytes(process: u32) -> Result<u64> {
    bytes_of(process, "RssAnon:")
}

fn bytes_of(process: u32, field: &str) -> Result<u64> {
    let file = Path::new("/proc").join(process.to_string()).join("status");
    let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
    parse(&text, field).with_context(|| format!("{} has no {field}", file.display()))
}

fn parse(status: &str, field: &str) -> Option<u64> {
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(field))?.trim().strip_suffix(" kB")?;
    Some(kilobytes.parse::<u64>().ok()? << 10)
}

/// A control group around one process, whose pages of files count to it too. It goes when this is dropped, which is to be after
/// the process.
#[derive(Debug)]
pub(super) struct Cage {
    folder: PathBuf,
    limit: PathBuf,
    none: &'static str,
}

impl Cage {
    /// None where the kernel, or whoever owns its control groups, gives us none.
    pub(super) fn around(process: u32, bytes: u64) -> Option<Self> {
        VERSIONS.iter().find_map(|version| Self::of(version, process, bytes))
    }

    fn of(version: &Version, process: u32, bytes: u64) -> Option<Self> {
        let folder = Path::new(version.root).join(format!("cairn-bench-{process}"));
        fs::create_dir(&folder).ok()?;
        let cage = Self { limit: folder.join(version.limit), none: version.none, folder };
        set(&cage.limit, &bytes.to_string()).ok()?;
        let _ = set(&cage.folder.join(version.swap), "0");
        set(&cage.folder.join("cgroup.procs"), &process.to_string()).ok()?;
        Some(cage)
    }

    /// The process may use what it likes from now on, and so may the kernel for its files.
    pub(super) fn lift(&self) -> Result<()> {
        set(&self.limit, self.none)
    }
}

/// Of a file that the kernel has made: where it has none, this is no place of control groups.
fn set(file: &Path, value: &str) -> Result<()> {
    let write = || OpenOptions::new().write(true).open(file)?.write_all(value.as_bytes());
    write().with_context(|| format!("failed to write {}", file.display()))
}

impl Drop for Cage {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_kilobytes() {
        let status = "Name:\ta b\nVmHWM:\t   20480 kB\nRssAnon:\t     512 kB\n";
        assert_eq!((parse(status, "VmHWM:"), parse(status, "RssAnon:")), (Some(20 << 20), Some(512 << 10)));
        assert_eq!(parse(status, "VmSwap:"), None);
    }

    #[test]
    fn a_process_had_at_least_what_it_has() {
        let process = std::process::id();
        assert!(peak_bytes(process).unwrap() >= anonymous_bytes(process).unwrap());
    }
}
