//! Reading a request's body: within 16 MB, within time, within what all requests together may hold; gunzipped.

use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use hyper::body::Body;
use std::{io::Read, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// DynamoDB's limit of a request (SEMANTICS: RequestEntityTooLarge at 16 MB), packed or not.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 20;
/// Bodies up to this size are held without asking the budget: connections are limited in number.
const SMALL_BODY_BYTES: usize = 64 << 10;
/// The unit in which the budget is counted.
const BUDGET_UNIT_BYTES: usize = 64 << 10;
/// Above this, packing and unpacking leave the async workers alone.
const INLINE_GZIP_BYTES: usize = 64 << 10;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    /// It took too long, or the connection broke.
    Interrupted,
    /// Not the gzip it said it was.
    BadEncoding,
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

    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(BUDGET_UNIT_BYTES)).ok()?;
        self.0.clone().acquire_many_owned(units).await.ok()
    }
}

/// A body in memory, and its part of the budget for as long as it is there.
#[derive(Debug)]
pub(crate) struct HeldBody {
    pub(crate) bytes: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Reads the whole body as it came over the wire.
pub(crate) async fn read<B>(body: B, budget: &BodyBudget, timeout: Duration) -> Result<HeldBody, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let hint = body.size_hint();
    if hint.lower() > BODY_BYTES_MAX as u64 {
        return Err(BodyError::TooLarge);
    }
    let announced = hint.exact().map_or(BODY_BYTES_MAX, |bytes| bytes as usize);
    let reading = async {
        // The whole of it at once: two bodies that each hold a half of the budget would wait for each other.
        let permit = match announced {
            0..=SMALL_BODY_BYTES => None,
            _ => Some(budget.take(announced).await.ok_or(BodyError::Overloaded)?),
        };
        Ok(HeldBody { bytes: collect(body).await?, _permit: permit })
    };
    tokio::time::timeout(timeout, reading).await.unwrap_or(Err(BodyError::Interrupted))
}

async fn collect<B>(mut body: B) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Interrupted)?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > BODY_BYTES_MAX {
            return Err(BodyError::TooLarge);
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

/// Reads on to the end of a body that nobody needs, so that its connection can serve the next request; whether that was
/// little enough.
pub(crate) async fn skip<B>(body: &mut B, timeout: Duration) -> bool
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > SMALL_BODY_BYTES as u64 {
        return false;
    }
    let skipping = async {
        let mut bytes_left = SMALL_BODY_BYTES;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            match bytes_left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(bytes) => bytes_left = bytes,
                None => return false,
            }
        }
        true
    };
    tokio::time::timeout(timeout, skipping).await.unwrap_or(false)
}

/// Unpacks a gzip body; its content is held to the same limit.
pub(crate) async fn gunzip(packed: Bytes, budget: &BodyBudget) -> Result<HeldBody, BodyError> {
    let permit = budget.0.clone().try_acquire_many_owned((BODY_BYTES_MAX / BUDGET_UNIT_BYTES) as u32);
    let permit = permit.map_err(|_| BodyError::Overloaded)?;
    let bytes = tokio::task::spawn_blocking(move || unpack(&packed)).await.unwrap_or(Err(BodyError::BadEncoding))?;
    Ok(HeldBody { bytes, _permit: Some(permit) })
}

fn unpack(packed: &[u8]) -> Result<Bytes, BodyError> {
    let mut content = Vec::new();
    let mut decoder = GzDecoder::new(packed).take(BODY_BYTES_MAX as u64 + 1);
    decoder.read_to_end(&mut content).map_err(|_| BodyError::BadEncoding)?;
    if content.len() > BODY_BYTES_MAX {
        return Err(BodyError::TooLarge);
    }
    Ok(content.into())
}

/// Packs an answer.
pub(crate) async fn gzip(content: Vec<u8>) -> std::io::Result<Vec<u8>> {
    if content.len() <= INLINE_GZIP_BYTES {
        return pack(&content);
    }
    tokio::task::spawn_blocking(move || pack(&content)).await.map_err(std::io::Error::other)?
}

fn pack(content: &[u8]) -> std::io::Result<Vec<u8>> {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    let mut encoder = GzEncoder::new(Vec::with_capacity(content.len() / 3), Compression::fast());
    encoder.write_all(content)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[tokio::test]
    async fn a_body_of_sixteen_megabytes_is_read_and_one_byte_more_is_too_large() {
        let budget = BodyBudget::new(0);
        let timeout = Duration::from_secs(5);
        let body = Full::new(Bytes::from(vec![b' '; BODY_BYTES_MAX]));
        assert_eq!(read(body, &budget, timeout).await.unwrap().bytes.len(), BODY_BYTES_MAX);
        let body = Full::new(Bytes::from(vec![b' '; BODY_BYTES_MAX + 1]));
        assert_eq!(read(body, &budget, timeout).await.unwrap_err(), BodyError::TooLarge);
    }

    #[tokio::test]
    async fn a_gzip_bomb_is_too_large() {
        let budget = BodyBudget::new(0);
        let packed = gzip(vec![b' '; BODY_BYTES_MAX + 1]).await.unwrap();
        assert!(packed.len() < 1 << 20);
        assert_eq!(gunzip(packed.into(), &budget).await.unwrap_err(), BodyError::TooLarge);
    }

    #[tokio::test]
    async fn what_was_packed_is_unpacked_and_garbage_is_a_bad_encoding() {
        let budget = BodyBudget::new(0);
        let packed = gzip(b"{}".to_vec()).await.unwrap();
        assert_eq!(gunzip(packed.into(), &budget).await.unwrap().bytes, "{}");
        assert_eq!(gunzip("{}".into(), &budget).await.unwrap_err(), BodyError::BadEncoding);
    }
}
