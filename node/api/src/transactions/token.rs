//! `ClientRequestToken`: what makes a transaction that is asked for again the same.

use super::{Addressed, Identity};
use crate::{errors, operations::Call, validation::constraints::Constraints};
use aws_lc_rs::digest;
use cairn_model::{ServiceError, ids::RequestId, limits::CLIENT_TOKEN_CHARS_MAX};
use cairn_replication::{
    transaction::{Idempotency, TransactAction},
    wire,
};

pub(crate) fn constrain_token(token: Option<&str>, constraints: &mut Constraints) {
    let constraint = match token.map(|token| token.chars().count()) {
        Some(0) => "Member must have length greater than or equal to 1",
        Some(count) if count > CLIENT_TOKEN_CHARS_MAX => "Member must have length less than or equal to 36",
        _ => return,
    };
    constraints.value(token.unwrap_or_default(), "clientRequestToken", constraint);
}

/// The same for all requests of the account with this token, or, without one, for all retries of this request.
pub(crate) fn identity(
    call: &Call<'_>,
    token: Option<&str>,
    actions: &[Addressed<TransactAction>],
) -> Result<Identity, ServiceError> {
    let request_id = call.request_ids.write(0);
    let token = match token {
        Some(token) => digest_of([&b"token"[..], call.account.as_bytes(), token.as_bytes()]),
        None => digest_of([&b"request"[..], &request_id.0]),
    };
    let mut parameters = digest::Context::new(&digest::SHA256);
    for Addressed { table, what } in actions {
        let mut what = what.clone();
        if let TransactAction::Write(write) = &mut what {
            write.request_id = RequestId([0; 16]);
        }
        let encoded = wire::encode(&what).map_err(|_| errors::internal())?;
        parameters.update(&table.definition.table_id.0);
        parameters.update(&(encoded.len() as u64).to_be_bytes());
        parameters.update(&encoded);
    }
    let idempotency = Idempotency { token, parameters: sixteen(parameters) };
    Ok(Identity { idempotency, request_id, is_retry: call.request_ids.is_retry })
}

fn digest_of<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        // With its length: no two different lists are the same bytes.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    sixteen(context)
}

fn sixteen(context: digest::Context) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&context.finish().as_ref()[..16]);
    bytes
}
