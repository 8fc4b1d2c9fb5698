//! A request's fields turned into the head that HTTP/1 would have given (RFC 9113 8.3).

use crate::codec::http1::grammar::{is_target_byte, is_token, is_token_byte};
use crate::codec::http1::{
    Facts, Field, Framing, Head, Limits, MAX_METHOD, Refusal, Span, TargetForm, Version,
    has_control, is_host, parse_target,
};

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// It is no request (RFC 9113 8.1.1): its stream is reset.
    Malformed,
    /// It is one that is not served: this is the answer.
    Refused(Refusal),
}

const METHOD_TOO_LONG: Refusal = Refusal::new(
    501,
    "The request method is longer than any that this server implements.",
);
const PROTOCOL: Refusal = Refusal::new(
    501,
    "The only protocol that this server opens on a stream is websocket.",
);
const LINE_TOO_LONG: Refusal = Refusal::new(
    414,
    "The request target is longer than this server accepts.",
);
const FIELD_TOO_LARGE: Refusal =
    Refusal::new(431, "A header field is larger than this server accepts.");
const TOO_MANY_FIELDS: Refusal = Refusal::new(
    431,
    "The request has more header fields than this server accepts.",
);
const HEAD_TOO_LARGE: Refusal =
    Refusal::new(431, "The request head is larger than this server accepts.");

/// `HTTP/2.0`, two spaces and the line end of a request line, and what stands around a field in a line.
const LINE_REST: usize = 12;
const FIELD_REST: usize = 4;

/// Collects the fields of one request. `bytes` is filled with their text, and `head` with where it is.
pub struct RequestBuilder<'a> {
    bytes: &'a mut Vec<u8>,
    head: &'a mut Head,
    limits: &'a Limits,
    facts: Facts,
    fault: Option<RequestFault>,
    method: Option<Span>,
    path: Option<Span>,
    scheme: Option<Span>,
    authority: Option<Span>,
    protocol: Option<Span>,
    /// Of a field list that is too large nothing is kept any more.
    size: usize,
    cookies: usize,
    /// The first cookie's place among the fields.
    cookie: usize,
    has_fields: bool,
    urgency: Option<u8>,
    has_expectation: bool,
}

/// What a request is beside its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFields {
    /// How urgent the client says it is (RFC 9218).
    pub urgency: Option<u8>,
}

impl<'a> RequestBuilder<'a> {
    /// A builder; what was in `bytes` and `head` is forgotten.
    pub fn new(bytes: &'a mut Vec<u8>, head: &'a mut Head, limits: &'a Limits) -> Self {
        bytes.clear();
        head.fields.clear();
        head.method = Span::default();
        head.is_websocket = false;
        Self {
            bytes,
            head,
            limits,
            facts: Facts::default(),
            fault: None,
            method: None,
            path: None,
            scheme: None,
            authority: None,
            protocol: None,
            size: 0,
            cookies: 0,
            cookie: 0,
            has_fields: false,
            urgency: None,
            has_expectation: false,
        }
    }

    /// Adds the next field.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        if matches!(self.fault, Some(RequestFault::Malformed)) {
            return;
        }
        let outcome = match name {
            [b':', ..] => self.pseudo(name, value),
            _ => self.regular(name, value),
        };
        if let Err(fault) = outcome {
            // What is malformed cannot be answered, so that it outdoes what is only too much.
            if self.fault.is_none() || fault == RequestFault::Malformed {
                self.fault = Some(fault);
            }
        }
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), RequestFault> {
        // RFC 9113 8.3: in front of all others.
        if self.has_fields {
            return Err(RequestFault::Malformed);
        }
        if value.len() > self.limits.request_line {
            // Known only to be there.
            self.place(name, Span::default())?;
            return Err(RequestFault::Refused(LINE_TOO_LONG));
        }
        let from = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.bytes.push(b' ');
        self.place(name, Span::between(from, from + value.len()))
    }

    fn place(&mut self, name: &[u8], span: Span) -> Result<(), RequestFault> {
        let place = match name {
            b":method" => &mut self.method,
            b":path" => &mut self.path,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":protocol" => &mut self.protocol,
            _ => return Err(RequestFault::Malformed),
        };
        match place.replace(span) {
            None => Ok(()),
            Some(_) => Err(RequestFault::Malformed),
        }
    }

    fn regular(&mut self, name: &[u8], value: &[u8]) -> Result<(), RequestFault> {
        self.has_fields = true;
        check_field(name, value)?;
        self.size = self
            .size
            .saturating_add(name.len() + value.len() + FIELD_REST);
        if self.size > self.limits.head_size {
            return Err(RequestFault::Refused(HEAD_TOO_LARGE));
        }
        if self.head.fields.len() >= self.limits.header_count {
            return Err(RequestFault::Refused(TOO_MANY_FIELDS));
        }
        if name.len() + value.len() + FIELD_REST - 2 > self.limits.header_size {
            return Err(RequestFault::Refused(FIELD_TOO_LARGE));
        }
        let from = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(b": ");
        self.bytes.extend_from_slice(value);
        let colon = from + name.len();
        let field = Field {
            name: Span::between(from, colon),
            value: Span::between(colon + 2, self.bytes.len()),
        };
        self.bytes.extend_from_slice(b"\r\n");
        match name {
            b"cookie" => {
                self.cookies += 1;
                if self.cookies == 1 {
                    self.cookie = self.head.fields.len();
                }
            }
            b"priority" => self.urgency = parse_urgency(value).or(self.urgency),
            b"expect" => self.has_expectation = true,
            _ => {}
        }
        self.facts.note(self.bytes, name, field.value);
        self.head.fields.push(field);
        Ok(())
    }

    /// Judges the whole; `end_stream` says that no body follows.
    ///
    /// # Errors
    ///
    /// The first fault; one that makes the request malformed in any case. After a refusal `head` tells the method, if
    /// there was one.
    pub fn finish(mut self, end_stream: bool) -> Result<RequestFields, RequestFault> {
        self.head.version = Version::Http2;
        self.head.len = self.bytes.len();
        self.head.method = self.method.unwrap_or_default();
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let method = self.method.ok_or(RequestFault::Malformed)?;
        self.judge_method(method)?;
        self.judge_target(method)?;
        self.judge_host()?;
        self.join_cookies();
        if u32::try_from(self.bytes.len()).is_err() {
            return Err(RequestFault::Refused(HEAD_TOO_LARGE));
        }
        self.judge_body(end_stream)?;
        self.head.len = self.bytes.len();
        Ok(RequestFields {
            urgency: self.urgency,
        })
    }

    fn judge_method(&self, method: Span) -> Result<(), RequestFault> {
        if !is_token(method.of(self.bytes)) {
            return Err(RequestFault::Malformed);
        }
        if method.len() > MAX_METHOD {
            return Err(RequestFault::Refused(METHOD_TOO_LONG));
        }
        Ok(())
    }

    fn judge_target(&mut self, method: Span) -> Result<(), RequestFault> {
        let bytes = &self.bytes[..];
        let is_connect = method.of(bytes) == b"CONNECT";
        if is_connect && self.protocol.is_none() {
            // RFC 9113 8.5: no path and no scheme.
            if self.path.is_some() || self.scheme.is_some() || self.authority.is_none() {
                return Err(RequestFault::Malformed);
            }
            return Err(RequestFault::Refused(crate::codec::http1::CONNECT));
        }
        let (Some(path), Some(scheme)) = (self.path, self.scheme) else {
            return Err(RequestFault::Malformed);
        };
        if !matches!(scheme.of(bytes), b"http" | b"https") {
            return Err(RequestFault::Malformed);
        }
        let text = path.of(bytes);
        if text.is_empty() || !text.iter().all(|&octet| is_target_byte(octet)) {
            return Err(RequestFault::Malformed);
        }
        if let Some(protocol) = self.protocol {
            // RFC 8441 4.
            if !is_connect {
                return Err(RequestFault::Malformed);
            }
            if protocol.of(bytes) != b"websocket" {
                return Err(RequestFault::Refused(PROTOCOL));
            }
            self.head.is_websocket = true;
        }
        // RFC 9113 8.3.1: a path, or the asterisk of OPTIONS; nothing else that HTTP/1 has.
        if !(text.starts_with(b"/") || text == b"*" && method.of(bytes) == b"OPTIONS") {
            return Err(RequestFault::Malformed);
        }
        if method.len() + text.len() + LINE_REST > self.limits.request_line + 2 {
            return Err(RequestFault::Refused(LINE_TOO_LONG));
        }
        // An extended CONNECT is like GET in all that the target is concerned with.
        let judged = if is_connect { Span::default() } else { method };
        let target = parse_target(bytes, judged, path).map_err(RequestFault::Refused)?;
        self.head.target = path;
        self.head.form = target.form;
        self.head.path = target.path;
        self.head.query = target.query;
        self.head.authority = None;
        debug_assert!(target.form != TargetForm::Absolute);
        Ok(())
    }

    /// `:authority` stands for Host (RFC 9113 8.3.1).
    fn judge_host(&mut self) -> Result<(), RequestFault> {
        let Some(authority) = self.authority else {
            return Ok(());
        };
        if !is_host(authority.of(self.bytes)) {
            return Err(RequestFault::Malformed);
        }
        match self.facts.host() {
            None => {
                let from = self.bytes.len();
                self.bytes.extend_from_slice(b"host");
                let name = Span::between(from, from + 4);
                self.facts.note(self.bytes, b"host", authority);
                self.head.fields.insert(
                    0,
                    Field {
                        name,
                        value: authority,
                    },
                );
                self.cookie += 1;
                Ok(())
            }
            Some(host)
                if host
                    .of(self.bytes)
                    .eq_ignore_ascii_case(authority.of(self.bytes)) =>
            {
                Ok(())
            }
            Some(_) => Err(RequestFault::Malformed),
        }
    }

    /// RFC 9113 8.2.3: in HTTP/1, and to applications, cookies are one field.
    fn join_cookies(&mut self) {
        if self.cookies < 2 {
            return;
        }
        let Some(mut first) = self.head.fields.get(self.cookie).copied() else {
            return;
        };
        let from = self.bytes.len();
        for index in self.cookie..self.head.fields.len() {
            let field = self.head.fields[index];
            if field.name.of(self.bytes) == b"cookie" {
                if self.bytes.len() > from {
                    self.bytes.extend_from_slice(b"; ");
                }
                self.bytes
                    .extend_from_within(field.value.start as usize..field.value.end as usize);
            }
        }
        first.value = Span::between(from, self.bytes.len());
        let (place, bytes) = (self.cookie, &self.bytes[..]);
        let mut index = 0;
        self.head.fields.retain(|field| {
            index += 1;
            index - 1 <= place || field.name.of(bytes) != b"cookie"
        });
        self.head.fields[place] = first;
    }

    fn judge_body(&mut self, end_stream: bool) -> Result<(), RequestFault> {
        let judged = self
            .facts
            .judge(self.bytes, Version::Http11, self.limits)
            .map_err(RequestFault::Refused)?;
        self.head.host = judged.host;
        self.head.keep_alive = true;
        self.head.expect_continue = self.has_expectation && !end_stream;
        self.head.framing = match (judged.framing, end_stream) {
            // RFC 9113 8.1.1: the length must be that of the body.
            (Framing::Length(length), true) if length > 0 => return Err(RequestFault::Malformed),
            // Of unknown length, as chunks stand for.
            (Framing::None, false) => Framing::Chunked,
            (framing, _) => framing,
        };
        Ok(())
    }
}

/// RFC 9113 8.2.1 and 8.2.2.
fn check_field(name: &[u8], value: &[u8]) -> Result<(), RequestFault> {
    let is_name = !name.is_empty()
        && name
            .iter()
            .all(|&octet| is_token_byte(octet) && !octet.is_ascii_uppercase());
    let is_value = match value {
        [] => true,
        [first, .., last] => !is_space(*first) && !is_space(*last) && !has_control(value),
        [only] => !is_space(*only) && !has_control(value),
    };
    let is_allowed = match name {
        b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
            false
        }
        b"te" => value == b"trailers",
        _ => true,
    };
    if is_name && is_value && is_allowed {
        Ok(())
    } else {
        Err(RequestFault::Malformed)
    }
}

fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// Whether a field may stand in trailers (RFC 9113 8.1).
#[must_use]
pub fn check_trailer(name: &[u8], value: &[u8]) -> bool {
    check_field(name, value).is_ok()
}

/// The urgency in a priority field (RFC 9218 4.1), if it has one. What is not understood is ignored.
#[must_use]
pub fn parse_urgency(value: &[u8]) -> Option<u8> {
    value
        .split(|&octet| octet == b',')
        .filter_map(|member| match member.trim_ascii() {
            [b'u', b'=', digit @ b'0'..=b'7', rest @ ..] if rest.is_empty() || rest[0] == b';' => {
                Some(digit - b'0')
            }
            _ => None,
        })
        .next_back()
}
