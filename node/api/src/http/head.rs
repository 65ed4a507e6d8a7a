//! What a request's head says of the host and of its content.

use hyper::{
    HeaderMap,
    header::{CONTENT_TYPE, HOST, HeaderValue},
    http::request::Parts,
};

/// The types of content that DynamoDB speaks.
pub(crate) const CONTENT_TYPES: [&str; 2] = ["application/x-amz-json-1.0", "application/json"];

/// HTTP/2 names the host beside the headers, and so may HTTP/1.1: what was signed is among them.
pub(crate) fn name_host(parts: &mut Parts) {
    if let Some(authority) = parts.uri.authority()
        && !parts.headers.contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        parts.headers.insert(HOST, host);
    }
}

pub(crate) fn host(headers: &HeaderMap) -> &str {
    headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or("localhost")
}

/// The type of the answer, which is that of the request; none for one that DynamoDB doesn't speak.
pub(crate) fn reply_content_type(headers: &HeaderMap, empty: bool) -> Option<&'static str> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return empty.then_some(CONTENT_TYPES[1]);
    };
    let essence = value.to_str().ok()?.split(';').next().unwrap_or_default().trim();
    CONTENT_TYPES.into_iter().find(|known| essence.eq_ignore_ascii_case(known))
}
