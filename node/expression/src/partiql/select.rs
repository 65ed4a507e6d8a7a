//! SELECT.

use super::{
    OrderTerm, Refusal, Select,
    cursor::{Cursor, unquoted},
    filter,
};
use crate::{Path, token::TokenKind};

/// Behind the keyword.
pub(super) fn select(cursor: &mut Cursor<'_>) -> Result<Select, Refusal> {
    let projection = if cursor.take(TokenKind::Star) { None } else { Some(paths(cursor)?) };
    if !cursor.take_keyword("FROM") {
        return Err(Refusal::malformed("Expected FROM after the projection"));
    }
    let (table, index) = cursor.target()?;
    if cursor.peek() == Some(TokenKind::Comma) {
        return Err(Refusal::refused("Only select from a single table or index is supported."));
    }
    cursor.no_alias()?;
    let condition = filter::clause(cursor)?;
    let order = order(cursor)?;
    Ok(Select { table, index, projection, condition, order })
}

fn paths(cursor: &mut Cursor<'_>) -> Result<Vec<Path>, Refusal> {
    if cursor.at_keyword("FROM") {
        return Err(Refusal::malformed(
            "Expected identifier or an expression but found unexpected keyword 'from' in a select list.",
        ));
    }
    let mut paths = Vec::new();
    loop {
        if cursor.peek() == Some(TokenKind::Word) && cursor.peek_ahead(1) == Some(TokenKind::OpenParen) {
            return Err(Refusal::refused(format!("Unexpected path component at {}", cursor.position())));
        }
        paths.push(cursor.path()?);
        cursor.no_alias()?;
        if !cursor.take(TokenKind::Comma) {
            return Ok(paths);
        }
    }
}

fn order(cursor: &mut Cursor<'_>) -> Result<Vec<OrderTerm>, Refusal> {
    let mut terms = Vec::new();
    if !cursor.take_keyword("ORDER") {
        return Ok(terms);
    }
    if !cursor.take_keyword("BY") {
        return Err(Refusal::malformed("Expected BY after ORDER"));
    }
    loop {
        let attribute = order_attribute(cursor)?;
        let descending = cursor.take_keyword("DESC");
        if !descending {
            cursor.take_keyword("ASC");
        }
        terms.push(OrderTerm { attribute, descending });
        if !cursor.take(TokenKind::Comma) {
            return Ok(terms);
        }
    }
}

/// What one term of ORDER BY orders by, as in [`OrderTerm::attribute`].
fn order_attribute(cursor: &mut Cursor<'_>) -> Result<Result<String, String>, Refusal> {
    let position = cursor.position();
    let no_name =
        |found: &str| format!("Argument to ORDER BY must be of type VariableReference. Type: {found} at {position}");
    if cursor.peek() == Some(TokenKind::Text) {
        let text = unquoted(cursor.word(), '\'');
        cursor.advance();
        return Ok(Err(no_name(&text)));
    }
    let path = cursor.path()?;
    Ok(if path.rest().is_empty() { Ok(path.name().to_owned()) } else { Err(no_name("PATH")) })
}
