//! Bodies: how large, how fast, and what they hold meanwhile.

use super::*;
use futures::{Stream, StreamExt, stream};
use http_body_util::{Full, StreamBody};
use hyper::body::{Frame, SizeHint};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

const PATIENCE: Patience =
    Patience { whole: Duration::from_secs(120), room: Duration::from_secs(5), progress: Duration::from_secs(3) };
const PIECE: usize = 16 << 10;

type Pieces = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>;

/// Of a length that is said before.
struct Announced {
    pieces: Pieces,
    bytes: usize,
}

impl Body for Announced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.pieces.poll_next_unpin(context)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes as u64)
    }
}

/// Bytes that come in pieces, with a pause before each.
fn pieces(bytes: usize, pause: Duration) -> Pieces {
    pieces_of(PIECE, bytes, pause)
}

fn pieces_of(piece: usize, bytes: usize, pause: Duration) -> Pieces {
    Box::pin(stream::iter(0..bytes.div_ceil(piece)).then(move |number| async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Ok(Frame::data(vec![b' '; piece.min(bytes - number * piece)].into()))
    }))
}

fn announced(bytes: usize, pause: Duration) -> Announced {
    Announced { pieces: pieces(bytes, pause), bytes }
}

/// Of which no more comes.
fn stalled(bytes: usize) -> Announced {
    Announced { pieces: Box::pin(stream::pending()), bytes }
}

fn unknown(bytes: usize) -> StreamBody<Pieces> {
    StreamBody::new(pieces(bytes, Duration::ZERO))
}

#[tokio::test]
async fn a_body_of_sixteen_megabytes_is_read_and_one_byte_more_is_too_large() {
    let budget = budget(0);
    let body = Full::new(Bytes::from(vec![b' '; BODY_BYTES_MAX]));
    assert_eq!(read(body, &budget, PATIENCE).await.unwrap().bytes.len(), BODY_BYTES_MAX);
    assert_eq!(read(unknown(BODY_BYTES_MAX), &budget, PATIENCE).await.unwrap().bytes.len(), BODY_BYTES_MAX);
    let body = Full::new(Bytes::from(vec![b' '; BODY_BYTES_MAX + 1]));
    assert_eq!(read(body, &budget, PATIENCE).await.unwrap_err(), BodyError::TooLarge);
    assert_eq!(read(unknown(BODY_BYTES_MAX + 1), &budget, PATIENCE).await.unwrap_err(), BodyError::TooLarge);
}

#[tokio::test]
async fn the_pieces_of_a_body_come_together_in_their_order() {
    let budget = budget(0);
    for count in [1_usize, 2, 3, 100] {
        let sent: Vec<Vec<u8>> = (0..count).map(|number| vec![number as u8; 5_000]).collect();
        let frames = sent.clone().into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece))));
        let held = read(StreamBody::new(stream::iter(frames)), &budget, PATIENCE).await.unwrap();
        assert_eq!(held.bytes, sent.concat());
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_holds_no_more_of_the_budget_than_it_turned_out_to_need() {
    let budget = budget(0);
    let all = budget.free();
    let small = read(unknown(10), &budget, PATIENCE).await.unwrap();
    assert_eq!((small.bytes.len(), budget.free()), (10, all));
    let large = read(unknown(5 << 20), &budget, PATIENCE).await.unwrap();
    assert_eq!((large.bytes.len(), budget.free()), (5 << 20, all - (5 << 20)));
    drop(large);
    assert_eq!(budget.free(), all);
}

/// Each as large as there may be, and what it says of its length is all that comes of it.
#[tokio::test]
async fn large_bodies_that_are_begun_and_left_shut_others_out_for_a_moment_only() {
    let budget = budget(0);
    let left: Vec<_> = (0..8)
        .map(|_| {
            let budget = budget.clone();
            tokio::spawn(async move { read(stalled(BODY_BYTES_MAX), &budget, PATIENCE).await.map(drop) })
        })
        .collect();
    tokio::task::yield_now().await;
    // What is small needs nothing that they hold.
    let at_once = Patience { room: Duration::ZERO, ..PATIENCE };
    assert!(read(announced(60 << 10, Duration::ZERO), &budget, at_once).await.is_ok());
    for (number, left) in left.into_iter().enumerate() {
        let error = left.await.unwrap().unwrap_err();
        assert!(matches!(error, BodyError::Interrupted | BodyError::Overloaded), "{number}: {error:?}");
    }
    assert!(read(announced(BODY_BYTES_MAX, Duration::ZERO), &budget, PATIENCE).await.is_ok());
}

#[tokio::test]
async fn a_body_that_goes_on_slowly_is_read_and_one_that_hardly_does_is_not() {
    let budget = budget(0);
    // All of it takes longer than a part of it may. Each part is one pause: a machine that has much else to do makes many longer.
    let bytes = 4 * PROGRESS_BYTES;
    let slow = Announced { pieces: pieces_of(PROGRESS_BYTES, bytes, PATIENCE.progress / 3), bytes };
    let hardly = announced(1 << 20, Duration::from_millis(250));
    // What holds nothing of the budget keeps nobody waiting.
    let small = announced(FREE_BODY_BYTES, 2 * PATIENCE.progress);
    let [slow, hardly, small] = [slow, hardly, small].map(|body| read(body, &budget, PATIENCE));
    let (slow, hardly, small) = tokio::join!(slow, hardly, small);
    assert!(slow.is_ok() && small.is_ok());
    assert_eq!(hardly.unwrap_err(), BodyError::Interrupted);
}

#[tokio::test]
async fn a_body_that_grows_waits_for_room_and_not_forever() {
    let budget = budget(0);
    let held = budget.take(budget.largest(), PATIENCE.room).await.unwrap();
    assert_eq!(read(unknown(1 << 20), &budget, PATIENCE).await.unwrap_err(), BodyError::Overloaded);
    drop(held);
    assert!(read(unknown(1 << 20), &budget, PATIENCE).await.is_ok());
}

/// Nobody has to sign for a body that is skipped.
#[tokio::test]
async fn a_body_that_nobody_needs_is_read_to_its_end_if_that_comes_soon() {
    assert!(skip(&mut announced(1 << 20, Duration::from_millis(8)), BODY_BYTES_MAX, PATIENCE).await);
    assert!(!skip(&mut announced(1 << 20, Duration::ZERO), 1 << 19, PATIENCE).await);
    assert!(!skip(&mut unknown(1 << 20), 1 << 19, PATIENCE).await);
    let left = tokio::time::timeout(2 * PATIENCE.progress, skip(&mut stalled(100), BODY_BYTES_MAX, PATIENCE)).await;
    assert_eq!(left, Ok(false));
}
