//! Asking a node over mutual TLS: who answers is checked by identity, and a caller without a certificate is not answered.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use cairn_model::{
    identity::{Identity, Role},
    ids::NodeId,
    node::{NodeReport, Order, OrderOutcome},
};
use cairn_operator::{
    node_client::{NodeClient, NodeError, Nodes, Target, tls},
    pki::{Authority, IssuedCertificate},
};
use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{convert::Infallible, sync::Arc};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn authority() -> Authority {
    let (certificate, key) = Authority::generate("test", Timestamp::now()).unwrap();
    Authority::from_pem("test", &certificate, &key).unwrap()
}

fn identity(group: &str, role: Role) -> Identity {
    Identity { region: "east".into(), namespace: "game".into(), group: group.into(), role }
}

fn report() -> NodeReport {
    NodeReport {
        node_id: NodeId([1; 16]),
        region: "east".into(),
        account: "game".into(),
        group: "default".into(),
        zone: "a".into(),
        version: "0".into(),
        replicas: Vec::new(),
        disk_free_bytes: 1,
        disk_total_bytes: 2,
        disk_full: false,
        retired: Vec::new(),
        consumption: None,
    }
}

/// A node under this certificate, which answers callers that the same authority knows.
async fn serve(own: IssuedCertificate) -> String {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(own.authority_pem.as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(own.certificate_pem.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(own.key_pem.as_bytes()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(tcp).await else { return };
                let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request)) });
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let body = match (request.method(), request.uri().path()) {
        (&Method::GET, "/v1/node") => serde_json::to_vec(&report()).unwrap(),
        (&Method::POST, "/v1/orders") => serde_json::to_vec(&OrderOutcome::NotLeader { leader: None }).unwrap(),
        _ => {
            let mut response = Response::new(Full::new(Bytes::from_static(b"no")));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
    };
    Response::new(Full::new(Bytes::from(body)))
}

fn client(own: &IssuedCertificate) -> NodeClient {
    let client = NodeClient::default();
    client.set_tls(tls::client_config(own).unwrap());
    client
}

#[tokio::test]
async fn a_node_is_asked_and_ordered() {
    let authority = authority();
    let node = identity("default", Role::Storage);
    let address = serve(authority.issue(&node, Timestamp::now()).unwrap()).await;
    let client = client(&authority.issue(&identity("-", Role::Operator), Timestamp::now()).unwrap());
    let target = Target { address, identity: node };
    assert_eq!(client.report(&target).await.unwrap(), report());
    let drop = Order::DropPartition {
        partition_id: cairn_model::ids::PartitionId([1; 16]),
        table_id: cairn_model::ids::TableId([2; 16]),
        deleted_at_ms: Some(3),
    };
    assert_eq!(client.order(&target, &drop).await.unwrap(), OrderOutcome::NotLeader { leader: None });
}

#[tokio::test]
async fn a_node_of_another_group_is_not_listened_to() {
    let authority = authority();
    let address = serve(authority.issue(&identity("analytics", Role::Storage), Timestamp::now()).unwrap()).await;
    let client = client(&authority.issue(&identity("-", Role::Operator), Timestamp::now()).unwrap());
    let target = Target { address, identity: identity("default", Role::Storage) };
    let error = client.report(&target).await.unwrap_err();
    assert!(matches!(&error, NodeError::Identity { found, .. } if found.contains("analytics")), "{error}");
}

#[tokio::test]
async fn an_end_of_another_authority_is_not_talked_to() {
    let node = identity("default", Role::Storage);
    let address = serve(authority().issue(&node, Timestamp::now()).unwrap()).await;
    let client = client(&authority().issue(&identity("-", Role::Operator), Timestamp::now()).unwrap());
    let error = client.report(&Target { address, identity: node }).await.unwrap_err();
    assert!(matches!(error, NodeError::Connect(_)), "{error}");
}
