//! Ion's text, token by token. What the tokens mean is the business of [`super`].

use base64::{Engine, engine::general_purpose::STANDARD};

/// Where in a line the reader is.
pub(super) struct Cursor<'a> {
    line: &'a str,
    /// What is still to be read, the end of the line.
    rest: &'a str,
}

/// An identifier, or what stood in single quotes.
pub(super) struct Symbol {
    pub(super) text: String,
    pub(super) quoted: bool,
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n' | '\u{b}' | '\u{c}')
}

fn is_identifier(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '$')
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { line, rest: line }
    }

    /// What is wrong, and where.
    pub(super) fn fail(&self, problem: &str) -> String {
        format!("The line cannot be read: {problem}, at byte {}", self.line.len() - self.rest.len() + 1)
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn comes(&self, token: &str) -> bool {
        self.rest.starts_with(token)
    }

    /// Takes what comes if it is this.
    pub(super) fn take(&mut self, token: &str) -> bool {
        let after = self.rest.strip_prefix(token);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) =
            self.rest.split_at(self.rest.find(|other: char| !is_part(other)).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Passes over whitespace and comments; whether there was any.
    pub(super) fn skip_space(&mut self) -> Result<bool, String> {
        let before = self.rest.len();
        loop {
            self.take_while(is_space);
            if self.take("//") {
                self.take_while(|character| !matches!(character, '\n' | '\r'));
            } else if self.take("/*") {
                let end = self.rest.find("*/").ok_or_else(|| self.fail("a comment is not closed"))?;
                self.rest = &self.rest[end + 2..];
            } else {
                return Ok(self.rest.len() < before);
            }
        }
    }

    /// A symbol, if one comes.
    pub(super) fn symbol(&mut self) -> Result<Option<Symbol>, String> {
        if !self.comes("'''") && self.take("'") {
            return self.quoted("'").map(|text| Some(Symbol { text, quoted: true }));
        }
        if self.rest.starts_with(|first: char| first.is_ascii_digit()) {
            return Ok(None);
        }
        let text = self.take_while(is_identifier);
        if text.len() > 1 && text.strip_prefix('$').is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(self.fail("a symbol that is only the number of one cannot be read"));
        }
        Ok((!text.is_empty()).then(|| Symbol { text: text.to_owned(), quoted: false }))
    }

    /// A string, if one comes: in double quotes, or in parts, each in three single ones.
    pub(super) fn string(&mut self) -> Result<Option<String>, String> {
        if self.take("\"") {
            return self.quoted("\"").map(Some);
        }
        let mut text: Option<String> = None;
        while self.take("'''") {
            let part = self.quoted("'''")?;
            text.get_or_insert_default().push_str(&part);
            self.skip_space()?;
        }
        Ok(text)
    }

    /// What stands before closing quotes.
    fn quoted(&mut self, closing: &str) -> Result<String, String> {
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|part| !matches!(part, '\'' | '"' | '\\') && !is_forbidden(part)));
            if self.take(closing) {
                return Ok(text);
            }
            match self.next() {
                Some('\\') => text.push(self.escaped()?),
                Some(quote @ ('\'' | '"')) => text.push(quote),
                Some(_) => return Err(self.fail("a control character is not escaped")),
                None => return Err(self.fail("quotes are not closed")),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    /// The character of an escape, after its backslash.
    fn escaped(&mut self) -> Result<char, String> {
        let code = match self.next() {
            Some(itself @ ('"' | '\'' | '?' | '\\' | '/')) => return Ok(itself),
            Some('0') => 0,
            Some('a') => 0x07,
            Some('b') => 0x08,
            Some('t') => 0x09,
            Some('n') => 0x0a,
            Some('v') => 0x0b,
            Some('f') => 0x0c,
            Some('r') => 0x0d,
            Some('x') => self.code(2)?,
            Some('u') => self.unit()?,
            Some('U') => self.code(8)?,
            _ => return Err(self.fail("there is no such escape")),
        };
        char::from_u32(code).ok_or_else(|| self.fail("an escape is no character"))
    }

    /// A UTF-16 unit, or two of them that are one character.
    fn unit(&mut self) -> Result<u32, String> {
        let high = self.code(4)?;
        if !(0xd800..0xdc00).contains(&high) || !self.take("\\u") {
            return Ok(high);
        }
        match self.code(4)? {
            low @ 0xdc00..=0xdfff => Ok(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)),
            _ => Err(self.fail("an escape is no character")),
        }
    }

    fn code(&mut self, digits: usize) -> Result<u32, String> {
        let written = self.rest.get(..digits).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = written.and_then(|text| u32::from_str_radix(text, 16).ok());
        let code = code.ok_or_else(|| self.fail("an escape has too few digits"))?;
        self.rest = &self.rest[digits..];
        Ok(code)
    }

    /// The bytes of a blob, if one comes.
    pub(super) fn blob(&mut self) -> Result<Option<Vec<u8>>, String> {
        if !self.take("{{") {
            return Ok(None);
        }
        self.take_while(is_space);
        if self.comes("\"") || self.comes("'''") {
            return Err(self.fail("DynamoDB has no clobs: write text as a string"));
        }
        let mut encoded = self.take_while(|character| character != '}').to_owned();
        if !self.take("}}") {
            return Err(self.fail("a blob is not closed"));
        }
        encoded.retain(|character| !is_space(character));
        STANDARD.decode(encoded).map(Some).map_err(|_| self.fail("a blob is not Base64"))
    }

    /// What looks like a number or a time, if one comes; or else nothing.
    pub(super) fn number(&mut self) -> &'a str {
        let begins = |first: char| first.is_ascii_digit() || matches!(first, '-' | '+');
        match self.rest.starts_with(begins) {
            true => self.take_while(|part| part.is_ascii_alphanumeric() || matches!(part, '_' | '.' | '+' | '-' | ':')),
            false => "",
        }
    }
}

/// In quotes, but for an escape.
fn is_forbidden(character: char) -> bool {
    character < ' ' && !matches!(character, '\t' | '\u{b}' | '\u{c}')
}
