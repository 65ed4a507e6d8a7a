//! `NextToken`: where a SELECT goes on, for the same statement with the same parameters only. Format version 2 (1 told of ranges that lay in another order).
//!
//! ```text
//! token    = base64 of: 02 request range after checksum
//! request  = 16 bytes     of SHA-256: the table's id, the statement, the parameters
//! range    = u16          which of the statement's ranges goes on; big-endian
//! after    = the encoded key of the last item evaluated in it; nothing at the range's beginning
//! checksum = u32          CRC-32 of all before it; big-endian
//! ```

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use cairn_model::{AttributeValue, ServiceError, ids::TableId, json};

const VERSION: u8 = 2;
const FINGERPRINT_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + FINGERPRINT_BYTES + 2;
const CHECKSUM_BYTES: usize = 4;
/// Of the token as a client has it (reference, PartiQLNextToken).
pub(crate) const TOKEN_CHARS_MAX: usize = 32_768;

/// What a token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; FINGERPRINT_BYTES]);

/// Where reading goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) range: u16,
    /// The encoded key of the last item evaluated; none at the range's beginning.
    pub(crate) after: Option<Bytes>,
}

impl Fingerprint {
    pub(crate) fn new(table: TableId, statement: &str, parameters: &[AttributeValue]) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&table.0);
        hash.update(&(statement.len() as u64).to_be_bytes());
        hash.update(statement.as_bytes());
        let mut written = Vec::new();
        for parameter in parameters {
            written.clear();
            json::write_value(parameter, &mut written);
            hash.update(&(written.len() as u64).to_be_bytes());
            hash.update(&written);
        }
        let mut fingerprint = [0; FINGERPRINT_BYTES];
        fingerprint.copy_from_slice(&hash.finish().as_ref()[..FINGERPRINT_BYTES]);
        Self(fingerprint)
    }
}

impl Position {
    pub(crate) fn to_token(&self, fingerprint: Fingerprint) -> String {
        let after = self.after.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(HEAD_BYTES + after.len() + CHECKSUM_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&fingerprint.0);
        bytes.extend_from_slice(&self.range.to_be_bytes());
        bytes.extend_from_slice(after);
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        STANDARD.encode(bytes)
    }

    /// DynamoDB's errors: one for what is no token, another for a token of another request.
    pub(crate) fn of_token(token: &str, fingerprint: Fingerprint) -> Result<Self, ServiceError> {
        let bytes = STANDARD.decode(token).map_err(|_| invalid())?;
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(invalid)?;
        let (head, after) = content.split_at_checked(HEAD_BYTES).ok_or_else(invalid)?;
        if crc32fast::hash(content) != u32::from_be_bytes(*checksum) || head[0] != VERSION {
            return Err(invalid());
        }
        let (bound_to, range) = head[1..].split_at(FINGERPRINT_BYTES);
        if bound_to != fingerprint.0 {
            return Err(ServiceError::validation("NextToken does not match request"));
        }
        let range = u16::from_be_bytes([range[0], range[1]]);
        let after = (!after.is_empty()).then(|| Bytes::copy_from_slice(after));
        Ok(Self { range, after })
    }
}

pub(crate) fn invalid() -> ServiceError {
    ServiceError::validation("Invalid NextToken")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATEMENT: &str = "SELECT * FROM t WHERE a = ?";

    fn fingerprint(statement: &str, parameter: &str) -> Fingerprint {
        Fingerprint::new(TableId([1; 16]), statement, &[AttributeValue::S(parameter.to_owned())])
    }

    fn position() -> Position {
        Position { range: 3, after: Some(Bytes::from_static(b"\x00key\xff")) }
    }

    #[test]
    fn a_token_is_read_as_it_was_given() {
        let bound = fingerprint(STATEMENT, "x");
        for position in [position(), Position::default()] {
            assert_eq!(Position::of_token(&position.to_token(bound), bound), Ok(position));
        }
    }

    #[test]
    fn a_token_is_for_its_statement_its_parameters_and_its_table_only() {
        let token = position().to_token(fingerprint(STATEMENT, "x"));
        let other_table = Fingerprint::new(TableId([2; 16]), STATEMENT, &[AttributeValue::S("x".to_owned())]);
        for other in [fingerprint("SELECT * FROM t WHERE b = ?", "x"), fingerprint(STATEMENT, "y"), other_table] {
            let error = Position::of_token(&token, other).unwrap_err();
            assert_eq!(error.message, "NextToken does not match request");
        }
    }

    #[test]
    fn a_damaged_token_is_refused() {
        let bound = fingerprint(STATEMENT, "x");
        let good = STANDARD.decode(position().to_token(bound)).unwrap();
        let refused = |bytes: &[u8]| Position::of_token(&STANDARD.encode(bytes), bound).unwrap_err().message;
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            assert_eq!(refused(&bytes), "Invalid NextToken");
            assert_eq!(refused(&good[..at]), "Invalid NextToken");
        }
        let mut of_another_version = good[..good.len() - CHECKSUM_BYTES].to_vec();
        of_another_version[0] = 1;
        let checksum = crc32fast::hash(&of_another_version);
        of_another_version.extend_from_slice(&checksum.to_be_bytes());
        assert_eq!(refused(&of_another_version), "Invalid NextToken");
        assert_eq!(Position::of_token("no base64!", bound).unwrap_err().message, "Invalid NextToken");
    }
}
