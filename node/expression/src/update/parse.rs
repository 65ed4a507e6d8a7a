//! Parsing updates.

use super::{Action, Form, Update, Value};
use crate::{
    Placeholders,
    cursor::{Faults, note},
    parser::{Parser, Syntax, misused, unknown_function, wrong_operand_count, wrong_operand_type},
    path::find_clash,
    token::TokenKind,
};
use cairn_model::{AttributeValue, ServiceError};

const SECTIONS: [&str; 4] = ["SET", "REMOVE", "ADD", "DELETE"];

impl Update {
    pub fn parse(text: &str, placeholders: &mut Placeholders) -> Result<Self, ServiceError> {
        let mut parser = Parser::new("UpdateExpression", text, placeholders)?;
        let redundant = parser.redundant_parens();
        let parsed = sections(&mut parser).map(|actions| Self { actions, form: Form::Expression });
        parser.finish(parsed, |update, faults| {
            let clash = find_clash(update.paths());
            redundant
                .or(faults.reserved.take())
                .or(faults.unknown_function.take())
                .or(faults.misused_function.take())
                .or(faults.section.take())
                .or(faults.name.take())
                .or(faults.value.take())
                .or(faults.path.take())
                .or(clash)
                .or(faults.operand.take())
                .or(faults.function.take())
        })
    }
}

fn sections(parser: &mut Parser<'_>) -> Result<Vec<Action>, Syntax> {
    let mut actions = Vec::new();
    let mut seen = [false; SECTIONS.len()];
    loop {
        let Some(section) = SECTIONS.iter().position(|keyword| parser.take_keyword(keyword)) else {
            return Err(Syntax::Token);
        };
        if std::mem::replace(&mut seen[section], true) {
            note(&mut parser.faults.section, || {
                format!("The \"{}\" section can only be used once in an update expression;", SECTIONS[section])
            });
        }
        loop {
            actions.push(match section {
                0 => set(parser)?,
                1 => Action::Remove(parser.path()?),
                2 => add(parser)?,
                _ => delete(parser)?,
            });
            if !parser.take(TokenKind::Comma) {
                break;
            }
        }
        if parser.at_end() {
            return Ok(actions);
        }
    }
}

fn set(parser: &mut Parser<'_>) -> Result<Action, Syntax> {
    let path = parser.path()?;
    parser.expect(TokenKind::Equal)?;
    Ok(Action::Set(path, value(parser)?.0))
}

fn add(parser: &mut Parser<'_>) -> Result<Action, Syntax> {
    let path = parser.path()?;
    let value = parser.value()?;
    if !matches!(value, AttributeValue::N(_)) {
        check_set("ADD", &value, &mut parser.faults);
    }
    Ok(Action::Add(path, value))
}

fn delete(parser: &mut Parser<'_>) -> Result<Action, Syntax> {
    let path = parser.path()?;
    let value = parser.value()?;
    check_set("DELETE", &value, &mut parser.faults);
    Ok(Action::Delete(path, value))
}

fn check_set(operator: &str, value: &AttributeValue, faults: &mut Faults) {
    let found = match value {
        AttributeValue::Ss(_) | AttributeValue::Ns(_) | AttributeValue::Bs(_) => return,
        AttributeValue::S(_) => "STRING",
        AttributeValue::N(_) => "NUMBER",
        AttributeValue::B(_) => "BINARY",
        AttributeValue::Bool(_) => "BOOL",
        AttributeValue::Null => "NULL",
        AttributeValue::L(_) => "LIST",
        AttributeValue::M(_) => "MAP",
    };
    // Of DELETE, too, DynamoDB tells the types that ADD takes.
    note(&mut faults.operand, || {
        format!(
            "Incorrect operand type for operator or function; operator: {operator}, operand type: {found}, typeSet: \
             ALLOWED_FOR_ADD_OPERAND"
        )
    });
}

/// One operand, or two with a sign between them: whether it is a sum, which is no operand of another, nor of a function.
fn value(parser: &mut Parser<'_>) -> Result<(Value, bool), Syntax> {
    let left = if parser.take(TokenKind::OpenParen) {
        let (value, is_sum) = parser.nested(value)?;
        parser.expect(TokenKind::CloseParen)?;
        if is_sum {
            return Ok((value, true));
        }
        value
    } else {
        operand(parser)?
    };
    let plus = parser.take(TokenKind::Plus);
    if !plus && !parser.take(TokenKind::Minus) {
        return Ok((left, false));
    }
    parser.operator()?;
    let right = operand(parser)?;
    check_nested([&left, &right], &mut parser.faults);
    check_types(if plus { "+" } else { "-" }, "N", [&left, &right], &mut parser.faults);
    let (left, right) = (Box::new(left), Box::new(right));
    Ok((if plus { Value::Plus(left, right) } else { Value::Minus(left, right) }, true))
}

fn operand(parser: &mut Parser<'_>) -> Result<Value, Syntax> {
    if parser.take(TokenKind::OpenParen) {
        let value = parser.nested(operand)?;
        parser.expect(TokenKind::CloseParen)?;
        return Ok(value);
    }
    if parser.peek() == Some(TokenKind::ValuePlaceholder) {
        return parser.value().map(Value::Literal);
    }
    match parser.call() {
        Some(name) => {
            parser.operator()?;
            let operands = parser.nested(|parser| parser.operands(operand))?;
            check_nested(&operands, &mut parser.faults);
            Ok(function(name, operands, &mut parser.faults))
        }
        None => parser.path().map(Value::Path),
    }
}

/// Nothing but `if_not_exists` can be an operand.
fn check_nested<'v>(operands: impl IntoIterator<Item = &'v Value>, faults: &mut Faults) {
    if operands.into_iter().any(|operand| matches!(operand, Value::ListAppend(..))) {
        note(&mut faults.misused_function, || misused("list_append"));
    }
}

/// A call with its operands; after a fault it is just any value.
pub(crate) fn function(name: &str, operands: Vec<Value>, faults: &mut Faults) -> Value {
    let nothing = || Value::Literal(AttributeValue::Null);
    if !matches!(name, "if_not_exists" | "list_append") {
        note(&mut faults.unknown_function, || unknown_function(name, "an update"));
        return nothing();
    }
    let count = operands.len();
    let Ok([first, second]) = <[Value; 2]>::try_from(operands) else {
        note(&mut faults.function, || wrong_operand_count(name, count));
        return nothing();
    };
    if name == "list_append" {
        check_types(name, "L", [&first, &second], faults);
        return Value::ListAppend(Box::new(first), Box::new(second));
    }
    let Value::Path(path) = first else {
        note(&mut faults.function, || {
            format!("Operator or function requires a document path; operator or function: {name}")
        });
        return nothing();
    };
    Value::IfNotExists(path, Box::new(second))
}

pub(crate) fn check_types(operator: &str, expected: &str, operands: [&Value; 2], faults: &mut Faults) {
    for operand in operands {
        if let Value::Literal(value) = operand
            && value.type_name() != expected
        {
            note(&mut faults.function, || wrong_operand_type(operator, value.type_name()));
        }
    }
}
