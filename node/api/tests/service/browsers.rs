//! What a page of another origin may do in a browser.

use crate::client::{Answer, Service};
use bytes::Bytes;
use cairn_api::{ApiConfig, Authentication};
use http_body_util::Full;
use hyper::{Method, Request, StatusCode};

const PAGE: &str = "https://shop.example";

fn request(method: Method, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri("/").header("host", "east");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).unwrap()
}

fn preflight(origin: &str) -> Request<Full<Bytes>> {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,x-amz-target"),
    ];
    request(Method::OPTIONS, &headers)
}

fn said<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_preflight_is_answered_with_what_was_asked_for() {
    let answer = Service::start().await.send(preflight(PAGE)).await;
    assert_eq!((answer.status, answer.bytes.len()), (StatusCode::OK, 0));
    assert_eq!(said(&answer, "access-control-allow-origin"), Some("*"));
    assert_eq!(said(&answer, "access-control-allow-methods"), Some("POST"));
    assert_eq!(said(&answer, "access-control-allow-headers"), Some("authorization,x-amz-target"));
    assert_eq!(said(&answer, "access-control-max-age"), Some("172800"));
    assert!(said(&answer, "x-amzn-requestid").is_some());
}

#[tokio::test]
async fn answers_and_refusals_can_be_read_by_the_page_that_asked() {
    let service = Service::start().await;
    let answer = service.call_with("ListTables", "{}".into(), &[("origin", PAGE)]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(said(&answer, "access-control-allow-origin"), Some("*"));
    let exposed = said(&answer, "access-control-expose-headers");
    assert_eq!(exposed, Some("x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date"));
    for method in [Method::GET, Method::PUT] {
        let answer = service.send(request(method, &[("origin", PAGE)])).await;
        assert_eq!(said(&answer, "access-control-allow-origin"), Some("*"));
    }
}

#[tokio::test]
async fn who_is_no_page_hears_nothing_of_origins() {
    let service = Service::start().await;
    assert_eq!(said(&service.call("ListTables", "{}").await, "access-control-allow-origin"), None);
    assert_eq!(service.send(request(Method::OPTIONS, &[])).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn where_any_credentials_do_only_pages_of_this_machine_may_ask() {
    let any = Authentication::AcceptAny { account: "local".into() };
    let service = Service::start_with(ApiConfig::new("east"), any).await;
    let answer = service.send(preflight("http://localhost:3000")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(said(&answer, "access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(said(&answer, "vary"), Some("origin"));
    let answer = service.send(preflight(PAGE)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(said(&answer, "access-control-allow-origin"), None);
}

/// A name of such a page's can become one of this machine: then its browser asks nobody before, and lets it read.
#[tokio::test]
async fn where_any_credentials_do_nothing_is_done_for_other_pages() {
    let any = Authentication::AcceptAny { account: "local".into() };
    let service = Service::start_with(ApiConfig::new("east"), any).await;
    let call = async |origin: &str| service.call_with("ListTables", "{}".into(), &[("origin", origin)]).await;
    assert_eq!(call("http://localhost:3000").await.status, StatusCode::OK);
    for origin in [PAGE, "http://rebound.example:8000", "null"] {
        let answer = call(origin).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{origin}");
        assert_eq!(answer.error().0, "AccessDeniedException");
    }
}
