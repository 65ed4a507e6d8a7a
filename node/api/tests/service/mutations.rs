//! What mutations make of a corpus of requests that is kept: each is answered, not with a server's error, with little work and
//! little memory.
//!
//! An input is an operation, then a space and a body; or an operation, lines of headers, an empty line and a body.

use crate::{
    client::{Answer, Service, signed},
    fuzz::archived_users,
};
use bytes::Bytes;
use cairn_fuzz::{Corpus, CountingAllocator, Fuzz, Limits};
use http_body_util::Full;
use hyper::{
    Request,
    header::{HeaderName, HeaderValue},
};
use serde_json::json;
use std::time::Duration;

#[global_allocator]
static MEMORY: CountingAllocator = CountingAllocator;

const LIMITS: Limits = Limits {
    input_bytes_max: 64 << 10,
    memory_bytes: 4 << 20,
    memory_bytes_per_byte: 1024,
    work: Duration::from_secs(1),
};
const PATIENCE: Duration = Duration::from_secs(30);
/// Tables come and go: after so many requests they are as they were in the beginning.
const REQUESTS_A_SERVICE: usize = 2_000;
/// A client of HTTP says these itself.
const OWN_HEADERS: [&str; 7] = ["connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"];

/// The request that an input stands for; none if no client can send it.
fn request(host: &str, input: &[u8]) -> Option<Request<Full<Bytes>>> {
    let end = input.iter().position(|byte| matches!(byte, b' ' | b'\n'))?;
    let operation = str::from_utf8(&input[..end]).ok().filter(|name| name.chars().all(|c| c.is_ascii_graphic()))?;
    if input[end] == b' ' {
        return Some(signed(host, operation, Bytes::copy_from_slice(&input[end + 1..])));
    }
    let head = input[end..].windows(2).position(|lines| lines == b"\n\n")?;
    let body = Bytes::copy_from_slice(&input[end + head + 2..]);
    let mut request = signed(host, operation, body);
    for line in input[end..end + head].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        if !OWN_HEADERS.contains(&name.as_str()) {
            request.headers_mut().insert(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
        }
    }
    Some(request)
}

async fn users() -> Service {
    let service = archived_users().await;
    // Else the first good DeleteTable would leave nothing to find.
    service.ok("UpdateTable", json!({"TableName": "users", "DeletionProtectionEnabled": true})).await;
    service.put(json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "V": {"L": [{"S": "x"}]}})).await;
    service
}

fn corpus() -> Corpus {
    Corpus::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus")).unwrap()
}

#[test]
fn any_request_gets_an_answer_that_is_not_a_servers_error() {
    // One thread: what a request costs is what this thread does and allocates.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut service = runtime.block_on(users());
    let mut sent = 0;
    Fuzz::new(corpus(), LIMITS, env!("CARGO_TARGET_TMPDIR")).run("requests", |input| {
        sent += 1;
        if sent % REQUESTS_A_SERVICE == 0 {
            service = runtime.block_on(users());
        }
        let Some(request) = request(&service.address.to_string(), input) else { return "no request".to_owned() };
        let answer: Answer = runtime
            .block_on(async { tokio::time::timeout(PATIENCE, service.send(request)).await })
            .expect("no answer in time");
        // DynamoDB's answer to a body that can't be unpacked is an internal error.
        let packed_wrong = || answer.error().1.contains("Content-Encoding");
        assert!(answer.status.as_u16() < 500 || packed_wrong(), "{answer:?}");
        format!("{} {}", answer.status, String::from_utf8_lossy(&answer.bytes).replace('"', "'"))
    });
}

#[tokio::test]
async fn requests_of_the_corpus_reach_what_they_are_about() {
    let service = users().await;
    let mut good = 0;
    for input in corpus().inputs() {
        if let Some(request) = request(&service.address.to_string(), input) {
            good += usize::from(service.send(request).await.status.is_success());
        }
    }
    assert!(good >= 30, "{good} requests of the corpus are good");
}
