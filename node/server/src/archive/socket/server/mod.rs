//! The node's side: it listens, and answers one archive.

mod read;
mod restore;
mod snapshot;

use super::{
    CONNECTION_WINDOW_BYTES, ENTRIES_BYTES_MAX, JSON_BYTES_MAX, STREAM_WINDOW_BYTES,
    body::{self, Body},
    frame::{Frame, FrameError, FrameWriter},
    message::{self, ArchivedNote, ClosedTime, EntriesCall, LedPartition, PartitionCall, Refusal},
};
use crate::archive::{Adopter, Reader};
use anyhow::Context;
use bytes::Bytes;
use cairn_archive::Source;
use cairn_model::time::Timestamp;
use cairn_replication::log::LogEntry;
use http_body_util::{BodyExt, Limited};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::de::DeserializeOwned;
use std::{
    convert::Infallible,
    fmt, io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// The archive's connections: one for calls, one for each stream, and those of an archive that was started anew.
const CONNECTIONS_MAX: usize = 32;
/// Calls at once on one connection.
const CALLS_MAX: u32 = 64;
/// Snapshots, restores and readings at once; each has a thread.
const STREAMS_MAX: usize = 8;
/// For the body of a call to be there.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// What the archive is offered.
pub(crate) struct Offer {
    source: Arc<dyn Source>,
    adopter: Arc<dyn Adopter>,
    reader: Arc<dyn Reader>,
    streams: Arc<Semaphore>,
}

impl Offer {
    pub(crate) fn new(source: Arc<dyn Source>, adopter: Arc<dyn Adopter>, reader: Arc<dyn Reader>) -> Self {
        Self { source, adopter, reader, streams: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }

    /// The place of one more stream.
    fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let place = self.streams.clone().try_acquire_owned();
        let message = || format!("{STREAMS_MAX} snapshots, restores and readings are under way: ask again later");
        place.map_err(|_| Refusal::Failed { message: message() })
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer").field("streams", &self.streams).finish_non_exhaustive()
    }
}

/// Listens at `path`, for this user alone; the socket of a process before this one gives way.
pub(crate) fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    let failed = || format!("failed to listen on the archive's socket {}", path.display());
    match std::fs::symlink_metadata(path) {
        Ok(found) => {
            anyhow::ensure!(
                found.file_type().is_socket(),
                "{} is there and is no socket: name another place for the archive's",
                path.display()
            );
            std::fs::remove_file(path).with_context(failed)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(failed),
    }
    let listener = UnixListener::bind(path).with_context(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).with_context(failed)?;
    Ok(listener)
}

/// Serves until the task is dropped.
pub(crate) async fn serve(listener: UnixListener, offer: Offer) {
    let offer = Arc::new(offer);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept on the archive's socket");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let offer = offer.clone();
        tokio::spawn(async move {
            if let Err(error) = serve_connection(stream, offer).await {
                tracing::debug!(%error, "a connection of the archive ended");
            }
            drop(place);
        });
    }
}

async fn serve_connection(stream: UnixStream, offer: Arc<Offer>) -> Result<(), hyper::Error> {
    let service = service_fn(move |request: Request<Incoming>| {
        let offer = offer.clone();
        async move {
            let answered = answer(request, &offer).await;
            Ok::<_, Infallible>(answered.unwrap_or_else(|refusal| refused(&refusal)))
        }
    });
    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(CALLS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer(request: Request<Incoming>, offer: &Offer) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    match (parts.method, parts.uri.path()) {
        (Method::GET, message::PARTITIONS) => {
            let led: Vec<LedPartition> = offer.source.partitions().into_iter().map(LedPartition::from).collect();
            json(&led)
        }
        (Method::POST, message::ENTRIES) => entries(offer, call(body).await?).await,
        (Method::POST, message::SNAPSHOT) => {
            let PartitionCall { partition_id } = call(body).await?;
            snapshot::answer(offer, partition_id).await
        }
        (Method::POST, message::CLOSE) => {
            let PartitionCall { partition_id } = call(body).await?;
            json(&ClosedTime::from(offer.source.close(partition_id).await?))
        }
        (Method::POST, message::ARCHIVED) => {
            let notes: Vec<ArchivedNote> = call(body).await?;
            notes.iter().for_each(|note| offer.source.archived(note.partition_id, note.index));
            Ok(done())
        }
        (Method::POST, message::HAS) => {
            let PartitionCall { partition_id } = call(body).await?;
            json(&offer.adopter.has(partition_id).await.map_err(Refusal::failed)?)
        }
        (Method::POST, message::RESTORE) => restore::take_in(offer, body, restore::load).await.map(|()| done()),
        (Method::POST, message::FILL) => restore::take_in(offer, body, restore::take_items).await.map(|()| done()),
        (Method::POST, message::READ) => read::answer(offer, body).await,
        (method, path) => Err(Refusal::Failed { message: format!("the node has nothing for {method} {path}") }),
    }
}

async fn entries(
    offer: &Offer,
    EntriesCall { partition_id, from, bytes_max }: EntriesCall,
) -> Result<Response<Body>, Refusal> {
    let entries = offer.source.entries(partition_id, from, bytes_max.min(ENTRIES_BYTES_MAX)).await?;
    // They may be many megabytes.
    let written = tokio::task::spawn_blocking(move || written(entries)).await.map_err(Refusal::failed)?;
    Ok(Response::new(body::whole(written.map_err(Refusal::failed)?)))
}

fn written(entries: Vec<(LogEntry, Timestamp)>) -> Result<Bytes, FrameError> {
    let mut frames = FrameWriter::new();
    for (entry, time) in entries {
        frames.put(&Frame::Entry(entry, time))?;
    }
    frames.put(&Frame::End)?;
    Ok(frames.take())
}

async fn call<T: DeserializeOwned>(body: Incoming) -> Result<T, Refusal> {
    let body = tokio::time::timeout(BODY_DEADLINE, Limited::new(body, JSON_BYTES_MAX).collect()).await;
    let body =
        body.map_err(|_| Refusal::Failed { message: format!("the call was not there within {BODY_DEADLINE:?}") })?;
    let body = body.map_err(|error| Refusal::failed(anyhow::Error::from_boxed(error)))?.to_bytes();
    serde_json::from_slice(&body).map_err(Refusal::failed)
}

fn done() -> Response<Body> {
    Response::new(body::whole(""))
}

fn json(value: &impl serde::Serialize) -> Result<Response<Body>, Refusal> {
    Ok(Response::new(body::whole(serde_json::to_vec(value).map_err(Refusal::failed)?)))
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = Response::new(body::whole(serde_json::to_vec(refusal).unwrap_or_default()));
    *response.status_mut() = match refusal {
        Refusal::Compacted { .. } => StatusCode::GONE,
        Refusal::NotLeader => StatusCode::MISDIRECTED_REQUEST,
        Refusal::Failed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    };
    response
}
