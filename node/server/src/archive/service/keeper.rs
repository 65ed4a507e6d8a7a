//! Keeps the bucket open and shipped to, whatever becomes of it, of its credentials and of its authorities.

use super::reach::{Opened, Reach};
use cairn_archive::{ArchiveConfig, Bucket, Metrics, Shipper, ShipperOptions, Source};
use cairn_model::archive::ArchiveOwner;
use cairn_replication::SystemClock;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Every so many looks, a bucket that could be used is tried.
const LOOKS_A_PROBE: u32 = 6;
/// For the bucket to prove that it can be used.
const PROBE_DEADLINE: Duration = Duration::from_secs(20);
/// Of a file with a key.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where the bucket is, and where the files lie that say how to get into it.
#[derive(Clone, Debug)]
pub(crate) struct BucketSettings {
    pub(crate) config: ArchiveConfig,
    /// With the files `accessKeyId` and `secretAccessKey`, which may come and go.
    pub(crate) credentials_dir: Option<PathBuf>,
}

/// What the files hold; none for one that is not there, or empty.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Files {
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    ca: Option<String>,
}

impl BucketSettings {
    pub(super) fn read(&self) -> Files {
        let credential = |name: &str| self.credentials_dir.as_ref().and_then(|dir| read(&dir.join(name)));
        Files {
            access_key_id: credential("accessKeyId"),
            secret_access_key: credential("secretAccessKey"),
            ca: self.config.ca_file.as_deref().and_then(read),
        }
    }

    /// The error names the setting.
    pub(super) async fn open(&self, files: &Files) -> Result<(Bucket, ArchiveConfig), String> {
        let mut config = self.config.clone();
        if let Some(dir) = &self.credentials_dir {
            if config.url.starts_with("s3://") {
                for (field, file, text) in [
                    ("access_key_id", "accessKeyId", &files.access_key_id),
                    ("secret_access_key", "secretAccessKey", &files.secret_access_key),
                ] {
                    if text.is_none() {
                        let file = dir.join(file);
                        return Err(format!(
                            "{field}: {} is not there, or empty: fill the Secret of the archive's credentials",
                            file.display()
                        ));
                    }
                }
            }
            (config.access_key_id, config.secret_access_key) =
                (files.access_key_id.clone(), files.secret_access_key.clone());
        }
        let opened = tokio::time::timeout(PROBE_DEADLINE, Bucket::open(&config)).await;
        let bucket = opened.map_err(|_| late())?.map_err(|error| error.text())?;
        Ok((bucket, config))
    }
}

fn late() -> String {
    format!("endpoint: the bucket did not answer within {} s", PROBE_DEADLINE.as_secs())
}

fn read(path: &Path) -> Option<String> {
    let small = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() <= FILE_BYTES_MAX);
    let text = small.then(|| std::fs::read_to_string(path).ok()).flatten()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

pub(crate) struct BucketKeeper {
    pub(crate) settings: BucketSettings,
    pub(crate) own: ArchiveOwner,
    /// What this archive is called in the bucket, among those of the account.
    pub(crate) node: String,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) metrics: Metrics,
    pub(crate) reach: Reach,
    /// How often the files of the credentials and the authorities are looked at, and a bucket that can't be used.
    pub(crate) look_interval: Duration,
}

/// Why what ships has to end.
enum End {
    Stopped,
    FilesChanged,
}

impl BucketKeeper {
    /// Returns after a last shipment once it is `stopped`.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut backoff = BACKOFF_MIN;
        loop {
            let files = self.files().await;
            let wait = match self.settings.open(&files).await {
                Ok((bucket, config)) => {
                    backoff = BACKOFF_MIN;
                    match self.ship(bucket, config, &files, &mut stopped).await {
                        End::Stopped => return,
                        End::FilesChanged => {
                            tracing::info!("the archive's credentials or authorities changed: opening the bucket anew");
                            Duration::ZERO
                        }
                    }
                }
                Err(why) => {
                    self.tell(Some(why));
                    let wait = backoff;
                    backoff = (2 * backoff).min(BACKOFF_MAX);
                    wait
                }
            };
            if is_told(wait, &mut stopped).await {
                return;
            }
        }
    }

    async fn files(&self) -> Files {
        let settings = self.settings.clone();
        let none = Files { access_key_id: None, secret_access_key: None, ca: None };
        tokio::task::spawn_blocking(move || settings.read()).await.unwrap_or(none)
    }

    fn tell(&self, unreachable: Option<String>) {
        let why = unreachable.clone();
        if self.reach.tell(unreachable) {
            match why {
                Some(why) => tracing::warn!(why, "the archive's bucket can't be used: trying on"),
                None => tracing::info!("the archive's bucket can be used again"),
            }
        }
    }

    async fn ship(
        &self,
        bucket: Bucket,
        config: ArchiveConfig,
        files: &Files,
        stopped: &mut watch::Receiver<bool>,
    ) -> End {
        let shipper = Arc::new(Shipper::new(
            bucket.clone(),
            self.own.region.clone(),
            self.node.clone(),
            self.source.clone(),
            Arc::new(SystemClock),
            ShipperOptions::default(),
            self.metrics.clone(),
        ));
        tracing::info!(url = self.settings.config.url, "the archive's bucket is open");
        self.reach.open(Opened { bucket: bucket.clone(), config, shipper: shipper.clone() });
        let mut stopping = stopped.clone();
        let shipping = async {
            let told = async { drop(stopping.wait_for(|stopped| *stopped).await) };
            shipper.run(told).await;
        };
        let end = tokio::select! {
            () = shipping => End::Stopped,
            () = self.watch(&bucket, files) => End::FilesChanged,
        };
        self.reach.close();
        end
    }

    /// Returns when the files changed; tells meanwhile whether the bucket can be used.
    async fn watch(&self, bucket: &Bucket, files: &Files) {
        let mut looks: u32 = 0;
        loop {
            tokio::time::sleep(self.look_interval).await;
            if self.files().await != *files {
                return;
            }
            looks += 1;
            if looks.is_multiple_of(LOOKS_A_PROBE) || self.reach.unreachable().is_some() {
                self.tell(match tokio::time::timeout(PROBE_DEADLINE, bucket.probe()).await {
                    Ok(proved) => proved.err().map(|error| error.text()),
                    Err(_) => Some(late()),
                });
            }
        }
    }
}

/// Waits; true, at once, where it is `stopped`.
async fn is_told(wait: Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::time::timeout(wait, stopped.wait_for(|stopped| *stopped)).await.is_ok()
}
