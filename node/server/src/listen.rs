//! The ports that the roles listen on.

use anyhow::Context;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Listens on the address, or says on which it could not.
pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))
}
