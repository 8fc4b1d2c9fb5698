//! Which certificate a client is shown: by the name it asks for, and by what it can verify.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::material::Offer;

/// RFC 8737 4: the protocol in which an authority looks whether we have a name.
pub(super) const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

/// What was chosen for a client.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The name that it asked for.
    pub server_name: Option<Box<str>>,
    /// The certificate that it is shown, as PEM.
    pub certificate: Option<Arc<str>>,
}

thread_local! {
    /// The choice of the handshake that this thread drives: what the library knows of it cannot be asked for.
    static LAST: RefCell<Option<Choice>> = const { RefCell::new(None) };
}

/// The choice made in this thread since the last call.
#[must_use]
pub fn take_choice() -> Option<Choice> {
    LAST.take()
}

/// The certificates of one profile.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    offers: Vec<Offer>,
    /// Offers by name; a wildcard is there without its asterisk, as `.example.org`.
    by_name: HashMap<String, Vec<usize>>,
    /// Answers to an authority that looks whether we have a name (RFC 8737), by that name.
    challenges: HashMap<String, Arc<CertifiedKey>>,
}

impl Resolver {
    /// With offers in their order: the first one is for whoever names none that is known.
    pub(super) fn new(offers: Vec<Offer>, challenges: HashMap<String, Arc<CertifiedKey>>) -> Self {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, offer) in offers.iter().enumerate() {
            for name in &offer.names {
                let name = name.strip_prefix('*').unwrap_or(name).to_owned();
                by_name.entry(name).or_default().push(index);
            }
        }
        Self {
            offers,
            by_name,
            challenges,
        }
    }

    pub(super) fn has_challenges(&self) -> bool {
        !self.challenges.is_empty()
    }

    pub(super) fn warnings(&self) -> impl Iterator<Item = &str> {
        self.offers
            .iter()
            .filter_map(|offer| offer.warning.as_deref())
    }

    /// Offers for a name, the best first.
    fn candidates(&self, name: Option<&str>) -> impl Iterator<Item = &Offer> {
        let known = name.and_then(|name| {
            self.by_name.get(name).or_else(|| {
                // RFC 9525 6.3: an asterisk stands for one whole label.
                self.by_name.get(&name[name.find('.')?..])
            })
        });
        let indices: Vec<usize> = match known {
            Some(indices) => indices.clone(),
            None => (0..self.offers.len()).collect(),
        };
        indices.into_iter().map(|index| &self.offers[index])
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        if hello
            .alpn()
            .is_some_and(|mut offered| offered.any(|protocol| protocol == ACME_PROTOCOL))
        {
            return self.challenges.get(name.as_deref()?).cloned();
        }
        let schemes = hello.signature_schemes();
        let offer = self
            .candidates(name.as_deref())
            .find(|offer| offer.key.key.choose_scheme(schemes).is_some())?;
        LAST.set(Some(Choice {
            server_name: name.map(String::into_boxed_str),
            certificate: Some(Arc::clone(&offer.pem)),
        }));
        Some(Arc::clone(&offer.key))
    }
}
