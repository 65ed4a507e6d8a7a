//! Reading a request's body: within 16 MB, within time, within what all requests together may hold.

use crate::memory::budget::{Budget, NoRoom, Share};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use std::time::Duration;

/// DynamoDB's limit of a request (SEMANTICS: RequestEntityTooLarge at 16 MB), packed or not.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 20;
/// Bodies up to this size are held without asking the budget: requests are limited in number. So much comes at once, too.
pub(crate) const FREE_BODY_BYTES: usize = 16 << 10;
/// Of a body that holds a part of the budget, or is skipped, what comes in each [`Patience::progress`], if not all that is left.
const PROGRESS_BYTES: usize = 256 << 10;
/// Of a body that is too large, what is read in all so that the client hears why it is refused.
const REFUSED_BYTES_MAX: usize = 2 * BODY_BYTES_MAX;

/// How long what is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the whole body.
    pub(crate) whole: Duration,
    /// For a part of the budget.
    pub(crate) room: Duration,
    /// For what makes use of that part.
    pub(crate) progress: Duration,
}

impl Patience {
    /// What is held and not made use of is free again before others lose patience.
    pub(crate) fn for_body(whole: Duration) -> Self {
        Self { whole, room: Duration::from_secs(5), progress: Duration::from_secs(3) }
    }
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    /// It took too long, or the connection broke.
    Interrupted,
    /// Not coded as it said it was.
    BadCoding,
    /// Other requests hold all the memory there is for bodies.
    Overloaded,
}

impl From<NoRoom> for BodyError {
    fn from(NoRoom: NoRoom) -> Self {
        Self::Overloaded
    }
}

/// What bodies may take of memory, all together: never less than the largest that there can be, and what it grows from.
pub(crate) fn budget(bytes_max: usize) -> Budget {
    Budget::new(bytes_max, BODY_BYTES_MAX / 2 * 3)
}

/// Of the budget, what a body of this size needs.
pub(super) async fn share(budget: &Budget, bytes: usize, patience: Patience) -> Result<Share, BodyError> {
    Ok(budget.take(counted(bytes), patience.room).await?)
}

fn counted(bytes: usize) -> usize {
    if bytes <= FREE_BODY_BYTES { 0 } else { bytes }
}

/// A body in memory, and its part of the budget for as long as it is there.
#[derive(Debug)]
pub(crate) struct HeldBody {
    pub(crate) bytes: Bytes,
    _share: Share,
}

impl HeldBody {
    /// Keeps of the share, which is for what there might have been, what the bytes take.
    pub(super) fn new(bytes: Bytes, mut share: Share) -> Self {
        share.set(counted(bytes.len()));
        Self { bytes, _share: share }
    }
}

/// Reads the whole body as it came over the wire.
pub(crate) async fn read<B>(mut body: B, budget: &Budget, patience: Patience) -> Result<HeldBody, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let hint = body.size_hint();
    let reading = async {
        if hint.lower() > BODY_BYTES_MAX as u64 {
            return Err(refuse(&mut body, 0, patience).await);
        }
        let length = hint.exact().map(|bytes| bytes as usize);
        // Where it is known, the whole of it at once: two bodies that each hold a half of the budget would wait for each other.
        let share = share(budget, length.unwrap_or(0), patience).await?;
        let mut arriving = Arriving { first: Bytes::new(), whole: Vec::new(), length, share, growing: false, patience };
        arriving.read(&mut body).await?;
        Ok(arriving.held())
    };
    tokio::time::timeout(patience.whole, reading).await.unwrap_or(Err(BodyError::Interrupted))
}

/// A body, as far as it has come. Mostly it comes in one piece, which is not copied.
struct Arriving {
    first: Bytes,
    /// With the first piece, once there is another.
    whole: Vec<u8>,
    length: Option<usize>,
    share: Share,
    growing: bool,
    patience: Patience,
}

impl Arriving {
    async fn read<B>(&mut self, body: &mut B) -> Result<(), BodyError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        loop {
            let ended = if self.share.bytes() == 0 {
                self.read_to(body, self.bytes() + 1).await?
            } else {
                let enough = self.bytes() + PROGRESS_BYTES;
                match tokio::time::timeout(self.patience.progress, self.read_to(body, enough)).await {
                    Ok(read) => read?,
                    Err(_) if self.growing => return Err(BodyError::Overloaded),
                    Err(_) => return Err(BodyError::Interrupted),
                }
            };
            if ended {
                return Ok(());
            }
        }
    }

    /// Whether it ended before there were so many bytes.
    async fn read_to<B>(&mut self, body: &mut B, enough: usize) -> Result<bool, BodyError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        while self.bytes() < enough {
            let Some(frame) = body.frame().await else { return Ok(true) };
            let Ok(data) = frame.map_err(|_| BodyError::Interrupted)?.into_data() else { continue };
            if self.bytes() + data.len() > BODY_BYTES_MAX {
                (self.first, self.whole) = (Bytes::new(), Vec::new());
                self.share.set(0);
                return Err(refuse(body, BODY_BYTES_MAX, self.patience).await);
            }
            if self.bytes() == 0 && data.len() <= FREE_BODY_BYTES {
                self.first = data;
            } else {
                self.make_room(self.bytes() + data.len()).await?;
                self.whole.extend_from_slice(&std::mem::take(&mut self.first));
                self.whole.extend_from_slice(&data);
            }
        }
        Ok(false)
    }

    fn bytes(&self) -> usize {
        self.first.len() + self.whole.len()
    }

    /// Where the length is not known, the room doubles; while what is there moves, it is there twice.
    async fn make_room(&mut self, bytes: usize) -> Result<(), BodyError> {
        if bytes <= self.whole.capacity() {
            return Ok(());
        }
        let doubled = (self.whole.capacity() * 2).clamp(FREE_BODY_BYTES, BODY_BYTES_MAX);
        let capacity = self.length.unwrap_or(doubled).max(bytes);
        if self.length.is_none() {
            self.growing = true;
            self.share.grow(counted(capacity), self.patience.room).await?;
            self.growing = false;
        }
        self.whole.reserve_exact(capacity - self.whole.len());
        self.share.set(counted(capacity));
        Ok(())
    }

    fn held(mut self) -> HeldBody {
        if self.whole.is_empty() {
            return HeldBody::new(self.first, self.share);
        }
        self.whole.shrink_to_fit();
        HeldBody::new(self.whole.into(), self.share)
    }
}

/// Lets a client that sends little more than it may end, and so read its answer.
async fn refuse<B>(body: &mut B, read_bytes: usize, patience: Patience) -> BodyError
where
    B: Body<Data = Bytes> + Unpin,
{
    skip(body, REFUSED_BYTES_MAX - read_bytes, patience).await;
    BodyError::TooLarge
}

/// Reads on to the end of a body that nobody needs, so that its client reads its answer and its connection can serve the
/// next request; whether that was no more than `bytes_max`, and came without delay: its request has its place meanwhile.
pub(crate) async fn skip<B>(body: &mut B, bytes_max: usize, patience: Patience) -> bool
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > bytes_max as u64 {
        return false;
    }
    let skipping = async {
        let mut bytes_left = bytes_max;
        loop {
            let some = skip_some(body, &mut bytes_left);
            if let Some(ended) = tokio::time::timeout(patience.progress, some).await.unwrap_or(Some(false)) {
                return ended;
            }
        }
    };
    tokio::time::timeout(patience.whole, skipping).await.unwrap_or(false)
}

/// Whether it ended within the bytes; none where there is more to come.
async fn skip_some<B>(body: &mut B, bytes_left: &mut usize) -> Option<bool>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut skipped_bytes = 0;
    while skipped_bytes < PROGRESS_BYTES {
        let Some(frame) = body.frame().await else { return Some(true) };
        let Ok(frame) = frame else { return Some(false) };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(left) = bytes_left.checked_sub(bytes) else { return Some(false) };
        *bytes_left = left;
        skipped_bytes += bytes;
    }
    None
}

#[cfg(test)]
mod tests;
