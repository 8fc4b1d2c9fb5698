//! One exchange as the application sees it: `start_response`, `write`, and how its response is framed.

use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use pyo3::exceptions::{PyAssertionError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::codec::http1::{FieldKind, ResponseFields, check_status, write_field};
use crate::conn::{ConnId, Flow, Part, Request};
use crate::python::response::{FilePart, Response, Started};
use crate::python::shared::{Ending, Handle};
use crate::python::values::{shown, type_name};
use crate::worker::Command;

use super::waiting::wait_until;

/// The state of one exchange.
pub(super) struct Exchange {
    pub(super) shared: Handle,
    pub(super) conn: ConnId,
    pub(super) response: Response,
    /// The response is complete, or given up: nothing may be sent any more.
    over: bool,
    flow: Option<Arc<Flow>>,
}

impl Exchange {
    pub(super) fn new(shared: &Handle, request: &Request) -> Self {
        Self {
            shared: Arc::clone(shared),
            conn: request.conn,
            response: Response::new(request),
            over: false,
            flow: None,
        }
    }

    /// Takes what the application passes to `start_response`.
    fn start(&mut self, status: &Bound<'_, PyString>, headers: &Bound<'_, PyList>) -> PyResult<()> {
        let status_text = native(status, || "the status".to_owned())?;
        let code =
            check_status(&status_text).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let mut head = Vec::with_capacity(512);
        self.response.write_status(&mut head, &status_text);
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
                Ok(_) if self.response.is_reserved(&name_bytes) => {}
                Ok(_) => write_field(&mut head, &name_bytes, &value_bytes),
                Err(error) => return Err(PyValueError::new_err(error.to_string())),
            }
        }
        self.response.start(Started {
            status: code,
            head,
            fields,
        });
        Ok(())
    }

    /// Decides the framing and completes the head. `known_length` is the length of the body if all of it is there.
    fn begin(&mut self, known_length: Option<u64>) -> PyResult<Vec<u8>> {
        self.response
            .begin(&self.shared, known_length)
            .ok_or_else(|| {
                PyAssertionError::new_err(
                    "the application returned before it called start_response()",
                )
            })
    }

    /// The whole response in one go: nothing was sent before, and `data` is the whole body.
    pub(super) fn whole(&mut self, data: &Bound<'_, PyBytes>) -> PyResult<Ending> {
        let head = self.begin(Some(data.as_bytes().len() as u64))?;
        let (bytes, part) = self.response.whole(head, data);
        Ok(self.response.ending(bytes, part))
    }

    /// A response whose body is a part of a file.
    pub(super) fn file(&mut self, part: FilePart) -> PyResult<Ending> {
        let head = self.begin(Some(part.length))?;
        let output = self.response.file_piece(head, part);
        Ok(self.response.ending(output.bytes, output.part))
    }

    /// Sends one piece of a body that comes in pieces; the head goes with the first.
    pub(super) fn piece(&mut self, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        if self.over {
            return Err(PyRuntimeError::new_err(
                "write() was called after the response had ended",
            ));
        }
        if data.as_bytes().is_empty() {
            return Ok(());
        }
        let head = if self.response.is_sent() {
            Vec::with_capacity(32)
        } else {
            self.begin(None)?
        };
        let output = self.response.piece(head, data);
        if output.size == 0 {
            if !output.bytes.is_empty() {
                self.shared.send(self.conn, &output.bytes, None);
            }
            return Ok(());
        }
        self.hand_over(&output.bytes, output.part, output.size);
        if !output.tail.is_empty() {
            self.hand_over(output.tail, None, output.tail.len());
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

    /// What to wait on before the next piece, if the client is slower than the application.
    pub(super) fn congestion(&self) -> Option<Arc<Flow>> {
        self.flow
            .clone()
            .filter(|flow| flow.is_above(self.shared.response_buffer))
    }

    /// The end of a response that came in pieces.
    pub(super) fn finish(&mut self) -> PyResult<Ending> {
        let mut bytes = Vec::new();
        if !self.response.is_sent() {
            bytes = self.begin(Some(0))?;
        }
        self.response.write_end(&mut bytes);
        Ok(self.response.ending(bytes, None))
    }

    /// What is wrong with the response's length, for the log.
    pub(super) fn length_fault(&self) -> Option<String> {
        // What a client that went away did not get is not the application's fault.
        if self.is_abandoned() {
            return None;
        }
        self.response.length_fault()
    }

    /// A page of the server's own in place of the application's response.
    pub(super) fn page(&mut self, status: &str, body: &[u8]) -> Ending {
        self.response.page(&self.shared, status, body)
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
            Some(exc_info) if exchange.response.is_sent() => return Err(raised(exc_info)),
            Some(_) => exchange.response.restart(),
            None if exchange.response.is_sent() || exchange.response.is_started() => {
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
        exchange.piece(data)?;
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
    PyTypeError::new_err(format!(
        "{subject} must be {wanted}, not {}: {}",
        type_name(value),
        shown(value)
    ))
}
