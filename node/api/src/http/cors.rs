//! Requests that a page of another origin makes from a browser: what the browser is told that the page may do.

use super::reply::{Reply, plain};
use crate::Authentication;
use hyper::{
    HeaderMap, StatusCode, Uri,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
        ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
    },
};
use std::net::IpAddr;

/// Two days, as DynamoDB says.
const PREFLIGHT_SECONDS: &str = "172800";
/// What a page may read of an answer besides its content. The checksum is not among it: browsers unpack what it is of,
/// and SDKs that see it would find it wrong.
const EXPOSED: &str = "x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date";

/// Whose pages may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cors {
    /// Everyone's: who calls has signed.
    AnyOrigin,
    /// This machine's: else any page that its user looks at could read and write what nobody must sign for.
    LoopbackOrigins,
}

/// An origin whose pages may call, as the answer names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed(HeaderValue);

impl Cors {
    pub(crate) fn of(authentication: &Authentication) -> Self {
        match authentication {
            Authentication::Verify(_) => Self::AnyOrigin,
            Authentication::AcceptAny { .. } => Self::LoopbackOrigins,
        }
    }

    /// None where no page asks, or one that may not.
    pub(crate) fn allowed(self, headers: &HeaderMap) -> Option<Allowed> {
        let origin = headers.get(ORIGIN)?;
        match self {
            Self::AnyOrigin => Some(Allowed(HeaderValue::from_static("*"))),
            Self::LoopbackOrigins => is_loopback(origin).then(|| Allowed(origin.clone())),
        }
    }
}

impl Allowed {
    /// The answer to a browser that asks before it sends a page's request.
    pub(crate) fn preflight(&self, headers: &HeaderMap, request_id: &[u8; 16]) -> Reply {
        let mut reply = plain(StatusCode::OK, None, Vec::new(), request_id);
        let said = reply.headers_mut();
        for (asked, answered) in [
            (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
            (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
        ] {
            if let Some(value) = headers.get(asked) {
                said.insert(answered, value.clone());
            }
        }
        said.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_SECONDS));
        reply
    }

    /// Lets the page read an answer.
    pub(crate) fn mark(self, reply: &mut Reply) {
        let said = reply.headers_mut();
        if self.0 != "*" {
            said.insert(VARY, HeaderValue::from_static("origin"));
        }
        said.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.0);
        said.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}

fn is_loopback(origin: &HeaderValue) -> bool {
    let Ok(origin) = Uri::try_from(origin.as_bytes()) else { return false };
    let Some(host) = origin.host() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from(origin: &str) -> HeaderMap {
        HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap())])
    }

    #[test]
    fn where_nobody_must_sign_only_pages_of_this_machine_may_call() {
        let ours = ["http://localhost:3000", "https://LOCALHOST", "http://127.0.0.1:8080", "http://[::1]:5173"];
        for origin in ours {
            assert_eq!(Cors::LoopbackOrigins.allowed(&from(origin)), Some(Allowed(origin.parse().unwrap())));
        }
        let others = ["https://example.com", "http://localhost.example.com", "http://10.0.0.1", "null", "", "file://"];
        for origin in others {
            assert_eq!(Cors::LoopbackOrigins.allowed(&from(origin)), None, "{origin}");
            assert_eq!(Cors::AnyOrigin.allowed(&from(origin)), Some(Allowed("*".parse().unwrap())));
        }
        assert_eq!(Cors::AnyOrigin.allowed(&HeaderMap::new()), None);
    }

    proptest! {
        #[test]
        fn any_origin_is_answered_without_a_panic(origin in "[ -~]{0,40}") {
            let _ = Cors::LoopbackOrigins.allowed(&from(&origin));
        }
    }
}
