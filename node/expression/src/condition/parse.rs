//! Parsing conditions.

use super::{Comparator, Condition, Operand, order};
use crate::{
    Path, Placeholders,
    parser::{Faults, Parser, Syntax, note, unknown_function, wrong_operand_count, wrong_operand_type},
    token::{TokenKind, has_redundant_parens},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use cairn_model::{AttributeValue, ServiceError, limits::IN_OPERANDS_MAX};

const TYPE_NAMES: [&str; 10] = ["B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M"];

/// Parses a condition out of the request's parameter of this name.
pub(crate) fn parse(
    text: &str,
    parameter: &'static str,
    placeholders: &mut Placeholders,
) -> Result<Condition, ServiceError> {
    let mut parser = Parser::new(parameter, text, placeholders)?;
    let redundant = has_redundant_parens(parser.tokens(), parser.closes());
    let parsed = or(&mut parser);
    parser.finish(parsed, |_, faults| {
        let redundant = redundant.then(|| "The expression has redundant parentheses;".to_owned());
        redundant
            .or(faults.unknown_function.take())
            .or(faults.misused_function.take())
            .or(faults.reserved.take())
            .or(faults.condition.take())
            .or(faults.path.take())
    })
}

fn or(parser: &mut Parser<'_>) -> Result<Condition, Syntax> {
    joined(parser, "OR", and, Condition::Or)
}

fn and(parser: &mut Parser<'_>) -> Result<Condition, Syntax> {
    joined(parser, "AND", not, Condition::And)
}

fn joined(
    parser: &mut Parser<'_>,
    keyword: &str,
    parse: fn(&mut Parser<'_>) -> Result<Condition, Syntax>,
    join: fn(Vec<Condition>) -> Condition,
) -> Result<Condition, Syntax> {
    let first = parse(parser)?;
    if !parser.at_keyword(keyword) {
        return Ok(first);
    }
    let mut conditions = vec![first];
    while parser.take_keyword(keyword) {
        parser.operator()?;
        conditions.push(parse(parser)?);
    }
    Ok(join(conditions))
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
    close_condition(&mut parser.faults);
    Ok(condition)
}

fn follows_operand((kind, word): (TokenKind, &str)) -> bool {
    let keyword = || word.eq_ignore_ascii_case("BETWEEN") || word.eq_ignore_ascii_case("IN");
    comparator(kind).is_some() || (kind == TokenKind::Word && keyword())
}

fn comparator(kind: TokenKind) -> Option<Comparator> {
    Some(match kind {
        TokenKind::Equal => Comparator::Equal,
        TokenKind::NotEqual => Comparator::NotEqual,
        TokenKind::Less => Comparator::Less,
        TokenKind::LessOrEqual => Comparator::LessOrEqual,
        TokenKind::Greater => Comparator::Greater,
        TokenKind::GreaterOrEqual => Comparator::GreaterOrEqual,
        _ => return None,
    })
}

/// Of the faults of one comparison the first by kind counts, and of all comparisons the first.
fn close_condition(faults: &mut Faults) {
    if faults.condition.is_none() {
        faults.condition = faults
            .name
            .take()
            .or(faults.value.take())
            .or(faults.operand.take())
            .or(faults.distinct.take())
            .or(faults.function.take());
    }
}

/// What stands in an operand's place: an operand, or a function that can only be a condition of its own.
enum Term {
    Operand(Operand),
    Condition(&'static str, Condition),
}

fn single(parser: &mut Parser<'_>) -> Result<Condition, Syntax> {
    let left = term(parser)?;
    let compared = parser.peek().and_then(comparator);
    if let Some(comparator) = compared {
        parser.expect(parser.peek().unwrap_or(TokenKind::Equal))?;
        parser.operator()?;
        let right = term(parser)?;
        let (left, right) = (operand_of(left, parser), operand_of(right, parser));
        if let (Operand::Path(one), Operand::Path(other)) = (&left, &right) {
            check_distinct(comparator.symbol(), one, other, &mut parser.faults);
        }
        if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) {
            check_ordered(comparator.symbol(), [&left, &right], &mut parser.faults);
        }
        return Ok(Condition::Compare(left, comparator, right));
    }
    if parser.take_keyword("BETWEEN") {
        parser.operator()?;
        let low = term(parser)?;
        if !parser.take_keyword("AND") {
            return Err(Syntax::Token);
        }
        let high = term(parser)?;
        let [operand, low, high] = [left, low, high].map(|term| operand_of(term, parser));
        check_ordered("BETWEEN", [&operand, &low, &high], &mut parser.faults);
        check_between(&low, &high, &mut parser.faults);
        return Ok(Condition::Between(operand, low, high));
    }
    if parser.take_keyword("IN") {
        parser.operator()?;
        parser.expect(TokenKind::OpenParen)?;
        let candidates = parser.operands(term)?;
        let count = candidates.len();
        let operand = operand_of(left, parser);
        let candidates = candidates.into_iter().map(|term| operand_of(term, parser)).collect();
        if count > IN_OPERANDS_MAX {
            note(&mut parser.faults.operand, || {
                format!("The IN operator is provided with too many operands; number of operands: {count}")
            });
        }
        return Ok(Condition::In(operand, candidates));
    }
    match left {
        Term::Condition(_, condition) => Ok(condition),
        Term::Operand(operand @ Operand::Size(_)) => {
            note(&mut parser.faults.misused_function, || misused("size"));
            Ok(Condition::In(operand, Vec::new()))
        }
        Term::Operand(_) => Err(Syntax::Token),
    }
}

fn operand_of(term: Term, parser: &mut Parser<'_>) -> Operand {
    match term {
        Term::Operand(operand) => operand,
        Term::Condition(name, _) => {
            note(&mut parser.faults.misused_function, || misused(name));
            Operand::Value(AttributeValue::Null)
        }
    }
}

fn misused(function: &str) -> String {
    format!("The function is not allowed to be used this way in an expression; function: {function}")
}

fn term(parser: &mut Parser<'_>) -> Result<Term, Syntax> {
    if parser.take(TokenKind::OpenParen) {
        let term = parser.nested(term)?;
        parser.expect(TokenKind::CloseParen)?;
        return Ok(term);
    }
    if let Some(name) = parser.call() {
        parser.operator()?;
        let operands = parser.nested(|parser| parser.operands(argument))?;
        let operands = operands.into_iter().map(|term| operand_of(term, parser)).collect();
        return Ok(function(name, operands, &mut parser.faults));
    }
    argument(parser)
}

/// An operand of a function, which can't stand in parentheses.
fn argument(parser: &mut Parser<'_>) -> Result<Term, Syntax> {
    match parser.peek() {
        Some(TokenKind::ValuePlaceholder) => Ok(Term::Operand(Operand::Value(parser.value()?))),
        Some(TokenKind::Word) if parser.peek_ahead(1) == Some(TokenKind::OpenParen) => term(parser),
        Some(TokenKind::Word) if ["AND", "OR", "NOT", "BETWEEN", "IN"].iter().any(|word| parser.at_keyword(word)) => {
            Err(Syntax::Token)
        }
        _ => Ok(Term::Operand(Operand::Path(parser.path()?))),
    }
}

/// A call with its operands; after a fault it is just any condition.
fn function(name: &str, operands: Vec<Operand>, faults: &mut Faults) -> Term {
    let (name, expected) = match name {
        "attribute_exists" => ("attribute_exists", 1),
        "attribute_not_exists" => ("attribute_not_exists", 1),
        "attribute_type" => ("attribute_type", 2),
        "begins_with" => ("begins_with", 2),
        "contains" => ("contains", 2),
        "size" => ("size", 1),
        _ => {
            note(&mut faults.unknown_function, || unknown_function(name));
            return Term::Operand(Operand::Size(Box::new(Operand::Value(AttributeValue::Null))));
        }
    };
    let count = operands.len();
    if count != expected {
        note(&mut faults.operand, || wrong_operand_count(name, count));
    }
    if let [Operand::Path(one), Operand::Path(other)] = operands.as_slice() {
        check_distinct(name, one, other, faults);
    }
    let mut operands = operands.into_iter();
    let absent = || Operand::Value(AttributeValue::Null);
    let (first, second) = (operands.next().unwrap_or_else(absent), operands.next().unwrap_or_else(absent));
    if count != expected {
        return if name == "size" {
            Term::Operand(Operand::Size(Box::new(first)))
        } else {
            Term::Condition(name, Condition::Contains(first, second))
        };
    }
    Term::Condition(
        name,
        match (name, first) {
            ("attribute_exists", Operand::Path(path)) => Condition::AttributeExists(path),
            ("attribute_not_exists", Operand::Path(path)) => Condition::AttributeNotExists(path),
            ("attribute_exists" | "attribute_not_exists", first) => {
                note(&mut faults.function, || {
                    format!("Operator or function requires a document path; operator or function: {name}")
                });
                Condition::Contains(first, second)
            }
            ("attribute_type", first) => Condition::AttributeType(first, type_operand(name, second, faults)),
            ("begins_with", first) => {
                for found in [&first, &second].into_iter().filter_map(static_type) {
                    if !matches!(found, "S" | "B") {
                        note(&mut faults.function, || wrong_operand_type(name, found));
                    }
                }
                Condition::BeginsWith(first, second)
            }
            ("size", first) => {
                if let Some(found @ ("N" | "BOOL" | "NULL")) = static_type(&first) {
                    note(&mut faults.function, || wrong_operand_type(name, found));
                }
                return Term::Operand(Operand::Size(Box::new(first)));
            }
            (_, first) => Condition::Contains(first, second),
        },
    )
}

/// The second operand of `attribute_type`, which must be the name of a type.
fn type_operand(name: &str, operand: Operand, faults: &mut Faults) -> String {
    match operand {
        Operand::Value(AttributeValue::S(text)) => {
            if !TYPE_NAMES.contains(&text.as_str()) {
                note(&mut faults.function, || {
                    format!(
                        "Invalid attribute type name found; type: {text}, valid types: {{{}}}",
                        TYPE_NAMES.join(",")
                    )
                });
            }
            text
        }
        other => {
            let found = static_type(&other).unwrap_or("{NS,SS,L,BS,N,M,B,BOOL,NULL,S}");
            note(&mut faults.function, || wrong_operand_type(name, found));
            String::new()
        }
    }
}

/// The type of an operand that does not depend on the item.
fn static_type(operand: &Operand) -> Option<&'static str> {
    match operand {
        Operand::Value(value) => Some(value.type_name()),
        Operand::Path(_) => None,
        Operand::Size(_) => Some("N"),
    }
}

fn check_distinct(operator: &str, one: &Path, other: &Path, faults: &mut Faults) {
    if one == other {
        note(&mut faults.distinct, || {
            format!(
                "The first operand must be distinct from the remaining operands for this operator or function; \
                 operator: {operator}, first operand: {one}"
            )
        });
    }
}

fn check_ordered<const N: usize>(operator: &str, operands: [&Operand; N], faults: &mut Faults) {
    for found in operands.into_iter().filter_map(static_type) {
        if !matches!(found, "S" | "N" | "B") {
            note(&mut faults.function, || wrong_operand_type(operator, found));
        }
    }
}

fn check_between(low: &Operand, high: &Operand, faults: &mut Faults) {
    let (Operand::Value(low), Operand::Value(high)) = (low, high) else { return };
    let problem = if low.type_name() != high.type_name() {
        "same data type for lower and upper bounds"
    } else if order(low, high).is_some_and(std::cmp::Ordering::is_gt) {
        "upper bound to be greater than or equal to lower bound"
    } else {
        return;
    };
    note(&mut faults.function, || {
        format!(
            "The BETWEEN operator requires {problem}; lower bound operand: AttributeValue: {{{}}}, upper bound operand: \
             AttributeValue: {{{}}}",
            shown(low),
            shown(high)
        )
    });
}

/// A bound as DynamoDB's messages show it: type and value.
fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => format!("S:{text}"),
        AttributeValue::N(number) => format!("N:{number}"),
        AttributeValue::B(bytes) => format!("B:{}", STANDARD.encode(bytes)),
        AttributeValue::Bool(value) => format!("BOOL:{value}"),
        AttributeValue::Null => "NULL:true".to_owned(),
        other => format!("{}:…", other.type_name()),
    }
}
