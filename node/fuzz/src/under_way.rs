//! The input under way, in a file: an input that overflows the stack or never ends takes the process with it, and is found there.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// How long one input may be under way, whatever else the machine does.
const PATIENCE: Duration = Duration::from_secs(60);

/// The file, which goes when this is dropped, and a thread that ends a process that hangs.
#[derive(Debug)]
pub(crate) struct UnderWay {
    path: PathBuf,
    /// Kept open: file systems may wait for the disk when a file that is written anew is closed.
    file: File,
    length: usize,
    begun: Arc<AtomicU64>,
    waiting: Arc<AtomicBool>,
    _end: mpsc::Sender<()>,
}

impl UnderWay {
    /// And the input at which the last process ended, if it did.
    pub(crate) fn new(path: PathBuf) -> io::Result<(Self, Option<Vec<u8>>)> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let left = fs::read(&path).ok();
        let file = File::create(&path)?;
        let (begun, waiting) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (end, ended) = mpsc::channel();
        let (own, counted, idle) = (path.clone(), begun.clone(), waiting.clone());
        thread::spawn(move || {
            let mut last = u64::MAX;
            while ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let now = counted.load(Ordering::Relaxed);
                if now == last && !idle.load(Ordering::Relaxed) {
                    eprintln!("an input hangs: it is in {}, and the next run begins with it", own.display());
                    std::process::abort();
                }
                last = now;
            }
        });
        Ok((Self { path, file, length: 0, begun, waiting, _end: end }, left))
    }

    pub(crate) fn begin(&mut self, input: &[u8]) -> io::Result<()> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.file.write_all_at(input, 0)?;
        if input.len() < self.length {
            self.file.set_len(input.len() as u64)?;
        }
        self.length = input.len();
        Ok(())
    }

    /// Nothing is under way for now.
    pub(crate) fn pause(&self) {
        self.waiting.store(true, Ordering::Relaxed);
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_that_took_the_process_with_it_is_there_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some/input");
        let (mut first, left) = UnderWay::new(path.clone()).unwrap();
        assert_eq!(left, None);
        first.begin(b"bad").unwrap();
        std::mem::forget(first);
        let (second, left) = UnderWay::new(path.clone()).unwrap();
        assert_eq!(left.as_deref(), Some(b"bad".as_slice()));
        drop(second);
        assert_eq!(UnderWay::new(path).unwrap().1, None);
    }
}
