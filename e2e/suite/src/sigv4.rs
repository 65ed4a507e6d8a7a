//! Signature Version 4 as an SDK makes it, written anew so that the suite shares no code with what it tests.

use aws_lc_rs::{digest, hmac};
use std::fmt::Write as _;

/// An access key and the region it is used in.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) region: String,
}

fn sha256(data: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, data))
}

fn hmac(key: &[u8], data: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data.as_bytes())
}

impl Signer {
    /// The headers of a signed `POST /` at a time of the form `20260102T030405Z`.
    pub(crate) fn headers(&self, host: &str, operation: &str, body: &[u8], time: &str) -> [(&'static str, String); 4] {
        let target = format!("DynamoDB_20120810.{operation}");
        let date = time.get(..8).unwrap_or(time);
        let scope = format!("{date}/{}/dynamodb/aws4_request", self.region);
        let names = "content-type;host;x-amz-date;x-amz-target";
        let mut canonical = String::from("POST\n/\n\ncontent-type:application/x-amz-json-1.0\n");
        let _ = write!(canonical, "host:{host}\nx-amz-date:{time}\nx-amz-target:{target}\n\n{names}\n{}", sha256(body));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let key = hmac(format!("AWS4{}", self.secret_key).as_bytes(), date);
        let key = hmac(key.as_ref(), &self.region);
        let key = hmac(key.as_ref(), "dynamodb");
        let key = hmac(key.as_ref(), "aws4_request");
        let signature = hex::encode(hmac(key.as_ref(), &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        );
        [
            ("authorization", authorization),
            ("content-type", "application/x-amz-json-1.0".to_owned()),
            ("x-amz-date", time.to_owned()),
            ("x-amz-target", target),
        ]
    }
}

/// The present time in the form that signatures carry.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Computed with botocore's SigV4Auth for the same request.
    #[test]
    fn a_request_is_signed_as_botocore_signs_it() {
        let signer = Signer { access_key: "AKID".into(), secret_key: "secret".into(), region: "east".into() };
        let headers = signer.headers("127.0.0.1:8000", "ListTables", b"{}", "20260102T030405Z");
        assert!(
            headers[0].1.ends_with("61a90004b90082c33a9f56165de1c48674f2692e6128c9276e72e8d204adb045"),
            "{}",
            headers[0].1
        );
    }
}
