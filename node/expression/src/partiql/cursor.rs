//! A cursor over a statement's words, with what all clauses have: keywords, names, paths, parameters, limits.

use super::{
    Refusal,
    token::{Token, TokenKind, tokenize},
};
use crate::{
    Path, PathElement,
    parser::{Faults, note},
};
use cairn_model::{
    AttributeValue,
    limits::{EXPRESSION_OPERATORS_MAX, NESTING_DEPTH_MAX},
};
use std::ops::Range;

/// How deep parentheses, calls, NOT and values may lie within each other: as in expressions.
const DEPTH_MAX: usize = 150;

/// Words that stand for themselves only in quotes.
const KEYWORDS: [&str; 29] = [
    "ALL",
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "DELETE",
    "DESC",
    "EXISTS",
    "FALSE",
    "FROM",
    "IN",
    "INSERT",
    "INTO",
    "IS",
    "MISSING",
    "NOT",
    "NULL",
    "OR",
    "ORDER",
    "REMOVE",
    "RETURNING",
    "SELECT",
    "SET",
    "TRUE",
    "UPDATE",
    "VALUE",
    "VALUES",
    "WHERE",
];

pub(super) struct Cursor<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    operators: usize,
    parameters: std::slice::Iter<'t, AttributeValue>,
    parameter_missing: bool,
    pub(super) faults: Faults,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str, parameters: &'t [AttributeValue]) -> Result<Self, Refusal> {
        Ok(Self {
            text,
            tokens: tokenize(text)?,
            at: 0,
            depth: 0,
            operators: 0,
            parameters: parameters.iter(),
            parameter_missing: false,
            faults: Faults::default(),
        })
    }

    /// Checks that the statement ends here, and that nothing in it was at fault.
    pub(super) fn finish(mut self) -> Result<(), Refusal> {
        let semicolon = self.take(TokenKind::Semicolon);
        if self.peek().is_some() {
            return Err(Refusal::malformed(if semicolon {
                "Unexpected token after semicolon. (Only one query is allowed.)"
            } else {
                "Unexpected token after expression"
            }));
        }
        let faults = &mut self.faults;
        let fault = faults
            .unknown_function
            .take()
            .or(faults.misused_function.take())
            .or(faults.condition.take())
            .or(faults.operand.take())
            .or(faults.function.take())
            .or(faults.path.take());
        match fault {
            Some(message) => Err(Refusal::Refused(message)),
            None if self.parameter_missing => {
                Err(Refusal::refused("Number of parameters in request and statement don't match."))
            }
            None => Ok(()),
        }
    }

    pub(super) fn peek(&self) -> Option<TokenKind> {
        self.peek_ahead(0)
    }

    pub(super) fn peek_ahead(&self, ahead: usize) -> Option<TokenKind> {
        self.tokens.get(self.at + ahead).map(|token| token.kind)
    }

    /// The text of the token at the cursor.
    pub(super) fn word(&self) -> &'t str {
        self.tokens.get(self.at).map_or("", |token| &self.text[token.start..token.end])
    }

    /// Where the token at the cursor stands, as DynamoDB's messages tell it: line, column, length, in characters.
    pub(super) fn position(&self) -> String {
        self.position_of(self.at..self.at + 1)
    }

    /// Where these tokens stand, at least one.
    pub(super) fn position_of(&self, tokens: Range<usize>) -> String {
        let end = self.text.len();
        let start = self.tokens.get(tokens.start).map_or(end, |token| token.start);
        let end = tokens.end.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(end, |token| token.end);
        let before = &self.text[..start];
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
        format!("{line}:{column}:{}", self.text[start..end].chars().count())
    }

    /// The token's place among all.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    pub(super) fn take(&mut self, kind: TokenKind) -> bool {
        let taken = self.peek() == Some(kind);
        self.at += usize::from(taken);
        taken
    }

    pub(super) fn expect(&mut self, kind: TokenKind, missing: &str) -> Result<(), Refusal> {
        if self.take(kind) { Ok(()) } else { Err(Refusal::malformed(missing)) }
    }

    pub(super) fn at_keyword(&self, keyword: &str) -> bool {
        self.peek() == Some(TokenKind::Word) && self.word().eq_ignore_ascii_case(keyword)
    }

    pub(super) fn take_keyword(&mut self, keyword: &str) -> bool {
        let taken = self.at_keyword(keyword);
        self.at += usize::from(taken);
        taken
    }

    /// Counts an operator or a function.
    pub(super) fn operator(&mut self) -> Result<(), Refusal> {
        self.operators += 1;
        if self.operators > EXPRESSION_OPERATORS_MAX {
            return Err(Refusal::refused(format!(
                "The expression contains too many operators; operator count: {}",
                self.operators
            )));
        }
        Ok(())
    }

    /// Parses something that can hold itself; its depth is bounded, and so is the stack.
    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Refusal>) -> Result<T, Refusal> {
        if self.depth == DEPTH_MAX {
            return Err(Refusal::refused(format!(
                "The expression has exceeded the maximum allowed nesting; nesting levels: {}",
                DEPTH_MAX + 1
            )));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// The value of the `?` at the cursor; any value where there are too few of them.
    pub(super) fn parameter(&mut self) -> AttributeValue {
        self.advance();
        self.parameters.next().cloned().unwrap_or_else(|| {
            self.parameter_missing = true;
            AttributeValue::Null
        })
    }

    /// Whether a name stands at the cursor.
    pub(super) fn at_name(&self) -> bool {
        match self.peek() {
            Some(TokenKind::Quoted) => true,
            Some(TokenKind::Word) => !KEYWORDS.iter().any(|keyword| self.at_keyword(keyword)),
            _ => false,
        }
    }

    pub(super) fn name(&mut self) -> Result<String, Refusal> {
        if !self.at_name() {
            return Err(Refusal::malformed(match self.peek() {
                None => "Unexpected term",
                Some(TokenKind::Word) => "Unexpected keyword",
                Some(_) => "Expected identifier for simple path",
            }));
        }
        let word = self.word();
        self.advance();
        let name = unquoted(word, '"');
        if name.is_empty() {
            return Err(Refusal::refused("Path component cannot be an empty string"));
        }
        Ok(name)
    }

    pub(super) fn path(&mut self) -> Result<Path, Refusal> {
        let mut path = Path::new(self.name()?);
        loop {
            if self.take(TokenKind::Dot) {
                path.push(PathElement::Attribute(self.name()?));
            } else if self.take(TokenKind::OpenBracket) {
                path.push(PathElement::Index(self.index()?));
                self.expect(TokenKind::CloseBracket, "Expected RIGHT_BRACKET")?;
            } else {
                break;
            }
        }
        let depth = path.rest().len() + 1;
        if depth > NESTING_DEPTH_MAX {
            note(&mut self.faults.path, || {
                format!("The document path has too many nesting elements; nesting elements: {depth}")
            });
        }
        Ok(path)
    }

    fn index(&mut self) -> Result<u32, Refusal> {
        let word = self.word();
        if self.peek() != Some(TokenKind::Number) || !word.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::malformed("Invalid path dot component"));
        }
        self.advance();
        Ok(word.parse().unwrap_or_else(|_| {
            note(&mut self.faults.path, || format!("List index is not within the allowable range; index: [{word}]"));
            0
        }))
    }

    /// A table's name, and an index's behind it.
    pub(super) fn target(&mut self) -> Result<(String, Option<String>), Refusal> {
        let table = self.name()?;
        if !self.take(TokenKind::Dot) {
            return Ok((table, None));
        }
        let index = self.name()?;
        if self.peek() == Some(TokenKind::Dot) {
            return Err(Refusal::refused("A path may contain at most 2 components in the FROM clause"));
        }
        Ok((table, Some(index)))
    }

    /// Refuses another name for a table or an attribute.
    pub(super) fn no_alias(&self) -> Result<(), Refusal> {
        if self.at_name() || self.at_keyword("AS") {
            return Err(Refusal::refused("Aliasing is not supported"));
        }
        Ok(())
    }

    /// A call's operands, from behind its opening parenthesis to the closing one; there may be none.
    pub(super) fn operands<T>(
        &mut self,
        close: TokenKind,
        missing: &str,
        mut parse: impl FnMut(&mut Self) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let mut operands = Vec::new();
        if self.take(close) {
            return Ok(operands);
        }
        loop {
            operands.push(parse(self)?);
            if !self.take(TokenKind::Comma) {
                self.expect(close, missing)?;
                return Ok(operands);
            }
        }
    }
}

/// A quoted word's content; any other word as it is.
pub(super) fn unquoted(word: &str, quote: char) -> String {
    match word.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
        Some(inner) => inner.replace(&format!("{quote}{quote}"), &quote.to_string()),
        None => word.to_owned(),
    }
}
