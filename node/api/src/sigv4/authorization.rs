//! The `Authorization` header's parts.

use super::{incomplete, invalid};
use cairn_model::{ErrorKind, ServiceError};
use hyper::{
    HeaderMap, Uri,
    header::{AUTHORIZATION, DATE},
};

/// An `Authorization` header with all the parts that Signature Version 4 needs.
#[derive(Debug)]
pub(super) struct Authorization {
    algorithm: String,
    credential: String,
    signed_headers: String,
    signature: String,
}

/// The credential's five elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) key_id: &'a str,
    pub(super) date: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) terminator: &'a str,
}

impl Authorization {
    pub(super) fn of(headers: &HeaderMap, uri: &Uri) -> Result<Self, ServiceError> {
        let header = headers.get(AUTHORIZATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let in_query = uri.query().is_some_and(|query| {
            query.split('&').any(|pair| pair == "X-Amz-Algorithm" || pair.starts_with("X-Amz-Algorithm="))
        });
        let Some(header) = header.filter(|text| text.trim_start().starts_with("AWS4-")) else {
            return Err(missing_token());
        };
        if in_query {
            return Err(invalid(
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
            ));
        }
        let dated = headers.contains_key("x-amz-date") || headers.contains_key(DATE);
        Self::parse(header.trim(), dated)
    }

    fn parse(header: &str, dated: bool) -> Result<Self, ServiceError> {
        let (algorithm, rest) = header.split_once(' ').unwrap_or((header, ""));
        let [mut credential, mut signature, mut signed_headers] = [None; 3];
        for part in rest.split([',', ' ']).filter(|part| !part.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                return Err(incomplete(format!(
                    "'{part}' not a valid key=value pair (missing equal-sign) in Authorization header: '{header}'."
                )));
            };
            match name {
                "Credential" => credential = Some(value),
                "Signature" => signature = Some(value),
                "SignedHeaders" => signed_headers = Some(value),
                _ => {}
            }
        }
        let mut missing = String::new();
        for (name, value) in [("Credential", credential), ("Signature", signature), ("SignedHeaders", signed_headers)] {
            if value.is_none_or(str::is_empty) {
                missing += &format!("Authorization header requires '{name}' parameter. ");
            }
        }
        if !dated {
            missing += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
        }
        match (credential, signature, signed_headers) {
            (Some(credential), Some(signature), Some(signed_headers)) if missing.is_empty() => Ok(Self {
                algorithm: algorithm.to_owned(),
                credential: credential.trim_end_matches('/').to_owned(),
                signed_headers: signed_headers.to_ascii_lowercase(),
                signature: signature.to_owned(),
            }),
            _ => Err(incomplete(format!("{missing}Authorization={header}"))),
        }
    }

    pub(super) fn algorithm(&self) -> &str {
        &self.algorithm
    }

    pub(super) fn signature(&self) -> &str {
        &self.signature
    }

    /// In the order given, which is the order they were signed in.
    pub(super) fn signed_headers(&self) -> impl Iterator<Item = &str> + Clone {
        self.signed_headers.split(';').filter(|name| !name.is_empty())
    }

    pub(super) fn scope(&self) -> Result<Scope<'_>, ServiceError> {
        let mut elements = self.credential.split('/');
        let scope = [(); 5].map(|()| elements.next());
        match scope {
            [Some(key_id), Some(date), Some(region), Some(service), Some(terminator)] if elements.next().is_none() => {
                Ok(Scope { key_id, date, region, service, terminator })
            }
            _ => Err(incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
                self.credential
            ))),
        }
    }
}

fn missing_token() -> ServiceError {
    ServiceError::new(ErrorKind::MissingAuthenticationTokenException, "Request is missing Authentication Token")
}
