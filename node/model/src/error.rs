//! The errors DynamoDB's clients see. How one becomes an HTTP answer is the api package's business.

use crate::{Item, throttling::ThrottlingReason};
use serde::{Deserialize, Serialize};

/// An error of the DynamoDB API: which exception, and the text its clients read.
///
/// Serializable, because a storage node answers its router with one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind:?}: {message}")]
pub struct ServiceError {
    pub kind: ErrorKind,
    pub message: String,
    /// The item a failed condition met, when `ReturnValuesOnConditionCheckFailure` asked for it.
    pub item: Option<Item>,
    /// How large the item was that a failed condition met, in bytes. Known where that was decided, which is where it is charged, and to
    /// whoever asked there; of what is kept for a retry it is not.
    #[serde(skip)]
    pub met_bytes: u32,
    /// Of a transaction that was cancelled: for each action why, if it was for it. A storage node never has any.
    #[serde(skip)]
    pub cancellation_reasons: Vec<CancellationReason>,
    /// Which limits a throttled request met. Of the answer to the client alone: between nodes a limit travels as such.
    #[serde(skip)]
    pub throttling_reasons: Vec<ThrottlingReason>,
}

/// Why a transaction was cancelled, as far as one of its actions is concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct CancellationReason {
    /// DynamoDB's word for it; `None` of an action that it was not for.
    pub code: &'static str,
    pub message: Option<String>,
    pub item: Option<Item>,
}

/// The exception's name; variants are only ever added at the end (the order is on the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorKind {
    ValidationException,
    ConditionalCheckFailedException,
    ResourceNotFoundException,
    ResourceInUseException,
    LimitExceededException,
    ItemCollectionSizeLimitExceededException,
    ProvisionedThroughputExceededException,
    RequestLimitExceeded,
    ThrottlingException,
    InternalServerError,
    SerializationException,
    UnknownOperationException,
    AccessDeniedException,
    UnrecognizedClientException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    IncompleteSignatureException,
    RequestEntityTooLarge,
    ServiceUnavailable,
    TableNotFoundException,
    TableAlreadyExistsException,
    TableInUseException,
    BackupNotFoundException,
    BackupInUseException,
    ContinuousBackupsUnavailableException,
    PointInTimeRecoveryUnavailableException,
    InvalidRestoreTimeException,
    ExportNotFoundException,
    ExportConflictException,
    InvalidExportTimeException,
    ImportNotFoundException,
    ImportConflictException,
    GlobalTableNotFoundException,
    GlobalTableAlreadyExistsException,
    ReplicaAlreadyExistsException,
    ReplicaNotFoundException,
    DuplicateItemException,
    TrimmedDataAccessException,
    ExpiredIteratorException,
    TransactionCanceledException,
    TransactionConflictException,
    TransactionInProgressException,
    IdempotentParameterMismatchException,
}

impl ServiceError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let (cancellation_reasons, throttling_reasons) = (Vec::new(), Vec::new());
        Self { kind, message: message.into(), item: None, met_bytes: 0, cancellation_reasons, throttling_reasons }
    }

    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::ValidationException, message)
    }

    /// Whether a key attribute would be empty. That refuses a transaction as a request; what else is wrong with an item is a reason
    /// to cancel it.
    pub fn is_of_empty_key(&self) -> bool {
        let kinds = ["empty string value", "empty binary value"];
        self.kind == ErrorKind::ValidationException && kinds.iter().any(|kind| self.message.contains(kind))
    }
}
