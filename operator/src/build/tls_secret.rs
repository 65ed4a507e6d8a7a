//! Secrets with certificates, in the form that cert-manager gives them too.

use crate::{FIELD_MANAGER, build::names::MANAGED_BY_LABEL, pki::IssuedCertificate};
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const AUTHORITY: &str = "ca.crt";

pub fn build(mut metadata: ObjectMeta, certificate: &IssuedCertificate) -> Secret {
    metadata.labels.get_or_insert_default().insert(MANAGED_BY_LABEL.to_owned(), FIELD_MANAGER.to_owned());
    let data = [
        (CERTIFICATE, &certificate.certificate_pem),
        (KEY, &certificate.key_pem),
        (AUTHORITY, &certificate.authority_pem),
    ];
    Secret {
        metadata,
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(data.into_iter().map(|(key, pem)| (key.to_owned(), ByteString(pem.clone().into_bytes()))).collect()),
        ..Secret::default()
    }
}

/// The certificate in a Secret; what is missing is empty.
pub fn read(secret: &Secret) -> IssuedCertificate {
    IssuedCertificate {
        certificate_pem: text(secret, CERTIFICATE).unwrap_or_default(),
        key_pem: text(secret, KEY).unwrap_or_default(),
        authority_pem: text(secret, AUTHORITY).unwrap_or_default(),
    }
}

/// Whether the operator made the Secret, and so may write it again. One of cert-manager's is left alone.
pub fn is_ours(secret: &Secret) -> bool {
    secret
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(MANAGED_BY_LABEL))
        .is_some_and(|by| by == FIELD_MANAGER)
}

/// One value of a Secret, as text.
pub fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.0.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_survives_the_way_through_its_secret() {
        let certificate =
            IssuedCertificate { certificate_pem: "one".into(), key_pem: "two".into(), authority_pem: "three".into() };
        let secret = build(ObjectMeta::default(), &certificate);
        assert_eq!(read(&secret), certificate);
        assert!(is_ours(&secret) && !is_ours(&Secret::default()));
    }
}
