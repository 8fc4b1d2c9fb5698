//! The awaitables that `receive()` and `send()` return: complete at once where they can, waiting only where they must.
//!
//! Each has the methods of a coroutine, so that applications may make tasks of them. Nothing is taken from a connection
//! before the first step, so that an operation that is dropped or cancelled before it began loses nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyStopIteration;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::conn::ConnId;

use super::http::HttpCycle;
use super::shared::{AsgiHandle, Pace};
use super::waiter::{Waiter, thrown};
use super::websocket::WebSocketCycle;

/// How one attempt came out.
pub(super) enum Attempt<'py> {
    /// The message to return.
    Message(Bound<'py, PyAny>),
    /// Nothing to return, and nothing to wait for.
    Finished,
    /// News of the connection have to come first.
    Wait,
    /// The loop has to come round first.
    Yield,
}

pub(super) enum Kind {
    ReceiveHttp(Py<HttpCycle>),
    ReceiveWebSocket(Py<WebSocketCycle>),
    /// Waits until no more than so many bytes wait to be sent.
    Room(usize),
    /// Lets the loop come round once. The flag is whether it has.
    Breath(AtomicBool),
}

/// An operation on a connection that may have to wait.
#[pyclass(frozen, weakref, module = "hostler._engine")]
pub struct Operation {
    asgi: AsgiHandle,
    conn: ConnId,
    kind: Kind,
}

impl Operation {
    pub(super) fn new(asgi: AsgiHandle, conn: ConnId, kind: Kind) -> Self {
        Self { asgi, conn, kind }
    }

    fn attempt<'py>(&self, py: Python<'py>) -> PyResult<Attempt<'py>> {
        match &self.kind {
            Kind::ReceiveHttp(cycle) => {
                let cycle = cycle.get();
                self.attempt_receive(&cycle.pace, || cycle.try_receive(py))
            }
            Kind::ReceiveWebSocket(cycle) => {
                let cycle = cycle.get();
                self.attempt_receive(&cycle.pace, || cycle.try_receive(py))
            }
            Kind::Room(mark) => self.asgi.look_for_room(self.conn, *mark),
            Kind::Breath(taken) if taken.swap(true, Ordering::Relaxed) => {
                self.asgi.come_round();
                Ok(Attempt::Finished)
            }
            Kind::Breath(_) => Ok(Attempt::Yield),
        }
    }

    /// Receives, unless too much was complete at once of late.
    fn attempt_receive<'py>(
        &self,
        pace: &Pace,
        receive: impl FnOnce() -> PyResult<Attempt<'py>>,
    ) -> PyResult<Attempt<'py>> {
        if self.asgi.is_greedy(pace) {
            self.asgi.come_round();
            return Ok(Attempt::Yield);
        }
        receive()
    }
}

#[pymethods]
#[expect(clippy::unused_self, reason = "methods of coroutines")]
impl Operation {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.attempt(py)? {
            // What `asyncio.sleep(0)` yields.
            Attempt::Yield => Ok(Some(py.None().into_bound(py))),
            Attempt::Message(message) => Err(PyStopIteration::new_err((message.unbind(),))),
            Attempt::Finished => Ok(None),
            Attempt::Wait => {
                let waiter = Bound::new(py, Waiter::new(self.asgi.event_loop.clone_ref(py)))?;
                self.asgi.waiters.add(self.conn, &waiter);
                Ok(Some(waiter.into_any()))
            }
        }
    }

    fn send<'py>(&self, py: Python<'py>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let _ = value;
        self.__next__(py)?
            .ok_or_else(|| PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (kind, value=None, traceback=None, /))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.asgi.waiters.forget(self.conn);
        Err(thrown(kind, value, traceback))
    }

    fn close(&self) {}
}

/// Gives `Finished` the shortest way through `await`: what the slots of the class do is to return the object itself and to
/// be exhausted, and the way there, through the checks of its methods, takes three times as long.
pub(super) fn make_finished(py: Python<'_>) -> PyResult<Py<Finished>> {
    unsafe extern "C" fn same(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
        // SAFETY: called by the interpreter with a live object.
        unsafe { ffi::Py_NewRef(object) }
    }

    unsafe extern "C" fn exhausted(_object: *mut ffi::PyObject) -> *mut ffi::PyObject {
        std::ptr::null_mut()
    }

    let kind = py.get_type::<Finished>();
    // SAFETY: the type is ours and nobody has an object of it yet. The functions are what its slots may hold: C API,
    // "am_await" and "tp_iternext" (NULL without an exception is the end).
    unsafe {
        let kind = kind.as_ptr().cast::<ffi::PyTypeObject>();
        (*kind).tp_iternext = Some(exhausted);
        if let Some(slots) = (*kind).tp_as_async.as_mut() {
            slots.am_await = Some(same);
        }
    }
    Py::new(py, Finished)
}

/// What `send()` returns when all is done already. There is one of it.
#[pyclass(frozen, weakref, module = "hostler._engine")]
pub struct Finished;

#[pymethods]
#[expect(clippy::unused_self, reason = "methods of coroutines")]
impl Finished {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self) -> Option<()> {
        None
    }

    fn send(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let _ = value;
        Err(PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (kind, value=None, traceback=None, /))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        Err(thrown(kind, value, traceback))
    }

    fn close(&self) {}
}
