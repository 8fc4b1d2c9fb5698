//! One listener's TLS: built from what was written down for it, frozen afterwards.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ServerConfig, SupportedProtocolVersion};

use super::Fault;
use super::material::load_roots;
use super::resolver::{ACME_PROTOCOL, Resolver};
use super::ticket::Tickets;

/// What can be agreed on after the handshake, the best first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Tickets that a client gets at once. One can be used again and again by clients that care for speed; Go sends one, too.
const TICKETS: usize = 1;

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum ClientAuth {
    #[default]
    None,
    Optional,
    Required,
}

/// What is asked of clients.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Demands<'a> {
    pub(super) is_modern_only: bool,
    pub(super) client_auth: ClientAuth,
    /// Authorities as PEM.
    pub(super) client_ca: &'a [u8],
}

/// A listener's TLS.
#[derive(Debug)]
pub struct Profile {
    config: Arc<ServerConfig>,
    /// The same where HTTP/2 is not spoken.
    without_http2: Arc<ServerConfig>,
}

impl Profile {
    pub(super) fn build(
        demands: &Demands<'_>,
        resolver: Resolver,
        ticket_keys: &[&[u8]],
    ) -> Result<Self, Fault> {
        let versions: &[&SupportedProtocolVersion] = if demands.is_modern_only {
            &[&TLS13]
        } else {
            &[&TLS13, &TLS12]
        };
        let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(versions)
            .map_err(|error| Fault::new(error.to_string()))?;
        let builder = match build_verifier(demands)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let has_challenges = resolver.has_challenges();
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        // The order above is ours: clients put AES-256 first, whose hash is what a handshake spends most of its time on.
        config.ignore_client_order = true;
        config.send_tls13_tickets = TICKETS;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        if has_challenges {
            config.alpn_protocols.push(ACME_PROTOCOL.to_vec());
        }
        // Sessions live in tickets alone: nothing is kept for a client that is gone.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.ticketer = Arc::new(Tickets::new(ticket_keys, realm(demands))?);
        let mut without_http2 = config.clone();
        without_http2
            .alpn_protocols
            .retain(|protocol| protocol != PROTOCOLS[0]);
        Ok(Self {
            config: Arc::new(config),
            without_http2: Arc::new(without_http2),
        })
    }

    /// What a session is made from.
    #[must_use]
    pub fn config(&self, speaks_http2: bool) -> Arc<ServerConfig> {
        Arc::clone(if speaks_http2 {
            &self.config
        } else {
            &self.without_http2
        })
    }
}

/// The library's provider with its cipher suites in our order: AES-128 with SHA-256, for which processors have instructions,
/// then AES-256 with SHA-384, then `ChaCha20`. None of them is weak, and the keys of 128 bits are those that browsers ask
/// for first.
fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .sort_by_key(|suite| match suite.suite() {
            CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
            CipherSuite::TLS13_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => 1,
            _ => 2,
        });
    provider
}

fn build_verifier(demands: &Demands<'_>) -> Result<Option<Arc<dyn ClientCertVerifier>>, Fault> {
    if demands.client_auth == ClientAuth::None {
        return Ok(None);
    }
    let provider = Arc::new(provider());
    let roots = Arc::new(load_roots(demands.client_ca)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
    let builder = if demands.client_auth == ClientAuth::Optional {
        builder.allow_unauthenticated()
    } else {
        builder
    };
    builder
        .build()
        .map(Some)
        .map_err(|error| Fault::new(format!("tls.client_ca cannot be used: {error}")))
}

/// Names what a session's client has shown of itself: a ticket is worth nothing where more, or something else, is asked.
fn realm(demands: &Demands<'_>) -> Vec<u8> {
    let authorities = digest(&SHA256, demands.client_ca);
    let mut realm = vec![demands.client_auth as u8];
    realm.extend_from_slice(authorities.as_ref());
    realm
}
