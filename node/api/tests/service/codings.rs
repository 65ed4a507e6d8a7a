//! Content that is packed, on its way in and out.

use crate::client::{Answer, Service};
use bytes::Bytes;
use flate2::{
    Compression,
    read::{GzDecoder, GzEncoder, ZlibDecoder, ZlibEncoder},
};
use hyper::StatusCode;
use serde_json::{Value, json};
use std::io::Read;

fn all(mut reader: impl Read) -> Bytes {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes.into()
}

fn gzip(content: &str) -> Bytes {
    all(GzEncoder::new(content.as_bytes(), Compression::fast()))
}

async fn put(service: &Service, body: Bytes, codings: &[&str]) -> Answer {
    let headers: Vec<_> = codings.iter().map(|coding| ("content-encoding", *coding)).collect();
    service.call_with("PutItem", body, &headers).await
}

fn large_put() -> (Value, String) {
    let item = json!({"Id": {"S": "a"}, "Game": {"N": "1"}, "V": {"S": "x".repeat(10_000)}});
    let body = json!({"TableName": "users", "Item": item}).to_string();
    (item, body)
}

#[tokio::test]
async fn gzip_and_deflate_are_understood_and_spoken() {
    let service = Service::with_users().await;
    let (item, body) = large_put();
    let deflated = all(ZlibEncoder::new(body.as_bytes(), Compression::fast()));
    for (coding, packed) in [("gzip", gzip(&body)), ("GZIP", gzip(&body)), ("deflate", deflated)] {
        let answer = put(&service, packed, &[coding]).await;
        assert_eq!(answer.status, StatusCode::OK, "{coding}: {:?}", answer.bytes);
    }
    let get = json!({"TableName": "users", "Key": {"Id": {"S": "a"}, "Game": {"N": "1"}}}).to_string();
    for (accepted, coding) in [("gzip, deflate", "gzip"), ("br, deflate", "deflate")] {
        let answer = service.call_with("GetItem", get.clone().into(), &[("accept-encoding", accepted)]).await;
        assert_eq!(answer.headers["content-encoding"], coding);
        assert_eq!(answer.headers["x-amz-crc32"], crc32fast::hash(&answer.bytes).to_string().as_str());
        let content = match coding {
            "gzip" => all(GzDecoder::new(&answer.bytes[..])),
            _ => all(ZlibDecoder::new(&answer.bytes[..])),
        };
        assert_eq!(serde_json::from_slice::<Value>(&content).unwrap(), json!({"Item": item}));
    }
}

#[tokio::test]
async fn what_is_not_coded_as_it_says_is_refused_as_by_dynamodb_and_not_done() {
    let service = Service::with_users().await;
    let (_, body) = large_put();
    let cases: [(Bytes, &[&str]); 6] = [
        (body.clone().into(), &["gzip"]),
        (Bytes::new(), &["gzip"]),
        (gzip(&body), &["deflate"]),
        (gzip(&body), &["br"]),
        (gzip(&body), &["gzip, gzip"]),
        (gzip(&body), &["gzip", "identity"]),
    ];
    for (packed, codings) in cases {
        let answer = put(&service, packed, codings).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{codings:?}");
        assert_eq!(answer.error().0, "InternalServerError");
    }
    let answer = put(&service, body.into(), &["identity"]).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn answers_of_four_kilobytes_and_those_to_clients_that_want_it_so_are_left_as_they_are() {
    let service = Service::with_users().await;
    // Its answer is 23 bytes longer.
    for (length, coded) in [(4_073, false), (4_074, true)] {
        let item = json!({"Id": {"S": "b"}, "Game": {"N": "1"}, "V": {"S": "x".repeat(length)}});
        service.put(item).await;
        let get = json!({
            "TableName": "users", "Key": {"Id": {"S": "b"}, "Game": {"N": "1"}}, "ProjectionExpression": "V"
        });
        let answer = service.call_with("GetItem", get.to_string().into(), &[("accept-encoding", "gzip")]).await;
        assert_eq!(answer.headers.contains_key("content-encoding"), coded, "{}", answer.bytes.len());
        let plain = service.call_with("GetItem", get.to_string().into(), &[("accept-encoding", "gzip;q=0")]).await;
        assert_eq!(plain.bytes.len(), length + 23);
    }
}

#[tokio::test]
async fn a_body_that_unpacks_to_more_than_sixteen_megabytes_is_too_large() {
    let service = Service::with_users().await;
    let (_, body) = large_put();
    let padding = (16 << 20) - body.len();
    let answer = put(&service, gzip(&(body.clone() + &" ".repeat(padding))), &["gzip"]).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.bytes);
    let answer = put(&service, gzip(&(body + &" ".repeat(padding + 1))), &["gzip"]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.error().0, "RequestEntityTooLarge");
}
