//! One connection, in whichever HTTP its first bytes are: its limits, and its end.
//!
//! HTTP/2 begins with a preface of its own, agreed on under TLS or known before; what begins otherwise is HTTP/1.1.

use super::{
    place::Place,
    timed_stream::TimedStream,
    traffic::{Health, Traffic},
};
use crate::service::{Api, ApiConfig};
use hyper::{Request, Version, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::MissedTickBehavior,
};

/// Bytes of a request's head, in either version; and of what is read at once with HTTP/1.1.
pub(crate) const HEAD_BYTES_MAX: usize = 16 << 10;
/// Headers of a request: hyper's limit for HTTP/1.1, which it does not have for HTTP/2.
const HEADERS_MAX: usize = 100;
/// Requests at once on one connection of HTTP/2.
const STREAMS_MAX: u32 = 100;
/// Of these, how many may have been told that they were refused and not have taken that: the next are told less.
pub(crate) const REFUSED_MAX: usize = 32;
/// Bytes of a request, and of all of a connection, that wait in memory before anyone reads them.
const STREAM_WINDOW_BYTES: u32 = 32 << 10;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 64 << 10;
/// Bytes of an answer that wait to be sent besides the piece at hand.
const SEND_BYTES_MAX: usize = 64 << 10;
/// Streams that a client reset before they were served, and those that were reset for its errors, before it is cut off.
const PENDING_RESETS_MAX: usize = 20;
const ERROR_RESETS_MAX: usize = 100;
/// A client that is silent is asked whether it is there, and given that long to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a connection is looked at, at the most and at the least.
const LOOK_INTERVALS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

pub(super) type Protocols = Builder<TokioExecutor>;
type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

pub(super) fn protocols(config: &ApiConfig) -> Protocols {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(config.header_timeout).max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Serves until the client ends it, until it has been idle for too long, or, after `shutdown` has changed, until the
/// requests under way have their answers.
pub(super) async fn serve<S>(
    stream: S,
    protocols: &Protocols,
    api: Arc<Api>,
    place: Place,
    mut shutdown: watch::Receiver<()>,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (idle_max, write_timeout) = (api.config().header_timeout, api.config().write_timeout);
    let traffic = Traffic::new(write_timeout);
    let stream = TokioIo::new(TimedStream::new(stream, write_timeout));
    let requests = traffic.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (api, mut underway) = (api.clone(), requests.begin());
        let has_room = request.version() != Version::HTTP_2 || place.widen();
        async move {
            if !has_room {
                return Err("there is no room for a connection of HTTP/2");
            }
            // Before it waits, and its head with it.
            let too_many_headers = request.headers().len() > HEADERS_MAX;
            let place = if too_many_headers { None } else { api.place().await };
            let reply = match place {
                Some(place) => {
                    underway.keep(place);
                    // Large, and gone as soon as it has ended: a stream is there until its client has taken the answer.
                    Box::pin(api.answer(underway.watch(request))).await
                }
                None if underway.unsent() >= REFUSED_MAX => return Err("its client takes no answers"),
                None if too_many_headers => api.too_many_headers(),
                None => Box::pin(api.overloaded(underway.watch(request))).await,
            };
            Ok(underway.answered(reply))
        }
    });
    let mut connection = pin!(protocols.serve_connection(stream, service));
    let (often, seldom) = LOOK_INTERVALS;
    let between_looks = (idle_max.min(write_timeout) / 4).clamp(often, seldom);
    let mut looks = tokio::time::interval(between_looks);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.reset();
    let mut ending = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            _ = shutdown.changed(), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
            () = traffic.abused() => return Err("its client gave up too many requests".into()),
            _ = looks.tick() => match traffic.look(between_looks) {
                Health::Stuck => return Err("its client did not take an answer in time".into()),
                Health::Idle(time) if time >= idle_max && !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                // Told to end, and doesn't.
                Health::Idle(time) if time >= idle_max + write_timeout => return Ok(()),
                Health::Idle(_) | Health::Good => {}
            },
        }
    }
}
