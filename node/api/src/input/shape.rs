//! What a request must look like before anything is asked of its values, and DynamoDB's words where it doesn't.
//!
//! Consulted only for requests that could not be read: the fast path never comes here.

use super::fields::Flag;
use cairn_model::{ErrorKind, ServiceError};
use serde_json::Value;

/// The type of a field, in the terms of DynamoDB's own messages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Text,
    Flag,
    Integer,
    Long,
    Double,
    Time,
    Blob,
    List(&'static Shape),
    /// Java's name of the values' class, and their shape.
    Map(&'static str, &'static Shape),
    /// Java's name of the class, and its fields.
    Struct(&'static str, &'static [(&'static str, Shape)]),
    /// An attribute value: a structure that holds itself.
    Value,
}

pub(crate) const ATTRIBUTES: Shape = Shape::Map("AttributeValue", &Shape::Value);
pub(crate) const NAMES: Shape = Shape::Map("java.lang.String", &Shape::Text);
pub(crate) const TEXTS: Shape = Shape::List(&Shape::Text);

const VALUE_FIELDS: &[(&str, Shape)] = &[
    ("S", Shape::Text),
    ("B", Shape::Blob),
    ("N", Shape::Text),
    ("BOOL", Shape::Flag),
    ("NULL", Shape::Flag),
    ("BS", Shape::List(&Shape::Blob)),
    ("NS", TEXTS),
    ("SS", TEXTS),
    ("L", Shape::List(&Shape::Value)),
    ("M", ATTRIBUTES),
];

const CONDITION: Shape = Shape::Struct(
    "Condition",
    &[("AttributeValueList", Shape::List(&Shape::Value)), ("ComparisonOperator", Shape::Text)],
);
/// `KeyConditions`, `QueryFilter`, `ScanFilter`.
pub(crate) const CONDITIONS: Shape = Shape::Map("Condition", &CONDITION);

const EXPECTED_VALUE: Shape = Shape::Struct(
    "ExpectedAttributeValue",
    &[
        ("AttributeValueList", Shape::List(&Shape::Value)),
        ("ComparisonOperator", Shape::Text),
        ("Exists", Shape::Flag),
        ("Value", Shape::Value),
    ],
);
pub(crate) const EXPECTED: Shape = Shape::Map("ExpectedAttributeValue", &EXPECTED_VALUE);

/// Where a value stands: DynamoDB's messages tell a structure's field from a list's or a map's element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Field,
    Element,
}

/// Checks a whole request.
pub(crate) fn check(fields: &[(&str, Shape)], request: &Value) -> Result<(), ServiceError> {
    match request {
        Value::Object(members) => check_fields(fields, members),
        Value::Array(_) => Err(serialization("Unrecognized collection type")),
        _ => Err(serialization("Unexpected value type in payload")),
    }
}

fn check_fields(fields: &[(&str, Shape)], members: &serde_json::Map<String, Value>) -> Result<(), ServiceError> {
    fields.iter().try_for_each(|(name, shape)| match members.get(*name) {
        None | Some(Value::Null) => Ok(()),
        Some(value) => shape.check(value, Place::Field),
    })
}

impl Shape {
    fn check(&self, value: &Value, place: Place) -> Result<(), ServiceError> {
        match (self, value) {
            (_, Value::Null) => Ok(()),
            (Self::List(element), Value::Array(values)) => {
                values.iter().try_for_each(|value| element.check(value, Place::Element))
            }
            (Self::Map(_, element), Value::Object(members)) => {
                members.values().try_for_each(|value| element.check(value, Place::Element))
            }
            (Self::Struct(_, fields), Value::Object(members)) => check_fields(fields, members),
            (Self::Value, Value::Object(members)) => check_fields(VALUE_FIELDS, members),
            (
                Self::List(_)
                | Self::Text
                | Self::Flag
                | Self::Integer
                | Self::Long
                | Self::Double
                | Self::Time
                | Self::Blob,
                Value::Object(_),
            ) => Err(serialization("Start of structure or map found where not expected")),
            (_, Value::Array(_)) => Err(serialization(&format!("Unrecognized collection type {}", self.class()))),
            (Self::List(_) | Self::Map(..), _) if place == Place::Element => Err(serialization(PARAMETERIZED_TYPE)),
            (Self::Struct(..) | Self::Value, _) if place == Place::Element => {
                Err(serialization("Unexpected value type in payload"))
            }
            (Self::List(_) | Self::Map(..) | Self::Struct(..) | Self::Value, _) => {
                Err(serialization("Unexpected field type"))
            }
            (Self::Text, Value::String(_)) | (Self::Flag, Value::Bool(_)) => Ok(()),
            (Self::Integer | Self::Long | Self::Double | Self::Time, Value::Number(_)) => Ok(()),
            (Self::Flag, Value::String(word)) => match Flag::of_word(word) {
                Some(_) => Ok(()),
                None => Err(serialization("Unexpected token received from parser")),
            },
            (Self::Blob, Value::String(text)) => check_base64(text),
            (Self::Blob, _) => Err(serialization("only base-64-encoded strings are convertible to bytes")),
            (_, scalar) => {
                Err(serialization(&format!("{} cannot be converted to {}", token(scalar), self.simple_name())))
            }
        }
    }

    /// Java's name of the class a value should have been of.
    fn class(&self) -> String {
        const PACKAGE: &str = "com.amazonaws.dynamodb.v20120810";
        match self {
            Self::Blob => "class java.nio.ByteBuffer".into(),
            Self::Time => "class java.util.Date".into(),
            Self::Struct(name, _) => format!("class {PACKAGE}.{name}"),
            Self::Value => format!("class {PACKAGE}.AttributeValue"),
            Self::Map(of, _) if of.contains('.') => format!("java.util.Map<java.lang.String, {of}>"),
            Self::Map(of, _) => format!("java.util.Map<java.lang.String, {PACKAGE}.{of}>"),
            simple => format!("class java.lang.{}", simple.simple_name()),
        }
    }

    fn simple_name(&self) -> &'static str {
        match self {
            Self::Flag => "Boolean",
            Self::Integer => "Integer",
            Self::Long => "Long",
            Self::Double => "Double",
            Self::Time => "Date",
            _ => "String",
        }
    }
}

/// What Java says when it meets a scalar where a list of lists or of maps goes on.
const PARAMETERIZED_TYPE: &str = "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast \
     to class java.lang.Class (sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are \
     in module java.base of loader 'bootstrap')";

fn token(scalar: &Value) -> &'static str {
    match scalar {
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(number) if number.is_f64() => "DECIMAL_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        _ => "STRING_VALUE",
    }
}

fn check_base64(text: &str) -> Result<(), ServiceError> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    if !text.len().is_multiple_of(4) {
        return Err(serialization(&format!(
            "Base64 encoded length is expected a multiple of 4 bytes but found: {}",
            text.len()
        )));
    }
    match STANDARD.decode(text) {
        Ok(_) => Ok(()),
        // DynamoDB's spelling.
        Err(_) => Err(serialization("Invalid last non-pad Base64 character dectected")),
    }
}

pub(crate) fn serialization(message: &str) -> ServiceError {
    ServiceError::new(ErrorKind::SerializationException, message)
}
