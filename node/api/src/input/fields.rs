//! The scalar fields of requests, as leniently read as DynamoDB reads them.

use cairn_model::json::JsonValue;
use serde::{Deserialize, Deserializer, de};
use std::fmt;

/// A boolean: DynamoDB also takes the words true, false, yes, no, 1 and 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) bool);

impl Flag {
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Some(Self(true)),
            "false" | "0" | "no" => Some(Self(false)),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a boolean")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Flag, E> {
                Ok(Flag(value))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Flag, E> {
                Flag::of_word(word).ok_or_else(|| E::invalid_value(de::Unexpected::Str(word), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A whole number, for 32-bit fields and 64-bit ones: a fraction is cut off, and what is out of range is the nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole<const MIN: i64, const MAX: i64>(pub(crate) i64);

pub(crate) type Integer = Whole<{ i32::MIN as i64 }, { i32::MAX as i64 }>;
pub(crate) type Long = Whole<{ i64::MIN }, { i64::MAX }>;

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const MIN: i64, const MAX: i64>;
        impl<const MIN: i64, const MAX: i64> de::Visitor<'_> for Visitor<MIN, MAX> {
            type Value = Whole<MIN, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Whole(value.clamp(MIN, MAX)))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
                self.visit_i64(i64::try_from(value).unwrap_or(i64::MAX))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
                // The cast saturates.
                self.visit_i64(value.trunc() as i64)
            }
        }
        deserializer.deserialize_any(Visitor::<MIN, MAX>)
    }
}

/// A time: seconds since the Unix epoch with a fraction in the request, whole milliseconds here. What is before the
/// epoch is the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) millis: u64,
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Time, E> {
                self.visit_u64(u64::try_from(seconds).unwrap_or(0))
            }

            fn visit_u64<E>(self, seconds: u64) -> Result<Time, E> {
                Ok(Time { millis: seconds.saturating_mul(1_000) })
            }

            fn visit_f64<E>(self, seconds: f64) -> Result<Time, E> {
                // The cast saturates.
                Ok(Time { millis: (seconds * 1_000.0).round() as u64 })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// One condition of the legacy parameters `KeyConditions`, `QueryFilter` and `ScanFilter`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LegacyCondition {
    pub(crate) attribute_value_list: Option<Vec<JsonValue>>,
    pub(crate) comparison_operator: Option<String>,
}

/// One condition of the legacy parameter `Expected`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LegacyExpected {
    pub(crate) value: Option<JsonValue>,
    pub(crate) exists: Option<Flag>,
    pub(crate) attribute_value_list: Option<Vec<JsonValue>>,
    pub(crate) comparison_operator: Option<String>,
}

/// One entry of the legacy parameter `AttributeUpdates`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LegacyUpdate {
    pub(crate) value: Option<JsonValue>,
    pub(crate) action: Option<String>,
}
