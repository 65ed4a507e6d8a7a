//! The memory that this process may use.

/// Where a container's kernel tells it.
const LIMIT_FILE: &str = "/sys/fs/cgroup/memory.max";

/// How much memory a process plans with.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct MemoryArguments {
    /// Memory to plan with, in bytes: the container's limit, unless it is given.
    #[arg(long = "memory-limit", env = "CAIRN_MEMORY_LIMIT", value_name = "BYTES")]
    bytes: Option<u64>,
}

impl MemoryArguments {
    /// None where nothing limits it, or nobody says.
    pub(crate) fn limit_bytes(self) -> Option<u64> {
        self.bytes.or_else(limit_bytes)
    }
}

/// What the container's kernel says; none where nothing limits it, or nobody says.
pub(crate) fn limit_bytes() -> Option<u64> {
    std::fs::read_to_string(LIMIT_FILE).ok()?.trim().parse().ok()
}
