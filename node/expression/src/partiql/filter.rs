//! WHERE: the conditions of expressions, in PartiQL's words.

use super::{Refusal, cursor::Cursor, literal, select};
use crate::{
    Condition, Operand, Path,
    condition::build::{self, Term},
    cursor::note,
    parser::wrong_operand_type,
    token::TokenKind,
};

const WORD_OPERATORS: [&str; 6] = ["AND", "BETWEEN", "IN", "IS", "LIKE", "OR"];

/// The operators behind which an operand must stand.
const INFIX: [&str; 10] = ["AND", "OR", "BETWEEN", "=", "<>", "!=", "<", "<=", ">", ">="];

const FUNCTIONS: [&str; 6] =
    ["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"];

/// What IS compares with, and DynamoDB's name of the type.
const TYPES: [(&str, &str); 9] = [
    ("NULL", "NULL"),
    ("BOOL", "BOOL"),
    ("BOOLEAN", "BOOL"),
    ("BLOB", "B"),
    ("STRING", "S"),
    ("NUMERIC", "N"),
    ("STRUCT", "M"),
    ("TUPLE", "M"),
    ("LIST", "L"),
];

/// PartiQL's types that DynamoDB's values don't have, and what its messages call them.
const OTHER_TYPES: [(&str, &str); 20] = [
    ("SMALLINT", "SmallintType"),
    ("INT", "IntegerType"),
    ("INTEGER", "IntegerType"),
    ("INT4", "Integer4Type"),
    ("INT8", "Integer8Type"),
    ("BIGINT", "Integer8Type"),
    ("FLOAT", "FloatType"),
    ("REAL", "RealType"),
    ("DECIMAL", "DecimalType"),
    ("TIMESTAMP", "TimestampType"),
    ("DATE", "DateType"),
    ("TIME", "TimeType"),
    ("CHAR", "CharacterType"),
    ("CHARACTER", "CharacterType"),
    ("VARCHAR", "CharacterVaryingType"),
    ("SYMBOL", "SymbolType"),
    ("CLOB", "ClobType"),
    ("SEXP", "SexpType"),
    ("BAG", "BagType"),
    ("ANY", "AnyType"),
];

/// The condition of a WHERE clause, if there is one.
pub(super) fn clause(cursor: &mut Cursor<'_>) -> Result<Option<Condition>, Refusal> {
    if !cursor.take_keyword("WHERE") {
        return Ok(None);
    }
    let condition = or(cursor)?;
    if let Some(message) = no_truth(&condition, None) {
        note(&mut cursor.faults.function, || message);
    }
    Ok(Some(condition))
}

/// What is said of the first size that nothing is compared with, for it is neither true nor false. `operator`: of which it is an
/// operand.
fn no_truth(condition: &Condition, operator: Option<&str>) -> Option<String> {
    match condition {
        Condition::And(parts) => parts.iter().find_map(|part| no_truth(part, Some("AND"))),
        Condition::Or(parts) => parts.iter().find_map(|part| no_truth(part, Some("OR"))),
        Condition::Not(negated) => no_truth(negated, Some("NOT")),
        Condition::In(Operand::Size(_), candidates) if candidates.is_empty() => Some(match operator {
            Some(operator) => wrong_operand_type(operator, "N"),
            None => "WHERE clause must contain an expression that resolves to a boolean".to_owned(),
        }),
        _ => None,
    }
}

/// A size that nothing is compared with, until it is: no other condition has no candidates.
fn size_alone(size: Operand) -> Condition {
    Condition::In(size, Vec::new())
}

fn or(cursor: &mut Cursor<'_>) -> Result<Condition, Refusal> {
    cursor.joined("OR", and, Condition::Or)
}

fn and(cursor: &mut Cursor<'_>) -> Result<Condition, Refusal> {
    cursor.joined("AND", not, Condition::And)
}

fn not(cursor: &mut Cursor<'_>) -> Result<Condition, Refusal> {
    if cursor.take_keyword("NOT") {
        cursor.operator()?;
        return Ok(negated(cursor.nested(not)?, true));
    }
    let start = cursor.at();
    let condition = if cursor.take(TokenKind::OpenParen) {
        let condition = cursor.nested(or)?;
        cursor.expect(TokenKind::CloseParen, "Expected RIGHT_PAREN")?;
        if !follows_operand(cursor) {
            return Ok(condition);
        }
        let left = match condition {
            Condition::In(size @ Operand::Size(_), candidates) if candidates.is_empty() => Term::Operand(size),
            condition => truth(condition),
        };
        behind(left, start, cursor)?
    } else {
        behind(term(cursor)?, start, cursor)?
    };
    build::close_condition(&mut cursor.faults);
    Ok(condition)
}

/// Whether what stands at the cursor asks something of what stands before it.
fn follows_operand(cursor: &Cursor<'_>) -> bool {
    let is_comparator = cursor.peek().is_some_and(|kind| kind.comparator().is_some());
    is_comparator || ["BETWEEN", "IN", "IS"].iter().any(|word| cursor.at_keyword(word))
}

/// What a condition says, where it is compared.
fn truth(condition: Condition) -> Term {
    Term::Operand(Operand::Truth(Box::new(condition)))
}

/// A term that is compared: a condition too.
fn operand(cursor: &mut Cursor<'_>) -> Result<Term, Refusal> {
    term(cursor).map(as_operand)
}

fn as_operand(term: Term) -> Term {
    match term {
        Term::Condition(_, condition) => truth(condition),
        operand => operand,
    }
}

fn negated(condition: Condition, negative: bool) -> Condition {
    if negative { Condition::Not(Box::new(condition)) } else { condition }
}

/// One condition, whose left side began at the token `start`.
fn behind(left: Term, start: usize, cursor: &mut Cursor<'_>) -> Result<Condition, Refusal> {
    if let Some(comparator) = cursor.peek().and_then(TokenKind::comparator) {
        cursor.advance();
        cursor.operator()?;
        let right = operand(cursor)?;
        return Ok(build::compared(as_operand(left), comparator, right, &mut cursor.faults));
    }
    if cursor.at_keyword("IS") {
        let left_at = cursor.position_of(start..cursor.at());
        cursor.advance();
        cursor.operator()?;
        let negative = cursor.take_keyword("NOT");
        return Ok(negated(is(left, &left_at, cursor)?, negative));
    }
    let negative = cursor.take_keyword("NOT");
    if cursor.take_keyword("BETWEEN") {
        cursor.operator()?;
        let low = operand(cursor)?;
        if !cursor.take_keyword("AND") {
            return Err(Refusal::malformed("Expected AND keyword"));
        }
        if cursor.peek().is_none() {
            return Err(Refusal::malformed("Expected expression after AND"));
        }
        let high = operand(cursor)?;
        return Ok(negated(build::between(as_operand(left), low, high, &mut cursor.faults), negative));
    }
    if cursor.take_keyword("IN") {
        cursor.operator()?;
        let candidates = candidates(cursor)?;
        return Ok(negated(build::one_of(as_operand(left), candidates, &mut cursor.faults), negative));
    }
    let alone = match left {
        Term::Condition(_, condition) if !negative => Some(condition),
        Term::Operand(size @ Operand::Size(_)) if !negative => Some(size_alone(size)),
        _ => None,
    };
    alone.ok_or_else(|| Refusal::malformed("Expected operator after attribute path"))
}

/// What stands behind IN, in brackets or parentheses; one at least.
fn candidates(cursor: &mut Cursor<'_>) -> Result<Vec<Term>, Refusal> {
    let (close, missing) = if cursor.take(TokenKind::OpenBracket) {
        (TokenKind::CloseBracket, "Expected RIGHT_BRACKET")
    } else if cursor.take(TokenKind::OpenParen) {
        (TokenKind::CloseParen, "Expected RIGHT_PAREN")
    } else {
        return Err(Refusal::malformed("Expected '(' or '[' after IN"));
    };
    let candidates = cursor.nested(|cursor| cursor.operands(close, missing, operand))?;
    if candidates.is_empty() {
        return Err(Refusal::malformed("Unexpected term"));
    }
    Ok(candidates)
}

/// `IS MISSING`, or `IS` with a type; `left_at` is where the left side stands.
fn is(left: Term, left_at: &str, cursor: &mut Cursor<'_>) -> Result<Condition, Refusal> {
    let Term::Operand(Operand::Path(path)) = left else {
        return Err(Refusal::refused(
            "The left hand side argument to IS must be a Variable Reference, Literal, or Path",
        ));
    };
    if cursor.take_keyword("MISSING") {
        return Ok(Condition::AttributeNotExists(path));
    }
    if let Some((_, name)) = TYPES.iter().find(|(word, _)| cursor.at_keyword(word)) {
        cursor.advance();
        return Ok(is_type(path, name));
    }
    match other_type(cursor) {
        Some(name) => Err(Refusal::refused(format!(
            "Unsupported data type for IS operator: {name}. Supported data types are [MISSING, NULL, BOOLEAN, BLOB, \
             STRING, NUMERIC, STRUCT, TUPLE, LIST] at {left_at}"
        ))),
        None => Err(Refusal::malformed("Expected type name")),
    }
}

/// What DynamoDB's messages call the type at the cursor, of those that its values don't have.
fn other_type(cursor: &mut Cursor<'_>) -> Option<&'static str> {
    if cursor.take_keyword("DOUBLE") {
        return cursor.take_keyword("PRECISION").then_some("DoublePrecisionType");
    }
    let (word, name) = OTHER_TYPES.iter().find(|(word, _)| cursor.at_keyword(word))?;
    cursor.advance();
    let varying = *word == "CHARACTER" && cursor.take_keyword("VARYING");
    Some(if varying { "CharacterVaryingType" } else { name })
}

fn is_type(path: Path, name: &str) -> Condition {
    Condition::AttributeType(Operand::Path(path), name.to_owned())
}

/// A value, a path or a call.
fn term(cursor: &mut Cursor<'_>) -> Result<Term, Refusal> {
    if literal::at_value(cursor) {
        return Ok(Term::Operand(Operand::Value(literal::value(cursor)?)));
    }
    if cursor.peek() == Some(TokenKind::Word) && cursor.peek_ahead(1) == Some(TokenKind::OpenParen) {
        return call(cursor);
    }
    if cursor.at_keyword("MISSING") {
        return Err(Refusal::refused("MISSING must be compared using IS operator"));
    }
    if !cursor.at_name() {
        return Err(Refusal::malformed(no_operand(cursor)));
    }
    cursor.path().map(|path| Term::Operand(Operand::Path(path)))
}

/// What is said where an operand should begin and none does.
fn no_operand(cursor: &Cursor<'_>) -> &'static str {
    let is_comparator = |kind: TokenKind| kind.comparator().is_some();
    match cursor.peek() {
        None | Some(TokenKind::Semicolon)
            if INFIX.iter().any(|operator| cursor.word_before().eq_ignore_ascii_case(operator)) =>
        {
            "Missing right-hand side expression of infix operator"
        }
        Some(TokenKind::Word) if WORD_OPERATORS.iter().any(|operator| cursor.at_keyword(operator)) => {
            "Unexpected operator"
        }
        Some(TokenKind::Word) => "Unexpected keyword",
        Some(kind) if is_comparator(kind) => "Unexpected operator",
        _ => "Unexpected term",
    }
}

pub(super) fn unrecognized(function: &str, position: &str) -> String {
    format!("Unrecognized function: {} at {position}", function.to_lowercase())
}

/// Whether a SELECT stands in parentheses behind the word at the cursor.
fn at_subquery(cursor: &Cursor<'_>) -> bool {
    let behind = cursor.tokens().get(cursor.at() + 1..).unwrap_or_default();
    let inner = behind.iter().find(|token| token.kind != TokenKind::OpenParen);
    inner.is_some_and(|token| cursor.text()[token.start..token.end].eq_ignore_ascii_case("SELECT"))
}

/// Reads a SELECT in parentheses, which no condition may have.
fn subquery(cursor: &mut Cursor<'_>) -> Result<(), Refusal> {
    cursor.expect(TokenKind::OpenParen, "Expected LEFT_PAREN")?;
    cursor.nested(|cursor| {
        if !cursor.at_keyword("SELECT") {
            return subquery(cursor);
        }
        let position = cursor.position();
        note(&mut cursor.faults.unknown_function, || format!("Unsupported token in expression: SELECT at {position}"));
        cursor.advance();
        select::select(cursor).map(drop)
    })?;
    cursor.expect(TokenKind::CloseParen, "Expected RIGHT_PAREN")
}

fn call(cursor: &mut Cursor<'_>) -> Result<Term, Refusal> {
    let word = cursor.word();
    if word.eq_ignore_ascii_case("EXISTS") && at_subquery(cursor) {
        cursor.advance();
        subquery(cursor)?;
        return Ok(Term::Condition("EXISTS", Condition::Or(Vec::new())));
    }
    let known = FUNCTIONS.into_iter().find(|name| name.eq_ignore_ascii_case(word));
    if known.is_none() {
        let position = cursor.position();
        note(&mut cursor.faults.unknown_function, || unrecognized(word, &position));
    }
    cursor.advance();
    cursor.advance();
    cursor.operator()?;
    let operands = cursor.nested(|cursor| cursor.operands(TokenKind::CloseParen, "Expected RIGHT_PAREN", term))?;
    Ok(build::function(known.unwrap_or(word), operands, &mut cursor.faults))
}
