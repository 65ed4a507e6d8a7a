//! Against an S3 server: s3s-fs, in this process.

use crate::{
    backups::a_backup_comes_back_as_it_was,
    model::often,
    point_in_time::{a_table_with_a_history, every_time_comes_back},
};
use cairn_archive::{ArchiveConfig, ArchiveError, Bucket, ShipperOptions};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::{path::Path, sync::Arc};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Serves a new folder with one bucket, `archive`, on a port of its own; with TLS if there is a certificate.
async fn serve(tls: Option<TlsAcceptor>) -> (TempDir, ArchiveConfig) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("archive")).unwrap();
    let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
    service.set_auth(SimpleAuth::from_single("key", "secret"));
    let service = service.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let scheme = if tls.is_some() { "https" } else { "http" };
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            socket.set_nodelay(true).unwrap();
            let (service, tls) = (service.clone(), tls.clone());
            tokio::spawn(async move {
                let server = Builder::new(TokioExecutor::new());
                // What fails, the client sees.
                let _ = match tls {
                    None => server.serve_connection(TokioIo::new(socket), service).await,
                    Some(tls) => match tls.accept(socket).await {
                        Ok(socket) => server.serve_connection(TokioIo::new(socket), service).await,
                        Err(_) => Ok(()),
                    },
                };
            });
        }
    });
    let config = ArchiveConfig {
        url: "s3://archive/some/prefix".into(),
        endpoint: Some(format!("{scheme}://localhost:{port}")),
        region: Some("east".into()),
        access_key_id: Some("key".into()),
        secret_access_key: Some("secret".into()),
        ..ArchiveConfig::default()
    };
    (folder, config)
}

async fn refused(config: &ArchiveConfig) -> (&'static str, String) {
    match Bucket::open(config).await.unwrap_err() {
        ArchiveError::Config { field, reason, .. } => (field, reason),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_backup_comes_back_from_s3() {
    let (_folder, config) = serve(None).await;
    a_backup_comes_back_as_it_was(&Bucket::open(&config).await.unwrap()).await;
}

#[tokio::test]
async fn a_table_comes_back_from_s3_as_of_any_time() {
    let (folder, config) = serve(None).await;
    let bucket = Bucket::open(&config).await.unwrap();
    let options = ShipperOptions { snapshot_ratio: 0.0, snapshot_log_bytes_min: 400, manifest_segments: 2, ..often() };
    let model = a_table_with_a_history(&bucket, options).await;
    every_time_comes_back(&bucket, &model).await;
    assert!(folder.path().join("archive/some/prefix/cluster/local").is_dir());
}

#[tokio::test]
async fn a_wrong_key_is_told_by_the_setting() {
    let (_folder, config) = serve(None).await;
    let wrong = ArchiveConfig { secret_access_key: Some("wrong".into()), ..config.clone() };
    let (field, reason) = refused(&wrong).await;
    assert_eq!(field, "access_key_id", "{reason}");
    let wrong = ArchiveConfig { access_key_id: Some("wrong".into()), ..config };
    let (field, reason) = refused(&wrong).await;
    assert_eq!(field, "access_key_id", "{reason}");
}

#[tokio::test]
async fn an_authority_of_its_own_has_to_be_given() {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), certificate.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certificate.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)
        .unwrap();
    let (_folder, config) = serve(Some(TlsAcceptor::from(Arc::new(tls)))).await;
    let (field, reason) = refused(&config).await;
    assert_eq!(field, "ca_file", "{reason}");
    let trusting = |file: &Path| ArchiveConfig { ca_file: Some(file.into()), ..config.clone() };
    Bucket::open(&trusting(authority.path())).await.unwrap();
}
