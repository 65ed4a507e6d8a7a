//! What one input may cost.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Bounds for one input, in a build without optimisation.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest input that is made.
    pub input_bytes_max: usize,
    /// What may be allocated at one moment, whatever the input.
    pub memory_bytes: usize,
    /// And for each byte of it.
    pub memory_bytes_per_byte: usize,
    /// How long the thread may work on it, whatever else the machine does.
    pub work: Duration,
}

impl Limits {
    /// What is wrong with a cost, if anything is.
    pub(crate) fn exceeded(&self, input: usize, memory_bytes: usize, work: Duration) -> Option<String> {
        let memory_max = self.memory_bytes + self.memory_bytes_per_byte * input;
        if memory_bytes > memory_max {
            return Some(format!("it took {memory_bytes} bytes of memory; {memory_max} were allowed"));
        }
        (work > self.work).then(|| format!("it took {work:?} of work; {:?} were allowed", self.work))
    }
}

/// How long this thread has worked.
pub(crate) fn thread_work() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_may_grow_with_the_input_and_work_may_not() {
        let limits =
            Limits { input_bytes_max: 9, memory_bytes: 100, memory_bytes_per_byte: 2, work: Duration::from_millis(5) };
        assert_eq!(limits.exceeded(10, 120, Duration::from_millis(5)), None);
        assert!(limits.exceeded(10, 121, Duration::ZERO).unwrap().contains("121 bytes"));
        assert!(limits.exceeded(1_000, 0, Duration::from_millis(6)).unwrap().contains("6ms"));
    }
}
