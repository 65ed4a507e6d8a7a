//! The floor that no signed HTTP API on this machine can pass: a bare hyper server that hashes the body, does one HMAC and
//! parses the JSON, and answers the same few bytes every time, or as many as it is told.

use anyhow::Result;
use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::sync::LazyLock;
use tokio::net::TcpListener;

const ANSWER: &[u8] = br#"{"Item":{"Id":{"S":"item-000000"},"Name":{"S":"Ada Lovelace"},"Score":{"N":"1815.121"}}}"#;

/// The header that says how many bytes to answer.
pub(super) const ANSWER_BYTES: &str = "x-answer-bytes";
static LONG_ANSWER: LazyLock<Bytes> = LazyLock::new(|| vec![b' '; 4 << 20].into());

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
    let bytes = request.headers().get(ANSWER_BYTES).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let body = request.into_body().collect().await?.to_bytes();
    let hash = digest::digest(&digest::SHA256, &body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"floor");
    let tag = hmac::sign(&key, hash.as_ref());
    let value: Value = serde_json::from_slice(&body)?;
    // What was worked out has to be used, or the compiler leaves the work out.
    let status = if value.is_object() && !tag.as_ref().is_empty() { 200 } else { 400 };
    let answer = bytes.map_or(Bytes::from_static(ANSWER), |bytes| LONG_ANSWER.slice(..bytes.min(LONG_ANSWER.len())));
    Ok(Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(Full::new(answer))?)
}
