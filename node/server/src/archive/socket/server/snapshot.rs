//! A snapshot on its way out: read by a thread, as fast as the archive takes it.

use super::Offer;
use crate::archive::socket::{
    ARCHIVE_IDLE_MAX,
    body::{self, Body, PIECE_BYTES, Pieces},
    frame::{Frame, FrameWriter},
    message::{Refusal, SnapshotHead},
};
use cairn_archive::SourceSnapshot;
use cairn_model::ids::PartitionId;
use hyper::Response;

pub(super) async fn answer(offer: &Offer, partition: PartitionId) -> Result<Response<Body>, Refusal> {
    let place = offer.place()?;
    let snapshot = offer.source.snapshot(partition).await?;
    let (pieces, body) = body::piped(ARCHIVE_IDLE_MAX);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = pump(snapshot, &pieces) {
            tracing::warn!(%partition, error = &*error as &dyn std::error::Error, "gave up a snapshot for the archive");
        }
        drop(place);
    });
    Ok(Response::new(body))
}

fn pump(snapshot: SourceSnapshot, pieces: &Pieces) -> anyhow::Result<()> {
    let (head, chunks) = SnapshotHead::split(snapshot);
    let mut frames = FrameWriter::new();
    frames.put(&Frame::Head(serde_json::to_vec(&head)?.into()))?;
    for chunk in chunks {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                let told = Refusal::from(error);
                frames.put(&Frame::Failed(serde_json::to_vec(&told)?.into()))?;
                return Ok(pieces.send(frames.take())?);
            }
        };
        frames.put(&Frame::Chunk(chunk))?;
        if frames.bytes() >= PIECE_BYTES {
            pieces.send(frames.take())?;
        }
    }
    frames.put(&Frame::End)?;
    Ok(pieces.send(frames.take())?)
}
