//! Files that the kernel is made to keep in its cache: on some machines it is made to give up what nobody has asked for in a
//! minute, though there is room.

use anyhow::{Context, Result};
use memmap2::Mmap;
use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// The files of a folder as they were found, in the kernel's cache for as long as this is there.
#[derive(Debug, Default)]
pub(super) struct Resident {
    locked: Vec<Mmap>,
    /// Bytes of those that were locked, and of those that were only read, since this user may not lock so much (`ulimit -l`).
    pub(super) locked_bytes: u64,
    pub(super) read_bytes: u64,
}

impl Resident {
    /// All files under a folder; what goes meanwhile is none.
    pub(super) fn under(folder: &Path) -> Result<Self> {
        let mut files = Self::default();
        files.add(folder).with_context(|| format!("failed to read what is in {}", folder.display()))?;
        Ok(files)
    }

    fn add(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match File::open(&path) {
                Ok(_) if path.is_dir() => self.add(&path)?,
                Ok(file) => self.add_file(file)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn add_file(&mut self, mut file: File) -> io::Result<()> {
        let bytes = file.metadata()?.len();
        if bytes == 0 {
            return Ok(());
        }
        #[expect(unsafe_code, reason = "nobody looks at what is mapped, so it does not matter that others change it")]
        let map = unsafe { Mmap::map(&file)? };
        if map.lock().is_ok() {
            self.locked.push(map);
            self.locked_bytes += bytes;
        } else {
            self.read_bytes += io::copy(&mut file, &mut io::sink())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_every_file_is_locked_or_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        for (name, bytes) in [("empty", 0), ("one", 1), ("inner/more", 9_000)] {
            fs::write(folder.path().join(name), vec![7; bytes]).unwrap();
        }
        let files = Resident::under(folder.path()).unwrap();
        assert_eq!(files.locked_bytes + files.read_bytes, 9_001);
    }
}
