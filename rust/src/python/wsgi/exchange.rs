//! One exchange as the application sees it: `start_response`, `write`, and how its response is framed.

use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::exceptions::{PyAssertionError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::codec::http1::{
    BodyFraming, CHUNK_END, DateCache, FieldKind, ResponseFields, ResponsePlan, Version,
    check_status, finish_head, plan_response, write_chunk_header, write_field, write_last_chunk,
    write_status_line,
};
use crate::conn::{Body, BodyPipe, ConnId, Flow, Part, Payload, Request};
use crate::python::shared::{Ending, Handle};
use crate::worker::Command;

use super::waiting::wait_until;

/// Bodies up to this size are copied behind the head and go out in one run; larger ones are held by reference, which
/// costs an allocation and a second run. About the break-even when measured.
const COPY_LIMIT: usize = 16_384;

/// What `start_response` was told.
#[derive(Debug)]
struct Started {
    status: u16,
    /// Status line and fields, without the end of the head.
    head: Vec<u8>,
    fields: ResponseFields,
}

/// The state of one exchange.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Exchange {
    pub(super) shared: Handle,
    pub(super) conn: ConnId,
    is_head: bool,
    version: Version,
    keep_alive: bool,
    pipe: Option<Arc<BodyPipe>>,
    started: Option<Started>,
    plan: Option<ResponsePlan>,
    /// Bytes that the announced length still asks for.
    remaining: Option<u64>,
    overrun: bool,
    /// The response is complete, or given up: nothing may be sent any more.
    over: bool,
    flow: Option<Arc<Flow>>,
    /// The status that was sent, for the log.
    pub(super) status: u16,
    /// Bytes of body handed over.
    pub(super) body_sent: u64,
    pub(super) response_head: Vec<u8>,
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

impl Exchange {
    pub(super) fn new(shared: &Handle, request: &Request) -> Self {
        let pipe = if let Body::Pipe(pipe) = &request.body {
            Some(Arc::clone(pipe))
        } else {
            None
        };
        Self {
            shared: Arc::clone(shared),
            conn: request.conn,
            is_head: request.is_head(),
            version: request.head.version,
            keep_alive: request.head.keep_alive,
            pipe,
            started: None,
            plan: None,
            remaining: None,
            overrun: false,
            over: false,
            flow: None,
            status: 0,
            body_sent: 0,
            response_head: Vec::new(),
        }
    }

    /// Whether `start_response` was called.
    pub(super) fn is_started(&self) -> bool {
        self.started.is_some()
    }

    /// Whether the head has gone out.
    pub(super) fn is_sent(&self) -> bool {
        self.plan.is_some()
    }

    /// The length that the application announced.
    pub(super) fn declared_length(&self) -> Option<u64> {
        self.started
            .as_ref()
            .and_then(|started| started.fields.content_length)
    }

    /// Forgets what was started and not sent, for an error page in its place.
    pub(super) fn restart(&mut self) {
        self.started = None;
    }

    /// Takes what the application passes to `start_response`.
    fn start(&mut self, status: &Bound<'_, PyString>, headers: &Bound<'_, PyList>) -> PyResult<()> {
        let status_text = native(status, || "the status".to_owned())?;
        let code =
            check_status(&status_text).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let mut head = Vec::with_capacity(512);
        write_status_line(&mut head, &status_text);
        let mut fields = ResponseFields::default();
        for item in headers.iter() {
            let pair = item
                .cast_exact::<PyTuple>()
                .ok()
                .filter(|pair| pair.len() == 2)
                .ok_or_else(|| {
                    PyTypeError::new_err(format!(
                        "response headers must be (name, value) tuples, and one is {}",
                        shown(&item)
                    ))
                })?;
            let (name, value) = (pair.get_item(0)?, pair.get_item(1)?);
            let name = name
                .cast::<PyString>()
                .map_err(|_| wrong_type("a response header's name", &name))?;
            let value = value.cast::<PyString>().map_err(|_| {
                wrong_type(
                    &format!("the value of response header {}", shown(name)),
                    &value,
                )
            })?;
            let (name_bytes, value_bytes) = (
                native(name, || "a response header's name".to_owned())?,
                native(value, || {
                    format!("the value of response header {}", shown(name))
                })?,
            );
            match fields.add(&name_bytes, &value_bytes) {
                Ok(FieldKind::ContentLength(_)) => {}
                Ok(_) => write_field(&mut head, &name_bytes, &value_bytes),
                Err(error) => return Err(PyValueError::new_err(error.to_string())),
            }
        }
        self.started = Some(Started {
            status: code,
            head,
            fields,
        });
        Ok(())
    }

    /// Decides the framing and completes the head. `known_length` is the length of the body if all of it is there.
    pub(super) fn begin(&mut self, known_length: Option<u64>) -> PyResult<Vec<u8>> {
        let Some(started) = self.started.take() else {
            return Err(PyAssertionError::new_err(
                "the application returned before it called start_response()",
            ));
        };
        // A body that nobody has read to its end cannot be followed by another request.
        let body_open = self.pipe.as_ref().is_some_and(|pipe| !pipe.is_complete());
        let keep_alive = self.keep_alive && !body_open && !self.shared.is_draining();
        let declared = started.fields.content_length;
        let plan = plan_response(
            self.is_head,
            self.version,
            keep_alive,
            started.status,
            declared,
            known_length,
        );
        let mut head = started.head;
        with_date(|date| {
            finish_head(
                &mut head,
                &plan,
                &started.fields,
                date,
                &self.shared.server_header,
            );
        });
        self.remaining = if let BodyFraming::Length(length) = plan.body {
            Some(length)
        } else {
            None
        };
        self.keep_alive = plan.keep_alive;
        self.status = started.status;
        self.plan = Some(plan);
        if self.shared.logs_response_headers {
            self.response_head.clone_from(&head);
        }
        Ok(head)
    }

    /// How much of `length` more bytes of body may be sent.
    fn admit(&mut self, length: usize) -> usize {
        let Some(remaining) = &mut self.remaining else {
            return length;
        };
        let allowed = usize::try_from(*remaining)
            .unwrap_or(usize::MAX)
            .min(length);
        *remaining -= allowed as u64;
        self.overrun |= allowed < length;
        allowed
    }

    /// The whole response in one go: nothing was sent before, and `data` is the whole body.
    pub(super) fn whole(&mut self, py: Python<'_>, data: &Bound<'_, PyBytes>) -> PyResult<Ending> {
        let body = data.as_bytes();
        let mut bytes = self.begin(Some(body.len() as u64))?;
        let mut part = None;
        if !self.is_suppressed() {
            let allowed = self.admit(body.len());
            self.body_sent += allowed as u64;
            if allowed <= COPY_LIMIT {
                bytes.extend_from_slice(&body[..allowed]);
            } else if allowed == body.len() {
                part = Some(pinned(data));
            } else {
                part = Some(pinned(&PyBytes::new(py, &body[..allowed])));
            }
        }
        Ok(self.ending(bytes, part))
    }

    /// A response whose body is a part of a file.
    pub(super) fn file(
        &mut self,
        file: std::fs::File,
        offset: u64,
        length: u64,
    ) -> PyResult<Ending> {
        let bytes = self.begin(Some(length))?;
        if self.is_suppressed() {
            return Ok(self.ending(bytes, None));
        }
        let length = self.admit(usize::try_from(length).unwrap_or(usize::MAX)) as u64;
        self.body_sent += length;
        Ok(self.ending(
            bytes,
            Some(Part::File {
                file,
                offset,
                length,
            }),
        ))
    }

    /// Sends one piece of a body that comes in pieces; the head goes with the first.
    pub(super) fn piece(&mut self, py: Python<'_>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        if self.over {
            return Err(PyRuntimeError::new_err(
                "write() was called after the response had ended",
            ));
        }
        let body = data.as_bytes();
        if body.is_empty() {
            return Ok(());
        }
        let first = !self.is_sent();
        let mut bytes = if first {
            self.begin(None)?
        } else {
            Vec::with_capacity(32)
        };
        let allowed = if self.is_suppressed() {
            0
        } else {
            self.admit(body.len())
        };
        if allowed == 0 {
            if first {
                self.shared.send(self.conn, &bytes, None);
            }
            return Ok(());
        }
        self.body_sent += allowed as u64;
        let chunked = self
            .plan
            .as_ref()
            .is_some_and(|plan| plan.body == BodyFraming::Chunked);
        if chunked {
            write_chunk_header(&mut bytes, allowed);
        }
        if allowed <= COPY_LIMIT {
            bytes.extend_from_slice(&body[..allowed]);
            if chunked {
                bytes.extend_from_slice(CHUNK_END);
            }
            self.hand_over(&bytes, None, allowed);
        } else {
            let part = if allowed == body.len() {
                pinned(data)
            } else {
                pinned(&PyBytes::new(py, &body[..allowed]))
            };
            self.hand_over(&bytes, Some(part), allowed);
            if chunked {
                self.hand_over(CHUNK_END, None, 2);
            }
        }
        Ok(())
    }

    fn hand_over(&mut self, bytes: &[u8], part: Option<Part>, size: usize) {
        let conn = self.conn;
        let flow = self.flow.get_or_insert_with(|| {
            let flow = Arc::new(Flow::default());
            self.shared
                .order(Command::AttachFlow(conn, Arc::clone(&flow)));
            flow
        });
        flow.add_queued(size);
        self.shared.send(conn, bytes, part);
    }

    /// Whether the client is gone, so that going on is of no use.
    pub(super) fn is_abandoned(&self) -> bool {
        self.flow.as_ref().is_some_and(|flow| flow.is_closed())
    }

    /// Whether nothing more of the body can be sent, however much the application makes.
    pub(super) fn is_full(&self) -> bool {
        self.is_suppressed() || self.overrun
    }

    /// What to wait on before the next piece, if the client is slower than the application.
    pub(super) fn congestion(&self) -> Option<Arc<Flow>> {
        self.flow
            .clone()
            .filter(|flow| flow.is_above(self.shared.response_buffer))
    }

    /// The end of a response that came in pieces.
    pub(super) fn finish(&mut self) -> PyResult<Ending> {
        let mut bytes = Vec::new();
        if !self.is_sent() {
            bytes = self.begin(Some(0))?;
        }
        if self
            .plan
            .as_ref()
            .is_some_and(|plan| plan.body == BodyFraming::Chunked)
        {
            write_last_chunk(&mut bytes);
        }
        Ok(self.ending(bytes, None))
    }

    /// What is wrong with the response's length, for the log.
    pub(super) fn length_fault(&self) -> Option<String> {
        // What a client that went away did not get is not the application's fault.
        if self.is_suppressed() || self.is_abandoned() {
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

    /// A response shorter than announced is broken off, so that the client notices; one that was longer is cut, and the
    /// connection closed.
    fn ending(&mut self, bytes: Vec<u8>, part: Option<Part>) -> Ending {
        let missing =
            !self.is_suppressed() && self.remaining.is_some_and(|remaining| remaining > 0);
        let keep_alive = self.keep_alive && !self.overrun && !missing;
        Ending::Answered {
            bytes,
            part,
            keep_alive,
        }
    }

    fn is_suppressed(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.suppress_body)
    }

    /// A page of the server's own in place of the application's response.
    pub(super) fn page(&mut self, status: &str, body: &[u8]) -> Ending {
        let mut head = Vec::with_capacity(256 + body.len());
        write_status_line(&mut head, status.as_bytes());
        write_field(&mut head, b"Content-Type", b"text/html; charset=utf-8");
        let code = check_status(status.as_bytes()).unwrap_or(500);
        self.started = Some(Started {
            status: code,
            head,
            fields: ResponseFields::default(),
        });
        let Ok(mut bytes) = self.begin(Some(body.len() as u64)) else {
            return Ending::Aborted;
        };
        if !self.is_suppressed() {
            self.admit(body.len());
            self.body_sent += body.len() as u64;
            bytes.extend_from_slice(body);
        }
        self.ending(bytes, None)
    }
}

/// The `start_response` callable of one exchange; its `write` method is what it returns.
#[pyclass(frozen, module = "hostler._engine")]
pub struct StartResponse {
    exchange: Mutex<Exchange>,
}

impl StartResponse {
    pub(super) fn new(exchange: Exchange) -> Self {
        Self {
            exchange: Mutex::new(exchange),
        }
    }

    /// Ends the exchange and gives it for a last look.
    pub(super) fn end(&self, py: Python<'_>) -> MutexGuard<'_, Exchange> {
        loop {
            if let Ok(mut exchange) = self.exchange() {
                exchange.over = true;
                return exchange;
            }
            // Another thread of the application is in there, and may wait for the interpreter.
            py.detach(|| drop(self.exchange.lock()));
        }
    }

    /// The exchange. Tried and never waited for: a thread that holds it may be waiting for the interpreter that we hold.
    pub(super) fn exchange(&self) -> PyResult<MutexGuard<'_, Exchange>> {
        match self.exchange.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(PyRuntimeError::new_err(
                "another thread is using this start_response() or write() at the same time",
            )),
        }
    }
}

#[pymethods]
impl StartResponse {
    /// PEP 3333 "The `start_response()` Callable".
    #[pyo3(signature = (status, response_headers, exc_info=None, /))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyAny>,
        response_headers: &Bound<'py, PyAny>,
        exc_info: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let status = status
            .cast::<PyString>()
            .map_err(|_| wrong_type("the status", status))?;
        let headers = response_headers
            .cast::<PyList>()
            .map_err(|_| wrong_type("the response headers", response_headers))?;
        let mut exchange = slf.get().exchange()?;
        if exchange.over {
            return Err(PyRuntimeError::new_err(
                "start_response() was called after the response had ended",
            ));
        }
        match exc_info {
            Some(exc_info) if exchange.is_sent() => return Err(raised(exc_info)),
            Some(_) => exchange.restart(),
            None if exchange.is_sent() || exchange.is_started() => {
                return Err(PyAssertionError::new_err(
                    "start_response() was called a second time without exc_info",
                ));
            }
            None => {}
        }
        exchange.start(status, headers)?;
        drop(exchange);
        slf.getattr(intern!(slf.py(), "write"))
    }

    /// PEP 3333 "The `write()` Callable": for applications that cannot return an iterable.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = data
            .cast::<PyBytes>()
            .map_err(|_| wrong_type("what is passed to write()", data))?;
        let mut exchange = self.exchange()?;
        exchange.piece(py, data)?;
        wait_for_client(py, exchange);
        Ok(())
    }
}

/// Waits until the client has taken enough of what was sent. Takes the exchange, which stays free meanwhile.
pub(super) fn wait_for_client(py: Python<'_>, exchange: MutexGuard<'_, Exchange>) {
    let Some(flow) = exchange.congestion() else {
        return;
    };
    let shared = exchange.shared.clone();
    drop(exchange);
    let mark = shared.response_buffer;
    wait_until(
        py,
        &shared,
        || !flow.is_above(mark),
        |timeout| flow.wait_below(mark, timeout),
    );
}

/// The exception in an `exc_info` triple.
fn raised(exc_info: &Bound<'_, PyAny>) -> PyErr {
    match exc_info.get_item(1) {
        Ok(value) if !value.is_none() => PyErr::from_value(value),
        _ => PyAssertionError::new_err(
            "start_response() was called with exc_info that holds no exception",
        ),
    }
}

/// The bytes of a native string: latin-1, PEP 3333 "Unicode Issues". `subject` says what it is, should it be none.
fn native<'text>(
    text: &'text Bound<'_, PyString>,
    subject: impl FnOnce() -> String,
) -> PyResult<std::borrow::Cow<'text, [u8]>> {
    let utf8 = text.to_str()?;
    if utf8.is_ascii() {
        return Ok(utf8.as_bytes().into());
    }
    let bytes: Option<Vec<u8>> = utf8
        .chars()
        .map(|character| u8::try_from(u32::from(character)).ok())
        .collect();
    bytes.map(Into::into).ok_or_else(|| {
        PyValueError::new_err(format!(
            "{} has characters that are not latin-1: {}",
            subject(),
            shown(text)
        ))
    })
}

fn wrong_type(subject: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let wanted = match subject {
        "the response headers" => "a list",
        "what is passed to write()" => "bytes",
        _ => "a str",
    };
    let kind = value
        .get_type()
        .name()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!(
        "{subject} must be {wanted}, not {kind}: {}",
        shown(value)
    ))
}

/// A short form of a value, for messages.
fn shown(value: &Bound<'_, PyAny>) -> String {
    let text = value.repr().map_or_else(
        |_| "?".to_owned(),
        |repr| repr.to_string_lossy().into_owned(),
    );
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The Date header of this second; one cache a thread, as late threads write heads side by side.
fn with_date(write: impl FnOnce(&[u8; 29])) {
    thread_local! {
        static DATE: std::cell::RefCell<DateCache> = const { std::cell::RefCell::new(DateCache::new()) };
    }
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    DATE.with_borrow_mut(|date| write(date.get(seconds)));
}
