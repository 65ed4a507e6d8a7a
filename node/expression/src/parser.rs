//! What the parsers of expressions share: placeholders, paths and calls, and how DynamoDB reports what is wrong.

use crate::{
    Path, Placeholders,
    cursor::{Cursor, Faults, TooMuch, note, too_many_operators},
    reserved::is_reserved,
    token::{Token, TokenKind, closing_parens, has_redundant_parens, is_keyword, syntax_error, tokenize},
};
use cairn_model::{
    AttributeValue, ServiceError,
    limits::{EXPRESSION_BYTES_MAX, EXPRESSION_OPERATORS_MAX},
};

/// Those of conditions and those of updates.
const FUNCTIONS: [&str; 8] = [
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "size",
    "if_not_exists",
    "list_append",
];

/// Why a text does not parse.
pub(crate) enum Syntax {
    /// The token at the cursor does not fit.
    Token,
    /// Something DynamoDB has its own message for.
    Message(String),
    /// It was not read to its end, for DynamoDB has no such limit; in our own words.
    TooDeep(String),
}

impl From<TooMuch> for Syntax {
    fn from(too_much: TooMuch) -> Self {
        match too_much {
            TooMuch::Operators(message) => Self::Message(message),
            TooMuch::Depth(message) => Self::TooDeep(message),
        }
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
            Err(Syntax::TooDeep(message)) => return Err(invalid(parameter, &self.beyond_depth().unwrap_or(message))),
        };
        match fault(&parsed, &mut self.faults) {
            Some(message) => Err(invalid(parameter, &message)),
            None => Ok(parsed),
        }
    }

    pub(crate) fn closes(&self) -> &[Option<usize>] {
        &self.language.closes
    }

    /// What DynamoDB finds in an expression that is too deep to be parsed here, where that needs no parser.
    fn beyond_depth(&self) -> Option<String> {
        let (tokens, closes) = (self.tokens(), self.closes());
        let opens = |at: usize| tokens.get(at).is_some_and(|token| token.kind == TokenKind::OpenParen);
        if (0..tokens.len()).any(|at| opens(at) && closes[at].is_none()) {
            return Some(syntax_error(self.text(), tokens, tokens.len()));
        }
        let is_name = |token: &Token| token.kind == TokenKind::Word && !is_keyword(self.text_of(token));
        let calls = tokens.iter().enumerate().filter(|(at, token)| is_name(token) && opens(at + 1));
        let unknown = calls.map(|(_, token)| self.text_of(token)).find(|name| !is_function(name));
        let nots = tokens.iter().filter(|token| self.text_of(token).eq_ignore_ascii_case("NOT")).count();
        self.redundant_parens()
            .or(unknown.map(|name| unknown_function(name, "any")))
            .or((nots > EXPRESSION_OPERATORS_MAX).then(|| too_many_operators(EXPRESSION_OPERATORS_MAX + 1)))
    }

    /// What is wrong with an expression that has parentheses for nothing.
    pub(crate) fn redundant_parens(&self) -> Option<String> {
        let is_redundant = has_redundant_parens(self.text(), self.tokens(), self.closes());
        is_redundant.then(|| "The expression has redundant parentheses;".to_owned())
    }

    /// The token behind the parenthesis that closes the one at the cursor, with its text.
    pub(crate) fn behind_parens(&self) -> Option<(TokenKind, &'t str)> {
        let close = self.closes().get(self.at()).copied().flatten()?;
        self.tokens().get(close + 1).map(|token| (token.kind, self.text_of(token)))
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
            Some(TokenKind::Word) if !is_keyword(word) => {
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
        let name = self.word();
        let is_call = self.peek() == Some(TokenKind::Word) && self.peek_ahead(1) == Some(TokenKind::OpenParen);
        if !is_call || is_keyword(name) {
            return None;
        }
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

/// Why the function is none of those of this kind of expression.
pub(crate) fn unknown_function(name: &str, kind: &str) -> String {
    if is_function(name) {
        return format!("The function is not allowed in {kind} expression; function: {name}");
    }
    format!("Invalid function name; function: {name}")
}

fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

pub(crate) fn misused(function: &str) -> String {
    format!("The function is not allowed to be used this way in an expression; function: {function}")
}
