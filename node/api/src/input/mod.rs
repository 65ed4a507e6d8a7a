//! Requests: from the body's bytes to a typed input, in one pass where all is well.

pub(crate) mod fields;
pub(crate) mod shape;

use cairn_model::{ServiceError, json};
use serde::de::DeserializeOwned;
use serde_json::Value;
use shape::{Shape, serialization};

/// DynamoDB's words about values that lie too deep in each other.
const NESTING: &str = "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels \
     beyond supported limit";

/// The typed form of an operation's request.
pub(crate) trait Input: DeserializeOwned {
    /// The request's fields, for DynamoDB's words about one that is of the wrong type.
    const FIELDS: &'static [(&'static str, Shape)];
}

/// Reads a request. What is of the right type but not allowed is for the operation to find.
pub(crate) fn parse<T: Input>(body: &[u8]) -> Result<T, ServiceError> {
    match serde_json::from_slice(body) {
        Ok(input) => Ok(input),
        Err(error) => parse_slowly(body, &error),
    }
}

/// Either finds what is wrong, or reads what only the fast way could not: a repeated field (the last one counts).
fn parse_slowly<T: Input>(body: &[u8], error: &serde_json::Error) -> Result<T, ServiceError> {
    if error.to_string().starts_with("recursion limit exceeded") {
        return Err(ServiceError::validation(NESTING));
    }
    let request: Value = serde_json::from_slice(body).map_err(|_| serialization(""))?;
    shape::check(T::FIELDS, &request)?;
    serde_json::from_value(request).map_err(|error| match json::serialization_error(&error) {
        // A null among a list's elements: what is wrong with it is in serde's words, not DynamoDB's.
        error if error.message.starts_with("invalid type") => serialization(""),
        error => error,
    })
}

#[cfg(test)]
mod tests {
    use super::{fields::*, shape::*, *};
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Sample {
        name: Option<String>,
        consistent: Option<Flag>,
        limit: Option<Integer>,
        #[allow(dead_code)] // only looked at while it is read
        at: Option<Time>,
    }

    impl Input for Sample {
        const FIELDS: &'static [(&'static str, Shape)] = &[
            ("Name", Shape::Text),
            ("Consistent", Shape::Flag),
            ("Limit", Shape::Integer),
            ("At", Shape::Time),
            ("Key", ATTRIBUTES),
            ("Names", TEXTS),
            ("Keys", Shape::List(&ATTRIBUTES)),
        ];
    }

    fn message(body: &str) -> String {
        parse::<Sample>(body.as_bytes()).unwrap_err().message
    }

    #[test]
    fn scalars_are_read_as_leniently_as_dynamodb_reads_them() {
        let sample: Sample = parse(br#"{"Consistent":"yes","Limit":3.9,"Name":null,"Other":[1]}"#).unwrap();
        assert_eq!((sample.consistent, sample.limit, sample.name), (Some(Flag(true)), Some(Whole(3)), None));
        let sample: Sample = parse(br#"{"Limit":1e99}"#).unwrap();
        assert_eq!(sample.limit, Some(Whole(i64::from(i32::MAX))));
    }

    #[test]
    fn times_are_read_in_seconds_with_a_fraction() {
        let millis = |text: &str| serde_json::from_str::<Time>(text).unwrap().millis;
        assert_eq!(millis("1700000000"), 1_700_000_000_000);
        assert_eq!(millis("1700000000.123"), 1_700_000_000_123);
        assert_eq!(millis("1.7e9"), 1_700_000_000_000);
        assert_eq!((millis("-5"), millis("-5.5")), (0, 0));
        assert_eq!((millis("18446744073709551615"), millis("1e300")), (u64::MAX, u64::MAX));
    }

    #[test]
    fn the_last_of_a_repeated_field_counts() {
        let sample: Sample = parse(br#"{"Name":"a","Name":"b"}"#).unwrap();
        assert_eq!(sample.name.as_deref(), Some("b"));
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named_in_dynamodbs_words() {
        for (body, expected) in [
            ("{", ""),
            (r#"{"Name":23}"#, "NUMBER_VALUE cannot be converted to String"),
            (r#"{"Name":2.5}"#, "DECIMAL_VALUE cannot be converted to String"),
            (r#"{"Name":true}"#, "TRUE_VALUE cannot be converted to String"),
            (r#"{"Name":["a"]}"#, "Unrecognized collection type class java.lang.String"),
            (r#"{"Name":{}}"#, "Start of structure or map found where not expected"),
            (r#"{"Consistent":1}"#, "NUMBER_VALUE cannot be converted to Boolean"),
            (r#"{"Consistent":"x"}"#, "Unexpected token received from parser"),
            (r#"{"Limit":"1"}"#, "STRING_VALUE cannot be converted to Integer"),
            (r#"{"At":"2023-11-14"}"#, "STRING_VALUE cannot be converted to Date"),
        ] {
            assert_eq!(message(body), expected, "{body}");
        }
    }

    #[test]
    fn shapes_inside_shapes_are_named_in_dynamodbs_words() {
        let said = |body: &str| check(Sample::FIELDS, &serde_json::from_str(body).unwrap()).unwrap_err().message;
        for (body, expected) in [
            (r#"{"Key":"x"}"#, "Unexpected field type"),
            (
                r#"{"Key":[]}"#,
                "Unrecognized collection type java.util.Map<java.lang.String, \
                 com.amazonaws.dynamodb.v20120810.AttributeValue>",
            ),
            (r#"{"Key":{"a":1}}"#, "Unexpected value type in payload"),
            (
                r#"{"Key":{"a":[]}}"#,
                "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue",
            ),
            (r#"{"Key":{"a":{"S":1}}}"#, "NUMBER_VALUE cannot be converted to String"),
            (r#"{"Key":{"a":{"B":1}}}"#, "only base-64-encoded strings are convertible to bytes"),
            (r#"{"Key":{"a":{"B":"abc"}}}"#, "Base64 encoded length is expected a multiple of 4 bytes but found: 3"),
            (r#"{"Key":{"a":{"B":"abc1111="}}}"#, "Invalid last non-pad Base64 character dectected"),
            (r#"{"Names":{}}"#, "Start of structure or map found where not expected"),
            (r#"{"Keys":[1]}"#, PARAMETERIZED_TYPE_START),
        ] {
            assert!(said(body).starts_with(expected), "{body}: {}", said(body));
        }
    }

    const PARAMETERIZED_TYPE_START: &str =
        "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast";
}
