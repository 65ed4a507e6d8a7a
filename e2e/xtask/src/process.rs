//! Runs programs, each in a process group of its own, and ends them and what was set up when the task is interrupted.

use anyhow::{Context, Result, anyhow, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

type Cleanup = Box<dyn FnOnce() + Send>;

static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
static CLEANUPS: Mutex<BTreeMap<u64, Cleanup>> = Mutex::new(BTreeMap::new());
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on Ctrl-C, SIGTERM and SIGHUP end what runs, undo what was set up, and then end the task.
pub(crate) fn watch_signals() {
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
        eprintln!("warning: failed to watch for signals: after Ctrl-C, clean up by hand");
        return;
    };
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            INTERRUPTED.store(true, Ordering::SeqCst);
            eprintln!("\ninterrupted: cleaning up");
            end_groups("-TERM");
            thread::sleep(Duration::from_secs(1));
            end_groups("-KILL");
            let cleanups = std::mem::take(&mut *lock(&CLEANUPS));
            cleanups.into_values().rev().for_each(|cleanup| cleanup());
            std::process::exit(130);
        }
    });
}

fn end_groups(signal: &str) {
    for group in lock(&RUNNING).iter() {
        let _ = Command::new("kill").args([signal, "--", &format!("-{group}")]).stderr(Stdio::null()).status();
    }
}

/// Undoes something when dropped, or when the task is interrupted.
#[derive(Debug)]
#[must_use]
pub(crate) struct Undo(u64);

impl Undo {
    pub(crate) fn new(cleanup: impl FnOnce() + Send + 'static) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::SeqCst);
        lock(&CLEANUPS).insert(id, Box::new(cleanup));
        Self(id)
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let cleanup = lock(&CLEANUPS).remove(&self.0);
        if let Some(cleanup) = cleanup {
            cleanup();
        }
    }
}

/// A program under way; killed with its whole group when dropped.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("failed to start {}", describe(command)))?;
        lock(&RUNNING).insert(child.id());
        Ok(Self(child))
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.0.wait();
        lock(&RUNNING).remove(&self.0.id());
        while INTERRUPTED.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_secs(1)); // the signals' thread ends the process
        }
        Ok(status?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if lock(&RUNNING).remove(&self.0.id()) {
            let _ =
                Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).stderr(Stdio::null()).status();
            let _ = self.0.wait();
        }
    }
}

/// The command as one would type it, without its environment.
pub(crate) fn describe(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let _ = write!(text, " {}", argument.to_string_lossy());
    }
    text
}

/// How programs are run for what is made beside the part that is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside {
    /// Added to our own: 0 to 19.
    pub(crate) niceness: u8,
    /// For each program, in whole seconds; it is killed then, with all that it started.
    pub(crate) limit: Duration,
}

thread_local! {
    static BESIDE: Cell<Option<Beside>> = const { Cell::new(None) };
}

/// Has [`run`] and [`output`] run programs so in `work`, on this thread; neither prints anything meanwhile.
pub(crate) fn beside<T>(how: Beside, work: impl FnOnce() -> T) -> T {
    let before = BESIDE.replace(Some(how));
    let done = work();
    BESIDE.set(before);
    done
}

/// The command under coreutils' `timeout` and `nice`.
fn limited(command: &Command, how: Beside) -> Command {
    let mut limited = Command::new("timeout");
    limited.arg("--kill-after=10").arg(how.limit.as_secs().to_string());
    limited.args(["nice", "-n"]).arg(how.niceness.to_string());
    limited.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited
}

fn check(command: &Command, status: ExitStatus) -> Result<()> {
    /// What `timeout` exits with when the time is over, unless it had to kill: then it is killed with the rest.
    const ENDED: i32 = 124;
    if let Some(how) = BESIDE.get().filter(|_| status.code() == Some(ENDED)) {
        bail!("{} did not end within {} s", describe(command), how.limit.as_secs());
    }
    if !status.success() {
        bail!("{} failed ({status})", describe(command));
    }
    Ok(())
}

/// Runs to the end, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    if BESIDE.get().is_some() {
        return output(command).map(drop);
    }
    let status = Running::start(command)?.wait()?;
    check(command, status)
}

/// Runs to the end and gives what it printed on standard output; all that it printed goes into the error, behind its first line.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let mut limited = BESIDE.get().map(|how| limited(command, how));
    let started = limited.as_mut().unwrap_or(&mut *command);
    let mut running = Running::start(started.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let stderr = running.0.stderr.take();
    let errors = thread::spawn(move || stderr.map(std::io::read_to_string));
    let text = running.0.stdout.take().map(std::io::read_to_string).transpose()?.unwrap_or_default();
    let status = running.wait()?;
    let errors = errors.join().ok().flatten().transpose()?.unwrap_or_default();
    check(command, status).map_err(|error| match format!("{text}{errors}").trim() {
        "" => error,
        printed => anyhow!("{error}\n{printed}"),
    })?;
    Ok(text)
}

/// Runs to the end, shows its standard output and hands each line of it to `line`.
pub(crate) fn stream(command: &mut Command, mut line: impl FnMut(&str)) -> Result<ExitStatus> {
    read_lines(command, |text| {
        println!("{text}");
        line(text);
    })
}

/// Runs to the end and hands each line of its standard output to `line`.
pub(crate) fn read_lines(command: &mut Command, mut line: impl FnMut(&str)) -> Result<ExitStatus> {
    let mut running = Running::start(command.stdout(Stdio::piped()))?;
    if let Some(stdout) = running.0.stdout.take() {
        for text in BufReader::new(stdout).lines() {
            line(&text?);
        }
    }
    running.wait()
}

/// For clean-up: runs to the end also after an interruption, and ignores failure.
pub(crate) fn attempt(command: &mut Command) {
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).status();
}

/// Whether a program of that name can be found.
pub(crate) fn exists(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
