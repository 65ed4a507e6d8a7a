//! What can go wrong in a reconcile, and for how long to wait then.

use std::fmt::Write;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to {action}")]
    Kubernetes { action: String, source: Box<kube::Error> },
    #[error("failed to {action}")]
    Json { action: String, source: serde_json::Error },
    #[error("failed to {action}")]
    Yaml { action: String, source: serde_yaml_ng::Error },
    #[error("failed to read {path}")]
    File { path: String, source: std::io::Error },
    #[error("failed to parse the group's defaults in {path}")]
    GroupDefaults { path: String, source: serde_yaml_ng::Error },
    #[error("failed to issue a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("failed to configure TLS")]
    Tls(#[from] rustls::Error),
    #[error("failed to read the certificate authority in Secret {secret}: {problem}")]
    Authority { secret: String, problem: String },
    #[error("failed to read a certificate: {problem}")]
    CertificateUnreadable { problem: String },
    #[error("failed to ask the node at {address}")]
    Node { address: String, source: crate::node_client::NodeError },
    #[error("failed to read the table's own status")]
    Definition(#[from] cairn_crds::table::definition::DefinitionError),
    #[error("failed to listen on {address}")]
    Listen { address: String, source: std::io::Error },
    #[error("failed to register a metric")]
    Metric(#[from] prometheus::Error),
    #[error("the lease {lease} went to another operator")]
    LeaseLost { lease: String },
    #[error("there are still tables, or backups with deletionPolicy Delete: {summary}")]
    ObjectsRemain { summary: String },
    #[error("the object has no {field}")]
    Incomplete { field: &'static str },
}

/// Names what was being done when the API server's client failed.
pub trait While<T> {
    fn while_doing(self, action: impl FnOnce() -> String) -> Result<T>;
}

impl<T> While<T> for Result<T, kube::Error> {
    fn while_doing(self, action: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Kubernetes { action: action(), source: Box::new(source) })
    }
}

impl Error {
    /// The object was changed by someone since it was read.
    pub fn is_conflict(&self) -> bool {
        self.status_code() == Some(409)
    }

    /// The object is not there, or not any more.
    pub fn is_not_found(&self) -> bool {
        self.status_code() == Some(404)
    }

    fn status_code(&self) -> Option<u16> {
        match self {
            Self::Kubernetes { source, .. } => status_code(source),
            _ => None,
        }
    }
}

/// The HTTP status the API server answered with, where it answered.
pub fn status_code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// The error with all its sources, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}
