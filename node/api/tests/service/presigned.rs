//! Requests whose signature is in their URL.

use crate::client::{Answer, SIGNER, Service};
use http_body_util::Full;
use hyper::{Request, StatusCode};

const HEADERS: [(&str, &str); 3] = [
    ("content-type", "application/x-amz-json-1.0"),
    ("host", "db.example"),
    ("x-amz-target", "DynamoDB_20120810.ListTables"),
];

/// The answer to a POST that was signed with one body, in this span before now, and sent with another.
async fn outcome(signed_body: &str, expires_s: u32, sent_body: &'static str, more: &[(&str, &str)]) -> Answer {
    let headers = HEADERS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let query = SIGNER.query(&headers, signed_body.as_bytes(), expires_s);
    let mut request = Request::post(format!("/?{query}"));
    for (name, value) in HEADERS.iter().chain(more) {
        request = request.header(*name, *value);
    }
    Service::start().await.send(request.body(Full::new(sent_body.into())).unwrap()).await
}

#[tokio::test]
async fn a_presigned_request_is_served_to_whoever_has_it() {
    let answer = outcome("{}", 604_800, "{}", &[]).await;
    assert_eq!((answer.status, &answer.bytes[..]), (StatusCode::OK, br#"{"TableNames":[]}"#.as_slice()));
}

#[tokio::test]
async fn its_body_is_signed_too() {
    let answer = outcome("{}", 60, r#"{"Limit":1}"#, &[]).await;
    assert_eq!(answer.error().0, "InvalidSignatureException");
}

#[tokio::test]
async fn it_can_be_good_for_seven_days_at_the_most() {
    assert_eq!(outcome("{}", 604_801, "{}", &[]).await.error().0, "IncompleteSignatureException");
}

#[tokio::test]
async fn a_signature_in_a_header_besides_is_refused() {
    let answer = outcome("{}", 60, "{}", &[("authorization", "AWS4-HMAC-SHA256 Credential=x")]).await;
    let (name, message) = answer.error();
    assert_eq!(name, "InvalidSignatureException");
    assert!(message.starts_with("Found both 'X-Amz-Algorithm'"), "{message}");
}
