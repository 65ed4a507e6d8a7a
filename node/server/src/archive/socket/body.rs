//! Bodies: frames on their way in and out, with back-pressure and with an end to every wait.

use super::frame::{Frame, FrameError, FrameReader};
use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use std::{convert::Infallible, time::Duration};
use tokio::{runtime::Handle, sync::mpsc};

/// Small frames travel together up to about this many bytes.
pub(super) const PIECE_BYTES: usize = 256 << 10;
/// Pieces between the thread that makes them and the socket.
const PIECES_AHEAD: usize = 2;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A body, and the way of a blocking thread to fill it; a piece that finds no room for `stall_max` is the last.
pub(super) fn piped(stall_max: Duration) -> (Pieces, Body) {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(PIECES_AHEAD);
    let pieces = stream::poll_fn(move |context| receiver.poll_recv(context));
    let frames = futures::StreamExt::map(pieces, |piece| Ok(hyper::body::Frame::data(piece)));
    (Pieces { sender, runtime: Handle::current(), stall_max }, StreamBody::new(frames).boxed_unsync())
}

#[derive(Debug)]
pub(super) struct Pieces {
    sender: mpsc::Sender<Bytes>,
    runtime: Handle,
    stall_max: Duration,
}

/// Nobody takes the body any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody takes the rest of it")]
pub(super) struct NotTaken;

impl Pieces {
    /// Blocks until there is room for the piece.
    pub(super) fn send(&self, piece: Bytes) -> Result<(), NotTaken> {
        let sending = async { tokio::time::timeout(self.stall_max, self.sender.send(piece)).await };
        match self.runtime.block_on(sending) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotTaken),
        }
    }
}

/// The frames of a body that comes in.
#[derive(Debug)]
pub(super) struct Frames {
    body: Incoming,
    reader: FrameReader,
    idle_max: Duration,
}

impl Frames {
    pub(super) fn of(body: Incoming, idle_max: Duration) -> Self {
        Self { body, reader: FrameReader::default(), idle_max }
    }

    /// The next frame. That the body ends without one is an error: each has a last frame, after which none is asked for.
    pub(super) async fn next(&mut self) -> Result<Frame, FrameError> {
        loop {
            if let Some(frame) = self.reader.next()? {
                return Ok(frame);
            }
            let came = tokio::time::timeout(self.idle_max, self.body.frame()).await;
            match came.map_err(|_| FrameError::Idle(self.idle_max.as_secs()))? {
                Some(piece) => {
                    if let Ok(piece) = piece?.into_data() {
                        self.reader.push(&piece);
                    }
                }
                None => return Err(FrameError::CutShort),
            }
        }
    }
}
