//! Connections: accepted up to a limit, kept alive, and let finish at shutdown.

use super::{
    connection,
    handshake::{Handshake, Plaintext},
    place::Place,
};
use crate::service::Api;
use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

/// What requests under way are given to end in at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);
/// Pause after a failed accept (out of file descriptors), so as not to spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Serves HTTP/1.1 and HTTP/2 on the listener until `shutdown` resolves; then lets requests under way end, for at most
/// 20 s.
pub async fn serve(listener: TcpListener, api: Arc<Api>, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
    serve_after(Arc::new(Plaintext), listener, api, shutdown).await
}

/// The same, after a handshake with each client.
pub async fn serve_after<H: Handshake>(
    handshake: Arc<H>,
    listener: TcpListener,
    api: Arc<Api>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let protocols = Arc::new(connection::protocols(api.config()));
    let places = Arc::new(Semaphore::new(api.config().limits.connections_max));
    let (ending, _) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let accepting = async {
            // A place first: connections above the limit wait in the kernel's queue.
            let place = Place::take(&places).await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?.0, place))
        };
        let (stream, place) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepting => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            },
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "failed to set TCP_NODELAY");
        }
        let (handshake, protocols, api) = (handshake.clone(), protocols.clone(), api.clone());
        // Made here: a connection that is accepted before the shutdown is told of it.
        let ending = ending.subscribe();
        tokio::spawn(async move {
            let served = match handshake.shake(stream).await {
                Ok(stream) => connection::serve(stream, &protocols, api, place, ending).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    // Nobody to tell is as good as told.
    let _ = ending.send(());
    if tokio::time::timeout(SHUTDOWN_GRACE, ending.closed()).await.is_err() {
        tracing::warn!("requests were still under way at the end of the grace period");
    }
    Ok(())
}
