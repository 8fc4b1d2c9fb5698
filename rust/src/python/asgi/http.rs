//! One HTTP exchange as the application sees it (ASGI "HTTP"): its `receive` and `send`.
//!
//! START -> BODY -> (TRAILERS ->) DONE, by the messages that the application sends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::codec::http1::{FieldKind, Refusal, Version, check_field, write_field};
use crate::conn::{ConnId, Request};
use crate::python::deadline::{EXPIRED, TaskDeadline};
use crate::python::report::{About, RequestName, described, log_error, log_failure, warn};
use crate::python::response::{FilePart, Output, Response, error_page};
use crate::time::{Millis, coarse_millis};
use crate::worker::Worker;

use super::body::{Portion, RequestBody};
use super::files::{borrow_file, open_path};
use super::message::Message;
use super::operation::{Attempt, Kind, Operation};
use super::shared::{AsgiHandle, Pace, client_gone, is_client_gone};

const FORBIDDEN: Refusal = Refusal::new(403, "The WebSocket was refused.");

/// What the application sends next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    Body,
    Trailers,
    Done,
    /// The server has answered in its place.
    Refused,
}

impl Stage {
    fn expected(self) -> &'static str {
        match self {
            Self::Start => "\"http.response.start\"",
            Self::Body => "\"http.response.body\"",
            Self::Trailers => "\"http.response.trailers\"",
            Self::Done | Self::Refused => "nothing, as the response is complete",
        }
    }
}

struct State {
    /// Until the response is complete.
    request: Option<Box<Request>>,
    body: RequestBody,
    response: Response,
    stage: Stage,
    has_trailers: bool,
    /// Names the request once its response is complete: what the application does then may fail, too.
    name: RequestName,
    /// Until the application has returned, as it may hold what holds this.
    scope: Option<Py<PyDict>>,
}

/// One request and its response.
#[pyclass(frozen, module = "hostler._engine")]
pub struct HttpCycle {
    asgi: AsgiHandle,
    conn: ConnId,
    pub(super) pace: Pace,
    pub(super) deadline: TaskDeadline,
    /// The number of its task.
    serial: AtomicU64,
    state: Mutex<State>,
}

impl HttpCycle {
    pub(super) fn new(
        asgi: AsgiHandle,
        mut request: Box<Request>,
        scope: &Bound<'_, PyDict>,
    ) -> Self {
        let response = Response::new(&request);
        let name = RequestName::of(&request);
        let body = RequestBody::new(std::mem::take(&mut request.body));
        Self {
            asgi,
            conn: request.conn,
            pace: Pace::default(),
            deadline: TaskDeadline::default(),
            serial: AtomicU64::new(0),
            state: Mutex::new(State {
                request: Some(request),
                body,
                response,
                stage: Stage::Start,
                has_trailers: false,
                name,
                scope: Some(scope.clone().unbind()),
            }),
        }
    }

    /// The state. Tried and never waited for, as only one thread has business here.
    fn state(&self) -> PyResult<MutexGuard<'_, State>> {
        self.state.try_lock().map_err(|_| {
            PyRuntimeError::new_err(
                "receive() and send() of one request were called at the same time by two threads",
            )
        })
    }

    fn is_gone(&self) -> PyResult<bool> {
        Ok(self.asgi.engine()?.unsent(self.conn).is_none())
    }

    /// Whether the client is gone, or asks for nothing more.
    fn has_ended(&self) -> PyResult<bool> {
        Ok(self.asgi.engine()?.has_ended(self.conn))
    }

    /// Notes which task has it, and begins what the route says of how long it may take.
    pub(super) fn begin_deadline(&self, serial: u64, patience: Millis) -> PyResult<()> {
        self.serial.store(serial, Ordering::Relaxed);
        if patience == 0 {
            return Ok(());
        }
        self.set_deadline(coarse_millis().saturating_add(patience))
    }

    /// Sets when the response must be complete; once it is, when the application must have returned.
    pub(super) fn set_deadline(&self, due: Millis) -> PyResult<()> {
        let serial = self.serial.load(Ordering::Relaxed);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.deadline.set(&self.asgi.core, due, |stint| {
            let now = coarse_millis();
            let number = stint.begin_task(state.request.as_deref(), serial, now, due);
            if state.request.is_none() {
                stint.set_label(state.name.bytes(), b"?", b"(after its response)");
            }
            number
        })
    }

    /// The application has ended, and its client was answered before.
    pub(super) fn overruled(&self) -> PyResult<()> {
        let mut state = self.state()?;
        let scope = state.scope.take();
        let is_sent = state.response.is_sent();
        state.stage = Stage::Refused;
        let request = state.request.take();
        if let Some(mut request) = request {
            state.response.note(&mut request);
            drop(state);
            if !is_sent {
                request.status = EXPIRED.status;
                request.body_sent = if request.is_head() {
                    0
                } else {
                    EXPIRED.body_length()
                };
            }
            let mut engine = self.asgi.engine()?;
            engine.conclude_overruled(request);
            self.asgi.tell_others(&mut engine, self.conn);
            self.asgi.leave(engine)?;
        }
        drop(scope);
        Ok(())
    }

    /// The next message for the application, if there is one already.
    pub(super) fn try_receive<'py>(&self, py: Python<'py>) -> PyResult<Attempt<'py>> {
        let mut state = self.state()?;
        if matches!(state.stage, Stage::Done | Stage::Refused) {
            return disconnect(py);
        }
        let portion = state.body.take(py, &self.asgi, self.conn)?;
        drop(state);
        match portion {
            Portion::Bytes(body, more_body) => {
                let message = PyDict::new(py);
                message.set_item(intern!(py, "type"), intern!(py, "http.request"))?;
                message.set_item(intern!(py, "body"), body)?;
                message.set_item(intern!(py, "more_body"), more_body)?;
                Ok(Attempt::Message(message.into_any()))
            }
            Portion::Over if !self.has_ended()? => Ok(Attempt::Wait),
            Portion::Awaited => Ok(Attempt::Wait),
            Portion::Over => disconnect(py),
            Portion::Lost(fault) => {
                if let Some(refusal) = fault.refusal() {
                    self.refuse(&refusal)?;
                }
                disconnect(py)
            }
        }
    }

    /// Acts on a message as if it were of the given kind.
    pub(super) fn handle(
        &self,
        py: Python<'_>,
        message: &Message<'_>,
        kind: &str,
    ) -> PyResult<Py<PyAny>> {
        if self.deadline.has_expired() {
            return Err(client_gone());
        }
        if kind == "hostler.deadline" {
            self.set_deadline(message.due()?)?;
            return Ok(self.asgi.done(py));
        }
        let mut state = self.state()?;
        match (kind, state.stage) {
            ("http.response.start", Stage::Start) => {
                let (started, closes) = message.started(&state.response)?;
                state.has_trailers = message.flag(intern!(py, "trailers"))?;
                if closes {
                    state.response.close_after();
                }
                state.response.start(started);
                state.stage = Stage::Body;
                Ok(self.asgi.done(py))
            }
            ("http.response.body", Stage::Body) => self.send_body(py, state, message),
            ("http.response.pathsend", Stage::Body) => {
                let part = open_path(py, message)?;
                self.send_file(py, state, part, false)
            }
            ("http.response.zerocopysend", Stage::Body) => {
                let more = message.flag(intern!(py, "more_body"))?;
                let part = borrow_file(py, message)?;
                self.send_file(py, state, part, more)
            }
            ("http.response.trailers", Stage::Trailers) => self.send_trailers(py, state, message),
            ("http.response.early_hint", Stage::Start | Stage::Body)
                if !state.response.is_sent() =>
            {
                self.send_early_hint(py, &state, message)
            }
            ("http.response.debug", Stage::Start | Stage::Body) => Ok(self.asgi.done(py)),
            (_, Stage::Refused) => Err(client_gone()),
            (_, now) => Err(message.unexpected(now.expected())),
        }
    }

    fn send_body(
        &self,
        py: Python<'_>,
        mut state: MutexGuard<'_, State>,
        message: &Message<'_>,
    ) -> PyResult<Py<PyAny>> {
        let body = message.bytes(intern!(py, "body"))?;
        let more_body = message.flag(intern!(py, "more_body"))?;
        let body = body.unwrap_or_else(|| PyBytes::new(py, b""));
        if !more_body && !state.has_trailers && !state.response.is_sent() {
            let head = state.begin(&self.asgi, Some(body.as_bytes().len() as u64))?;
            let (bytes, part) = state.response.whole(head, &body);
            let output = Output {
                bytes,
                part,
                ..Output::default()
            };
            return self.finish(py, state, output);
        }
        let head = state.head_or_nothing(&self.asgi)?;
        let output = state.response.piece(head, &body);
        self.go_on(py, state, output, more_body)
    }

    fn send_file(
        &self,
        py: Python<'_>,
        mut state: MutexGuard<'_, State>,
        mut part: FilePart,
        more_body: bool,
    ) -> PyResult<Py<PyAny>> {
        if let Some(declared) = state.response.declared_length() {
            part.length = part.length.min(declared);
        }
        let head = if !more_body && !state.has_trailers && !state.response.is_sent() {
            state.begin(&self.asgi, Some(part.length))?
        } else {
            state.head_or_nothing(&self.asgi)?
        };
        let output = state.response.file_piece(head, part);
        self.go_on(py, state, output, more_body)
    }

    /// Sends a piece, and ends the response if it was the last.
    fn go_on(
        &self,
        py: Python<'_>,
        mut state: MutexGuard<'_, State>,
        output: Output,
        more_body: bool,
    ) -> PyResult<Py<PyAny>> {
        if more_body || state.has_trailers {
            if !more_body {
                state.stage = Stage::Trailers;
            }
            drop(state);
            let mut engine = self.asgi.engine()?;
            if engine.unsent(self.conn).is_none() {
                return Err(client_gone());
            }
            give(&mut engine, self.conn, output);
            // If it went away over this, the next message will tell.
            let unsent = engine.unsent(self.conn).unwrap_or(0);
            self.asgi.leave(engine)?;
            return self.asgi.after_send(py, self.conn, unsent, &self.pace);
        }
        let mut output = output;
        if output.part.is_none() {
            state.response.write_end(&mut output.bytes);
            return self.finish(py, state, output);
        }
        let mut engine = self.asgi.engine()?;
        give(&mut engine, self.conn, output);
        drop(engine);
        let mut end = Output::default();
        state.response.write_end(&mut end.bytes);
        self.finish(py, state, end)
    }

    fn send_trailers(
        &self,
        py: Python<'_>,
        mut state: MutexGuard<'_, State>,
        message: &Message<'_>,
    ) -> PyResult<Py<PyAny>> {
        let more = message.flag(intern!(py, "more_trailers"))?;
        let mut bytes = Vec::new();
        message.each_header(intern!(py, "headers"), |name, value| {
            // RFC 9110 6.5.1: nothing that frames or routes the message may come behind it.
            match check_field(name, value) {
                Ok(FieldKind::Ordinary) => write_field(&mut bytes, name, value),
                Ok(_) => {
                    return Err(PyValueError::new_err(format!(
                        "\"{}\" cannot be a trailer",
                        name.escape_ascii()
                    )));
                }
                Err(error) => return Err(PyValueError::new_err(error.to_string())),
            }
            Ok(())
        })?;
        state.response.add_trailers(&bytes);
        if more {
            return Ok(self.asgi.done(py));
        }
        let mut output = Output::default();
        state.response.write_end(&mut output.bytes);
        self.finish(py, state, output)
    }

    fn send_early_hint(
        &self,
        py: Python<'_>,
        state: &State,
        message: &Message<'_>,
    ) -> PyResult<Py<PyAny>> {
        let links = message
            .get(intern!(py, "links"))?
            .ok_or_else(|| message.missing("links"))?;
        let mut bytes = b"HTTP/1.1 103 Early Hints\r\n".to_vec();
        for link in links.try_iter()? {
            let link = link?;
            let link = link.cast::<PyBytes>().map_err(|_| {
                PyValueError::new_err(
                    "\"links\" of the ASGI message \"http.response.early_hint\" must be bytes",
                )
            })?;
            check_field(b"link", link.as_bytes())
                .map_err(|error| PyValueError::new_err(error.to_string()))?;
            write_field(&mut bytes, b"Link", link.as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        let takes_interim = state.request.as_ref().is_some_and(|request| {
            request.head.version != Version::Http10 && request.dialect().is_none()
        });
        // RFC 9110 15.2: no interim response to a client that speaks HTTP/1.0.
        if takes_interim {
            let mut engine = self.asgi.engine()?;
            engine.send(self.conn, &bytes, None);
            self.asgi.leave(engine)?;
        }
        Ok(self.asgi.done(py))
    }

    /// Sends the last bytes of the response and ends the request.
    fn finish(
        &self,
        py: Python<'_>,
        mut state: MutexGuard<'_, State>,
        output: Output,
    ) -> PyResult<Py<PyAny>> {
        if self.deadline.end(&self.asgi.core, false) {
            // A moment too late; what is left is done when the application returns.
            return Err(client_gone());
        }
        state.stage = Stage::Done;
        let keep_alive = state.response.keeps_alive();
        let fault = state.response.length_fault();
        let request = state.request.take();
        let unread = std::mem::replace(&mut state.body, RequestBody::Over);
        let Some(mut request) = request else {
            return Ok(self.asgi.done(py));
        };
        state.response.note(&mut request);
        let logged = &self.asgi.core.logged;
        if let Some(scope) = state.scope.as_ref().filter(|_| !logged.is_nothing()) {
            logged.note(&mut request, scope.bind(py));
        }
        drop(state);
        drop(unread);
        if let Some(fault) = fault {
            warn(
                py,
                &self.asgi.core,
                &format!("{fault}: {}", described(&request)),
            );
        }
        let mut engine = self.asgi.engine()?;
        // What ends a response has no tail.
        let was_there = engine.respond(request, &output.bytes, output.part, keep_alive);
        self.asgi.tell_others(&mut engine, self.conn);
        self.asgi.leave(engine)?;
        if was_there {
            Ok(self.asgi.done(py))
        } else {
            Err(client_gone())
        }
    }

    /// Whether the response is complete or given up.
    pub(super) fn is_over(&self) -> bool {
        self.state().is_ok_and(|state| state.request.is_none())
    }

    /// Gives the request away: the connection serves another purpose from now on.
    pub(super) fn take_request(&self) -> Option<Box<Request>> {
        let mut state = self.state().ok()?;
        state.stage = Stage::Done;
        state.request.take()
    }

    /// Answers 403 in place of the application.
    pub(super) fn forbid(&self) -> PyResult<()> {
        self.refuse(&FORBIDDEN)
    }

    /// Answers in place of the application, unless it has begun to; then nothing it sends matters any more.
    fn refuse(&self, refusal: &Refusal) -> PyResult<()> {
        let mut state = self.state()?;
        if state.response.is_sent() {
            return Ok(());
        }
        state.stage = Stage::Refused;
        let Some(request) = state.request.take() else {
            return Ok(());
        };
        drop(state);
        let mut engine = self.asgi.engine()?;
        engine.refuse(request, refusal);
        self.asgi.tell_others(&mut engine, self.conn);
        self.asgi.leave(engine)
    }

    /// The application has returned. `expected` is what should have come first, if not the rest of a response.
    pub(super) fn returned(&self, py: Python<'_>, expected: &str) -> PyResult<()> {
        let scope = self.state()?.scope.take();
        drop(scope);
        let state = self.state()?;
        if state.request.is_none() {
            return Ok(());
        }
        if self.has_ended()? {
            // It was told so, and owes nothing.
            return self.give_up(state);
        }
        let line = format!(
            "the application returned without completing its response; expected {}: {}",
            if expected.is_empty() {
                state.stage.expected()
            } else {
                expected
            },
            state.request.as_deref().map(described).unwrap_or_default()
        );
        log_error(py, &self.asgi.core, &line);
        let page = state
            .request
            .as_deref()
            .map(|request| error_page(&request.id));
        self.replace(state, page)
    }

    /// An exception has left the application.
    pub(super) fn failed(&self, py: Python<'_>, error: &PyErr) -> PyResult<()> {
        let scope = self.state()?.scope.take();
        let state = self.state()?;
        let is_over = state.request.is_none();
        let is_gone = !is_over && self.is_gone()?;
        if (is_over || self.has_ended()?) && is_client_gone(py, error) {
            return self.give_up(state);
        }
        let about = match (&state.request, &scope) {
            (Some(request), _) => Some(About::new(request, "http")),
            (None, Some(scope)) => Some(About::from_scope(scope.bind(py), &state.name, "http")),
            (None, None) => None,
        };
        drop(state);
        // Without the state, as the control plane runs what it likes.
        let page = log_failure(py, &self.asgi.core, about.as_ref(), error);
        let state = self.state()?;
        if is_over {
            return Ok(());
        }
        if is_gone {
            return self.give_up(state);
        }
        let page = page.or_else(|| {
            state
                .request
                .as_deref()
                .map(|request| error_page(&request.id))
        });
        self.replace(state, page)
    }

    /// The application was cancelled: by itself, or because nobody waits for it any more.
    pub(super) fn cancelled(&self, py: Python<'_>, error: &PyErr) -> PyResult<()> {
        let is_wanted = !self.is_over() && !self.has_ended()?;
        if is_wanted {
            return self.failed(py, error);
        }
        let scope = self.state()?.scope.take();
        drop(scope);
        self.give_up(self.state()?)
    }

    /// Answers with a page of the server's own if nothing was sent, and breaks the response off if something was.
    fn replace(&self, mut state: MutexGuard<'_, State>, page: Option<Vec<u8>>) -> PyResult<()> {
        if state.response.is_sent() {
            return self.give_up(state);
        }
        state.response.restart();
        let page = page.unwrap_or_default();
        let ending = state
            .response
            .page(&self.asgi.core, "500 Internal Server Error", &page);
        state.stage = Stage::Done;
        let Some(mut request) = state.request.take() else {
            return Ok(());
        };
        state.response.note(&mut request);
        drop(state);
        let mut engine = self.asgi.engine()?;
        ending.tell(request, &mut engine);
        self.asgi.tell_others(&mut engine, self.conn);
        self.asgi.leave(engine)
    }

    /// Breaks the response off.
    fn give_up(&self, mut state: MutexGuard<'_, State>) -> PyResult<()> {
        state.stage = Stage::Done;
        let Some(mut request) = state.request.take() else {
            return Ok(());
        };
        state.response.note(&mut request);
        drop(state);
        self.asgi.abort(request)
    }
}

#[pymethods]
impl HttpCycle {
    /// The `receive` of the application.
    fn receive(slf: &Bound<'_, Self>) -> PyResult<Py<Operation>> {
        let cycle = slf.get();
        let operation = Operation::new(
            Arc::clone(&cycle.asgi),
            cycle.conn,
            Kind::ReceiveHttp(slf.clone().unbind()),
        );
        Py::new(slf.py(), operation)
    }

    /// The `send` of the application.
    fn send(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let message = Message::new(message)?;
        self.handle(py, &message, message.kind()?)
    }
}

impl State {
    fn begin(&mut self, asgi: &AsgiHandle, length: Option<u64>) -> PyResult<Vec<u8>> {
        self.response
            .begin(&asgi.core, length)
            .ok_or_else(|| PyRuntimeError::new_err("the response was not started"))
    }

    /// The head if it is still to go out.
    fn head_or_nothing(&mut self, asgi: &AsgiHandle) -> PyResult<Vec<u8>> {
        if self.response.is_sent() {
            Ok(Vec::with_capacity(32))
        } else {
            self.begin(asgi, None)
        }
    }
}

fn give(engine: &mut Worker, conn: ConnId, output: Output) {
    if output.bytes.is_empty() && output.part.is_none() {
        return;
    }
    engine.send(conn, &output.bytes, output.part);
    if !output.tail.is_empty() {
        engine.send(conn, output.tail, None);
    }
}

fn disconnect(py: Python<'_>) -> PyResult<Attempt<'_>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), intern!(py, "http.disconnect"))?;
    Ok(Attempt::Message(message.into_any()))
}
