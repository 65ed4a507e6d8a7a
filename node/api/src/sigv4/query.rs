//! A query string's pairs, and the one way in which Signature Version 4 encodes them.

use std::fmt::Write;

/// Names and values as they came.
pub(super) fn raw_pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Names and values, decoded. A plus sign is a plus sign.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    let text = |raw: &str| String::from_utf8_lossy(&decoded(raw)).into_owned();
    raw_pairs(query).map(move |(name, value)| (text(name), text(value)))
}

/// Encoded as the specification has it, however it was encoded before.
pub(super) fn recoded(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for byte in decoded(raw) {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            other => {
                // Writing into a String can't fail.
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out
}

/// A percent sign that two hexadecimal digits don't follow stands for itself.
fn decoded(raw: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.as_bytes();
    while let [byte, rest @ ..] = bytes {
        let escaped = match rest {
            [high, low, ..] if *byte == b'%' => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push(high << 4 | low);
                bytes = &rest[2..];
            }
            None => {
                out.push(*byte);
                bytes = rest;
            }
        }
    }
    out
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
