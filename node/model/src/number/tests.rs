use super::*;
use crate::arbitrary::any_number;
use proptest::prelude::*;

fn n(text: &str) -> Number {
    Number::parse(text).unwrap()
}

fn message(text: &str) -> String {
    Number::parse(text).unwrap_err().message
}

#[test]
fn numbers_come_out_as_plain_decimals() {
    for (written, stored) in [
        ("+5", "5"),
        ("-0", "0"),
        ("+0.0", "0"),
        ("1e+2", "100"),
        ("1.5E+3", "1500"),
        ("+.5", "0.5"),
        ("5.", "5"),
        ("00042", "42"),
        ("1.200", "1.2"),
        ("-12.034", "-12.034"),
        ("1e-3", "0.001"),
        ("1.23E10", "12300000000"),
        ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
    ] {
        assert_eq!(n(written).to_string(), stored, "{written}");
    }
    assert_eq!(n("1E125").to_string(), format!("1{}", "0".repeat(125)));
    assert_eq!(n("1E-130").to_string(), format!("0.{}1", "0".repeat(129)));
}

#[test]
fn a_refused_number_is_told_as_javas_decimals_tell_it() {
    let unreadable = |text: &str| format!("The parameter cannot be converted to a numeric value: {text}");
    let (overflow, underflow) = (NumberError::Overflow.to_string(), NumberError::Underflow.to_string());
    for (text, told) in [
        ("", "The parameter cannot be converted to a numeric value".to_owned()),
        ("abc", unreadable("abc")),
        ("1e126", overflow.clone()),
        ("0e126", overflow.clone()),
        ("10e125", overflow),
        ("1e-131", underflow.clone()),
        ("1e2147483646", underflow.clone()),
        ("1e2147483647", underflow),
        ("1e2147483648", unreadable("1e2147483648")),
        ("-1e99999999999", unreadable("-1e99999999999")),
        ("1e-2147483648", unreadable("1e-2147483648")),
        ("1.5e-2147483647", unreadable("1.5e-2147483647")),
        (&"1".repeat(39), NumberError::TooManyDigits.to_string()),
    ] {
        assert!(Number::parse(text).is_err());
        assert_eq!(Number::refused_as_big_decimal(text), told, "{text}");
    }
}

#[test]
fn what_is_no_number_is_refused_as_dynamodb_does() {
    for text in [
        "",
        "+e2",
        "e2",
        "1+2",
        "1.2.3",
        "++5",
        "-+5",
        "+",
        "1e",
        "1e+",
        ".",
        "1.2e3.4",
        "0x5",
        "NaN",
        "Infinity",
        "1_000",
        " 5",
        "5 ",
        "1e9223372036854775808",
        "0e9223372036854775808",
    ] {
        assert_eq!(message(text), format!("The parameter cannot be converted to a numeric value: {text}"));
    }
}

#[test]
fn the_range_is_that_of_dynamodb() {
    let overflow = "Number overflow. Attempting to store a number with magnitude larger than supported range";
    let underflow = "Number underflow. Attempting to store a number with magnitude smaller than supported range";
    for text in ["1e126", "-1e126", "10e125", "1e99999999999", "10e9223372036854775807", "0e126", "0.0e127"] {
        assert_eq!(message(text), overflow, "{text}");
    }
    for text in ["1e-131", "0.1e-130", "0.01e-9223372036854775808", "0e-131", "0.0e-130"] {
        assert_eq!(message(text), underflow, "{text}");
    }
    for text in ["9.9999999999999999999999999999999999999E125", "1E-130", "0e125", "0.0e126", "0e-130"] {
        assert!(Number::parse(text).is_ok(), "{text}");
    }
    let digits = "Attempting to store more than 38 significant digits in a Number";
    assert_eq!(message("123456789012345678901234567890123456789"), digits);
    assert!(Number::parse("1000000000000000000000000000000000000000").is_ok());
}

#[test]
fn sizes_are_those_measured_at_dynamodb() {
    for (text, bytes) in [
        ("0", 1),
        ("1", 2),
        ("12", 2),
        ("123", 3),
        ("12345678901234567890123456789012345678", 20),
        ("100", 2),
        ("1010", 3),
        ("0.0000001", 2),
        ("1E125", 2),
        ("1E-100", 2),
        ("1.5", 3),
        ("1.234", 4),
        ("3.14159", 5),
        ("100.5", 4),
        ("0.15", 2),
        ("-42", 3),
        ("-12345", 5),
        ("-0", 1),
    ] {
        assert_eq!(n(text).size(), bytes, "{text}");
    }
}

#[test]
fn sums_keep_38_digits_or_fail() {
    assert_eq!(n("0.1").add(&n("0.2")).unwrap(), n("0.3"));
    assert_eq!(n("1").sub(&n("1")).unwrap(), Number::ZERO);
    let nines = "9".repeat(38);
    assert_eq!(n(&nines).add(&n("1")).unwrap(), n("1E38"));
    assert_eq!(n("1E38").sub(&n("1")).unwrap(), n(&nines));
    let overflow = "Number overflow. Attempting to store a number with magnitude larger than supported range";
    for (a, b) in [(nines.as_str(), "0.1"), ("1E50", "1"), ("1E125", "1"), ("9E125", "1E125"), ("1E-130", "1")] {
        assert_eq!(n(a).add(&n(b)).unwrap_err().message, overflow, "{a} + {b}");
    }
    assert_eq!(n("1E50").sub(&n("1")).unwrap_err().message, overflow);
    assert!(n("1.1E-130").sub(&n("1E-130")).unwrap_err().message.starts_with("Number underflow."));
}

#[test]
fn equal_numbers_are_equal_however_written() {
    assert_eq!(n("1"), n("1.0"));
    assert_eq!(n("1"), n("1E0"));
    assert_eq!(n("0"), n("-0.000"));
}

#[test]
fn parts_that_are_not_normal_are_refused() {
    assert_eq!(Number::from_parts(true, 0, 0), Err(NumberError::NotNormal));
    assert_eq!(Number::from_parts(false, 0, 10), Err(NumberError::NotNormal));
    assert_eq!(Number::from_parts(false, 0, 10u128.pow(38) + 1), Err(NumberError::TooManyDigits));
    assert_eq!(Number::from_parts(false, i16::MAX, 1), Err(NumberError::Overflow));
    let bytes = postcard::to_stdvec(&(false, 0i16, 10u128)).unwrap();
    assert!(postcard::from_bytes::<Number>(&bytes).is_err());
}

/// Decimal arithmetic by hand: 300 digits before and after the point each, the lowest first.
mod naive {
    use super::Number;
    use std::cmp::Ordering;

    const PLACES: usize = 600;

    pub(super) struct Decimal {
        negative: bool,
        digits: [u8; PLACES],
    }

    impl Decimal {
        pub(super) fn new(number: &Number) -> Self {
            let text = number.to_string();
            let negative = text.starts_with('-');
            let text = text.trim_start_matches('-');
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let mut digits = [0; PLACES];
            for (at, digit) in whole.bytes().rev().enumerate() {
                digits[300 + at] = digit - b'0';
            }
            for (at, digit) in fraction.bytes().enumerate() {
                digits[299 - at] = digit - b'0';
            }
            Self { negative, digits }
        }

        fn magnitude(&self, other: &Self) -> Ordering {
            self.digits.iter().rev().cmp(other.digits.iter().rev())
        }

        pub(super) fn compare(&self, other: &Self) -> Ordering {
            match (self.negative, other.negative) {
                (false, true) => Ordering::Greater,
                (true, false) => Ordering::Less,
                (false, false) => self.magnitude(other),
                (true, true) => other.magnitude(self),
            }
        }

        pub(super) fn add(&self, other: &Self) -> Self {
            let mut digits = [0; PLACES];
            if self.negative == other.negative {
                let mut carry = 0;
                for (at, digit) in digits.iter_mut().enumerate() {
                    let sum = self.digits[at] + other.digits[at] + carry;
                    (*digit, carry) = (sum % 10, sum / 10);
                }
                return Self { negative: self.negative, digits };
            }
            let (large, small) = if self.magnitude(other).is_ge() { (self, other) } else { (other, self) };
            let mut borrow = 0;
            for (at, digit) in digits.iter_mut().enumerate() {
                let (have, take) = (large.digits[at], small.digits[at] + borrow);
                (*digit, borrow) = if have >= take { (have - take, 0) } else { (have + 10 - take, 1) };
            }
            Self { negative: large.negative, digits }
        }

        pub(super) fn text(&self) -> String {
            let sign = if self.negative { "-" } else { "" };
            let digits: String = self.digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect();
            format!("{sign}{}.{}", &digits[..300], &digits[300..])
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn output_reads_back(number in any_number()) {
        prop_assert_eq!(Number::parse(&number.to_string()).unwrap(), number);
        let bytes = postcard::to_stdvec(&number).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Number>(&bytes).unwrap(), number);
        let json = serde_json::to_string(&number).unwrap();
        prop_assert_eq!(serde_json::from_str::<Number>(&json).unwrap(), number);
    }

    #[test]
    fn sums_and_order_are_those_of_arithmetic_by_hand(a in any_number(), b in any_number()) {
        let (by_hand_a, by_hand_b) = (naive::Decimal::new(&a), naive::Decimal::new(&b));
        prop_assert_eq!(a.cmp(&b), by_hand_a.compare(&by_hand_b));
        let expected = Number::parse(&by_hand_a.add(&by_hand_b).text()).map_err(|error| {
            let too_many_digits = error.message == NumberError::TooManyDigits.to_string();
            if too_many_digits { NumberError::Overflow.into() } else { error }
        });
        prop_assert_eq!(a.add(&b), expected.clone());
        prop_assert_eq!(b.add(&a), expected);
        prop_assert_eq!(a.sub(&b), a.add(&b.negated()));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[-+.eE0-9]{0,60}|.{0,20}") {
        let _ = Number::parse(&text);
    }
}
