//! What goes on on one connection: which requests are under way, which answers its client doesn't take, how many
//! requests it gave up. How much time passes it is told by whoever looks.

use super::reply::{Content, Reply};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Body, Frame, SizeHint},
};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// What a client takes of its answers at the least, each second, besides the time that it has for the first of it.
const ANSWER_BYTES_PER_SECOND: u64 = 64 << 10;
/// Requests that a client may give up on one connection; beyond, no more than it lets end.
const GIVEN_UP_MAX: u64 = 100;

#[derive(Debug)]
pub(super) struct Traffic {
    write_timeout: Duration,
    state: Mutex<State>,
    abused: Notify,
}

#[derive(Debug)]
struct State {
    requests: usize,
    unsent: Vec<Unsent>,
    unsent_bytes: u64,
    /// For how long there has been no request.
    idle: Duration,
    ended: u64,
    given_up: u64,
    /// Requests under way whose bodies broke off.
    broken: Vec<u64>,
}

/// An answer of which the last byte is not sent.
#[derive(Debug)]
struct Unsent {
    request: u64,
    bytes: u64,
    patience: Duration,
}

/// How a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Good,
    /// There has been no request for that long.
    Idle(Duration),
    /// The client has not taken an answer in its time.
    Stuck,
}

impl Traffic {
    pub(super) fn new(write_timeout: Duration) -> Arc<Self> {
        let state = State {
            requests: 0,
            unsent: Vec::new(),
            unsent_bytes: 0,
            idle: Duration::ZERO,
            ended: 0,
            given_up: 0,
            broken: Vec::new(),
        };
        Arc::new(Self { write_timeout, state: Mutex::new(state), abused: Notify::new() })
    }

    /// A request's head has come.
    pub(super) fn begin(self: &Arc<Self>) -> Underway {
        let mut state = self.state();
        state.requests += 1;
        state.idle = Duration::ZERO;
        let request = state.ended + state.given_up + state.requests as u64;
        Underway { traffic: self.clone(), request, answered: false, place: None }
    }

    /// How it is doing when this much time has passed since the last look.
    pub(super) fn look(&self, passed: Duration) -> Health {
        let mut state = self.state();
        let mut stuck = false;
        for unsent in &mut state.unsent {
            stuck |= unsent.patience < passed;
            unsent.patience = unsent.patience.saturating_sub(passed);
        }
        if stuck {
            Health::Stuck
        } else if state.requests == 0 {
            state.idle += passed;
            Health::Idle(state.idle)
        } else {
            Health::Good
        }
    }

    /// Resolves once the client has given up too many requests: it makes work and doesn't want what comes of it.
    pub(super) async fn abused(&self) {
        self.abused.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request from its head to the last byte of its answer, or to where the client gave it up.
#[derive(Debug)]
pub(super) struct Underway {
    traffic: Arc<Traffic>,
    request: u64,
    answered: bool,
    place: Option<OwnedSemaphorePermit>,
}

impl Underway {
    /// Keeps the request's place among all that are under way, for as long.
    pub(super) fn keep(&mut self, place: OwnedSemaphorePermit) {
        self.place = Some(place);
    }

    /// Answers on its connection that its client has not taken.
    pub(super) fn unsent(&self) -> usize {
        self.traffic.state().unsent.len()
    }

    /// The request, with a body of which it is seen when the client breaks it off.
    pub(super) fn watch<B>(&self, request: Request<B>) -> Request<Watched<B>> {
        request.map(|body| Watched { body, traffic: self.traffic.clone(), request: self.request })
    }

    /// The answer, with which the request ends when the last of it is sent.
    pub(super) fn answered(mut self, reply: Reply) -> Response<Full<Bytes>> {
        self.answered = true;
        let bytes = reply.body().len() as u64;
        {
            let mut state = self.traffic.state();
            state.unsent_bytes += bytes;
            let patience =
                self.traffic.write_timeout + Duration::from_secs(state.unsent_bytes / ANSWER_BYTES_PER_SECOND);
            state.unsent.push(Unsent { request: self.request, bytes, patience });
        }
        reply.map(|content| Full::new(Bytes::from_owner(Answer { content, _underway: self })))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let mut state = self.traffic.state();
        state.requests -= 1;
        if let Some(place) = state.unsent.iter().position(|unsent| unsent.request == self.request) {
            let sent = state.unsent.swap_remove(place);
            state.unsent_bytes -= sent.bytes;
        }
        let broken = state.broken.iter().position(|request| *request == self.request);
        if let Some(place) = broken {
            state.broken.swap_remove(place);
        }
        if self.answered && broken.is_none() {
            state.ended += 1;
            return;
        }
        state.given_up += 1;
        if state.given_up > GIVEN_UP_MAX && state.given_up > state.ended {
            self.traffic.abused.notify_one();
        }
    }
}

/// A request's body.
#[derive(Debug)]
pub(super) struct Watched<B> {
    body: B,
    traffic: Arc<Traffic>,
    request: u64,
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Err(_))) = polled {
            let mut state = self.traffic.state();
            if !state.broken.contains(&self.request) {
                state.broken.push(self.request);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct Answer {
    content: Content,
    _underway: Underway,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        self.content.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn reply(bytes: usize) -> Reply {
        Response::new(Content::from(vec![b' '; bytes]))
    }

    fn look(traffic: &Traffic, seconds: u64) -> Health {
        traffic.look(Duration::from_secs(seconds))
    }

    #[tokio::test]
    async fn a_connection_is_idle_from_the_last_byte_of_its_last_answer() {
        let traffic = Traffic::new(TIMEOUT);
        let [first, second] = [traffic.begin(), traffic.begin()];
        drop(second.answered(reply(10)));
        assert_eq!(look(&traffic, 5), Health::Good);
        let answer = first.answered(reply(10));
        assert_eq!(look(&traffic, 5), Health::Good);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), 10);
        assert_eq!(look(&traffic, 5), Health::Idle(Duration::from_secs(5)));
        assert_eq!(look(&traffic, 2), Health::Idle(Duration::from_secs(7)));
        drop(traffic.begin());
        assert_eq!(look(&traffic, 1), Health::Idle(Duration::from_secs(1)));
    }

    #[test]
    fn an_answer_that_is_not_taken_gets_stuck_later_the_more_there_is_to_take() {
        let traffic = Traffic::new(TIMEOUT);
        let large = traffic.begin().answered(reply(10 * ANSWER_BYTES_PER_SECOND as usize));
        assert_eq!(look(&traffic, 39), Health::Good);
        // Answers that the client does take don't give it more time for those that it doesn't.
        drop(traffic.begin().answered(reply(1)));
        assert_eq!(look(&traffic, 2), Health::Stuck);
        drop(large);
        assert!(matches!(look(&traffic, 1), Health::Idle(_)));
    }

    #[tokio::test]
    async fn a_client_may_give_up_some_requests_and_then_no_more_than_it_lets_end() {
        let traffic = Traffic::new(TIMEOUT);
        let abused = async || tokio::time::timeout(Duration::from_millis(1), traffic.abused()).await.is_ok();
        for _ in 0..=GIVEN_UP_MAX {
            drop(traffic.begin().answered(reply(1)));
        }
        for _ in 0..=GIVEN_UP_MAX {
            drop(traffic.begin());
        }
        assert!(!abused().await);
        drop(traffic.begin());
        assert!(abused().await);
    }
}
