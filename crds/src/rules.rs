//! How CEL rules get into a schema.

use serde_json::{Value, json as object};

/// A CEL expression and what is said when it is false.
pub(crate) type Rule = (&'static str, &'static str);

/// The rules as `x-kubernetes-validations`.
pub(crate) fn json(rules: &[Rule]) -> Value {
    rules.iter().map(|(rule, message)| object!({"rule": rule, "message": message})).collect()
}
