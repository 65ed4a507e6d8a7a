//! An S3 server in the test's own process.

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch};

/// Serves one bucket, `backups`, to whoever has the key `key` with the secret `secret`; gives its endpoint.
pub async fn serve() -> (TempDir, String) {
    let (folder, endpoint, _) = serve_while_up().await;
    (folder, endpoint)
}

/// The same, and whether it is up: while it is not, connections break off, those too that are under way.
pub async fn serve_while_up() -> (TempDir, String, watch::Sender<bool>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("backups")).unwrap();
    let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
    service.set_auth(SimpleAuth::from_single("key", "secret"));
    let service = service.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (switch, is_up) = watch::channel(true);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (service, mut is_up) = (service.clone(), is_up.clone());
            tokio::spawn(async move {
                let down = async move {
                    // Nobody holds the switch any more: it stays as it is.
                    if is_up.wait_for(|is_up| !is_up).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                };
                // What fails, the client sees.
                let builder = Builder::new(TokioExecutor::new());
                tokio::select! {
                    () = down => {}
                    served = builder.serve_connection(TokioIo::new(socket), service) => drop(served),
                }
            });
        }
    });
    (folder, endpoint, switch)
}
