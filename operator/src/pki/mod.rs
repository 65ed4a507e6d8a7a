//! The certificates behind every internal call: the release's authority and what it issues.

pub mod authority;
pub mod certificate;

pub use authority::Authority;
pub use certificate::{CertificateView, IssuedCertificate, check_authority};
