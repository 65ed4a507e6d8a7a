//! How long processors worked: for a process, or for the thread that asks.

use anyhow::{Context, Result};
use std::{fs, path::Path};

/// In which `/proc` counts; Linux shows every program the same.
const TICKS_PER_SECOND: f64 = 100.0;
/// Of `/proc/PID/stat`, behind the name of the program: user and system time.
const TIMES: [usize; 2] = [11, 12];

/// Seconds that the threads of a process worked so far, those that ended among them.
pub(super) fn seconds_of(process: u32) -> Result<f64> {
    seconds(&Path::new("/proc").join(process.to_string()).join("stat"))
}

/// Seconds that this thread worked so far.
pub(super) fn seconds_of_this_thread() -> Result<f64> {
    seconds(Path::new("/proc/thread-self/stat"))
}

fn seconds(stat: &Path) -> Result<f64> {
    let text = fs::read_to_string(stat).with_context(|| format!("failed to read {}", stat.display()))?;
    ticks(&text)
        .map(|ticks| ticks / TICKS_PER_SECOND)
        .with_context(|| format!("{} has no times: {text}", stat.display()))
}

fn ticks(stat: &str) -> Option<f64> {
    // The name, in brackets, may have spaces and brackets itself.
    let (_, behind_name) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = behind_name.split_ascii_whitespace().collect();
    TIMES.iter().map(|at| fields.get(*at)?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_found_behind_any_name() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 3 0 250 17 0 0 20 0 9 0 1234 1000000 100";
        assert_eq!(ticks(stat), Some(267.0));
        assert_eq!(ticks("42 (cut"), None);
    }

    #[test]
    fn a_thread_that_works_has_worked() {
        let before = seconds_of_this_thread().unwrap();
        let mut sum = 0_u64;
        while seconds_of_this_thread().unwrap() < before + 0.02 {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(sum > 0 && seconds_of(std::process::id()).unwrap() > 0.0);
    }
}
