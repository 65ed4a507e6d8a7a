//! What the parsers of expressions share: placeholders, paths and calls, and how DynamoDB reports what is wrong.

use crate::{
    Path, Placeholders,
    cursor::{Cursor, Faults, TooMuch, note},
    reserved::is_reserved,
    token::{TokenKind, closing_parens, syntax_error, tokenize},
};
use cairn_model::{AttributeValue, ServiceError, limits::EXPRESSION_BYTES_MAX};

/// Why a text does not parse.
pub(crate) enum Syntax {
    /// The token at the cursor does not fit.
    Token,
    /// Something DynamoDB has its own message for.
    Message(String),
}

impl From<TooMuch> for Syntax {
    fn from(TooMuch(message): TooMuch) -> Self {
        Self::Message(message)
    }
}

/// What an expression's parser knows besides its words.
pub(crate) struct Expression<'t> {
    /// The expression's name in the request, for messages.
    parameter: &'static str,
    /// For each opening parenthesis the place of the closing one.
    closes: Vec<Option<usize>>,
    placeholders: &'t mut Placeholders,
}

pub(crate) type Parser<'t> = Cursor<'t, Expression<'t>>;

impl<'t> Parser<'t> {
    /// `parameter` is the expression's name in the request, for messages.
    pub(crate) fn new(
        parameter: &'static str,
        text: &'t str,
        placeholders: &'t mut Placeholders,
    ) -> Result<Self, ServiceError> {
        if text.is_empty() {
            return Err(invalid(parameter, "The expression can not be empty;"));
        }
        if text.len() > EXPRESSION_BYTES_MAX {
            let size = match parameter {
                "UpdateExpression" | "ProjectionExpression" => String::new(),
                // Conditions say how long they are.
                _ => format!(" expression size: {}", text.len()),
            };
            return Err(invalid(parameter, &format!("Expression size has exceeded the maximum allowed size;{size}")));
        }
        let tokens = tokenize(text);
        if let Some(at) = tokens.iter().position(|token| token.kind == TokenKind::Unreadable) {
            return Err(invalid(parameter, &syntax_error(text, &tokens, at)));
        }
        let closes = closing_parens(&tokens);
        Ok(Self::of(text, tokens, Expression { parameter, closes, placeholders }))
    }

    /// The parsed expression, if the text ends here and `fault` finds nothing to report.
    pub(crate) fn finish<T>(
        mut self,
        parsed: Result<T, Syntax>,
        fault: impl FnOnce(&T, &mut Faults) -> Option<String>,
    ) -> Result<T, ServiceError> {
        let parameter = self.language.parameter;
        let parsed = match parsed {
            Ok(parsed) if self.at_end() => parsed,
            Ok(_) | Err(Syntax::Token) => {
                return Err(invalid(parameter, &syntax_error(self.text(), self.tokens(), self.at())));
            }
            Err(Syntax::Message(message)) => return Err(invalid(parameter, &message)),
        };
        match fault(&parsed, &mut self.faults) {
            Some(message) => Err(invalid(parameter, &message)),
            None => Ok(parsed),
        }
    }

    pub(crate) fn closes(&self) -> &[Option<usize>] {
        &self.language.closes
    }

    /// The token behind the parenthesis that closes the one at the cursor, with its text.
    pub(crate) fn behind_parens(&self) -> Option<(TokenKind, &'t str)> {
        let close = self.closes().get(self.at()).copied().flatten()?;
        self.tokens().get(close + 1).map(|token| (token.kind, &self.text()[token.start..token.end]))
    }

    pub(crate) fn expect(&mut self, kind: TokenKind) -> Result<(), Syntax> {
        if self.take(kind) { Ok(()) } else { Err(Syntax::Token) }
    }

    /// A value's placeholder; any value where it is not defined.
    pub(crate) fn value(&mut self) -> Result<AttributeValue, Syntax> {
        if self.peek() != Some(TokenKind::ValuePlaceholder) {
            return Err(Syntax::Token);
        }
        let word = self.word();
        self.advance();
        Ok(self.language.placeholders.value(word).unwrap_or_else(|message| {
            note(&mut self.faults.value, || message);
            AttributeValue::Null
        }))
    }

    pub(crate) fn path(&mut self) -> Result<Path, Syntax> {
        self.path_of(Self::name, Self::name, Self::index)
    }

    fn name(&mut self) -> Result<String, Syntax> {
        let word = self.word();
        match self.peek() {
            Some(TokenKind::Word) => {
                self.advance();
                if is_reserved(word) {
                    note(&mut self.faults.reserved, || {
                        format!("Attribute name is a reserved keyword; reserved keyword: {word}")
                    });
                }
                Ok(word.to_owned())
            }
            Some(TokenKind::NamePlaceholder) => {
                self.advance();
                Ok(self.language.placeholders.name(word).unwrap_or_else(|message| {
                    note(&mut self.faults.name, || message);
                    word.to_owned()
                }))
            }
            _ => Err(Syntax::Token),
        }
    }

    fn index(&mut self) -> Result<u32, Syntax> {
        if self.peek() != Some(TokenKind::Index) {
            return Err(Syntax::Token);
        }
        let index = self.digits();
        self.expect(TokenKind::CloseBracket)?;
        Ok(index)
    }

    /// The name of a function, if a call stands at the cursor, which is moved behind its opening parenthesis.
    pub(crate) fn call(&mut self) -> Option<&'t str> {
        if self.peek() != Some(TokenKind::Word) || self.peek_ahead(1) != Some(TokenKind::OpenParen) {
            return None;
        }
        let name = self.word();
        self.advance();
        self.advance();
        Some(name)
    }

    /// A call's operands, to the closing parenthesis; one at least.
    pub(crate) fn operands<T>(
        &mut self,
        mut parse: impl FnMut(&mut Self) -> Result<T, Syntax>,
    ) -> Result<Vec<T>, Syntax> {
        let mut operands = vec![parse(self)?];
        while self.take(TokenKind::Comma) {
            operands.push(parse(self)?);
        }
        self.expect(TokenKind::CloseParen)?;
        Ok(operands)
    }
}

pub(crate) fn invalid(parameter: &str, message: &str) -> ServiceError {
    ServiceError::validation(format!("Invalid {parameter}: {message}"))
}

pub(crate) fn wrong_operand_count(function: &str, count: usize) -> String {
    format!(
        "Incorrect number of operands for operator or function; operator or function: {function}, number of operands: {count}"
    )
}

pub(crate) fn wrong_operand_type(function: &str, found: &str) -> String {
    format!("Incorrect operand type for operator or function; operator or function: {function}, operand type: {found}")
}

pub(crate) fn unknown_function(name: &str) -> String {
    format!("Invalid function name; function: {name}")
}
