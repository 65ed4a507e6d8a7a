//! A certificate as it lies in a Secret: what it says, and when it wants replacing.

use crate::error::{Error, Result};
use cairn_model::identity::Identity;
use jiff::Timestamp;
use x509_parser::{
    extensions::GeneralName,
    pem::{Pem, parse_x509_pem},
    prelude::X509Certificate,
};

/// A certificate with its key and the authority's certificate, all in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedCertificate {
    pub certificate_pem: String,
    pub key_pem: String,
    pub authority_pem: String,
}

impl std::fmt::Debug for IssuedCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedCertificate").finish_non_exhaustive()
    }
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateView {
    pub not_before_seconds: i64,
    pub not_after_seconds: i64,
    pub identity: Option<Identity>,
}

impl CertificateView {
    pub fn from_pem(pem: &str) -> Result<Self> {
        let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(unreadable)?;
        let certificate = pem.parse_x509().map_err(unreadable)?;
        Ok(Self::of(&certificate))
    }

    pub fn from_der(der: &[u8]) -> Result<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(unreadable)?;
        Ok(Self::of(&certificate))
    }

    fn of(certificate: &X509Certificate<'_>) -> Self {
        let names = certificate.subject_alternative_name().ok().flatten();
        let identity = names.and_then(|names| {
            names.value.general_names.iter().find_map(|name| match name {
                GeneralName::URI(uri) => uri.parse().ok(),
                _ => None,
            })
        });
        Self {
            not_before_seconds: certificate.validity().not_before.timestamp(),
            not_after_seconds: certificate.validity().not_after.timestamp(),
            identity,
        }
    }

    /// Whether less than a third of its life is left.
    pub fn is_old(&self, now: Timestamp) -> bool {
        let life = self.not_after_seconds - self.not_before_seconds;
        self.not_after_seconds - now.as_second() < life / 3
    }
}

impl IssuedCertificate {
    /// Whether another should be issued in its place: it is old, says another identity, comes from another authority or can't be read.
    pub fn wants_replacing(&self, identity: &Identity, authority_pem: &str, now: Timestamp) -> bool {
        self.authority_pem != authority_pem
            || self.key_pem.is_empty()
            || CertificateView::from_pem(&self.certificate_pem)
                .map_or(true, |view| view.identity.as_ref() != Some(identity) || view.is_old(now))
    }
}

/// What a router lets another cluster be known by: one authority, and others while one takes its place.
const PEER_AUTHORITIES_MAX: usize = 4;

/// Why the text is not the certificate of an authority, or several, in PEM: what another cluster gives to be known by.
pub fn check_authority(text: &str) -> Result<(), String> {
    let mut count = 0;
    for pem in Pem::iter_from_buffer(text.as_bytes()) {
        let pem = pem.map_err(|error| format!("its PEM can't be read: {error}"))?;
        if pem.label != "CERTIFICATE" {
            return Err(format!("it has a {}, which does not belong there: leave only the certificate", pem.label));
        }
        let certificate = pem.parse_x509().map_err(|error| format!("its certificate can't be read: {error}"))?;
        if !certificate.is_ca() {
            return Err("its certificate is not one of an authority".to_owned());
        }
        count += 1;
    }
    if count > PEER_AUTHORITIES_MAX {
        return Err(format!("it has {count} certificates, more than {PEER_AUTHORITIES_MAX}: leave only those in use"));
    }
    if count == 0 { Err("it has no certificate in PEM".to_owned()) } else { Ok(()) }
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::CertificateUnreadable { problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Authority;
    use cairn_model::identity::Role;
    use jiff::SignedDuration;

    fn now() -> Timestamp {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    fn identity(group: &str) -> Identity {
        Identity { region: "east".into(), namespace: "game".into(), group: group.into(), role: Role::Storage }
    }

    fn authority() -> Authority {
        let (certificate, key) = Authority::generate("test", now()).unwrap();
        Authority::from_pem("cairn-ca", &certificate, &key).unwrap()
    }

    #[test]
    fn a_certificate_says_who_it_was_issued_to() {
        let issued = authority().issue(&identity("default"), now()).unwrap();
        let view = CertificateView::from_pem(&issued.certificate_pem).unwrap();
        assert_eq!(view.identity, Some(identity("default")));
        assert!(view.not_before_seconds < now().as_second());
    }

    #[test]
    fn a_certificate_is_replaced_before_its_last_third() {
        let authority = authority();
        let issued = authority.issue(&identity("default"), now()).unwrap();
        let wants = |days: i64| {
            let then = now() + SignedDuration::from_hours(24 * days);
            issued.wants_replacing(&identity("default"), authority.certificate_pem(), then)
        };
        assert!(!wants(0) && !wants(50));
        assert!(wants(65) && wants(200));
    }

    #[test]
    fn a_certificate_of_another_identity_or_authority_is_replaced() {
        let (one, other) = (authority(), authority());
        let issued = one.issue(&identity("default"), now()).unwrap();
        assert!(issued.wants_replacing(&identity("analytics"), one.certificate_pem(), now()));
        assert!(issued.wants_replacing(&identity("default"), other.certificate_pem(), now()));
        let garbage = IssuedCertificate { certificate_pem: "no".into(), ..issued };
        assert!(garbage.wants_replacing(&identity("default"), one.certificate_pem(), now()));
    }

    #[test]
    fn an_authority_that_can_not_be_read_names_its_secret() {
        let error = Authority::from_pem("cairn-ca", "no", "no").unwrap_err();
        assert!(error.to_string().contains("cairn-ca"), "{error}");
    }
}
