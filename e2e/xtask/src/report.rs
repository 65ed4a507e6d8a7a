//! What passed, what failed and what was skipped, part by part, with the time each took.

use anyhow::Result;
use std::time::{Duration, Instant};

/// The tally of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    passed: u64,
    failed: u64,
    failures: Vec<String>,
    skipped: Vec<String>,
    times: Vec<(String, Duration)>,
    beside: Vec<(String, Duration)>,
}

impl Report {
    /// Runs one part: prints its name, then its time. An error of it is one failure.
    pub(crate) fn part(&mut self, name: &str, run: impl FnOnce(&mut Self) -> Result<()>) {
        println!("\n== {name}");
        let start = now();
        if let Err(error) = run(self) {
            self.fail(&format!("{name}: {error:#}"));
        }
        let took = start.elapsed();
        println!("== {name}: {:.1} s", took.as_secs_f64());
        self.times.push((name.to_owned(), took));
    }

    pub(crate) fn pass(&mut self, count: u64) {
        self.passed += count;
    }

    pub(crate) fn fail(&mut self, what: &str) {
        println!("FAILED: {what}");
        self.failed += 1;
        self.failures.push(what.lines().next().unwrap_or_default().to_owned());
    }

    pub(crate) fn skip(&mut self, what: &str, why: &str) {
        println!("skipped {what}: {why}");
        self.skipped.push(format!("{what}: {}", why.lines().next().unwrap_or_default()));
    }

    /// What was made beside the parts, and how long it took.
    pub(crate) fn beside(&mut self, name: &str, took: Duration) {
        self.beside.push((name.to_owned(), took));
    }

    /// Counts a line such as `test result: ok. 12 passed; 0 failed; 1 ignored; …`, of cargo's tests or of the e2e suite.
    pub(crate) fn count(&mut self, line: &str) {
        let Some(result) = line.trim().strip_prefix("test result: ") else { return };
        let number = |unit: &str| {
            let before = result.split(unit).next().filter(|before| before.len() < result.len())?;
            before.trim().rsplit(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
        };
        self.passed += number(" passed").unwrap_or(0);
        self.failed += number(" failed").unwrap_or(0);
    }

    /// Prints the summary; true when nothing failed.
    pub(crate) fn end(self) -> bool {
        println!("\n== summary");
        for (name, took) in &self.times {
            println!("{:>8.1} s  {name}", took.as_secs_f64());
        }
        for (name, took) in &self.beside {
            println!("{:>8.1} s  beside: {name}", took.as_secs_f64());
        }
        for skipped in &self.skipped {
            println!("skipped {skipped}");
        }
        for failure in &self.failures {
            println!("FAILED: {failure}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0
    }

    #[cfg(test)]
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    #[cfg(test)]
    pub(crate) fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a part took is for people to read")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_line_of_cargo_is_counted() {
        let mut report = Report::default();
        report.count(
            "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s",
        );
        report.count("test a_result ... ok");
        assert_eq!((report.passed, report.failed), (12, 3));
    }
}
