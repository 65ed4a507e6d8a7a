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
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
            self.key_id,
            self.scope(),
            names(headers),
            self.signature("", headers, body)
        )
    }

    /// The query string of a POST to `/` with these headers, lowercase and in order.
    pub(crate) fn query(&self, headers: &[(String, String)], body: &[u8], expires_s: u32) -> String {
        let credential = format!("{}/{}", self.key_id, self.scope()).replace('/', "%2F");
        let unsigned = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={}&X-Amz-Expires={expires_s}\
             &X-Amz-SignedHeaders={}",
            self.date,
            names(headers).replace(';', "%3B")
        );
        let signature = self.signature(&unsigned, headers, body);
        format!("{unsigned}&X-Amz-Signature={signature}")
    }

    fn scope(&self) -> String {
        format!("{}/{}/dynamodb/aws4_request", &self.date[..8], self.region)
    }

    fn signature(&self, query: &str, headers: &[(String, String)], body: &[u8]) -> String {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!("POST\n/\n{query}\n{lines}\n{}\n{}", names(headers), sha256(body));
        let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{}\n{}", self.date, self.scope(), sha256(canonical.as_bytes()));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [&self.date[..8], self.region, "dynamodb", "aws4_request", &to_sign] {
            key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
        }
        hex::encode(key)
    }
}

fn names(headers: &[(String, String)]) -> String {
    headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";")
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}
