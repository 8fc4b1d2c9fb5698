//! What a load balancer tells of a connection beside its addresses (PROXY protocol, version 2): its name there, and the
//! client's TLS. Kept once for each connection, and shared by its requests.

use crate::codec::proxy::{Ssl, Told};

/// What was told, where anything was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxied {
    /// What the load balancer calls the connection: any bytes.
    pub unique_id: Vec<u8>,
    /// The host name that the client asked for in the TLS handshake; empty for none.
    pub authority: String,
    /// The protocol agreed on in the TLS handshake; empty for none.
    pub alpn: Vec<u8>,
    /// The client's TLS, where it came over TLS.
    pub tls: Option<ProxiedTls>,
}

/// The client's TLS connection, as the load balancer saw it. Texts that were not told are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxiedTls {
    /// Such as `TLSv1.3`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// The client gave a certificate, now or in the session that it resumed.
    pub has_certificate: bool,
    /// That certificate was verified.
    pub is_verified: bool,
    /// The common name of its subject; only of one that was verified.
    pub common_name: String,
    /// How the load balancer's own certificate is signed.
    pub signature_algorithm: String,
    /// The kind of its key.
    pub key_algorithm: String,
}

impl Proxied {
    /// Keeps what was told; nothing where there was nothing to keep.
    pub(super) fn keep(told: &Told) -> Option<Self> {
        let kept = Self {
            unique_id: told.unique_id.unwrap_or_default().to_vec(),
            authority: told.authority.unwrap_or_default().to_owned(),
            alpn: told.alpn.unwrap_or_default().to_vec(),
            tls: told.ssl.filter(|ssl| ssl.is_tls).map(ProxiedTls::keep),
        };
        (kept != Self::default()).then_some(kept)
    }
}

impl ProxiedTls {
    fn keep(ssl: Ssl) -> Self {
        let own = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self {
            version: own(ssl.version),
            cipher: own(ssl.cipher),
            has_certificate: ssl.has_certificate || ssl.session_has_certificate,
            is_verified: ssl.is_verified,
            // A name that nobody has verified is anybody's.
            common_name: own(ssl.common_name.filter(|_| ssl.is_verified)),
            signature_algorithm: own(ssl.signature_algorithm),
            key_algorithm: own(ssl.key_algorithm),
        }
    }

    /// As much of the subject of the client's certificate as was told and verified (RFC 4514).
    #[must_use]
    pub fn distinguished_name(&self) -> Option<String> {
        (!self.common_name.is_empty()).then(|| format!("CN={}", escape(&self.common_name)))
    }

    /// The version as TLS writes it, where it is one that is known (RFC 8446 4.2.1).
    #[must_use]
    pub fn version_number(&self) -> Option<u16> {
        Some(match self.version.as_str() {
            "TLSv1" | "TLSv1.0" => 0x0301,
            "TLSv1.1" => 0x0302,
            "TLSv1.2" => 0x0303,
            "TLSv1.3" => 0x0304,
            _ => return None,
        })
    }
}

/// RFC 4514 2.4: characters with a meaning of their own are escaped.
fn escape(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut escaped = String::with_capacity(text.len());
    for (place, letter) in text.chars().enumerate() {
        let is_edge =
            (letter == ' ' && (place == 0 || place == last)) || (letter == '#' && place == 0);
        if is_edge || matches!(letter, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_where_nothing_was_told() {
        let ssl = Ssl::default();
        let told = Told {
            ssl: Some(ssl),
            ..Told::default()
        };
        assert_eq!(Proxied::keep(&told), None);
    }

    #[test]
    fn a_name_that_was_not_verified_is_not_kept() {
        let ssl = Ssl {
            is_tls: true,
            has_certificate: true,
            common_name: Some("groom"),
            version: Some("TLSv1.2"),
            ..Ssl::default()
        };
        for (is_verified, name) in [(false, ""), (true, "groom")] {
            let told = Told {
                ssl: Some(Ssl { is_verified, ..ssl }),
                ..Told::default()
            };
            let tls = Proxied::keep(&told).unwrap().tls.unwrap();
            assert_eq!(tls.common_name, name);
            assert_eq!(tls.version_number(), Some(0x0303));
            assert!(tls.has_certificate);
        }
    }

    #[test]
    fn names_are_escaped_as_rfc_4514_says() {
        for (name, written) in [
            ("groom", Some("CN=groom")),
            ("Sue, Grabbit+Co", Some("CN=Sue\\, Grabbit\\+Co")),
            ("#x ", Some("CN=\\#x\\ ")),
            ("", None),
        ] {
            let tls = ProxiedTls {
                common_name: name.to_owned(),
                ..ProxiedTls::default()
            };
            assert_eq!(tls.distinguished_name().as_deref(), written);
        }
    }
}
