//! A client's half of Signature Version 4, written from the specification and not from the service's code.

use aws_lc_rs::{digest, hmac};

pub(crate) struct Signer {
    pub(crate) key_id: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) region: &'static str,
    /// `YYYYMMDDTHHMMSSZ`.
    pub(crate) date: &'static str,
}

impl Signer {
    /// The `Authorization` header of a POST to `/` with these headers, lowercase and in order.
    pub(crate) fn authorization(&self, headers: &[(String, String)], body: &[u8]) -> String {
        let day = &self.date[..8];
        let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!("POST\n/\n\n{lines}\n{names}\n{}", sha256(body));
        let scope = format!("{day}/{}/dynamodb/aws4_request", self.region);
        let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", self.date, sha256(canonical.as_bytes()));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [day, self.region, "dynamodb", "aws4_request", &to_sign] {
            key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
        }
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            self.key_id,
            hex::encode(key)
        )
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}
