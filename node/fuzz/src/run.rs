//! One run: the corpus, then mutations of it until the time is over.

use crate::{
    Corpus, Limits, limits::thread_work, memory, mutator::Mutator, outcome::Kinds, panics::caught, under_way::UnderWay,
};
use std::{
    env,
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// As a worker of the service has.
const STACK_BYTES: usize = 2 << 20;
const DURATION: Duration = Duration::from_secs(3);
/// How often an input that fails is tried with less of it.
const SHORTENINGS_MAX: usize = 2_000;

/// What is run, and within which limits.
#[derive(Debug)]
pub struct Fuzz {
    corpus: Corpus,
    limits: Limits,
    /// Where the input under way is kept (`CARGO_TARGET_TMPDIR` of the test).
    folder: PathBuf,
}

/// What the environment says of a run.
struct Plan {
    seed: u64,
    duration: Duration,
}

impl Plan {
    fn of_environment() -> Self {
        let number = |name| {
            env::var(name)
                .ok()
                .map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
        };
        Self {
            seed: number("CAIRN_FUZZ_SEED").unwrap_or_else(|| RandomState::new().hash_one(0)),
            duration: number("CAIRN_FUZZ_SECONDS").map_or(DURATION, Duration::from_secs),
        }
    }
}

impl Fuzz {
    pub fn new(corpus: Corpus, limits: Limits, folder: impl Into<PathBuf>) -> Self {
        Self { corpus, limits, folder: folder.into() }
    }

    /// Has `check` look at each input: it panics where something is wrong, and gives what came of the input, in words.
    ///
    /// It runs on a thread with the stack of a worker. The first input that fails ends the run, and is kept.
    pub fn run(self, name: &str, check: impl FnMut(&[u8]) -> String + Send) {
        thread::scope(|scope| {
            let run = thread::Builder::new()
                .name(name.to_owned())
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, || self.run_here(name, Plan::of_environment(), check));
            if let Err(panic) = run.unwrap_or_else(|error| panic!("failed to start a thread: {error}")).join() {
                std::panic::resume_unwind(panic);
            }
        });
    }

    fn run_here(&self, name: &str, plan: Plan, mut check: impl FnMut(&[u8]) -> String) {
        println!("{name}: CAIRN_FUZZ_SEED={} for {:?}", plan.seed, plan.duration);
        let (mut under_way, left) = UnderWay::new(self.folder.join(format!("{name}.input")))
            .unwrap_or_else(|error| panic!("failed to keep inputs in {}: {error}", self.folder.display()));
        let mut first: Vec<Vec<u8>> = self.corpus.inputs().to_vec();
        assert!(!first.is_empty(), "there is no input in {}", self.corpus.folder().display());
        let mut mutator = Mutator::new(plan.seed, first.clone(), self.limits.input_bytes_max);
        if let Some(left) = left {
            println!("{name}: the last process ended within an input of {} bytes: it comes first", left.len());
            first.insert(0, left);
        }
        let mut kinds = Kinds::default();
        let mut count = 0_u64;
        let mut first = first.into_iter();
        let end = now() + plan.duration;
        loop {
            let input = match first.next() {
                Some(input) => input,
                None if now() >= end => break,
                None => mutator.next(),
            };
            under_way.begin(&input).unwrap_or_else(|error| {
                panic!("failed to write {}: {error}", under_way.path().display());
            });
            match self.attempt(&input, &mut check) {
                Ok(outcome) if kinds.is_new(&outcome) => mutator.remember(&input),
                Ok(_) => {}
                Err(problem) => {
                    under_way.pause();
                    self.fail(name, plan.seed, &input, &problem, &mut check)
                }
            }
            count += 1;
        }
        println!("{name}: {count} inputs, {} kinds of outcomes", kinds.count());
    }

    /// What came of the input, or what is wrong.
    fn attempt(&self, input: &[u8], check: &mut impl FnMut(&[u8]) -> String) -> Result<String, String> {
        let before = thread_work();
        let (outcome, memory_bytes) = memory::peak_of(|| caught(|| check(input)));
        let work = thread_work() - before;
        let outcome = outcome?;
        self.limits.exceeded(input.len(), memory_bytes, work).map_or(Ok(outcome), Err)
    }

    fn fail(&self, name: &str, seed: u64, input: &[u8], problem: &str, check: &mut impl FnMut(&[u8]) -> String) -> ! {
        let short = self.shortened(input, check);
        let kept = match self.corpus.keep(&short) {
            Ok(path) => format!("kept as {}", path.display()),
            Err(error) => format!("not kept in {}: {error}", self.corpus.folder().display()),
        };
        panic!(
            "{name}, seed {seed}: an input of {} bytes fails ({} of them are enough, {kept}): {problem}\n{}",
            input.len(),
            short.len(),
            short.escape_ascii()
        );
    }

    /// The input without what it fails without, too.
    fn shortened(&self, input: &[u8], check: &mut impl FnMut(&[u8]) -> String) -> Vec<u8> {
        let mut input = input.to_vec();
        let mut attempts = 0;
        let mut length = input.len() / 2;
        while length > 0 {
            let mut start = 0;
            while start < input.len() && attempts < SHORTENINGS_MAX {
                attempts += 1;
                let mut shorter = input.clone();
                shorter.drain(start..(start + length).min(input.len()));
                if self.attempt(&shorter, check).is_err() {
                    input = shorter;
                } else {
                    start += length;
                }
            }
            length /= 2;
        }
        input
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a run goes on is no part of what it does")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const LIMITS: Limits = Limits {
        input_bytes_max: 100,
        memory_bytes: 1 << 20,
        memory_bytes_per_byte: 100,
        work: Duration::from_secs(1),
    };

    fn run(folder: &tempfile::TempDir, check: impl FnMut(&[u8]) -> String + Send) -> Result<(), String> {
        let fuzz = Fuzz::new(Corpus::read(folder.path()).unwrap(), LIMITS, folder.path().join("under-way"));
        let plan = Plan { seed: 1, duration: Duration::from_millis(300) };
        thread::scope(|scope| {
            let run = scope.spawn(|| fuzz.run_here("test", plan, check));
            run.join().map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
        })
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("seeds.txt"), "abc\nxyz\n").unwrap();
        folder
    }

    #[test]
    fn an_input_that_fails_is_shortened_and_begins_the_next_run() {
        let folder = folder();
        let check = |input: &[u8]| {
            assert!(!input.windows(2).any(|pair| pair == b"cx"), "c before x");
            String::new()
        };
        let problem = run(&folder, check).unwrap_err();
        assert!(problem.contains("seed 1") && problem.contains("c before x") && problem.ends_with("cx"), "{problem}");
        fs::remove_dir_all(folder.path().join("under-way")).unwrap();
        let mut seen = Vec::new();
        run(&folder, |input| {
            seen.push(input.to_vec());
            String::new()
        })
        .unwrap();
        assert!(seen[..3].contains(&b"cx".to_vec()));
    }

    #[test]
    fn an_input_that_takes_too_much_memory_fails() {
        let problem = run(&folder(), |input| {
            drop(vec![0_u8; input.len() << 20]);
            String::new()
        });
        assert!(problem.unwrap_err().contains("bytes of memory"));
    }

    #[test]
    fn outcomes_of_a_new_kind_lead_further() {
        // Letter by letter: by chance alone it would take far longer.
        let mut deepest = 0;
        run(&folder(), |input| {
            let matched = b"abcabcabcabc".iter().zip(input).take_while(|(wanted, found)| wanted == found).count();
            deepest = deepest.max(matched);
            "x".repeat(matched)
        })
        .unwrap();
        assert!(deepest >= 9, "{deepest}");
    }
}
