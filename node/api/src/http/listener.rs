//! Connections: accepted up to a limit, kept alive, given time limits, and let finish at shutdown.

use super::timed_stream::TimedStream;
use crate::service::Api;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{convert::Infallible, future::Future, io, pin::pin, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};

/// What requests under way are given to end in at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);
/// Pause after a failed accept (out of file descriptors), so as not to spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Serves HTTP/1.1 on the listener until `shutdown` resolves; then lets requests under way end, for at most 20 s.
pub async fn serve(listener: TcpListener, api: Arc<Api>, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(api.config().connections_max));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepting = async {
            // A place first: connections above the limit wait in the kernel's queue.
            let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
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
        let api = api.clone();
        let stream = TokioIo::new(TimedStream::new(stream, api.config().write_timeout));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(api.config().header_timeout).max_buf_size(HEAD_BYTES_MAX);
        let service = service_fn(move |request| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        let connection = graceful.watch(builder.serve_connection(stream, service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way at the end of the grace period");
    }
    Ok(())
}
