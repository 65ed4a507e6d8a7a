//! HTTP and the JSON protocol.

use crate::{
    client::{SIGNER, Service, connections_at_most, lenient},
    raw,
};
use bytes::Bytes;
use cairn_api::{ApiConfig, Authentication, Limits};
use http_body_util::Full;
use hyper::{Request, StatusCode, header::HeaderValue};
use serde_json::json;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn post(headers: &[(&str, &str)], body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::post("/").header("host", "east");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.to_owned().into())).unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/x-amz-json-1.0");

#[tokio::test]
async fn answers_carry_their_checksum_and_an_id() {
    let service = Service::start().await;
    let answer = service.call("ListTables", "{}").await;
    assert_eq!(answer.bytes, r#"{"TableNames":[]}"#);
    assert_eq!(answer.headers["x-amz-crc32"], crc32fast::hash(&answer.bytes).to_string().as_str());
    assert_eq!(answer.headers["x-amzn-requestid"].len(), 52);
    assert_eq!(answer.headers["content-type"], "application/x-amz-json-1.0");
}

#[tokio::test]
async fn answers_and_errors_name_their_server_as_dynamodb_does() {
    let service = Service::start().await;
    for (operation, status) in [("ListTables", StatusCode::OK), ("Nothing", StatusCode::BAD_REQUEST)] {
        let answer = service.call(operation, "{}").await;
        assert_eq!((answer.status, &answer.headers["server"]), (status, &HeaderValue::from_static("Server")));
    }
}

#[tokio::test]
async fn get_says_healthy_without_a_signature() {
    let service = Service::start().await;
    let request = Request::get("/").header("host", "db.example").body(Full::default()).unwrap();
    let answer = service.send(request).await;
    assert_eq!((answer.status, answer.bytes), (StatusCode::OK, Bytes::from("healthy: db.example ")));
}

#[tokio::test]
async fn other_methods_paths_and_content_types_are_not_found() {
    let service = Service::start().await;
    let [put, get] = [Request::put("/"), Request::get("/index.html")]
        .map(|request| request.header("host", "east").body(Full::default()).unwrap());
    for request in [put, get, post(&[("content-type", "text/plain")], "{}"), post(&[], "{}")] {
        let answer = service.send(request).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.bytes, "<UnknownOperationException/>\n");
    }
}

#[tokio::test]
async fn unknown_operations_are_unknown_with_or_without_a_signature() {
    let service = Service::start().await;
    for target in ["UpdateContributorInsights", "getitem", ""] {
        let answer = service.call(target, "{}").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.json(), json!({"__type": "com.amazon.coral.service#UnknownOperationException"}));
    }
    let streams = post(&[JSON, ("x-amz-target", "DynamoDBStreams_20120810.ListTables")], "{}");
    assert_eq!(service.send(streams).await.error().0, "UnknownOperationException");
}

#[tokio::test]
async fn a_request_without_a_signature_is_refused() {
    let service = Service::start().await;
    let answer = service.send(post(&[JSON, ("x-amz-target", "DynamoDB_20120810.ListTables")], "{}")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.json(),
        json!({
            "__type": "com.amazon.coral.service#MissingAuthenticationTokenException",
            "message": "Request is missing Authentication Token"
        })
    );
}

#[tokio::test]
async fn a_connection_outlives_a_refusal_made_before_the_body_came() {
    let service = Service::start().await;
    let refused = [
        ("POST /other", "content-type: application/x-amz-json-1.0\r\n", "404"),
        ("POST /", "content-type: application/x-amz-json-1.0\r\nx-amz-target: DynamoDB_20120810.Nonsense\r\n", "400"),
        ("POST /", "content-type: application/x-amz-json-1.0\r\nx-amz-target: DynamoDB_20120810.ListTables\r\n", "400"),
    ];
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let mut answer = [0; 4096];
    for (line, headers, status) in refused {
        let head = format!("{line} HTTP/1.1\r\nhost: east\r\n{headers}content-length: 2\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(b"{}").await.unwrap();
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    // Too long to be skipped, or not to be sent before the answer: the client is told that this connection ends.
    for headers in ["content-length: 99999999", "expect: 100-continue\r\ncontent-length: 9999999"] {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let head = format!("POST /other HTTP/1.1\r\nhost: east\r\n{headers}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_was_changed_on_the_way_is_refused() {
    let service = Service::start().await;
    let headers = [
        ("content-type".to_owned(), JSON.1.to_owned()),
        ("host".to_owned(), "east".to_owned()),
        ("x-amz-date".to_owned(), SIGNER.date.to_owned()),
        ("x-amz-target".to_owned(), "DynamoDB_20120810.ListTables".to_owned()),
    ];
    let authorization = SIGNER.authorization(&headers, b"{}");
    let mut pairs: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    pairs.retain(|(name, _)| *name != "host");
    pairs.push(("authorization", &authorization));
    assert_eq!(service.send(post(&pairs, "{}")).await.status, StatusCode::OK);
    assert_eq!(service.send(post(&pairs, "{ }")).await.error().0, "InvalidSignatureException");
}

#[tokio::test]
async fn any_credentials_are_accepted_where_that_was_asked_for() {
    let any = Authentication::AcceptAny { account: "local".into() };
    let service = Service::start_with(ApiConfig::new("local"), any).await;
    let target = ("x-amz-target", "DynamoDB_20120810.ListTables");
    let authorization =
        "AWS4-HMAC-SHA256 Credential=x/20200101/y/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
    let signed = post(&[JSON, target, ("authorization", authorization), ("x-amz-date", "20200101T000000Z")], "{}");
    assert_eq!(service.send(signed).await.status, StatusCode::OK);
    let answer = service.send(post(&[JSON, target], "{}")).await;
    assert_eq!(answer.error().0, "MissingAuthenticationTokenException");
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_not_serializable() {
    let service = Service::start().await;
    for body in ["", "{", "nonsense", "[]", "5", "{\"TableName\":\"\u{1}\"}"] {
        let answer = service.call("GetItem", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        let json = answer.json();
        assert_eq!(json["__type"], "com.amazon.coral.service#SerializationException", "{body}");
        assert!(json.get("message").is_none());
    }
}

#[tokio::test]
async fn more_than_sixteen_megabytes_are_too_large() {
    let service = Service::start().await;
    let answer = service.call("ListTables", vec![b' '; (16 << 20) + 1]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_client_that_sends_a_little_too_much_hears_so_and_keeps_its_connection() {
    let service = Service::start().await;
    let body = vec![b' '; (16 << 20) + 1];
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    for _ in 0..2 {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: east\r\ncontent-length: {}\r\ncontent-type: {}\r\nx-amz-date: {}\r\n\
             x-amz-target: DynamoDB_20120810.ListTables\r\nauthorization: AWS4-HMAC-SHA256 Credential={}/20231114/east/\
             dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=00\r\n\r\n",
            body.len(),
            JSON.1,
            SIGNER.date,
            SIGNER.key_id
        );
        let answer = raw::told(&mut stream, &head, &body).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
}

/// Some don't read before they have sent all of it: one whose connection was closed meanwhile would try again.
#[tokio::test]
async fn a_client_that_sends_a_large_body_hears_why_it_is_refused() {
    let service = Service::start().await;
    let body = vec![b' '; 8 << 20];
    let head = format!(
        "POST / HTTP/1.1\r\nhost: east\r\ncontent-length: {}\r\ncontent-type: {}\r\nx-amz-date: {}\r\n\
         x-amz-target: DynamoDB_20120810.BatchWriteItem\r\nauthorization: AWS4-HMAC-SHA256 Credential=unknown/20231114/\
         east/dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=00\r\n\r\n",
        body.len(),
        JSON.1,
        SIGNER.date,
    );
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    for _ in 0..2 {
        let answer = raw::told(&mut stream, &head, &body).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("UnrecognizedClientException"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_sends_a_large_body_hears_that_there_is_no_room_for_it() {
    let limits = Limits { body_bytes_max: 0, ..Limits::default() };
    let service = lenient(ApiConfig { limits, ..ApiConfig::new("local") }).await;
    // They take their time, but go on: all that there is is theirs.
    for bytes in [16 << 20, 8 << 20] {
        let mut slow = TcpStream::connect(service.address).await.unwrap();
        tokio::spawn(async move {
            slow.write_all(raw::head(bytes).as_bytes()).await.unwrap();
            while slow.write_all(&[b' '; 64 << 10]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    raw::a_large_body_is_throttled(&service).await;
}

#[tokio::test]
async fn a_session_token_is_unrecognized_where_signatures_count_and_taken_where_they_do_not() {
    let target = ("x-amz-target", "DynamoDB_20120810.ListTables");
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIAGAME/20231114/east/dynamodb/aws4_request, \
        SignedHeaders=host;x-amz-date;x-amz-security-token;x-amz-target, Signature=0";
    let headers = [
        JSON,
        target,
        ("authorization", authorization),
        ("x-amz-date", SIGNER.date),
        ("x-amz-security-token", "a token of some other service"),
    ];
    let answer = Service::start().await.send(post(&headers, "{}")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.json(),
        json!({
            "__type": "com.amazon.coral.service#UnrecognizedClientException",
            "message": "The security token included in the request is invalid."
        })
    );
    let any = Authentication::AcceptAny { account: "local".into() };
    let lenient = Service::start_with(ApiConfig::new("east"), any).await;
    assert_eq!(lenient.send(post(&headers, "{}")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_stops_speaking_is_closed() {
    let config = ApiConfig {
        header_timeout: Duration::from_millis(100),
        body_timeout: Duration::from_millis(100),
        ..ApiConfig::new("local")
    };
    let service = Service::start_with(config, Authentication::AcceptAny { account: "local".into() }).await;
    let unfinished = "POST / HTTP/1.1\r\nhost: east\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\
         x-amz-target: DynamoDB_20120810.ListTables\r\nx-amz-date: 20200101T000000Z\r\nauthorization: \
         AWS4-HMAC-SHA256 Credential=x/20200101/y/dynamodb/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n{";
    for said in ["", "POST / HTTP/1.1\r\nhost:", unfinished] {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        closed.unwrap_or_else(|_| panic!("still open after {said:?}")).unwrap();
    }
}

#[tokio::test]
async fn connections_above_the_limit_wait_for_a_place() {
    let config = connections_at_most(1);
    let service = Service::start_with(config, Authentication::AcceptAny { account: "local".into() }).await;
    let ask = b"GET / HTTP/1.1\r\nhost: east\r\n\r\n";
    let mut first = TcpStream::connect(service.address).await.unwrap();
    first.write_all(ask).await.unwrap();
    let mut byte = [0; 1];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = TcpStream::connect(service.address).await.unwrap();
    second.write_all(ask).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(100), second.read_exact(&mut byte)).await;
    assert!(waiting.is_err());
    drop(first);
    tokio::time::timeout(Duration::from_secs(10), second.read_exact(&mut byte)).await.unwrap().unwrap();
}

#[tokio::test]
async fn requests_and_errors_are_counted_by_operation() {
    let service = Service::start().await;
    service.ok("ListTables", json!({})).await;
    service.error("GetItem", json!({})).await;
    let families = service.registry.gather();
    let value = |name: &str, label: &str| {
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let metric =
            family.get_metric().iter().find(|metric| metric.get_label().iter().any(|pair| pair.value() == label));
        metric.unwrap().get_counter().get_value()
    };
    assert_eq!(value("cairn_api_requests_total", "ListTables"), 1.0);
    assert_eq!(value("cairn_api_errors_total", "ValidationException"), 1.0);
}
