//! What transactions are refused with as a whole.

use cairn_model::{ErrorKind, ServiceError};

/// The same token, and the first request with it is not done yet.
pub(crate) fn transaction_in_progress() -> ServiceError {
    ServiceError::new(
        ErrorKind::TransactionInProgressException,
        "The transaction with the given request token is already in progress.",
    )
}

/// The same token, and other parameters.
pub(crate) fn transaction_parameter_mismatch() -> ServiceError {
    ServiceError::new(
        ErrorKind::IdempotentParameterMismatchException,
        "An error occurred (IdempotentParameterMismatchException)",
    )
}

/// Of a request; DynamoDB says it twice.
pub(crate) fn transaction_payload_too_large(bytes: usize) -> ServiceError {
    let message = format!("Transaction payload size cannot exceed 4MB. Payload Size: {bytes}");
    ServiceError::validation(format!("Transaction payload size cannot exceed 4MB. Payload Size: : {message}"))
}

/// Of what is read.
pub(crate) fn transaction_too_large() -> ServiceError {
    ServiceError::validation(
        "Collection size of items exceeded, which can also be caused by the aggregate size of the items in the \
         transaction exceeding the 4MB limit",
    )
}

/// Nothing was done: a partition did not answer in time. SDKs ask again.
pub(crate) fn transaction_aborted() -> ServiceError {
    ServiceError::new(
        ErrorKind::ServiceUnavailable,
        "The transaction was given up, and nothing of it was done: one of its tables did not answer in time.",
    )
}

/// SDKs ask again, with the same token.
pub(crate) fn transaction_unknown() -> ServiceError {
    ServiceError::new(
        ErrorKind::InternalServerError,
        "The request could not be completed; whether the transaction was done is not known.",
    )
}
