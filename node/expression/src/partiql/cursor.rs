//! A cursor over a statement's words, with what all clauses have: names, paths, parameters, and where a word stands.

use super::{Refusal, keywords::is_keyword, token::tokenize};
use crate::{
    Path,
    cursor::{self, TooMuch, index_out_of_range, list_index},
    token::TokenKind,
};
use cairn_model::AttributeValue;
use std::ops::Range;

/// What is said of a word behind a whole statement.
pub(super) const LEFT_OVER: &str = "Unexpected token after expression";
pub(super) const NO_SIMPLE_PATH: &str = "Expected identifier for simple path";
const NO_STEP: &str = "Invalid path dot component";

/// What a statement's parser knows besides its words.
pub(super) struct Parameters<'t> {
    left: std::slice::Iter<'t, AttributeValue>,
    missing: bool,
}

pub(super) type Cursor<'t> = cursor::Cursor<'t, Parameters<'t>>;

impl From<TooMuch> for Refusal {
    fn from(TooMuch(message): TooMuch) -> Self {
        Self::refused(message)
    }
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str, parameters: &'t [AttributeValue]) -> Result<Self, Refusal> {
        Ok(Self::of(text, tokenize(text)?, Parameters { left: parameters.iter(), missing: false }))
    }

    /// Checks that the statement ends here, and that nothing in it was at fault.
    pub(super) fn finish(mut self) -> Result<(), Refusal> {
        let semicolon = self.take(TokenKind::Semicolon);
        if self.peek().is_some() {
            return Err(Refusal::malformed(if semicolon {
                "Unexpected token after semicolon. (Only one query is allowed.)"
            } else {
                LEFT_OVER
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
            None if self.language.missing => {
                Err(Refusal::refused("Number of parameters in request and statement don't match."))
            }
            None => Ok(()),
        }
    }

    /// Of a refusal that ended the reading and a function before it that is not known: the one that is told.
    pub(super) fn first_of(mut self, refusal: Refusal) -> Refusal {
        match (refusal, self.faults.unknown_function.take()) {
            (Refusal::Refused(_) | Refusal::InValue { .. }, Some(unknown)) => Refusal::Refused(unknown),
            (refusal, _) => refusal,
        }
    }

    /// Where the token at the cursor stands, as DynamoDB's messages tell it: line, column, length, in characters.
    pub(super) fn position(&self) -> String {
        self.position_of(self.at()..self.at() + 1)
    }

    /// Where these tokens stand, at least one.
    pub(super) fn position_of(&self, tokens: Range<usize>) -> String {
        let (text, words) = (self.text(), self.tokens());
        let end = text.len();
        let start = words.get(tokens.start).map_or(end, |token| token.start);
        let end = tokens.end.checked_sub(1).and_then(|last| words.get(last)).map_or(end, |token| token.end);
        let before = &text[..start];
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
        format!("{line}:{column}:{}", text[start..end].chars().count())
    }

    /// What is written from the first to the last of these tokens, one at least.
    pub(super) fn words(&self, tokens: Range<usize>) -> &'t str {
        match self.tokens().get(tokens) {
            Some([first, .., last]) => &self.text()[first.start..last.end],
            Some([only]) => &self.text()[only.start..only.end],
            _ => "",
        }
    }

    /// The word or the sign before the cursor.
    pub(super) fn word_before(&self) -> &'t str {
        let before = self.at().checked_sub(1).and_then(|at| self.tokens().get(at));
        before.map_or("", |token| &self.text()[token.start..token.end])
    }

    pub(super) fn expect(&mut self, kind: TokenKind, missing: &str) -> Result<(), Refusal> {
        if self.take(kind) { Ok(()) } else { Err(Refusal::malformed(missing)) }
    }

    /// The value of the `?` at the cursor; any value where there are too few of them.
    pub(super) fn parameter(&mut self) -> AttributeValue {
        self.advance();
        self.language.left.next().cloned().unwrap_or_else(|| {
            self.language.missing = true;
            AttributeValue::Null
        })
    }

    /// Whether a name stands at the cursor.
    pub(super) fn at_name(&self) -> bool {
        match self.peek() {
            Some(TokenKind::Quoted) => true,
            Some(TokenKind::Word) => !is_keyword(self.word()),
            _ => false,
        }
    }

    pub(super) fn name(&mut self) -> Result<String, Refusal> {
        if !self.at_name() {
            return Err(Refusal::malformed(match self.peek() {
                None => "Unexpected term",
                Some(TokenKind::Word) => "Unexpected keyword",
                Some(_) => NO_SIMPLE_PATH,
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
        self.path_of(Self::name, Self::step, Self::index)
    }

    /// A path that is written to.
    pub(super) fn simple_path(&mut self) -> Result<Path, Refusal> {
        if self.at_name() { self.path() } else { Err(Refusal::malformed(NO_SIMPLE_PATH)) }
    }

    /// A name behind a point.
    fn step(&mut self) -> Result<String, Refusal> {
        if self.at_name() { self.name() } else { Err(Refusal::malformed(NO_STEP)) }
    }

    /// What stands in brackets; only zero may have a sign.
    fn index(&mut self) -> Result<u32, Refusal> {
        let negative = self.take(TokenKind::Minus);
        let word = self.word();
        if self.peek() != Some(TokenKind::Number) || !word.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::malformed(NO_STEP));
        }
        let Some(index) = list_index(word).filter(|index| !negative || *index == 0) else {
            let (sign, position) = (if negative { "-" } else { "" }, self.position());
            return Err(Refusal::refused(format!("{} at {position}", index_out_of_range(&format!("{sign}{word}")))));
        };
        self.advance();
        self.expect(TokenKind::CloseBracket, "Expected RIGHT_BRACKET")?;
        Ok(index)
    }

    /// A table's name, and an index's behind it.
    pub(super) fn target(&mut self) -> Result<(String, Option<String>), Refusal> {
        let table = self.name()?;
        if !self.take(TokenKind::Dot) {
            return Ok((table, None));
        }
        let index = self.step()?;
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
