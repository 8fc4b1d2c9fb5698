//! What the fields of a head say together: Host, the body's framing, persistence, expectations.

use super::grammar::{is_blank, is_token, parse_decimal, trim_blanks};
use super::limits::Limits;
use super::refusal::Refusal;
use super::span::{Span, Version};
use super::target::is_host;

/// How a request's body is delimited (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// No body, and none declared.
    #[default]
    None,
    /// A body of so many bytes, perhaps 0.
    Length(u64),
    /// A chunked body, for a [`super::ChunkedDecoder`].
    Chunked,
}

const HOST_MISSING: Refusal = Refusal::bad_request("An HTTP/1.1 request must have a Host field.");
const HOST_REPEATED: Refusal = Refusal::bad_request("The request has more than one Host field.");
const HOST_INVALID: Refusal = Refusal::bad_request("The Host field is not a valid host and port.");
const LENGTH_INVALID: Refusal =
    Refusal::bad_request("The Content-Length field is not a decimal number.");
const LENGTH_REPEATED: Refusal =
    Refusal::bad_request("The request has more than one Content-Length field.");
const LENGTH_AND_CODING: Refusal =
    Refusal::bad_request("The request has both a Content-Length and a Transfer-Encoding field.");
const CODING_IN_1_0: Refusal =
    Refusal::bad_request("An HTTP/1.0 request cannot have a Transfer-Encoding field.");
const CODING_INVALID: Refusal = Refusal::bad_request("The Transfer-Encoding field is malformed.");
const CODING_ORDER: Refusal =
    Refusal::bad_request("The transfer coding chunked must be applied once and last.");
const CODING_UNKNOWN: Refusal = Refusal::new(
    501,
    "The request uses a transfer coding that this server does not implement.",
);
const BODY_TOO_LARGE: Refusal =
    Refusal::new(413, "The request body is larger than this server accepts.");
const EXPECTATION: Refusal = Refusal::new(
    417,
    "The only expectation that this server meets is 100-continue.",
);

/// What was seen of the fields that matter to the server; collected field by field, judged when the head is complete.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not the states of one machine"
)]
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::codec) struct Facts {
    host: Seen<Span>,
    length: Seen<Option<u64>>,
    codings: Option<Result<(), Refusal>>,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    expects_other: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Seen<T> {
    #[default]
    Never,
    Once(T),
    Repeatedly,
}

impl<T> Seen<T> {
    fn again(&mut self, value: T) {
        *self = match self {
            Self::Never => Self::Once(value),
            Self::Once(_) | Self::Repeatedly => Self::Repeatedly,
        };
    }
}

/// The judgement on a whole head.
pub(in crate::codec) struct Verdict {
    pub host: Option<Span>,
    pub framing: Framing,
    pub keep_alive: bool,
    pub expect_continue: bool,
}

impl Facts {
    /// Looks at one field. The length of a name tells almost all other fields apart from those that matter.
    #[inline]
    pub(in crate::codec) fn note(&mut self, bytes: &[u8], name: &[u8], value: Span) {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host.again(value),
            6 if name.eq_ignore_ascii_case(b"expect") => self.note_expect(value.of(bytes)),
            10 if name.eq_ignore_ascii_case(b"connection") => self.note_connection(value.of(bytes)),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                self.length.again(parse_decimal(value.of(bytes)));
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.note_codings(value.of(bytes));
            }
            _ => {}
        }
    }

    fn note_expect(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"100-continue") {
            self.expects_continue = true;
        } else {
            self.expects_other = true;
        }
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in value.split(|&octet| octet == b',').map(trim_blanks) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Several fields are one list (RFC 9110 5.3), so what is wrong with the first stays wrong.
    fn note_codings(&mut self, value: &[u8]) {
        for coding in value.split(|&octet| octet == b',').map(trim_blanks) {
            self.codings = Some(match self.codings {
                Some(Err(refusal)) if refusal.status == 400 => Err(refusal),
                before => judge_coding(before, coding),
            });
        }
    }

    /// The Host field, if there is one; of several, nothing in particular.
    pub(in crate::codec) fn host(&self) -> Option<Span> {
        match self.host {
            Seen::Never => None,
            Seen::Once(host) => Some(host),
            Seen::Repeatedly => Some(Span::default()),
        }
    }

    /// Judges the whole.
    ///
    /// # Errors
    ///
    /// 400 for Host and framing that cannot be read in one way, 413, 417, 501.
    #[inline]
    pub(in crate::codec) fn judge(
        &self,
        bytes: &[u8],
        version: Version,
        limits: &Limits,
    ) -> Result<Verdict, Refusal> {
        let host = self.judge_host(bytes, version)?;
        let framing = self.judge_framing(version, limits)?;
        if self.expects_other {
            return Err(EXPECTATION);
        }
        let is_1_1 = version == Version::Http11;
        let has_body = !matches!(framing, Framing::None | Framing::Length(0));
        Ok(Verdict {
            host,
            framing,
            keep_alive: !self.close && (is_1_1 || self.keep_alive),
            // RFC 9110 10.1.1: of no effect in HTTP/1.0, and without a body.
            expect_continue: self.expects_continue && is_1_1 && has_body,
        })
    }

    /// RFC 9112 3.2.
    fn judge_host(&self, bytes: &[u8], version: Version) -> Result<Option<Span>, Refusal> {
        match self.host {
            Seen::Never if version == Version::Http11 => Err(HOST_MISSING),
            Seen::Never => Ok(None),
            Seen::Repeatedly => Err(HOST_REPEATED),
            Seen::Once(host) if is_host(host.of(bytes)) => Ok(Some(host)),
            Seen::Once(_) => Err(HOST_INVALID),
        }
    }

    /// RFC 9112 6.1 and 6.3.
    fn judge_framing(&self, version: Version, limits: &Limits) -> Result<Framing, Refusal> {
        match (self.codings, self.length) {
            (None, Seen::Never) => Ok(Framing::None),
            (None, Seen::Once(Some(length))) if limits.is_body_too_large(length) => {
                Err(BODY_TOO_LARGE)
            }
            (None, Seen::Once(Some(length))) => Ok(Framing::Length(length)),
            (None, Seen::Once(None)) => Err(LENGTH_INVALID),
            (None, Seen::Repeatedly) => Err(LENGTH_REPEATED),
            (Some(_), _) if version == Version::Http10 => Err(CODING_IN_1_0),
            (Some(_), Seen::Once(_) | Seen::Repeatedly) => Err(LENGTH_AND_CODING),
            (Some(codings), Seen::Never) => codings.map(|()| Framing::Chunked),
        }
    }
}

/// Adds one coding to the list so far. An unknown coding is remembered, not final: worse may follow.
fn judge_coding(before: Option<Result<(), Refusal>>, coding: &[u8]) -> Result<(), Refusal> {
    let name = coding
        .split(|&octet| octet == b';' || is_blank(octet))
        .next()
        .unwrap_or_default();
    if !is_token(name) {
        return Err(CODING_INVALID);
    }
    if matches!(before, Some(Ok(()))) {
        return Err(CODING_ORDER);
    }
    if !name.eq_ignore_ascii_case(b"chunked") {
        return Err(CODING_UNKNOWN);
    }
    if name.len() != coding.len() {
        return Err(CODING_INVALID); // RFC 9112 7.1: chunked has no parameters
    }
    before.unwrap_or(Ok(()))
}
