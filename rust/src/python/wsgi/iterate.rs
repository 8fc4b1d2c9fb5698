//! One call of the application, from the request to the end of its response.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::codec::http1::Refusal;
use crate::conn::Request;
use crate::python::deadline::{EXPIRED, with_deadline};
use crate::python::report::{About, described, log_failure, warn};
use crate::python::response::error_page;
use crate::python::shared::{Ending, Handle, Shared};
use crate::python::values::type_name;
use crate::time::Millis;
use crate::worker::{Command, Worker};

use super::exchange::{Exchange, wait_for_client};
use super::{FileWrapper, StartResponse};

/// Calls the application for `request` and passes its response on.
///
/// Returns the engine if this thread still, or again, holds it: then it leads. Otherwise it was late, and follows.
pub(in crate::python) fn serve<'crew>(
    py: Python<'_>,
    shared: &'crew Handle,
    engine: MutexGuard<'crew, Worker>,
    request: Box<Request>,
) -> Option<MutexGuard<'crew, Worker>> {
    let mut request = request;
    let mut engine = engine;
    let prepared = prepare(py, shared, &mut request);
    let ending = match prepared {
        Ok(Ok(prepared)) => {
            if shared.crew.is_alone() {
                // Answers that are ready must not wait for this call, however long it takes. Else others see to that.
                engine.write_streams();
            }
            shared.crew.begin_call(engine);
            shared.serve_mailbox();
            let ending = call(py, shared, &prepared, &mut request);
            let Some(retaken) = shared.crew.try_engine() else {
                ending.leave(request, &shared.mailbox);
                // Whoever held the engine may have let go of it before it saw the letters.
                return shared.crew.try_engine();
            };
            engine = retaken;
            shared.mailbox.empty_into(&mut engine);
            ending
        }
        Ok(Err(refusal)) => {
            engine.refuse(request, &refusal);
            return Some(engine);
        }
        Err(error) => {
            error.write_unraisable(py, None);
            Ending::Aborted
        }
    };
    ending.tell(request, &mut engine);
    Some(engine)
}

/// What one call needs.
struct Prepared<'py> {
    application: Bound<'py, PyAny>,
    environ: Bound<'py, PyDict>,
    start_response: Bound<'py, StartResponse>,
    /// How long it may take; 0 for as long as it likes.
    patience: Millis,
}

fn prepare<'py>(
    py: Python<'py>,
    shared: &Handle,
    request: &mut Request,
) -> PyResult<Result<Prepared<'py>, Refusal>> {
    let start_response = Bound::new(py, StartResponse::new(Exchange::new(shared, request)))?;
    let mut builder = shared
        .environ
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let built = builder.build(py, &shared.mounts, request, &start_response)?;
    if let Ok((environ, _)) = &built {
        shared.logged.offer(py, environ)?;
    }
    Ok(built.map(|(environ, mount)| Prepared {
        application: mount.application.bind(py).clone(),
        environ,
        start_response,
        patience: shared.deadlines.patience(|| builder.path_of(request)),
    }))
}

fn call(
    py: Python<'_>,
    shared: &Arc<Shared>,
    prepared: &Prepared<'_>,
    request: &mut Request,
) -> Ending {
    let environ = &prepared.environ;
    let start = prepared.start_response.get();
    let (responded, is_overruled) = with_deadline(shared, request, prepared.patience, || {
        prepared
            .application
            .call1((environ, &prepared.start_response))
            .and_then(|body| respond(py, shared, start, &body))
    });
    if is_overruled {
        return overruled(py, start, request);
    }
    let ending = match responded {
        Ok(ending) => ending,
        Err(error) => fail(py, shared, start, request, &error),
    };
    // From here on nothing that the application kept can reach the connection, which may be another request's soon.
    let fault = {
        let mut exchange = start.end(py);
        exchange.response.note(request);
        exchange.length_fault()
    };
    if let Some(fault) = fault {
        warn(py, shared, &format!("{fault}: {}", described(request)));
    }
    shared.logged.note(request, environ);
    ending
}

/// The end of a call whose request was answered meanwhile: whatever came of it goes nowhere.
fn overruled(py: Python<'_>, start: &StartResponse, request: &mut Request) -> Ending {
    let mut exchange = start.end(py);
    let is_sent = exchange.response.is_sent();
    exchange.response.note(request);
    if !is_sent {
        request.status = EXPIRED.status;
        request.body_sent = if request.is_head() {
            0
        } else {
            EXPIRED.body_length()
        };
    }
    Ending::Overruled
}

/// A call that runs in a thread of its own while the event loop turns the engine.
#[pyclass(frozen, module = "hostler._engine")]
pub struct WsgiCall {
    shared: Handle,
    application: Py<PyAny>,
    environ: Py<PyDict>,
    start_response: Py<StartResponse>,
    patience: Millis,
    request: Mutex<Option<Box<Request>>>,
}

impl Drop for WsgiCall {
    fn drop(&mut self) {
        self.shared.submitted.fetch_sub(1, Ordering::Relaxed);
    }
}

#[pymethods]
impl WsgiCall {
    fn __call__(&self, py: Python<'_>) {
        let request = self
            .request
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut request) = request else {
            return;
        };
        self.shared.scoreboard.take_over(request.seat);
        let prepared = Prepared {
            application: self.application.bind(py).clone(),
            environ: self.environ.bind(py).clone(),
            start_response: self.start_response.bind(py).clone(),
            patience: self.patience,
        };
        call(py, &self.shared, &prepared, &mut request).leave(request, &self.shared.mailbox);
    }
}

/// Hands `request` to a thread of the control plane's, as the event loop must not wait for a call.
pub(in crate::python) fn submit(py: Python<'_>, shared: &Handle, mut request: Box<Request>) {
    let call = match prepare(py, shared, &mut request) {
        Ok(Ok(prepared)) => WsgiCall {
            shared: Arc::clone(shared),
            application: prepared.application.unbind(),
            environ: prepared.environ.unbind(),
            start_response: prepared.start_response.unbind(),
            patience: prepared.patience,
            request: Mutex::new(Some(request)),
        },
        Ok(Err(refusal)) => {
            shared.mailbox.leave(Command::Refuse(request, refusal));
            return;
        }
        Err(error) => {
            error.write_unraisable(py, None);
            shared.mailbox.leave(Command::Abort(request));
            return;
        }
    };
    shared.submitted.fetch_add(1, Ordering::Relaxed);
    let submitted = Bound::new(py, call).and_then(|call| {
        let told = shared
            .hooks
            .bind(py)
            .call_method1(intern!(py, "submit"), (&call,));
        if told.is_err() {
            // No thread will run it, so that the request is still there.
            if let Some(request) = call
                .get()
                .request
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
            {
                shared.mailbox.leave(Command::Abort(request));
            }
        }
        told
    });
    if let Err(error) = submitted {
        warn(
            py,
            shared,
            &format!("cannot run a request in a thread: {error}"),
        );
    }
}

/// Passes the body on and closes it.
fn respond(
    py: Python<'_>,
    shared: &Shared,
    start: &StartResponse,
    body: &Bound<'_, PyAny>,
) -> PyResult<Ending> {
    if let Ok(list) = body.cast_exact::<PyList>() {
        return respond_all(py, start, list.len(), list);
    }
    if let Ok(tuple) = body.cast_exact::<PyTuple>() {
        return respond_all(py, start, tuple.len(), tuple);
    }
    let ending = respond_some(py, start, body);
    let closed = close(py, body);
    match (ending, closed) {
        (Ok(ending), Ok(())) => Ok(ending),
        (Ok(ending), Err(error)) => {
            // The response is complete; what fails after it is the application's own affair, and is told.
            log_failure(py, shared, None, &error);
            Ok(ending)
        }
        (Err(error), closed) => {
            if let Err(second) = closed {
                log_failure(py, shared, None, &second);
            }
            Err(error)
        }
    }
}

/// A list or tuple: all of the body is there, so its length is known.
fn respond_all(
    py: Python<'_>,
    start: &StartResponse,
    length: usize,
    items: &Bound<'_, PyAny>,
) -> PyResult<Ending> {
    if start.exchange()?.response.is_sent() {
        // write() was used before: what is returned comes after it.
        for item in items.try_iter()? {
            start.exchange()?.piece(bytes_of(&item?)?)?;
        }
        return start.exchange()?.finish();
    }
    if length == 1 {
        let only = items.get_item(0)?;
        return start.exchange()?.whole(bytes_of(&only)?);
    }
    let mut whole = Vec::new();
    for item in items.try_iter()? {
        whole.extend_from_slice(bytes_of(&item?)?.as_bytes());
    }
    start.exchange()?.whole(&PyBytes::new(py, &whole))
}

/// An iterable whose length nobody knows, or a file.
fn respond_some(
    py: Python<'_>,
    start: &StartResponse,
    body: &Bound<'_, PyAny>,
) -> PyResult<Ending> {
    if let Ok(wrapper) = body.cast_exact::<FileWrapper>() {
        let mut exchange = start.exchange()?;
        if !exchange.response.is_sent() {
            if let Some(mut part) = wrapper.get().regular_file(py) {
                if let Some(declared) = exchange.response.declared_length() {
                    part.length = part.length.min(declared);
                }
                return exchange.file(part);
            }
        }
    }
    for item in body.try_iter()? {
        let item = item?;
        let mut exchange = start.exchange()?;
        exchange.piece(bytes_of(&item)?)?;
        if exchange.is_abandoned() || exchange.response.is_full() {
            break;
        }
        wait_for_client(py, exchange);
    }
    start.exchange()?.finish()
}

fn bytes_of<'item, 'py>(item: &'item Bound<'py, PyAny>) -> PyResult<&'item Bound<'py, PyBytes>> {
    item.cast::<PyBytes>().map_err(|_| {
        PyTypeError::new_err(format!(
            "the response body must be an iterable of bytes, and it yielded {}",
            type_name(item)
        ))
    })
}

/// PEP 3333: `close()` is called if there is one, however the response ended.
fn close(py: Python<'_>, body: &Bound<'_, PyAny>) -> PyResult<()> {
    match body.getattr_opt(intern!(py, "close"))? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}

/// An exception left the application: a page with the request's id if nothing was sent, a broken-off response if something was.
fn fail(
    py: Python<'_>,
    shared: &Shared,
    start: &StartResponse,
    request: &Request,
    error: &PyErr,
) -> Ending {
    let page = log_failure(py, shared, Some(&About::new(request, "wsgi")), error);
    let Ok(mut exchange) = start.exchange() else {
        return Ending::Aborted;
    };
    if exchange.response.is_sent() {
        return Ending::Aborted;
    }
    exchange.response.restart();
    let page = page.unwrap_or_else(|| error_page(&request.id));
    exchange.page("500 Internal Server Error", &page)
}
