//! From variables to a head: the text, its judgement, and what is written behind it.

use core::net::IpAddr;

use super::path::{Named, encode_path};
use super::told::{Client, Scheme, Told};
use super::variable::{Known, field_of, is_extra, write_field_name};
use crate::codec::http1::grammar::{is_target_byte, is_token, parse_decimal};
use crate::codec::http1::{
    Framing, Head, Limits, Progress, Refusal, Scanned, Span, has_control, parse_head,
};

const METHOD: Refusal =
    Refusal::bad_request("REQUEST_METHOD is absent, or is not the name of a method.");
const TARGET: Refusal =
    Refusal::bad_request("REQUEST_URI is empty or contains a character that is not allowed.");
const QUERY: Refusal =
    Refusal::bad_request("QUERY_STRING contains a character that is not allowed.");
const PROTOCOL: Refusal =
    Refusal::bad_request("SERVER_PROTOCOL is not a version of HTTP that is known here.");
const FIELD_NAME: Refusal = Refusal::bad_request(
    "A variable that begins with HTTP_ has a name that is not that of a header field.",
);
const CONTROL: Refusal = Refusal::bad_request("The value of a variable has a control character.");
const LENGTH: Refusal = Refusal::bad_request("CONTENT_LENGTH is not a decimal number.");
const LENGTH_REPEATED: Refusal = Refusal::bad_request("There is more than one CONTENT_LENGTH.");
const LENGTH_REQUIRED: Refusal = Refusal::new(
    411,
    "The request has a chunked body, which the web server must decode and give a CONTENT_LENGTH.",
);
const TOO_MANY: Refusal = Refusal::new(
    431,
    "The request has more variables than this server accepts.",
);
const TOO_LARGE: Refusal = Refusal::new(
    431,
    "The request's variables are larger than this server accepts.",
);
const TEXT: Refusal = Refusal::bad_request("The variables do not make the head of a request.");

/// What a protocol knows of a request's body without its variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing: `CONTENT_LENGTH` is all there is.
    Declared,
    /// It comes as a stream that has an end, and a first byte of it or none has been seen. Without `CONTENT_LENGTH` a
    /// body is one of unknown length, which [`Framing::Chunked`] stands for; there are no chunks in the stream.
    Stream {
        /// The stream is empty.
        is_empty: bool,
    },
}

/// How a protocol tells a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// `PATH_INFO` may be the whole path, of which `SCRIPT_NAME` is to be taken off (uwsgi's modifier 30).
    pub strip_script_name: bool,
    /// What is known of the body.
    pub body: Body,
    /// Whether the connection persists after this request.
    pub keep_alive: bool,
}

/// Makes a head of variables. `bytes` is cleared and filled with the text of that head, as HTTP/1 has it, and behind
/// that what `head` and `told` point to besides; [`Head::len`] is the length of the text.
///
/// # Errors
///
/// 400 for variables that can be read in more ways than one or not at all; 411; and those of
/// [`http1::parse_head`](crate::codec::http1::parse_head). After a refusal, `head` tells the method as there.
pub fn assemble<'a>(
    variables: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    shape: Shape,
    limits: &Limits,
    bytes: &mut Vec<u8>,
    head: &mut Head,
    told: &mut Told,
) -> Result<(), Refusal> {
    bytes.clear();
    told.clear();
    head.method = Span::default();
    let mut known = Known::default();
    let mut is_chunked = false;
    for (name, value) in variables.clone() {
        known.take(name, value);
        is_chunked |= name == b"HTTP_TRANSFER_ENCODING" && !value.is_empty();
    }
    let named = Named::find(&known, shape.strip_script_name)?;
    write_request_line(bytes, &known, named)?;
    write_fields(bytes, &known, variables.clone())?;
    judge(bytes, limits, head)?;
    head.framing = frame(head.framing, shape.body, is_chunked)?;
    head.keep_alive = shape.keep_alive;
    head.expect_continue = false;
    place_path(bytes, head, told, &known, named)?;
    place_query(bytes, head, &known)?;
    tell(bytes, told, &known)?;
    tell_variables(bytes, told, variables, limits)?;
    if u32::try_from(bytes.len()).is_err() {
        return Err(TOO_LARGE);
    }
    Ok(())
}

fn write_request_line(
    bytes: &mut Vec<u8>,
    known: &Known<'_>,
    named: Option<Named<'_>>,
) -> Result<(), Refusal> {
    if !is_token(known.method) {
        return Err(METHOD);
    }
    bytes.extend_from_slice(known.method);
    bytes.push(b' ');
    let target = bytes.len();
    bytes.extend_from_slice(known.uri);
    if let Some(named) = named.filter(|_| known.uri.is_empty()) {
        encode_path(bytes, named.root);
        encode_path(bytes, named.rest);
        if let Some(query) = known.query.filter(|query| !query.is_empty()) {
            bytes.push(b'?');
            bytes.extend_from_slice(query);
        }
    }
    let target = bytes.get(target..).unwrap_or_default();
    if target.is_empty() || !target.iter().all(|&octet| is_target_byte(octet)) {
        return Err(TARGET);
    }
    bytes.extend_from_slice(version(known.protocol)?);
    Ok(())
}

/// The end of the request line. Whatever the client spoke, what follows for the application is in 1.0 or 1.1.
fn version(protocol: &[u8]) -> Result<&'static [u8], Refusal> {
    match protocol {
        // RFC 3875 4.1.16: INCLUDED is part of another document, and perhaps has no fields.
        b"" | b"INCLUDED" | b"HTTP/0.9" | b"HTTP/1.0" => Ok(b" HTTP/1.0\r\n"),
        b"HTTP/1.1" | b"HTTP/2" | b"HTTP/2.0" | b"HTTP/3" | b"HTTP/3.0" => Ok(b" HTTP/1.1\r\n"),
        _ => Err(PROTOCOL),
    }
}

fn write_fields<'a>(
    bytes: &mut Vec<u8>,
    known: &Known<'a>,
    variables: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<(), Refusal> {
    if let Some(host) = known.host {
        write_line(bytes, b"Host", host)?;
    }
    for (name, value) in variables {
        if let Some(field) = field_of(name) {
            let start = bytes.len();
            write_field_name(bytes, field);
            if !is_token(bytes.get(start..).unwrap_or_default()) {
                return Err(FIELD_NAME);
            }
            write_value(bytes, value)?;
        }
    }
    if !known.content_type.is_empty() {
        write_line(bytes, b"Content-Type", known.content_type)?;
    }
    if known.lengths > 1 {
        return Err(LENGTH_REPEATED);
    }
    if !known.content_length.is_empty() {
        if parse_decimal(known.content_length).is_none() {
            return Err(LENGTH);
        }
        write_line(bytes, b"Content-Length", known.content_length)?;
    }
    bytes.extend_from_slice(b"\r\n");
    Ok(())
}

fn write_line(bytes: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
    bytes.extend_from_slice(name);
    write_value(bytes, value)
}

fn write_value(bytes: &mut Vec<u8>, value: &[u8]) -> Result<(), Refusal> {
    if has_control(value) {
        return Err(CONTROL);
    }
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
    Ok(())
}

fn judge(bytes: &[u8], limits: &Limits, head: &mut Head) -> Result<(), Refusal> {
    match parse_head(bytes, &mut Scanned::default(), limits, head)? {
        Progress::Complete if head.len == bytes.len() => Ok(()),
        _ => Err(TEXT),
    }
}

fn frame(declared: Framing, body: Body, is_chunked: bool) -> Result<Framing, Refusal> {
    match (declared, body) {
        (Framing::None, Body::Declared) if is_chunked => Err(LENGTH_REQUIRED),
        (Framing::None, Body::Stream { is_empty: false }) => Ok(Framing::Chunked),
        _ => Ok(declared),
    }
}

/// Appends to the buffer, and tells where it is.
fn append(bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Span {
    let from = bytes.len();
    write(bytes);
    Span::between(from, bytes.len())
}

fn place_path(
    bytes: &mut Vec<u8>,
    head: &mut Head,
    told: &mut Told,
    known: &Known<'_>,
    named: Option<Named<'_>>,
) -> Result<(), Refusal> {
    told.whole_path = head.path;
    let Some(named) = named.filter(|_| known.uri != b"*") else {
        return Ok(());
    };
    let spelled = head.path;
    let place = if known.uri.is_empty() {
        Some(named.rest_in(spelled.of(bytes)))
    } else {
        // The same bytes as in the text, which leaves the end of the buffer free for the decoded path.
        let from = (spelled.start - head.target.start) as usize;
        let encoded = known.uri.get(from..from + spelled.len());
        named.place_in(encoded.unwrap_or_default(), bytes)?
    };
    if let Some(place) = place {
        head.path = spelled.part(place, spelled.len());
    } else {
        let root = append(bytes, |bytes| encode_path(bytes, named.root));
        head.path = append(bytes, |bytes| encode_path(bytes, named.rest));
        told.whole_path = Span {
            start: root.start,
            end: head.path.end,
        };
    }
    told.script_name = append(bytes, |bytes| bytes.extend_from_slice(named.root));
    Ok(())
}

fn place_query(bytes: &mut Vec<u8>, head: &mut Head, known: &Known<'_>) -> Result<(), Refusal> {
    let Some(query) = known.query.filter(|&query| query != head.query.of(bytes)) else {
        return Ok(());
    };
    if !query.iter().all(|&octet| is_target_byte(octet)) {
        return Err(QUERY);
    }
    head.query = append(bytes, |bytes| bytes.extend_from_slice(query));
    Ok(())
}

fn tell(bytes: &mut Vec<u8>, told: &mut Told, known: &Known<'_>) -> Result<(), Refusal> {
    for (value, place) in [
        (known.server_name, &mut told.server_name),
        (known.protocol, &mut told.protocol),
        (known.remote_user, &mut told.remote_user),
    ] {
        if has_control(value) {
            return Err(CONTROL);
        }
        *place = append(bytes, |bytes| bytes.extend_from_slice(value));
    }
    told.server_port = port(known.server_port);
    told.scheme = scheme(known);
    told.client = core::str::from_utf8(known.remote_addr)
        .ok()
        .and_then(|text| text.parse::<IpAddr>().ok())
        .map(|address| Client {
            address: address.to_canonical(),
            port: port(known.remote_port),
        });
    Ok(())
}

fn port(digits: &[u8]) -> Option<u16> {
    u16::try_from(parse_decimal(digits)?).ok()
}

fn scheme(known: &Known<'_>) -> Option<Scheme> {
    let named = |text: &[u8]| {
        if text.eq_ignore_ascii_case(b"https") {
            Some(Scheme::Https)
        } else if text.eq_ignore_ascii_case(b"http") {
            Some(Scheme::Http)
        } else {
            None
        }
    };
    let is_on = known.https.eq_ignore_ascii_case(b"on") || known.https == b"1";
    named(known.uwsgi_scheme)
        .or(is_on.then_some(Scheme::Https))
        .or(named(known.request_scheme))
        .or((!known.https.is_empty()).then_some(Scheme::Http))
}

fn tell_variables<'a>(
    bytes: &mut Vec<u8>,
    told: &mut Told,
    variables: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    limits: &Limits,
) -> Result<(), Refusal> {
    for (name, value) in variables {
        if !is_extra(name) {
            continue;
        }
        if told.variables.len() >= limits.header_count {
            return Err(TOO_MANY);
        }
        if !is_allowed(name, value) {
            return Err(CONTROL);
        }
        let name = append(bytes, |bytes| bytes.extend_from_slice(name));
        let value = append(bytes, |bytes| bytes.extend_from_slice(value));
        told.variables.push((name, value));
    }
    Ok(())
}

/// Certificates are told in PEM form, which has lines; these values are never written to a head.
fn is_allowed(name: &[u8], value: &[u8]) -> bool {
    if !name.starts_with(b"SSL_") {
        return !has_control(value);
    }
    !(value.iter())
        .any(|&octet| octet.is_ascii_control() && !matches!(octet, b'\t' | b'\r' | b'\n'))
}
