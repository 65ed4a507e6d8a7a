//! HTTP/2 with prior knowledge, its limits, and the end of connections in both versions.

use crate::{
    client::{Service, lenient, requests_at_most, signed},
    raw,
};
use bytes::Bytes;
use cairn_api::ApiConfig;
use futures::{FutureExt, future::join_all, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, StatusCode, Version,
    body::Frame,
    client::conn::http2::{Builder, SendRequest},
    header::HOST,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{convert::Infallible, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

type AnyBody = UnsyncBoxBody<Bytes, Infallible>;
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection, and the task that ends with it.
async fn connect(service: &Service, stream_window_bytes: u32) -> (SendRequest<AnyBody>, JoinHandle<()>) {
    let stream = TokioIo::new(TcpStream::connect(service.address).await.unwrap());
    let mut builder = Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.initial_stream_window_size(stream_window_bytes).handshake(stream).await.unwrap();
    let ended = tokio::spawn(async move { drop(connection.await) });
    (sender, ended)
}

/// The same request as HTTP/2 has it: with an authority, and without a host.
fn of_http2(service: &Service, request: Request<Full<Bytes>>) -> Request<AnyBody> {
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(HOST);
    parts.version = Version::HTTP_2;
    parts.uri = format!("http://{}{}", service.address, parts.uri).parse().unwrap();
    Request::from_parts(parts, body.boxed_unsync())
}

fn list_tables(service: &Service) -> Request<AnyBody> {
    of_http2(service, signed(&service.address.to_string(), "ListTables", "{}".into()))
}

async fn ends(connection: JoinHandle<()>) {
    tokio::time::timeout(PATIENCE, connection).await.expect("the connection is still open").unwrap();
}

#[tokio::test]
async fn requests_of_http_2_are_verified_and_answered_many_at_once() {
    let service = Service::start().await;
    let (sender, _connection) = connect(&service, 65_535).await;
    let answers = (0..300).map(|_| sender.clone().send_request(list_tables(&service)));
    for answer in join_all(answers).await {
        let answer = answer.unwrap();
        assert_eq!((answer.version(), answer.status()), (Version::HTTP_2, StatusCode::OK));
        assert_eq!(answer.headers()["x-amzn-requestid"].len(), 52);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), r#"{"TableNames":[]}"#);
    }
}

#[tokio::test]
async fn the_host_is_what_http_2_calls_the_authority() {
    let service = Service::start().await;
    let (mut sender, _connection) = connect(&service, 65_535).await;
    let request = Request::get("http://db.example:8000/").body(Full::default().boxed_unsync()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "healthy: db.example:8000 ");
}

#[tokio::test]
async fn a_refused_request_and_one_that_is_too_large_leave_the_connection_to_others() {
    let service = Service::start().await;
    let (mut sender, _connection) = connect(&service, 65_535).await;
    let large = signed(&service.address.to_string(), "ListTables", vec![b' '; (16 << 20) + 1].into());
    let answer = sender.send_request(of_http2(&service, large)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let unknown = signed(&service.address.to_string(), "Nonsense", vec![b' '; 1 << 20].into());
    let answer = sender.send_request(of_http2(&service, unknown)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(!answer.headers().contains_key("connection"));
    assert_eq!(sender.send_request(list_tables(&service)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_head_of_more_than_16_kilobytes_is_refused() {
    let service = Service::start().await;
    let (mut sender, _connection) = connect(&service, 65_535).await;
    let mut request = list_tables(&service);
    for number in 0..3 {
        let name = hyper::header::HeaderName::try_from(format!("more-{number}")).unwrap();
        request.headers_mut().insert(name, "x".repeat(5_500).parse().unwrap());
    }
    let refused = match sender.send_request(request).await {
        Ok(answer) => answer.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Err(_) => true,
    };
    assert!(refused);
}

/// Its compression has a client say a header again with a byte; each costs a hundred bytes here, on a hundred streams.
#[tokio::test]
async fn a_head_of_more_headers_than_http_1_has_is_refused() {
    let service = Service::start().await;
    let (mut sender, _connection) = connect(&service, 65_535).await;
    for (more, status) in [(90, StatusCode::OK), (100, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)] {
        let mut request = list_tables(&service);
        for _ in 0..more {
            request.headers_mut().append("more", "x".parse().unwrap());
        }
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{more}");
        assert!(answer.headers().contains_key("x-amzn-requestid"));
    }
}

/// Nobody has to sign for it.
#[tokio::test]
async fn a_body_that_nobody_needs_holds_no_place() {
    let config = requests_at_most(2);
    let service = lenient(config).await;
    let (sender, _connection) = connect(&service, 65_535).await;
    let held = join_all((0..10).map(|_| {
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>()).boxed_unsync();
        let request = Request::get("http://east/").body(body).unwrap();
        sender.clone().send_request(request)
    }));
    let statuses = tokio::time::timeout(PATIENCE, held).await.expect("it waits for their bodies");
    assert!(statuses.into_iter().all(|answer| answer.unwrap().status() == StatusCode::OK));
    // Nor does it hold any of what the connection may send, all of which these are more than.
    for _ in 0..10 {
        let unknown = signed(&service.address.to_string(), "Nonsense", vec![b' '; 100 << 10].into());
        let answer = sender.clone().send_request(of_http2(&service, unknown)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    }
    assert_eq!(sender.clone().send_request(list_tables(&service)).await.unwrap().status(), StatusCode::OK);
}

/// A frame of HTTP/2, as no client's library would send it.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The head of a request whose body is yet to come, on this stream.
fn open(stream: u32) -> Vec<u8> {
    // POST, http and /, which HPACK has numbers for, and then names and values as they are.
    let mut head = vec![0x83, 0x86, 0x84];
    let headers = [
        (":authority", "east"),
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "DynamoDB_20120810.ListTables"),
        ("x-amz-date", "20200101T000000Z"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=x/y/z/dynamodb/aws4_request, SignedHeaders=host, Signature=0"),
    ];
    for (name, value) in headers {
        head.push(0);
        for text in [name, value] {
            head.push(u8::try_from(text.len()).unwrap());
            head.extend_from_slice(text.as_bytes());
        }
    }
    frame(1, 4, stream, &head)
}

/// Gives up `count` requests, so long after it began each, and says whether it was cut off, before long.
async fn gives_up(service: &Service, count: u32, after: Duration, patience: Duration) -> bool {
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    let mut plug = TcpStream::connect(service.address).await.unwrap();
    plug.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    plug.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    for number in 0..count {
        let stream = 2 * number + 1;
        let mut sent = plug.write_all(&open(stream)).await.is_ok();
        tokio::time::sleep(after).await;
        sent &= plug.write_all(&frame(3, 0, stream, &CANCEL)).await.is_ok();
        if !sent {
            return true;
        }
    }
    tokio::time::timeout(patience, plug.read_to_end(&mut Vec::new())).await.is_ok()
}

#[tokio::test]
async fn a_client_that_opens_requests_to_give_them_up_is_cut_off() {
    let service = lenient(ApiConfig::new("east")).await;
    assert!(!gives_up(&service, 50, Duration::from_millis(2), Duration::from_secs(1)).await);
    assert!(gives_up(&service, 150, Duration::from_millis(2), PATIENCE).await);
    // So fast that none of them is served.
    assert!(gives_up(&service, 1_000, Duration::ZERO, PATIENCE).await);
}

#[tokio::test]
async fn requests_above_the_limit_wait_for_a_place_and_not_forever() {
    let config = requests_at_most(2);
    let service = lenient(config).await;
    let (sender, _connection) = connect(&service, 65_535).await;
    let held: Vec<_> = (0..2)
        .map(|_| {
            let (end, ended) = tokio::sync::oneshot::channel::<()>();
            let body = stream::once(async move {
                let _ = ended.await;
                Ok::<_, Infallible>(Frame::data(Bytes::from("{}")))
            });
            let request = list_tables(&service).map(|_| StreamBody::new(body).boxed_unsync());
            (end, tokio::spawn(sender.clone().send_request(request)))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer = sender.clone().send_request(list_tables(&service)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("#ThrottlingException"), "{body:?}");
    let waiting = tokio::spawn(sender.clone().send_request(list_tables(&service)));
    for (end, answer) in held {
        end.send(()).unwrap();
        assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
}

/// A stream is there until its client has taken what it is told.
#[tokio::test]
async fn a_client_that_takes_no_refusals_is_told_no_more_at_some_point() {
    let service = lenient(requests_at_most(1)).await;
    let (sender, _connection) = connect(&service, 1).await;
    let _held: Vec<_> = (0..65)
        .map(|_| {
            let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>()).boxed_unsync();
            tokio::spawn(sender.clone().send_request(list_tables(&service).map(|_| body)))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answers = join_all((0..35).map(|_| sender.clone().send_request(list_tables(&service)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 32);
}

/// Each with its head, on as many streams of as many connections as there may be.
#[tokio::test]
async fn where_many_wait_for_a_place_the_next_is_refused_at_once() {
    let service = lenient(requests_at_most(8)).await;
    let (sender, _connection) = connect(&service, 65_535).await;
    let hold = || {
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>()).boxed_unsync();
        tokio::spawn(sender.clone().send_request(list_tables(&service).map(|_| body)))
    };
    let _held: Vec<_> = (0..8).map(|_| hold()).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let waiting: Vec<_> = (0..65).map(|_| hold()).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refused = sender.clone().send_request(list_tables(&service));
    let refused = tokio::time::timeout(Duration::from_secs(4), refused).await.expect("it waits").unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
}

#[tokio::test]
async fn a_client_that_sends_a_large_body_hears_that_there_is_no_place() {
    let config = requests_at_most(2);
    let service = lenient(config).await;
    let (sender, _connection) = connect(&service, 65_535).await;
    let _held: Vec<_> = (0..2)
        .map(|_| {
            let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>()).boxed_unsync();
            tokio::spawn(sender.clone().send_request(list_tables(&service).map(|_| body)))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    raw::a_large_body_is_throttled(&service).await;
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let config = ApiConfig { header_timeout: Duration::from_secs(1), ..ApiConfig::new("east") };
    let service = lenient(config).await;
    let (mut sender, connection) = connect(&service, 65_535).await;
    assert_eq!(sender.send_request(list_tables(&service)).await.unwrap().status(), StatusCode::OK);
    ends(connection).await;
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_cut_off() {
    let config = ApiConfig { write_timeout: Duration::from_millis(100), ..ApiConfig::new("east") };
    let service = lenient(config).await;
    let (mut sender, connection) = connect(&service, 1).await;
    let answer = sender.send_request(list_tables(&service)).await.unwrap();
    ends(connection).await;
    assert!(answer.into_body().collect().await.is_err());
}

#[tokio::test]
async fn requests_under_way_have_their_answers_before_the_service_ends() {
    let mut service = Service::start().await;
    let (mut sender, connection) = connect(&service, 65_535).await;
    let (mut body, late) = tokio::io::duplex(16);
    let late = StreamBody::new(stream::once(async move {
        let mut bytes = Vec::new();
        let mut late = late;
        late.read_to_end(&mut bytes).await.unwrap();
        Ok::<_, Infallible>(Frame::data(Bytes::from(bytes)))
    }));
    let second = sender.send_request(list_tables(&service).map(|_| late.boxed_unsync()));
    let second = tokio::spawn(second);
    let mut first = TcpStream::connect(service.address).await.unwrap();
    let request = signed(&service.address.to_string(), "ListTables", "{}".into());
    let mut head = "POST / HTTP/1.1\r\ncontent-length: 2\r\n".to_owned();
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    first.write_all(format!("{head}\r\n{{").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;

    service.stop.notify_one();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!((&mut service.serving).now_or_never().is_none());
    body.write_all(b"{}").await.unwrap();
    drop(body);
    first.write_all(b"}").await.unwrap();
    assert_eq!(second.await.unwrap().unwrap().status(), StatusCode::OK);
    let mut answer = String::new();
    first.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(sender);
    ends(connection).await;
    tokio::time::timeout(PATIENCE, service.serving).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(service.address).await.is_err());
}
