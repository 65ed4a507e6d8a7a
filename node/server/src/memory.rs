//! The memory that this process may use.

/// Where a container's kernel tells it.
const LIMIT_FILE: &str = "/sys/fs/cgroup/memory.max";

/// None where nothing limits it, or nobody says.
pub(crate) fn limit_bytes() -> Option<u64> {
    std::fs::read_to_string(LIMIT_FILE).ok()?.trim().parse().ok()
}
