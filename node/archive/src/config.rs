//! Where the archive lies and how it is reached.

use std::path::PathBuf;

/// For what is not set, the crate behind it looks at the environment (`AWS_*`, `GOOGLE_*`, `AZURE_*`).
#[derive(Clone, Default)]
pub struct ArchiveConfig {
    /// `file:///DIR`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.
    pub url: String,
    /// Of an S3-compatible server: `https://HOST:PORT`, or `http://HOST:PORT`.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// The bucket's name in the path instead of the host name; if not set, so where there is an endpoint.
    pub path_style: Option<bool>,
    /// PEM; trusted besides the system's authorities.
    pub ca_file: Option<PathBuf>,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<String>,
}

impl std::fmt::Debug for ArchiveConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchiveConfig")
            .field("url", &self.url)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("path_style", &self.path_style)
            .field("ca_file", &self.ca_file)
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}
