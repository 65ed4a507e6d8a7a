//! Parsing conditions.

use super::{
    Condition, Operand,
    build::{self, Term},
};
use crate::{
    Placeholders,
    parser::{Parser, Syntax},
    token::TokenKind,
};
use cairn_model::ServiceError;

/// Parses a condition out of the request's parameter of this name.
pub(crate) fn parse(
    text: &str,
    parameter: &'static str,
    placeholders: &mut Placeholders,
) -> Result<Condition, ServiceError> {
    let mut parser = Parser::new(parameter, text, placeholders)?;
    let redundant = parser.redundant_parens();
    let parsed = or(&mut parser);
    parser.finish(parsed, |_, faults| {
        redundant
            .or(faults.unknown_function.take())
            .or(faults.misused_function.take())
            .or(faults.reserved.take())
            .or(faults.condition.take())
            .or(faults.path.take())
    })
}

fn or(parser: &mut Parser<'_>) -> Result<Condition, Syntax> {
    parser.joined("OR", and, Condition::Or)
}

fn and(parser: &mut Parser<'_>) -> Result<Condition, Syntax> {
    parser.joined("AND", not, Condition::And)
}

fn not(parser: &mut Parser<'_>) -> Result<Condition, Syntax> {
    if parser.take_keyword("NOT") {
        parser.operator()?;
        return Ok(Condition::Not(Box::new(parser.nested(not)?)));
    }
    // Parentheses hold a condition, or the operand of one.
    if parser.peek() == Some(TokenKind::OpenParen) && !parser.behind_parens().is_some_and(follows_operand) {
        parser.expect(TokenKind::OpenParen)?;
        let condition = parser.nested(or)?;
        parser.expect(TokenKind::CloseParen)?;
        return Ok(condition);
    }
    let condition = single(parser)?;
    build::close_condition(&mut parser.faults);
    Ok(condition)
}

fn follows_operand((kind, word): (TokenKind, &str)) -> bool {
    let keyword = || word.eq_ignore_ascii_case("BETWEEN") || word.eq_ignore_ascii_case("IN");
    kind.comparator().is_some() || (kind == TokenKind::Word && keyword())
}

fn single(parser: &mut Parser<'_>) -> Result<Condition, Syntax> {
    let left = term(parser)?;
    if let Some(comparator) = parser.peek().and_then(TokenKind::comparator) {
        parser.advance();
        parser.operator()?;
        let right = term(parser)?;
        return Ok(build::compared(left, comparator, right, &mut parser.faults));
    }
    if parser.take_keyword("BETWEEN") {
        parser.operator()?;
        let low = term(parser)?;
        if !parser.take_keyword("AND") {
            return Err(Syntax::Token);
        }
        let high = term(parser)?;
        return Ok(build::between(left, low, high, &mut parser.faults));
    }
    if parser.take_keyword("IN") {
        parser.operator()?;
        parser.expect(TokenKind::OpenParen)?;
        let candidates = parser.operands(term)?;
        return Ok(build::one_of(left, candidates, &mut parser.faults));
    }
    build::alone(left, &mut parser.faults).ok_or(Syntax::Token)
}

fn term(parser: &mut Parser<'_>) -> Result<Term, Syntax> {
    if parser.take(TokenKind::OpenParen) {
        let term = parser.nested(term)?;
        parser.expect(TokenKind::CloseParen)?;
        return Ok(term);
    }
    if let Some(name) = parser.call() {
        parser.operator()?;
        let operands = parser.nested(|parser| parser.operands(term))?;
        return Ok(build::function(name, operands, &mut parser.faults));
    }
    Ok(Term::Operand(match parser.peek() {
        Some(TokenKind::ValuePlaceholder) => Operand::Value(parser.value()?),
        _ => Operand::Path(parser.path()?),
    }))
}
