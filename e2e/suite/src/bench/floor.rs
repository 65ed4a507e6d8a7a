//! The floor that no signed HTTP API on this machine can pass: a bare hyper server that hashes the body, does one HMAC and
//! parses the JSON, and answers the same few bytes every time.

use anyhow::Result;
use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

const ANSWER: &[u8] = br#"{"Item":{"Id":{"S":"item-000000"},"Name":{"S":"Ada Lovelace"},"Score":{"N":"1815.121"}}}"#;

/// Serves until the process ends.
pub(crate) async fn serve(address: &str) -> Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let service = service_fn(answer);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let body = request.into_body().collect().await?.to_bytes();
    let hash = digest::digest(&digest::SHA256, &body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"floor");
    let tag = hmac::sign(&key, hash.as_ref());
    let value: Value = serde_json::from_slice(&body)?;
    // What was worked out has to be used, or the compiler leaves the work out.
    let status = if value.is_object() && !tag.as_ref().is_empty() { 200 } else { 400 };
    Ok(Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(Full::new(Bytes::from_static(ANSWER)))?)
}
