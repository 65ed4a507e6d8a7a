//! The ports that the roles listen on.

use crate::{shutdown, tls::clients::ClientTls};
use anyhow::Context;
use cairn_api::Api;
use prometheus::Registry;
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::net::TcpListener;

/// How a role's clients talk to it.
#[derive(Debug, clap::Args)]
pub(crate) struct ClientArguments {
    /// Folder with the tls.crt and tls.key that clients are shown, read again when they change; they speak plain HTTP where it
    /// is not given.
    #[arg(long, env = "CAIRN_CLIENT_TLS_DIR")]
    client_tls_dir: Option<PathBuf>,
}

impl ClientArguments {
    pub(crate) fn tls(&self, registry: &Registry) -> anyhow::Result<Option<Arc<ClientTls>>> {
        let tls = self.client_tls_dir.as_deref().map(|dir| ClientTls::from_dir(dir, registry));
        Ok(tls.transpose()?.map(Arc::new))
    }

    /// Of the URL that clients use.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.client_tls_dir.is_some() { "https" } else { "http" }
    }
}

/// Listens on the address, or says on which it could not.
pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))
}

/// Serves clients, and ends the transactions that others left behind, until a signal ends the process.
pub(crate) async fn serve(listener: TcpListener, tls: Option<Arc<ClientTls>>, api: Arc<Api>) -> io::Result<()> {
    let ending = api.end_left_transactions();
    let serving = async {
        match tls {
            Some(tls) => cairn_api::serve_after(tls, listener, api.clone(), shutdown::requested()).await,
            None => cairn_api::serve(listener, api.clone(), shutdown::requested()).await,
        }
    };
    tokio::select! {
        served = serving => served,
        never = ending => match never {},
    }
}
