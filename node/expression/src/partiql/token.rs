//! The words of a statement.

use super::Refusal;
use crate::token::{Token, TokenKind, in_name};

/// There are never more tokens than bytes, so the limit of the text is theirs too.
pub(super) fn tokenize(text: &str) -> Result<Vec<Token>, Refusal> {
    let bytes = text.as_bytes();
    let mut tokens: Vec<Token> = Vec::new();
    let mut start = 0;
    while let Some(&first) = bytes.get(start) {
        if first.is_ascii_whitespace() || first == 0x0b {
            start += 1;
            continue;
        }
        let next = bytes.get(start + 1).copied();
        if let Some(length) = comment(&bytes[start..])? {
            start += length;
            continue;
        }
        // A point behind a name or an index is a step of a path, elsewhere the beginning of a number.
        let in_path = tokens.last().is_some_and(|token| {
            token.end == start && matches!(token.kind, TokenKind::Word | TokenKind::Quoted | TokenKind::CloseBracket)
        });
        let (kind, length) = match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => (TokenKind::Word, while_in(&bytes[start..], in_name)),
            b'"' => (TokenKind::Quoted, quoted(&bytes[start..], b'"')?),
            b'\'' => (TokenKind::Text, quoted(&bytes[start..], b'\'')?),
            b'0'..=b'9' => (TokenKind::Number, number(&bytes[start..])?),
            b'.' if !in_path && next.is_some_and(|next| next.is_ascii_digit()) => {
                (TokenKind::Number, number(&bytes[start..])?)
            }
            _ => symbol(first, next).ok_or_else(|| unexpected(text, start))?,
        };
        tokens.push(Token { kind, start, end: start + length });
        start += length;
    }
    Ok(tokens)
}

fn symbol(first: u8, next: Option<u8>) -> Option<(TokenKind, usize)> {
    Some(match (first, next) {
        (b'<', Some(b'<')) => (TokenKind::OpenSet, 2),
        (b'>', Some(b'>')) => (TokenKind::CloseSet, 2),
        (b'<', Some(b'>')) | (b'!', Some(b'=')) => (TokenKind::NotEqual, 2),
        (b'<', Some(b'=')) => (TokenKind::LessOrEqual, 2),
        (b'>', Some(b'=')) => (TokenKind::GreaterOrEqual, 2),
        (b'<', _) => (TokenKind::Less, 1),
        (b'>', _) => (TokenKind::Greater, 1),
        (b'=', _) => (TokenKind::Equal, 1),
        (b'+', _) => (TokenKind::Plus, 1),
        (b'-', _) => (TokenKind::Minus, 1),
        (b'*', _) => (TokenKind::Star, 1),
        (b'(', _) => (TokenKind::OpenParen, 1),
        (b')', _) => (TokenKind::CloseParen, 1),
        (b'[', _) => (TokenKind::OpenBracket, 1),
        (b']', _) => (TokenKind::CloseBracket, 1),
        (b'{', _) => (TokenKind::OpenBrace, 1),
        (b'}', _) => (TokenKind::CloseBrace, 1),
        (b'.', _) => (TokenKind::Dot, 1),
        (b',', _) => (TokenKind::Comma, 1),
        (b':', _) => (TokenKind::Colon, 1),
        (b';', _) => (TokenKind::Semicolon, 1),
        (b'?', _) => (TokenKind::Parameter, 1),
        _ => return None,
    })
}

/// The length of a comment, to the end of its line or to its own; none where there is no comment.
fn comment(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    match bytes {
        [b'-', b'-', ..] => Ok(Some(while_in(bytes, |byte| byte != b'\n'))),
        [b'/', b'*', rest @ ..] => match memchr::memmem::find(rest, b"*/") {
            Some(at) => Ok(Some(2 + at + 2)),
            None => Err(Refusal::malformed("")),
        },
        _ => Ok(None),
    }
}

fn unexpected(text: &str, start: usize) -> Refusal {
    match text[start..].chars().next() {
        Some(character) if character.is_ascii() && character != '#' => {
            Refusal::malformed(format!("Unexpected character: '{character}'"))
        }
        // DynamoDB says no more of the others.
        _ => Refusal::malformed(""),
    }
}

/// The length of what stands between two quotes, with them; a quote in it is written twice.
fn quoted(bytes: &[u8], quote: u8) -> Result<usize, Refusal> {
    let mut at = 1;
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(&one), Some(&two)) if one == quote && two == quote => at += 2,
            (Some(&one), _) if one == quote => return Ok(at + 1),
            (Some(_), _) => at += 1,
            (None, _) => return Err(Refusal::malformed("")),
        }
    }
}

/// The length of a number: digits with at most one point, and an exponent. That, less the digits behind the point, is an
/// integer of 32 bits, as Java reads a decimal.
fn number(bytes: &[u8]) -> Result<usize, Refusal> {
    let digits = |from: usize| while_in(&bytes[from.min(bytes.len())..], |byte| byte.is_ascii_digit());
    let mut length = digits(0);
    let mut fraction_digits = 0;
    if bytes.get(length) == Some(&b'.') {
        length += 1;
        fraction_digits = digits(length);
        length += fraction_digits;
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        let written = std::str::from_utf8(&bytes[length + 1..length + 1 + sign + exponent]).unwrap_or_default();
        let scale = written.parse::<i32>().ok().map(|exponent| fraction_digits as i64 - i64::from(exponent));
        if scale.is_none_or(|scale| i32::try_from(scale).is_err()) {
            return Err(Refusal::malformed(""));
        }
        length += 1 + sign + exponent;
    }
    Ok(length)
}

fn while_in(bytes: &[u8], belongs: fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| belongs(**byte)).count()
}
