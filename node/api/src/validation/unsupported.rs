//! Parameters whose feature is not there: refused by name, never ignored.

use cairn_model::ServiceError;
use serde::Deserialize;
use serde_json::Value;

/// A parameter this program knows the name of and no more.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Unsupported(Value);

impl Unsupported {
    /// Whether it asks for nothing: empty, or switched off.
    fn is_void(&self) -> bool {
        match &self.0 {
            Value::Null | Value::Bool(false) => true,
            Value::Array(elements) => elements.is_empty(),
            Value::Object(members) => {
                members.iter().all(|(name, value)| name == "Enabled" && *value == Value::Bool(false))
            }
            _ => false,
        }
    }
}

/// Refuses a list of indexes that is there and empty.
pub(crate) fn refuse_empty_list(name: &str, is_empty: Option<bool>) -> Result<(), ServiceError> {
    match is_empty {
        Some(true) => {
            Err(ServiceError::validation(format!("One or more parameter values were invalid: List of {name} is empty")))
        }
        _ => Ok(()),
    }
}

/// Refuses the first of these parameters that asks for something.
pub(crate) fn refuse<'a>(
    parameters: impl IntoIterator<Item = (&'static str, &'a Option<Unsupported>)>,
) -> Result<(), ServiceError> {
    let asked = |parameter: &Option<Unsupported>| parameter.as_ref().is_some_and(|parameter| !parameter.is_void());
    match parameters.into_iter().find(|(_, parameter)| asked(parameter)) {
        Some((name, _)) => Err(unsupported(name)),
        None => Ok(()),
    }
}

pub(crate) fn unsupported(name: &str) -> ServiceError {
    ServiceError::validation(format!(
        "One or more parameter values were invalid: {name} is not supported by this version of Cairn"
    ))
}
