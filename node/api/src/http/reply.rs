//! Answers: headers, checksum, errors in DynamoDB's two shapes.

use super::coding::Coding;
use crate::{
    memory::{Room, budget::Share},
    output::{Object, write_list},
};
use bytes::Bytes;
use cairn_model::{ErrorKind, ServiceError, json};
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, SERVER},
};

pub(crate) type Reply = Response<Content>;

/// An answer's content, and the room that it takes for as long as it is there.
#[derive(Debug)]
pub(crate) struct Content {
    bytes: Bytes,
    /// With what was set aside for it and not needed.
    held_bytes: usize,
    share: Option<Share>,
}

impl Content {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Keeps of the room of its request what it takes.
    pub(crate) fn keep(&mut self, room: Room) {
        self.share = room.settle(self.held_bytes);
    }
}

impl From<Vec<u8>> for Content {
    fn from(content: Vec<u8>) -> Self {
        Self { held_bytes: content.capacity(), bytes: content.into(), share: None }
    }
}

impl AsRef<[u8]> for Content {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Answers of no more than this many bytes are not packed, as with DynamoDB.
const UNPACKED_BYTES_MAX: usize = 4_096;
const CRC32: HeaderName = HeaderName::from_static("x-amz-crc32");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// How the caller wants to be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyStyle {
    pub(crate) content_type: &'static str,
    pub(crate) coding: Option<Coding>,
    pub(crate) request_id: [u8; 16],
}

impl ReplyStyle {
    pub(crate) fn of(headers: &HeaderMap, content_type: &'static str, request_id: [u8; 16]) -> Self {
        Self { content_type, coding: Coding::of_answer(headers), request_id }
    }

    /// The answer of an operation.
    pub(crate) async fn success(self, content: Vec<u8>) -> Reply {
        self.json(StatusCode::OK, content).await
    }

    pub(crate) async fn failure(self, error: &ServiceError) -> Reply {
        self.json(status(error.kind), error_body(error)).await
    }

    async fn json(self, status: StatusCode, content: Vec<u8>) -> Reply {
        let Some(coding) = self.coding.filter(|_| content.len() > UNPACKED_BYTES_MAX) else {
            return plain(status, Some(self.content_type), content, &self.request_id);
        };
        match coding.pack(content).await {
            Ok(packed) => {
                let mut reply = plain(status, Some(self.content_type), packed, &self.request_id);
                reply.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
                reply
            }
            Err(error) => {
                tracing::error!(%error, "failed to pack an answer");
                plain(StatusCode::INTERNAL_SERVER_ERROR, None, Vec::new(), &self.request_id)
            }
        }
    }
}

/// An answer of any content.
pub(crate) fn plain(
    status: StatusCode,
    content_type: Option<&'static str>,
    content: Vec<u8>,
    request_id: &[u8; 16],
) -> Reply {
    let checksum = crc32fast::hash(&content);
    let mut reply = Response::new(Content::from(content));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers.insert(SERVER, HeaderValue::from_static("Server"));
    headers.insert(CRC32, HeaderValue::from(checksum));
    if let Ok(id) = HeaderValue::from_bytes(&request_id_text(request_id)) {
        headers.insert(REQUEST_ID, id);
    }
    reply
}

/// DynamoDB's ids are 52 of A–Z and 0–9: ours are the sixteen bytes, twice.
fn request_id_text(id: &[u8; 16]) -> [u8; 52] {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let mut text = [0; 52];
    for half in text.chunks_exact_mut(26) {
        let mut bits = u128::from_be_bytes(*id);
        for digit in half {
            *digit = DIGITS[(bits & 31) as usize];
            bits >>= 5;
        }
    }
    text
}

/// The errors of the front end, those of validation, and those of the service proper each have their own prefix.
fn type_prefix(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ValidationException => "com.amazon.coral.validate#",
        ErrorKind::SerializationException
        | ErrorKind::UnknownOperationException
        | ErrorKind::AccessDeniedException
        | ErrorKind::UnrecognizedClientException
        | ErrorKind::InvalidSignatureException
        | ErrorKind::MissingAuthenticationTokenException
        | ErrorKind::IncompleteSignatureException
        | ErrorKind::ThrottlingException
        | ErrorKind::ServiceUnavailable
        | ErrorKind::RequestEntityTooLarge => "com.amazon.coral.service#",
        _ => "com.amazonaws.dynamodb.v20120810#",
    }
}

/// The exception's name, as clients and metrics see it.
pub(crate) fn type_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ValidationException => "ValidationException",
        ErrorKind::ConditionalCheckFailedException => "ConditionalCheckFailedException",
        ErrorKind::ResourceNotFoundException => "ResourceNotFoundException",
        ErrorKind::ResourceInUseException => "ResourceInUseException",
        ErrorKind::LimitExceededException => "LimitExceededException",
        ErrorKind::ItemCollectionSizeLimitExceededException => "ItemCollectionSizeLimitExceededException",
        ErrorKind::ProvisionedThroughputExceededException => "ProvisionedThroughputExceededException",
        ErrorKind::RequestLimitExceeded => "RequestLimitExceeded",
        ErrorKind::ThrottlingException => "ThrottlingException",
        ErrorKind::InternalServerError => "InternalServerError",
        ErrorKind::SerializationException => "SerializationException",
        ErrorKind::UnknownOperationException => "UnknownOperationException",
        ErrorKind::AccessDeniedException => "AccessDeniedException",
        ErrorKind::UnrecognizedClientException => "UnrecognizedClientException",
        ErrorKind::InvalidSignatureException => "InvalidSignatureException",
        ErrorKind::MissingAuthenticationTokenException => "MissingAuthenticationTokenException",
        ErrorKind::IncompleteSignatureException => "IncompleteSignatureException",
        ErrorKind::RequestEntityTooLarge => "RequestEntityTooLarge",
        ErrorKind::ServiceUnavailable => "ServiceUnavailable",
        ErrorKind::TableNotFoundException => "TableNotFoundException",
        ErrorKind::TableAlreadyExistsException => "TableAlreadyExistsException",
        ErrorKind::TableInUseException => "TableInUseException",
        ErrorKind::BackupNotFoundException => "BackupNotFoundException",
        ErrorKind::BackupInUseException => "BackupInUseException",
        ErrorKind::ContinuousBackupsUnavailableException => "ContinuousBackupsUnavailableException",
        ErrorKind::PointInTimeRecoveryUnavailableException => "PointInTimeRecoveryUnavailableException",
        ErrorKind::InvalidRestoreTimeException => "InvalidRestoreTimeException",
        ErrorKind::ExportNotFoundException => "ExportNotFoundException",
        ErrorKind::ExportConflictException => "ExportConflictException",
        ErrorKind::InvalidExportTimeException => "InvalidExportTimeException",
        ErrorKind::ImportNotFoundException => "ImportNotFoundException",
        ErrorKind::ImportConflictException => "ImportConflictException",
        ErrorKind::GlobalTableNotFoundException => "GlobalTableNotFoundException",
        ErrorKind::GlobalTableAlreadyExistsException => "GlobalTableAlreadyExistsException",
        ErrorKind::ReplicaAlreadyExistsException => "ReplicaAlreadyExistsException",
        ErrorKind::ReplicaNotFoundException => "ReplicaNotFoundException",
        ErrorKind::DuplicateItemException => "DuplicateItemException",
        ErrorKind::TrimmedDataAccessException => "TrimmedDataAccessException",
        ErrorKind::ExpiredIteratorException => "ExpiredIteratorException",
        ErrorKind::TransactionCanceledException => "TransactionCanceledException",
        ErrorKind::TransactionConflictException => "TransactionConflictException",
        ErrorKind::TransactionInProgressException => "TransactionInProgressException",
        ErrorKind::IdempotentParameterMismatchException => "IdempotentParameterMismatchException",
    }
}

fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InternalServerError => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorKind::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::RequestEntityTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn error_body(error: &ServiceError) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + error.message.len());
    out.extend_from_slice(b"{\"__type\":\"");
    out.extend_from_slice(type_prefix(error.kind).as_bytes());
    out.extend_from_slice(type_name(error.kind).as_bytes());
    out.push(b'"');
    if !error.message.is_empty() {
        // The errors whose field begins with a capital.
        let field: &[u8] = match error.kind {
            ErrorKind::SerializationException
            | ErrorKind::AccessDeniedException
            | ErrorKind::TransactionCanceledException
            | ErrorKind::TransactionInProgressException
            | ErrorKind::IdempotentParameterMismatchException => b",\"Message\":",
            _ if error.item.is_some() => b",\"Message\":",
            _ => b",\"message\":",
        };
        out.extend_from_slice(field);
        json::write_string(&error.message, &mut out);
    }
    if let Some(item) = &error.item {
        out.extend_from_slice(b",\"Item\":");
        json::write_item(item, &mut out);
    }
    write_throttling_reasons(error, &mut out);
    if !error.cancellation_reasons.is_empty() {
        out.extend_from_slice(b",\"CancellationReasons\":");
        write_list(&mut out, &error.cancellation_reasons, |reason, out| {
            let mut object = Object::begin(out);
            object.text("Code", reason.code);
            if let Some(message) = &reason.message {
                object.text("Message", message);
            }
            if let Some(item) = &reason.item {
                object.item("Item", item);
            }
            object.end();
        });
    }
    out.push(b'}');
    out
}

/// The one error that the front end has too spells the field otherwise.
fn write_throttling_reasons(error: &ServiceError, out: &mut Vec<u8>) {
    if error.throttling_reasons.is_empty() {
        return;
    }
    let field: &[u8] = match error.kind {
        ErrorKind::ThrottlingException => b",\"throttlingReasons\":",
        _ => b",\"ThrottlingReasons\":",
    };
    out.extend_from_slice(field);
    write_list(out, &error.throttling_reasons, |reason, out| {
        let mut object = Object::begin(out);
        object.text("reason", reason.reason);
        object.text("resource", &reason.resource);
        object.end();
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::throttling::{CapacityKind, LimitType, TableLimit};

    #[test]
    fn a_throttled_request_is_told_which_limit_it_met() {
        let told = |limit| {
            let met = TableLimit { capacity: CapacityKind::Read, limit };
            serde_json::from_slice::<serde_json::Value>(&error_body(&met.exceeded("arn:users"))).unwrap()
        };
        let reasons = |reason| serde_json::json!([{"reason": reason, "resource": "arn:users"}]);
        let provisioned = told(LimitType::Provisioned);
        assert_eq!(provisioned["__type"], "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException");
        assert_eq!(provisioned["ThrottlingReasons"], reasons("TableReadProvisionedThroughputExceeded"));
        let on_demand = told(LimitType::MaxOnDemand);
        assert_eq!(on_demand["throttlingReasons"], reasons("TableReadMaxOnDemandThroughputExceeded"));
    }

    #[test]
    fn a_request_id_is_fifty_two_letters_and_digits() {
        let text = request_id_text(&[0xA7; 16]);
        assert!(text.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));
        assert_ne!(text, request_id_text(&[0xA6; 16]));
    }
}
