//! The ids of writes: the same for every attempt of one request, so that doing it twice does it once.

use crate::Environment;
use aws_lc_rs::digest;
use cairn_model::ids::RequestId;

/// Longer ones are not an SDK's.
const INVOCATION_ID_BYTES_MAX: usize = 128;

/// What a request's ids are derived from.
#[derive(Clone, Copy)]
pub(crate) struct RequestIds<'a> {
    pub(crate) environment: &'a dyn Environment,
    pub(crate) account: &'a str,
    pub(crate) operation: &'static str,
    /// The SDK's `amz-sdk-invocation-id`: the same on all its retries.
    pub(crate) invocation_id: Option<&'a [u8]>,
    /// The body as sent.
    pub(crate) body: &'a [u8],
    /// The SDK asks again: an attempt before this one may still be under way.
    pub(crate) is_retry: bool,
}

/// Whether `amz-sdk-request` (`attempt=2; max=3`) tells of an attempt before this one.
pub(crate) fn is_retry(amz_sdk_request: &[u8]) -> bool {
    let mut members = amz_sdk_request.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    members.find_map(|member| member.strip_prefix(b"attempt=")).is_some_and(|attempt| attempt != b"1")
}

impl RequestIds<'_> {
    /// The id of the request's write at `ordinal` (0 where there is only one).
    pub(crate) fn write(&self, ordinal: u32) -> RequestId {
        let Some(invocation_id) = self.invocation_id.filter(|id| (1..=INVOCATION_ID_BYTES_MAX).contains(&id.len()))
        else {
            return RequestId(self.environment.unique_id());
        };
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in [self.account.as_bytes(), self.operation.as_bytes(), invocation_id] {
            // With its length: no two different triples are the same bytes.
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(&ordinal.to_be_bytes());
        hash.update(self.body);
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finish().as_ref()[..16]);
        RequestId(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        time::Duration,
    };

    struct Counter(AtomicU64);

    impl Environment for Counter {
        fn wall_ms(&self) -> u64 {
            0
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }

        fn unique_id(&self) -> [u8; 16] {
            u128::from(self.0.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
        }
    }

    #[test]
    fn a_retry_has_the_same_id_and_every_difference_another() {
        let environment = Counter(AtomicU64::new(0));
        let ids = RequestIds {
            environment: &environment,
            account: "game",
            operation: "PutItem",
            invocation_id: Some(b"0d7b2a44"),
            body: b"{}",
            is_retry: false,
        };
        assert_eq!(ids.write(0), ids.write(0));
        assert_ne!(ids.write(0), ids.write(1));
        assert_ne!(ids.write(0), RequestIds { account: "shop", ..ids }.write(0));
        assert_ne!(ids.write(0), RequestIds { operation: "DeleteItem", ..ids }.write(0));
        assert_ne!(ids.write(0), RequestIds { body: b"{ }", ..ids }.write(0));
        assert_ne!(ids.write(0), RequestIds { invocation_id: Some(b"0d7b2a45"), ..ids }.write(0));
    }

    #[test]
    fn the_first_attempt_is_no_retry() {
        assert!(is_retry(b"attempt=2; max=3") && is_retry(b"ttl=20260101T000000Z; attempt=3; max=3"));
        assert!(!is_retry(b"attempt=1; max=3") && !is_retry(b"") && !is_retry(b"max=3"));
    }

    #[test]
    fn a_client_that_sent_no_invocation_id_is_given_another_id_each_time() {
        let environment = Counter(AtomicU64::new(0));
        let ids = RequestIds {
            environment: &environment,
            account: "game",
            operation: "PutItem",
            invocation_id: None,
            body: b"{}",
            is_retry: false,
        };
        assert_ne!(ids.write(0), ids.write(0));
    }
}
