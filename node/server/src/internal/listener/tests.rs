//! What one caller may have of a port.

use super::*;
use bytes::Buf;
use http_body_util::{Empty, StreamBody};
use hyper::body::Frame;
use std::io;

struct Counted;

impl Port<&'static str> for Counted {
    const LIMITS: Limits = Limits { calls: 4, shares: 2, body_bytes: 8, ..Limits::OWN };

    fn allows(&self, _caller: &&'static str, _method: &Method, _path: &str) -> bool {
        true
    }

    fn share(&self, caller: &&'static str) -> String {
        (*caller).to_owned()
    }

    async fn answer(&self, _caller: &&'static str, _call: Parts, body: Bytes) -> Response<Full<Bytes>> {
        text(StatusCode::OK, format!("{} bytes", body.len()))
    }
}

fn calls() -> Places {
    Places::new(Counted::LIMITS.calls, Counted::LIMITS.shares)
}

async fn ask(calls: &Places, caller: &'static str) -> Response<Full<Bytes>> {
    answer(Request::new(Empty::<Bytes>::new()), &caller, &Counted, calls).await
}

#[tokio::test]
async fn answers_that_are_not_read_keep_the_places_of_their_caller_and_nobody_elses() {
    let calls = calls();
    let unread = [ask(&calls, "east").await, ask(&calls, "east").await];
    assert!(unread.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(ask(&calls, "east").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask(&calls, "west").await.status(), StatusCode::OK);
    for answer in unread {
        let mut body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.copy_to_bytes(7), "0 bytes");
    }
    assert_eq!(ask(&calls, "east").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_call_that_does_not_arrive_is_given_up_and_its_place_with_it() {
    let calls = calls();
    let silent = || Request::new(StreamBody::new(futures::stream::pending::<io::Result<Frame<Bytes>>>()));
    let both =
        futures::join!(answer(silent(), &"east", &Counted, &calls), answer(silent(), &"east", &Counted, &calls),);
    assert_eq!([both.0.status(), both.1.status()], [StatusCode::REQUEST_TIMEOUT; 2]);
    assert_eq!(ask(&calls, "east").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_call_that_is_too_large_is_refused() {
    let large = Request::new(Full::new(Bytes::from_static(b"nine byte")));
    assert_eq!(answer(large, &"east", &Counted, &calls()).await.status(), StatusCode::BAD_REQUEST);
}
