//! INSERT, UPDATE and DELETE, each behind its keyword.

use super::{
    DeleteItem, Insert, NO_STATEMENT, Refusal, Returning, UpdateItem,
    cursor::Cursor,
    cursor::{LEFT_OVER, NO_SIMPLE_PATH},
    filter, literal,
};
use crate::{
    Action, Path, Update, Value,
    cursor::note,
    path::find_clash,
    token::TokenKind,
    update::parse::{check_types, function},
};
use cairn_model::AttributeValue;

pub(super) fn insert(cursor: &mut Cursor<'_>) -> Result<Insert, Refusal> {
    if !cursor.take_keyword("INTO") {
        return Err(Refusal::malformed("Unexpected keyword"));
    }
    if !cursor.at_name() {
        return Err(Refusal::malformed(NO_SIMPLE_PATH));
    }
    let position = cursor.position();
    let (table, index) = cursor.target()?;
    if index.is_some() {
        return Err(Refusal::refused(format!(
            "FROM clause may only contain a single table name in data manipulation statements at {position}"
        )));
    }
    if cursor.at_name() || cursor.at_keyword("AS") {
        return Err(Refusal::malformed(LEFT_OVER));
    }
    if !cursor.take_keyword("VALUE") {
        return Err(Refusal::malformed("Expected VALUE after the table's name"));
    }
    let item = literal::item(cursor)?;
    Ok(Insert { table, item })
}

pub(super) fn update(cursor: &mut Cursor<'_>) -> Result<UpdateItem, Refusal> {
    let table = table(cursor)?;
    let update = clauses(cursor, "UPDATE requires at least one SET or REMOVE clause")?;
    let condition = filter::clause(cursor)?;
    let returning = returning(cursor)?;
    Ok(UpdateItem { table, update, condition, returning })
}

/// The other form of an UPDATE: `FROM table WHERE … SET …`.
pub(super) fn update_from(cursor: &mut Cursor<'_>) -> Result<UpdateItem, Refusal> {
    let table = table(cursor)?;
    let condition = filter::clause(cursor)?;
    let update = clauses(cursor, NO_STATEMENT)?;
    let returning = returning(cursor)?;
    Ok(UpdateItem { table, update, condition, returning })
}

/// SET and REMOVE, at least one of them; `missing` is what is said where there is none.
fn clauses(cursor: &mut Cursor<'_>, missing: &str) -> Result<Update, Refusal> {
    let mut actions = Vec::new();
    loop {
        if cursor.take_keyword("SET") {
            actions.push(set(cursor)?);
            while cursor.take(TokenKind::Comma) {
                actions.push(set(cursor)?);
            }
        } else if cursor.take_keyword("REMOVE") {
            actions.push(Action::Remove(cursor.simple_path()?));
        } else {
            break;
        }
    }
    if actions.is_empty() {
        return Err(Refusal::malformed(missing));
    }
    // DynamoDB tells the later of two paths first.
    let paths: Vec<&Path> = actions.iter().rev().map(Action::path).collect();
    if let Some(clash) = find_clash(paths.into_iter()) {
        note(&mut cursor.faults.operand, || clash);
    }
    Ok(Update::of_statement(actions))
}

pub(super) fn delete(cursor: &mut Cursor<'_>) -> Result<DeleteItem, Refusal> {
    if !cursor.take_keyword("FROM") {
        return Err(Refusal::malformed("Expected FROM after DELETE"));
    }
    let table = table(cursor)?;
    let condition = filter::clause(cursor)?;
    let returning = match returning(cursor)? {
        None => false,
        Some(Returning::AllOld) => true,
        Some(other) => {
            return Err(Refusal::refused(format!(
                "Invalid returning clause: RETURNING {} *. Only RETURNING ALL OLD * is allowed in DELETE statements.",
                other.words()
            )));
        }
    };
    Ok(DeleteItem { table, condition, returning })
}

fn table(cursor: &mut Cursor<'_>) -> Result<String, Refusal> {
    if !cursor.at_name() {
        return Err(Refusal::malformed(NO_SIMPLE_PATH));
    }
    let (table, index) = cursor.target()?;
    if index.is_some() {
        return Err(Refusal::refused("This operation is not supported on an index"));
    }
    cursor.no_alias()?;
    Ok(table)
}

fn set(cursor: &mut Cursor<'_>) -> Result<Action, Refusal> {
    let path = cursor.simple_path()?;
    cursor.expect(TokenKind::Equal, "Expected '='")?;
    if cursor.peek_ahead(1) == Some(TokenKind::OpenParen) {
        if cursor.at_keyword("set_add") {
            return members(cursor, "SET_ADD", path, Action::Add);
        }
        if cursor.at_keyword("set_delete") {
            return members(cursor, "SET_DELETE", path, Action::Delete);
        }
    }
    let value = sum(cursor)?;
    Ok(Action::Set(path, value))
}

/// `set_add(path, set)` and `set_delete(path, set)`, as the value of that path.
fn members(
    cursor: &mut Cursor<'_>,
    name: &str,
    path: Path,
    action: fn(Path, AttributeValue) -> Action,
) -> Result<Action, Refusal> {
    let call_at = cursor.position();
    cursor.advance();
    cursor.advance();
    cursor.operator()?;
    let first_at = cursor.position();
    let operands = cursor.nested(|cursor| cursor.operands(TokenKind::CloseParen, "Expected RIGHT_PAREN", sum))?;
    let Ok([first, second]) = <[Value; 2]>::try_from(operands) else {
        return Err(Refusal::refused(format!("{name} must have exactly two arguments at {call_at}")));
    };
    if first != Value::Path(path.clone()) {
        return Err(Refusal::refused(format!(
            "The first argument to {name} must equal the assignment value at {call_at}"
        )));
    }
    match second {
        Value::Literal(set @ (AttributeValue::Ss(_) | AttributeValue::Ns(_) | AttributeValue::Bs(_))) => {
            Ok(action(path, set))
        }
        _ => {
            Err(Refusal::refused(format!("The second argument to {name} must be a value with type SET at {first_at}")))
        }
    }
}

/// One operand, or two with a sign between them.
fn sum(cursor: &mut Cursor<'_>) -> Result<Value, Refusal> {
    let left = operand(cursor)?;
    let plus = cursor.take(TokenKind::Plus);
    if !plus && !cursor.take(TokenKind::Minus) {
        return Ok(left);
    }
    cursor.operator()?;
    let right = operand(cursor)?;
    check_types(if plus { "+" } else { "-" }, "N", [&left, &right], &mut cursor.faults);
    let (left, right) = (Box::new(left), Box::new(right));
    Ok(if plus { Value::Plus(left, right) } else { Value::Minus(left, right) })
}

fn operand(cursor: &mut Cursor<'_>) -> Result<Value, Refusal> {
    if literal::at_value(cursor) {
        return literal::value(cursor).map(Value::Literal);
    }
    if cursor.peek() != Some(TokenKind::Word) || cursor.peek_ahead(1) != Some(TokenKind::OpenParen) {
        return cursor.path().map(Value::Path);
    }
    let word = cursor.word();
    if !word.eq_ignore_ascii_case("list_append") {
        return Err(Refusal::refused(filter::unrecognized(word, &cursor.position())));
    }
    cursor.advance();
    cursor.advance();
    cursor.operator()?;
    let operands = cursor.nested(|cursor| cursor.operands(TokenKind::CloseParen, "Expected RIGHT_PAREN", sum))?;
    Ok(function("list_append", operands, &mut cursor.faults))
}

fn returning(cursor: &mut Cursor<'_>) -> Result<Option<Returning>, Refusal> {
    if !cursor.take_keyword("RETURNING") {
        return Ok(None);
    }
    let all = cursor.take_keyword("ALL");
    let modified = !all && cursor.take_keyword("MODIFIED");
    let old = cursor.take_keyword("OLD");
    let new = !old && cursor.take_keyword("NEW");
    let star = cursor.take(TokenKind::Star);
    match (all || modified, old || new, star) {
        (true, true, true) => Ok(Some(match (all, old) {
            (true, true) => Returning::AllOld,
            (true, false) => Returning::AllNew,
            (false, true) => Returning::ModifiedOld,
            (false, false) => Returning::ModifiedNew,
        })),
        _ => Err(Refusal::malformed("Malformed RETURNING clause; expected RETURNING <ALL|MODIFIED> <OLD|NEW> *")),
    }
}

impl Returning {
    fn words(self) -> &'static str {
        match self {
            Self::AllOld => "ALL OLD",
            Self::ModifiedOld => "MODIFIED OLD",
            Self::AllNew => "ALL NEW",
            Self::ModifiedNew => "MODIFIED NEW",
        }
    }
}
