//! What parts need, made ahead of them and beside the parts before: downloads, tools, the release build. Each lane makes its steps in their
//! order, one at a time; what they print is shown only if they fail, and what fails is told by its name, by the part that needs it or at the end.

use crate::{
    process::{self, Beside},
    report::Report,
};
use anyhow::{Context, Error, Result, anyhow, bail};
use std::{
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Waits for the network more than it computes: packages of other languages, and what is built of them.
    Packages,
    /// Computes on all cores.
    Builds,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) lane: Lane,
    /// The parts that need it; without any of them it is not made.
    pub(crate) parts: &'static [&'static str],
    /// How its programs give way to those of the parts, and how long one may take.
    pub(crate) beside: Beside,
    /// An error of it is a failure, but for one marked as [`Unavailable`].
    pub(crate) make: fn() -> Result<()>,
}

/// Marks an error as the fault of the machine or the network: what needs the step is skipped, and nothing fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unavailable;

impl fmt::Display for Unavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("it can't be had")
    }
}

/// The steps of a run.
#[derive(Debug)]
pub(crate) struct Ahead(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    steps: Mutex<BTreeMap<&'static str, State>>,
    changed: Condvar,
}

#[derive(Debug)]
enum State {
    Pending,
    Ended { outcome: Result<(), String>, is_unavailable: bool, is_told: bool, took: Duration },
}

impl Shared {
    fn steps(&self) -> MutexGuard<'_, BTreeMap<&'static str, State>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while some of these steps have not ended.
    fn wait(&self, concerns: impl Fn(&str) -> bool) -> MutexGuard<'_, BTreeMap<&'static str, State>> {
        let is_pending = |steps: &mut BTreeMap<&'static str, State>| {
            steps.iter().any(|(name, state)| concerns(name) && matches!(state, State::Pending))
        };
        self.changed.wait_while(self.steps(), is_pending).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ahead {
    /// Begins with the steps that these parts need.
    pub(crate) fn start(steps: &[Step], parts: &[&str]) -> Self {
        let needed: Vec<Step> =
            steps.iter().copied().filter(|step| step.parts.iter().any(|part| parts.contains(part))).collect();
        let shared = Arc::new(Shared::default());
        shared.steps().extend(needed.iter().map(|step| (step.name, State::Pending)));
        for lane in [Lane::Packages, Lane::Builds] {
            let (of_lane, shared) =
                (needed.iter().copied().filter(|step| step.lane == lane).collect::<Vec<_>>(), Arc::clone(&shared));
            thread::spawn(move || {
                for step in of_lane {
                    let state = make(step);
                    shared.steps().insert(step.name, state);
                    shared.changed.notify_all();
                }
            });
        }
        Self(shared)
    }

    /// Waits for a step that a part can't do without.
    pub(crate) fn require(&self, step: &Step) -> Result<()> {
        self.end_of(step, |outcome, _| outcome)
    }

    /// Waits for a step; false where it can't be had, and `what` is skipped then.
    pub(crate) fn has(&self, step: &Step, report: &mut Report, what: &str) -> Result<bool> {
        self.end_of(step, |outcome, is_unavailable| match outcome {
            Err(error) if is_unavailable => {
                report.skip(what, &format!("{error:#}"));
                Ok(false)
            }
            outcome => outcome.map(|()| true),
        })
    }

    fn end_of<T>(&self, step: &Step, judge: impl FnOnce(Result<()>, bool) -> Result<T>) -> Result<T> {
        if matches!(self.0.steps().get(step.name), Some(State::Pending)) {
            println!("waiting for {}", step.name);
        }
        match self.0.wait(|name| name == step.name).get_mut(step.name) {
            Some(State::Ended { outcome, is_unavailable, is_told, .. }) => {
                *is_told = true;
                judge(outcome.clone().map_err(Error::msg).context(step.name), *is_unavailable)
            }
            _ => bail!("{} was not made ahead", step.name),
        }
    }

    /// Waits until nothing is under way: what measures has the machine for itself.
    pub(crate) fn wait(&self) {
        let pending = self.0.steps().values().filter(|state| matches!(state, State::Pending)).count();
        if pending > 0 {
            println!("waiting for {pending} steps beside it to end");
        }
        drop(self.0.wait(|_| true));
    }

    /// Waits for all that is under way, and tells of what failed that no part has told of, and how long all took.
    pub(crate) fn end(self, report: &mut Report) {
        for (name, state) in self.0.wait(|_| true).iter() {
            let State::Ended { outcome, is_unavailable, is_told, took } = state else { continue };
            report.beside(name, *took);
            match outcome {
                Err(error) if !is_told && *is_unavailable => report.skip(name, error),
                Err(error) if !is_told => report.fail(&format!("{name}: {error}")),
                _ => {}
            }
        }
    }
}

fn make(step: Step) -> State {
    println!("-- {}: begun beside", step.name);
    let start = now();
    let outcome = catch_unwind(AssertUnwindSafe(|| process::beside(step.beside, step.make)))
        .unwrap_or_else(|_| Err(anyhow!("it panicked")));
    let took = start.elapsed();
    let end = if outcome.is_ok() { "made" } else { "not made" };
    println!("-- {}: {end} beside, {:.1} s", step.name, took.as_secs_f64());
    let is_unavailable = outcome.as_ref().is_err_and(|error| error.is::<Unavailable>());
    State::Ended { outcome: outcome.map_err(|error| format!("{error:#}")), is_unavailable, is_told: false, took }
}

#[expect(clippy::disallowed_methods, reason = "how long a step took is for people to read")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const BESIDE: Beside = Beside { niceness: 1, limit: Duration::from_secs(60) };

    fn step(name: &'static str, lane: Lane, make: fn() -> Result<()>) -> Step {
        Step { name, lane, parts: &["part"], beside: BESIDE, make }
    }

    /// Given once, to whoever waits for it: for a minute.
    struct Signal(Mutex<bool>, Condvar);

    impl Signal {
        const fn new() -> Self {
            Self(Mutex::new(false), Condvar::new())
        }

        fn give(&self) {
            *self.0.lock().unwrap() = true;
            self.1.notify_all();
        }

        fn is_given(&self) -> bool {
            *self.0.lock().unwrap()
        }

        fn take(&self) -> Result<()> {
            let (given, _) =
                self.1.wait_timeout_while(self.0.lock().unwrap(), Duration::from_secs(60), |given| !*given).unwrap();
            anyhow::ensure!(*given, "nothing came");
            Ok(())
        }
    }

    #[test]
    fn lanes_work_side_by_side() {
        static FIRST: Signal = Signal::new();
        static SECOND: Signal = Signal::new();
        let packages = step("packages", Lane::Packages, || {
            FIRST.give();
            SECOND.take()
        });
        let builds = step("builds", Lane::Builds, || {
            SECOND.give();
            FIRST.take()
        });
        let ahead = Ahead::start(&[packages, builds], &["part"]);
        ahead.require(&packages).unwrap();
        ahead.require(&builds).unwrap();
    }

    #[test]
    fn a_lane_makes_one_step_at_a_time_in_their_order() {
        static ORDER: Mutex<Vec<&str>> = Mutex::new(Vec::new());
        let first = step("first", Lane::Builds, || {
            ORDER.lock().unwrap().push("first begins");
            thread::sleep(Duration::from_millis(20));
            ORDER.lock().unwrap().push("first ends");
            Ok(())
        });
        let second = step("second", Lane::Builds, || {
            ORDER.lock().unwrap().push("second");
            Ok(())
        });
        Ahead::start(&[first, second], &["part"]).wait();
        assert_eq!(*ORDER.lock().unwrap(), ["first begins", "first ends", "second"]);
    }

    #[test]
    fn a_part_waits_for_what_it_needs_alone_and_one_that_measures_for_everything() {
        static GO_ON: Signal = Signal::new();
        static IS_OVER: Signal = Signal::new();
        let soon = step("soon", Lane::Packages, || Ok(()));
        let later = step("later", Lane::Builds, || {
            GO_ON.take()?;
            IS_OVER.give();
            Ok(())
        });
        let ahead = Ahead::start(&[soon, later], &["part"]);
        ahead.require(&soon).unwrap();
        assert!(!IS_OVER.is_given());
        GO_ON.give();
        ahead.wait();
        assert!(IS_OVER.is_given());
    }

    #[test]
    fn what_no_part_of_the_run_needs_is_not_made() {
        static IS_MADE: Signal = Signal::new();
        let other = Step {
            parts: &["another"],
            ..step("other", Lane::Builds, || {
                IS_MADE.give();
                Ok(())
            })
        };
        let ahead = Ahead::start(&[other], &["part"]);
        ahead.wait();
        assert!(!IS_MADE.is_given());
        assert!(ahead.require(&other).is_err());
    }

    #[test]
    fn a_step_that_fails_fails_the_part_that_needs_it_and_names_itself() {
        let broken = step("the release build", Lane::Builds, || bail!("no space left"));
        let ahead = Ahead::start(&[broken], &["part"]);
        let mut report = Report::default();
        let error = ahead.has(&broken, &mut report, "a part").unwrap_err();
        assert_eq!(format!("{error:#}"), "the release build: no space left");
        ahead.end(&mut report);
        assert!(report.failures().is_empty(), "told twice: {report:?}");
    }

    #[test]
    fn a_step_that_fails_or_panics_fails_the_run_though_no_part_asked_for_it() {
        let broken = step("the release build", Lane::Builds, || bail!("no space left"));
        let panicking = step("the jars", Lane::Packages, || panic!("on purpose"));
        let mut report = Report::default();
        Ahead::start(&[broken, panicking], &["part"]).end(&mut report);
        assert_eq!(report.failures(), ["the jars: it panicked", "the release build: no space left"]);
        assert!(!report.end());
    }

    #[test]
    fn what_cant_be_had_is_skipped_and_fails_nothing() {
        let missing = step("dynoxide", Lane::Builds, || Err(anyhow!("there is no network").context(Unavailable)));
        let ahead = Ahead::start(&[missing], &["part"]);
        let mut report = Report::default();
        assert!(!ahead.has(&missing, &mut report, "answers beside dynoxide's").unwrap());
        assert_eq!(report.skipped(), ["answers beside dynoxide's: dynoxide: it can't be had: there is no network"]);
        assert!(ahead.require(&missing).is_err());
        ahead.end(&mut report);
        assert!(report.end());
    }

    #[test]
    fn programs_of_steps_give_way_are_ended_when_they_take_too_long_and_print_into_their_errors() {
        let patient = Beside { niceness: 7, limit: Duration::from_secs(60) };
        let (told, niceness) = mpsc::channel();
        process::beside(patient, || {
            let mut nice = std::process::Command::new("nice");
            told.send(process::output(&mut nice)?).map_err(Error::msg)
        })
        .unwrap();
        let own = process::output(&mut std::process::Command::new("nice")).unwrap();
        let given = |text: &str| text.trim().parse::<i32>().unwrap();
        assert_eq!(given(&niceness.recv().unwrap()), (given(&own) + 7).min(19));
        let short = Beside { limit: Duration::from_secs(1), ..patient };
        let error = process::beside(short, || process::run(std::process::Command::new("sleep").arg("60"))).unwrap_err();
        assert_eq!(format!("{error:#}"), "sleep 60 did not end within 1 s");
        let mut failing = std::process::Command::new("sh");
        failing.args(["-c", "echo told; echo why >&2; exit 3"]);
        let error = process::beside(patient, || process::run(&mut failing)).unwrap_err().to_string();
        assert_eq!(error.lines().skip(1).collect::<Vec<_>>(), ["told", "why"], "{error}");
        // A program of it was killed by somebody else: for the memory it took, say.
        let mut killed = std::process::Command::new("sh");
        killed.args(["-c", "exit 137"]);
        let error = process::beside(short, || process::run(&mut killed)).unwrap_err().to_string();
        assert_eq!(error, "sh -c exit 137 failed (exit status: 137)");
    }
}
