//! Words, those of expressions among them, and DynamoDB's message for one that does not fit.

use crate::Comparator;

const KEYWORDS: [&str; 9] = ["ADD", "AND", "BETWEEN", "DELETE", "IN", "NOT", "OR", "REMOVE", "SET"];

/// A word and where it stands in the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A name or a keyword: which one depends on where it stands.
    Word,
    NamePlaceholder,
    ValuePlaceholder,
    /// A list's index.
    Index,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    OpenParen,
    CloseParen,
    OpenBracket,
    CloseBracket,
    Dot,
    Comma,
    /// A character that no expression has.
    Unreadable,
    // Those that only statements have follow.
    /// A name in double quotes.
    Quoted,
    /// A string in single quotes.
    Text,
    /// Without its sign.
    Number,
    /// `?`.
    Parameter,
    Star,
    OpenBrace,
    CloseBrace,
    /// `<<`.
    OpenSet,
    /// `>>`.
    CloseSet,
    Colon,
    Semicolon,
}

impl TokenKind {
    pub(crate) fn comparator(self) -> Option<Comparator> {
        Some(match self {
            Self::Equal => Comparator::Equal,
            Self::NotEqual => Comparator::NotEqual,
            Self::Less => Comparator::Less,
            Self::LessOrEqual => Comparator::LessOrEqual,
            Self::Greater => Comparator::Greater,
            Self::GreaterOrEqual => Comparator::GreaterOrEqual,
            _ => return None,
        })
    }
}

/// As in the grammar of DynamoDB that Amazon published with its clients of DAX: a name begins with a letter.
pub(crate) fn tokenize(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens: Vec<Token> = Vec::new();
    let mut start = 0;
    while let Some(&first) = bytes.get(start) {
        if matches!(first, b' ' | b'\t' | b'\r' | b'\n') {
            start += 1;
            continue;
        }
        let next = bytes.get(start + 1).copied();
        let name_end =
            || bytes[start + 1..].iter().position(|&byte| !in_name(byte)).map_or(bytes.len(), |at| start + 1 + at);
        let (kind, end) = match first {
            b'#' if next.is_some_and(in_name) => (TokenKind::NamePlaceholder, name_end()),
            b':' if next.is_some_and(in_name) => (TokenKind::ValuePlaceholder, name_end()),
            b'a'..=b'z' | b'A'..=b'Z' => (TokenKind::Word, name_end()),
            // An index has no leading zeros.
            b'0' => (TokenKind::Index, start + 1),
            b'1'..=b'9' => {
                let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                (TokenKind::Index, start + length)
            }
            b'<' if next == Some(b'>') => (TokenKind::NotEqual, start + 2),
            b'<' if next == Some(b'=') => (TokenKind::LessOrEqual, start + 2),
            b'>' if next == Some(b'=') => (TokenKind::GreaterOrEqual, start + 2),
            b'<' => (TokenKind::Less, start + 1),
            b'>' => (TokenKind::Greater, start + 1),
            b'=' => (TokenKind::Equal, start + 1),
            b'+' => (TokenKind::Plus, start + 1),
            b'-' => (TokenKind::Minus, start + 1),
            b'(' => (TokenKind::OpenParen, start + 1),
            b')' => (TokenKind::CloseParen, start + 1),
            b'[' => (TokenKind::OpenBracket, start + 1),
            b']' => (TokenKind::CloseBracket, start + 1),
            b'.' => (TokenKind::Dot, start + 1),
            b',' => (TokenKind::Comma, start + 1),
            _ => {
                let length = text[start..].chars().next().map_or(1, char::len_utf8);
                (TokenKind::Unreadable, start + length)
            }
        };
        tokens.push(Token { kind, start, end });
        start = end;
    }
    tokens
}

pub(crate) fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// DynamoDB's message for the token at `at`, or for the end of the text: it shows the neighbours too.
pub(crate) fn syntax_error(text: &str, tokens: &[Token], at: usize) -> String {
    let Some(token) = tokens.get(at) else {
        let near = tokens.last().map_or(text, |last| &text[last.start..last.end]);
        return format!("Syntax error; token: \"<EOF>\", near: \"{near}\"");
    };
    let before = at.checked_sub(1).and_then(|at| tokens.get(at)).unwrap_or(token);
    let after = tokens.get(at + 1).unwrap_or(token);
    format!("Syntax error; token: \"{}\", near: \"{}\"", &text[token.start..token.end], &text[before.start..after.end])
}

/// Whether a pair of parentheses, other than those of a call or a list, holds nothing but another pair.
pub(crate) fn has_redundant_parens(text: &str, tokens: &[Token], closes: &[Option<usize>]) -> bool {
    let groups = |open: usize| {
        let before = open.checked_sub(1).map(|at| tokens[at]).filter(|token| token.kind == TokenKind::Word);
        before.is_none_or(|word| {
            let word = &text[word.start..word.end];
            is_keyword(word) && !word.eq_ignore_ascii_case("IN")
        })
    };
    (0..tokens.len().saturating_sub(1)).any(|open| match (closes[open], closes[open + 1]) {
        (Some(outer), Some(inner)) => inner + 1 == outer && groups(open),
        _ => false,
    })
}

/// Whether the word is one of the grammar's own, which name nothing.
pub(crate) fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// For each opening parenthesis the index of the one that closes it.
pub(crate) fn closing_parens(tokens: &[Token]) -> Vec<Option<usize>> {
    let mut closes = vec![None; tokens.len()];
    let mut open = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::OpenParen => open.push(at),
            TokenKind::CloseParen => {
                if let Some(start) = open.pop() {
                    closes[start] = Some(at);
                }
            }
            _ => {}
        }
    }
    closes
}
