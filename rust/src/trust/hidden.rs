//! Request fields that are kept from the application.

/// Whether a request field must not reach the application.
///
/// - `Proxy`, from anyone: as `HTTP_PROXY` it would be read as the address of an outgoing proxy (httpoxy, CVE-2016-5385).
/// - From a peer that is not trusted, `Forwarded`, every `X-Forwarded-*` and `X-Real-IP`: frameworks act upon them when told to, and
///   cannot see who sent them. Gunicorn passes them on; here whoever is not listed as a proxy does not speak as one.
///
/// Underscores count as hyphens, because both end up in the same environ key where underscores are allowed at all.
#[must_use]
#[inline]
pub fn is_hidden(name: &[u8], trusted: bool) -> bool {
    // Nearly every name ends here: three first letters are of interest.
    match name.first().map(u8::to_ascii_lowercase) {
        Some(b'p') => same(name, b"proxy"),
        Some(b'f') => !trusted && same(name, b"forwarded"),
        Some(b'x') => !trusted && (same_start(name, b"x-forwarded") || same(name, b"x-real-ip")),
        _ => false,
    }
}

/// `pattern` is lowercase and written with hyphens.
fn same(name: &[u8], pattern: &[u8]) -> bool {
    name.len() == pattern.len() && same_start(name, pattern)
}

fn same_start(name: &[u8], pattern: &[u8]) -> bool {
    name.len() >= pattern.len()
        && name.iter().zip(pattern).all(|(&byte, &wanted)| {
            let byte = if byte == b'_' {
                b'-'
            } else {
                byte.to_ascii_lowercase()
            };
            byte == wanted
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_is_hidden_whoever_sends_it() {
        for name in [&b"Proxy"[..], b"proxy", b"PROXY"] {
            assert!(is_hidden(name, true) && is_hidden(name, false));
        }
        for name in [&b"Proxy-Authorization"[..], b"Prox", b"Proxy_", b"Pragma"] {
            assert!(!is_hidden(name, false));
        }
    }

    #[test]
    fn forwarding_fields_pass_from_trusted_peers_only() {
        let names: [&[u8]; 8] = [
            b"Forwarded",
            b"X-Forwarded-For",
            b"x-forwarded-proto",
            b"X_Forwarded_For",
            b"X-Forwarded_Host",
            b"X-Forwarded-Anything",
            b"X-Real-IP",
            b"x_real_ip",
        ];
        for name in names {
            assert!(is_hidden(name, false), "{}", name.escape_ascii());
            assert!(!is_hidden(name, true), "{}", name.escape_ascii());
        }
    }

    #[test]
    fn other_fields_always_pass() {
        for name in [
            &b"From"[..],
            b"Forward",
            b"X-Request-Id",
            b"X-Real-IP-2",
            b"X",
            b"",
            b"Host",
            b"X-For",
        ] {
            assert!(!is_hidden(name, false), "{}", name.escape_ascii());
        }
    }
}
