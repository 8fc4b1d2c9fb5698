//! One WebSocket as the application sees it (ASGI "WebSocket"): its `receive` and `send`.
//!
//! CONNECT -> HANDSHAKE -> OPEN -> CLOSED, or from HANDSHAKE through DENYING to CLOSED. Until it is accepted, a handshake
//! is an HTTP exchange like any other, and what denies it is that exchange's response.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::codec::http1::{check_field, write_field};
use crate::codec::ws::{Agreement, Upgrade, is_valid_close_code, write_switch};
use crate::conn::{ConnId, Inbox, Received, Request};
use crate::python::deadline::TaskDeadline;
use crate::python::report::{About, log_failure};
use crate::python::response::pinned;
use crate::time::{Millis, coarse_millis};

use super::http::HttpCycle;
use super::message::Message;
use super::operation::{Attempt, Kind, Operation};
use super::shared::{AsgiHandle, Pace, client_gone, is_client_gone};

/// Messages above this size are sent from the memory of the Python object. As for responses.
const COPY_LIMIT: usize = 16_384;

/// The codes of a close frame: the end as it should be, and the failure of our side (RFC 6455 7.4.1).
const NORMAL: u16 = 1000;
const INTERNAL_ERROR: u16 = 1011;

/// What the application is told of a handshake whose client went away, or that it denied (RFC 6455 7.4.1).
const ABNORMAL: u16 = 1006;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connect,
    Handshake,
    Denying,
    Open,
    Closed,
}

impl Stage {
    fn expected(self) -> &'static str {
        match self {
            Self::Connect | Self::Handshake => {
                "\"websocket.accept\", \"websocket.close\" or \"websocket.http.response.start\""
            }
            Self::Denying => "\"websocket.http.response.body\"",
            Self::Open => "\"websocket.send\" or \"websocket.close\"",
            Self::Closed => "nothing, as the WebSocket is closed",
        }
    }
}

/// What a handshake asks for, apart from the request that it came in.
pub(super) struct Handshake {
    accept: [u8; 28],
    subprotocols: Vec<String>,
    agreement: Option<Agreement>,
}

impl Handshake {
    pub(super) fn new(upgrade: Upgrade<'_>) -> Self {
        Self {
            accept: upgrade.accept,
            subprotocols: upgrade
                .subprotocols
                .into_iter()
                .map(str::to_owned)
                .collect(),
            agreement: upgrade.deflate,
        }
    }

    pub(super) fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }
}

struct State {
    stage: Stage,
    handshake: Option<Box<Handshake>>,
    inbox: Option<Arc<Inbox>>,
    /// Names it, once its request is not here any more.
    about: Option<About>,
    /// Kept only if there is an access log, for its line at the end.
    request: Option<Box<Request>>,
    bytes_sent: u64,
}

/// One WebSocket.
#[pyclass(frozen, module = "hostler._engine")]
pub struct WebSocketCycle {
    asgi: AsgiHandle,
    conn: ConnId,
    pub(super) pace: Pace,
    pub(super) deadline: TaskDeadline,
    /// The number of its task.
    serial: AtomicU64,
    /// The exchange that the handshake is.
    http: Mutex<Option<Py<HttpCycle>>>,
    state: Mutex<State>,
}

impl WebSocketCycle {
    pub(super) fn new(
        py: Python<'_>,
        asgi: &AsgiHandle,
        request: Box<Request>,
        handshake: Handshake,
        scope: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let conn = request.conn;
        let http = Py::new(py, HttpCycle::new(Arc::clone(asgi), request, scope))?;
        Ok(Self {
            asgi: Arc::clone(asgi),
            conn,
            pace: Pace::default(),
            deadline: TaskDeadline::default(),
            serial: AtomicU64::new(0),
            http: Mutex::new(Some(http)),
            state: Mutex::new(State {
                stage: Stage::Connect,
                handshake: Some(Box::new(handshake)),
                inbox: None,
                about: None,
                request: None,
                bytes_sent: 0,
            }),
        })
    }

    /// The state. Tried and never waited for, as only one thread has business here.
    fn state(&self) -> PyResult<MutexGuard<'_, State>> {
        self.state.try_lock().map_err(|_| {
            PyRuntimeError::new_err(
                "receive() and send() of one WebSocket were called at the same time by two threads",
            )
        })
    }

    /// Notes which task has it.
    pub(super) fn note_serial(&self, serial: u64) {
        self.serial.store(serial, Ordering::Relaxed);
    }

    /// Sets when the WebSocket must have ended.
    pub(super) fn set_deadline(&self, due: Millis) -> PyResult<()> {
        let serial = self.serial.load(Ordering::Relaxed);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.deadline.set(&self.asgi.core, due, |stint| {
            let number = stint.begin_task(None, serial, coarse_millis(), due);
            let [id, method, path] = state.about.as_ref().map_or(["?", "GET", "?"], About::parts);
            stint.set_label(id.as_bytes(), method.as_bytes(), path.as_bytes());
            stint.set_conn(self.conn);
            number
        })
    }

    /// The application has ended, and its client was told that time is over.
    pub(super) fn overruled(&self) -> PyResult<()> {
        let http = match self.http.lock() {
            Ok(mut http) => http.take(),
            Err(poisoned) => poisoned.into_inner().take(),
        };
        if let Some(http) = http {
            return http.get().overruled();
        }
        let mut state = self.state()?;
        state.stage = Stage::Closed;
        let request = state.request.take();
        let bytes_sent = state.bytes_sent;
        drop(state);
        let mut engine = self.asgi.engine()?;
        engine.close_websocket(self.conn, INTERNAL_ERROR, "");
        engine.forget_overruled();
        if let Some(mut request) = request {
            request.body_sent = bytes_sent;
            engine.conclude(request);
        }
        self.asgi.leave(engine)
    }

    fn http(&self, py: Python<'_>) -> Option<Py<HttpCycle>> {
        let http = self.http.try_lock().ok()?;
        http.as_ref().map(|http| http.clone_ref(py))
    }

    /// The next message for the application, if there is one already.
    pub(super) fn try_receive<'py>(&self, py: Python<'py>) -> PyResult<Attempt<'py>> {
        let mut state = self.state()?;
        let inbox = match (state.stage, &state.inbox) {
            (Stage::Connect, _) => {
                state.stage = Stage::Handshake;
                return connect(py);
            }
            (_, Some(inbox)) => Arc::clone(inbox),
            (Stage::Closed, None) => return disconnect(py, ABNORMAL, ""),
            (_, None) => {
                drop(state);
                return if self.asgi.engine()?.has_ended(self.conn) {
                    disconnect(py, ABNORMAL, "")
                } else {
                    Ok(Attempt::Wait)
                };
            }
        };
        drop(state);
        match inbox.take() {
            Received::Message(message, makes_room) => {
                if makes_room {
                    let mut engine = self.asgi.engine()?;
                    engine.resume_websocket(self.conn);
                    self.asgi.leave(engine)?;
                }
                received(py, &message)
            }
            Received::Closed(closed) => disconnect(py, closed.code, &closed.reason),
            Received::Nothing => Ok(Attempt::Wait),
        }
    }

    fn handle(&self, py: Python<'_>, message: &Message<'_>) -> PyResult<Py<PyAny>> {
        if message.kind()? == "hostler.deadline" {
            self.set_deadline(message.due()?)?;
            return Ok(self.asgi.done(py));
        }
        let state = self.state()?;
        match (message.kind()?, state.stage) {
            ("websocket.send", Stage::Open) => self.send_message(py, state, message),
            ("websocket.accept", Stage::Connect | Stage::Handshake) => {
                self.accept(py, state, message)
            }
            ("websocket.close", Stage::Open) => self.close(py, state, message),
            ("websocket.close", Stage::Connect | Stage::Handshake) => self.deny(py, state),
            ("websocket.http.response.start", Stage::Connect | Stage::Handshake) => {
                self.respond(py, state, message, "http.response.start")
            }
            ("websocket.http.response.body", Stage::Denying) => {
                self.respond(py, state, message, "http.response.body")
            }
            (_, now) => Err(message.unexpected(now.expected())),
        }
    }

    fn accept(
        &self,
        py: Python<'_>,
        mut state: MutexGuard<'_, State>,
        message: &Message<'_>,
    ) -> PyResult<Py<PyAny>> {
        let Some(handshake) = &state.handshake else {
            return Err(message.unexpected(state.stage.expected()));
        };
        let subprotocol = message.text(intern!(py, "subprotocol"))?;
        let subprotocol = subprotocol
            .as_ref()
            .map(|subprotocol| subprotocol.to_str())
            .transpose()?;
        if let Some(chosen) = subprotocol {
            // RFC 6455 4.2.2 (5): clients fail a connection whose subprotocol they did not ask for.
            if !handshake.subprotocols.iter().any(|each| each == chosen) {
                return Err(PyValueError::new_err(format!(
                    "\"subprotocol\" of the ASGI message \"websocket.accept\" must be one that the client offers ({}), not {chosen:?}",
                    if handshake.subprotocols.is_empty() {
                        "none".to_owned()
                    } else {
                        handshake.subprotocols.join(", ")
                    }
                )));
            }
        }
        let agreement = handshake.agreement;
        let mut head = Vec::with_capacity(256);
        write_switch(
            &mut head,
            &handshake.accept,
            subprotocol,
            agreement.as_ref(),
        );
        message.each_header(intern!(py, "headers"), |name, value| {
            add_switch_field(&mut head, name, value)
        })?;
        self.asgi.core.write_common_fields(&mut head);
        head.extend_from_slice(b"\r\n");
        let Some(request) = self.http(py).and_then(|http| http.get().take_request()) else {
            return Err(client_gone());
        };
        let mut request = request;
        // RFC 8441 5: on a stream nothing is switched.
        request.status = if request.head.is_websocket { 200 } else { 101 };
        let about = About::new(&request, "websocket");
        let mut engine = self.asgi.engine()?;
        let inbox = engine.open_websocket(self.conn, &head, agreement.as_ref());
        let has_log = engine.context.access_log.is_some();
        if has_log && inbox.is_some() {
            // It is a connection from now on, which may last for days.
            engine.context.leave(&mut request);
            state.request = Some(request);
        } else {
            engine.conclude(request);
        }
        self.asgi.leave(engine)?;
        state.handshake = None;
        state.about = Some(about);
        state.inbox = inbox;
        if let Ok(mut http) = self.http.try_lock() {
            http.take();
        }
        if state.inbox.is_none() {
            state.stage = Stage::Closed;
            return Err(client_gone());
        }
        state.stage = Stage::Open;
        Ok(self.asgi.done(py))
    }

    fn send_message(
        &self,
        py: Python<'_>,
        mut state: MutexGuard<'_, State>,
        message: &Message<'_>,
    ) -> PyResult<Py<PyAny>> {
        let mut engine = self.asgi.engine()?;
        let unsent = if let Some(bytes) = message.bytes(intern!(py, "bytes"))? {
            let length = bytes.as_bytes().len();
            state.bytes_sent += length as u64;
            if length > COPY_LIMIT && engine.sends_plain(self.conn) {
                engine.send_large_message(self.conn, false, length, pinned(&bytes))
            } else {
                engine.send_message(self.conn, false, bytes.as_bytes())
            }
        } else if let Some(text) = message.text(intern!(py, "text"))? {
            let text = text.to_str()?;
            state.bytes_sent += text.len() as u64;
            engine.send_message(self.conn, true, text.as_bytes())
        } else {
            return Err(PyValueError::new_err(
                "the ASGI message \"websocket.send\" has neither \"bytes\" nor \"text\"",
            ));
        };
        self.asgi.leave(engine)?;
        match unsent {
            Some(unsent) => self.asgi.after_send(py, self.conn, unsent, &self.pace),
            None => Err(client_gone()),
        }
    }

    fn close(
        &self,
        py: Python<'_>,
        mut state: MutexGuard<'_, State>,
        message: &Message<'_>,
    ) -> PyResult<Py<PyAny>> {
        let code = match message.integer(intern!(py, "code"))? {
            None => NORMAL,
            Some(code) => u16::try_from(code)
                .ok()
                .filter(|code| is_valid_close_code(*code))
                .ok_or_else(|| {
                    PyValueError::new_err(format!(
                        "\"code\" of the ASGI message \"websocket.close\" must be one that may be sent (1000 to 1003, 1007 to 1014 or 3000 to 4999), not {code}"
                    ))
                })?,
        };
        let reason = message.text(intern!(py, "reason"))?;
        let reason = match &reason {
            Some(reason) => reason.to_str()?,
            None => "",
        };
        state.stage = Stage::Closed;
        self.end(state, code, reason)?;
        Ok(self.asgi.done(py))
    }

    /// Closes the connection, and has its line written.
    fn end(&self, mut state: MutexGuard<'_, State>, code: u16, reason: &str) -> PyResult<()> {
        let request = state.request.take();
        let bytes_sent = state.bytes_sent;
        drop(state);
        let mut engine = self.asgi.engine()?;
        engine.close_websocket(self.conn, code, reason);
        if let Some(mut request) = request {
            request.body_sent = bytes_sent;
            engine.conclude(request);
        }
        self.asgi.leave(engine)
    }

    /// `websocket.close` in place of an answer: 403, as the specification says.
    fn deny(&self, py: Python<'_>, mut state: MutexGuard<'_, State>) -> PyResult<Py<PyAny>> {
        state.stage = Stage::Closed;
        drop(state);
        if let Some(http) = self.http(py) {
            http.get().forbid()?;
        }
        Ok(self.asgi.done(py))
    }

    /// Passes a message of a denial response on to the exchange.
    fn respond(
        &self,
        py: Python<'_>,
        mut state: MutexGuard<'_, State>,
        message: &Message<'_>,
        kind: &str,
    ) -> PyResult<Py<PyAny>> {
        let is_last = kind == "http.response.body" && !message.flag(intern!(py, "more_body"))?;
        let Some(http) = self.http(py) else {
            return Err(message.unexpected(state.stage.expected()));
        };
        let sent = http.get().handle(py, message, kind)?;
        state.stage = if is_last {
            Stage::Closed
        } else {
            Stage::Denying
        };
        Ok(sent)
    }

    /// The application has returned.
    pub(super) fn returned(&self, py: Python<'_>) -> PyResult<()> {
        self.over(py, NORMAL, None)
    }

    /// An exception has left the application.
    pub(super) fn failed(&self, py: Python<'_>, error: &PyErr) -> PyResult<()> {
        self.over(py, INTERNAL_ERROR, Some(error))
    }

    /// The application was cancelled.
    pub(super) fn cancelled(&self, py: Python<'_>, error: &PyErr) -> PyResult<()> {
        if let Some(http) = self.http(py) {
            return http.get().cancelled(py, error);
        }
        self.over(py, INTERNAL_ERROR, None)
    }

    fn over(&self, py: Python<'_>, code: u16, error: Option<&PyErr>) -> PyResult<()> {
        if let Some(http) = self.http(py) {
            // It was never accepted.
            return match error {
                Some(error) => http.get().failed(py, error),
                None => http.get().returned(py, Stage::Handshake.expected()),
            };
        }
        let mut state = self.state()?;
        let is_gone = state.inbox.as_ref().is_none_or(|inbox| inbox.is_closed());
        if let Some(error) = error {
            if !(is_gone && is_client_gone(py, error)) {
                log_failure(py, &self.asgi.core, state.about.as_ref(), error);
            }
        }
        state.stage = Stage::Closed;
        self.end(state, code, "")
    }
}

#[pymethods]
impl WebSocketCycle {
    /// The `receive` of the application.
    fn receive(slf: &Bound<'_, Self>) -> PyResult<Py<Operation>> {
        let cycle = slf.get();
        let operation = Operation::new(
            Arc::clone(&cycle.asgi),
            cycle.conn,
            Kind::ReceiveWebSocket(slf.clone().unbind()),
        );
        Py::new(slf.py(), operation)
    }

    /// The `send` of the application.
    fn send(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.handle(py, &Message::new(message)?)
    }
}

/// Adds a field of the application's to the switch, where it is not the server's to say.
fn add_switch_field(head: &mut Vec<u8>, name: &[u8], value: &[u8]) -> PyResult<()> {
    const OURS: [&[u8]; 5] = [
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"content-length",
        b"date",
    ];
    if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        return Err(PyValueError::new_err(format!(
            "the header \"{}\" of a WebSocket's acceptance is the server's; a subprotocol is chosen with \"subprotocol\"",
            name.escape_ascii()
        )));
    }
    check_field(name, value).map_err(|error| PyValueError::new_err(error.to_string()))?;
    write_field(head, name, value);
    Ok(())
}

fn connect(py: Python<'_>) -> PyResult<Attempt<'_>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), intern!(py, "websocket.connect"))?;
    Ok(Attempt::Message(message.into_any()))
}

fn received<'py>(py: Python<'py>, received: &crate::conn::Message) -> PyResult<Attempt<'py>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), intern!(py, "websocket.receive"))?;
    if received.is_text {
        // SAFETY: the decoder has found it to be valid UTF-8.
        let text = unsafe { std::str::from_utf8_unchecked(&received.data) };
        message.set_item(intern!(py, "text"), PyString::new(py, text))?;
    } else {
        message.set_item(intern!(py, "bytes"), PyBytes::new(py, &received.data))?;
    }
    Ok(Attempt::Message(message.into_any()))
}

fn disconnect<'py>(py: Python<'py>, code: u16, reason: &str) -> PyResult<Attempt<'py>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), intern!(py, "websocket.disconnect"))?;
    message.set_item(intern!(py, "code"), code)?;
    message.set_item(intern!(py, "reason"), reason)?;
    Ok(Attempt::Message(message.into_any()))
}
