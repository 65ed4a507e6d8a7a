//! Threads that read: the engine blocks, and async workers must not.
//!
//! To hand each read to a thread of its own, to wake that and to be woken by it, costs more than the read, which mostly finds
//! what it looks for in memory. So one thread takes them, one after the other for as long as some wait, and others join it where
//! more come than it can take, up to one a core, or while those at work do not get on, because the disk keeps them waiting. Before
//! it sleeps it lets others run a few times, for mostly they bring it more.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::sync::oneshot;

/// Threads that stay, also where there is only one core, and how many there are at most.
const THREADS_MIN: usize = 2;
const THREADS_MAX: usize = 64;
/// Reads that may wait for each thread at work before another one joins.
const BACKLOG: usize = 32;
/// Reads that wait for a thread.
const QUEUE_MAX: usize = 16_384;
/// How often it is looked whether those at work get on, and how often in vain before the looking stops until the next read.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);
const QUIET_LOOKS: u32 = 100;
/// How often a thread without work gives the processor away before it sleeps.
const YIELDS: u32 = 32;
/// A thread above the least number ends after that long without work.
const IDLE_MAX: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// Dropped, the threads end when they have done what was asked for.
#[derive(Debug)]
pub(super) struct Readers(Arc<Shared>);

/// Why a read has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Too many wait.
    Overloaded,
    /// It panicked.
    Broken,
}

struct Shared {
    /// Threads that stay: as many as can compute at a time.
    least: usize,
    state: Mutex<State>,
    /// How many jobs there are, for who does not want to lock the state to see it.
    waiting: AtomicUsize,
    work: Condvar,
    watch: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Jobs taken since the beginning.
    taken: u64,
    threads: usize,
    /// Threads at work, or called to it.
    awake: usize,
    /// Calls that no thread has followed yet.
    calls: usize,
    /// Somebody looks whether those at work get on.
    watched: bool,
    ended: bool,
}

impl Readers {
    pub(super) fn start() -> io::Result<Self> {
        let least = thread::available_parallelism().map_or(THREADS_MIN, usize::from).clamp(THREADS_MIN, THREADS_MAX);
        let shared = Arc::new(Shared::new(least));
        let readers = Self(shared.clone());
        for _ in 0..least {
            shared.spawn(&mut shared.state.lock())?;
        }
        thread::Builder::new().name("cairn-read-watch".into()).spawn(move || shared.watch())?;
        Ok(readers)
    }

    pub(super) async fn read<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> Result<T, Unread> {
        let (sender, receiver) = oneshot::channel();
        self.push(Box::new(move || {
            // Nobody may wait for it any more.
            if !sender.is_closed() {
                let _ = sender.send(read());
            }
        }))?;
        receiver.await.map_err(|_| Unread::Broken)
    }

    fn push(&self, job: Job) -> Result<(), Unread> {
        let mut state = self.0.state.lock();
        if state.jobs.len() >= QUEUE_MAX {
            return Err(Unread::Overloaded);
        }
        state.jobs.push_back(job);
        self.0.waiting.store(state.jobs.len(), Ordering::Relaxed);
        if state.awake == 0 || (state.awake < self.0.least && state.jobs.len() > BACKLOG * state.awake) {
            self.0.call(&mut state);
        }
        if !state.watched {
            state.watched = true;
            self.0.watch.notify_one();
        }
        Ok(())
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.0.state.lock().ended = true;
        self.0.work.notify_all();
        self.0.watch.notify_one();
    }
}

impl Shared {
    fn new(least: usize) -> Self {
        Self {
            least,
            state: Mutex::default(),
            waiting: AtomicUsize::new(0),
            work: Condvar::new(),
            watch: Condvar::new(),
        }
    }

    fn spawn(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let shared = self.clone();
        thread::Builder::new().name("cairn-read".into()).spawn(move || shared.work())?;
        state.threads += 1;
        Ok(())
    }

    /// One more thread goes to work, if there is one that does not.
    fn call(&self, state: &mut State) -> bool {
        let is_there = state.awake < state.threads;
        if is_there {
            state.awake += 1;
            state.calls += 1;
            self.work.notify_one();
        }
        is_there
    }

    fn work(&self) {
        let mut state = self.state.lock();
        while self.await_call(&mut state) {
            while let Some(job) = self.next(&mut state) {
                state.taken += 1;
                MutexGuard::unlocked(&mut state, || {
                    if catch_unwind(AssertUnwindSafe(job)).is_err() {
                        tracing::error!("a read panicked");
                    }
                });
            }
            state.awake -= 1;
        }
        state.threads -= 1;
    }

    /// The next job, where there is one, or soon will be.
    fn next(&self, state: &mut MutexGuard<'_, State>) -> Option<Job> {
        // Where several are at work the others have seen to what is there.
        if state.jobs.is_empty() && state.awake == 1 {
            MutexGuard::unlocked(state, || {
                (0..YIELDS).take_while(|_| self.waiting.load(Ordering::Relaxed) == 0).for_each(|_| thread::yield_now());
            });
        }
        let job = state.jobs.pop_front();
        self.waiting.store(state.jobs.len(), Ordering::Relaxed);
        job
    }

    /// False where the thread is to end.
    fn await_call(&self, state: &mut MutexGuard<'_, State>) -> bool {
        while state.calls == 0 {
            if state.ended {
                return false;
            }
            let is_idle = self.work.wait_for(state, IDLE_MAX).timed_out();
            if is_idle && state.calls == 0 && state.threads - state.awake > self.least {
                return false;
            }
        }
        state.calls -= 1;
        true
    }

    /// Sees to it that no read waits long for those at work.
    fn watch(self: Arc<Self>) {
        let mut state = self.state.lock();
        while !state.ended {
            if !state.watched {
                self.watch.wait(&mut state);
                continue;
            }
            let (mut taken, mut quiet) = (state.taken, 0);
            while quiet < QUIET_LOOKS && !state.ended {
                self.watch.wait_for(&mut state, LOOK_INTERVAL);
                let got_on = state.taken != taken;
                taken = state.taken;
                if state.jobs.is_empty() {
                    quiet = if got_on { 0 } else { quiet + 1 };
                    continue;
                }
                quiet = 0;
                if got_on || self.call(&mut state) || state.threads >= THREADS_MAX {
                    continue;
                }
                match self.spawn(&mut state) {
                    Ok(()) => drop(self.call(&mut state)),
                    Err(error) => tracing::warn!(%error, "failed to start another thread that reads"),
                }
            }
            state.watched = false;
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("threads", &self.state.lock().threads).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn every_read_is_done_once() {
        let readers = Arc::new(Readers::start().unwrap());
        let mut all: Vec<u64> = Vec::new();
        for round in 0..100 {
            let read = |n: u64| {
                let readers = readers.clone();
                tokio::spawn(async move { readers.read(move || round * 100 + n).await })
            };
            for read in (0..100).map(read).collect::<Vec<_>>() {
                all.push(read.await.unwrap().unwrap());
            }
        }
        assert!(all.into_iter().eq(0..10_000));
    }

    #[tokio::test]
    async fn reads_that_the_disk_keeps_waiting_hold_up_no_others() {
        let readers = Arc::new(Readers::start().unwrap());
        let slow: Vec<_> = (0..10)
            .map(|_| {
                let (end, ended) = mpsc::channel::<()>();
                let readers = readers.clone();
                (end, tokio::spawn(async move { readers.read(move || ended.recv()).await }))
            })
            .collect();
        // All of the slow ones are there first.
        while readers.0.state.lock().taken < slow.len() as u64 {
            tokio::time::timeout(PATIENCE, tokio::task::yield_now()).await.unwrap();
        }
        assert_eq!(tokio::time::timeout(PATIENCE, readers.read(|| 5)).await.unwrap(), Ok(5));
        for (end, read) in slow {
            end.send(()).unwrap();
            assert_eq!(read.await.unwrap(), Ok(Ok(())));
        }
    }

    #[test]
    fn more_reads_than_one_thread_can_take_are_read_by_several() {
        let readers = Readers::start().unwrap();
        let (done, is_done) = mpsc::channel();
        // Each is soon over, so that whoever looks whether they get on sees that they do.
        let read = || {
            let done = done.clone();
            Box::new(move || {
                thread::sleep(Duration::from_micros(200));
                done.send(thread::current().id()).unwrap();
            })
        };
        (0..1_000).for_each(|_| readers.push(read()).unwrap());
        drop(done);
        let threads: std::collections::HashSet<_> = is_done.iter().collect();
        assert!(threads.len() > 1, "{threads:?}");
    }

    #[tokio::test]
    async fn a_read_that_panics_fails_and_the_next_is_done() {
        let readers = Readers::start().unwrap();
        assert_eq!(readers.read(|| panic!("as it should")).await, Err::<(), _>(Unread::Broken));
        assert_eq!(readers.read(|| 5).await, Ok(5));
    }

    #[tokio::test]
    async fn what_was_asked_for_is_done_before_the_threads_end() {
        let readers = Readers::start().unwrap();
        let (shared, (done, is_done)) = (readers.0.clone(), mpsc::channel());
        for n in 0..100 {
            let done = done.clone();
            readers.push(Box::new(move || done.send(n).unwrap())).unwrap();
        }
        drop((readers, done));
        assert_eq!(is_done.iter().count(), 100);
        let ended = async {
            while shared.state.lock().threads > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap();
    }
}
