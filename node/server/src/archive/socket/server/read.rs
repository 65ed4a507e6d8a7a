//! A table's past on its way in, to be laid out, and out again in the order of its keys. Whatever ends it early, nothing of it
//! stays, and neither does anything at its end.

use super::{
    Offer,
    restore::{FRAMES_AHEAD, fill, give},
};
use crate::archive::{
    PastItems, Reader,
    socket::{
        ARCHIVE_IDLE_MAX, READING_IDLE_MAX,
        body::{self, Body, Frames, PIECE_BYTES, Pieces},
        frame::{Frame, FrameWriter},
        message::{PastHead, Refusal},
    },
};
use anyhow::Context;
use cairn_replication::restore::LoadedVersion;
use hyper::{Response, body::Incoming};
use tokio::sync::{mpsc, oneshot};

/// Answers once all of it is laid out.
pub(super) async fn answer(offer: &Offer, body: Incoming) -> Result<Response<Body>, Refusal> {
    let place = offer.place()?;
    let reader = offer.reader.clone();
    let (frames, received) = mpsc::channel(FRAMES_AHEAD);
    let (pieces, answer) = body::piped(ARCHIVE_IDLE_MAX);
    let (laid_out, is_laid_out) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        match lay_out(&*reader, received) {
            Ok(past) => {
                // Who asked may be gone; then so are the pieces' takers.
                let _ = laid_out.send(Ok(()));
                if let Err(error) = pump(past, &pieces) {
                    tracing::warn!(error = &*error as &dyn std::error::Error, "gave up what the archive was reading");
                }
            }
            Err(error) => {
                tracing::warn!(error = &*error as &dyn std::error::Error, "gave up what the archive wanted to read");
                let _ = laid_out.send(Err(error));
            }
        }
        drop(place);
    });
    let given = give(Frames::of(body, READING_IDLE_MAX), frames).await;
    let laid_out = is_laid_out.await.context("the thread that lays it out ended early").flatten();
    given.context("what is to be read is not whole").and(laid_out).map_err(Refusal::failed)?;
    Ok(Response::new(answer))
}

fn lay_out(reader: &dyn Reader, mut frames: mpsc::Receiver<Frame>) -> anyhow::Result<PastItems> {
    let Some(Frame::Layout(deletions_after)) = frames.blocking_recv() else {
        anyhow::bail!("it does not begin with how it is laid out")
    };
    let mut reading = reader.begin(deletions_after)?;
    match fill(&mut reading, &mut frames)? {
        Frame::Read => reading.read(),
        _ => anyhow::bail!("what is to be read has no such frames"),
    }
}

fn pump(past: PastItems, pieces: &Pieces) -> anyhow::Result<()> {
    let PastItems { definition, size_bytes, items } = past;
    let mut frames = FrameWriter::new();
    frames.put(&Frame::Head(serde_json::to_vec(&PastHead { definition, size_bytes })?.into()))?;
    for item in items {
        let frame = match item {
            Ok((key, LoadedVersion::Item(version))) => Frame::Item(key, version.encode()),
            Ok((key, LoadedVersion::Deleted(at))) => Frame::Deleted(key, at),
            Err(error) => {
                frames.put(&Frame::Failed(serde_json::to_vec(&Refusal::failed(error))?.into()))?;
                return Ok(pieces.send(frames.take())?);
            }
        };
        frames.put(&frame)?;
        if frames.bytes() >= PIECE_BYTES {
            pieces.send(frames.take())?;
        }
    }
    frames.put(&Frame::End)?;
    Ok(pieces.send(frames.take())?)
}
