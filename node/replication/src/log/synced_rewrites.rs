//! The file system under raft-engine, which makes each batch of the rewrite queue durable before the next one.
//!
//! raft-engine 0.4 rewrites what old files still hold in several batches and syncs once, after the last. A power cut in
//! between could lose one batch and spare one behind it, which is what damage looks like, not a torn write.

use raft_engine::env::{DefaultFileSystem, FileSystem, Handle, Permission, WriteExt};
use std::{
    io::{Result, Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
};

#[derive(Debug)]
pub(super) struct SyncedRewrites<F = DefaultFileSystem>(pub(super) F);

/// An open file, and whether it is of the rewrite queue.
#[derive(Debug)]
pub(super) struct LogFile<H> {
    inner: Arc<H>,
    is_rewrite: bool,
}

#[derive(Debug)]
pub(super) struct LogWriter<H, W> {
    file: Arc<LogFile<H>>,
    inner: W,
}

impl<F: FileSystem> SyncedRewrites<F> {
    fn file(path: &Path, inner: F::Handle) -> LogFile<F::Handle> {
        LogFile { inner: Arc::new(inner), is_rewrite: path.extension().is_some_and(|extension| extension == "rewrite") }
    }
}

impl<F: FileSystem> FileSystem for SyncedRewrites<F> {
    type Handle = LogFile<F::Handle>;
    type Reader = F::Reader;
    type Writer = LogWriter<F::Handle, F::Writer>;

    fn create<P: AsRef<Path>>(&self, path: P) -> Result<Self::Handle> {
        Ok(Self::file(path.as_ref(), self.0.create(&path)?))
    }

    fn open<P: AsRef<Path>>(&self, path: P, permission: Permission) -> Result<Self::Handle> {
        Ok(Self::file(path.as_ref(), self.0.open(&path, permission)?))
    }

    fn delete<P: AsRef<Path>>(&self, path: P) -> Result<()> {
        self.0.delete(path)
    }

    fn rename<P: AsRef<Path>>(&self, from: P, to: P) -> Result<()> {
        self.0.rename(from, to)
    }

    fn new_reader(&self, file: Arc<Self::Handle>) -> Result<Self::Reader> {
        self.0.new_reader(file.inner.clone())
    }

    fn new_writer(&self, file: Arc<Self::Handle>) -> Result<Self::Writer> {
        Ok(LogWriter { inner: self.0.new_writer(file.inner.clone())?, file })
    }
}

impl<H: Handle> Handle for LogFile<H> {
    fn truncate(&self, offset: usize) -> Result<()> {
        self.inner.truncate(offset)
    }

    fn file_size(&self) -> Result<usize> {
        self.inner.file_size()
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }
}

impl<H: Handle, W: Write> Write for LogWriter<H, W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let written = self.inner.write(bytes)?;
        if self.file.is_rewrite {
            self.file.sync()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.inner.flush()
    }
}

impl<H, W: Seek> Seek for LogWriter<H, W> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.inner.seek(to)
    }
}

impl<H, W: WriteExt> WriteExt for LogWriter<H, W> {
    fn truncate(&mut self, offset: usize) -> Result<()> {
        self.inner.truncate(offset)
    }

    fn allocate(&mut self, offset: usize, size: usize) -> Result<()> {
        self.inner.allocate(offset, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::io::Read;

    /// A file, its reader and its writer, which note what is done with them.
    #[derive(Clone, Default)]
    struct Recorder(Arc<Mutex<Vec<&'static str>>>);

    impl Handle for Recorder {
        fn truncate(&self, _: usize) -> Result<()> {
            Ok(())
        }

        fn file_size(&self) -> Result<usize> {
            Ok(0)
        }

        fn sync(&self) -> Result<()> {
            self.0.lock().push("sync");
            Ok(())
        }
    }

    impl Write for Recorder {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            self.0.lock().push("write");
            Ok(bytes.len())
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    impl Read for Recorder {
        fn read(&mut self, _: &mut [u8]) -> Result<usize> {
            Ok(0)
        }
    }

    impl Seek for Recorder {
        fn seek(&mut self, _: SeekFrom) -> Result<u64> {
            Ok(0)
        }
    }

    impl WriteExt for Recorder {
        fn truncate(&mut self, _: usize) -> Result<()> {
            Ok(())
        }

        fn allocate(&mut self, _: usize, _: usize) -> Result<()> {
            Ok(())
        }
    }

    impl FileSystem for Recorder {
        type Handle = Self;
        type Reader = Self;
        type Writer = Self;

        fn create<P: AsRef<Path>>(&self, _: P) -> Result<Self> {
            Ok(self.clone())
        }

        fn open<P: AsRef<Path>>(&self, _: P, _: Permission) -> Result<Self> {
            Ok(self.clone())
        }

        fn delete<P: AsRef<Path>>(&self, _: P) -> Result<()> {
            Ok(())
        }

        fn rename<P: AsRef<Path>>(&self, _: P, _: P) -> Result<()> {
            Ok(())
        }

        fn new_reader(&self, _: Arc<Self>) -> Result<Self> {
            Ok(self.clone())
        }

        fn new_writer(&self, _: Arc<Self>) -> Result<Self> {
            Ok(self.clone())
        }
    }

    fn two_batches(name: &str) -> Vec<&'static str> {
        let recorder = Recorder::default();
        let files = SyncedRewrites(recorder.clone());
        let file = files.create(Path::new("folder").join(name)).unwrap();
        let mut writer = files.new_writer(Arc::new(file)).unwrap();
        writer.write_all(b"one").unwrap();
        writer.write_all(b"two").unwrap();
        let done = recorder.0.lock();
        done.clone()
    }

    #[test]
    fn a_batch_of_the_rewrite_queue_is_durable_before_the_next() {
        assert_eq!(two_batches("0000000000000001.rewrite"), ["write", "sync", "write", "sync"]);
    }

    #[test]
    fn the_append_queue_is_synced_by_raft_engine_alone() {
        assert_eq!(two_batches("0000000000000001.raftlog"), ["write", "write"]);
    }
}
