//! Decimal numbers of up to 38 digits: parsing, output, order, sums, size.

use crate::{
    ServiceError,
    limits::{NUMBER_DIGITS_MAX, NUMBER_EXPONENT_MAX, NUMBER_EXPONENT_MIN},
};
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt};

/// A number as DynamoDB has it: 38 significant digits, 1E-130 to 9.9…E+125 and their negatives, and 0; normalised,
/// so that 1, 1.0 and 1E0 are equal.
///
/// The value is ± `coefficient` × 10^`exponent`. The coefficient has no trailing zeros; 0 is `0E0`, never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "(bool, i16, u128)", try_from = "(bool, i16, u128)")]
pub struct Number {
    negative: bool,
    exponent: i16,
    coefficient: u128,
}

/// Why parts are not a [`Number`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("Attempting to store more than 38 significant digits in a Number")]
    TooManyDigits,
    #[error("Number overflow. Attempting to store a number with magnitude larger than supported range")]
    Overflow,
    #[error("Number underflow. Attempting to store a number with magnitude smaller than supported range")]
    Underflow,
    #[error("the number is not in its normal form")]
    NotNormal,
}

impl From<NumberError> for ServiceError {
    fn from(error: NumberError) -> Self {
        ServiceError::validation(error.to_string())
    }
}

/// 10^39 does not fit into 128 bits.
const POWERS: [u128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < 39 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// How many decimal digits a coefficient has; 0 for 0.
fn digit_count(coefficient: u128) -> u32 {
    coefficient.checked_ilog10().map_or(0, |log| log + 1)
}

impl Number {
    pub const ZERO: Self = Self { negative: false, exponent: 0, coefficient: 0 };

    /// Reads a number as a client writes one: `sign? (digits with at most one point) (e sign? digits)?`. DynamoDB's
    /// error where it is not one or is out of range.
    pub fn parse(text: &str) -> Result<Self, ServiceError> {
        let unreadable = || ServiceError::validation(format!("{UNREADABLE}: {text}"));
        let scan = Scan::new(text.as_bytes()).ok_or_else(unreadable)?;
        if scan.significant_digits > u64::from(NUMBER_DIGITS_MAX) {
            return Err(NumberError::TooManyDigits.into());
        }
        if scan.coefficient == 0 {
            // A zero is held to the range as if its last written digit were a 1.
            check_magnitude(scan.written_exponent)?;
            return Ok(Self::ZERO);
        }
        check_magnitude(scan.exponent + i128::from(digit_count(scan.coefficient)) - 1)?;
        let exponent = i16::try_from(scan.exponent).map_err(|_| unreadable())?;
        Ok(Self { negative: scan.negative, exponent, coefficient: scan.coefficient })
    }

    /// What is said of a text that [`Number::parse`] refuses by what reads numbers as Java's `BigDecimal` does: an exponent, and the
    /// digits behind the point less the exponent, are 32-bit integers, and the magnitude is reckoned in such, past their end.
    pub fn refused_as_big_decimal(text: &str) -> String {
        if text.is_empty() {
            return UNREADABLE.to_owned();
        }
        let scan = Scan::new(text.as_bytes());
        let scale = scan.as_ref().and_then(|scan| {
            i32::try_from(scan.written).ok()?;
            i32::try_from(-scan.written_exponent).ok()
        });
        let (Some(scan), Some(scale)) = (scan, scale) else { return format!("{UNREADABLE}: {text}") };
        let refusal = if scan.significant_digits > u64::from(NUMBER_DIGITS_MAX) {
            NumberError::TooManyDigits
        } else if (i32::from(NUMBER_EXPONENT_MAX) + 2..i32::MAX).contains(&scan.precision().wrapping_sub(scale)) {
            NumberError::Overflow
        } else {
            NumberError::Underflow
        };
        refusal.to_string()
    }

    /// From its parts, which must be in the normal form: what [`Number::parts`] gives.
    pub fn from_parts(negative: bool, exponent: i16, coefficient: u128) -> Result<Self, NumberError> {
        if coefficient == 0 {
            return if negative || exponent != 0 { Err(NumberError::NotNormal) } else { Ok(Self::ZERO) };
        }
        if coefficient.is_multiple_of(10) {
            return Err(NumberError::NotNormal);
        }
        Self::in_range(negative, i32::from(exponent), coefficient)
    }

    /// Sign (true: negative), exponent and coefficient of the normal form.
    pub fn parts(&self) -> (bool, i16, u128) {
        (self.negative, self.exponent, self.coefficient)
    }

    /// The power of ten of the first digit (0 for 5, 1 for 50); none for 0.
    pub fn magnitude(&self) -> Option<i16> {
        let digits = i16::try_from(digit_count(self.coefficient)).ok()?;
        (digits > 0).then(|| self.exponent + digits - 1)
    }

    /// The sum, or DynamoDB's error where it leaves the range; one of more than 38 digits is told as if it did, too.
    pub fn add(&self, other: &Self) -> Result<Self, ServiceError> {
        Ok(self.sum(other)?)
    }

    /// The difference; errors as in [`Number::add`].
    pub fn sub(&self, other: &Self) -> Result<Self, ServiceError> {
        Ok(self.sum(&other.negated())?)
    }

    /// DynamoDB's size in bytes: 1, 1 if negative, and 1 for each two significant digits begun, counted before and
    /// after the point apart.
    pub fn size(&self) -> usize {
        let digits = i32::try_from(digit_count(self.coefficient)).unwrap_or(i32::MAX);
        let whole = (digits + i32::from(self.exponent)).clamp(0, digits);
        let pairs = (whole + 1) / 2 + (digits - whole + 1) / 2;
        1 + usize::from(self.negative) + usize::try_from(pairs).unwrap_or(0)
    }

    fn negated(&self) -> Self {
        Self { negative: !self.negative && self.coefficient != 0, ..*self }
    }

    fn sum(&self, other: &Self) -> Result<Self, NumberError> {
        if self.coefficient == 0 {
            return Ok(*other);
        }
        if other.coefficient == 0 {
            return Ok(*self);
        }
        let (high, low) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        // The lower number's last digit is not 0 and stays the sum's last; so a sum that does not fit into 128 bits
        // once both have one exponent has more than 38 digits.
        let shift = usize::try_from(high.exponent - low.exponent).unwrap_or(usize::MAX);
        let scaled =
            POWERS.get(shift).and_then(|power| high.coefficient.checked_mul(*power)).ok_or(NumberError::Overflow)?;
        let (negative, coefficient) = if high.negative == low.negative {
            (high.negative, scaled.checked_add(low.coefficient).ok_or(NumberError::Overflow)?)
        } else if scaled >= low.coefficient {
            (high.negative, scaled - low.coefficient)
        } else {
            (low.negative, low.coefficient - scaled)
        };
        Self::normalised(negative, i32::from(low.exponent), coefficient).map_err(|error| match error {
            NumberError::TooManyDigits => NumberError::Overflow,
            error => error,
        })
    }

    fn normalised(negative: bool, mut exponent: i32, mut coefficient: u128) -> Result<Self, NumberError> {
        if coefficient == 0 {
            return Ok(Self::ZERO);
        }
        while coefficient.is_multiple_of(10) {
            coefficient /= 10;
            exponent += 1;
        }
        Self::in_range(negative, exponent, coefficient)
    }

    /// Checks digits and range of a normalised number that is not 0.
    fn in_range(negative: bool, exponent: i32, coefficient: u128) -> Result<Self, NumberError> {
        let digits = digit_count(coefficient);
        if digits > NUMBER_DIGITS_MAX {
            return Err(NumberError::TooManyDigits);
        }
        check_magnitude(i128::from(exponent) + i128::from(digits) - 1)?;
        let exponent = i16::try_from(exponent).map_err(|_| NumberError::Overflow)?;
        Ok(Self { negative, exponent, coefficient })
    }

    /// Appends DynamoDB's output form: plain decimal, never with an exponent.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        let mut buffer = [0u8; 39];
        let digits = write_digits(self.coefficient, &mut buffer);
        // Digits before the point; at most 126 in all, as the range is.
        let whole = i32::try_from(digits.len()).unwrap_or(0) + i32::from(self.exponent);
        if self.exponent >= 0 {
            out.extend_from_slice(digits);
            out.resize(out.len() + usize::try_from(self.exponent).unwrap_or(0), b'0');
        } else if let Ok(whole @ 1..) = usize::try_from(whole) {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        } else {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + usize::try_from(-whole).unwrap_or(0), b'0');
            out.extend_from_slice(digits);
        }
    }
}

/// The range of the first digit's power of ten.
fn check_magnitude(magnitude: i128) -> Result<(), NumberError> {
    if magnitude > i128::from(NUMBER_EXPONENT_MAX) {
        Err(NumberError::Overflow)
    } else if magnitude < i128::from(NUMBER_EXPONENT_MIN) {
        Err(NumberError::Underflow)
    } else {
        Ok(())
    }
}

/// The decimal digits of a coefficient, at the end of `buffer`.
fn write_digits(coefficient: u128, buffer: &mut [u8; 39]) -> &[u8] {
    let mut at = buffer.len();
    // 64-bit divisions are many times faster, and nearly all numbers fit.
    let mut rest = coefficient;
    let mut small = loop {
        match u64::try_from(rest) {
            Ok(small) => break small,
            Err(_) => {
                at -= 1;
                buffer[at] = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
    };
    loop {
        at -= 1;
        buffer[at] = b'0' + (small % 10) as u8;
        small /= 10;
        if small == 0 {
            return &buffer[at..];
        }
    }
}

/// What is said of a text that is no number.
const UNREADABLE: &str = "The parameter cannot be converted to a numeric value";

/// A number's text taken apart; exponents are wide enough for whatever a request can hold.
struct Scan {
    negative: bool,
    /// Behind the `e`.
    written: i64,
    /// Without leading and trailing zeros; not meaningful past 38 significant digits.
    coefficient: u128,
    significant_digits: u64,
    /// The power of ten of the coefficient's last digit.
    exponent: i128,
    /// The power of ten of the last digit written.
    written_exponent: i128,
}

impl Scan {
    fn new(bytes: &[u8]) -> Option<Self> {
        let (negative, mut rest) = match bytes.split_first()? {
            (b'-', rest) => (true, rest),
            (b'+', rest) => (false, rest),
            _ => (false, bytes),
        };
        let (mut coefficient, mut significant_digits) = (0u128, 0u64);
        // Zeros since the last digit that was not one: significant only if another digit follows.
        let mut zeros = 0u64;
        let (mut any_digit, mut point, mut fraction_digits) = (false, false, 0u64);
        while let Some((&byte, tail)) = rest.split_first() {
            match byte {
                b'0'..=b'9' => {
                    any_digit = true;
                    fraction_digits += u64::from(point);
                    if byte == b'0' {
                        zeros += u64::from(significant_digits > 0);
                    } else {
                        significant_digits += zeros + 1;
                        if significant_digits <= u64::from(NUMBER_DIGITS_MAX) {
                            let shift = usize::try_from(zeros).ok()? + 1;
                            coefficient = coefficient * POWERS[shift] + u128::from(byte - b'0');
                        }
                        zeros = 0;
                    }
                }
                b'.' if !point => point = true,
                _ => break,
            }
            rest = tail;
        }
        if !any_digit {
            return None;
        }
        let written = match rest.split_first() {
            None => 0,
            Some((b'e' | b'E', exponent)) => parse_exponent(exponent)?,
            Some(_) => return None,
        };
        let written_exponent = i128::from(written) - i128::from(fraction_digits);
        let exponent = written_exponent + i128::from(zeros);
        Some(Self { negative, written, coefficient, significant_digits, exponent, written_exponent })
    }

    /// How many digits are written, but for zeros before the first that is not one; 1 for a zero.
    fn precision(&self) -> i32 {
        let zeros = self.exponent - self.written_exponent;
        i32::try_from(i128::from(self.significant_digits.max(1)) + zeros).unwrap_or(i32::MAX)
    }
}

/// DynamoDB reads the exponent as a 64-bit integer; one that does not fit makes the text unreadable.
fn parse_exponent(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.strip_prefix(b"+").or_else(|| bytes.strip_prefix(b"-")).unwrap_or(bytes);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(48);
        self.write(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        fn sign(number: &Number) -> i8 {
            match (number.coefficient, number.negative) {
                (0, _) => 0,
                (_, true) => -1,
                (_, false) => 1,
            }
        }
        sign(self).cmp(&sign(other)).then_with(|| {
            let absolute = self.magnitude().cmp(&other.magnitude()).then_with(|| aligned(self).cmp(&aligned(other)));
            if self.negative { absolute.reverse() } else { absolute }
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The coefficient with its first digit at the place of the 38th.
fn aligned(number: &Number) -> u128 {
    let missing = NUMBER_DIGITS_MAX.saturating_sub(digit_count(number.coefficient));
    number.coefficient * POWERS[missing as usize]
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        let parts = Self::normalised(value < 0, 0, u128::from(value.unsigned_abs()));
        // An i64 has 19 digits.
        parts.unwrap_or(Self::ZERO)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        // A u64 has 20 digits.
        Self::normalised(false, 0, u128::from(value)).unwrap_or(Self::ZERO)
    }
}

impl From<Number> for (bool, i16, u128) {
    fn from(number: Number) -> Self {
        number.parts()
    }
}

impl TryFrom<(bool, i16, u128)> for Number {
    type Error = NumberError;

    fn try_from((negative, exponent, coefficient): (bool, i16, u128)) -> Result<Self, NumberError> {
        Self::from_parts(negative, exponent, coefficient)
    }
}

#[cfg(test)]
mod tests;
