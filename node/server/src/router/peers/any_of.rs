//! The door's look at a certificate: each peer bundle is asked by itself. What webpki does for one certificate is limited, and
//! if all bundles were one store, those of one tenant could use that up for all others.

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use std::sync::Arc;
use x509_parser::{certificate::X509Certificate, extensions::ParsedExtension, prelude::FromDer};

/// Between a peer's certificate and its authority; Cairn's own operator makes none.
const INTERMEDIATES_MAX: usize = 4;

/// Lets in whoever one of the bundles lets in; where there are none, nobody.
#[derive(Debug, Default)]
pub(super) struct AnyOf(pub(super) Vec<Bundle>);

#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) key_ids: Vec<Vec<u8>>,
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
}

/// The subject key ids of the authorities in a PEM text.
pub(super) fn key_ids(pem: &str) -> Vec<Vec<u8>> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).flatten();
    let ids = certificates.flat_map(|certificate| {
        key_ids_in(&certificate, |extension| match extension {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        })
    });
    ids.collect()
}

fn key_ids_in(certificate: &[u8], id_of: impl Fn(&ParsedExtension<'_>) -> Option<Vec<u8>>) -> Vec<Vec<u8>> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    parsed.extensions().iter().filter_map(|extension| id_of(extension.parsed_extension())).collect()
}

impl AnyOf {
    /// First those that have the key by which a certificate says that it was signed.
    fn most_likely_first(&self, certificates: &[&CertificateDer<'_>]) -> Vec<&Bundle> {
        let signed_by = certificates.iter().flat_map(|certificate| {
            key_ids_in(certificate, |extension| match extension {
                ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
                _ => None,
            })
        });
        let signed_by: Vec<_> = signed_by.collect();
        let mut bundles: Vec<&Bundle> = self.0.iter().collect();
        bundles.sort_by_key(|bundle| !bundle.key_ids.iter().any(|id| signed_by.contains(id)));
        bundles
    }

    /// Whose signature it is does not depend on whom a bundle trusts.
    fn any(&self) -> Result<&dyn ClientCertVerifier, rustls::Error> {
        self.0.first().map(|bundle| &*bundle.verifier).ok_or_else(|| CertificateError::UnknownIssuer.into())
    }
}

impl ClientCertVerifier for AnyOf {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let mut why = CertificateError::UnknownIssuer.into();
        if intermediates.len() > INTERMEDIATES_MAX {
            return Err(why);
        }
        let shown: Vec<_> = std::iter::once(end_entity).chain(intermediates).collect();
        for (number, bundle) in self.most_likely_first(&shown).into_iter().enumerate() {
            match bundle.verifier.verify_client_cert(end_entity, intermediates, now) {
                Ok(verified) => return Ok(verified),
                // The likeliest one knows best.
                Err(error) if number == 0 => why = error,
                Err(_) => {}
            }
        }
        Err(why)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.any()?.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.any()?.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match self.any() {
            Ok(verifier) => verifier.supported_verify_schemes(),
            // A handshake needs some, to come as far as being told that nobody is let in.
            Err(_) => {
                vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519, SignatureScheme::RSA_PSS_SHA256]
            }
        }
    }
}
