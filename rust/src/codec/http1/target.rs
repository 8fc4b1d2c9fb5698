//! The request target's four forms (RFC 9112 3.2) and the authority that it or Host names.

use core::net::Ipv6Addr;

use super::grammar::{hex_value, is_reg_name_byte, parse_decimal};
use super::refusal::Refusal;
use super::span::Span;

/// The form in which a request names its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `*`, for `OPTIONS` only.
    Asterisk,
}

/// The parts of a target, as spans of the same bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::codec) struct Target {
    pub form: TargetForm,
    pub path: Span,
    pub query: Span,
    pub authority: Option<Span>,
}

pub(in crate::codec) const CONNECT: Refusal = Refusal::new(
    501,
    "This server is not a proxy and does not implement CONNECT.",
);
const ASTERISK: Refusal = Refusal::bad_request("The request target * is for OPTIONS only.");
const FORM: Refusal =
    Refusal::bad_request("The request target is neither a path nor an http or https URI.");
const AUTHORITY: Refusal =
    Refusal::bad_request("The host or the port of the request target is invalid.");

/// Takes a target apart. The bytes of `target` have been checked to be target bytes.
///
/// # Errors
///
/// 501 for `CONNECT`; 400 for a form that the method does not have or an invalid authority.
pub(in crate::codec) fn parse_target(
    bytes: &[u8],
    method: Span,
    target: Span,
) -> Result<Target, Refusal> {
    if method.of(bytes) == b"CONNECT" {
        return Err(CONNECT);
    }
    match target.of(bytes) {
        [b'/', ..] => Ok(split_query(bytes, target, TargetForm::Origin, None)),
        b"*" if method.of(bytes) == b"OPTIONS" => {
            Ok(split_query(bytes, target, TargetForm::Asterisk, None))
        }
        b"*" => Err(ASTERISK),
        text => parse_absolute(bytes, text, target),
    }
}

#[inline]
fn split_query(bytes: &[u8], rest: Span, form: TargetForm, authority: Option<Span>) -> Target {
    let text = rest.of(bytes);
    let (path, query) = match memchr::memchr(b'?', text) {
        None => (
            rest,
            Span {
                start: rest.end,
                end: rest.end,
            },
        ),
        Some(mark) => (rest.part(0, mark), rest.part(mark + 1, text.len())),
    };
    Target {
        form,
        path,
        query,
        authority,
    }
}

fn parse_absolute(bytes: &[u8], text: &[u8], target: Span) -> Result<Target, Refusal> {
    let after_scheme = [b"http://".as_slice(), b"https://"]
        .into_iter()
        .find(|scheme| {
            text.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .ok_or(FORM)?
        .len();
    let rest = text.get(after_scheme..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|octet| matches!(octet, b'/' | b'?'))
        .unwrap_or(rest.len());
    let authority = target.part(after_scheme, after_scheme + length);
    // RFC 9110 4.2.4: user information in a target is refused, which the host grammar does by having no "@".
    if !is_host(authority.of(bytes)) {
        return Err(AUTHORITY);
    }
    let mut found = split_query(
        bytes,
        target.part(after_scheme + length, text.len()),
        TargetForm::Absolute,
        Some(authority),
    );
    if found.path.is_empty() {
        // RFC 9110 4.2.3: an empty path is "/"; the second slash of "://" lends its byte.
        found.path = target.part(after_scheme - 1, after_scheme);
    }
    Ok(found)
}

/// Whether `text` is `uri-host [ ":" port ]` with a host that is not empty (RFC 9110 7.2).
#[inline]
pub(in crate::codec) fn is_host(text: &[u8]) -> bool {
    let plain = text
        .iter()
        .position(|&octet| !is_reg_name_byte(octet))
        .unwrap_or(text.len());
    match text.get(plain) {
        None => plain > 0,
        Some(b':') => plain > 0 && is_port(&text[plain + 1..]),
        Some(b'[') if plain == 0 => is_address_literal(text),
        Some(b'%') => is_escaped_host(text),
        Some(_) => false,
    }
}

/// `port` is any number of digits (RFC 3986 3.2.3); beyond 65535 no port exists.
fn is_port(digits: &[u8]) -> bool {
    digits.is_empty()
        || (digits.len() <= 5 && parse_decimal(digits).is_some_and(|port| port <= 65_535))
}

/// `[IPv6address]` and perhaps a port. The grammar's `IPvFuture` has no version that exists, and zone names mean
/// nothing to anybody else.
fn is_address_literal(text: &[u8]) -> bool {
    let Some(close) = memchr::memchr(b']', text) else {
        return false;
    };
    let is_address = core::str::from_utf8(&text[1..close])
        .is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok());
    is_address
        && match &text[close + 1..] {
            [] => true,
            [b':', port @ ..] => is_port(port),
            _ => false,
        }
}

/// A registered name with escapes.
fn is_escaped_host(text: &[u8]) -> bool {
    let (name, port) = match memchr::memchr(b':', text) {
        None => (text, [].as_slice()),
        Some(colon) => (&text[..colon], &text[colon + 1..]),
    };
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..])
                if hex_value(*high).is_some() && hex_value(*low).is_some() =>
            {
                tail
            }
            (&octet, tail) if is_reg_name_byte(octet) => tail,
            _ => return false,
        };
    }
    is_port(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_every_kind_are_valid() {
        for host in [
            "a",
            "a.b",
            "a:",
            "a:80",
            "127.0.0.1:65535",
            "[::1]",
            "[::1]:80",
            "[::ffff:1.2.3.4]:",
            "ex%41mple",
            "%41:8",
            "a_b~c",
            "x,y",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn hosts_outside_the_grammar_are_not() {
        for host in [
            "",
            ":80",
            "a b",
            "a/b",
            "a?b",
            "a@b",
            "a:b",
            "a:+1",
            "a:65536",
            "a:000080",
            "a:80:80",
            "[::1",
            "[::1]x",
            "[]",
            "[g::1]",
            "[1.2.3.4]",
            "[v1.a]",
            "[fe80::1%25eth0]",
            "a%4",
            "a%zz",
            "a%41:x",
            "::1",
            "a[",
            "a]",
            "a\\b",
            "a#",
            "a\u{e9}",
            "a\tb",
            "x[::1]",
            "\"a\"",
            "<a>",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
