//! The certificate authority of a release: an ECDSA key whose certificate everyone inside trusts.

use super::certificate::IssuedCertificate;
use crate::error::{Error, Result};
use cairn_model::identity::{INTERNAL_NAME, Identity};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};

/// For how many days an authority lives, and what it issues.
const AUTHORITY_DAYS: i64 = 3650;
const CERTIFICATE_DAYS: i64 = 90;

/// What is issued from, and the certificate that verifies it.
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority; answers with its certificate and its key, both in PEM.
    pub fn generate(name: &str, now: Timestamp) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let mut params = params(name, now, AUTHORITY_DAYS);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// Takes an authority up from its Secret.
    pub fn from_pem(secret: &str, certificate_pem: &str, key_pem: &str) -> Result<Self> {
        let problem = |problem: &str, error: rcgen::Error| Error::Authority {
            secret: secret.to_owned(),
            problem: format!("{problem}: {error}"),
        };
        let key = KeyPair::from_pem(key_pem).map_err(|error| problem("the key is not a private key in PEM", error))?;
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, key)
            .map_err(|error| problem("the certificate is not one in PEM", error))?;
        Ok(Self { certificate_pem: certificate_pem.to_owned(), issuer })
    }

    /// The certificate that verifies what this authority issues.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A certificate, with a new key, for both ends of internal calls.
    pub fn issue(&self, identity: &Identity, now: Timestamp) -> Result<IssuedCertificate> {
        let key = KeyPair::generate()?;
        let mut params = params(INTERNAL_NAME, now, CERTIFICATE_DAYS);
        params.subject_alt_names =
            vec![SanType::DnsName(INTERNAL_NAME.try_into()?), SanType::URI(identity.to_string().try_into()?)];
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(IssuedCertificate {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            authority_pem: self.certificate_pem.clone(),
        })
    }
}

/// Valid from the day before, for clocks differ.
fn params(name: &str, now: Timestamp, days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name = distinguished_name;
    params.serial_number = Some(SerialNumber::from_slice(uuid::Uuid::new_v4().as_bytes()));
    let (first, last) = (date(now, -1), date(now, days));
    params.not_before = date_time_ymd(first.0, first.1, first.2);
    params.not_after = date_time_ymd(last.0, last.1, last.2);
    params
}

/// Year, month and day, so many days on.
fn date(now: Timestamp, days: i64) -> (i32, u8, u8) {
    let date = (now + SignedDuration::from_hours(24 * days)).to_zoned(TimeZone::UTC).date();
    (date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
}
