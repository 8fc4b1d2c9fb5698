//! The response: checks on what the application says, the choice of framing, and the bytes of the head.

use core::fmt;

use super::grammar::{find_control, is_token, parse_decimal};
use super::refusal::{Refusal, reason_phrase};
use super::span::Version;

/// What ends the data of every chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The chunk that ends a chunked body, without trailers. Written only when the application ended well: its absence is
/// how a client learns of a truncated answer (RFC 9112 8).
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What is wrong with a status or a field of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldFault {
    /// The status is not three digits from 200 to 999, a space and a phrase without control characters.
    Status,
    /// The name is not a token.
    Name,
    /// The value contains CR, LF, NUL or another control character.
    Value,
    /// The field speaks about the connection, which is the server's.
    HopByHop,
    /// `Content-Length` is not a decimal number.
    Length,
    /// `Content-Length` is there twice.
    LengthRepeated,
}

/// A status or a field that the application may not send. The display names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name, or the status, with everything but printable ASCII escaped.
    pub subject: Box<str>,
    /// What is wrong.
    pub fault: FieldFault,
}

impl FieldError {
    #[cold]
    fn new(subject: &[u8], fault: FieldFault) -> Self {
        Self {
            subject: subject.escape_ascii().to_string().into_boxed_str(),
            fault,
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = &self.subject;
        match self.fault {
            FieldFault::Status => write!(
                out,
                "response status \"{subject}\" is not a code from 200 to 999, a space and a reason phrase"
            ),
            FieldFault::Name => write!(
                out,
                "response header name \"{subject}\" is empty or contains a character that is not allowed"
            ),
            FieldFault::Value => write!(
                out,
                "the value of response header \"{subject}\" contains a control character"
            ),
            FieldFault::HopByHop => write!(
                out,
                "response header \"{subject}\" is hop-by-hop: it belongs to the server, not to the application"
            ),
            FieldFault::Length => write!(
                out,
                "the value of response header \"{subject}\" is not a decimal number"
            ),
            FieldFault::LengthRepeated => {
                write!(out, "response header \"{subject}\" is given more than once")
            }
        }
    }
}

impl core::error::Error for FieldError {}

/// What a field of a response is to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Sent as it is.
    Ordinary,
    /// Not sent as it is: [`finish_head`] writes the length that the plan has.
    ContentLength(u64),
    /// Sent as it is, in place of the server's.
    Date,
    /// Sent as it is, in place of the server's.
    Server,
}

/// Checks a status such as `200 OK` and gives its code. A bare `200` passes.
///
/// # Errors
///
/// [`FieldFault::Status`]; interim codes (1xx) are not an application's final answer.
#[inline]
pub fn check_status(status: &[u8]) -> Result<u16, FieldError> {
    let (code, rest) = match status {
        [a @ b'2'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => ([a, b, c], rest),
        _ => return Err(FieldError::new(status, FieldFault::Status)),
    };
    if !matches!(rest, [] | [b' ', ..]) || has_control(rest) {
        return Err(FieldError::new(status, FieldFault::Status));
    }
    Ok(code
        .into_iter()
        .fold(0, |value, &digit| value * 10 + u16::from(digit - b'0')))
}

/// Checks one field. A duplicate `Content-Length` shows only in [`ResponseFields::add`].
///
/// # Errors
///
/// An invalid name or value, or a hop-by-hop field.
#[inline]
pub fn check_field(name: &[u8], value: &[u8]) -> Result<FieldKind, FieldError> {
    if !is_token(name) {
        return Err(FieldError::new(name, FieldFault::Name));
    }
    if has_control(value) {
        return Err(FieldError::new(name, FieldFault::Value));
    }
    if is_hop_by_hop(name) {
        return Err(FieldError::new(name, FieldFault::HopByHop));
    }
    match name.len() {
        4 if name.eq_ignore_ascii_case(b"date") => Ok(FieldKind::Date),
        6 if name.eq_ignore_ascii_case(b"server") => Ok(FieldKind::Server),
        14 if name.eq_ignore_ascii_case(b"content-length") => parse_decimal(value)
            .map(FieldKind::ContentLength)
            .ok_or_else(|| FieldError::new(name, FieldFault::Length)),
        _ => Ok(FieldKind::Ordinary),
    }
}

/// Whether there is a control character other than a tab.
#[inline]
pub(in crate::codec) fn has_control(value: &[u8]) -> bool {
    let mut at = 0;
    loop {
        at = find_control(value, at);
        match value.get(at) {
            None => return false,
            Some(b'\t') => at += 1,
            Some(_) => return true,
        }
    }
}

/// RFC 9110 7.6.1, and RFC 2616 13.5.1, which PEP 3333 names.
#[inline]
fn is_hop_by_hop(name: &[u8]) -> bool {
    match name.len() {
        2 => name.eq_ignore_ascii_case(b"te"),
        7 => name.eq_ignore_ascii_case(b"trailer") || name.eq_ignore_ascii_case(b"upgrade"),
        8 => name.eq_ignore_ascii_case(b"trailers"),
        10 => name.eq_ignore_ascii_case(b"connection") || name.eq_ignore_ascii_case(b"keep-alive"),
        16 => name.eq_ignore_ascii_case(b"proxy-connection"),
        17 => name.eq_ignore_ascii_case(b"transfer-encoding"),
        18 => name.eq_ignore_ascii_case(b"proxy-authenticate"),
        19 => name.eq_ignore_ascii_case(b"proxy-authorization"),
        _ => false,
    }
}

/// What the fields of one response say together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseFields {
    /// The application's `Content-Length`.
    pub content_length: Option<u64>,
    /// The application gave a `Date`.
    pub has_date: bool,
    /// The application gave a `Server`.
    pub has_server: bool,
}

impl ResponseFields {
    /// Checks one field and remembers what it means.
    ///
    /// # Errors
    ///
    /// Those of [`check_field`], and [`FieldFault::LengthRepeated`].
    #[inline]
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> Result<FieldKind, FieldError> {
        let kind = check_field(name, value)?;
        match kind {
            FieldKind::Ordinary => {}
            FieldKind::Date => self.has_date = true,
            FieldKind::Server => self.has_server = true,
            FieldKind::ContentLength(_) if self.content_length.is_some() => {
                return Err(FieldError::new(name, FieldFault::LengthRepeated));
            }
            FieldKind::ContentLength(length) => self.content_length = Some(length),
        }
        Ok(kind)
    }
}

/// How a response's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// No body follows the head.
    None,
    /// So many bytes: not one more is sent, and if fewer come the connection closes.
    Length(u64),
    /// Chunks: [`write_chunk_header`], data, [`CHUNK_END`]; [`LAST_CHUNK`] at the end.
    Chunked,
    /// All bytes until the connection closes, or the stream of HTTP/2.
    UntilClose,
}

/// How one response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponsePlan {
    /// How the body is delimited on the wire.
    pub body: BodyFraming,
    /// Whether the connection persists after it.
    pub keep_alive: bool,
    /// The `Content-Length` to write.
    pub content_length: Option<u64>,
    /// Whatever the application yields is dropped.
    pub suppress_body: bool,
    /// The request's version, which decides what `Connection` must say.
    pub version: Version,
}

/// Chooses the framing of a response (RFC 9110 6.4.1, 8.6; RFC 9112 6.3).
///
/// `declared_length` is the application's own `Content-Length`; `known_body_length` the size of the body when all of
/// it is at hand. The declared one wins: a body that differs from it is the caller's to cut or to report.
#[must_use]
#[inline]
pub fn plan_response(
    request_method_is_head: bool,
    version: Version,
    request_keep_alive: bool,
    status: u16,
    declared_length: Option<u64>,
    known_body_length: Option<u64>,
) -> ResponsePlan {
    let without_body = |content_length| ResponsePlan {
        body: BodyFraming::None,
        keep_alive: request_keep_alive,
        content_length,
        suppress_body: true,
        version,
    };
    match status {
        100..=199 | 204 => return without_body(None),
        205 => return without_body(Some(0)), // RFC 9110 15.3.6
        304 => return without_body(declared_length), // RFC 9110 15.4.5: the length of what a 200 would have had
        // RFC 9110 9.3.2. An empty body says nothing about what GET would have sent.
        _ if request_method_is_head => {
            return without_body(
                declared_length.or(known_body_length.filter(|&length| length > 0)),
            );
        }
        _ => {}
    }
    let content_length = declared_length.or(known_body_length);
    let body = match (content_length, version) {
        (Some(length), _) => BodyFraming::Length(length),
        (None, Version::Http11) => BodyFraming::Chunked,
        // In HTTP/2 the stream ends, and the connection does not.
        (None, Version::Http10 | Version::Http2) => BodyFraming::UntilClose,
    };
    let keep_alive =
        request_keep_alive && (body != BodyFraming::UntilClose || version == Version::Http2);
    ResponsePlan {
        body,
        keep_alive,
        content_length,
        suppress_body: false,
        version,
    }
}

/// Appends the status line of a status that passed [`check_status`].
#[inline]
pub fn write_status_line(out: &mut Vec<u8>, status: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status);
    // RFC 9112 4: the space after the code stays even if no phrase follows.
    out.extend_from_slice(if status.len() == 3 { b" \r\n" } else { b"\r\n" });
}

/// Appends a field that passed [`check_field`] and is not [`FieldKind::ContentLength`].
#[inline]
pub fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends the fields that are the server's and the empty line. `date` and `server` give way to the application's
/// own; an empty `server` is none.
#[inline]
pub fn finish_head(
    out: &mut Vec<u8>,
    plan: &ResponsePlan,
    seen: &ResponseFields,
    date: &[u8; 29],
    server: &[u8],
) {
    if let Some(length) = plan.content_length {
        write_length(out, length);
    } else if plan.body == BodyFraming::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    match (plan.keep_alive, plan.version) {
        (true, Version::Http11) | (_, Version::Http2) => {}
        (true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
    }
    if !seen.has_date {
        write_field(out, b"Date", date);
    }
    if !seen.has_server && !server.is_empty() {
        write_field(out, b"Server", server);
    }
    out.extend_from_slice(b"\r\n");
}

#[inline]
fn write_length(out: &mut Vec<u8>, length: u64) {
    write_field(
        out,
        b"Content-Length",
        itoa::Buffer::new().format(length).as_bytes(),
    );
}

/// Appends a whole head: status line, the application's fields but for its `Content-Length`, and the server's.
pub fn write_head<'a>(
    out: &mut Vec<u8>,
    status: &[u8],
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    plan: &ResponsePlan,
    seen: &ResponseFields,
    date: &[u8; 29],
    server: &[u8],
) {
    write_status_line(out, status);
    for (name, value) in fields {
        if !name.eq_ignore_ascii_case(b"content-length") {
            write_field(out, name, value);
        }
    }
    finish_head(out, plan, seen, date, server);
}

/// Appends the line that opens a chunk of `size` bytes, which must not be 0: that would end the body.
#[inline]
pub fn write_chunk_header(out: &mut Vec<u8>, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut line = [b'\r'; 18];
    line[17] = b'\n';
    let mut first = 16;
    let mut rest = size;
    loop {
        first -= 1;
        line[first] = DIGITS[rest & 15];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&line[first..]);
}

/// Appends the end of a chunked body: [`LAST_CHUNK`], with `trailers` in it, which are whole field lines (RFC 9112 7.1.2).
#[inline]
pub fn write_last_chunk(out: &mut Vec<u8>, trailers: &[u8]) {
    let (size_line, end) = LAST_CHUNK.split_at(3);
    out.extend_from_slice(size_line);
    out.extend_from_slice(trailers);
    out.extend_from_slice(end);
}

/// Appends a whole answer to a refused request; the connection closes after it. `is_head` leaves the body out (RFC
/// 9110 9.3.2).
#[cold]
pub fn write_refusal(
    out: &mut Vec<u8>,
    refusal: &Refusal,
    date: &[u8; 29],
    server: &[u8],
    is_head: bool,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(refusal.status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason_phrase(refusal.status).as_bytes());
    out.extend_from_slice(b"\r\n");
    write_field(out, b"Content-Type", b"text/plain; charset=utf-8");
    // RFC 9110 15.5.22, RFC 6455 4.4: what would have been understood. Nothing else is refused with this status.
    if refusal.status == 426 {
        write_field(out, b"Upgrade", b"websocket");
        write_field(out, b"Connection", b"Upgrade");
        write_field(out, b"Sec-WebSocket-Version", b"13");
    }
    write_retry_after(out, refusal);
    let plan = ResponsePlan {
        body: BodyFraming::Length(refusal.body_length()),
        keep_alive: false,
        content_length: Some(refusal.body_length()),
        suppress_body: is_head,
        version: Version::Http11,
    };
    finish_head(out, &plan, &ResponseFields::default(), date, server);
    if !is_head {
        out.extend_from_slice(refusal.reason.as_bytes());
        out.push(b'\n');
    }
}

/// RFC 9110 10.2.3: when the client may come again, where a refusal says so.
pub fn write_retry_after(out: &mut Vec<u8>, refusal: &Refusal) {
    if refusal.retry_after > 0 {
        let mut digits = itoa::Buffer::new();
        write_field(
            out,
            b"Retry-After",
            digits.format(refusal.retry_after).as_bytes(),
        );
    }
}

/// Writes an answer that sends the client elsewhere for good, with its method (RFC 9110 15.4.9), and ends the connection.
pub fn write_redirect(out: &mut Vec<u8>, location: &[u8], date: &[u8; 29], server: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 308 Permanent Redirect\r\n");
    write_field(out, b"Location", location);
    let plan = ResponsePlan {
        body: BodyFraming::Length(0),
        keep_alive: false,
        content_length: Some(0),
        suppress_body: true,
        version: Version::Http11,
    };
    finish_head(out, &plan, &ResponseFields::default(), date, server);
}

/// Writes a short answer that is not the application's, and ends the connection.
pub fn write_brief(out: &mut Vec<u8>, body: &[u8], date: &[u8; 29], server: &[u8], is_head: bool) {
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    write_field(out, b"Content-Type", b"application/octet-stream");
    let length = body.len() as u64;
    let plan = ResponsePlan {
        body: BodyFraming::Length(length),
        keep_alive: false,
        content_length: Some(length),
        suppress_body: is_head,
        version: Version::Http11,
    };
    finish_head(out, &plan, &ResponseFields::default(), date, server);
    if !is_head {
        out.extend_from_slice(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &[u8; 29] = b"Thu, 20 Nov 2026 14:00:00 GMT";

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn plan_1_1(status: u16, declared: Option<u64>, known: Option<u64>) -> ResponsePlan {
        plan_response(false, Version::Http11, true, status, declared, known)
    }

    #[test]
    fn statuses_give_their_code() {
        for (status, code) in [
            ("200 OK", 200),
            ("200", 200),
            ("204 ", 204),
            ("299 <none>", 299),
            ("404 Not\tFound", 404),
            ("999 \u{e9}", 999),
        ] {
            assert_eq!(check_status(status.as_bytes()), Ok(code), "{status}");
        }
    }

    #[test]
    fn statuses_that_cannot_be_sent_are_errors() {
        for status in [
            "",
            "20",
            "OK",
            "200OK",
            "2000 OK",
            " 200 OK",
            "+20 OK",
            "100 Continue",
            "101 Switching Protocols",
            "099 x",
            "200\tOK",
        ] {
            assert_eq!(
                check_status(status.as_bytes()).unwrap_err().fault,
                FieldFault::Status,
                "{status}"
            );
        }
        for status in [
            "200 OK\r\nX: y",
            "200 OK\n",
            "200 \0",
            "200 O\x7fK",
            "200\r",
        ] {
            assert_eq!(
                check_status(status.as_bytes()).unwrap_err().fault,
                FieldFault::Status,
                "{status:?}"
            );
        }
    }

    #[test]
    fn hop_by_hop_fields_are_errors_that_name_the_field() {
        for name in [
            "Connection",
            "Keep-Alive",
            "Proxy-Authenticate",
            "Proxy-Authorization",
            "Proxy-Connection",
            "TE",
            "Trailer",
            "Trailers",
            "Transfer-Encoding",
            "Upgrade",
            "uPGRADE",
        ] {
            let error = check_field(name.as_bytes(), b"x").unwrap_err();
            assert_eq!(error.fault, FieldFault::HopByHop, "{name}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn names_must_be_tokens() {
        for name in ["", "X A", "X:A", "X\r\nA", "X\0", "X\u{e9}", "(X)", "X\t"] {
            assert_eq!(
                check_field(name.as_bytes(), b"x").unwrap_err().fault,
                FieldFault::Name,
                "{name:?}"
            );
        }
    }

    #[test]
    fn values_with_control_characters_are_errors_that_do_not_repeat_them() {
        for octet in (0..0x20).chain([0x7f]).filter(|&octet| octet != b'\t') {
            let error = check_field(b"X-A", &[b'a', octet, b'b']).unwrap_err();
            assert_eq!(error.fault, FieldFault::Value, "{octet:#x}");
            assert!(
                !error
                    .to_string()
                    .contains(|letter: char| letter.is_control())
            );
        }
        assert_eq!(
            check_field(b"X-A", b"a\tb \xe9\xff"),
            Ok(FieldKind::Ordinary)
        );
    }

    #[test]
    fn fields_of_the_server_are_recognised_in_any_case() {
        assert_eq!(
            check_field(b"content-LENGTH", b"12"),
            Ok(FieldKind::ContentLength(12))
        );
        assert_eq!(check_field(b"date", b"x"), Ok(FieldKind::Date));
        assert_eq!(check_field(b"SERVER", b"x"), Ok(FieldKind::Server));
        assert_eq!(
            check_field(b"Content-Length", b"-1").unwrap_err().fault,
            FieldFault::Length
        );
        assert_eq!(
            check_field(b"Content-Length", b"1, 1").unwrap_err().fault,
            FieldFault::Length
        );
    }

    #[test]
    fn a_second_content_length_is_an_error() {
        let mut seen = ResponseFields::default();
        assert_eq!(
            seen.add(b"Content-Length", b"5"),
            Ok(FieldKind::ContentLength(5))
        );
        assert_eq!(
            seen.add(b"content-length", b"5").unwrap_err().fault,
            FieldFault::LengthRepeated
        );
    }

    #[test]
    fn responses_without_a_body_have_none_on_the_wire() {
        for (status, length) in [(204, None), (205, Some(0)), (304, Some(9))] {
            let plan = plan_1_1(status, Some(9), Some(9));
            assert_eq!(
                (
                    plan.body,
                    plan.content_length,
                    plan.suppress_body,
                    plan.keep_alive
                ),
                (BodyFraming::None, length, true, true),
                "{status}"
            );
        }
        assert_eq!(plan_1_1(304, None, Some(0)).content_length, None);
        assert!(!plan_response(false, Version::Http11, false, 204, None, None).keep_alive);
    }

    #[test]
    fn answers_to_head_say_the_length_that_get_would_have() {
        let head =
            |declared, known| plan_response(true, Version::Http11, true, 200, declared, known);
        for (declared, known, length) in [
            (Some(9), Some(0), Some(9)),
            (None, Some(9), Some(9)),
            (None, Some(0), None),
            (None, None, None),
        ] {
            let plan = head(declared, known);
            assert_eq!(
                (plan.body, plan.content_length, plan.suppress_body),
                (BodyFraming::None, length, true)
            );
        }
    }

    #[test]
    fn bodies_are_delimited_by_length_then_chunks_then_the_end() {
        assert_eq!(plan_1_1(200, Some(9), Some(4)).body, BodyFraming::Length(9));
        assert_eq!(plan_1_1(200, None, Some(4)).body, BodyFraming::Length(4));
        assert_eq!(plan_1_1(200, None, None).body, BodyFraming::Chunked);
        let plan = plan_response(false, Version::Http10, true, 200, None, None);
        assert_eq!(
            (plan.body, plan.keep_alive),
            (BodyFraming::UntilClose, false)
        );
        assert!(plan_response(false, Version::Http10, true, 200, None, Some(1)).keep_alive);
        assert!(!plan_response(false, Version::Http11, false, 200, None, Some(1)).keep_alive);
    }

    #[test]
    fn a_head_has_the_fields_of_application_and_server() {
        let fields: [(&[u8], &[u8]); 2] =
            [(b"Content-Type", b"text/plain"), (b"content-length", b"5")];
        let mut seen = ResponseFields::default();
        for (name, value) in fields {
            seen.add(name, value).unwrap();
        }
        let plan = plan_1_1(200, seen.content_length, None);
        assert_eq!(
            text(|out| write_head(out, b"200 OK", fields, &plan, &seen, DATE, b"hostler")),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nDate: Thu, 20 Nov 2026 14:00:00 GMT\r\nServer: hostler\r\n\r\n"
        );
    }

    #[test]
    fn date_and_server_of_the_application_stay_alone() {
        let seen = ResponseFields {
            content_length: None,
            has_date: true,
            has_server: true,
        };
        let plan = plan_1_1(200, None, None);
        assert_eq!(
            text(|out| finish_head(out, &plan, &seen, DATE, b"hostler")),
            "Transfer-Encoding: chunked\r\n\r\n"
        );
    }

    #[test]
    fn connection_is_said_when_it_differs_from_the_default_of_the_version() {
        let head = |version, keep_alive| {
            let plan = plan_response(false, version, keep_alive, 200, None, Some(0));
            text(|out| finish_head(out, &plan, &ResponseFields::default(), DATE, b""))
        };
        assert!(!head(Version::Http11, true).contains("Connection"));
        assert!(head(Version::Http11, false).contains("Connection: close\r\n"));
        assert!(head(Version::Http10, true).contains("Connection: keep-alive\r\n"));
        assert!(head(Version::Http10, false).contains("Connection: close\r\n"));
        assert!(!head(Version::Http11, true).contains("Server"));
    }

    #[test]
    fn a_status_without_a_phrase_keeps_its_space() {
        assert_eq!(
            text(|out| write_status_line(out, b"200")),
            "HTTP/1.1 200 \r\n"
        );
        assert_eq!(
            text(|out| write_status_line(out, b"200 ")),
            "HTTP/1.1 200 \r\n"
        );
    }

    #[test]
    fn chunk_headers_are_hexadecimal() {
        for size in [1, 9, 10, 15, 16, 255, 4096, 65_537, usize::MAX] {
            assert_eq!(
                text(|out| write_chunk_header(out, size)),
                format!("{size:x}\r\n")
            );
        }
    }

    #[test]
    fn a_refusal_is_a_whole_answer_that_closes() {
        let refusal = Refusal::bad_request("No.");
        assert_eq!(
            text(|out| write_refusal(out, &refusal, DATE, b"", false)),
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\nConnection: close\r\n\
             Date: Thu, 20 Nov 2026 14:00:00 GMT\r\n\r\nNo.\n"
        );
        assert!(text(|out| write_refusal(out, &refusal, DATE, b"", true)).ends_with("GMT\r\n\r\n"));
    }
}
