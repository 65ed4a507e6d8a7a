//! A restore, or the items of an import, on its way in: loaded by a thread, frame by frame. Whatever ends it early, nothing of it stays.

use super::Offer;
use crate::archive::{
    Adopter,
    socket::{
        ARCHIVE_IDLE_MAX,
        body::Frames,
        frame::{Frame, FrameError},
        items,
        message::{AdoptOrder, Refusal},
    },
};
use anyhow::Context;
use cairn_archive::restore::RestoreSink;
use hyper::body::Incoming;
use tokio::sync::mpsc;

/// Between the socket and the thread that loads.
pub(super) const FRAMES_AHEAD: usize = 2;

/// What becomes of the frames, up to the partition that the node has then. Blocks.
type Load = fn(&dyn Adopter, mpsc::Receiver<Frame>) -> anyhow::Result<()>;

/// Done when the node has the partition.
pub(super) async fn take_in(offer: &Offer, body: Incoming, load: Load) -> Result<(), Refusal> {
    let place = offer.place()?;
    let adopter = offer.adopter.clone();
    let (frames, received) = mpsc::channel(FRAMES_AHEAD);
    let loading = tokio::task::spawn_blocking(move || {
        let loaded = load(&*adopter, received);
        if let Err(error) = &loaded {
            tracing::warn!(error = &**error as &dyn std::error::Error, "gave up what the archive brought");
        }
        drop(place);
        loaded
    });
    let given = give(Frames::of(body, ARCHIVE_IDLE_MAX), frames).await;
    let loaded = loading.await.context("the thread that loads ended early").flatten();
    given.context("it is not whole").and(loaded).map_err(Refusal::failed)
}

/// Gives the frames on until the last of them, or until nobody takes them.
pub(super) async fn give(mut body: Frames, frames: mpsc::Sender<Frame>) -> Result<(), FrameError> {
    loop {
        let frame = body.next().await?;
        let last = matches!(frame, Frame::Adopt(_) | Frame::Read);
        if frames.send(frame).await.is_err() || last {
            return Ok(());
        }
    }
}

/// Gives the sink what the frames hold, up to the first that is none of a partition's.
pub(super) fn fill(sink: &mut dyn RestoreSink, frames: &mut mpsc::Receiver<Frame>) -> anyhow::Result<Frame> {
    while let Some(frame) = frames.blocking_recv() {
        let taken = match frame {
            Frame::Chunk(chunk) => sink.chunk(chunk),
            Frame::ChunksDone => sink.chunks_done(),
            Frame::Entry(entry, _) => sink.entry(entry),
            Frame::EntryBehind(entry, at) => sink.entry_behind(entry, at),
            other => return Ok(other),
        };
        taken.map_err(anyhow::Error::from_boxed)?;
    }
    anyhow::bail!("it ended before its last frame")
}

pub(super) fn load(adopter: &dyn Adopter, mut frames: mpsc::Receiver<Frame>) -> anyhow::Result<()> {
    let mut adoption = adopter.begin()?;
    match fill(&mut adoption, &mut frames)? {
        Frame::Adopt(order) => {
            let AdoptOrder { descriptor, definition } = serde_json::from_slice(&order)?;
            adoption.adopt(descriptor, definition)
        }
        _ => anyhow::bail!("a restore has no such frames"),
    }
}

/// The same of a partition that is made of items.
pub(super) fn take_items(adopter: &dyn Adopter, mut frames: mpsc::Receiver<Frame>) -> anyhow::Result<()> {
    let mut intake = adopter.fill()?;
    while let Some(frame) = frames.blocking_recv() {
        match frame {
            Frame::Items(items) => intake.items(items::decode(items)?)?,
            Frame::Adopt(order) => {
                let AdoptOrder { descriptor, definition } = serde_json::from_slice(&order)?;
                return intake.adopt(descriptor, definition);
            }
            _ => anyhow::bail!("items are all that a partition is filled with"),
        }
    }
    anyhow::bail!("it ended before its last frame")
}
