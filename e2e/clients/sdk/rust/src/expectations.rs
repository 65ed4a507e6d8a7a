//! How a step says what it expected.

use aws_sdk_dynamodb::error::SdkError;
use std::{error::Error, fmt::Debug};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Of what is shown: an item is 10 KB long.
const SHOWN: usize = 600;

pub fn same<T: PartialEq + Debug>(what: &str, found: &T, wanted: &T) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}: expected {}, got {}", shown(wanted), shown(found)).into())
}

pub fn holds(what: &str, held: bool) -> Result<()> {
    if held { Ok(()) } else { Err(what.into()) }
}

/// The service's error that a call ended in.
pub fn refused<T: Debug, E, R>(outcome: std::result::Result<T, SdkError<E, R>>) -> Result<E>
where
    E: Error + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    match outcome {
        Ok(answer) => Err(format!("expected an error, got {}", shown(&answer)).into()),
        Err(SdkError::ServiceError(error)) => Ok(error.into_err()),
        Err(other) => Err(other.into()),
    }
}

fn shown<T: Debug>(value: &T) -> String {
    format!("{value:?}").chars().take(SHOWN).collect()
}
