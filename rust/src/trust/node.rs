//! One hop of a forwarding list, and the host and port syntax that the forwarding fields share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A DNS name is at most 253 characters (RFC 1035 2.3.4), a bracketed IPv6 address less, a port adds 6.
const MAX_HOST_LEN: usize = 260;

/// Where a hop was reached from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// An address, and the port if it was told.
    Address(IpAddr, Option<u16>),
    /// RFC 7239 6.2 and 6.3: `unknown`, or a name that hides the address (`_gazonk`).
    Hidden,
}

/// Parses `nodename[:port]` of RFC 7239 6. `bare_v6` also allows IPv6 without brackets, as `X-Forwarded-For` is written.
pub(super) fn parse_node(text: &[u8], bare_v6: bool) -> Option<Node> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        let address = inside.parse::<Ipv6Addr>().ok()?;
        return Some(Node::Address(
            IpAddr::V6(address).to_canonical(),
            parse_node_port(after)?,
        ));
    }
    if bare_v6 && let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(Node::Address(IpAddr::V6(address).to_canonical(), None));
    }
    let (name, after) = text.split_at(text.find(':').unwrap_or(text.len()));
    let port = parse_node_port(after)?;
    if name.eq_ignore_ascii_case("unknown") || is_obfuscated(name) {
        return Some(Node::Hidden);
    }
    Some(Node::Address(
        IpAddr::V4(name.parse::<Ipv4Addr>().ok()?),
        port,
    ))
}

/// Parses `""`, `:digits` or `:_obfuscated`; the outer option is the syntax, the inner one whether a port is known.
#[expect(
    clippy::option_option,
    reason = "a private answer to two questions, taken apart by its callers at once"
)]
fn parse_node_port(text: &str) -> Option<Option<u16>> {
    match text.strip_prefix(':') {
        None => text.is_empty().then_some(None),
        Some(port) if is_obfuscated(port) => Some(None),
        Some("0") => Some(None),
        Some(port) => parse_port(port).map(Some),
    }
}

/// RFC 7239 6.3: an underscore, then letters, digits, dots, underscores and hyphens.
fn is_obfuscated(name: &str) -> bool {
    name.strip_prefix('_').is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    })
}

/// Parses a port from 1 to 65535, digits only.
pub(super) fn parse_port(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits {
        text.parse().ok().filter(|&port| port != 0)
    } else {
        None
    }
}

/// Checks `name[:port]`, where the name is a DNS name, an IPv4 address or an IPv6 address in brackets; gives the text and the port.
pub(super) fn parse_host(text: &[u8]) -> Option<(&str, Option<u16>)> {
    let text = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.len() <= MAX_HOST_LEN)?;
    let after = if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        inside.parse::<Ipv6Addr>().ok()?;
        after
    } else {
        let (name, after) = text.split_at(text.find(':').unwrap_or(text.len()));
        if !is_host_name(name) {
            return None;
        }
        after
    };
    match after.strip_prefix(':') {
        None => after.is_empty().then_some((text, None)),
        Some(port) => parse_port(port).map(|port| (text, Some(port))),
    }
}

/// Letters, digits, hyphens, underscores (seen in real service names) and single dots that do not lead.
fn is_host_name(name: &str) -> bool {
    let characters = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    !name.is_empty() && characters && !name.starts_with('.') && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::unnecessary_wraps,
        reason = "what it is compared with is optional"
    )]
    fn address(text: &str, port: Option<u16>) -> Option<Node> {
        Some(Node::Address(text.parse().unwrap(), port))
    }

    #[test]
    fn addresses_come_with_and_without_ports() {
        assert_eq!(
            parse_node(b"192.0.2.43", false),
            address("192.0.2.43", None)
        );
        assert_eq!(
            parse_node(b"192.0.2.43:47011", false),
            address("192.0.2.43", Some(47_011))
        );
        assert_eq!(
            parse_node(b"[2001:db8:cafe::17]", false),
            address("2001:db8:cafe::17", None)
        );
        assert_eq!(
            parse_node(b"[2001:db8:cafe::17]:4711", false),
            address("2001:db8:cafe::17", Some(4_711))
        );
        assert_eq!(
            parse_node(b"[::ffff:192.0.2.1]", false),
            address("192.0.2.1", None)
        );
        assert_eq!(
            parse_node(b"192.0.2.43:_obf", false),
            address("192.0.2.43", None)
        );
        assert_eq!(
            parse_node(b"192.0.2.43:0", false),
            address("192.0.2.43", None)
        );
    }

    #[test]
    fn ipv6_without_brackets_is_for_x_forwarded_for() {
        assert_eq!(
            parse_node(b"2001:db8::17", true),
            address("2001:db8::17", None)
        );
        assert_eq!(parse_node(b"2001:db8::17", false), None);
    }

    #[test]
    fn unknown_and_obfuscated_nodes_are_hidden() {
        for text in [
            "unknown",
            "Unknown",
            "unknown:80",
            "_gazonk",
            "_a.b-c_d:_port",
        ] {
            assert_eq!(
                parse_node(text.as_bytes(), false),
                Some(Node::Hidden),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_node_is_refused() {
        let bad = [
            "",
            ":",
            ":80",
            "_",
            "example.org",
            "192.0.2",
            "192.0.2.1:",
            "192.0.2.1:65536",
            "192.0.2.1:+1",
            "[::1",
            "::1]",
            "[::1]x",
            "[::1]:",
            "[192.0.2.1]",
            "[fe80::1%eth0]",
            "192.0.2.1 ",
            "192.0.2.01",
            "un known",
            "_a b",
            "1.2.3.4\r\n",
            "\u{e9}",
        ];
        for text in bad {
            assert_eq!(parse_node(text.as_bytes(), true), None, "{text:?}");
        }
        assert_eq!(parse_node(b"\xff", true), None);
    }

    #[test]
    fn hosts_are_names_or_addresses_with_an_optional_port() {
        assert_eq!(parse_host(b"example.org"), Some(("example.org", None)));
        assert_eq!(
            parse_host(b"example.org.:8443"),
            Some(("example.org.:8443", Some(8_443)))
        );
        assert_eq!(
            parse_host(b"[2001:db8::1]:80"),
            Some(("[2001:db8::1]:80", Some(80)))
        );
        assert_eq!(parse_host(b"my_service"), Some(("my_service", None)));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let bad = [
            "",
            ".",
            ".a",
            "a..b",
            "a b",
            "a/b",
            "a@b",
            "a:b",
            "a:",
            "a:0",
            "a:65536",
            "a:80:80",
            "[::1",
            "[::1]80",
            "[x]",
            "::1",
            "a\r\nb",
            "a\tb",
            "a\"b",
            "<a>",
            "a?b",
            "a#b",
            "a\\b",
            "caf\u{e9}",
            "a,b",
        ];
        for text in bad {
            assert_eq!(parse_host(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_host(&[b'a'; MAX_HOST_LEN + 1]), None);
        assert_eq!(parse_host(b"\x00"), None);
    }
}
