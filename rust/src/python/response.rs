//! How one response is framed, whatever interface the application speaks: its head, its length, its pieces.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::codec::gateway::{self, Dialect};
use crate::codec::http1::{
    BodyFraming, CHUNK_END, DateCache, ResponseFields, ResponsePlan, Version, check_status,
    finish_head, plan_response, write_chunk_header, write_field, write_last_chunk,
    write_status_line,
};
use crate::conn::{Body, BodyPipe, Part, Payload, Request};

use super::shared::{Ending, Shared};

/// Bodies up to this size are copied behind the head and go out in one run; larger ones are held by reference, which
/// costs an allocation and a second run. About the break-even when measured.
const COPY_LIMIT: usize = 16_384;

/// What the application began its response with.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) status: u16,
    /// Status line and fields, without the end of the head.
    pub(super) head: Vec<u8>,
    pub(super) fields: ResponseFields,
}

/// Bytes to send, in order: `bytes`, then `part`, then `tail`.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
    pub(super) part: Option<Part>,
    pub(super) tail: &'static [u8],
    /// How many of all these bytes are body.
    pub(super) size: usize,
}

/// The response to one request.
pub(super) struct Response {
    is_head: bool,
    version: Version,
    /// The form that a web server in front wants, where it is not HTTP's.
    dialect: Option<Dialect>,
    keep_alive: bool,
    pipe: Option<Arc<BodyPipe>>,
    started: Option<Started>,
    plan: Option<ResponsePlan>,
    /// Bytes that the announced length still asks for.
    remaining: Option<u64>,
    overrun: bool,
    /// The status that was sent, for the log.
    pub(super) status: u16,
    /// Bytes of body handed over.
    pub(super) body_sent: u64,
    head_for_log: Vec<u8>,
    /// Field lines behind a chunked body.
    trailers: Vec<u8>,
}

impl Response {
    pub(super) fn new(request: &Request) -> Self {
        let pipe = if let Body::Pipe(pipe) = &request.body {
            Some(Arc::clone(pipe))
        } else {
            None
        };
        Self {
            is_head: request.is_head(),
            version: request.head.version,
            dialect: request.dialect(),
            keep_alive: request.head.keep_alive,
            pipe,
            started: None,
            plan: None,
            remaining: None,
            overrun: false,
            status: 0,
            body_sent: 0,
            head_for_log: Vec::new(),
            trailers: Vec::new(),
        }
    }

    /// Whether the application has begun its response.
    pub(super) fn is_started(&self) -> bool {
        self.started.is_some()
    }

    /// Whether the head has gone out.
    pub(super) fn is_sent(&self) -> bool {
        self.plan.is_some()
    }

    /// Whether the body goes out in chunks; known once the head has gone out.
    pub(super) fn is_chunked(&self) -> bool {
        self.plan
            .as_ref()
            .is_some_and(|plan| plan.body == BodyFraming::Chunked)
    }

    /// The length that the application announced.
    pub(super) fn declared_length(&self) -> Option<u64> {
        self.started
            .as_ref()
            .and_then(|started| started.fields.content_length)
    }

    /// Begins a head with its status, such as `200 OK`.
    pub(super) fn write_status(&self, head: &mut Vec<u8>, status: &[u8]) {
        match self.dialect {
            None => write_status_line(head, status),
            Some(dialect) => gateway::write_status_line(head, dialect, status),
        }
    }

    /// Whether it goes to a web server in front, in that one's form.
    pub(super) fn is_for_gateway(&self) -> bool {
        self.dialect.is_some()
    }

    /// Whether a web server in front takes this field for the status.
    pub(super) fn is_reserved(&self, name: &[u8]) -> bool {
        self.dialect.is_some() && gateway::is_status_field(name)
    }

    /// Takes what the application begins with.
    pub(super) fn start(&mut self, started: Started) {
        self.started = Some(started);
    }

    /// Forgets what was started and not sent, for an error page in its place.
    pub(super) fn restart(&mut self) {
        self.started = None;
    }

    /// The connection is to end with this response.
    pub(super) fn close_after(&mut self) {
        self.keep_alive = false;
    }

    /// Whether no byte of a body may be sent.
    pub(super) fn is_suppressed(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.suppress_body)
    }

    /// Whether nothing more of the body can be sent, however much the application makes.
    pub(super) fn is_full(&self) -> bool {
        self.is_suppressed() || self.overrun
    }

    /// Decides the framing and completes the head; `None` if nothing was started. `known_length` is the length of the
    /// body if all of it is there.
    pub(super) fn begin(&mut self, shared: &Shared, known_length: Option<u64>) -> Option<Vec<u8>> {
        let started = self.started.take()?;
        // A body that nobody has read to its end cannot be followed by another request.
        let body_open = self.pipe.as_ref().is_some_and(|pipe| !pipe.is_complete());
        let keep_alive = self.keep_alive && !body_open && !shared.is_draining();
        let declared = started.fields.content_length;
        let mut head = started.head;
        let plan = if self.dialect.is_none() {
            let plan = plan_response(
                self.is_head,
                self.version,
                keep_alive,
                started.status,
                declared,
                known_length,
            );
            if !shared.hsts.is_empty() {
                // Behind one of the application's own, which then counts (RFC 6797 8.1).
                write_field(&mut head, b"Strict-Transport-Security", &shared.hsts);
            }
            with_date(|date| {
                finish_head(
                    &mut head,
                    &plan,
                    &started.fields,
                    date,
                    &shared.server_header,
                );
            });
            plan
        } else {
            let status = started.status;
            let plan = gateway::plan_response(
                self.is_head,
                keep_alive && self.dialect == Some(Dialect::FastCgi),
                status,
                declared,
                known_length,
            );
            gateway::finish_head(&mut head, &plan);
            plan
        };
        self.remaining = if let BodyFraming::Length(length) = plan.body {
            Some(length)
        } else {
            None
        };
        self.keep_alive = plan.keep_alive;
        self.status = started.status;
        self.plan = Some(plan);
        if shared.logs_response_headers {
            self.head_for_log.clone_from(&head);
        }
        Some(head)
    }

    /// How much of `length` more bytes of body may be sent.
    fn admit(&mut self, length: usize) -> usize {
        let allowed = match &mut self.remaining {
            None => length,
            Some(remaining) => {
                let allowed = usize::try_from(*remaining)
                    .unwrap_or(usize::MAX)
                    .min(length);
                *remaining -= allowed as u64;
                allowed
            }
        };
        self.overrun |= allowed < length;
        self.body_sent += allowed as u64;
        allowed
    }

    /// Puts the whole body behind the head that `begin` gave.
    pub(super) fn whole(
        &mut self,
        head: Vec<u8>,
        body: &Bound<'_, PyBytes>,
    ) -> (Vec<u8>, Option<Part>) {
        let mut bytes = head;
        if self.is_suppressed() {
            return (bytes, None);
        }
        let allowed = self.admit(body.as_bytes().len());
        let part = attach(&mut bytes, body, allowed);
        (bytes, part)
    }

    /// Frames one piece of a body that comes in pieces, behind the head if that is still to go out.
    pub(super) fn piece(&mut self, head: Vec<u8>, data: &Bound<'_, PyBytes>) -> Output {
        let mut bytes = head;
        let allowed = if self.is_suppressed() {
            0
        } else {
            self.admit(data.as_bytes().len())
        };
        if allowed == 0 {
            return Output {
                bytes,
                ..Output::default()
            };
        }
        let chunked = self.is_chunked();
        if chunked {
            write_chunk_header(&mut bytes, allowed);
        }
        let part = attach(&mut bytes, data, allowed);
        let mut tail: &'static [u8] = if chunked { CHUNK_END } else { b"" };
        if part.is_none() {
            bytes.extend_from_slice(tail);
            tail = b"";
        }
        Output {
            bytes,
            part,
            tail,
            size: allowed,
        }
    }

    /// Frames a part of a file as one piece, or as the whole body.
    pub(super) fn file_piece(&mut self, head: Vec<u8>, file: FilePart) -> Output {
        let mut bytes = head;
        let length = if self.is_suppressed() {
            0
        } else {
            self.admit(usize::try_from(file.length).unwrap_or(usize::MAX)) as u64
        };
        if length == 0 {
            return Output {
                bytes,
                ..Output::default()
            };
        }
        let mut tail: &'static [u8] = b"";
        if self.is_chunked() {
            write_chunk_header(&mut bytes, usize::try_from(length).unwrap_or(usize::MAX));
            tail = CHUNK_END;
        }
        Output {
            bytes,
            part: Some(Part::File {
                file: Arc::new(file.file),
                offset: file.offset,
                length,
            }),
            tail,
            size: 0,
        }
    }

    /// Keeps field lines for the end of the body; where there is no place for them they are dropped.
    pub(super) fn add_trailers(&mut self, lines: &[u8]) {
        self.trailers.extend_from_slice(lines);
    }

    /// Appends what ends a body that came in pieces.
    pub(super) fn write_end(&self, bytes: &mut Vec<u8>) {
        if self.is_chunked() {
            write_last_chunk(bytes, &self.trailers);
        }
    }

    /// Whether the connection may go on: not after a body that was shorter or longer than announced. The client must
    /// notice the one, and cannot trust what follows the other.
    pub(super) fn keeps_alive(&self) -> bool {
        let missing =
            !self.is_suppressed() && self.remaining.is_some_and(|remaining| remaining > 0);
        // In HTTP/2 what is too long was cut, and the stream is the response's own.
        !missing && (self.version == Version::Http2 || (self.keep_alive && !self.overrun))
    }

    /// What is wrong with the response's length, for the log.
    pub(super) fn length_fault(&self) -> Option<String> {
        if self.is_suppressed() {
            return None;
        }
        match self.remaining {
            Some(0) if self.overrun => Some(format!(
                "the application sent more than its Content-Length of {} bytes",
                self.body_sent
            )),
            Some(missing) if missing > 0 => Some(format!(
                "the application sent {} bytes and announced {} in its Content-Length",
                self.body_sent,
                self.body_sent + missing
            )),
            _ => None,
        }
    }

    /// A page of the server's own in place of the application's response.
    pub(super) fn page(&mut self, shared: &Shared, status: &str, body: &[u8]) -> Ending {
        let mut head = Vec::with_capacity(256 + body.len());
        self.write_status(&mut head, status.as_bytes());
        write_field(&mut head, b"Content-Type", b"text/html; charset=utf-8");
        self.start(Started {
            status: check_status(status.as_bytes()).unwrap_or(500),
            head,
            fields: ResponseFields::default(),
        });
        let Some(mut bytes) = self.begin(shared, Some(body.len() as u64)) else {
            return Ending::Aborted;
        };
        if !self.is_suppressed() {
            self.admit(body.len());
            bytes.extend_from_slice(body);
        }
        self.ending(bytes, None)
    }

    /// The end of the response, as the engine is told.
    pub(super) fn ending(&self, bytes: Vec<u8>, part: Option<Part>) -> Ending {
        Ending::Answered {
            bytes,
            part,
            keep_alive: self.keeps_alive(),
        }
    }

    /// Writes into the request what the access log wants to know of its response.
    pub(super) fn note(&mut self, request: &mut Request) {
        request.status = self.status;
        request.body_sent = self.body_sent;
        request.response_head = std::mem::take(&mut self.head_for_log);
        if self.version == Version::Http2 {
            request.trailers = std::mem::take(&mut self.trailers);
        }
    }
}

/// A regular file and the part of it that is to be sent.
#[derive(Debug)]
pub(super) struct FilePart {
    pub(super) file: std::fs::File,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// The page for a request that the application failed to answer.
pub(super) fn error_page(id: &[u8]) -> Vec<u8> {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>500 Internal Server Error</title></head>\n\
         <body><h1>Internal Server Error</h1>\n<p>The application failed to answer this request.</p>\n\
         <p>Request id: <code>{}</code></p></body></html>\n",
        String::from_utf8_lossy(id)
    )
    .into_bytes()
}

/// Puts the first `length` bytes of `data` behind `bytes`, or gives them as a part of their own if they are many.
pub(super) fn attach(
    bytes: &mut Vec<u8>,
    data: &Bound<'_, PyBytes>,
    length: usize,
) -> Option<Part> {
    let body = data.as_bytes();
    if length <= COPY_LIMIT {
        bytes.extend_from_slice(&body[..length]);
        None
    } else if length == body.len() {
        Some(pinned(data))
    } else {
        Some(pinned(&PyBytes::new(data.py(), &body[..length])))
    }
}

/// A `bytes` object whose memory is being sent.
struct PinnedBytes {
    object: Py<PyBytes>,
}

impl AsRef<[u8]> for PinnedBytes {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the object is alive while `self` is, its bytes never change and never move (C API, "Bytes Objects"),
        // and reading its size and address touches no reference count, so that the interpreter need not be held.
        unsafe {
            let object = self.object.as_ptr();
            let size = usize::try_from(pyo3::ffi::Py_SIZE(object)).unwrap_or(0);
            std::slice::from_raw_parts(pyo3::ffi::PyBytes_AS_STRING(object).cast(), size)
        }
    }
}

impl Payload for PinnedBytes {}

/// Holds `data` by reference until it is sent.
pub(super) fn pinned(data: &Bound<'_, PyBytes>) -> Part {
    Part::Shared(Box::new(PinnedBytes {
        object: data.clone().unbind(),
    }))
}

/// The Date header of this second; one cache a thread, as late threads write heads side by side.
pub(super) fn with_date(write: impl FnOnce(&[u8; 29])) {
    thread_local! {
        static DATE: std::cell::RefCell<DateCache> = const { std::cell::RefCell::new(DateCache::new()) };
    }
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    DATE.with_borrow_mut(|date| write(date.get(seconds)));
}
