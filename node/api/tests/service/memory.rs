//! What clients can make the service hold, and that others are served meanwhile.

use crate::client::{Service, connections_at_most, lenient, signed};
use bytes::Bytes;
use cairn_api::{ApiConfig, Limits};
use futures::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode, Version,
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
    header::HOST,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const MB: usize = 1 << 20;

const LARGE: &str = r#"{"TableName": "users", "Key": {"Id": {"S": "large"}}}"#;
/// How long is waited for what is soon, unless the machine has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service that holds answers of 4 MB, with an item of 300 KB and a small one. Reads wait for room as they always do.
async fn with_items() -> Service {
    with_items_and_patience(ApiConfig::new("east").room_timeout).await
}

async fn with_items_and_patience(room_timeout: Duration) -> Service {
    let limits = Limits { answer_bytes_max: 4 * MB, ..Limits::default() };
    let service = lenient(ApiConfig { limits, room_timeout, ..ApiConfig::new("east") }).await;
    service.create("users", &[("Id", "S")]).await;
    service.put(json!({"Id": {"S": "large"}, "Text": {"S": "x".repeat(300_000)}})).await;
    service.put(json!({"Id": {"S": "small"}})).await;
    service
}

/// A connection whose client reads the heads of answers and nothing more.
async fn without_window(service: &Service) -> SendRequest<Full<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(service.address).await.unwrap());
    let mut builder = Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.initial_stream_window_size(1).handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn get(service: &Service, id: &str) -> Request<Full<Bytes>> {
    let body = json!({"TableName": "users", "Key": {"Id": {"S": id}}}).to_string();
    let (mut parts, body) = signed(&service.address.to_string(), "GetItem", body.into()).into_parts();
    parts.headers.remove(HOST);
    parts.version = Version::HTTP_2;
    parts.uri = format!("http://{}/", service.address).parse().unwrap();
    Request::from_parts(parts, body)
}

async fn ask_many(service: &Service, sender: &SendRequest<Full<Bytes>>, count: usize) -> Vec<Response<Incoming>> {
    let asked = (0..count).map(|_| sender.clone().send_request(get(service, "large")));
    join_all(asked).await.into_iter().map(Result::unwrap).collect()
}

/// Asks one after the other until there is no room for another; gives the answers, which nobody reads.
async fn fill(service: &Service, sender: &SendRequest<Full<Bytes>>) -> Vec<Response<Incoming>> {
    let mut held = Vec::new();
    loop {
        let answer = ask_many(service, sender, 1).await.remove(0);
        if answer.status() != StatusCode::OK {
            return held;
        }
        held.push(answer);
    }
}

/// Tries until it is so.
async fn eventually(mut done: impl AsyncFnMut() -> bool) {
    let trying = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.expect("it is never so");
}

#[tokio::test]
async fn answers_that_nobody_reads_hold_what_there_is_for_answers_and_no_more() {
    let service = with_items().await;
    let sender = without_window(&service).await;
    let mut answers = ask_many(&service, &sender, 30).await;
    answers.extend(fill(&service, &sender).await);
    let held = answers.iter().filter(|answer| answer.status() == StatusCode::OK).count();
    assert!((1..=4 * MB / 300_000).contains(&held), "{held} answers of 300 KB are held");
    // What is small is served all the same, and what was not read makes room when its client gives it up.
    let small = service.call("GetItem", r#"{"TableName": "users", "Key": {"Id": {"S": "small"}}}"#).await;
    assert_eq!(small.status, StatusCode::OK);
    assert_eq!(service.call("GetItem", LARGE).await.error().0, "ThrottlingException");
    drop((answers, sender));
    eventually(async || service.call("GetItem", LARGE).await.status == StatusCode::OK).await;
}

#[tokio::test]
async fn answers_that_are_read_make_room_for_others() {
    let service = with_items_and_patience(PATIENCE).await;
    for _ in 0..5 {
        let sender = without_window(&service).await;
        let answers = ask_many(&service, &sender, 3).await;
        assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
    }
    let answers = join_all((0..40).map(|_| async {
        let stream = TokioIo::new(TcpStream::connect(service.address).await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        let answer = sender.send_request(get(&service, "large")).await.unwrap();
        (answer.status(), answer.into_body().collect().await.unwrap().to_bytes().len())
    }));
    for (status, length) in answers.await {
        assert!(status == StatusCode::OK && length > 300_000, "{status}, {length} bytes");
    }
}

/// As one batch, it is the answer to all of it.
#[tokio::test]
async fn keys_of_a_batch_for_which_there_is_no_room_come_back_unprocessed() {
    let service = with_items().await;
    let keys: Vec<_> = (0..20).map(|number| json!({"Id": {"S": format!("large-{number}")}})).collect();
    for key in &keys {
        service.put(json!({"Id": key["Id"], "Text": {"S": "x".repeat(300_000)}})).await;
    }
    let sender = without_window(&service).await;
    let held = fill(&service, &sender).await;
    let (name, _) = service.error("BatchGetItem", json!({"RequestItems": {"users": {"Keys": keys}}})).await;
    assert_eq!(name, "ThrottlingException");
    drop((held, sender));
    let all = json!({"RequestItems": {"users": {"Keys": keys}}}).to_string();
    eventually(async || {
        let answer = service.call("BatchGetItem", all.clone()).await.json();
        answer["Responses"]["users"].as_array().is_some_and(|items| items.len() == 20)
    })
    .await;
}

#[tokio::test]
async fn a_head_of_http_1_has_sixteen_kilobytes() {
    let service = lenient(connections_at_most(4)).await;
    for (bytes, status) in [(15 << 10, "200"), (17 << 10, "431")] {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let head = format!("GET / HTTP/1.1\r\nhost: east\r\nmore: {}\r\n\r\n", "x".repeat(bytes));
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

/// What it can hold is more: streams, and what is sent on them before anyone reads it.
#[tokio::test]
async fn a_connection_of_http_2_counts_as_three() {
    let service = lenient(connections_at_most(4)).await;
    let mut first = without_window(&service).await;
    assert_eq!(first.send_request(get(&service, "any")).await.unwrap().status(), StatusCode::BAD_REQUEST);
    let mut second = without_window(&service).await;
    assert!(second.send_request(get(&service, "any")).await.is_err());
    drop(first);
    let mut told = None;
    eventually(async || {
        told = second.send_request(get(&service, "any")).await.ok().map(|answer| answer.status());
        told.is_some()
    })
    .await;
    assert_eq!(told, Some(StatusCode::BAD_REQUEST));
}
