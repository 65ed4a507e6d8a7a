//! Heads of requests that no client would send.

use crate::client::Service;
use http_body_util::Full;
use hyper::{Request, StatusCode, header::HeaderValue};
use proptest::{collection::vec, prelude::*, sample::select};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const NAMES: &[&str] = &[
    "accept-encoding",
    "access-control-request-headers",
    "authorization",
    "content-encoding",
    "content-type",
    "date",
    "origin",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-target",
    "amz-sdk-invocation-id",
];
const VALUES: &[&str] = &[
    "",
    "*",
    "gzip",
    "gzip;q=",
    "identity",
    "application/x-amz-json-1.0",
    "application/json; charset=utf-8",
    "DynamoDB_20120810.ListTables",
    "DynamoDB_20120810.",
    "AWS4-HMAC-SHA256 Credential=AKIAGAME/20231114/east/dynamodb/aws4_request, SignedHeaders=host, Signature=00",
    "AWS4-HMAC-SHA256 Credential=,SignedHeaders=;;,Signature",
    "Basic x",
    "20231114T221320Z",
    "Tue, 14 Nov 2023 22:13:20 GMT",
    "http://localhost:3000",
    "http://[::",
    "null",
];
const PIECES: &[&str] = &[
    "X-Amz-Algorithm=AWS4-HMAC-SHA256",
    "X-Amz-Credential=AKIAGAME%2F20231114%2Feast%2Fdynamodb%2Faws4_request",
    "X-Amz-Date=20231114T221320Z",
    "X-Amz-Expires=60",
    "X-Amz-Signature=00",
    "X-Amz-SignedHeaders=host",
    "X-Amz-Security-Token=x",
    "X-Amz-Date=",
    "%",
    "=",
    "a=%zz",
];

fn header() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let value =
        prop_oneof![4 => select(VALUES).prop_map(|text| text.as_bytes().to_vec()), 1 => vec(any::<u8>(), 0..12)];
    (select(NAMES), value)
}

#[test]
fn random_heads_get_an_answer_that_is_not_a_servers_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = runtime.block_on(Service::start());
    let cases = (select(vec!["POST", "GET", "OPTIONS", "DELETE"]), vec(select(PIECES), 0..8), vec(header(), 0..10));
    proptest!(ProptestConfig::with_cases(1_000), |((method, query, headers) in cases)| {
        let uri = if query.is_empty() { "/".to_owned() } else { format!("/?{}", query.join("&")) };
        let mut request = Request::builder().method(method).uri(uri).header("host", "east");
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request = request.header(name, value);
            }
        }
        let sending = service.send(request.body(Full::new("{}".into())).unwrap());
        let answer = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), sending).await });
        let status = answer.expect("no answer within 10 s").status;
        prop_assert!(matches!(status, StatusCode::OK | StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND), "{status}");
    });
}

/// What begins as one version of HTTP or the other and goes on as neither.
#[test]
fn random_bytes_on_a_connection_end_it_and_nothing_else() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = runtime.block_on(Service::start());
    let begun = select(vec!["", "GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]);
    proptest!(ProptestConfig::with_cases(200), |((begun, bytes) in (begun, vec(any::<u8>(), 0..200)))| {
        runtime.block_on(async {
            let mut stream = TcpStream::connect(service.address).await.unwrap();
            // It may be closed at any point of what is sent.
            let _ = stream.write_all(begun.as_bytes()).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
            assert!(ended.is_ok(), "still open after {begun:?} {bytes:?}");
        });
    });
    let healthy = Request::get("/").header("host", "east").body(Full::default()).unwrap();
    assert_eq!(runtime.block_on(service.send(healthy)).status, StatusCode::OK);
}
