//! Certificates and keys as they come from files, checked.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, RootCertStore};

use crate::codec::x509::{Certificate, name_text};

/// What is wrong, in words for whoever wrote the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(String);

impl Fault {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// One certificate with its key, as it was written down.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Source<'a> {
    /// What people call it: its file.
    pub(super) name: &'a str,
    /// The chain as PEM, its own certificate first.
    pub(super) chain: &'a [u8],
    /// The key as PEM.
    pub(super) key: &'a [u8],
    /// An answer of OCSP in DER, or empty.
    pub(super) ocsp: &'a [u8],
}

/// A certificate that can be presented.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) key: Arc<CertifiedKey>,
    /// The names that it is valid for, in lower case; a wildcard begins with `*.`.
    pub(super) names: Vec<String>,
    /// Its own part of the chain as PEM.
    pub(super) pem: Arc<str>,
    /// What is not wrong but should be known.
    pub(super) warning: Option<String>,
}

impl Offer {
    /// Reads and checks a certificate; `now` is in seconds since 1970.
    pub(super) fn load(source: &Source<'_>, now: i64) -> Result<Self, Fault> {
        let at = |text: &str| Fault(format!("{}: {text}", source.name));
        let chain = CertificateDer::pem_slice_iter(source.chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| at(&format!("it is no PEM: {error}")))?;
        let Some(own) = chain.first() else {
            return Err(at("there is no certificate in it"));
        };
        let warning = check_chain(&chain, now).map_err(|text| at(&text))?;
        let names = webpki::EndEntityCert::try_from(own)
            .map_err(|error| at(&format!("the certificate cannot be used: {error}")))?
            .valid_dns_names()
            .map(str::to_ascii_lowercase)
            .collect();
        let pem = super::base64::certificate_pem(own).into();
        let key = PrivateKeyDer::from_pem_slice(source.key)
            .map_err(|_| at("its private key is no PEM of an unencrypted key"))?;
        let key = aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|error| at(&format!("its private key cannot be used: {error}")))?;
        let mut certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(_) => {
                return Err(at(
                    "the private key does not belong to this certificate; find the pair that was made together",
                ));
            }
        }
        if !source.ocsp.is_empty() {
            certified.ocsp = Some(source.ocsp.to_vec());
        }
        Ok(Self {
            key: Arc::new(certified),
            names,
            pem,
            warning: warning.map(|text| format!("{}: {text}", source.name)),
        })
    }
}

/// Whether each certificate is signed by the next, by name, and whether all are valid now.
fn check_chain(chain: &[CertificateDer<'_>], now: i64) -> Result<Option<String>, String> {
    let parsed = chain
        .iter()
        .map(|der| Certificate::parse(der))
        .collect::<Option<Vec<_>>>()
        .ok_or("a certificate in it cannot be read")?;
    for (index, pair) in parsed.windows(2).enumerate() {
        if pair[0].issuer != pair[1].subject {
            return Err(format!(
                "the chain is broken: its certificate {} is signed by {:?}, but the next one is of {:?}; put the server's \
                 certificate first and each signer behind it",
                index + 1,
                name_text(pair[0].issuer),
                name_text(pair[1].subject)
            ));
        }
    }
    let found = parsed.iter().find_map(|certificate| {
        let whose = name_text(certificate.subject);
        if certificate.not_after < now {
            let days = (now - certificate.not_after) / 86_400;
            Some(format!(
                "the certificate of {whose:?} expired {days} d ago; renew it"
            ))
        } else if certificate.not_before > now {
            Some(format!(
                "the certificate of {whose:?} is not valid yet; check the clock"
            ))
        } else {
            None
        }
    });
    Ok(found)
}

/// Reads the authorities whose client certificates are accepted.
pub(super) fn load_roots(pem: &[u8]) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for der in CertificateDer::pem_slice_iter(pem) {
        let der = der.map_err(|error| Fault(format!("tls.client_ca is no PEM: {error}")))?;
        roots.add(der).map_err(|error| {
            Fault(format!(
                "tls.client_ca has a certificate that cannot be used: {error}"
            ))
        })?;
    }
    if roots.is_empty() {
        return Err(Fault::new("there is no certificate in tls.client_ca"));
    }
    Ok(roots)
}
