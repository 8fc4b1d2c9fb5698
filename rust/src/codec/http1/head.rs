//! The request head: request line and fields (RFC 9112 2 to 5).
//!
//! The walk over the bytes is an automaton that stops at the first byte that decides. [`Scanned`] is where it stood
//! when the bytes ran out; it goes on from there, and once the end of the head is in, one more pass over the whole
//! head collects the spans. So dribbled bytes are looked at twice at most, and a [`Head`] may be shared by all
//! connections of a thread, as nothing in it outlives a call.

use super::framing::{Facts, Framing};
use super::grammar::{find_control, is_blank, is_target_byte, is_token_byte};
use super::limits::Limits;
use super::refusal::Refusal;
use super::span::{Span, Version};
use super::target::{Target, TargetForm, parse_target};

/// Longest method, in bytes: twice the longest registered one (UPDATEREDIRECTREF, 17), rounded down.
pub const MAX_METHOD: usize = 32;

/// Empty lines skipped before a request line. RFC 9112 2.2 asks for one at least; the second is for clients that end
/// a body with their own.
pub const MAX_EMPTY_LINES: usize = 2;

/// `HTTP/1.1` and the space before it.
const VERSION_SIZE: usize = 9;

/// A field line. The name is a token as received; the value has no white space at its ends and no control character
/// but tabs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// The name, in the client's case.
    pub name: Span,
    /// The value, perhaps empty.
    pub value: Span,
}

/// A request head as spans of the bytes it was parsed from. Valid after [`Progress::Complete`]; made once and reused.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The method, case-sensitive. After a refusal: empty, or the method of the refused request.
    pub method: Span,
    /// The target as received.
    pub target: Span,
    /// The form of the target.
    pub form: TargetForm,
    /// The path, still encoded; of an absolute-form its path part; `*` for the asterisk-form.
    pub path: Span,
    /// What follows the first `?`, perhaps empty.
    pub query: Span,
    /// The authority of an absolute-form, which overrides [`Head::host`] (RFC 9112 3.2.2).
    pub authority: Option<Span>,
    /// The version.
    pub version: Version,
    /// All fields, in order.
    pub fields: Vec<Field>,
    /// The Host field's value, valid; always there in HTTP/1.1.
    pub host: Option<Span>,
    /// How the body is delimited.
    pub framing: Framing,
    /// Whether the client lets the connection persist (RFC 9112 9.3).
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// Whether it opens a WebSocket on a stream of HTTP/2 (RFC 8441). Never in HTTP/1, where fields ask for it.
    pub is_websocket: bool,
    /// Size of the head in bytes: empty lines before it and the empty line after it included. The body starts here.
    pub len: usize,
}

impl Head {
    /// A head with room for the fields of any ordinary request.
    #[must_use]
    pub fn new() -> Self {
        Self {
            fields: Vec::with_capacity(32),
            ..Self::default()
        }
    }

    /// Whether the method is `HEAD`, so that the answer has no body; also after a refusal.
    #[must_use]
    pub fn is_head_method(&self, bytes: &[u8]) -> bool {
        self.method.of(bytes) == b"HEAD"
    }
}

/// Whether more bytes are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The head has not ended yet.
    Partial,
    /// The head is complete.
    Complete,
}

/// Where the search for the end of a head stands. One per connection; `Scanned::default()` at the start of each
/// request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scanned {
    /// Bytes before this index need no second look.
    at: usize,
    /// Start of the line that is being read.
    line: usize,
    /// Index of that line's colon; 0 while not found.
    colon: usize,
    /// Fields completed.
    fields: usize,
    /// Whether the request line is complete.
    in_fields: bool,
}

const EMPTY_LINES: Refusal =
    Refusal::bad_request("There are too many empty lines before the request.");
const METHOD: Refusal = Refusal::bad_request("The request does not begin with a method.");
const METHOD_TOO_LONG: Refusal = Refusal::new(
    501,
    "The request method is longer than any that this server implements.",
);
const TARGET: Refusal = Refusal::bad_request(
    "The request target is empty or contains a character that is not allowed.",
);
const LINE_TOO_LONG: Refusal =
    Refusal::new(414, "The request line is longer than this server accepts.");
const VERSION: Refusal =
    Refusal::bad_request("The request line does not end with an HTTP version.");
const VERSION_UNKNOWN: Refusal =
    Refusal::new(505, "This server speaks HTTP/1.1 and HTTP/1.0 only.");
const FIELD_FOLDED: Refusal =
    Refusal::bad_request("A header field begins with white space; folded fields are obsolete.");
const FIELD_NAME_EMPTY: Refusal = Refusal::bad_request("A header field has no name.");
const FIELD_NAME_BLANK: Refusal =
    Refusal::bad_request("There is white space between a header field's name and its colon.");
const FIELD_NAME: Refusal = Refusal::bad_request(
    "A header field's name contains a character that is not allowed, or its colon is missing.",
);
const FIELD_VALUE: Refusal =
    Refusal::bad_request("A header field's value contains a control character.");
const BARE_LF: Refusal = Refusal::bad_request("A line ends with LF alone in place of CR LF.");
const BARE_CR: Refusal = Refusal::bad_request("A CR is not followed by LF.");
const FIELD_TOO_LARGE: Refusal =
    Refusal::new(431, "A header field is larger than this server accepts.");
const TOO_MANY_FIELDS: Refusal = Refusal::new(
    431,
    "The request has more header fields than this server accepts.",
);
const HEAD_TOO_LARGE: Refusal =
    Refusal::new(431, "The request head is larger than this server accepts.");

/// Parses the head at the start of `bytes`.
///
/// Call it again with the same bytes and more while it says `Partial`; `scanned` keeps the place, and is reset when
/// the head is complete. `head` is meaningful after `Complete` only, but for its method, which tells after a refusal
/// whether the request was a `HEAD`.
///
/// # Errors
///
/// A refusal with 400, 413, 414, 417, 431, 501 or 505, as soon as no further byte can mend the request.
#[inline]
pub fn parse_head(
    bytes: &[u8],
    scanned: &mut Scanned,
    limits: &Limits,
    head: &mut Head,
) -> Result<Progress, Refusal> {
    let ceiling = limits.head_size.min(u32::MAX as usize);
    let window = bytes.get(..ceiling).unwrap_or(bytes);
    let is_resumed = scanned.line > 0 || scanned.at > 0;
    let mut walk = Walk {
        bytes: window,
        limits,
        head,
        facts: Facts::default(),
    };
    let mut progress = match walk.run(scanned) {
        Ok(progress) => progress,
        Err(refusal) => {
            walk.recover_method();
            return Err(refusal);
        }
    };
    if progress == Progress::Complete && is_resumed {
        *scanned = Scanned::default();
        progress = walk.run(scanned)?;
    }
    if progress == Progress::Partial {
        if window.len() < ceiling {
            return Ok(progress);
        }
        walk.recover_method();
        return Err(beyond_head_size(scanned));
    }
    *scanned = Scanned::default();
    let facts = walk.facts;
    let verdict = facts.judge(window, head.version, limits)?;
    head.host = verdict.host;
    head.framing = verdict.framing;
    head.keep_alive = verdict.keep_alive;
    head.expect_continue = verdict.expect_continue;
    Ok(progress)
}

#[cold]
fn beyond_head_size(scanned: &Scanned) -> Refusal {
    if scanned.in_fields {
        HEAD_TOO_LARGE
    } else {
        LINE_TOO_LONG
    }
}

/// One pass over the bytes, from the start or from where the last one stopped.
struct Walk<'a> {
    bytes: &'a [u8],
    limits: &'a Limits,
    head: &'a mut Head,
    facts: Facts,
}

/// What a line walk found.
enum Line {
    /// The bytes ran out within it.
    Partial,
    /// A line is complete; the next one starts here.
    Next(usize),
    /// The empty line that ends the head is complete; the body starts here.
    End(usize),
}

impl Walk<'_> {
    #[inline]
    fn run(&mut self, scanned: &mut Scanned) -> Result<Progress, Refusal> {
        self.facts = Facts::default();
        self.head.fields.clear();
        self.head.method = Span::default();
        if !scanned.in_fields {
            let Line::Next(next) = self.request_line(scanned)? else {
                return Ok(Progress::Partial);
            };
            *scanned = Scanned {
                at: next,
                line: next,
                colon: 0,
                fields: 0,
                in_fields: true,
            };
        }
        loop {
            match self.field_line(scanned)? {
                Line::Partial => return Ok(Progress::Partial),
                Line::End(end) => {
                    self.head.len = end;
                    return Ok(Progress::Complete);
                }
                Line::Next(next) => {
                    scanned.at = next;
                    scanned.line = next;
                    scanned.colon = 0;
                    scanned.fields += 1;
                }
            }
        }
    }

    /// Finds the method of a refused request again, as a walk that was resumed has not seen it.
    #[cold]
    fn recover_method(&mut self) {
        self.head.method = Span::default();
        let Ok(Some(start)) = skip_empty_lines(self.bytes) else {
            return;
        };
        let Ok(Some(end)) = find_method_end(self.bytes, start) else {
            return;
        };
        self.head.method = Span::between(start, end);
    }

    /// RFC 9112 3: method SP target SP version CR LF, with one space exactly.
    #[inline]
    fn request_line(&mut self, scanned: &mut Scanned) -> Result<Line, Refusal> {
        let bytes = self.bytes;
        let Some(start) = skip_empty_lines(bytes)? else {
            return Ok(Line::Partial);
        };
        let Some(method_end) = find_method_end(bytes, start)? else {
            return Ok(Line::Partial);
        };
        let method = Span::between(start, method_end);
        self.head.method = method;
        let first = method_end + 1;
        let ceiling = start.saturating_add(self.limits.request_line.saturating_sub(VERSION_SIZE));
        let Some(target_end) = find_target_end(bytes, first.max(scanned.at), ceiling)? else {
            scanned.at = bytes.len();
            return Ok(Line::Partial);
        };
        if target_end == first {
            return Err(TARGET);
        }
        scanned.at = target_end;
        let rest = bytes.get(target_end + 1..).unwrap_or_default();
        let version = if rest.starts_with(b"HTTP/1.1\r\n") {
            Some(Version::Http11)
        } else {
            parse_version(rest)?
        };
        let Some(version) = version else {
            return Ok(Line::Partial);
        };
        self.head.version = version;
        self.head.target = Span::between(first, target_end);
        let Target {
            form,
            path,
            query,
            authority,
        } = parse_target(bytes, method, self.head.target)?;
        self.head.form = form;
        self.head.path = path;
        self.head.query = query;
        self.head.authority = authority;
        Ok(Line::Next(target_end + 1 + VERSION_SIZE + 1))
    }

    /// RFC 9112 5: name ":" OWS value OWS CR LF, or the empty line.
    #[inline]
    fn field_line(&mut self, scanned: &mut Scanned) -> Result<Line, Refusal> {
        let line = scanned.line;
        match self.bytes.get(line..) {
            None | Some([] | [b'\r']) => return Ok(Line::Partial),
            Some([b'\r', b'\n', ..]) => return Ok(Line::End(line + 2)),
            Some([b'\r', ..]) => return Err(BARE_CR),
            Some(_) => {}
        }
        if scanned.fields >= self.limits.header_count {
            return Err(TOO_MANY_FIELDS);
        }
        let ceiling = line.saturating_add(self.limits.header_size);
        let window = self.bytes.get(..=ceiling).unwrap_or(self.bytes);
        if scanned.colon == 0 {
            let Some(colon) = find_colon(window, line, scanned.at)? else {
                return run_out(scanned, window.len(), ceiling);
            };
            scanned.colon = colon;
            scanned.at = colon + 1;
        }
        let Some(end) = find_value_end(window, scanned.at)? else {
            return run_out(scanned, window.len(), ceiling);
        };
        match self.bytes.get(end + 1) {
            None => {
                scanned.at = end;
                return Ok(Line::Partial);
            }
            Some(b'\n') => {}
            Some(_) => return Err(BARE_CR),
        }
        self.keep_field(line, scanned.colon, end);
        Ok(Line::Next(end + 2))
    }

    #[inline]
    fn keep_field(&mut self, line: usize, colon: usize, end: usize) {
        let mut from = colon + 1;
        let mut to = end;
        while from < to && is_blank(self.bytes[from]) {
            from += 1;
        }
        while from < to && is_blank(self.bytes[to - 1]) {
            to -= 1;
        }
        let field = Field {
            name: Span::between(line, colon),
            value: Span::between(from, to),
        };
        self.head.fields.push(field);
        self.facts
            .note(self.bytes, field.name.of(self.bytes), field.value);
    }
}

/// The bytes of a field line ran out: either they are not there yet, or the line is longer than allowed.
#[inline]
fn run_out(scanned: &mut Scanned, seen: usize, ceiling: usize) -> Result<Line, Refusal> {
    if seen > ceiling {
        return Err(FIELD_TOO_LARGE);
    }
    scanned.at = seen;
    Ok(Line::Partial)
}

/// The start of the request line, once a byte of it is there.
#[inline]
fn skip_empty_lines(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let mut start = 0;
    loop {
        match &bytes[start..] {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] if start == 2 * MAX_EMPTY_LINES => return Err(EMPTY_LINES),
            [b'\r', b'\n', ..] => start += 2,
            [b'\r', ..] => return Err(BARE_CR),
            [b'\n', ..] => return Err(BARE_LF),
            _ => return Ok(Some(start)),
        }
    }
}

/// The index of the space after the method.
#[inline]
fn find_method_end(bytes: &[u8], start: usize) -> Result<Option<usize>, Refusal> {
    let line = &bytes[start..];
    match line
        .iter()
        .take(MAX_METHOD + 1)
        .position(|&octet| !is_token_byte(octet))
    {
        Some(length) if length > 0 && line[length] == b' ' => Ok(Some(start + length)),
        Some(_) => Err(METHOD),
        None if line.len() > MAX_METHOD => Err(METHOD_TOO_LONG),
        None => Ok(None),
    }
}

/// The index of the space after the target, which is at `ceiling` at the latest.
#[inline]
fn find_target_end(bytes: &[u8], from: usize, ceiling: usize) -> Result<Option<usize>, Refusal> {
    let window = bytes.get(..=ceiling).unwrap_or(bytes);
    let rest = window.get(from..).unwrap_or_default();
    match rest.iter().position(|&octet| !is_target_byte(octet)) {
        Some(length) if rest[length] == b' ' => Ok(Some(from + length)),
        Some(_) => Err(TARGET),
        None if bytes.len() > ceiling => Err(LINE_TOO_LONG),
        None => Ok(None),
    }
}

/// The version and the line end after it, byte by byte; `None` if there are too few bytes.
#[cold]
fn parse_version(rest: &[u8]) -> Result<Option<Version>, Refusal> {
    const PATTERN: &[u8; 10] = b"HTTP/d.d\r\n";
    for (&octet, &wanted) in rest.iter().zip(PATTERN) {
        let fits = if wanted == b'd' {
            octet.is_ascii_digit()
        } else {
            octet == wanted
        };
        if !fits {
            return Err(VERSION);
        }
    }
    match rest.get(..PATTERN.len()) {
        None => Ok(None),
        Some(b"HTTP/1.0\r\n") => Ok(Some(Version::Http10)),
        // RFC 9110 2.5: a higher minor version is read as the highest that we know.
        Some(whole) if whole.starts_with(b"HTTP/1.") => Ok(Some(Version::Http11)),
        Some(_) => Err(VERSION_UNKNOWN),
    }
}

/// The index of the colon that ends the name of the field at `line`; the name was found free of faults before `from`.
#[inline]
fn find_colon(window: &[u8], line: usize, from: usize) -> Result<Option<usize>, Refusal> {
    let rest = window.get(from..).unwrap_or_default();
    match rest.iter().position(|&octet| !is_token_byte(octet)) {
        None => Ok(None),
        Some(length) if rest[length] == b':' && from + length > line => Ok(Some(from + length)),
        Some(length) => Err(name_fault(rest[length], from + length == line)),
    }
}

#[cold]
fn name_fault(octet: u8, is_first: bool) -> Refusal {
    match octet {
        b' ' | b'\t' if is_first => FIELD_FOLDED,
        b' ' | b'\t' => FIELD_NAME_BLANK,
        b':' => FIELD_NAME_EMPTY,
        b'\n' => BARE_LF,
        _ => FIELD_NAME,
    }
}

/// The index of the CR that ends the value that starts at or before `from`.
#[inline]
fn find_value_end(window: &[u8], from: usize) -> Result<Option<usize>, Refusal> {
    let mut at = from;
    loop {
        at = find_control(window, at);
        match window.get(at) {
            None => return Ok(None),
            Some(b'\r') => return Ok(Some(at)),
            Some(b'\t') => at += 1,
            Some(b'\n') => return Err(BARE_LF),
            Some(_) => return Err(FIELD_VALUE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8], scanned: &mut Scanned, head: &mut Head) -> Result<Progress, Refusal> {
        parse_head(bytes, scanned, &Limits::default(), head)
    }

    #[test]
    fn spans_of_other_bytes_are_empty_not_a_panic() {
        assert_eq!(Span { start: 5, end: 9 }.of(b"abc"), b"");
        assert_eq!(Span { start: 1, end: 3 }.of(b"abc"), b"bc");
    }

    #[test]
    fn a_head_shared_by_connections_holds_only_the_last_one() {
        let mut head = Head::new();
        let (mut first, mut second) = (Scanned::default(), Scanned::default());
        let one = b"POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
        let two = b"GET /two HTTP/1.1\r\nHost: b\r\n\r\n";
        assert_eq!(
            parse(&one[..30], &mut first, &mut head),
            Ok(Progress::Partial)
        );
        assert_eq!(parse(two, &mut second, &mut head), Ok(Progress::Complete));
        assert_eq!(head.fields.len(), 1);
        assert_eq!(parse(one, &mut first, &mut head), Ok(Progress::Complete));
        assert_eq!(
            (head.path.of(one), head.framing, head.fields.len()),
            (b"/one".as_slice(), Framing::Length(3), 2)
        );
    }

    #[test]
    fn the_length_of_a_head_includes_empty_lines_around_it() {
        let bytes = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
        let mut head = Head::new();
        assert_eq!(
            parse(bytes, &mut Scanned::default(), &mut head),
            Ok(Progress::Complete)
        );
        assert_eq!(&bytes[head.len..], b"body");
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        for (bytes, refusal) in [
            (b"GET  / HTTP/1.1\r\n".as_slice(), TARGET),
            (b"GET / HTTP/1.1\r\nHost : a\r\n", FIELD_NAME_BLANK),
            (b"GET / HTTP/1.1\r\n folded\r\n", FIELD_FOLDED),
            (b"GET / HTTP/1.1\r\n: a\r\n", FIELD_NAME_EMPTY),
            (b"GET / HTTP/1.1\r\nHost: a\n", BARE_LF),
            (b"GET / HTTP/1.1\r\nHost: a\rb", BARE_CR),
            (b"GET / HTTP/1.1\r\nHost: a\0", FIELD_VALUE),
        ] {
            assert_eq!(
                parse(bytes, &mut Scanned::default(), &mut Head::new()),
                Err(refusal)
            );
        }
    }

    #[test]
    fn a_head_request_over_the_limit_is_known_as_one_when_it_came_in_parts() {
        let limits = Limits {
            head_size: 40,
            ..Limits::default()
        };
        let bytes = b"HEAD / HTTP/1.1\r\nHost: a\r\nX-A: bbbbbbbbbbbbbbbbbbbb";
        let (mut head, mut scanned) = (Head::new(), Scanned::default());
        assert_eq!(
            parse_head(&bytes[..30], &mut scanned, &limits, &mut head),
            Ok(Progress::Partial)
        );
        assert_eq!(
            parse_head(bytes, &mut scanned, &limits, &mut head),
            Err(HEAD_TOO_LARGE)
        );
        assert!(head.is_head_method(bytes));
    }

    #[test]
    fn a_refused_head_request_is_known_as_one_however_it_came() {
        let bytes = b"HEAD / HTTP/1.1\r\nHost: a\r\nX y: z\r\n";
        let (mut head, mut scanned) = (Head::new(), Scanned::default());
        assert!(parse(bytes, &mut scanned, &mut head).is_err());
        assert!(head.is_head_method(bytes));
        let mut scanned = Scanned::default();
        assert_eq!(
            parse(&bytes[..26], &mut scanned, &mut head),
            Ok(Progress::Partial)
        );
        assert_eq!(
            parse(
                b"GET / HTTP/1.1\r\nHost: b\r\n\r\n",
                &mut Scanned::default(),
                &mut head
            ),
            Ok(Progress::Complete)
        );
        assert!(parse(bytes, &mut scanned, &mut head).is_err());
        assert!(head.is_head_method(bytes));
        assert!(parse(b"\x16", &mut Scanned::default(), &mut head).is_err());
        assert!(head.method.is_empty());
    }

    #[test]
    fn dribbled_bytes_are_not_scanned_again() {
        let bytes = [
            b"GET / HTTP/1.1\r\nHost: a\r\n".as_slice(),
            &b"A: b\r\n".repeat(90),
            b"B: ",
            &[b'v'; 16_000],
            b"\r\n\r\n",
        ]
        .concat();
        let (mut head, mut scanned) = (Head::new(), Scanned::default());
        for end in 1..bytes.len() {
            assert_eq!(
                parse(&bytes[..end], &mut scanned, &mut head),
                Ok(Progress::Partial)
            );
            // Only the method and the version are read again, and both are short.
            assert!(
                end - scanned.at <= MAX_METHOD + VERSION_SIZE,
                "at byte {end} the next call would begin at {}",
                scanned.at
            );
        }
        assert_eq!(
            parse(&bytes, &mut scanned, &mut head),
            Ok(Progress::Complete)
        );
    }
}
