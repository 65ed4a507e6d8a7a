//! DynamoDB JSON: read from requests without an intermediate tree, written from values and straight from stored bytes.

mod members;
mod read;
mod write;

pub use read::{JsonItem, JsonValue};
pub use write::{write_encoded_item, write_item, write_string, write_value};

use crate::{ErrorKind, ServiceError};

/// What DynamoDB answers to a body that can't be read: a SerializationException, with a message where the JSON is
/// well-formed but of the wrong shape.
pub fn serialization_error(error: &serde_json::Error) -> ServiceError {
    let message = if error.is_data() {
        let text = error.to_string();
        let end = text.rfind(" at line ").unwrap_or(text.len());
        text[..end].to_owned()
    } else {
        String::new()
    };
    ServiceError::new(ErrorKind::SerializationException, message)
}

#[cfg(test)]
mod tests;
