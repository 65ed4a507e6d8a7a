use super::*;
use crate::{AttributeValue, Item, arbitrary::any_item, codec::EncodedItem, limits::ITEM_BYTES_MAX, size::item_size};
use proptest::prelude::*;

fn read(json: &str) -> Result<Item, ServiceError> {
    serde_json::from_str::<JsonItem>(json).map_err(|error| serialization_error(&error))?.into_item()
}

/// The message for one value.
fn refused(value: &str) -> String {
    let error = read(&format!("{{\"a\":{value}}}")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::ValidationException, "{error}");
    error.message
}

fn unreadable(json: &str) -> String {
    let error = read(json).unwrap_err();
    assert_eq!(error.kind, ErrorKind::SerializationException, "{error}");
    error.message
}

#[test]
fn values_are_refused_in_dynamodbs_words() {
    let invalid = "One or more parameter values were invalid:";
    for (value, message) in [
        ("{}", "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes".to_owned()),
        ("null", "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes".to_owned()),
        (
            r#"{"S":"a","N":"1"}"#,
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported \
             datatypes"
                .to_owned(),
        ),
        (r#"{"N":"b"}"#, "The parameter cannot be converted to a numeric value: b".to_owned()),
        (r#"{"NULL":false}"#, format!("{invalid} Null attribute value types must have the value of true")),
        (r#"{"SS":[]}"#, format!("{invalid} An string set  may not be empty")),
        (r#"{"NS":[]}"#, format!("{invalid} An number set  may not be empty")),
        (r#"{"BS":[]}"#, format!("{invalid} Binary sets should not be empty")),
        (
            r#"{"SS":["b","a","b","C"]}"#,
            format!("{invalid} Input collection [\"a\", \"b\", \"b\", \"C\"] contains duplicates."),
        ),
        (r#"{"NS":["1","1.0"]}"#, format!("{invalid} Input collection contains duplicates.")),
        (
            r#"{"BS":["AA==","AA=="]}"#,
            format!("{invalid} Input collection [\"AA==\",\"AA==\"]of type BS contains duplicates."),
        ),
        (r#"{"M":{"":{"S":"a"}}}"#, "Empty attribute name".to_owned()),
    ] {
        assert_eq!(refused(value), message, "{value}");
        assert_eq!(refused(&format!("{{\"L\":[{value}]}}")), message, "{value} in a list");
    }
}

#[test]
fn numbers_and_repeated_members_have_older_words_too() {
    let invalid = "One or more parameter values were invalid:";
    for (value, message) in [
        (r#"{"N":""}"#, "The parameter cannot be converted to a numeric value".to_owned()),
        (
            r#"{"L":[{"N":"1e2147483648"}]}"#,
            "The parameter cannot be converted to a numeric value: 1e2147483648".to_owned(),
        ),
        (r#"{"SS":["b","a","b"]}"#, format!("{invalid} Input collection [b, a, b] contains duplicates.")),
        (r#"{"NS":["2","1","2"]}"#, "Input collection contains duplicates".to_owned()),
        (
            r#"{"BS":["/w==","AA==","AA=="]}"#,
            format!("{invalid} Input collection [/w==, AA==, AA==]of type BS contains duplicates."),
        ),
        (r#"{"SS":[]}"#, format!("{invalid} An string set  may not be empty")),
    ] {
        let read: JsonValue = serde_json::from_str(value).unwrap();
        assert_eq!(read.is_told_otherwise_before(), !value.contains("[]"), "{value}");
        assert_eq!(read.into_value_as_before().unwrap_err().message, message, "{value}");
        let item: JsonItem = serde_json::from_str(&format!("{{\"a\":{value}}}")).unwrap();
        assert_eq!(item.into_item_as_before().unwrap_err().message, message, "{value}");
    }
}

#[test]
fn a_wrong_shape_is_a_serialization_exception() {
    for (json, message) in [
        (r#"{"a":{"S":1}}"#, "NUMBER_VALUE cannot be converted to String"),
        (r#"{"a":{"S":1.5}}"#, "DECIMAL_VALUE cannot be converted to String"),
        (r#"{"a":{"N":true}}"#, "TRUE_VALUE cannot be converted to String"),
        (r#"{"a":{"S":[]}}"#, "Unrecognized collection type class java.lang.String"),
        (r#"{"a":{"S":{}}}"#, "Start of structure or map found where not expected"),
        (r#"{"a":{"BOOL":"maybe"}}"#, "Unexpected token received from parser"),
        (r#"{"a":{"BOOL":1}}"#, "NUMBER_VALUE cannot be converted to Boolean"),
        (r#"{"a":{"B":1}}"#, "only base-64-encoded strings are convertible to bytes"),
        (r#"{"a":{"B":"YQ"}}"#, "Base64 encoded length is expected a multiple of 4 bytes but found: 2"),
        (r#"{"a":{"B":"YR=="}}"#, "Invalid last non-pad Base64 character dectected"),
        (r#"{"a":{"SS":"b"}}"#, "Unexpected field type"),
        (r#"{"a":{"SS":{}}}"#, "Start of structure or map found where not expected"),
        (r#"{"a":{"L":{}}}"#, "Start of structure or map found where not expected"),
        (r#"{"a":{"L":["b"]}}"#, "Unexpected value type in payload"),
        (r#"{"a":{"M":1}}"#, "Unexpected field type"),
        (r#"{"a":1}"#, "Unexpected value type in payload"),
        (r#"{"a":[]}"#, "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"),
        (
            "[]",
            "Unrecognized collection type java.util.Map<java.lang.String, \
             com.amazonaws.dynamodb.v20120810.AttributeValue>",
        ),
        (r#"{"a":{"S":"b"}"#, ""),
        ("{", ""),
    ] {
        assert_eq!(unreadable(json), message, "{json}");
    }
}

#[test]
fn a_wrong_shape_goes_before_a_wrong_value() {
    assert_eq!(unreadable(r#"{"a":{"N":"b"},"c":{"S":1}}"#), "NUMBER_VALUE cannot be converted to String");
}

#[test]
fn strings_that_read_as_booleans_do() {
    let item = read(r#"{"a":{"BOOL":"Yes"},"b":{"BOOL":"F"},"c":{"NULL":"true"},"d":{"S":null,"N":"1"}}"#).unwrap();
    assert_eq!(item["a"], AttributeValue::Bool(true));
    assert_eq!(item["b"], AttributeValue::Bool(false));
    assert_eq!(item["c"], AttributeValue::Null);
    assert_eq!(item["d"].type_name(), "N");
}

#[test]
fn sets_come_sorted() {
    let item = read(r#"{"a":{"NS":["10","9","-1"]},"b":{"SS":["b","a"]},"c":{"BS":["/w==","AA=="]}}"#).unwrap();
    let mut out = Vec::new();
    write_item(&item, &mut out);
    let expected = r#"{"a":{"NS":["-1","9","10"]},"b":{"SS":["a","b"]},"c":{"BS":["AA==","/w=="]}}"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn nesting_is_bounded_at_32_levels_however_deep_the_body_goes() {
    let nested = |depth: usize| format!("{{\"a\":{}{{\"S\":\"b\"}}{}}}", "{\"L\":[".repeat(depth), "]}".repeat(depth));
    assert!(read(&nested(31)).is_ok());
    for depth in [32, 33, 60, 20_000] {
        assert_eq!(
            read(&nested(depth)).unwrap_err().message,
            "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported \
             limit",
            "{depth}"
        );
    }
}

/// As ten of its regions were seen to tell of a transaction's item.
#[test]
fn an_item_s_own_empty_name_is_told_before_a_depth_and_that_before_an_inner_one() {
    let deep = format!("\"d\":{}{{\"S\":\"\"}}{}", "{\"M\":{\"n\":".repeat(40), "}}".repeat(40));
    let (own, inner) = (r#""":{"S":"x"}"#, r#""m":{"M":{"":{"S":"x"}}}"#);
    let told = |members: &[&str]| read(&format!("{{{}}}", members.join(","))).unwrap_err().message;
    for members in [[own, &deep], [&deep, own]] {
        assert_eq!(told(&members), "Empty attribute name");
    }
    for members in [[inner, own, &deep], [inner, &deep, own], [&deep, inner, own]] {
        assert_eq!(told(&members), "Empty attribute name");
    }
    for members in [[inner, &deep], [&deep, inner]] {
        assert!(told(&members).starts_with("Nesting Levels have exceeded supported limits"));
    }
    assert_eq!(told(&[inner]), "Empty attribute name");
}

#[test]
fn an_attribute_name_has_64_kilobytes_at_most() {
    let named = |length: usize| format!("{{\"{}\":{{\"S\":\"\"}}}}", "n".repeat(length));
    assert!(read(&named(65_535)).is_ok());
    assert_eq!(read(&named(65_536)).unwrap_err().kind, ErrorKind::ValidationException);
}

#[test]
fn an_item_has_no_more_values_than_it_has_bytes_and_the_largest_is_read() {
    let list = |element: &str, count: usize| format!("{{\"a\":{{\"L\":[{}]}}}}", vec![element; count].join(","));
    let empty = r#"{"S":""}"#;
    let largest = read(&list(empty, ITEM_BYTES_MAX - 4)).unwrap();
    assert_eq!(item_size(&largest), ITEM_BYTES_MAX);
    assert!(read(&list(r#"{"SS":[""]}"#, ITEM_BYTES_MAX - 4)).is_ok());
    let members = format!("{{\"a\":{{\"SS\":[{}]}}}}", vec!["\"\""; ITEM_BYTES_MAX + 2].join(","));
    for json in [list(empty, ITEM_BYTES_MAX), members] {
        assert_eq!(read(&json).unwrap_err().message, "Item size has exceeded the maximum allowed size");
    }
}

#[test]
fn what_follows_a_problem_is_not_kept() {
    let elements = format!("{{\"a\":{{\"L\":[{}]}}}}", vec!["{}"; 1_000].join(","));
    let numbers = format!("{{\"a\":{{\"NS\":[{}]}}}}", vec!["\"x\""; 1_000].join(","));
    for json in [elements, numbers] {
        let read: JsonItem = serde_json::from_str(&json).unwrap();
        assert!(format!("{read:?}").len() < 1_000, "{read:?}");
        assert!(read.into_item().is_err());
    }
}

#[test]
fn control_characters_are_escaped() {
    let mut out = Vec::new();
    write_string("a\"b\\c\n\r\t\u{1}\u{7f}é😀", &mut out);
    assert_eq!(out, "\"a\\\"b\\\\c\\n\\r\\t\\u0001\u{7f}é😀\"".as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn items_come_back_and_stored_bytes_give_the_same_json(item in any_item()) {
        let (mut from_item, mut from_bytes) = (Vec::new(), Vec::new());
        write_item(&item, &mut from_item);
        write_encoded_item(&EncodedItem::encode(&item), &mut from_bytes).unwrap();
        prop_assert_eq!(&from_item, &from_bytes);
        let read: JsonItem = serde_json::from_slice(&from_item).unwrap();
        prop_assert_eq!(read.into_item().unwrap(), item);
    }

    #[test]
    fn strings_are_what_serde_json_reads(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
        let mut out = Vec::new();
        write_string(&text, &mut out);
        prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(json in r#"(\{|\}|\[|\]|:|,|"(S|N|B|BOOL|NULL|M|L|SS|NS|BS|a)"|"[01]"|1|true|null){0,30}"#) {
        let _ = read(&json);
        let _ = serde_json::from_str::<JsonValue>(&json).map(JsonValue::into_value);
    }
}
