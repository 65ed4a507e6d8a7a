//! The end of the process, as a signal tells it.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves at SIGTERM (a kubelet's) or SIGINT (a keyboard's).
pub(crate) async fn requested() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("failed to listen for signals; stop the process with SIGKILL, nothing acknowledged is lost");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
