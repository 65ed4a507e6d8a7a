//! Numbers in keys: bytes whose order is the numbers' order. The form is in [`super`].

use crate::{
    codec::{CodecError, Reader},
    limits::{NUMBER_DIGITS_MAX, NUMBER_EXPONENT_MIN},
    number::Number,
};

const BELOW_ZERO: u8 = 0;
const ZERO: u8 = 1;
const ABOVE_ZERO: u8 = 2;
/// Ends the pairs of a positive number: below every pair.
const END: u8 = 0;

const DAMAGED: CodecError = CodecError::Damaged("a key's number that is not in its one form");

pub(super) fn write(number: &Number, out: &mut Vec<u8>) {
    let (negative, _, mut coefficient) = number.parts();
    let Some(magnitude) = number.magnitude() else {
        out.push(ZERO);
        return;
    };
    let mask = if negative { 0xff } else { 0 };
    out.push(if negative { BELOW_ZERO } else { ABOVE_ZERO });
    // The range of exponents is 256 wide.
    out.push((magnitude - NUMBER_EXPONENT_MIN) as u8 ^ mask);

    let digits = coefficient.ilog10() + 1;
    let mut pairs = [0u8; NUMBER_DIGITS_MAX as usize / 2];
    let count = digits.div_ceil(2) as usize;
    for (at, pair) in pairs[..count].iter_mut().enumerate().rev() {
        if at + 1 == count && digits % 2 == 1 {
            *pair = (coefficient % 10) as u8 * 10 + 1;
            coefficient /= 10;
        } else {
            *pair = (coefficient % 100) as u8 + 1;
            coefficient /= 100;
        }
    }
    out.extend(pairs[..count].iter().map(|pair| pair ^ mask));
    out.push(END ^ mask);
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Number, CodecError> {
    let (negative, mask) = match reader.byte()? {
        ZERO => return Ok(Number::ZERO),
        ABOVE_ZERO => (false, 0),
        BELOW_ZERO => (true, 0xff),
        _ => return Err(DAMAGED),
    };
    let magnitude = i16::from(reader.byte()? ^ mask) + NUMBER_EXPONENT_MIN;
    let (mut coefficient, mut pairs, mut first, mut last) = (0u128, 0i16, 0, 0);
    loop {
        let pair = reader.byte()? ^ mask;
        if pair == END {
            break;
        }
        if pair > 100 || i32::from(pairs) == NUMBER_DIGITS_MAX as i32 / 2 {
            return Err(DAMAGED);
        }
        last = pair - 1;
        if pairs == 0 {
            first = last;
        }
        coefficient = coefficient * 100 + u128::from(last);
        pairs += 1;
    }
    if first < 10 || last == 0 {
        return Err(DAMAGED);
    }
    let mut exponent = magnitude + 1 - 2 * pairs;
    if last % 10 == 0 {
        coefficient /= 10;
        exponent += 1;
    }
    Number::from_parts(negative, exponent, coefficient).map_err(|_| DAMAGED)
}
