//! What a request says of its signature: in its `Authorization` header, or in its query string (a presigned URL).

use super::{incomplete, invalid, query};
use cairn_model::{ErrorKind, ServiceError};
use hyper::{
    HeaderMap, Uri,
    header::{AUTHORIZATION, DATE},
};

/// The query string's parameter that its signature does not cover.
pub(super) const SIGNATURE_PARAMETER: &str = "X-Amz-Signature";
const TOKEN_PARAMETER: &str = "X-Amz-Security-Token";
/// Those that a presigned URL can't be without, in the order in which missing ones are named.
const PARAMETERS: [&str; 5] =
    ["X-Amz-Algorithm", "X-Amz-Credential", SIGNATURE_PARAMETER, "X-Amz-SignedHeaders", "X-Amz-Date"];
const EXPIRES_PARAMETER: &str = "X-Amz-Expires";
/// Seven days, the longest that a presigned URL can be good for.
const EXPIRES_S_MAX: u32 = 604_800;

/// All the parts that Signature Version 4 needs.
#[derive(Debug)]
pub(super) struct Authorization {
    algorithm: String,
    credential: String,
    signed_headers: String,
    signature: String,
    form: Form,
}

#[derive(Debug)]
pub(super) enum Form {
    Header,
    Query {
        date: String,
        /// For how long it is good, where it says so.
        expires_s: Option<u32>,
    },
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
        let query = uri.query().unwrap_or_default();
        let in_query = query::pairs(query).any(|(name, _)| name == PARAMETERS[0]);
        let mut values = headers.get_all(AUTHORIZATION).iter();
        match values.next().map(|value| String::from_utf8_lossy(value.as_bytes())) {
            Some(_) if in_query => {
                Err(invalid("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."))
            }
            None if in_query => Self::of_query(query),
            Some(header) if header.trim_start().starts_with("AWS4-") => {
                if values.next().is_some() {
                    return Err(incomplete("Found more than one 'Authorization' HTTP header."));
                }
                let dated = headers.contains_key("x-amz-date") || headers.contains_key(DATE);
                Self::of_header(header.trim(), dated)
            }
            _ => Err(missing_token()),
        }
    }

    fn of_header(header: &str, dated: bool) -> Result<Self, ServiceError> {
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
            (Some(credential), Some(signature), Some(signed_headers)) if missing.is_empty() => {
                Ok(Self::new([algorithm, credential, signature, signed_headers], Form::Header))
            }
            _ => Err(incomplete(format!("{missing}Authorization={header}"))),
        }
    }

    fn of_query(query: &str) -> Result<Self, ServiceError> {
        let mut values: [Option<String>; PARAMETERS.len()] = Default::default();
        let mut expires = None;
        let mut problems = String::new();
        for (name, value) in query::pairs(query) {
            let known = match PARAMETERS.iter().position(|known| *known == name) {
                Some(place) => &mut values[place],
                None if name == EXPIRES_PARAMETER => &mut expires,
                None => continue,
            };
            if known.replace(value).is_some() {
                problems += &format!("AWS query-string parameters must include '{name}' only once. ");
            }
        }
        for (name, value) in PARAMETERS.iter().zip(&values) {
            if value.as_ref().is_none_or(String::is_empty) {
                problems += &format!("AWS query-string parameters must include '{name}'. ");
            }
        }
        match values {
            [Some(algorithm), Some(credential), Some(signature), Some(signed_headers), Some(date)]
                if problems.is_empty() =>
            {
                let form = Form::Query { date, expires_s: expires.as_deref().map(parse_expires).transpose()? };
                Ok(Self::new([&algorithm, &credential, &signature, &signed_headers], form))
            }
            _ => Err(incomplete(format!("{problems}Re-examine the query-string parameters."))),
        }
    }

    fn new([algorithm, credential, signature, signed_headers]: [&str; 4], form: Form) -> Self {
        Self {
            algorithm: algorithm.to_owned(),
            credential: credential.trim_end_matches('/').to_owned(),
            signed_headers: signed_headers.to_ascii_lowercase(),
            signature: signature.to_owned(),
            form,
        }
    }

    pub(super) fn algorithm(&self) -> &str {
        &self.algorithm
    }

    pub(super) fn signature(&self) -> &str {
        &self.signature
    }

    pub(super) fn form(&self) -> &Form {
        &self.form
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

/// Whether a request carries a session token, in either place.
pub(super) fn has_token(headers: &HeaderMap, uri: &Uri) -> bool {
    headers.contains_key("x-amz-security-token")
        || query::pairs(uri.query().unwrap_or_default()).any(|(name, _)| name == TOKEN_PARAMETER)
}

fn parse_expires(text: &str) -> Result<u32, ServiceError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.then(|| text.parse().ok()).flatten();
    seconds.filter(|seconds| (1..=EXPIRES_S_MAX).contains(seconds)).ok_or_else(|| {
        incomplete(format!(
            "'{EXPIRES_PARAMETER}' must be a number of seconds from 1 to {EXPIRES_S_MAX}. Got '{text}'. Re-examine the \
             query-string parameters."
        ))
    })
}

fn missing_token() -> ServiceError {
    ServiceError::new(ErrorKind::MissingAuthenticationTokenException, "Request is missing Authentication Token")
}
