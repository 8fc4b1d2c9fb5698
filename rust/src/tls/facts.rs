//! What is known of a connection once its handshake is over.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, CommonState, ProtocolVersion};

use super::base64::certificate_pem;
use super::resolver::Choice;
use crate::codec::x509::{Certificate, name_text};

/// A client's certificate, which was verified.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The chain as the client sent it, its own certificate first, each as PEM.
    pub chain: Vec<String>,
    /// Whose it is (RFC 4514).
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
}

/// What is known of a connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Facts {
    /// Such as `TLSv1.3`, as OpenSSL writes it.
    pub version: &'static str,
    /// Its number on the wire.
    pub version_number: u16,
    /// The cipher suite as OpenSSL names it.
    pub cipher: &'static str,
    /// Its number in IANA's registry.
    pub cipher_number: u16,
    /// The name that the client asked for.
    pub server_name: Option<Box<str>>,
    /// The certificate that it was shown, as PEM.
    pub server_certificate: Option<Arc<str>>,
    /// The client's certificate.
    pub client: Option<ClientCertificate>,
}

/// What OpenSSL calls the suites that can be agreed on.
const SUITES: [(CipherSuite, &str); 9] = [
    (
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        "TLS_AES_256_GCM_SHA384",
    ),
    (
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        "TLS_AES_128_GCM_SHA256",
    ),
    (
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_CHACHA20_POLY1305_SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-RSA-AES256-GCM-SHA384",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-RSA-AES128-GCM-SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-RSA-CHACHA20-POLY1305",
    ),
];

impl Facts {
    /// What `state` says, together with the certificate that was chosen.
    #[must_use]
    pub fn of(state: &CommonState, choice: Option<Choice>) -> Self {
        let version = state.protocol_version().unwrap_or(ProtocolVersion::TLSv1_3);
        let suite = state
            .negotiated_cipher_suite()
            .map_or(CipherSuite::TLS13_AES_256_GCM_SHA384, |suite| suite.suite());
        let choice = choice.unwrap_or_default();
        Self {
            version: if version == ProtocolVersion::TLSv1_2 {
                "TLSv1.2"
            } else {
                "TLSv1.3"
            },
            version_number: version.into(),
            cipher: SUITES
                .iter()
                .find(|(known, _)| *known == suite)
                .map_or("", |(_, name)| name),
            cipher_number: suite.into(),
            server_name: choice.server_name,
            server_certificate: choice.certificate,
            client: state.peer_certificates().and_then(ClientCertificate::of),
        }
    }
}

impl ClientCertificate {
    fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let own = Certificate::parse(chain.first()?)?;
        Some(Self {
            chain: chain.iter().map(|der| certificate_pem(der)).collect(),
            subject: name_text(own.subject),
            issuer: name_text(own.issuer),
            serial: own.serial_text(),
        })
    }
}
