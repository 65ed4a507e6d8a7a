//! The inputs that are kept in the repository.
//!
//! Each line of a `.txt` file is an input. Every other file is one, as it is: what has lines of its own, what is not text, and what
//! failed once (`failed-…`).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A folder of inputs.
#[derive(Clone, Debug)]
pub struct Corpus {
    folder: PathBuf,
    inputs: Vec<Vec<u8>>,
}

impl Corpus {
    /// In the order of the files' names. A folder that is not there has none yet.
    pub fn read(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self { folder, inputs: Vec::new() }),
            entries => entries?,
        };
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        let mut inputs = Vec::new();
        for path in paths {
            let bytes = fs::read(&path)?;
            if path.extension().is_some_and(|ending| ending == "txt") {
                inputs.extend(bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
            } else {
                inputs.push(bytes);
            }
        }
        Ok(Self { folder, inputs })
    }

    /// The same, and inputs that are made, not kept.
    #[must_use]
    pub fn and(mut self, made: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.inputs.extend(made);
        self
    }

    pub fn inputs(&self) -> &[Vec<u8>] {
        &self.inputs
    }

    /// Keeps an input that failed; the same one under the same name.
    pub(crate) fn keep(&self, input: &[u8]) -> io::Result<PathBuf> {
        // FNV-1a: a name, nothing more.
        let hash = input.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!("failed-{hash:016x}"));
        fs::write(&path, input)?;
        Ok(path)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_files_are_inputs_and_what_is_kept_is_one_next_time() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("seeds.txt"), "a = b\n\nc < d\n").unwrap();
        fs::write(folder.path().join("two-lines"), "e\nf").unwrap();
        let corpus = Corpus::read(folder.path()).unwrap();
        corpus.keep(b"\xff").unwrap();
        corpus.keep(b"\xff").unwrap();
        let corpus = Corpus::read(folder.path()).unwrap().and([b"made".to_vec()]);
        assert_eq!(corpus.inputs(), [b"\xff".as_slice(), b"a = b", b"c < d", b"e\nf", b"made"]);
    }
}
