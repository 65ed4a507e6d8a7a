//! Amazon Ion, as text: `$ion_1_0 {Item:{…}}`, one a line. Sets are lists that say so, and numbers are decimals.

use super::line::Change;
use base64::{Engine, engine::general_purpose::STANDARD};
use cairn_model::{
    AttributeValue, Item,
    codec::{CodecError, EncodedItem},
    number::Number,
    table::KeySchema,
};

/// Words that are no names of fields unless they are in quotes.
const KEYWORDS: [&str; 4] = ["null", "true", "false", "nan"];
/// Without an exponent, no more zeros than these come before the digits of a fraction.
const LEADING_ZEROS_MAX: usize = 6;

pub(super) fn item(item: &EncodedItem, out: &mut Vec<u8>) -> Result<(), CodecError> {
    out.extend_from_slice(b"$ion_1_0 {Item:");
    write_struct(&item.decode()?, out);
    out.extend_from_slice(b"}\n");
    Ok(())
}

pub(super) fn change(schema: &KeySchema, change: Change<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let names = std::iter::once(&schema.partition).chain(&schema.sort).map(|key| &key.name);
    let mut keys = Item::new();
    for name in names {
        if let Some(value) = change.latest.get(name)? {
            keys.insert(name.clone(), value);
        }
    }
    out.extend_from_slice(b"$ion_1_0 {Record:{Keys:");
    write_struct(&keys, out);
    out.extend_from_slice(b",Metadata:{WriteTimestampMicros:");
    write_decimal(&Number::from(change.micros()), out);
    out.push(b'}');
    for (name, image) in [("OldImage", change.old), ("NewImage", change.new)] {
        if let Some(image) = image {
            out.push(b',');
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
            write_struct(&image.decode()?, out);
        }
    }
    out.extend_from_slice(b"}}\n");
    Ok(())
}

fn write_struct(item: &Item, out: &mut Vec<u8>) {
    let field = |(name, value): (&String, &AttributeValue), out: &mut Vec<u8>| {
        write_name(name, out);
        out.push(b':');
        write_value(value, out);
    };
    enclosed(b'{', item.iter(), b'}', out, field);
}

fn write_value(value: &AttributeValue, out: &mut Vec<u8>) {
    match value {
        AttributeValue::S(text) => write_quoted(text, '"', out),
        AttributeValue::N(number) => write_decimal(number, out),
        AttributeValue::B(bytes) => write_blob(bytes, out),
        AttributeValue::Bool(true) => out.extend_from_slice(b"true"),
        AttributeValue::Bool(false) => out.extend_from_slice(b"false"),
        AttributeValue::Null => out.extend_from_slice(b"null"),
        AttributeValue::M(map) => write_struct(map, out),
        AttributeValue::L(list) => enclosed(b'[', list, b']', out, write_value),
        AttributeValue::Ss(set) => {
            out.extend_from_slice(b"$dynamodb_SS::");
            enclosed(b'[', set, b']', out, |text, out| write_quoted(text, '"', out));
        }
        AttributeValue::Ns(set) => {
            out.extend_from_slice(b"$dynamodb_NS::");
            enclosed(b'[', set, b']', out, write_decimal);
        }
        AttributeValue::Bs(set) => {
            out.extend_from_slice(b"$dynamodb_BS::");
            enclosed(b'[', set, b']', out, |bytes, out| write_blob(bytes, out));
        }
    }
}

/// What has a comma between each two of it.
fn enclosed<T>(
    opening: u8,
    members: impl IntoIterator<Item = T>,
    closing: u8,
    out: &mut Vec<u8>,
    write: impl Fn(T, &mut Vec<u8>),
) {
    out.push(opening);
    for (at, member) in members.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(member, out);
    }
    out.push(closing);
}

/// A field's name: as it is if that is a symbol, or else in quotes.
fn write_name(name: &str, out: &mut Vec<u8>) {
    if is_identifier(name) {
        out.extend_from_slice(name.as_bytes());
    } else {
        write_quoted(name, '\'', out);
    }
}

fn is_identifier(name: &str) -> bool {
    let begins = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$';
    // `$10` is the tenth symbol, whichever that is; a name of the language's own is none of ours.
    let is_reserved = || name.strip_prefix('$').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    name.bytes().next().is_some_and(begins)
        && name.bytes().all(|byte| begins(byte) || byte.is_ascii_digit())
        && !is_reserved()
        && !KEYWORDS.contains(&name)
}

fn write_quoted(text: &str, quote: char, out: &mut Vec<u8>) {
    let mut utf8 = [0; 4];
    out.push(quote as u8);
    for character in text.chars() {
        match character {
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            _ if character == quote => out.extend([b'\\', quote as u8]),
            // Up to U+009F.
            _ if character.is_control() => out.extend(format!("\\x{:02x}", character as u32).into_bytes()),
            _ => out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes()),
        }
    }
    out.push(quote as u8);
}

fn write_blob(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{{");
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.extend_from_slice(b"}}");
}

/// A decimal as DynamoDB's exports have it: `103.`, `6d2`, `1.5`, `1d-7`.
fn write_decimal(number: &Number, out: &mut Vec<u8>) {
    let (negative, exponent, coefficient) = number.parts();
    if negative {
        out.push(b'-');
    }
    let digits = coefficient.to_string();
    let fraction = usize::from(exponent.min(0).unsigned_abs());
    if exponent == 0 {
        out.extend_from_slice(digits.as_bytes());
        out.push(b'.');
    } else if fraction == 0 || fraction > digits.len() + LEADING_ZEROS_MAX - 1 {
        out.extend(format!("{digits}d{exponent}").into_bytes());
    } else {
        // At least one digit before the point.
        let padded = format!("{digits:0>width$}", width = fraction + 1);
        let (whole, rest) = padded.split_at(padded.len() - fraction);
        out.extend(format!("{whole}.{rest}").into_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::{
        table::{KeyAttribute, ScalarType},
        time::Timestamp,
    };

    fn line(attributes: &[(&str, AttributeValue)]) -> String {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let mut out = Vec::new();
        item(&EncodedItem::encode(&attributes.collect()), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn text(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    fn number(text: &str) -> AttributeValue {
        AttributeValue::N(Number::parse(text).unwrap())
    }

    /// The developer guide's example, on one line as it says the files have it.
    #[test]
    fn an_item_is_dynamodbs_line() {
        let item = [
            ("Authors", AttributeValue::Ss(vec!["Author1".into(), "Author2".into()])),
            ("Dimensions", text("8.5 x 11.0 x 1.5")),
            ("ISBN", text("333-3333333333")),
            ("Id", number("103")),
            ("InPublication", AttributeValue::Bool(false)),
            ("PageCount", number("600")),
            ("Price", number("2000")),
            ("ProductCategory", text("Book")),
            ("Title", text("Book 103 Title")),
        ];
        let expected = concat!(
            r#"$ion_1_0 {Item:{Authors:$dynamodb_SS::["Author1","Author2"],Dimensions:"8.5 x 11.0 x 1.5","#,
            r#"ISBN:"333-3333333333",Id:103.,InPublication:false,PageCount:6d2,Price:2d3,ProductCategory:"Book","#,
            r#"Title:"Book 103 Title"}}"#,
            "\n"
        );
        assert_eq!(line(&item), expected);
    }

    #[test]
    fn every_other_type_has_its_own() {
        let map = Item::from([("deep".to_owned(), AttributeValue::L(vec![AttributeValue::Null, text("")]))]);
        let item = [
            ("b", AttributeValue::B(vec![0, 255].into())),
            ("bs", AttributeValue::Bs(vec![vec![].into(), vec![1].into()])),
            ("m", AttributeValue::M(map)),
            ("no", AttributeValue::L(vec![])),
            ("ns", AttributeValue::Ns(vec![Number::parse("-1.5").unwrap(), Number::ZERO])),
        ];
        let expected = concat!(
            r#"{b:{{AP8=}},bs:$dynamodb_BS::[{{}},{{AQ==}}],m:{deep:[null,""]},no:[],"#,
            r#"ns:$dynamodb_NS::[-1.5,0.]}"#
        );
        assert_eq!(line(&item), format!("$ion_1_0 {{Item:{expected}}}\n"));
    }

    #[test]
    fn numbers_are_decimals_with_all_their_digits() {
        for (written, expected) in [
            ("0", "0."),
            ("-7", "-7."),
            ("10", "1d1"),
            ("-2500", "-25d2"),
            ("1E125", "1d125"),
            ("0.5", "0.5"),
            ("-12.25", "-12.25"),
            ("0.0000012", "0.0000012"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1d-7"),
            ("1E-130", "1d-130"),
            ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999."),
            ("0.12345678901234567890123456789012345678", "0.12345678901234567890123456789012345678"),
        ] {
            let mut out = Vec::new();
            write_decimal(&Number::parse(written).unwrap(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{written}");
        }
    }

    #[test]
    fn names_that_are_no_symbols_and_what_ends_a_string_are_escaped() {
        for (name, expected) in [
            ("plain_$1", "plain_$1"),
            ("$dollar", "$dollar"),
            ("null", "'null'"),
            ("true", "'true'"),
            ("$10", "'$10'"),
            ("$", "'$'"),
            ("1st", "'1st'"),
            ("a b", "'a b'"),
            ("it's \"x\"", r#"'it\'s "x"'"#),
            ("\u{e4}\n", "'\u{e4}\\n'"),
        ] {
            assert_eq!(line(&[(name, AttributeValue::Null)]), format!("$ion_1_0 {{Item:{{{expected}:null}}}}\n"));
        }
        let value = text("it's \"x\" \\ \r\n\t\0\u{7f}\u{9f}\u{1f600}");
        let expected = r#"$ion_1_0 {Item:{v:"it's \"x\" \\ \r\n\t\x00\x7f\x9f"#.to_owned() + "\u{1f600}\"}}\n";
        assert_eq!(line(&[("v", value)]), expected);
    }

    #[test]
    fn a_change_is_a_record_with_the_images_that_are_there_and_wanted() {
        let schema =
            KeySchema { partition: KeyAttribute { name: "Id".into(), scalar_type: ScalarType::S }, sort: None };
        let image = |n: &str| EncodedItem::encode(&[("Id".to_owned(), text("a")), ("N".to_owned(), number(n))].into());
        let (new, old) = (image("2"), image("1"));
        let written_at = Timestamp((7 << 16) | 3);
        let line = |latest, new, old| {
            let mut out = Vec::new();
            change(&schema, Change { written_at, latest, new, old }, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let head = r#"$ion_1_0 {Record:{Keys:{Id:"a"},Metadata:{WriteTimestampMicros:7003.}"#;
        let shown = |name: &str, n: &str| format!(r#",{name}:{{Id:"a",N:{n}.}}"#);
        let (is, was) = (shown("NewImage", "2"), shown("OldImage", "1"));
        assert_eq!(line(&new, Some(&new), None), format!("{head}{is}}}}}\n"));
        assert_eq!(line(&new, Some(&new), Some(&old)), format!("{head}{was}{is}}}}}\n"));
        assert_eq!(line(&old, None, Some(&old)), format!("{head}{was}}}}}\n"));
        assert_eq!(line(&old, None, None), format!("{head}}}}}\n"));
    }
}
