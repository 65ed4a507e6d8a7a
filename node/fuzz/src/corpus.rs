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
    /// Of lines.
    lines: Vec<Vec<u8>>,
    /// Of whole files.
    files: Vec<Vec<u8>>,
}

impl Corpus {
    /// In the order of the files' names.
    pub fn read(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        let mut paths = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        let (mut lines, mut files) = (Vec::new(), Vec::new());
        for path in paths {
            let bytes = fs::read(&path)?;
            if path.extension().is_some_and(|ending| ending == "txt") {
                lines.extend(bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
            } else {
                files.push(bytes);
            }
        }
        Ok(Self { folder, lines, files })
    }

    /// The same with other lines: what each of them stands for, and the lines of which nothing comes are left out.
    #[must_use]
    pub fn with_lines(self, of: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Self {
        Self { lines: self.lines.iter().filter_map(|line| of(line)).collect(), ..self }
    }

    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.lines.iter().chain(&self.files)
    }

    /// Keeps an input that failed; the same one under the same name.
    pub(crate) fn keep(&self, input: &[u8]) -> io::Result<PathBuf> {
        // FNV-1a: a name, nothing more.
        let hash = input.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
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
        let corpus =
            Corpus::read(folder.path()).unwrap().with_lines(|line| line.starts_with(b"a").then(|| b"A".into()));
        assert_eq!(corpus.inputs().collect::<Vec<_>>(), [b"A".as_slice(), b"\xff", b"e\nf"]);
    }
}
