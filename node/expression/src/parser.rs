//! What the parsers share: a cursor over the words, paths and calls, the limits, and the order in which DynamoDB
//! reports what is wrong.

use crate::{
    Path, PathElement, Placeholders,
    reserved::is_reserved,
    token::{Token, TokenKind, closing_parens, syntax_error, tokenize},
};
use cairn_model::{
    AttributeValue, ServiceError,
    limits::{EXPRESSION_BYTES_MAX, EXPRESSION_OPERATORS_MAX, NESTING_DEPTH_MAX},
};

/// How deep parentheses, calls and NOT may lie within each other: as deep as conditions joined two by two get with 300
/// operators, and little enough for any thread's stack.
const DEPTH_MAX: usize = 150;

/// Why a text does not parse.
pub(crate) enum Syntax {
    /// The token at the cursor does not fit.
    Token,
    /// Something DynamoDB has its own message for.
    Message(String),
}

/// The first fault of each kind. DynamoDB reads an expression to its end before it reports any, by kind and not by place.
#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) reserved: Option<String>,
    pub(crate) unknown_function: Option<String>,
    pub(crate) misused_function: Option<String>,
    /// An update's section that comes twice.
    pub(crate) section: Option<String>,
    /// A placeholder of a name that is not defined.
    pub(crate) name: Option<String>,
    /// A placeholder of a value that is not defined.
    pub(crate) value: Option<String>,
    /// A path past a limit.
    pub(crate) path: Option<String>,
    /// A wrong number of operands, or ADD and DELETE with a wrong type.
    pub(crate) operand: Option<String>,
    /// Two operands that must not be one path.
    pub(crate) distinct: Option<String>,
    /// An operand of a wrong type.
    pub(crate) function: Option<String>,
    /// The first fault of the first comparison or function that has one.
    pub(crate) condition: Option<String>,
}

/// Notes a fault if none of its kind is noted yet.
pub(crate) fn note(fault: &mut Option<String>, message: impl FnOnce() -> String) {
    fault.get_or_insert_with(message);
}

pub(crate) struct Parser<'t> {
    parameter: &'static str,
    text: &'t str,
    tokens: Vec<Token>,
    /// For each opening parenthesis the place of the closing one.
    closes: Vec<Option<usize>>,
    at: usize,
    operators: usize,
    depth: usize,
    placeholders: &'t mut Placeholders,
    pub(crate) faults: Faults,
}

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
            return Err(invalid(parameter, "Expression size has exceeded the maximum allowed size;"));
        }
        let tokens = tokenize(text);
        if let Some(at) = tokens.iter().position(|token| token.kind == TokenKind::Unreadable) {
            return Err(invalid(parameter, &syntax_error(text, &tokens, at)));
        }
        let closes = closing_parens(&tokens);
        let faults = Faults::default();
        Ok(Self { parameter, text, tokens, closes, at: 0, operators: 0, depth: 0, placeholders, faults })
    }

    /// The parsed expression, if the text ends here and `fault` finds nothing to report.
    pub(crate) fn finish<T>(
        mut self,
        parsed: Result<T, Syntax>,
        fault: impl FnOnce(&T, &mut Faults) -> Option<String>,
    ) -> Result<T, ServiceError> {
        let parsed = match parsed {
            Ok(parsed) if self.at == self.tokens.len() => parsed,
            Ok(_) | Err(Syntax::Token) => {
                return Err(invalid(self.parameter, &syntax_error(self.text, &self.tokens, self.at)));
            }
            Err(Syntax::Message(message)) => return Err(invalid(self.parameter, &message)),
        };
        match fault(&parsed, &mut self.faults) {
            Some(message) => Err(invalid(self.parameter, &message)),
            None => Ok(parsed),
        }
    }

    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    pub(crate) fn closes(&self) -> &[Option<usize>] {
        &self.closes
    }

    pub(crate) fn at_end(&self) -> bool {
        self.at == self.tokens.len()
    }

    pub(crate) fn peek(&self) -> Option<TokenKind> {
        self.peek_ahead(0)
    }

    pub(crate) fn peek_ahead(&self, ahead: usize) -> Option<TokenKind> {
        self.tokens.get(self.at + ahead).map(|token| token.kind)
    }

    /// The text of the token at the cursor.
    pub(crate) fn word(&self) -> &'t str {
        self.tokens.get(self.at).map_or("", |token| &self.text[token.start..token.end])
    }

    /// The token behind the parenthesis that closes the one at the cursor, with its text.
    pub(crate) fn behind_parens(&self) -> Option<(TokenKind, &'t str)> {
        let close = self.closes.get(self.at).copied().flatten()?;
        self.tokens.get(close + 1).map(|token| (token.kind, &self.text[token.start..token.end]))
    }

    pub(crate) fn take(&mut self, kind: TokenKind) -> bool {
        let taken = self.peek() == Some(kind);
        self.at += usize::from(taken);
        taken
    }

    pub(crate) fn expect(&mut self, kind: TokenKind) -> Result<(), Syntax> {
        if self.take(kind) { Ok(()) } else { Err(Syntax::Token) }
    }

    pub(crate) fn at_keyword(&self, keyword: &str) -> bool {
        self.peek() == Some(TokenKind::Word) && self.word().eq_ignore_ascii_case(keyword)
    }

    pub(crate) fn take_keyword(&mut self, keyword: &str) -> bool {
        let taken = self.at_keyword(keyword);
        self.at += usize::from(taken);
        taken
    }

    /// Counts an operator or a function.
    pub(crate) fn operator(&mut self) -> Result<(), Syntax> {
        self.operators += 1;
        if self.operators > EXPRESSION_OPERATORS_MAX { Err(too_many(self.operators)) } else { Ok(()) }
    }

    /// Parses something that can hold itself; its depth is bounded, and so is the stack.
    pub(crate) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Syntax>) -> Result<T, Syntax> {
        if self.depth == DEPTH_MAX {
            return Err(Syntax::Message(format!(
                "The expression has exceeded the maximum allowed nesting; nesting levels: {}",
                DEPTH_MAX + 1
            )));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// A value's placeholder; any value where it is not defined.
    pub(crate) fn value(&mut self) -> Result<AttributeValue, Syntax> {
        if self.peek() != Some(TokenKind::ValuePlaceholder) {
            return Err(Syntax::Token);
        }
        let word = self.word();
        self.at += 1;
        Ok(self.placeholders.value(word).unwrap_or_else(|message| {
            note(&mut self.faults.value, || message);
            AttributeValue::Null
        }))
    }

    pub(crate) fn path(&mut self) -> Result<Path, Syntax> {
        let mut path = Path::new(self.name()?);
        loop {
            if self.take(TokenKind::Dot) {
                path.push(PathElement::Attribute(self.name()?));
            } else if self.take(TokenKind::OpenBracket) {
                path.push(PathElement::Index(self.index()?));
                self.expect(TokenKind::CloseBracket)?;
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

    fn name(&mut self) -> Result<String, Syntax> {
        let word = self.word();
        match self.peek() {
            Some(TokenKind::Word) => {
                self.at += 1;
                if is_reserved(word) {
                    note(&mut self.faults.reserved, || {
                        format!("Attribute name is a reserved keyword; reserved keyword: {word}")
                    });
                }
                Ok(word.to_owned())
            }
            Some(TokenKind::NamePlaceholder) => {
                self.at += 1;
                Ok(self.placeholders.name(word).unwrap_or_else(|message| {
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
        let word = self.word();
        self.at += 1;
        Ok(word.parse().unwrap_or_else(|_| {
            note(&mut self.faults.path, || format!("List index is not within the allowable range; index: [{word}]"));
            0
        }))
    }

    /// The name of a function, if a call stands at the cursor, which is moved behind its opening parenthesis.
    pub(crate) fn call(&mut self) -> Option<&'t str> {
        if self.peek() != Some(TokenKind::Word) || self.peek_ahead(1) != Some(TokenKind::OpenParen) {
            return None;
        }
        let name = self.word();
        self.at += 2;
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

fn too_many(operators: usize) -> Syntax {
    Syntax::Message(format!("The expression contains too many operators; operator count: {operators}"))
}
