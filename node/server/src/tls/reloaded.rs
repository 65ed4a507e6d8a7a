//! What is made of the files of a folder, and made anew when they change. What can't be used leaves the old in use.

use super::TlsError;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::pki_types::pem;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How often the folder is looked at. A kubelet takes about a minute to renew a mounted Secret.
const RELOAD_INTERVAL: Duration = Duration::from_secs(20);

/// The files' contents, in the order of their names.
pub(super) type Files = Vec<Vec<u8>>;
type Make<T> = fn(&Path, &Files) -> Result<T, TlsError>;
type Observe<T> = Box<dyn Fn(Result<&T, &TlsError>) + Send + Sync>;

pub(super) struct Reloaded<T> {
    dir: PathBuf,
    names: &'static [&'static str],
    make: Make<T>,
    observe: Observe<T>,
    current: ArcSwap<T>,
    seen: Mutex<Seen>,
}

struct Seen {
    in_use: Files,
    /// Why what is there now can't be used.
    trouble: Option<String>,
}

impl<T: Send + Sync + 'static> Reloaded<T> {
    /// Makes it of the files, and looks for others for as long as it is used. `observe` is told of what was made, and of
    /// what could not be.
    pub(super) fn start(
        dir: &Path,
        names: &'static [&'static str],
        make: Make<T>,
        observe: Observe<T>,
    ) -> Result<Arc<Self>, TlsError> {
        let in_use = read(dir, names)?;
        let made = make(dir, &in_use)?;
        observe(Ok(&made));
        let reloaded = Arc::new(Self {
            dir: dir.to_owned(),
            names,
            make,
            observe,
            current: ArcSwap::from_pointee(made),
            seen: Mutex::new(Seen { in_use, trouble: None }),
        });
        let weak = Arc::downgrade(&reloaded);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RELOAD_INTERVAL).await;
                let Some(reloaded) = weak.upgrade() else { return };
                if let Err(error) = tokio::task::spawn_blocking(move || reloaded.look()).await {
                    tracing::error!(%error, "failed to look for new certificates");
                }
            }
        });
        Ok(reloaded)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The newest that could be used.
    pub(super) fn load(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Takes over what the files are now.
    pub(super) fn look(&self) {
        let mut seen = self.seen.lock();
        let made = read(&self.dir, self.names).and_then(|files| {
            if files == seen.in_use {
                return Ok(None);
            }
            (self.make)(&self.dir, &files).map(|made| Some((files, made)))
        });
        match made {
            Ok(None) => {
                if seen.trouble.take().is_some() {
                    tracing::info!(dir = %self.dir.display(), "the certificates are those in use again");
                    (self.observe)(Ok(&self.load()));
                }
            }
            Ok(Some((files, made))) => {
                (self.observe)(Ok(&made));
                self.current.store(Arc::new(made));
                *seen = Seen { in_use: files, trouble: None };
                tracing::info!(dir = %self.dir.display(), "took over new certificates");
            }
            Err(error) => {
                let trouble = Some(error.to_string());
                if seen.trouble != trouble {
                    tracing::warn!(%error, "failed to take over new certificates; the old ones stay in use");
                    (self.observe)(Err(&error));
                    seen.trouble = trouble;
                }
            }
        }
    }
}

/// All of them as they were at one moment.
fn read(dir: &Path, names: &[&str]) -> Result<Files, TlsError> {
    let read_in = |folder: &Path| -> Result<Files, TlsError> {
        let read = |name: &&str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|source| TlsError::Read { path, source: pem::Error::Io(source) })
        };
        names.iter().map(read).collect()
    };
    let folder = settled(dir);
    match read_in(&folder) {
        // It was swapped for another meanwhile.
        Err(_) if settled(dir) != folder => read_in(&settled(dir)),
        files => files,
    }
}

/// Where the files really are: a kubelet keeps them in a folder that a link names, and swaps the link.
fn settled(dir: &Path) -> PathBuf {
    std::fs::canonicalize(dir.join("..data")).unwrap_or_else(|_| dir.to_owned())
}
