//! Why transactions are cancelled, in DynamoDB's words.

use cairn_model::{CancellationReason, ErrorKind, ServiceError};

const CONFLICT: &str = "Transaction is ongoing for the item";
/// Of an item collection that would be too large (reference, TransactionCanceledException): a write on its own has other words.
const COLLECTION_TOO_LARGE: &str = "Collection size exceeded.";

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
    let message = match error.kind {
        ErrorKind::ItemCollectionSizeLimitExceededException => COLLECTION_TOO_LARGE.to_owned(),
        _ => error.message,
    };
    CancellationReason { code, message: Some(message), item: error.item }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_says_of_a_collection_that_is_too_large_what_the_reference_says() {
        let error = |kind| ServiceError::new(kind, "as a write on its own says it");
        let reason = reason_of(error(ErrorKind::ItemCollectionSizeLimitExceededException));
        assert_eq!(reason.code, "ItemCollectionSizeLimitExceeded");
        assert_eq!(reason.message.as_deref(), Some("Collection size exceeded."));
        let other = reason_of(error(ErrorKind::ValidationException));
        assert_eq!(other.message.as_deref(), Some("as a write on its own says it"));
    }
}
