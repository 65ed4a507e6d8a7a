//! Where the archive lies and how it is reached.

use crate::{ArchiveError, layout};
use cairn_model::export::ExportEncryption;
use object_store::{
    Certificate, ClientOptions, Error as StoreError, ObjectStore, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut},
    azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
    local::LocalFileSystem,
    path::Path,
    prefix::PrefixStore,
};
use std::{path::PathBuf, sync::Arc, time::Duration};

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
    /// What an S3 store is asked to encrypt what is written with; its own default where nothing is said.
    pub encryption: Option<ExportEncryption>,
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
            .field("encryption", &self.encryption)
            .finish_non_exhaustive()
    }
}

impl ArchiveConfig {
    /// Another bucket, reached as the archive is: of the same store, and for a folder one below it.
    #[must_use]
    pub fn for_bucket(&self, name: &str) -> Self {
        let url = match self.url.split_once("://") {
            Some(("file", folder)) => format!("file://{}/buckets/{name}", folder.trim_end_matches('/')),
            Some((scheme, _)) => format!("{scheme}://{name}"),
            None => self.url.clone(),
        };
        Self { url, ..self.clone() }
    }

    /// Whether a folder of [another bucket](Self::for_bucket) lies among what the archive has of a cluster, or holds it.
    pub(crate) fn overlaps(&self, cluster: &str, bucket: &str, folder: &Path) -> bool {
        let place = |url: String, below: &Path| {
            let parts = url.split('/').filter(|part| !part.is_empty()).map(str::to_owned);
            parts.chain(below.parts().map(|part| part.as_ref().to_owned())).collect::<Vec<_>>()
        };
        let own = place(self.url.clone(), &layout::cluster(cluster));
        let other = place(self.for_bucket(bucket).url, folder);
        own.iter().zip(&other).all(|(own, other)| own == other)
    }
}

/// How often and how long a request is tried again before its failure is told.
fn retries() -> RetryConfig {
    RetryConfig { max_retries: 3, retry_timeout: Duration::from_secs(20), ..RetryConfig::default() }
}

/// The store that `config` names, within its prefix.
pub(crate) fn store(config: &ArchiveConfig) -> Result<Arc<dyn ObjectStore>, ArchiveError> {
    let Some((scheme, rest)) = config.url.split_once("://") else {
        return Err(invalid("url", "it has to begin with file://, s3://, gs:// or az://", None));
    };
    if scheme != "s3" && config.encryption.is_some() {
        return Err(invalid("encryption", "only an S3 store can be asked to encrypt", None));
    }
    if scheme == "file" {
        let folder = PathBuf::from(rest);
        if !folder.is_absolute() {
            return Err(invalid("url", "file:// needs an absolute path: file:///DIR", None));
        }
        let made = std::fs::create_dir_all(&folder).map_err(|error| {
            invalid("url", &format!("failed to create the folder {}", folder.display()), Some(Box::new(error)))
        });
        let store =
            made.and_then(|()| LocalFileSystem::new_with_prefix(&folder).map_err(|error| built("url", error)))?;
        // The log goes once its entries are here: they must not be lost in a power cut.
        return Ok(Arc::new(store.with_fsync(true)));
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(invalid("url", &format!("it names no bucket: {scheme}://BUCKET/PREFIX"), None));
    }
    let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|error| built("url", error.into()))?;
    let options = client_options(config)?;
    let store: Arc<dyn ObjectStore> = match scheme {
        "s3" => Arc::new(s3(config, bucket, options)?),
        "gs" => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(bucket)
                .with_client_options(options)
                .with_retry(retries())
                .build()
                .map_err(|error| built("url", error))?,
        ),
        "az" => Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_container_name(bucket)
                .with_client_options(options)
                .with_retry(retries())
                .build()
                .map_err(|error| built("url", error))?,
        ),
        _ => return Err(invalid("url", "it has to begin with file://, s3://, gs:// or az://", None)),
    };
    Ok(if prefix.as_ref().is_empty() { store } else { Arc::new(PrefixStore::new(store, prefix)) })
}

fn s3(config: &ArchiveConfig, bucket: &str, options: ClientOptions) -> Result<AmazonS3, ArchiveError> {
    let path_style = config.path_style.unwrap_or(config.endpoint.is_some());
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(options)
        .with_retry(retries())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // Not every store that calls itself compatible has it.
        .with_disable_bulk_delete(true)
        .with_virtual_hosted_style_request(!path_style);
    if let Some(endpoint) = &config.endpoint {
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            return Err(invalid("endpoint", "it has to begin with https:// or http://", None));
        }
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    if let Some(region) = &config.region {
        builder = builder.with_region(region);
    }
    if let Some(encryption) = &config.encryption {
        let setting = |name: &str| name.parse::<AmazonS3ConfigKey>().map_err(|error| built("encryption", error));
        let (algorithm, key_id) = match encryption {
            ExportEncryption::Aes256 => ("AES256", None),
            ExportEncryption::Kms { key_id } => ("aws:kms", key_id.as_ref()),
        };
        builder = builder.with_config(setting("aws_server_side_encryption")?, algorithm);
        if let Some(key_id) = key_id {
            builder = builder.with_config(setting("aws_sse_kms_key_id")?, key_id);
        }
    }
    match (&config.access_key_id, &config.secret_access_key) {
        (Some(id), Some(secret)) => builder = builder.with_access_key_id(id).with_secret_access_key(secret),
        (None, None) => {}
        (Some(_), None) => return Err(invalid("secret_access_key", "it is missing beside the access_key_id", None)),
        (None, Some(_)) => return Err(invalid("access_key_id", "it is missing beside the secret_access_key", None)),
    }
    builder.build().map_err(|error| built("url", error))
}

fn client_options(config: &ArchiveConfig) -> Result<ClientOptions, ArchiveError> {
    let plain = config.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    // An image from scratch has no authorities, and without TLS none is needed.
    let mut options = ClientOptions::new().with_allow_http(plain).with_no_system_certificates(plain);
    if let Some(file) = &config.ca_file {
        let pem = std::fs::read(file).map_err(|error| {
            invalid("ca_file", &format!("failed to read {}", file.display()), Some(Box::new(error)))
        })?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| built("ca_file", error))?;
        if certificates.is_empty() {
            return Err(invalid("ca_file", &format!("{} holds no PEM certificate", file.display()), None));
        }
        options = certificates.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    Ok(options)
}

/// Which setting is to blame for what the first request met.
pub(crate) fn diagnose(error: StoreError) -> ArchiveError {
    let text = chain(&error).to_lowercase();
    let mentions = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let (field, reason) = match &error {
        StoreError::Unauthenticated { .. } | StoreError::PermissionDenied { .. } => {
            ("access_key_id", "the store refuses this key, its secret, or what it wants to do in this bucket")
        }
        _ if mentions(&["nosuchbucket", "bucket does not exist"]) => ("url", "there is no such bucket"),
        StoreError::NotFound { .. } => ("url", "there is no such bucket, or the endpoint is no S3 server"),
        _ if mentions(&["certificate", "unknownissuer"]) => {
            ("ca_file", "the certificate of the endpoint is not signed by an authority that is trusted")
        }
        _ if mentions(&["region"]) => ("region", "the store is in another region"),
        _ if mentions(&["dns", "connect", "tcp", "timed out"]) => ("endpoint", "it cannot be reached"),
        _ if mentions(&["metadata", "credential"]) => ("access_key_id", "no credentials were found"),
        _ => ("url", "the store cannot be used"),
    };
    invalid(field, &format!("{reason} ({})", chain(&error)), Some(Box::new(error)))
}

/// An error and its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Each error of the crate repeats its cause.
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts.join(": ")
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn invalid(field: &'static str, reason: &str, source: Option<Cause>) -> ArchiveError {
    ArchiveError::Config { field, reason: reason.into(), source }
}

fn built(field: &'static str, error: StoreError) -> ArchiveError {
    let reason = chain(&error);
    let field = if reason.contains("No CA certificates") { "ca_file" } else { field };
    invalid(field, &reason, Some(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_bucket_is_reached_as_the_archive_is() {
        let other = |url: &str| ArchiveConfig { url: url.into(), ..Default::default() }.for_bucket("exports").url;
        assert_eq!(other("file:///some/folder/"), "file:///some/folder/buckets/exports");
        assert_eq!(other("s3://backups/some/prefix"), "s3://exports");
    }

    #[test]
    fn what_the_first_request_met_names_a_setting() {
        let generic = |text: &str| StoreError::Generic { store: "S3", source: text.into() };
        let missing = StoreError::NotFound { path: "probe".into(), source: "NoSuchBucket".into() };
        let denied = StoreError::PermissionDenied { path: "probe".into(), source: "AccessDenied".into() };
        for (error, expected) in [
            (missing, "url"),
            (denied, "access_key_id"),
            (generic("error sending request: invalid peer certificate: UnknownIssuer"), "ca_file"),
            (generic("error trying to connect: dns error"), "endpoint"),
            (generic("AuthorizationHeaderMalformed: the region 'a' is wrong"), "region"),
        ] {
            match diagnose(error) {
                ArchiveError::Config { field, reason, .. } => assert_eq!(field, expected, "{reason}"),
                other => panic!("{other}"),
            }
        }
    }
}
