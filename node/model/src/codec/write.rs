//! Writing the binary form of items.

use super::{
    NUMBER_EXPONENT, NUMBER_NEGATIVE, TAG_B, TAG_BS, TAG_FALSE, TAG_L, TAG_M, TAG_N, TAG_NS, TAG_NULL, TAG_S, TAG_SS,
    TAG_TRUE,
};
use crate::{AttributeValue, Item, number::Number};

pub(super) fn varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn string(bytes: &[u8], out: &mut Vec<u8>) {
    varint(bytes.len(), out);
    out.extend_from_slice(bytes);
}

pub(super) fn attributes(item: &Item, out: &mut Vec<u8>) {
    varint(item.len(), out);
    for (name, attribute) in item {
        string(name.as_bytes(), out);
        value(attribute, out);
    }
}

fn value(value: &AttributeValue, out: &mut Vec<u8>) {
    match value {
        AttributeValue::S(text) => {
            out.push(TAG_S);
            string(text.as_bytes(), out);
        }
        AttributeValue::N(value) => {
            out.push(TAG_N);
            number(value, out);
        }
        AttributeValue::B(bytes) => {
            out.push(TAG_B);
            string(bytes, out);
        }
        AttributeValue::Bool(false) => out.push(TAG_FALSE),
        AttributeValue::Bool(true) => out.push(TAG_TRUE),
        AttributeValue::Null => out.push(TAG_NULL),
        AttributeValue::M(map) => container(TAG_M, out, |out| attributes(map, out)),
        AttributeValue::L(list) => container(TAG_L, out, |out| {
            varint(list.len(), out);
            list.iter().for_each(|element| self::value(element, out));
        }),
        AttributeValue::Ss(set) => container(TAG_SS, out, |out| {
            varint(set.len(), out);
            set.iter().for_each(|member| string(member.as_bytes(), out));
        }),
        AttributeValue::Ns(set) => container(TAG_NS, out, |out| {
            varint(set.len(), out);
            set.iter().for_each(|member| number(member, out));
        }),
        AttributeValue::Bs(set) => container(TAG_BS, out, |out| {
            varint(set.len(), out);
            set.iter().for_each(|member| string(member, out));
        }),
    }
}

/// Leaves room for the length, writes the body, and fills the length in.
fn container(tag: u8, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    // An item has at most 400 KB, and a request 16 MB.
    let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

fn number(number: &Number, out: &mut Vec<u8>) {
    let (negative, exponent, coefficient) = number.parts();
    let length = (u128::BITS - coefficient.leading_zeros()).div_ceil(8) as u8;
    let sign = if negative { NUMBER_NEGATIVE } else { 0 };
    let scale = if exponent != 0 { NUMBER_EXPONENT } else { 0 };
    out.push(sign | scale | length);
    if exponent != 0 {
        out.extend_from_slice(&exponent.to_le_bytes());
    }
    out.extend_from_slice(&coefficient.to_le_bytes()[..usize::from(length)]);
}
