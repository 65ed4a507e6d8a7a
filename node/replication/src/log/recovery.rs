//! What becomes of a log that was not closed: a torn write is cut, *anything else makes the replicas non-voters*.

use super::{
    LogError,
    file_scan::{self, Surveyed, Tail},
    folder::{self, LogFile},
};
use cairn_engine::LogMark;
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// What to do with a log whose files are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDamage {
    /// Move the folder aside, untouched, and go on with an empty log: all replicas that were in it are damaged, and are
    /// replaced from their peers.
    SetAside,
    /// Change nothing and do not open it: there are no peers, and a person must decide.
    Refuse,
}

/// The end of a file that was being written when the process, or the machine, ended. It has been cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    pub path: PathBuf,
    /// Bytes of the file that were kept.
    pub kept_bytes: u64,
}

/// A log that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    pub path: PathBuf,
    pub reason: String,
}

/// Reads the log's files, cuts what is torn, and gives up what is damaged; raft-engine finds only whole batches after this.
pub(super) fn recover(
    path: &Path,
    marks: &BTreeMap<u64, LogMark>,
    on_damage: OnDamage,
    sync: impl Fn(&Path) -> io::Result<()>,
) -> Result<(Vec<TornTail>, Option<SetAside>), LogError> {
    let files = folder::list(path)?;
    make_durable(path, &files, sync)?;
    match survey(&files, marks)? {
        Ok(torn) => {
            for (tail, _) in &torn {
                cut(tail)?;
            }
            Ok((torn.into_iter().filter(|(_, zeros)| !zeros).map(|(tail, _)| tail).collect(), None))
        }
        Err((file, reason)) => {
            let reason = format!("{}: {reason}", file.display());
            if on_damage == OnDamage::Refuse {
                return Err(LogError::DamagedFolder { path: file, reason });
            }
            let aside = folder::set_aside(path, &reason)?;
            folder::list(path)?;
            Ok((Vec::new(), Some(SetAside { path: aside, reason })))
        }
    }
}

/// A process that was killed between a write and its fsync left what can be read and a power cut still takes: Raft must not
/// rely on it before it is durable. raft-engine syncs a file before it begins the next, so that only the last can have it.
fn make_durable(path: &Path, files: &[LogFile], sync: impl Fn(&Path) -> io::Result<()>) -> Result<(), LogError> {
    for (at, file) in files.iter().enumerate() {
        if files.get(at + 1).is_none_or(|next| next.queue != file.queue) {
            sync(&file.path).map_err(LogError::io("sync", &file.path))?;
        }
    }
    sync(path).map_err(LogError::io("sync", path))
}

/// The file, and what is wrong with it.
type Damage = (PathBuf, String);

/// The torn ends to cut, and whether there were only zeros allocated ahead; or what is damaged.
fn survey(
    files: &[LogFile],
    marks: &BTreeMap<u64, LogMark>,
) -> Result<Result<Vec<(TornTail, bool)>, Damage>, LogError> {
    let mut surveyed = Surveyed::default();
    let mut torn = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let damaged = |reason: String| Ok(Err((file.path.clone(), reason)));
        let next = files.get(at + 1).filter(|next| next.queue == file.queue);
        if let Some(next) = next.filter(|next| next.number != file.number + 1) {
            return damaged(format!("the next file is number {}: those between are missing", next.number));
        }
        match file_scan::scan(&file.path, file.queue, file.number, &mut surveyed)? {
            Tail::Clean => {}
            Tail::Torn { at, zeros } if next.is_none() => {
                torn.push((TornTail { path: file.path.clone(), kept_bytes: at }, zeros));
            }
            // raft-engine closes a file, durably and without allocated zeros, before it begins the next.
            Tail::Torn { at, .. } => return damaged(format!("it is bad from byte {at} on, and another file follows")),
            Tail::Damaged { reason } => return damaged(reason),
        }
    }
    let Some((tail, _)) = torn.last() else { return Ok(Ok(torn)) };
    match below_mark(&surveyed, marks) {
        Some(lost) => Ok(Err((tail.path.clone(), format!("it is bad from byte {} on, and {lost}", tail.kept_bytes)))),
        None => Ok(Ok(torn)),
    }
}

/// What was durable and is not there.
fn below_mark(surveyed: &Surveyed, marks: &BTreeMap<u64, LogMark>) -> Option<String> {
    marks.iter().find_map(|(log_id, mark)| {
        let log = surveyed.logs.get(log_id).copied().unwrap_or_default();
        let state = log.state.unwrap_or_default();
        let last_index = log.last_index.unwrap_or_default().max(state.start.index);
        lost(mark, state.mark(last_index)).map(|lost| format!("log {log_id} {lost}"))
    })
}

/// What a log lacks that its mark says was durable.
pub(super) fn lost(mark: &LogMark, found: LogMark) -> Option<String> {
    (found.written < mark.written || found.term < mark.term).then(|| {
        format!(
            "was written {} entries up to term {}, though {} entries and term {} were durable: the disk lost writes",
            found.written, found.term, mark.written, mark.term
        )
    })
}

fn cut(tail: &TornTail) -> Result<(), LogError> {
    if tail.kept_bytes == 0 {
        std::fs::remove_file(&tail.path).map_err(LogError::io("remove the unwritten", &tail.path))?;
        return folder::sync_folder_of(&tail.path);
    }
    let cut = File::options().write(true).open(&tail.path).and_then(|file| {
        file.set_len(tail.kept_bytes)?;
        file.sync_all()
    });
    cut.map_err(LogError::io("cut the torn end of", &tail.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn the_last_file_of_each_queue_is_durable_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        folder::list(&path).unwrap();
        let names = ["0000000000000001.raftlog", "0000000000000001.rewrite", "0000000000000002.rewrite"];
        // Read, they would be set aside.
        for name in names {
            std::fs::write(path.join(name), "damaged").unwrap();
        }
        let synced = RefCell::new(Vec::new());
        let failing = |file: &Path| {
            synced.borrow_mut().push(file.to_owned());
            if synced.borrow().len() < 3 { Ok(()) } else { Err(io::Error::other("the disk is gone")) }
        };
        let refused = recover(&path, &BTreeMap::new(), OnDamage::SetAside, failing).unwrap_err();
        assert!(matches!(refused, LogError::Io { action: "sync", .. }), "{refused}");
        assert_eq!(synced.into_inner(), [path.join(names[2]), path.join(names[0]), path.clone()]);
        assert!(names.iter().all(|name| path.join(name).exists()));
    }
}
