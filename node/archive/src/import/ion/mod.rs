//! Amazon Ion, as text: `$ion_1_0 {Item: {…}}`, one a line, as exports of DynamoDB have it.
//!
//! A reader of its own, for it must withstand any input: no line takes more of the stack or of memory than an item's
//! limits allow.

mod cursor;
mod number;

use cairn_model::{
    AttributeValue, Item,
    limits::{ATTRIBUTE_NAME_BYTES_MAX, ITEM_BYTES_MAX, NESTING_DEPTH_MAX},
};
use cursor::Cursor;

const TOO_DEEP: &str =
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit";
const TOO_LARGE: &str = "Item size has exceeded the maximum allowed size";
/// What a binary file begins with.
const BINARY_MARKER: &[u8] = b"\xE0\x01\x00\xEA";
const TYPES: [&str; 13] = [
    "null",
    "bool",
    "int",
    "float",
    "decimal",
    "timestamp",
    "symbol",
    "string",
    "clob",
    "blob",
    "struct",
    "list",
    "sexp",
];

pub(super) fn is_binary(file: &[u8]) -> bool {
    file.starts_with(BINARY_MARKER)
}

/// The item of a line, or what is wrong with it; none where the line has no value at all.
pub(super) fn read(line: &[u8]) -> Result<Option<Item>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "The line is not UTF-8".to_owned())?;
    // In an item, every value takes a byte at least.
    Reader { cursor: Cursor::new(line), values_left: ITEM_BYTES_MAX }.record()
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    values_left: usize,
}

impl Reader<'_> {
    fn record(&mut self) -> Result<Option<Item>, String> {
        self.cursor.skip_space()?;
        while self.cursor.take("$ion_1_0") {
            self.cursor.skip_space()?;
        }
        if self.cursor.at_end() {
            return Ok(None);
        }
        if self.cursor.comes("$ion_1_") {
            return Err(self.cursor.fail("only the version $ion_1_0 can be read"));
        }
        if self.cursor.comes("{{") || !self.cursor.take("{") {
            return Err("The line has no Item".to_owned());
        }
        self.cursor.skip_space()?;
        if self.cursor.comes("}") || self.name()? != "Item" {
            return Err("The line has no Item".to_owned());
        }
        if self.cursor.comes("{{") || !self.cursor.take("{") {
            return Err(self.cursor.fail("the Item is no struct"));
        }
        let item = self.attributes(0)?;
        self.cursor.skip_space()?;
        self.cursor.take(",");
        self.cursor.skip_space()?;
        if !self.cursor.take("}") {
            return Err(self.cursor.fail("there is something beside the Item"));
        }
        self.cursor.skip_space()?;
        if !self.cursor.at_end() {
            return Err(self.cursor.fail("there is something after the item: each needs a line of its own"));
        }
        Ok(Some(item))
    }

    /// A field's name and its colon; and passes over the space behind it.
    fn name(&mut self) -> Result<String, String> {
        let name = match self.cursor.string()? {
            Some(name) => name,
            None => match self.cursor.symbol()? {
                Some(symbol) => symbol.text,
                None => return Err(self.missing("a field's name is missing")),
            },
        };
        self.cursor.skip_space()?;
        if !self.cursor.take(":") {
            return Err(self.cursor.fail("a colon is missing after a field's name"));
        }
        self.cursor.skip_space()?;
        Ok(name)
    }

    /// The fields of a struct, after its brace; `depth` is that of the value it is, 0 for an item.
    fn attributes(&mut self, depth: usize) -> Result<Item, String> {
        let mut item = Item::new();
        loop {
            self.cursor.skip_space()?;
            if self.cursor.take("}") {
                return Ok(item);
            }
            let name = self.name()?;
            if name.is_empty() {
                return Err("Empty attribute name".to_owned());
            }
            if name.len() > ATTRIBUTE_NAME_BYTES_MAX {
                return Err(format!("An attribute name has more than {ATTRIBUTE_NAME_BYTES_MAX} bytes"));
            }
            let value = self.value(depth + 1)?;
            if item.contains_key(&name) {
                return Err(format!("The attribute {name} is there twice"));
            }
            item.insert(name, value);
            self.separator("}")?;
        }
    }

    /// The members of a list, after its bracket.
    fn members<T>(&mut self, read: impl Fn(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut members = Vec::new();
        loop {
            self.cursor.skip_space()?;
            if self.cursor.take("]") {
                return Ok(members);
            }
            members.push(read(self)?);
            self.separator("]")?;
        }
    }

    fn separator(&mut self, closing: &str) -> Result<(), String> {
        self.cursor.skip_space()?;
        if self.cursor.take(",") || self.cursor.comes(closing) {
            return Ok(());
        }
        Err(self.missing("a comma is missing"))
    }

    /// What is wrong where something else stands, or nothing more.
    fn missing(&self, problem: &str) -> String {
        self.cursor.fail(if self.cursor.at_end() { "the line ends within the item" } else { problem })
    }

    /// A value at a depth, which is counted from 1.
    fn value(&mut self, depth: usize) -> Result<AttributeValue, String> {
        if depth > NESTING_DEPTH_MAX {
            return Err(TOO_DEEP.to_owned());
        }
        if let Some(scalar) = self.scalar()? {
            return Ok(scalar);
        }
        if self.cursor.take("{") {
            return self.attributes(depth).map(AttributeValue::M);
        }
        if self.cursor.take("[") {
            return self.members(|reader| reader.value(depth + 1)).map(AttributeValue::L);
        }
        let Some(symbol) = self.cursor.symbol()? else {
            let is_expression = self.cursor.comes("(");
            return Err(self.missing(match is_expression {
                true => "DynamoDB has no S-expressions",
                false => "a value is missing",
            }));
        };
        self.cursor.skip_space()?;
        if self.cursor.take("::") {
            self.cursor.skip_space()?;
            return self.set(&symbol.text);
        }
        if symbol.quoted {
            return Err(self.cursor.fail("DynamoDB has no symbols: a string is in double quotes"));
        }
        match symbol.text.as_str() {
            "true" => Ok(AttributeValue::Bool(true)),
            "false" => Ok(AttributeValue::Bool(false)),
            "null" => self.null(),
            "nan" => Err(self.cursor.fail(number::FLOAT)),
            _ => Err(self.cursor.fail("DynamoDB has no symbols: a string is in double quotes")),
        }
    }

    /// A value that holds no other, but for a bare word.
    fn scalar(&mut self) -> Result<Option<AttributeValue>, String> {
        self.values_left = self.values_left.checked_sub(1).ok_or(TOO_LARGE)?;
        if let Some(text) = self.cursor.string()? {
            return Ok(Some(AttributeValue::S(text)));
        }
        if let Some(bytes) = self.cursor.blob()? {
            return Ok(Some(AttributeValue::B(bytes.into())));
        }
        match self.cursor.number() {
            "" => Ok(None),
            written => {
                let number = number::parse(written).map_err(|problem| self.cursor.fail(&problem))?;
                Ok(Some(AttributeValue::N(number)))
            }
        }
    }

    /// `null` or `null.TYPE`, after the word.
    fn null(&mut self) -> Result<AttributeValue, String> {
        if self.cursor.take(".") {
            let of = self.cursor.symbol()?;
            if !of.is_some_and(|of| !of.quoted && TYPES.contains(&of.text.as_str())) {
                return Err(self.cursor.fail("a null is of no type of Ion"));
            }
        }
        Ok(AttributeValue::Null)
    }

    /// A list that its annotation makes a set.
    fn set(&mut self, annotation: &str) -> Result<AttributeValue, String> {
        let Some(kind) = annotation.strip_prefix("$dynamodb_").filter(|kind| ["SS", "NS", "BS"].contains(kind)) else {
            return Err(self.cursor.fail(&format!("the annotation {annotation} means nothing to DynamoDB")));
        };
        if !self.cursor.take("[") {
            return Err(self.cursor.fail(&format!("{annotation} is not followed by a list")));
        }
        let other = |reader: &Self| reader.cursor.fail(&format!("a member is not of the type of its set, {kind}"));
        match kind {
            "SS" => {
                let members = self.members(|reader| match reader.scalar()? {
                    Some(AttributeValue::S(text)) => Ok(text),
                    _ => Err(other(reader)),
                });
                distinct(members?).map(AttributeValue::Ss)
            }
            "NS" => {
                let members = self.members(|reader| match reader.scalar()? {
                    Some(AttributeValue::N(number)) => Ok(number),
                    _ => Err(other(reader)),
                });
                distinct(members?).map(AttributeValue::Ns)
            }
            _ => {
                let members = self.members(|reader| match reader.scalar()? {
                    Some(AttributeValue::B(bytes)) => Ok(bytes),
                    _ => Err(other(reader)),
                });
                distinct(members?).map(AttributeValue::Bs)
            }
        }
    }
}

/// A set's members, sorted.
fn distinct<T: Ord>(mut members: Vec<T>) -> Result<Vec<T>, String> {
    if members.is_empty() {
        return Err("One or more parameter values were invalid: a set may not be empty".to_owned());
    }
    members.sort_unstable();
    match members.is_sorted_by(|one, next| one < next) {
        true => Ok(members),
        false => Err("One or more parameter values were invalid: a set contains duplicates".to_owned()),
    }
}

#[cfg(test)]
mod tests;
