//! A restore on its way in: loaded by a thread, frame by frame. Whatever ends it early, nothing of it stays.

use super::Offer;
use crate::archive::{
    Adopter,
    socket::{
        ARCHIVE_IDLE_MAX,
        body::Frames,
        frame::{Frame, FrameError},
        message::{AdoptOrder, Refusal},
    },
};
use anyhow::Context;
use hyper::body::Incoming;
use tokio::sync::mpsc;

/// Between the socket and the thread that loads.
const FRAMES_AHEAD: usize = 2;

/// Done when the node has the partition.
pub(super) async fn take_in(offer: &Offer, body: Incoming) -> Result<(), Refusal> {
    let place = offer.place()?;
    let adopter = offer.adopter.clone();
    let (frames, received) = mpsc::channel(FRAMES_AHEAD);
    let loading = tokio::task::spawn_blocking(move || {
        let loaded = load(&*adopter, received);
        if let Err(error) = &loaded {
            tracing::warn!(error = &**error as &dyn std::error::Error, "gave up what the archive restored");
        }
        drop(place);
        loaded
    });
    let given = give(body, frames).await;
    let loaded = loading.await.context("the thread that loads ended early").flatten();
    given.context("the restore is not whole").and(loaded).map_err(Refusal::failed)
}

/// Gives the frames on until the last of them, or until nobody takes them.
async fn give(body: Incoming, frames: mpsc::Sender<Frame>) -> Result<(), FrameError> {
    let mut body = Frames::of(body, ARCHIVE_IDLE_MAX);
    loop {
        let frame = body.next().await?;
        let last = matches!(frame, Frame::Adopt(_));
        if frames.send(frame).await.is_err() || last {
            return Ok(());
        }
    }
}

fn load(adopter: &dyn Adopter, mut frames: mpsc::Receiver<Frame>) -> anyhow::Result<()> {
    let mut adoption = adopter.begin()?;
    while let Some(frame) = frames.blocking_recv() {
        let taken = match frame {
            Frame::Chunk(chunk) => adoption.chunk(chunk),
            Frame::ChunksDone => adoption.chunks_done(),
            Frame::Entry(entry, _) => adoption.entry(entry),
            Frame::Adopt(order) => {
                let AdoptOrder { descriptor, definition } = serde_json::from_slice(&order)?;
                return adoption.adopt(descriptor, definition);
            }
            Frame::Head(_) | Frame::End | Frame::Failed(_) => anyhow::bail!("a restore has no such frames"),
        };
        taken.map_err(anyhow::Error::from_boxed)?;
    }
    anyhow::bail!("it ended before its last frame")
}
