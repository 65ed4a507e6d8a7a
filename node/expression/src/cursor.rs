//! A cursor over the words of a text, in whichever language: what all parsers have in common, the limits among it.

use crate::{
    Condition, Path, PathElement,
    token::{Token, TokenKind},
};
use cairn_model::limits::{EXPRESSION_OPERATORS_MAX, NESTING_DEPTH_MAX};

/// How deep parentheses, calls, NOT and values may lie within each other: as deep as conditions joined two by two get with
/// 300 operators, and little enough for any thread's stack.
const DEPTH_MAX: usize = 150;

/// More operators or depth than a text may have, in DynamoDB's words.
pub(crate) enum TooMuch {
    Operators(String),
    Depth(String),
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

/// A list's index, which DynamoDB has in a signed integer of 32 bits.
pub(crate) fn list_index(digits: &str) -> Option<u32> {
    digits.parse().ok().filter(|index| i32::try_from(*index).is_ok())
}

pub(crate) fn too_many_operators(count: usize) -> String {
    format!("The expression contains too many operators; operator count: {count}")
}

pub(crate) fn index_out_of_range(index: &str) -> String {
    format!("List index is not within the allowable range; index: [{index}]")
}

/// `language` is what one language alone needs to know.
pub(crate) struct Cursor<'t, L> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    operators: usize,
    depth: usize,
    pub(crate) language: L,
    pub(crate) faults: Faults,
}

impl<'t, L> Cursor<'t, L> {
    pub(crate) fn of(text: &'t str, tokens: Vec<Token>, language: L) -> Self {
        Self { text, tokens, at: 0, operators: 0, depth: 0, language, faults: Faults::default() }
    }

    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The token's place among all.
    pub(crate) fn at(&self) -> usize {
        self.at
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
        self.tokens.get(self.at).map_or("", |token| self.text_of(token))
    }

    pub(crate) fn text_of(&self, token: &Token) -> &'t str {
        &self.text[token.start..token.end]
    }

    pub(crate) fn advance(&mut self) {
        self.at += 1;
    }

    pub(crate) fn take(&mut self, kind: TokenKind) -> bool {
        let taken = self.peek() == Some(kind);
        self.at += usize::from(taken);
        taken
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
    pub(crate) fn operator(&mut self) -> Result<(), TooMuch> {
        self.operators += 1;
        if self.operators > EXPRESSION_OPERATORS_MAX {
            return Err(TooMuch::Operators(too_many_operators(self.operators)));
        }
        Ok(())
    }

    /// Parses something that can hold itself; its depth is bounded, and so is the stack.
    pub(crate) fn nested<T, E: From<TooMuch>>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::from(TooMuch::Depth(format!(
                "The expression has exceeded the maximum allowed nesting; nesting levels: {}",
                DEPTH_MAX + 1
            ))));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// A path: `name` parses its first name, `step` one behind a point, `index` what stands in brackets and the closing one.
    pub(crate) fn path_of<E>(
        &mut self,
        name: fn(&mut Self) -> Result<String, E>,
        step: fn(&mut Self) -> Result<String, E>,
        index: fn(&mut Self) -> Result<u32, E>,
    ) -> Result<Path, E> {
        let mut path = Path::new(name(self)?);
        loop {
            if self.take(TokenKind::Dot) {
                path.push(PathElement::Attribute(step(self)?));
            } else if self.take(TokenKind::OpenBracket) {
                path.push(PathElement::Index(index(self)?));
            } else {
                break;
            }
        }
        let depth = path.rest().len() + 1;
        if depth > NESTING_DEPTH_MAX {
            note(&mut self.faults.path, || {
                format!("The document path has too many nesting levels; nesting levels: {depth}")
            });
        }
        Ok(path)
    }

    /// The index that the digits at the cursor are; any index where they are too many.
    pub(crate) fn digits(&mut self) -> u32 {
        let word = self.word();
        self.advance();
        list_index(word).unwrap_or_else(|| {
            note(&mut self.faults.path, || index_out_of_range(word));
            0
        })
    }

    /// One condition, or several with the keyword between them.
    pub(crate) fn joined<E: From<TooMuch>>(
        &mut self,
        keyword: &str,
        parse: fn(&mut Self) -> Result<Condition, E>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Condition, E> {
        let first = parse(self)?;
        if !self.at_keyword(keyword) {
            return Ok(first);
        }
        let mut conditions = vec![first];
        while self.take_keyword(keyword) {
            self.operator()?;
            conditions.push(parse(self)?);
        }
        Ok(join(conditions))
    }
}
