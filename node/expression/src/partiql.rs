//! PartiQL as DynamoDB has it: one statement on one table, its parameters in place.
//!
//! A statement becomes the conditions, updates and paths that expressions become, so that one evaluator serves both. What
//! a statement's WHERE clause says about keys is in [`ReadKeys`] and [`WriteKey`].

mod branches;
mod cursor;
mod filter;
mod keys;
mod keywords;
mod literal;
mod reads;
mod select;
mod token;
mod write;

pub use keys::WriteKey;
pub use reads::{KeyRead, ReadKeys};

use crate::{Condition, Path, Update, token::TokenKind};
use cairn_model::{AttributeValue, Item, ServiceError, limits::STATEMENT_CHARS_MAX};
use cursor::Cursor;

/// One statement, checked as far as it can be without its table.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    Select(Select),
    Insert(Insert),
    Update(UpdateItem),
    Delete(DeleteItem),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    pub table: String,
    pub index: Option<String>,
    /// None for `*`.
    pub projection: Option<Vec<Path>>,
    pub condition: Option<Condition>,
    pub order: Vec<OrderTerm>,
}

/// A term of ORDER BY.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderTerm {
    /// An attribute's name; what is said of anything else.
    pub attribute: Result<String, String>,
    pub descending: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    pub table: String,
    pub item: Item,
}

#[derive(Clone, Debug, PartialEq)]
pub struct UpdateItem {
    pub table: String,
    pub update: Update,
    pub condition: Option<Condition>,
    pub returning: Option<Returning>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DeleteItem {
    pub table: String,
    pub condition: Option<Condition>,
    /// Whether the item comes back (`RETURNING ALL OLD *`).
    pub returning: bool,
}

/// What `RETURNING … *` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returning {
    AllOld,
    ModifiedOld,
    AllNew,
    ModifiedNew,
}

/// A statement of ExecuteTransaction.
#[derive(Clone, Debug, PartialEq)]
pub enum TransactStatement {
    Statement(Statement),
    /// `EXISTS(SELECT …)`: a check among writes.
    Exists(Select),
}

impl TransactStatement {
    /// As [`Statement::parse`].
    pub fn parse(text: &str, parameters: &[AttributeValue]) -> Result<Self, ServiceError> {
        parse(text, parameters, |cursor| {
            if cursor.take_keyword("EXISTS") {
                exists(cursor).map(Self::Exists)
            } else {
                statement(cursor).map(Self::Statement)
            }
        })
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        match self {
            Self::Statement(statement) => statement.table(),
            Self::Exists(select) => &select.table,
        }
    }
}

impl Statement {
    /// `parameters` take the places of the statement's `?`, in order; there may be more of them than places.
    pub fn parse(text: &str, parameters: &[AttributeValue]) -> Result<Self, ServiceError> {
        parse(text, parameters, statement)
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        match self {
            Self::Select(select) => &select.table,
            Self::Insert(insert) => &insert.table,
            Self::Update(update) => &update.table,
            Self::Delete(delete) => &delete.table,
        }
    }
}

fn parse<T>(
    text: &str,
    parameters: &[AttributeValue],
    read: impl FnOnce(&mut Cursor<'_>) -> Result<T, Refusal>,
) -> Result<T, ServiceError> {
    // The operations check it too, in their own words.
    if text.chars().count() > STATEMENT_CHARS_MAX {
        return Err(ServiceError::validation(format!(
            "The statement is longer than {STATEMENT_CHARS_MAX} characters; split it, or use parameters"
        )));
    }
    let parsed = Cursor::new(text, parameters).and_then(|mut cursor| match read(&mut cursor) {
        Ok(parsed) => cursor.finish().map(|()| parsed),
        Err(refusal) => Err(cursor.first_of(refusal)),
    });
    parsed.map_err(|refusal| ServiceError::validation(refusal.into_message()))
}

/// Behind the keyword.
fn exists(cursor: &mut Cursor<'_>) -> Result<Select, Refusal> {
    if !cursor.take(TokenKind::OpenParen) || !cursor.take_keyword("SELECT") {
        return Err(Refusal::malformed("Expected (SELECT after EXISTS"));
    }
    let select = select::select(cursor)?;
    if !cursor.take(TokenKind::CloseParen) {
        return Err(Refusal::malformed("Expected ) after the SELECT of EXISTS"));
    }
    Ok(select)
}

fn statement(cursor: &mut Cursor<'_>) -> Result<Statement, Refusal> {
    if cursor.take_keyword("SELECT") {
        return select::select(cursor).map(Statement::Select);
    }
    if cursor.take_keyword("INSERT") {
        return write::insert(cursor).map(Statement::Insert);
    }
    if cursor.take_keyword("UPDATE") {
        return write::update(cursor).map(Statement::Update);
    }
    if cursor.take_keyword("FROM") {
        return write::update_from(cursor).map(Statement::Update);
    }
    if cursor.take_keyword("DELETE") {
        return write::delete(cursor).map(Statement::Delete);
    }
    if cursor.take_keyword("EXISTS") {
        return Err(match (cursor.peek(), cursor.peek_ahead(1)) {
            (Some(TokenKind::OpenParen), Some(_)) => {
                Refusal::refused("EXISTS can only be used in ExecuteTransaction write requests.")
            }
            (Some(TokenKind::OpenParen), None) => Refusal::malformed("Unexpected term"),
            _ => Refusal::malformed("Unexpected keyword"),
        });
    }
    Err(Refusal::malformed(NO_STATEMENT))
}

/// What is said where no statement begins.
const NO_STATEMENT: &str = "Expected data manipulation";

/// Why there is no statement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The text is no PartiQL.
    Malformed(String),
    /// DynamoDB has its own message for it.
    Refused(String),
    /// A value that can't be stored, and where it lies in what was written: steps from its root. `at` is where it stands in the
    /// text, where that is told.
    InValue { message: String, place: String, at: Option<String> },
}

impl Refusal {
    fn malformed(message: impl Into<String>) -> Self {
        Self::Malformed(message.into())
    }

    fn refused(message: impl Into<String>) -> Self {
        Self::Refused(message.into())
    }

    fn in_value(message: impl Into<String>) -> Self {
        Self::InValue { message: message.into(), place: String::new(), at: None }
    }

    /// What stands in a value's place and is none that can be written there.
    fn unsupported(what: &str, at: String) -> Self {
        Self::InValue { message: format!("Unsupported data type: {what}"), place: String::new(), at: Some(at) }
    }

    /// What is wrong with a part is so of the whole, a step away.
    fn within(self, step: impl std::fmt::Display) -> Self {
        match self {
            Self::InValue { message, place, at } => Self::InValue { message, place: format!("{step}{place}"), at },
            other => other,
        }
    }

    fn into_message(self) -> String {
        match self {
            Self::Malformed(message) => format!("Statement wasn't well formed, can't be processed: {message}"),
            Self::Refused(message) => message,
            Self::InValue { message, place, at: None } => format!("{message} under root{place}"),
            Self::InValue { message, place, at: Some(at) } => format!("{message} under key root{place} at {at}"),
        }
    }
}

#[cfg(test)]
mod tests;
