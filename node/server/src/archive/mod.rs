//! The archive beside a node: where it lies, what it takes from the node's host, and how a partition comes back from it.

mod adoption;
mod backing_up;
pub(crate) mod exports;
mod filling;
mod host_adopter;
mod importing;
mod loading;
pub(crate) mod past;
mod reading;
pub mod role;
pub(crate) mod service;
mod sink;
pub(crate) mod socket;
mod source;
#[cfg(test)]
pub(crate) mod testing;

pub use adoption::{Adopter, Adoption, Intake, ItemSink};
pub(crate) use backing_up::back_up;
pub(crate) use filling::FillingPartition;
pub(crate) use host_adopter::HostAdopter;
pub(crate) use importing::{Progress, fill, give_up};
pub(crate) use loading::{load, plan};
pub(crate) use reading::HostReader;
pub use reading::{PastItem, PastItems, Reader, Reading};
pub(crate) use sink::RestoringPartition;
pub use socket::SocketNode;
pub(crate) use source::HostSource;

use cairn_archive::ArchiveConfig;
use std::{path::PathBuf, time::Duration};

/// For the archive to take what was written last, when its process ends.
pub(crate) const LAST_SHIPMENT_DEADLINE: Duration = Duration::from_secs(10);

/// Where the archive lies.
#[derive(Debug, clap::Args)]
pub(crate) struct ArchiveArguments {
    /// Keep backups and, for tables with point-in-time recovery, the log there: file:///DIR or s3://BUCKET/PREFIX.
    #[arg(long, env = "CAIRN_ARCHIVE", value_name = "URL")]
    archive: Option<String>,
    /// Of an S3-compatible server: https://HOST:PORT.
    #[arg(long, env = "CAIRN_ARCHIVE_ENDPOINT", value_name = "URL", requires = "archive")]
    archive_endpoint: Option<String>,
    #[arg(long, env = "CAIRN_ARCHIVE_REGION", requires = "archive")]
    archive_region: Option<String>,
    /// The bucket's name in the path (true, the default where there is an endpoint) or in the host name.
    #[arg(long, env = "CAIRN_ARCHIVE_PATH_STYLE", value_name = "BOOL", requires = "archive")]
    archive_path_style: Option<bool>,
    /// Authorities to trust besides the system's, in PEM.
    #[arg(long, env = "CAIRN_ARCHIVE_CA", value_name = "FILE", requires = "archive")]
    archive_ca: Option<PathBuf>,
    /// If not given, AWS_ACCESS_KEY_ID and what else the environment has.
    #[arg(long, env = "CAIRN_ARCHIVE_ACCESS_KEY_ID", requires = "archive")]
    archive_access_key_id: Option<String>,
    /// Better in the environment than on the command line.
    #[arg(
        long = "archive-secret-access-key",
        env = "CAIRN_ARCHIVE_SECRET_ACCESS_KEY",
        hide_env_values = true,
        requires = "archive_access_key_id"
    )]
    archive_secret_access_key: Option<String>,
}

impl ArchiveArguments {
    /// None where no archive is wanted.
    pub(crate) fn config(&self) -> Option<ArchiveConfig> {
        Some(ArchiveConfig {
            url: self.archive.clone()?,
            endpoint: self.archive_endpoint.clone(),
            region: self.archive_region.clone(),
            path_style: self.archive_path_style,
            ca_file: self.archive_ca.clone(),
            access_key_id: self.archive_access_key_id.clone(),
            secret_access_key: self.archive_secret_access_key.clone(),
            encryption: None,
        })
    }
}
