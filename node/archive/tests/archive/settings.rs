//! What is wrong with the settings is told by the setting's name.

use cairn_archive::{ArchiveConfig, ArchiveError, Bucket};
use cairn_model::export::ExportEncryption;

async fn refused(config: ArchiveConfig) -> (&'static str, String) {
    match Bucket::open(&config).await.unwrap_err() {
        ArchiveError::Config { field, reason, .. } => (field, reason),
        other => panic!("{other}"),
    }
}

fn s3() -> ArchiveConfig {
    ArchiveConfig {
        url: "s3://bucket/prefix".into(),
        access_key_id: Some("key".into()),
        secret_access_key: Some("secret".into()),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_url_names_a_known_kind_of_store() {
    for url in ["", "bucket", "ftp://host/bucket", "file://relative", "s3://", "s3:///prefix"] {
        assert_eq!(refused(ArchiveConfig { url: url.into(), ..s3() }).await.0, "url", "{url}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let url = format!("file://{}/folder", file.path().display());
    let (field, reason) = refused(ArchiveConfig { url, ..Default::default() }).await;
    assert_eq!(field, "url");
    assert!(reason.contains("folder"), "{reason}");
}

#[tokio::test]
async fn half_a_key_is_refused() {
    assert_eq!(refused(ArchiveConfig { secret_access_key: None, ..s3() }).await.0, "secret_access_key");
    assert_eq!(refused(ArchiveConfig { access_key_id: None, ..s3() }).await.0, "access_key_id");
}

#[tokio::test]
async fn an_endpoint_needs_a_scheme_and_has_to_answer() {
    assert_eq!(refused(ArchiveConfig { endpoint: Some("host:9000".into()), ..s3() }).await.0, "endpoint");
    // Nothing listens on it.
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (field, reason) = refused(ArchiveConfig { endpoint: Some(format!("http://{unused}")), ..s3() }).await;
    assert_eq!(field, "endpoint", "{reason}");
}

#[tokio::test]
async fn a_ca_file_holds_certificates() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (field, reason) = refused(ArchiveConfig { ca_file: Some(file.path().into()), ..s3() }).await;
    assert_eq!(field, "ca_file");
    assert!(reason.contains("certificate"), "{reason}");
    let missing = file.path().join("none");
    assert_eq!(refused(ArchiveConfig { ca_file: Some(missing), ..s3() }).await.0, "ca_file");
}

#[test]
fn secrets_are_not_shown() {
    assert!(!format!("{:?}", s3()).contains("secret\""));
}

#[tokio::test]
async fn only_an_s3_store_is_asked_to_encrypt() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let encryption = Some(ExportEncryption::Kms { key_id: Some("key".into()) });
    assert_eq!(
        refused(ArchiveConfig { url, encryption: encryption.clone(), ..Default::default() }).await.0,
        "encryption"
    );
    // It is not reached for.
    for encryption in [encryption, Some(ExportEncryption::Aes256)] {
        Bucket::connect(&ArchiveConfig { encryption, region: Some("east".into()), ..s3() }).unwrap();
    }
}
