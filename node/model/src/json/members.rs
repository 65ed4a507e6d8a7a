//! What may stand behind a type's letter, and what DynamoDB calls anything else that stands there.

use crate::limits::ITEM_BYTES_MAX;
use base64::{DecodeError, Engine, engine::general_purpose::STANDARD};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::{fmt, marker::PhantomData};

pub(super) const NOT_EXPECTED: &str = "Start of structure or map found where not expected";

/// More than an item can hold, of which one may be empty.
const MEMBERS_KEPT_MAX: usize = ITEM_BYTES_MAX + 2;

/// How JSON's scalars are read as a type of the request.
pub(super) trait Member<'de>: Sized {
    /// What DynamoDB's messages call the type.
    const NAME: &'static str;
    /// The Java class an array in its place is not.
    const CLASS: &'static str;

    fn from_text<E: Error>(text: &str) -> Result<Self, E>;

    fn from_string<E: Error>(text: String) -> Result<Self, E> {
        Self::from_text(&text)
    }

    fn from_bool<E: Error>(value: bool) -> Result<Self, E> {
        let found = if value { "TRUE_VALUE" } else { "FALSE_VALUE" };
        Err(E::custom(format_args!("{found} cannot be converted to {}", Self::NAME)))
    }

    fn from_number<E: Error>(found: &str) -> Result<Self, E> {
        Err(E::custom(format_args!("{found} cannot be converted to {}", Self::NAME)))
    }

    /// Whether its value is one that DynamoDB's validation refuses.
    fn is_refused(&self) -> bool {
        false
    }
}

/// Reads a [`Member`]; none for JSON's null, which DynamoDB takes for an absent one.
pub(super) struct MemberSeed<T>(PhantomData<T>);

impl<T> MemberSeed<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Member<'de>> DeserializeSeed<'de> for MemberSeed<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Member<'de>> Visitor<'de> for MemberSeed<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::NAME)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        T::from_text(text).map(Some)
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        T::from_string(text).map(Some)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        T::from_bool(value).map(Some)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        T::from_number("NUMBER_VALUE").map(Some)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        T::from_number("NUMBER_VALUE").map(Some)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        T::from_number("DECIMAL_VALUE").map(Some)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(A::Error::custom(format_args!("Unrecognized collection type class {}", T::CLASS)))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(A::Error::custom(NOT_EXPECTED))
    }
}

impl Member<'_> for String {
    const NAME: &'static str = "String";
    const CLASS: &'static str = "java.lang.String";

    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        Ok(text.to_owned())
    }

    fn from_string<E: Error>(text: String) -> Result<Self, E> {
        Ok(text)
    }
}

/// A boolean, or a string DynamoDB takes for one.
impl Member<'_> for bool {
    const NAME: &'static str = "Boolean";
    const CLASS: &'static str = "java.lang.Boolean";

    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        const TRUE: [&str; 5] = ["true", "t", "yes", "y", "1"];
        const FALSE: [&str; 5] = ["false", "f", "no", "n", "0"];
        let is = |names: [&str; 5]| names.iter().any(|name| name.eq_ignore_ascii_case(text));
        match (is(TRUE), is(FALSE)) {
            (true, _) => Ok(true),
            (_, true) => Ok(false),
            _ => Err(E::custom("Unexpected token received from parser")),
        }
    }

    fn from_bool<E: Error>(value: bool) -> Result<Self, E> {
        Ok(value)
    }
}

/// Bytes in base64.
pub(super) struct Blob(pub(super) Vec<u8>);

impl Member<'_> for Blob {
    const NAME: &'static str = "Blob";
    const CLASS: &'static str = "java.nio.ByteBuffer";

    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        STANDARD.decode(text).map(Self).map_err(|error| match error {
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding if !text.len().is_multiple_of(4) => E::custom(
                format_args!("Base64 encoded length is expected a multiple of 4 bytes but found: {}", text.len()),
            ),
            _ => E::custom("Invalid last non-pad Base64 character dectected"),
        })
    }

    fn from_bool<E: Error>(_: bool) -> Result<Self, E> {
        Err(E::custom("only base-64-encoded strings are convertible to bytes"))
    }

    fn from_number<E: Error>(_: &str) -> Result<Self, E> {
        Err(E::custom("only base-64-encoded strings are convertible to bytes"))
    }
}

/// Which collection is read: DynamoDB's words for what is found in its place differ.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// A list of anything.
    List,
    /// A map to attribute values.
    Map,
    /// An attribute value.
    Value,
}

impl Shape {
    pub(super) fn scalar<E: Error>(self) -> E {
        E::custom(match self {
            Self::List | Self::Map => "Unexpected field type",
            Self::Value => "Unexpected value type in payload",
        })
    }

    pub(super) fn array<E: Error>(self) -> E {
        E::custom(match self {
            Self::List | Self::Value => {
                "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"
            }
            Self::Map => {
                "Unrecognized collection type \
                 java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>"
            }
        })
    }
}

/// Refuses scalars in the place of a collection, and takes null for an absent one.
macro_rules! refuse_scalars {
    ($shape:expr) => {
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a collection")
        }

        fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Self::Value, E> {
            Err($shape.scalar())
        }

        fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Self::Value, E> {
            Err($shape.scalar())
        }

        fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Self::Value, E> {
            Err($shape.scalar())
        }

        fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
            Err($shape.scalar())
        }

        fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self::Value, E> {
            Err($shape.scalar())
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    };
}
pub(super) use refuse_scalars;

/// Reads a JSON array of members; a null among them is left out, and so is what follows a member that is refused, or more
/// of them than an item can hold.
pub(super) struct ListSeed<T>(PhantomData<T>);

impl<T> ListSeed<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Member<'de>> DeserializeSeed<'de> for ListSeed<T> {
    type Value = Option<Vec<T>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Member<'de>> Visitor<'de> for ListSeed<T> {
    type Value = Option<Vec<T>>;

    refuse_scalars!(Shape::List);

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_element_seed(MemberSeed::<T>::new())? {
            if members.len() < MEMBERS_KEPT_MAX && !members.last().is_some_and(T::is_refused) {
                members.extend(member);
            }
        }
        Ok(Some(members))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(A::Error::custom(NOT_EXPECTED))
    }
}
