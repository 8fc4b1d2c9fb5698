//! The opening handshake on the server's side (RFC 6455 4.2).

use core::str;

use super::accept::{accept_key, is_key};
use super::extension::{Agreement, DeflateSettings, negotiate};
use super::field::{is_token_byte, split_list};
use crate::codec::http1::Refusal;

/// The field to add to the answer of a refusal with status 426 (RFC 6455 4.4).
pub const WANTED_VERSION: (&str, &str) = ("Sec-WebSocket-Version", "13");

const METHOD: Refusal = Refusal::bad_request("A WebSocket handshake must be a GET request.");
const BODY: Refusal = Refusal::bad_request("A WebSocket handshake cannot have a body.");
const VERSION_MISSING: Refusal =
    Refusal::bad_request("A WebSocket handshake must have one Sec-WebSocket-Version field.");
const VERSION_UNKNOWN: Refusal = Refusal::new(
    426,
    "The only version of WebSocket that this server speaks is 13.",
);
const KEY_MISSING: Refusal =
    Refusal::bad_request("A WebSocket handshake must have one Sec-WebSocket-Key field.");
const KEY_INVALID: Refusal =
    Refusal::bad_request("The Sec-WebSocket-Key field is not 16 bytes in base64.");
const PROTOCOL_INVALID: Refusal =
    Refusal::bad_request("The Sec-WebSocket-Protocol field is not a list of tokens.");
const EXTENSIONS_INVALID: Refusal =
    Refusal::bad_request("The Sec-WebSocket-Extensions field is malformed.");

/// A handshake that can be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade<'a> {
    /// The value of the answer's `Sec-WebSocket-Accept`.
    pub accept: [u8; 28],
    /// The subprotocols that the client offers, in the order of its preference.
    pub subprotocols: Vec<&'a str>,
    /// What is agreed on about compression, if it was offered and is wanted.
    pub deflate: Option<Agreement>,
}

/// Judges whether a request, whose head was accepted as HTTP, asks for the WebSocket protocol. Nothing means that it
/// does not, and is to be treated as any other request: there is no `websocket` in `Upgrade` and `upgrade` in
/// `Connection`, or the request is HTTP/1.0, in which that means nothing (RFC 9110 7.8).
///
/// `deflate` is what to agree on about compression, or nothing for no compression. `Origin` is not looked at: whom to
/// serve is the application's to say.
///
/// # Errors
///
/// 400 for a handshake that is not as RFC 6455 4.1 says; 426 for another version, to be answered with
/// [`WANTED_VERSION`].
pub fn check_upgrade<'a>(
    method: &[u8],
    is_http11: bool,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    deflate: Option<DeflateSettings>,
) -> Option<Result<Upgrade<'a>, Refusal>> {
    (is_http11 && is_wanted(fields.clone())).then(|| judge(method, fields, deflate))
}

fn is_wanted<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> bool {
    let (mut upgrade, mut connection) = (false, false);
    for (name, value) in fields {
        match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => upgrade |= has(value, b"websocket"),
            10 if name.eq_ignore_ascii_case(b"connection") => connection |= has(value, b"upgrade"),
            _ => {}
        }
    }
    upgrade && connection
}

/// Whether a list has a member, in either case (RFC 9110 7.8; RFC 6455 4.2.1).
fn has(list: &[u8], member: &[u8]) -> bool {
    split_list(list).any(|element| element.eq_ignore_ascii_case(member))
}

fn judge<'a>(
    method: &[u8],
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    deflate: Option<DeflateSettings>,
) -> Result<Upgrade<'a>, Refusal> {
    if method != b"GET" {
        return Err(METHOD);
    }
    let (mut version, mut key) = (Seen::Never, Seen::Never);
    let mut upgrade = Upgrade {
        accept: [0; 28],
        subprotocols: Vec::new(),
        deflate: None,
    };
    for (name, value) in fields {
        note_field(&mut upgrade, &mut version, &mut key, name, value, deflate)?;
    }
    judge_version(&version)?;
    upgrade.accept = answer_key(&key)?;
    Ok(upgrade)
}

fn note_field<'a>(
    upgrade: &mut Upgrade<'a>,
    version: &mut Seen<'a>,
    key: &mut Seen<'a>,
    name: &[u8],
    value: &'a [u8],
    deflate: Option<DeflateSettings>,
) -> Result<(), Refusal> {
    match name.len() {
        14 if name.eq_ignore_ascii_case(b"content-length") => refuse_body(value)?,
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => return Err(BODY),
        17 if name.eq_ignore_ascii_case(b"sec-websocket-key") => key.add(value),
        21 if name.eq_ignore_ascii_case(b"sec-websocket-version") => version.add(value),
        22 if name.eq_ignore_ascii_case(b"sec-websocket-protocol") => {
            add_subprotocols(&mut upgrade.subprotocols, value)?;
        }
        24 if name.eq_ignore_ascii_case(b"sec-websocket-extensions") => {
            // Several fields are one list (RFC 6455 9.1), of which the first offer that can be met counts.
            let agreement = negotiate(value, deflate).map_err(|_| EXTENSIONS_INVALID)?;
            upgrade.deflate = upgrade.deflate.or(agreement);
        }
        _ => {}
    }
    Ok(())
}

/// Judges a handshake on a stream of HTTP/2, which an extended CONNECT has asked for (RFC 8441 5): there is no key, and the
/// answer's proof is of no use.
///
/// # Errors
///
/// As of [`check_upgrade`].
pub fn check_connect<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    deflate: Option<DeflateSettings>,
) -> Result<Upgrade<'a>, Refusal> {
    let (mut version, mut key) = (Seen::Never, Seen::Never);
    let mut upgrade = Upgrade {
        accept: [0; 28],
        subprotocols: Vec::new(),
        deflate: None,
    };
    for (name, value) in fields {
        note_field(&mut upgrade, &mut version, &mut key, name, value, deflate)?;
    }
    judge_version(&version)?;
    Ok(upgrade)
}

/// A field that must be there once.
enum Seen<'a> {
    Never,
    Once(&'a [u8]),
    Repeatedly,
}

impl<'a> Seen<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Never => Self::Once(value),
            Self::Once(_) | Self::Repeatedly => Self::Repeatedly,
        };
    }
}

/// What follows the head is WebSocket traffic at once, so a body would have no place.
fn refuse_body(length: &[u8]) -> Result<(), Refusal> {
    if length.iter().all(|&digit| digit == b'0') {
        Ok(())
    } else {
        Err(BODY)
    }
}

fn judge_version(version: &Seen<'_>) -> Result<(), Refusal> {
    match version {
        Seen::Once(b"13") => Ok(()),
        Seen::Once(_) => Err(VERSION_UNKNOWN),
        Seen::Never | Seen::Repeatedly => Err(VERSION_MISSING),
    }
}

fn answer_key(key: &Seen<'_>) -> Result<[u8; 28], Refusal> {
    match key {
        Seen::Once(key) if is_key(key) => Ok(accept_key(key)),
        Seen::Once(_) => Err(KEY_INVALID),
        Seen::Never | Seen::Repeatedly => Err(KEY_MISSING),
    }
}

fn add_subprotocols<'a>(all: &mut Vec<&'a str>, value: &'a [u8]) -> Result<(), Refusal> {
    for element in split_list(value) {
        if !element.iter().all(|&octet| is_token_byte(octet)) {
            return Err(PROTOCOL_INVALID);
        }
        all.push(str::from_utf8(element).map_err(|_| PROTOCOL_INVALID)?);
    }
    Ok(())
}

/// Appends the status line and the fields that make the switch (RFC 6455 4.2.2, step 5); the application's fields and
/// the empty line are to follow. `subprotocol` must be one of those offered; browsers fail the connection otherwise.
pub fn write_switch(
    out: &mut Vec<u8>,
    accept: &[u8; 28],
    subprotocol: Option<&str>,
    deflate: Option<&Agreement>,
) {
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    out.extend_from_slice(accept);
    out.extend_from_slice(b"\r\n");
    if let Some(subprotocol) = subprotocol {
        out.extend_from_slice(b"Sec-WebSocket-Protocol: ");
        out.extend_from_slice(subprotocol.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if let Some(agreement) = deflate {
        out.extend_from_slice(b"Sec-WebSocket-Extensions: ");
        agreement.write_extension(out);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fields<'a> = Vec<(&'a str, &'a str)>;

    /// RFC 6455 1.2, but for Host, which is HTTP's to check.
    fn fields() -> Fields<'static> {
        vec![
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Origin", "http://example.com"),
            ("Sec-WebSocket-Protocol", "chat, superchat"),
            ("Sec-WebSocket-Version", "13"),
        ]
    }

    fn check<'a>(fields: &Fields<'a>) -> Option<Result<Upgrade<'a>, Refusal>> {
        let fields = fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        check_upgrade(b"GET", true, fields, Some(DeflateSettings::default()))
    }

    /// The status of the refusal of [`fields`] with one field replaced, left out (if the value is empty) or added.
    fn status_with(name: &'static str, value: &'static str) -> Option<u16> {
        let mut fields = fields();
        fields.retain(|field| field.0 != name);
        if !value.is_empty() {
            fields.push((name, value));
        }
        check(&fields)?.err().map(|refusal| refusal.status)
    }

    #[test]
    fn the_handshake_of_the_specification_is_accepted() {
        let fields = fields();
        let upgrade = check(&fields).unwrap().unwrap();
        assert_eq!(&upgrade.accept, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(upgrade.subprotocols, ["chat", "superchat"]);
        assert_eq!(upgrade.deflate, None);
    }

    #[test]
    fn lists_and_case_are_those_of_http() {
        let mut fields = fields();
        fields.retain(|field| {
            !matches!(field.0, "Upgrade" | "Connection" | "Sec-WebSocket-Protocol")
        });
        fields.extend([
            ("UPGRADE", "h2c , WebSocket"),
            ("connection", "keep-alive,\tUPGRADE"),
            ("Connection", "x"),
            ("sec-websocket-protocol", "a,, b"),
            ("Sec-WebSocket-Protocol", "c"),
            ("Content-Length", "0"),
            ("Sec-WebSocket-Extensions", "x, permessage-deflate; unknown"),
            (
                "Sec-WebSocket-Extensions",
                "permessage-deflate; server_no_context_takeover",
            ),
            (
                "Sec-WebSocket-Extensions",
                "permessage-deflate; server_max_window_bits=10",
            ),
        ]);
        let upgrade = check(&fields).unwrap().unwrap();
        assert_eq!(upgrade.subprotocols, ["a", "b", "c"]);
        assert_eq!(upgrade.deflate.unwrap().deflate.window_bits, 12);
    }

    #[test]
    fn other_requests_are_left_to_http() {
        for (name, value) in [
            ("Upgrade", ""),
            ("Upgrade", "h2c"),
            ("Upgrade", "websocket2"),
            ("Connection", ""),
            ("Connection", "close"),
        ] {
            let mut fields = fields();
            fields.retain(|field| field.0 != name);
            fields.push((name, value));
            assert_eq!(check(&fields), None, "{name}: {value}");
        }
        assert_eq!(check(&vec![]), None);
        let fields = fields();
        let fields = fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        assert_eq!(check_upgrade(b"GET", false, fields.clone(), None), None);
        let refusal = check_upgrade(b"POST", true, fields, None)
            .unwrap()
            .unwrap_err();
        assert_eq!(refusal.status, 400);
    }

    #[test]
    fn handshakes_that_are_wrong_are_refused() {
        for (name, value, status) in [
            ("Sec-WebSocket-Version", "", 400),
            ("Sec-WebSocket-Version", "8", 426),
            ("Sec-WebSocket-Version", "13, 8", 426),
            ("Sec-WebSocket-Version", "013", 426),
            ("sec-websocket-version", "13", 400), // twice
            ("Sec-WebSocket-Key", "", 400),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ", 400),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==", 400), // twice
            ("Sec-WebSocket-Protocol", "a b", 400),
            ("Sec-WebSocket-Protocol", "caf\u{e9}", 400),
            ("Sec-WebSocket-Extensions", "permessage-deflate;", 400),
            ("Content-Length", "1", 400),
            ("Transfer-Encoding", "chunked", 400),
        ] {
            assert_eq!(status_with(name, value), Some(status), "{name}: {value}");
        }
        assert_eq!(status_with("Sec-WebSocket-Protocol", ""), None);
    }

    #[test]
    fn nothing_is_agreed_on_about_compression_without_settings() {
        let mut fields = fields();
        fields.push(("Sec-WebSocket-Extensions", "permessage-deflate"));
        assert!(check(&fields).unwrap().unwrap().deflate.is_some());
        let fields = fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        assert_eq!(
            check_upgrade(b"GET", true, fields, None)
                .unwrap()
                .unwrap()
                .deflate,
            None
        );
    }

    #[test]
    fn the_answer_has_what_was_agreed_on() {
        let mut fields = fields();
        fields.push((
            "Sec-WebSocket-Extensions",
            "permessage-deflate; client_max_window_bits",
        ));
        let upgrade = check(&fields).unwrap().unwrap();
        let mut out = Vec::new();
        write_switch(
            &mut out,
            &upgrade.accept,
            Some("chat"),
            upgrade.deflate.as_ref(),
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             client_max_window_bits=12\r\n"
        );
        let mut out = Vec::new();
        write_switch(&mut out, &upgrade.accept, None, None);
        assert!(out.ends_with(b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    }
}
