//! One call of the application, from the request to the end of its response.

use std::sync::{MutexGuard, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::conn::Request;
use crate::python::shared::{Ending, Handle, Shared};
use crate::worker::Worker;

use super::exchange::{Exchange, wait_for_client};
use super::{FileWrapper, StartResponse};

/// Levels of Python's `logging`.
const WARNING: u8 = 30;
const ERROR: u8 = 40;

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
        Ok(Ok((environ, start_response))) => {
            shared.crew.begin_call(engine);
            shared.serve_mailbox();
            let ending = call(py, shared, &environ, &start_response, &mut request);
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

type Prepared<'py> = (Bound<'py, PyDict>, Bound<'py, StartResponse>);

fn prepare<'py>(
    py: Python<'py>,
    shared: &Handle,
    request: &mut Request,
) -> PyResult<Result<Prepared<'py>, crate::codec::http1::Refusal>> {
    let start_response = Bound::new(py, StartResponse::new(Exchange::new(shared, request)))?;
    let mut builder = shared
        .environ
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Ok(builder
        .build(py, request, &start_response)?
        .map(|environ| (environ, start_response)))
}

fn call(
    py: Python<'_>,
    shared: &Shared,
    environ: &Bound<'_, PyDict>,
    start_response: &Bound<'_, StartResponse>,
    request: &mut Request,
) -> Ending {
    let called = shared.application.bind(py).call1((environ, start_response));
    let start = start_response.get();
    let ending = match called.and_then(|body| respond(py, shared, start, &body)) {
        Ok(ending) => ending,
        Err(error) => fail(py, shared, start, request, &error),
    };
    // From here on nothing that the application kept can reach the connection, which may be another request's soon.
    let fault = {
        let mut exchange = start.end(py);
        request.status = exchange.status;
        request.body_sent = exchange.body_sent;
        request.response_head = std::mem::take(&mut exchange.response_head);
        exchange.length_fault()
    };
    if let Some(fault) = fault {
        log(
            py,
            shared,
            WARNING,
            &format!("{fault}: {}", described(request)),
        );
    }
    for name in &shared.logged_environ {
        if let Ok(Some(value)) = environ.get_item(name) {
            request
                .environ
                .push((name.clone(), value.to_string().into_bytes()));
        }
    }
    ending
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
    if start.exchange()?.is_sent() {
        // write() was used before: what is returned comes after it.
        for item in items.try_iter()? {
            start.exchange()?.piece(py, bytes_of(&item?)?)?;
        }
        return start.exchange()?.finish();
    }
    if length == 1 {
        let only = items.get_item(0)?;
        return start.exchange()?.whole(py, bytes_of(&only)?);
    }
    let mut whole = Vec::new();
    for item in items.try_iter()? {
        whole.extend_from_slice(bytes_of(&item?)?.as_bytes());
    }
    start.exchange()?.whole(py, &PyBytes::new(py, &whole))
}

/// An iterable whose length nobody knows, or a file.
fn respond_some(
    py: Python<'_>,
    start: &StartResponse,
    body: &Bound<'_, PyAny>,
) -> PyResult<Ending> {
    if let Ok(wrapper) = body.cast_exact::<FileWrapper>() {
        let mut exchange = start.exchange()?;
        if !exchange.is_sent() {
            if let Some(part) = wrapper.get().regular_file(py) {
                let length = exchange
                    .declared_length()
                    .map_or(part.length, |declared| declared.min(part.length));
                return exchange.file(part.file, part.offset, length);
            }
        }
    }
    for item in body.try_iter()? {
        let item = item?;
        let mut exchange = start.exchange()?;
        exchange.piece(py, bytes_of(&item)?)?;
        if exchange.is_abandoned() || exchange.is_full() {
            break;
        }
        wait_for_client(py, exchange);
    }
    start.exchange()?.finish()
}

fn bytes_of<'item, 'py>(item: &'item Bound<'py, PyAny>) -> PyResult<&'item Bound<'py, PyBytes>> {
    item.cast::<PyBytes>().map_err(|_| {
        let kind = item
            .get_type()
            .name()
            .map_or_else(|_| "?".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!(
            "the response body must be an iterable of bytes, and it yielded {kind}"
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
    let page = log_failure(py, shared, Some(request), error);
    let Ok(mut exchange) = start.exchange() else {
        return Ending::Aborted;
    };
    if exchange.is_sent() {
        return Ending::Aborted;
    }
    exchange.restart();
    let page = page.unwrap_or_else(|| error_page(&request.id));
    exchange.page("500 Internal Server Error", &page)
}

fn error_page(id: &[u8]) -> Vec<u8> {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>500 Internal Server Error</title></head>\n\
         <body><h1>Internal Server Error</h1>\n<p>The application failed to answer this request.</p>\n\
         <p>Request id: <code>{}</code></p></body></html>\n",
        String::from_utf8_lossy(id)
    )
    .into_bytes()
}

/// Tells the control plane of an exception; returns the page that it wants to be shown.
fn log_failure(
    py: Python<'_>,
    shared: &Shared,
    request: Option<&Request>,
    error: &PyErr,
) -> Option<Vec<u8>> {
    let about = PyDict::new(py);
    if let Some(request) = request {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let filled = about
            .set_item("id", text(&request.id))
            .and_then(|()| about.set_item("method", text(request.method())))
            .and_then(|()| about.set_item("path", text(request.head.path.of(&request.bytes))))
            .and_then(|()| {
                about.set_item(
                    "client",
                    request
                        .peer
                        .ip()
                        .map_or_else(String::new, |ip| ip.to_string()),
                )
            });
        if let Err(trouble) = filled {
            trouble.write_unraisable(py, None);
        }
    }
    // Before 3.12 only this gives the exception its traceback; `value` leaves it apart.
    let raised = error.clone_ref(py).into_value(py);
    let told = shared
        .hooks
        .bind(py)
        .call_method1(intern!(py, "application_failed"), (raised, about));
    match told.and_then(|page| page.extract::<Option<Vec<u8>>>()) {
        Ok(page) => page,
        Err(trouble) => {
            trouble.write_unraisable(py, None);
            None
        }
    }
}

/// Passes a line to the server log.
pub(in crate::python) fn log(py: Python<'_>, shared: &Shared, level: u8, line: &str) {
    if let Err(trouble) = shared
        .hooks
        .bind(py)
        .call_method1(intern!(py, "log"), (level, line))
    {
        trouble.write_unraisable(py, None);
    }
}

/// Passes a line to the server log as a warning.
pub(in crate::python) fn warn(py: Python<'_>, shared: &Shared, line: &str) {
    log(py, shared, WARNING, line);
}

/// Passes a line to the server log as an error.
pub(in crate::python) fn log_error(py: Python<'_>, shared: &Shared, line: &str) {
    log(py, shared, ERROR, line);
}

fn described(request: &Request) -> String {
    format!(
        "{} {} (request {})",
        String::from_utf8_lossy(request.method()),
        String::from_utf8_lossy(request.head.target.of(&request.bytes)),
        String::from_utf8_lossy(&request.id)
    )
}
