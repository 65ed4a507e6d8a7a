//! Reading a request's body: within 16 MB, within time, within what all requests together may hold.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// DynamoDB's limit of a request (SEMANTICS: RequestEntityTooLarge at 16 MB), packed or not.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 20;
/// Bodies up to this size are held without asking the budget: connections are limited in number.
pub(crate) const SMALL_BODY_BYTES: usize = 64 << 10;
/// The unit in which the budget is counted.
const BUDGET_UNIT_BYTES: usize = 64 << 10;
/// How long a body waits for its part of the budget.
const BUDGET_PATIENCE: Duration = Duration::from_secs(5);
/// Of a body that is too large, what is read in all so that the client hears why it is refused.
const REFUSED_BYTES_MAX: usize = 2 * BODY_BYTES_MAX;

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

/// What bodies may take of memory, all together.
#[derive(Clone, Debug)]
pub(crate) struct BodyBudget(Arc<Semaphore>);

impl BodyBudget {
    /// Never less than the largest body there can be.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes_max.max(BODY_BYTES_MAX).div_ceil(BUDGET_UNIT_BYTES))))
    }

    /// None for a small body.
    pub(super) async fn take(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, BodyError> {
        if bytes <= SMALL_BODY_BYTES {
            return Ok(None);
        }
        let units = u32::try_from(bytes.div_ceil(BUDGET_UNIT_BYTES)).map_err(|_| BodyError::TooLarge)?;
        let taking = tokio::time::timeout(BUDGET_PATIENCE, self.0.clone().acquire_many_owned(units));
        match taking.await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) | Err(_) => Err(BodyError::Overloaded),
        }
    }
}

/// A body in memory, and its part of the budget for as long as it is there.
#[derive(Debug)]
pub(crate) struct HeldBody {
    pub(crate) bytes: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
}

impl HeldBody {
    /// Keeps of the permit, which is for what there might have been, what the bytes take.
    pub(super) fn new(bytes: Bytes, mut permit: Option<OwnedSemaphorePermit>) -> Self {
        let units = if bytes.len() <= SMALL_BODY_BYTES { 0 } else { bytes.len().div_ceil(BUDGET_UNIT_BYTES) };
        if let Some(permit) = &mut permit {
            drop(permit.split(permit.num_permits().saturating_sub(units)));
        }
        Self { bytes, _permit: permit }
    }
}

/// Reads the whole body as it came over the wire.
pub(crate) async fn read<B>(mut body: B, budget: &BodyBudget, timeout: Duration) -> Result<HeldBody, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let hint = body.size_hint();
    let reading = async {
        if hint.lower() > BODY_BYTES_MAX as u64 {
            return Err(refuse(&mut body, 0).await);
        }
        // The whole of it at once: two bodies that each hold a half of the budget would wait for each other.
        let permit = budget.take(hint.exact().map_or(BODY_BYTES_MAX, |bytes| bytes as usize)).await?;
        Ok(HeldBody::new(collect(&mut body).await?, permit))
    };
    tokio::time::timeout(timeout, reading).await.unwrap_or(Err(BodyError::Interrupted))
}

/// Lets a client that sends little more than it may end, and so read its answer.
async fn refuse<B>(body: &mut B, read_bytes: usize) -> BodyError
where
    B: Body<Data = Bytes> + Unpin,
{
    skip_within(body, REFUSED_BYTES_MAX - read_bytes).await;
    BodyError::TooLarge
}

async fn collect<B>(body: &mut B) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Interrupted)?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > BODY_BYTES_MAX {
            drop((first, rest));
            return Err(refuse(body, BODY_BYTES_MAX).await);
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

/// Reads on to the end of a body that nobody needs, so that its client reads its answer and its connection can serve the
/// next request; whether that was no more than `bytes_max`.
pub(crate) async fn skip<B>(body: &mut B, bytes_max: usize, timeout: Duration) -> bool
where
    B: Body<Data = Bytes> + Unpin,
{
    tokio::time::timeout(timeout, skip_within(body, bytes_max)).await.unwrap_or(false)
}

async fn skip_within<B>(body: &mut B, mut bytes_left: usize) -> bool
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > bytes_left as u64 {
        return false;
    }
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        match bytes_left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(bytes) => bytes_left = bytes,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;
    use std::convert::Infallible;

    const TIMEOUT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_body_of_sixteen_megabytes_is_read_and_one_byte_more_is_too_large() {
        let budget = BodyBudget::new(0);
        let body = Full::new(Bytes::from(vec![b' '; BODY_BYTES_MAX]));
        assert_eq!(read(body, &budget, TIMEOUT).await.unwrap().bytes.len(), BODY_BYTES_MAX);
        let body = Full::new(Bytes::from(vec![b' '; BODY_BYTES_MAX + 1]));
        assert_eq!(read(body, &budget, TIMEOUT).await.unwrap_err(), BodyError::TooLarge);
    }

    /// Else eight requests of unknown length that take their time would be all that there can be.
    #[tokio::test]
    async fn a_body_of_unknown_length_holds_no_more_of_the_budget_than_it_turned_out_to_need() {
        let budget = BodyBudget::new(0);
        let unknown = |bytes: usize| {
            let frame = Frame::data(Bytes::from(vec![b' '; bytes]));
            StreamBody::new(stream::iter([Ok::<_, Infallible>(frame)]))
        };
        let small = read(unknown(10), &budget, TIMEOUT).await.unwrap();
        let held = read(unknown(5 << 20), &budget, TIMEOUT).await;
        assert_eq!((small.bytes.len(), held.unwrap().bytes.len()), (10, 5 << 20));
        let large = read(unknown(5 << 20), &budget, TIMEOUT).await.unwrap();
        assert_eq!(budget.0.available_permits(), (11 << 20) / BUDGET_UNIT_BYTES);
        drop(large);
        assert_eq!(budget.0.available_permits(), BODY_BYTES_MAX / BUDGET_UNIT_BYTES);
    }
}
