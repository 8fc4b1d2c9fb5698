//! From records to requests. An automaton that is between two bytes of a header, of a content or of a padding.

use core::fmt;

use super::pairs::{Pairs, write_short};
use super::record::{HEADER_SIZE, Header, Kind, VERSION};
use super::writer::{ProtocolStatus, write_end_request, write_record};
use crate::codec::gateway::{Body, Shape, Told, assemble};
use crate::codec::http1::{Framing, Head, Limits, Refusal, Span};

/// Most content of a `GET_VALUES` record: the three names that exist take 51 bytes; the rest is arbitrary.
pub const MAX_VALUES: usize = 1_024;

/// Size of what `BEGIN_REQUEST` has.
const BEGIN_SIZE: u16 = 8;

const RESPONDER: u16 = 1;
const KEEP_CONN: u8 = 1;

const NOT_FASTCGI: Fault = Fault::closing("what was received is not FastCGI 1.0");
const REQUEST_ID: Fault = Fault::closing("a record of a request has the request id 0");
const MANAGEMENT_ID: Fault = Fault::closing("GET_VALUES has a request id");
const BEGUN_TWICE: Fault = Fault::closing("BEGIN_REQUEST has the id of a request that is active");
const BEGIN_LENGTH: Fault = Fault::closing("BEGIN_REQUEST does not have 8 bytes");
const WRONG_WAY: Fault =
    Fault::closing("a record has a type that only an application may send, or no responder reads");
const VALUES_TOO_LARGE: Fault = Fault::closing("GET_VALUES asks for more than there is");
const VALUES_INVALID: Fault = Fault::closing("GET_VALUES is not a list of names and values");
const BODY_SIZE: &str = "The request body is not as long as CONTENT_LENGTH says.";

const PARAMS_TOO_LARGE: Refusal = Refusal::new(
    431,
    "The variables of the FastCGI request are larger than this server accepts.",
);
const PARAMS_INVALID: Refusal =
    Refusal::bad_request("The variables of the FastCGI request are not names and values.");
const PARAMS_LATE: Refusal =
    Refusal::bad_request("The FastCGI request has variables behind the end of its variables.");
const PARAMS_UNFINISHED: Refusal =
    Refusal::bad_request("The FastCGI request has a body before the end of its variables.");
const BODY_WRONG: Refusal = Refusal::bad_request(BODY_SIZE);
const BODY_TOO_LARGE: Refusal =
    Refusal::new(413, "The request body is larger than this server accepts.");
const BODY_LATE: Refusal =
    Refusal::bad_request("The FastCGI request has a body behind the end of its body.");

/// Why nothing more is read from a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The request it happened in, which can be answered if it has not been yet; without one the connection is just
    /// closed.
    pub refusal: Option<(u16, Refusal)>,
    /// One sentence for the log, ASCII.
    pub reason: &'static str,
}

impl Fault {
    const fn closing(reason: &'static str) -> Self {
        Self {
            refusal: None,
            reason,
        }
    }

    const fn answered(id: u16, refusal: Refusal) -> Self {
        Self {
            refusal: Some((id, refusal)),
            reason: refusal.reason,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.reason)
    }
}

impl core::error::Error for Fault {}

/// What this server says about itself to `GET_VALUES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Connections at a time (`FCGI_MAX_CONNS`).
    pub connections: u32,
    /// Requests at a time (`FCGI_MAX_REQS`).
    pub requests: u32,
}

/// What the bytes meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A request's variables are complete: [`Decoder::read_request`] is to be called before anything else.
    Request,
    /// A part of the body, never empty.
    Data(&'a [u8]),
    /// The body is complete.
    End,
    /// The web server wants no answer any more; [`write_end`](super::write_end) is to end the request all the same.
    Abort,
    /// Something was answered at once; the events go on. A caller whose output is full may wait here.
    Answered,
    /// Something was answered, and the connection is to be closed behind that.
    Close,
}

/// What one call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// Bytes that are used up: all of them, if there is no event.
    pub consumed: usize,
    /// What they meant.
    pub event: Option<Event<'a>>,
}

/// Where the automaton stands within a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// So many bytes of a header are there.
    #[default]
    Header,
    /// Content of the record, of which so much is missing.
    Content(u16),
    /// Padding, of which so much is missing.
    Padding(u8),
    /// After a fault.
    Over,
}

/// What the content of the present record is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Use {
    #[default]
    Skip,
    Begin,
    Params,
    Stdin,
    Values,
}

/// Where the active request stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// There is none.
    #[default]
    Idle,
    Params,
    /// The variables are complete; the first record of the body is awaited.
    Waiting,
    /// Told to the caller, who has not read it yet.
    Told,
    /// So much of the body is missing, if that is known; else so much may still come.
    Body {
        left: u64,
        is_exact: bool,
    },
    /// The body is complete, the answer is not.
    Answering,
}

/// Makes events of one connection's bytes.
#[derive(Debug)]
pub struct Decoder {
    head_size: usize,
    body_size: u64,
    capacity: Capacity,
    place: Place,
    header: [u8; HEADER_SIZE],
    filled: u8,
    use_: Use,
    padding: u8,
    stage: Stage,
    id: u16,
    keep_conn: bool,
    has_body: bool,
    /// The content of a `GET_VALUES` or a `BEGIN_REQUEST` that is being received.
    small: Vec<u8>,
    /// The variables of the active request.
    params: Vec<u8>,
}

impl Decoder {
    /// A decoder for a new connection.
    #[must_use]
    pub fn new(limits: &Limits, capacity: Capacity) -> Self {
        Self {
            head_size: limits.head_size,
            body_size: if limits.body_size == 0 {
                u64::MAX
            } else {
                limits.body_size
            },
            capacity,
            place: Place::Header,
            header: [0; HEADER_SIZE],
            filled: 0,
            use_: Use::Skip,
            padding: 0,
            stage: Stage::Idle,
            id: 0,
            keep_conn: false,
            has_body: false,
            small: Vec::new(),
            params: Vec::new(),
        }
    }

    /// The id of the active request.
    #[must_use]
    pub const fn request_id(&self) -> Option<u16> {
        match self.stage {
            Stage::Idle => None,
            _ => Some(self.id),
        }
    }

    /// Whether the web server wants the connection to persist after the last request begun.
    #[must_use]
    pub const fn keep_conn(&self) -> bool {
        self.keep_conn
    }

    /// Whether a record has been begun, or a request: the end of the connection now is no good end.
    #[must_use]
    pub const fn is_within(&self) -> bool {
        self.filled > 0
            || !matches!(self.place, Place::Header | Place::Padding(0))
            || !matches!(self.stage, Stage::Idle)
    }

    /// Bytes that are held.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.params.len() + self.small.len()
    }

    /// Decodes `bytes` up to the next event. What must be answered at once is appended to `out`; it goes between any
    /// two records of an answer that is being sent.
    ///
    /// # Errors
    ///
    /// The end of the connection: see [`Fault`]. Later calls use up everything and say nothing.
    pub fn decode<'a>(&mut self, bytes: &'a [u8], out: &mut Vec<u8>) -> Result<Decoded<'a>, Fault> {
        let mut rest = bytes;
        let outcome = self.run(&mut rest, out);
        let event = outcome.inspect_err(|_| self.end())?;
        Ok(Decoded {
            consumed: bytes.len() - rest.len(),
            event,
        })
    }

    /// Makes the head of the request that [`Event::Request`] has told of; see [`assemble`].
    ///
    /// # Errors
    ///
    /// 400, 413, 414, 431 or 501, to be answered with [`write_refusal`](super::write_refusal) and the connection's
    /// end. 400 if there is no such request.
    pub fn read_request(
        &mut self,
        limits: &Limits,
        bytes: &mut Vec<u8>,
        head: &mut Head,
        told: &mut Told,
    ) -> Result<(), Refusal> {
        head.method = Span::default();
        let outcome = self.assemble(limits, bytes, head, told);
        self.params.clear();
        // An unusually large request must not keep its memory for ever.
        self.params.shrink_to(4_096);
        if let Err(refusal) = outcome {
            self.end();
            return Err(refusal);
        }
        self.stage = Stage::Body {
            left: match head.framing {
                Framing::Length(length) => length,
                Framing::None => 0,
                Framing::Chunked => self.body_size,
            },
            is_exact: head.framing != Framing::Chunked,
        };
        Ok(())
    }

    /// The answer has been written to its end: the next request may come. What is left of this one's body is ignored.
    pub fn finish(&mut self) {
        self.stage = Stage::Idle;
        if matches!(self.use_, Use::Params | Use::Stdin) {
            self.use_ = Use::Skip;
        }
        self.params.clear();
    }

    fn end(&mut self) {
        self.place = Place::Over;
        self.stage = Stage::Idle;
        self.params = Vec::new();
        self.small = Vec::new();
    }

    fn assemble(
        &self,
        limits: &Limits,
        bytes: &mut Vec<u8>,
        head: &mut Head,
        told: &mut Told,
    ) -> Result<(), Refusal> {
        if self.stage != Stage::Told {
            return Err(PARAMS_INVALID);
        }
        let pairs = Pairs::check(&self.params).ok_or(PARAMS_INVALID)?;
        let shape = Shape {
            strip_script_name: false,
            body: Body::Stream {
                is_empty: !self.has_body,
            },
            keep_alive: self.keep_conn,
        };
        assemble(pairs, shape, limits, bytes, head, told)?;
        match head.framing {
            Framing::Length(length) if length > 0 && !self.has_body => Err(BODY_WRONG),
            Framing::Length(0) if self.has_body => Err(BODY_WRONG),
            _ => Ok(()),
        }
    }

    fn run<'a>(
        &mut self,
        rest: &mut &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'a>>, Fault> {
        loop {
            let event = match self.place {
                Place::Over => {
                    *rest = &[];
                    return Ok(None);
                }
                Place::Header => {
                    if !self.fill_header(rest)? {
                        return Ok(None);
                    }
                    self.open_record(out)?
                }
                // An empty content ends here too, and means something.
                Place::Content(left) if left == 0 || !rest.is_empty() => {
                    self.take_content(rest, left, out)?
                }
                Place::Padding(left) if left == 0 || !rest.is_empty() => {
                    let (_, missing) = take(rest, u16::from(left));
                    self.place = match u8::try_from(missing) {
                        Ok(0) | Err(_) => Place::Header,
                        Ok(missing) => Place::Padding(missing),
                    };
                    None
                }
                Place::Content(_) | Place::Padding(_) => return Ok(None),
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// Whether the header is complete. A wrong version is known by the first byte.
    fn fill_header(&mut self, rest: &mut &[u8]) -> Result<bool, Fault> {
        while usize::from(self.filled) < HEADER_SIZE {
            let Some((&octet, tail)) = rest.split_first() else {
                return Ok(false);
            };
            if self.filled == 0 && octet != VERSION {
                return Err(NOT_FASTCGI);
            }
            self.header[usize::from(self.filled)] = octet;
            self.filled += 1;
            *rest = tail;
        }
        Ok(true)
    }

    /// A header is complete: decides what becomes of the content.
    fn open_record(&mut self, out: &mut Vec<u8>) -> Result<Option<Event<'static>>, Fault> {
        let header = Header::parse(self.header);
        self.filled = 0;
        self.padding = header.padding;
        self.place = Place::Content(header.content);
        self.use_ = Use::Skip;
        let Some(kind) = Kind::of(header.kind) else {
            write_record(
                out,
                Kind::UnknownType,
                0,
                &[header.kind, 0, 0, 0, 0, 0, 0, 0],
            );
            return Ok(Some(Event::Answered));
        };
        let is_active = self.request_id() == Some(header.id);
        match kind {
            Kind::GetValues if header.id != 0 => return Err(MANAGEMENT_ID),
            Kind::GetValues if usize::from(header.content) > MAX_VALUES => {
                return Err(VALUES_TOO_LARGE);
            }
            Kind::GetValues => self.use_ = Use::Values,
            Kind::EndRequest
            | Kind::Stdout
            | Kind::Stderr
            | Kind::Data
            | Kind::GetValuesResult
            | Kind::UnknownType => return Err(WRONG_WAY),
            _ if header.id == 0 => return Err(REQUEST_ID),
            Kind::BeginRequest if is_active => return Err(BEGUN_TWICE),
            Kind::BeginRequest if header.content != BEGIN_SIZE => return Err(BEGIN_LENGTH),
            Kind::BeginRequest => self.use_ = Use::Begin,
            _ if !is_active => {}
            Kind::AbortRequest => return Ok(Some(Event::Abort)),
            Kind::Params => self.open_params(header)?,
            Kind::Stdin => return self.open_stdin(header),
        }
        Ok(None)
    }

    fn open_params(&mut self, header: Header) -> Result<(), Fault> {
        if self.stage != Stage::Params {
            return Err(Fault::answered(self.id, PARAMS_LATE));
        }
        if self.params.len() + usize::from(header.content) > self.head_size {
            return Err(Fault::answered(self.id, PARAMS_TOO_LARGE));
        }
        if header.content == 0 {
            self.stage = Stage::Waiting;
        } else {
            self.use_ = Use::Params;
        }
        Ok(())
    }

    fn open_stdin(&mut self, header: Header) -> Result<Option<Event<'static>>, Fault> {
        let refuse = |refusal| Err(Fault::answered(self.id, refusal));
        match self.stage {
            Stage::Idle | Stage::Params => return refuse(PARAMS_UNFINISHED),
            Stage::Waiting => {
                self.has_body = header.content > 0;
                self.stage = Stage::Told;
                self.use_ = Use::Stdin;
                return Ok(Some(Event::Request));
            }
            Stage::Answering => return refuse(BODY_LATE),
            Stage::Told => return refuse(PARAMS_INVALID),
            Stage::Body { left, is_exact } if u64::from(header.content) > left => {
                return refuse(if is_exact { BODY_WRONG } else { BODY_TOO_LARGE });
            }
            Stage::Body { left, is_exact } if header.content == 0 && is_exact && left > 0 => {
                return refuse(BODY_WRONG);
            }
            Stage::Body { .. } => {}
        }
        self.use_ = Use::Stdin;
        Ok(None)
    }

    fn take_content<'a>(
        &mut self,
        rest: &mut &'a [u8],
        left: u16,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'a>>, Fault> {
        let (content, missing) = take(rest, left);
        self.place = if missing == 0 {
            Place::Padding(self.padding)
        } else {
            Place::Content(missing)
        };
        match self.use_ {
            Use::Skip => Ok(None),
            Use::Params => {
                self.params.extend_from_slice(content);
                Ok(None)
            }
            Use::Stdin => self.take_body(content, missing),
            Use::Begin | Use::Values => {
                self.small.extend_from_slice(content);
                if missing > 0 {
                    return Ok(None);
                }
                if self.use_ == Use::Begin {
                    Ok(self.begin(out))
                } else {
                    self.answer_values(out)
                }
            }
        }
    }

    fn take_body<'a>(
        &mut self,
        content: &'a [u8],
        missing: u16,
    ) -> Result<Option<Event<'a>>, Fault> {
        let Stage::Body { left, is_exact } = self.stage else {
            return Err(Fault::answered(self.id, PARAMS_INVALID));
        };
        // The record that came before its request was told is judged here; the others were by their headers.
        let awaited = content.len() as u64 + u64::from(missing);
        if awaited > left {
            let refusal = if is_exact { BODY_WRONG } else { BODY_TOO_LARGE };
            return Err(Fault::answered(self.id, refusal));
        }
        if awaited == 0 {
            self.stage = Stage::Answering;
            return Ok(Some(Event::End));
        }
        let left = left - content.len() as u64;
        self.stage = Stage::Body { left, is_exact };
        Ok((!content.is_empty()).then_some(Event::Data(content)))
    }

    fn begin(&mut self, out: &mut Vec<u8>) -> Option<Event<'static>> {
        let id = Header::parse(self.header).id;
        let (role, flags) = match self.small.as_slice() {
            &[high, low, flags, ..] => (u16::from_be_bytes([high, low]), flags),
            _ => (0, 0),
        };
        self.small.clear();
        if self.stage != Stage::Idle {
            write_end_request(out, id, 0, ProtocolStatus::CantMpxConn);
            return Some(Event::Answered);
        }
        let keep_conn = flags & KEEP_CONN != 0;
        if role != RESPONDER {
            write_end_request(out, id, 0, ProtocolStatus::UnknownRole);
            return Some(if keep_conn {
                Event::Answered
            } else {
                Event::Close
            });
        }
        self.id = id;
        self.keep_conn = keep_conn;
        self.has_body = false;
        self.params.clear();
        self.stage = Stage::Params;
        None
    }

    fn answer_values(&mut self, out: &mut Vec<u8>) -> Result<Option<Event<'static>>, Fault> {
        let asked = core::mem::take(&mut self.small);
        let pairs = Pairs::check(&asked).ok_or(VALUES_INVALID)?;
        let mut answer = Vec::new();
        for (name, value) in [
            (b"FCGI_MAX_CONNS".as_slice(), self.capacity.connections),
            (b"FCGI_MAX_REQS", self.capacity.requests),
            (b"FCGI_MPXS_CONNS", 0),
        ] {
            if pairs.clone().any(|(wanted, _)| wanted == name) {
                let mut digits = itoa::Buffer::new();
                write_short(&mut answer, name, digits.format(value).as_bytes());
            }
        }
        write_record(out, Kind::GetValuesResult, 0, &answer);
        Ok(Some(Event::Answered))
    }
}

/// Takes up to `wanted` bytes off `rest`, and tells how many of them are missing.
fn take<'a>(rest: &mut &'a [u8], wanted: u16) -> (&'a [u8], u16) {
    let count = usize::from(wanted).min(rest.len());
    let (taken, tail) = rest.split_at(count);
    *rest = tail;
    (taken, wanted - u16::try_from(count).unwrap_or(wanted))
}
