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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, Error, RootCertStore, ServerConnection};

    use super::ACME_PROTOCOL;
    use crate::tls::Contents;

    const CA: &[u8] = include_bytes!("../../tests/tls/ca.pem");
    const CHAIN: &[u8] = include_bytes!("../../tests/tls/server.pem");
    const KEY: &[u8] = include_bytes!("../../tests/tls/server.key");
    const OTHER_CHAIN: &[u8] = include_bytes!("../../tests/tls/other.pem");
    const OTHER_KEY: &[u8] = include_bytes!("../../tests/tls/other.key");

    fn record(letter: u8, value: &[u8]) -> Vec<u8> {
        let length = u32::try_from(value.len()).unwrap().to_le_bytes();
        [&[letter], &length[..], value].concat()
    }

    /// A server with a certificate for `server.test`, and perhaps the answer to a challenge for `other.test`.
    fn server(has_challenge: bool) -> ServerConnection {
        let mut bytes = [
            record(b'K', &[1; 48]),
            record(b'P', &[2, 0]),
            record(b'N', b"server.pem"),
            record(b'C', CHAIN),
            record(b'S', KEY),
        ]
        .concat();
        if has_challenge {
            bytes.extend(record(b'L', b"Other.test"));
            bytes.extend(record(b'C', OTHER_CHAIN));
            bytes.extend(record(b'S', OTHER_KEY));
        }
        let contents = Contents::build(&bytes, 1_900_000_000).unwrap();
        ServerConnection::new(contents.profile(0).unwrap().config(true)).unwrap()
    }

    fn client(name: &'static str, protocol: &[u8]) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(CA).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        ClientConnection::new(Arc::new(config), ServerName::try_from(name).unwrap()).unwrap()
    }

    /// Has both speak until the handshake is over; gives what was agreed on.
    fn meet(
        server: &mut ServerConnection,
        client: &mut ClientConnection,
    ) -> Result<Vec<u8>, Error> {
        while server.is_handshaking() || client.is_handshaking() {
            let mut sent = Vec::new();
            client.write_tls(&mut sent).unwrap();
            server.read_tls(&mut sent.as_slice()).unwrap();
            server.process_new_packets()?;
            sent.clear();
            server.write_tls(&mut sent).unwrap();
            client.read_tls(&mut sent.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(server.alpn_protocol().unwrap_or_default().to_vec())
    }

    #[test]
    fn challenge_is_answered_for_its_name_and_in_its_protocol_only() {
        let (mut server_side, mut authority) = (server(true), client("other.test", ACME_PROTOCOL));
        let agreed = meet(&mut server_side, &mut authority);
        assert_eq!(agreed, Ok(ACME_PROTOCOL.to_vec()));
        let answer = CertificateDer::from_pem_slice(OTHER_CHAIN).unwrap();
        assert_eq!(authority.peer_certificates().unwrap()[0], answer);
        // Visitors get what there is for them, meanwhile.
        let mut visitor = client("server.test", b"http/1.1");
        assert_eq!(
            meet(&mut server(true), &mut visitor),
            Ok(b"http/1.1".to_vec())
        );
        let mut other = client("other.test", b"http/1.1");
        assert!(matches!(
            meet(&mut server(true), &mut other),
            Err(Error::InvalidCertificate(_))
        ));
    }

    #[test]
    fn authority_that_asks_for_what_nobody_prepared_gets_nothing() {
        for (has_challenge, name) in [(true, "server.test"), (false, "other.test")] {
            let mut authority = client(name, ACME_PROTOCOL);
            assert!(meet(&mut server(has_challenge), &mut authority).is_err());
            assert!(authority.peer_certificates().is_none());
        }
    }
}
