//! Why transactions are cancelled, in DynamoDB's words.

use cairn_model::{CancellationReason, ErrorKind, ServiceError};

const CONFLICT: &str = "Transaction is ongoing for the item";

/// An action that the transaction was not cancelled for.
const NONE: CancellationReason = CancellationReason { code: "None", message: None, item: None };

/// A write of one item that meets a transaction.
pub(crate) fn conflict() -> ServiceError {
    ServiceError::new(ErrorKind::TransactionConflictException, CONFLICT)
}

pub(crate) fn conflict_reason() -> CancellationReason {
    CancellationReason { code: "TransactionConflict", message: Some(CONFLICT.to_owned()), item: None }
}

/// What went wrong with one action.
pub(crate) fn reason_of(error: ServiceError) -> CancellationReason {
    let code = match error.kind {
        ErrorKind::ConditionalCheckFailedException => "ConditionalCheckFailed",
        ErrorKind::ItemCollectionSizeLimitExceededException => "ItemCollectionSizeLimitExceeded",
        ErrorKind::ProvisionedThroughputExceededException => "ProvisionedThroughputExceeded",
        ErrorKind::ThrottlingException | ErrorKind::RequestLimitExceeded => "ThrottlingError",
        ErrorKind::DuplicateItemException => "DuplicateItem",
        _ => "ValidationError",
    };
    CancellationReason { code, message: Some(error.message), item: error.item }
}

/// The error of a transaction of which these actions are the reasons.
pub(crate) fn canceled(reasons: Vec<Option<CancellationReason>>) -> ServiceError {
    let reasons: Vec<CancellationReason> = reasons.into_iter().map(|reason| reason.unwrap_or(NONE)).collect();
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code).collect();
    let message =
        format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{}]", codes.join(", "));
    let mut error = ServiceError::new(ErrorKind::TransactionCanceledException, message);
    error.cancellation_reasons = reasons;
    error
}
