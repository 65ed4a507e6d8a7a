//! The canonical request and the string to sign (the specification's tasks 1 and 2).

use super::{
    ALGORITHM, SignedParts,
    authorization::{Authorization, Form, SIGNATURE_PARAMETER, Scope},
    query::{raw_pairs, recoded},
};
use aws_lc_rs::digest;

/// The canonical request. The path is taken as it came: DynamoDB has one path, and no SDK encodes it twice.
pub(super) fn request(parts: SignedParts<'_>, authorization: &Authorization, body_digest: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b'\n');
    out.extend_from_slice(parts.uri.path().as_bytes());
    out.push(b'\n');
    let unsigned = matches!(authorization.form(), Form::Query { .. }).then_some(SIGNATURE_PARAMETER);
    push_query(parts.uri.query().unwrap_or_default(), unsigned, &mut out);
    out.push(b'\n');
    for name in authorization.signed_headers() {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        for (position, value) in parts.headers.get_all(name).iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            push_collapsed(value.as_bytes(), &mut out);
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    for (position, name) in authorization.signed_headers().enumerate() {
        if position > 0 {
            out.push(b';');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'\n');
    push_hex(body_digest, &mut out);
    out
}

pub(super) fn string_to_sign(date: &str, scope: &Scope<'_>, canonical_request: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(192);
    for line in [ALGORITHM, date] {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    for (position, element) in [scope.date, scope.region, scope.service, scope.terminator].into_iter().enumerate() {
        if position > 0 {
            out.push(b'/');
        }
        out.extend_from_slice(element.as_bytes());
    }
    out.push(b'\n');
    push_hex(digest::digest(&digest::SHA256, canonical_request).as_ref(), &mut out);
    out
}

fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Trimmed, runs of spaces made one.
fn push_collapsed(value: &[u8], out: &mut Vec<u8>) {
    for (position, word) in value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).enumerate() {
        if position > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// Names and values encoded anew, in order, but for the parameter that is `unsigned`.
fn push_query(query: &str, unsigned: Option<&str>, out: &mut Vec<u8>) {
    if query.is_empty() {
        return;
    }
    let mut pairs: Vec<(String, String)> = raw_pairs(query)
        .map(|(name, value)| (recoded(name), recoded(value)))
        .filter(|(name, _)| unsigned != Some(name.as_str()))
        .collect();
    pairs.sort();
    for (position, (name, value)) in pairs.iter().enumerate() {
        if position > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value.as_bytes());
    }
}
