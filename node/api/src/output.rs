//! Writing answers: one buffer, field by field.

use cairn_model::{Item, ServiceError, codec::EncodedItem, json};
use std::{fmt::Display, io::Write};

/// A JSON object being written.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    /// The buffer, ready for the field's value. Names are the API's own: nothing in them to escape.
    pub(crate) fn field(&mut self, name: &str) -> &mut Vec<u8> {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// As [`Self::field`], for a name that came from outside.
    pub(crate) fn escaped_field(&mut self, name: &str) -> &mut Vec<u8> {
        self.comma();
        json::write_string(name, self.out);
        self.out.push(b':');
        self.out
    }

    fn comma(&mut self) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        json::write_string(value, self.field(name));
    }

    /// A number or a boolean.
    pub(crate) fn literal(&mut self, name: &str, value: impl Display) {
        // Writing into a Vec can't fail.
        let _ = write!(self.field(name), "{value}");
    }

    /// A time given in milliseconds since the Unix epoch, as DynamoDB writes it: in seconds, with their fraction.
    pub(crate) fn timestamp(&mut self, name: &str, millis: u64) {
        self.literal(name, format_args!("{}.{:03}", millis / 1_000, millis % 1_000));
    }

    pub(crate) fn object(&mut self, name: &str) -> Object<'_> {
        Object::begin(self.field(name))
    }

    pub(crate) fn item(&mut self, name: &str, item: &Item) {
        json::write_item(item, self.field(name));
    }

    pub(crate) fn encoded_item(&mut self, name: &str, item: &EncodedItem) -> Result<(), ServiceError> {
        Ok(json::write_encoded_item(item, self.field(name))?)
    }

    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        elements: impl IntoIterator<Item = T>,
        write: impl FnMut(T, &mut Vec<u8>),
    ) {
        write_list(self.field(name), elements, write);
    }
}

/// A JSON array.
pub(crate) fn write_list<T>(
    out: &mut Vec<u8>,
    elements: impl IntoIterator<Item = T>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (position, element) in elements.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write(element, out);
    }
    out.push(b']');
}
