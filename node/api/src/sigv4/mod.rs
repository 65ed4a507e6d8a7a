//! AWS Signature Version 4, in the `Authorization` header or in the query string: who signed a request, and whether it
//! is what was signed.
//!
//! The steps and their texts are DynamoDB's, in its order: shape of the header or query string, date, signed headers,
//! algorithm, scope, access key, session token, signature.

mod authorization;
mod canonical;
mod date;
mod keys;
mod query;

use crate::{
    AccessKey,
    credentials::{Authentication, Credentials},
};
use authorization::{Authorization, has_token};
use aws_lc_rs::{digest, hmac};
use cairn_model::{ErrorKind, ServiceError};
use date::SignedDate;
use hyper::{HeaderMap, Method, Uri};
use keys::SigningKeys;
use std::sync::Arc;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// As many as a request of HTTP/1.1 can have.
const SIGNED_HEADERS_MAX: usize = 100;

/// Verifies signatures of one region and service.
#[derive(Debug)]
pub(crate) struct Verifier {
    region: String,
    service: &'static str,
    authentication: Authentication,
    keys: SigningKeys,
}

/// What a request said of its signer, before its body was read: enough to refuse most that will be refused.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Any signature will do.
    Accepted {
        account: String,
    },
    Signed(Box<SignedClaim>),
}

#[derive(Debug)]
pub(crate) struct SignedClaim {
    access_key: Arc<AccessKey>,
    authorization: Authorization,
    date: SignedDate,
}

/// The parts of a request that its signature covers, its body aside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedParts<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
}

impl Claim {
    /// Whether there is a signature to verify.
    pub(crate) fn is_signed(&self) -> bool {
        matches!(self, Self::Signed(_))
    }

    pub(crate) fn account(&self) -> &str {
        match self {
            Self::Accepted { account } => account,
            Self::Signed(claim) => &claim.access_key.account,
        }
    }
}

impl Verifier {
    pub(crate) fn new(region: String, authentication: Authentication) -> Self {
        Self { region, service: "dynamodb", authentication, keys: SigningKeys::default() }
    }

    /// Everything that can be checked without the body.
    pub(crate) fn claim(&self, parts: SignedParts<'_>, now_ms: u64) -> Result<Claim, ServiceError> {
        let authorization = Authorization::of(parts.headers, parts.uri)?;
        match &self.authentication {
            Authentication::AcceptAny { account } => Ok(Claim::Accepted { account: account.clone() }),
            Authentication::Verify(credentials) => {
                let claim = self.signed_claim(authorization, credentials.as_ref(), parts, now_ms)?;
                Ok(Claim::Signed(Box::new(claim)))
            }
        }
    }

    fn signed_claim(
        &self,
        authorization: Authorization,
        credentials: &dyn Credentials,
        parts: SignedParts<'_>,
        now_ms: u64,
    ) -> Result<SignedClaim, ServiceError> {
        let date = SignedDate::of(authorization.form(), parts.headers)?;
        date.check(authorization.form(), now_ms)?;
        check_signed_headers(&authorization, parts.headers)?;
        if authorization.algorithm() != ALGORITHM {
            return Err(incomplete(format!(
                "Unsupported AWS 'algorithm': '{}' (only AWS4-HMAC-SHA256 for now). ",
                authorization.algorithm()
            )));
        }
        let scope = authorization.scope()?;
        let mut problems = String::new();
        if scope.region != self.region {
            problems += &format!("Credential should be scoped to a valid region, not '{}'. ", scope.region);
        }
        if scope.service != self.service {
            problems += &format!("Credential should be scoped to correct service: '{}'. ", self.service);
        }
        if scope.terminator != "aws4_request" {
            problems += &format!(
                "Credential should be scoped with a valid terminator: 'aws4_request', not '{}'. ",
                scope.terminator
            );
        }
        if scope.date != date.day() {
            problems += &format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
                 '{}' != '{}', from '{}'.",
                scope.date,
                date.day(),
                date.text()
            );
        }
        if !problems.is_empty() {
            return Err(invalid(problems.trim_end()));
        }
        let access_key = credentials.access_key(scope.key_id).ok_or_else(unrecognized)?;
        // Cairn gives no temporary credentials, so whoever sends a session token was given it elsewhere.
        if has_token(parts.headers, parts.uri) {
            return Err(unrecognized());
        }
        Ok(SignedClaim { access_key, authorization, date })
    }

    /// The signature, over the body's digest too.
    pub(crate) fn verify(
        &self,
        claim: &Claim,
        parts: SignedParts<'_>,
        body_digest: &digest::Digest,
    ) -> Result<(), ServiceError> {
        let Claim::Signed(claim) = claim else { return Ok(()) };
        let scope = claim.authorization.scope()?;
        let canonical = canonical::request(parts, &claim.authorization, body_digest.as_ref());
        let string_to_sign = canonical::string_to_sign(claim.date.text(), &scope, &canonical);
        let derived = self.keys.get(scope.key_id, &claim.access_key, &scope);
        // hmac::verify compares in constant time.
        let matches = hex::decode(claim.authorization.signature())
            .is_ok_and(|signature| hmac::verify(&derived.key, &string_to_sign, &signature).is_ok());
        if matches {
            return Ok(());
        }
        Err(invalid(format!(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String \
             for this request should have been\n'{}'\n\nThe String-to-Sign should have been\n'{}'\n",
            String::from_utf8_lossy(&canonical),
            String::from_utf8_lossy(&string_to_sign),
        )))
    }
}

/// The host and every `x-amz-` header that is there must be signed: else who carries the request could change them. Each
/// is named once: what is signed is written out, so that one named a thousand times would be a thousand times its length.
fn check_signed_headers(authorization: &Authorization, headers: &HeaderMap) -> Result<(), ServiceError> {
    let repeated = |(position, name)| authorization.signed_headers().take(position).any(|earlier| earlier == name);
    if authorization.signed_headers().nth(SIGNED_HEADERS_MAX).is_some()
        || authorization.signed_headers().enumerate().any(repeated)
    {
        return Err(incomplete(format!(
            "'SignedHeaders' must name each header once, and no more than {SIGNED_HEADERS_MAX} of them."
        )));
    }
    let signed = |name: &str| authorization.signed_headers().any(|signed| signed.eq_ignore_ascii_case(name));
    if !signed("host") {
        return Err(invalid("'Host' must be a 'SignedHeader' in the AWS Authorization."));
    }
    match headers.keys().find(|name| name.as_str().starts_with("x-amz-") && !signed(name.as_str())) {
        Some(name) => Err(invalid(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization."))),
        None => Ok(()),
    }
}

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::new(ErrorKind::InvalidSignatureException, message)
}

fn incomplete(message: impl Into<String>) -> ServiceError {
    ServiceError::new(ErrorKind::IncompleteSignatureException, message)
}

fn unrecognized() -> ServiceError {
    ServiceError::new(ErrorKind::UnrecognizedClientException, "The security token included in the request is invalid.")
}

#[cfg(test)]
mod tests;
