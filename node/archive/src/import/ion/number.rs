//! Ion's decimals and integers as DynamoDB's numbers, with every digit; its floats are none.

use cairn_model::number::Number;

pub(super) const FLOAT: &str = "DynamoDB has no floats: write numbers as decimals, 1.5 or 15d-1";
const TOO_MANY_DIGITS: &str = "Attempting to store more than 38 significant digits in a Number";

/// The number that is written, or what is wrong with it.
pub(super) fn parse(written: &str) -> Result<Number, String> {
    let unsigned = written.strip_prefix('-').unwrap_or(written);
    let digits = |prefixes: [&str; 2]| prefixes.into_iter().find_map(|prefix| unsigned.strip_prefix(prefix));
    let plain = if let Some(digits) = digits(["0x", "0X"]) {
        integer(written, digits, 16)?
    } else if let Some(digits) = digits(["0b", "0B"]) {
        integer(written, digits, 2)?
    } else if is_decimal(unsigned) {
        written.replace('_', "").replace(['d', 'D'], "e")
    } else {
        return Err(no_number(written, unsigned));
    };
    Number::parse(&plain).map_err(|error| error.message)
}

fn integer(written: &str, digits: &str, radix: u32) -> Result<String, String> {
    if !are_digits(digits, radix) {
        return Err(format!("{written} is no number"));
    }
    let sign = if written.starts_with('-') { "-" } else { "" };
    // What 128 bits do not hold has more than 38 digits.
    let value = u128::from_str_radix(&digits.replace('_', ""), radix).map_err(|_| TOO_MANY_DIGITS)?;
    Ok(format!("{sign}{value}"))
}

/// `digits [. [digits]] [d sign? digits]`, without leading zeros.
fn is_decimal(unsigned: &str) -> bool {
    let (mantissa, exponent) = unsigned.split_once(['d', 'D']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    are_digits(whole, 10)
        && (whole == "0" || !whole.starts_with('0'))
        && (fraction.is_empty() || are_digits(fraction, 10))
        && are_digits(exponent, 10)
        && !exponent.contains('_')
}

/// Digits, with single underscores between them.
fn are_digits(text: &str, radix: u32) -> bool {
    text.split('_').all(|part| !part.is_empty() && part.chars().all(|digit| digit.is_digit(radix)))
}

fn no_number(written: &str, unsigned: &str) -> String {
    if unsigned.contains(['e', 'E']) || unsigned.ends_with("inf") {
        FLOAT.to_owned()
    } else if unsigned.contains(['T', 't']) || unsigned.find('-') == Some("2011".len()) {
        "DynamoDB has no timestamps: write them as strings".to_owned()
    } else {
        format!("{written} is no number")
    }
}
