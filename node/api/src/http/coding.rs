//! Codings of content: gzip and deflate, as DynamoDB takes and gives them.

use super::body::{self, BODY_BYTES_MAX, BodyError, FREE_BODY_BYTES, HeldBody, Patience};
use crate::memory::budget::Budget;
use bytes::Bytes;
use cairn_model::{ErrorKind, ServiceError};
use flate2::{
    Compression, bufread,
    write::{GzEncoder, ZlibEncoder},
};
use hyper::{
    HeaderMap,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING},
};
use std::io::{self, Read, Write};

/// Above this, packing and unpacking leave the async workers alone.
const INLINE_BYTES: usize = 64 << 10;
/// How many times its packed length content is taken to have at first, where it does not say.
const DEFLATED_TIMES: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    /// The format of zlib (RFC 1950).
    Deflate,
}

impl Coding {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn named(name: &[u8]) -> Option<Self> {
        [Self::Gzip, Self::Deflate].into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name().as_bytes()))
    }

    /// That of a request's body.
    pub(crate) fn of_request(headers: &HeaderMap) -> Result<Option<Self>, ServiceError> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.as_bytes().trim_ascii());
        match (values.next().unwrap_or_default(), values.next()) {
            (name, None) if name.is_empty() || name.eq_ignore_ascii_case(b"identity") => Ok(None),
            (name, None) => Self::named(name).map(Some).ok_or_else(undecodable),
            (_, Some(_)) => Err(undecodable()),
        }
    }

    /// The one that a client would rather have its answer in, if any: the weightiest, and the first of those (RFC 9110,
    /// 12.5.3). That it might like an answer as it is better still is, as with DynamoDB, no matter, and so is all but the
    /// last such header.
    pub(crate) fn of_answer(headers: &HeaderMap) -> Option<Self> {
        let mut weighed: Vec<(Self, f32)> = Vec::new();
        let mut any = 0.0_f32;
        let last = headers.get_all(ACCEPT_ENCODING).iter().next_back().and_then(|value| value.to_str().ok());
        for element in last.into_iter().flat_map(|value| value.split(',')) {
            let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
            let (name, weight) = (name.trim(), weight(parameters));
            match Self::named(name.as_bytes()) {
                Some(coding) => match weighed.iter_mut().find(|(known, _)| *known == coding) {
                    Some((_, known)) => *known = known.max(weight),
                    None => weighed.push((coding, weight)),
                },
                None if name == "*" => any = any.max(weight),
                None => {}
            }
        }
        for coding in [Self::Gzip, Self::Deflate] {
            if any > 0.0 && !weighed.iter().any(|(known, _)| *known == coding) {
                weighed.push((coding, any));
            }
        }
        let heavier = |best: Option<(Self, f32)>, (coding, weight): (Self, f32)| {
            let least = best.map_or(0.0, |(_, weight)| weight);
            if weight > least { Some((coding, weight)) } else { best }
        };
        weighed.into_iter().fold(None, heavier).map(|(coding, _)| coding)
    }

    /// The content of a body, which is held to the same limit.
    pub(crate) async fn unpack(
        self,
        packed: Bytes,
        budget: &Budget,
        patience: Patience,
    ) -> Result<HeldBody, BodyError> {
        let claimed = match self {
            Self::Gzip => claimed_bytes(&packed).min(BODY_BYTES_MAX),
            // It says nothing: as much as there mostly is.
            Self::Deflate => packed.len().saturating_mul(DEFLATED_TIMES).clamp(FREE_BODY_BYTES, BODY_BYTES_MAX),
        };
        match self.unpack_within(packed.clone(), claimed, budget, patience).await {
            // Of several members, made up or packed well: there may be as much as there may ever be.
            Err(BodyError::TooLarge) if claimed < BODY_BYTES_MAX => {
                self.unpack_within(packed, BODY_BYTES_MAX, budget, patience).await
            }
            unpacked => unpacked,
        }
    }

    async fn unpack_within(
        self,
        packed: Bytes,
        bytes_max: usize,
        budget: &Budget,
        patience: Patience,
    ) -> Result<HeldBody, BodyError> {
        let share = body::share(budget, bytes_max, patience).await?;
        let bytes = if packed.len().max(bytes_max) <= INLINE_BYTES {
            self.unpack_now(&packed, bytes_max)?
        } else {
            let unpacking = tokio::task::spawn_blocking(move || self.unpack_now(&packed, bytes_max));
            unpacking.await.unwrap_or(Err(BodyError::BadCoding))?
        };
        Ok(HeldBody::new(bytes, share))
    }

    fn unpack_now(self, mut packed: &[u8], bytes_max: usize) -> Result<Bytes, BodyError> {
        // The one byte more tells what is too large from what is just not.
        let mut content = Vec::with_capacity(bytes_max + 1);
        let read_max = bytes_max as u64 + 1;
        let whole = match self {
            Self::Gzip => {
                let mut members = bufread::MultiGzDecoder::new(packed);
                let begins = members.header().is_some();
                let read = members.by_ref().take(read_max).read_to_end(&mut content);
                // What doesn't begin as a member behind one that is whole is passed over, as by DynamoDB.
                read.is_ok() || (begins && members.header().is_none())
            }
            Self::Deflate => {
                let read = bufread::ZlibDecoder::new(&mut packed).take(read_max).read_to_end(&mut content);
                read.is_ok() && (packed.is_empty() || content.len() > bytes_max)
            }
        };
        if !whole {
            return Err(BodyError::BadCoding);
        }
        if content.len() > bytes_max {
            return Err(BodyError::TooLarge);
        }
        content.shrink_to_fit();
        Ok(content.into())
    }

    /// An answer in this coding.
    pub(crate) async fn pack(self, content: Vec<u8>) -> io::Result<Vec<u8>> {
        if content.len() <= INLINE_BYTES {
            return self.pack_now(&content);
        }
        tokio::task::spawn_blocking(move || self.pack_now(&content)).await.map_err(io::Error::other)?
    }

    fn pack_now(self, content: &[u8]) -> io::Result<Vec<u8>> {
        let packed = Vec::with_capacity(content.len() / 3);
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(packed, Compression::fast());
                encoder.write_all(content)?;
                encoder.finish()
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(packed, Compression::fast());
                encoder.write_all(content)?;
                encoder.finish()
            }
        }
    }
}

/// What a request is told whose body can't be unpacked: an internal error, with DynamoDB.
pub(crate) fn undecodable() -> ServiceError {
    ServiceError::new(
        ErrorKind::InternalServerError,
        "The body is not in the coding that Content-Encoding names, or that is none of gzip, deflate and identity",
    )
}

/// What is no weight weighs as much as one that is not there.
fn weight(parameters: &str) -> f32 {
    let mut named = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let Some((_, text)) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("q")) else { return 1.0 };
    text.trim().parse::<f32>().ok().filter(|weight| !weight.is_nan()).map_or(1.0, |weight| weight.clamp(0.0, 1.0))
}

/// How much a gzip's last four bytes say that there is, if they are right (RFC 1952, 2.3.1).
fn claimed_bytes(packed: &[u8]) -> usize {
    packed.last_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize)
}

#[cfg(test)]
mod tests;
