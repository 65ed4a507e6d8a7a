//! A snapshot on its way in: a task takes it from the socket, and a thread of the archive from that.

use super::{failed, unreadable};
use crate::archive::socket::{
    body::Frames,
    frame::Frame,
    message::{Refusal, SnapshotHead},
};
use anyhow::Context;
use bytes::Bytes;
use cairn_archive::{SourceError, SourceSnapshot};
use tokio::sync::mpsc;

/// Between the task and the thread.
const CHUNKS_AHEAD: usize = 4;

/// None is the end.
type Piece = Result<Option<Bytes>, SourceError>;

pub(super) async fn read(mut frames: Frames) -> Result<SourceSnapshot, SourceError> {
    let head = match frames.next().await.map_err(unreadable)? {
        Frame::Head(head) => head,
        frame => return Err(piece(frame).err().unwrap_or_else(out_of_turn)),
    };
    let head: SnapshotHead =
        serde_json::from_slice(&head).context("failed to read what a snapshot is of").map_err(failed)?;
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    tokio::spawn(take(frames, sender));
    Ok(head.join(Box::new(Chunks { receiver, over: false })))
}

/// Takes frames from the socket until the last, or until nobody wants them.
async fn take(mut frames: Frames, pieces: mpsc::Sender<Piece>) {
    loop {
        let came = tokio::select! {
            frame = frames.next() => frame.map_err(unreadable).and_then(piece),
            () = pieces.closed() => return,
        };
        let last = !matches!(came, Ok(Some(_)));
        if pieces.send(came).await.is_err() || last {
            return;
        }
    }
}

fn piece(frame: Frame) -> Piece {
    match frame {
        Frame::Chunk(chunk) => Ok(Some(chunk)),
        Frame::End => Ok(None),
        Frame::Failed(refusal) => Err(match serde_json::from_slice::<Refusal>(&refusal) {
            Ok(refusal) => refusal.into(),
            Err(error) => failed(error.into()),
        }),
        _ => Err(out_of_turn()),
    }
}

fn out_of_turn() -> SourceError {
    failed(anyhow::anyhow!("the node sent frames of a snapshot out of turn"))
}

/// The chunks, for a blocking thread.
struct Chunks {
    receiver: mpsc::Receiver<Piece>,
    over: bool,
}

impl Iterator for Chunks {
    type Item = Result<Bytes, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        // A task that went away without a word was cut off: that is no end.
        let cut = || Err(failed(anyhow::anyhow!("the reading of the snapshot was cut off")));
        let next = self.receiver.blocking_recv().unwrap_or_else(cut).transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}
