//! Values as a statement writes them: strings, numbers, booleans, null, lists, maps, sets, and `?`.
//!
//! Binary values and sets of them have no written form: they come as parameters.

use super::{
    Refusal,
    cursor::{Cursor, unquoted},
};
use crate::token::TokenKind;
use cairn_model::{AttributeValue, Item, limits::NESTING_DEPTH_MAX, number::Number};

const INVALID: &str = "One or more parameter values were invalid:";
const BAG: &str = "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags";

/// Whether a value stands at the cursor.
pub(super) fn at_value(cursor: &Cursor<'_>) -> bool {
    match cursor.peek() {
        Some(TokenKind::Word) => ["TRUE", "FALSE", "NULL"].iter().any(|word| cursor.at_keyword(word)),
        Some(
            TokenKind::Text
            | TokenKind::Number
            | TokenKind::Plus
            | TokenKind::Minus
            | TokenKind::Parameter
            | TokenKind::OpenBracket
            | TokenKind::OpenBrace
            | TokenKind::OpenSet,
        ) => true,
        _ => false,
    }
}

pub(super) fn value(cursor: &mut Cursor<'_>) -> Result<AttributeValue, Refusal> {
    part(cursor, 1)
}

/// The map that INSERT puts as an item: each of its values is the root of what may be wrong in it.
pub(super) fn item(cursor: &mut Cursor<'_>) -> Result<Item, Refusal> {
    map(cursor, |cursor, _| value(cursor))
}

/// A value at a depth, counted from 1: one within another has no parameters.
fn part(cursor: &mut Cursor<'_>, depth: usize) -> Result<AttributeValue, Refusal> {
    if depth > NESTING_DEPTH_MAX {
        return Err(Refusal::in_value("Nesting Levels have exceeded supported limits"));
    }
    match cursor.peek() {
        Some(TokenKind::Text) => text(cursor).map(AttributeValue::S),
        Some(TokenKind::Number | TokenKind::Plus | TokenKind::Minus) => number(cursor).map(AttributeValue::N),
        Some(TokenKind::Parameter) if depth == 1 => Ok(cursor.parameter()),
        Some(TokenKind::Parameter) => Err(Refusal::unsupported("Parameter", cursor.position())),
        Some(TokenKind::OpenBracket) => list(cursor, depth).map(AttributeValue::L),
        Some(TokenKind::OpenBrace) => {
            let members = map(cursor, |cursor, name| {
                part(cursor, depth + 1).map_err(|error| error.within(format_args!(".{name}")))
            });
            members.map(AttributeValue::M)
        }
        Some(TokenKind::OpenSet) => set(cursor),
        _ if cursor.take_keyword("TRUE") => Ok(AttributeValue::Bool(true)),
        _ if cursor.take_keyword("FALSE") => Ok(AttributeValue::Bool(false)),
        _ if cursor.take_keyword("NULL") => Ok(AttributeValue::Null),
        Some(TokenKind::Word) if cursor.peek_ahead(1) == Some(TokenKind::OpenParen) => {
            Err(Refusal::unsupported(cursor.word(), cursor.position()))
        }
        _ => Err(Refusal::malformed("Unexpected term")),
    }
}

fn list(cursor: &mut Cursor<'_>, depth: usize) -> Result<Vec<AttributeValue>, Refusal> {
    cursor.advance();
    let mut at = 0;
    cursor.nested(|cursor| {
        cursor.operands(TokenKind::CloseBracket, "Expected RIGHT_BRACKET", |cursor| {
            let element = part(cursor, depth + 1).map_err(|error| error.within(format_args!("[{at}]")))?;
            at += 1;
            Ok(element)
        })
    })
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, Refusal> {
    if cursor.peek() != Some(TokenKind::Text) {
        return Err(Refusal::malformed("Unexpected term"));
    }
    let word = cursor.word();
    cursor.advance();
    Ok(unquoted(word, '\''))
}

fn number(cursor: &mut Cursor<'_>) -> Result<Number, Refusal> {
    let mut negative = false;
    // Each sign may stand before others.
    while let Some(sign @ (TokenKind::Minus | TokenKind::Plus)) = cursor.peek() {
        negative ^= sign == TokenKind::Minus;
        cursor.advance();
    }
    if cursor.peek() != Some(TokenKind::Number) {
        return Err(Refusal::malformed("Unexpected term"));
    }
    let word = cursor.word();
    cursor.advance();
    let parsed = if negative { Number::parse(&format!("-{word}")) } else { Number::parse(word) };
    parsed.map_err(|_| Refusal::in_value(Number::refused_as_big_decimal(word)))
}

fn map(
    cursor: &mut Cursor<'_>,
    mut member: impl FnMut(&mut Cursor<'_>, &str) -> Result<AttributeValue, Refusal>,
) -> Result<Item, Refusal> {
    cursor.expect(TokenKind::OpenBrace, "Expected LEFT_CURLY")?;
    let members = cursor.nested(|cursor| {
        cursor.operands(TokenKind::CloseBrace, "Expected RIGHT_CURLY", |cursor| {
            let name = text(cursor)?;
            if name.is_empty() {
                return Err(Refusal::refused("Path component cannot be an empty string"));
            }
            cursor.expect(TokenKind::Colon, "Expected COLON")?;
            let value = member(cursor, &name)?;
            Ok((name, value))
        })
    })?;
    Ok(members.into_iter().collect())
}

/// All of them strings, or all of them numbers.
fn set(cursor: &mut Cursor<'_>) -> Result<AttributeValue, Refusal> {
    cursor.advance();
    let close = TokenKind::CloseSet;
    const MISSING: &str = "Expected RIGHT_DOUBLE_ANGLE_BRACKET";
    match cursor.peek() {
        Some(TokenKind::CloseSet) => Err(Refusal::refused("Empty bags are not supported")),
        Some(TokenKind::Text) => {
            let mut members = cursor.operands(close, MISSING, |cursor| match cursor.peek() {
                Some(TokenKind::Text) => text(cursor),
                _ => Err(no_member(cursor, bag_at)),
            })?;
            let shown = members.join(", ");
            if sorts_to_repeats(&mut members) {
                return Err(Refusal::refused(format!("{INVALID} Input collection [{shown}] contains duplicates.")));
            }
            Ok(AttributeValue::Ss(members))
        }
        Some(TokenKind::Number | TokenKind::Plus | TokenKind::Minus) => {
            let mut shown = Vec::new();
            let mut members = cursor.operands(close, MISSING, |cursor| {
                let start = cursor.at();
                let member = match cursor.peek() {
                    Some(TokenKind::Number | TokenKind::Plus | TokenKind::Minus) => number(cursor)?,
                    _ if cursor.at_keyword("NULL") => {
                        return Err(Refusal::in_value(format!("{INVALID} Numeric sets may not contain null")));
                    }
                    _ => return Err(no_member(cursor, |_| Refusal::refused(BAG))),
                };
                shown.push(cursor.words(start..cursor.at()));
                Ok(member)
            })?;
            let shown = shown.join(", ");
            if sorts_to_repeats(&mut members) {
                return Err(Refusal::in_value(format!("{INVALID} Input collection [{shown}] contains duplicates!")));
            }
            Ok(AttributeValue::Ns(members))
        }
        _ => Err(bag_at(cursor)),
    }
}

/// What stands behind a set's first member and is not of its type. Only among strings DynamoDB says where (measured).
fn no_member(cursor: &Cursor<'_>, of_another_type: fn(&Cursor<'_>) -> Refusal) -> Refusal {
    match cursor.peek() {
        Some(TokenKind::Parameter) => Refusal::unsupported("Parameter", cursor.position()),
        None | Some(TokenKind::Comma | TokenKind::CloseSet) => Refusal::malformed("Unexpected term"),
        Some(_) => of_another_type(cursor),
    }
}

fn bag_at(cursor: &Cursor<'_>) -> Refusal {
    Refusal::refused(format!("{BAG} at {}", cursor.position()))
}

/// Sorts a set's members; true where two of them are equal.
fn sorts_to_repeats<T: Ord>(members: &mut [T]) -> bool {
    members.sort_unstable();
    members.windows(2).any(|pair| pair[0] == pair[1])
}
