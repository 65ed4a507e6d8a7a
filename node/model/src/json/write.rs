//! Writing DynamoDB JSON.

use crate::{
    AttributeValue, Item,
    codec::{CodecError, EncodedItem, Reader, ValueReader},
    limits::NESTING_DEPTH_MAX,
    number::Number,
};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Appends an item as DynamoDB JSON.
pub fn write_item(item: &Item, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (name, value)) in item.iter().enumerate() {
        separate(at, out);
        write_string(name, out);
        out.push(b':');
        write_value(value, out);
    }
    out.push(b'}');
}

/// Appends a value as DynamoDB JSON.
pub fn write_value(value: &AttributeValue, out: &mut Vec<u8>) {
    match value {
        AttributeValue::S(text) => member(b"S", out, |out| write_string(text, out)),
        AttributeValue::N(number) => member(b"N", out, |out| write_number(number, out)),
        AttributeValue::B(bytes) => member(b"B", out, |out| write_binary(bytes, out)),
        AttributeValue::Bool(true) => out.extend_from_slice(b"{\"BOOL\":true}"),
        AttributeValue::Bool(false) => out.extend_from_slice(b"{\"BOOL\":false}"),
        AttributeValue::Null => out.extend_from_slice(b"{\"NULL\":true}"),
        AttributeValue::M(map) => member(b"M", out, |out| write_item(map, out)),
        AttributeValue::L(list) => member(b"L", out, |out| array(list, out, write_value)),
        AttributeValue::Ss(set) => member(b"SS", out, |out| array(set, out, |text, out| write_string(text, out))),
        AttributeValue::Ns(set) => member(b"NS", out, |out| array(set, out, write_number)),
        AttributeValue::Bs(set) => member(b"BS", out, |out| array(set, out, |bytes, out| write_binary(bytes, out))),
    }
}

/// Appends a stored item as DynamoDB JSON, straight from its bytes. On an error `out` is as it was.
pub fn write_encoded_item(item: &EncodedItem, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let start = out.len();
    out.reserve(item.0.len() + item.0.len() / 2);
    let written = item.attributes().and_then(|(_, reader)| encoded_attributes(reader, out, 0));
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Appends a JSON string with its quotes.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

fn encoded_attributes(mut reader: Reader<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), CodecError> {
    out.push(b'{');
    for at in 0..reader.count()? {
        separate(at, out);
        write_string(reader.text()?, out);
        out.push(b':');
        encoded_value(reader.value()?, out, depth)?;
    }
    out.push(b'}');
    reader.finish()
}

fn encoded_value(value: ValueReader<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), CodecError> {
    if depth > NESTING_DEPTH_MAX {
        return Err(CodecError::Damaged("lists and maps nested too deep"));
    }
    match value {
        ValueReader::S(text) => member(b"S", out, |out| write_string(text, out)),
        ValueReader::N(number) => member(b"N", out, |out| write_number(&number, out)),
        ValueReader::B(bytes) => member(b"B", out, |out| write_binary(bytes, out)),
        ValueReader::Bool(value) => write_value(&AttributeValue::Bool(value), out),
        ValueReader::Null => write_value(&AttributeValue::Null, out),
        ValueReader::M(reader) => return member(b"M", out, |out| encoded_attributes(reader, out, depth + 1)),
        ValueReader::L(reader) => {
            return member(b"L", out, |out| {
                encoded_array(reader, out, |reader, out| encoded_value(reader.value()?, out, depth + 1))
            });
        }
        ValueReader::Ss(reader) => {
            return member(b"SS", out, |out| {
                encoded_array(reader, out, |reader, out| {
                    write_string(reader.text()?, out);
                    Ok(())
                })
            });
        }
        ValueReader::Ns(reader) => {
            return member(b"NS", out, |out| {
                encoded_array(reader, out, |reader, out| {
                    write_number(&reader.number()?, out);
                    Ok(())
                })
            });
        }
        ValueReader::Bs(reader) => {
            return member(b"BS", out, |out| {
                encoded_array(reader, out, |reader, out| {
                    write_binary(reader.string()?, out);
                    Ok(())
                })
            });
        }
    }
    Ok(())
}

fn encoded_array<'a>(
    mut reader: Reader<'a>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut Reader<'a>, &mut Vec<u8>) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    out.push(b'[');
    for at in 0..reader.count()? {
        separate(at, out);
        write(&mut reader, out)?;
    }
    out.push(b']');
    reader.finish()
}

/// `{"TYPE":…}`
fn member<T>(letters: &[u8], out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(letters);
    out.extend_from_slice(b"\":");
    let written = write(out);
    out.push(b'}');
    written
}

fn array<T>(elements: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (at, element) in elements.iter().enumerate() {
        separate(at, out);
        write(element, out);
    }
    out.push(b']');
}

fn separate(at: usize, out: &mut Vec<u8>) {
    if at > 0 {
        out.push(b',');
    }
}

fn write_number(number: &Number, out: &mut Vec<u8>) {
    out.push(b'"');
    number.write(out);
    out.push(b'"');
}

fn write_binary(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    // Four characters for each three bytes begun.
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
    out.push(b'"');
}
