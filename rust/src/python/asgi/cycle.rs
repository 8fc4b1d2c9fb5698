//! An exchange of either kind, and the two callables that its application gets.

use pyo3::prelude::*;
use pyo3::types::PyType;
use pyo3::{ffi, intern};

use crate::python::deadline::TaskDeadline;
use crate::time::Millis;

use super::http::HttpCycle;
use super::websocket::WebSocketCycle;

/// An exchange, of either kind.
pub(super) enum Cycle {
    Http(Py<HttpCycle>),
    WebSocket(Py<WebSocketCycle>),
}

impl Cycle {
    /// The HTTP exchange, if it is one.
    pub(super) fn http(&self, py: Python<'_>) -> Option<Py<HttpCycle>> {
        match self {
            Self::Http(cycle) => Some(cycle.clone_ref(py)),
            Self::WebSocket(_) => None,
        }
    }

    /// Its deadline, if it has one.
    pub(super) fn deadline(&self) -> &TaskDeadline {
        match self {
            Self::Http(cycle) => &cycle.get().deadline,
            Self::WebSocket(cycle) => &cycle.get().deadline,
        }
    }

    /// Begins what the route says about an HTTP request, and remembers which task has it.
    pub(super) fn begin(&self, serial: u64, patience: Millis) -> PyResult<()> {
        match self {
            Self::Http(cycle) => cycle.get().begin_deadline(serial, patience),
            Self::WebSocket(cycle) => {
                cycle.get().note_serial(serial);
                Ok(())
            }
        }
    }

    pub(super) fn set_deadline(&self, due: Millis) -> PyResult<()> {
        match self {
            Self::Http(cycle) => cycle.get().set_deadline(due),
            Self::WebSocket(cycle) => cycle.get().set_deadline(due),
        }
    }

    /// The application has ended, and its client was answered before.
    pub(super) fn overruled(&self) -> PyResult<()> {
        match self {
            Self::Http(cycle) => cycle.get().overruled(),
            Self::WebSocket(cycle) => cycle.get().overruled(),
        }
    }

    pub(super) fn returned(&self, py: Python<'_>) -> PyResult<()> {
        match self {
            Self::Http(cycle) => cycle.get().returned(py, ""),
            Self::WebSocket(cycle) => cycle.get().returned(py),
        }
    }

    pub(super) fn failed(&self, py: Python<'_>, error: &PyErr) -> PyResult<()> {
        match self {
            Self::Http(cycle) => cycle.get().failed(py, error),
            Self::WebSocket(cycle) => cycle.get().failed(py, error),
        }
    }

    pub(super) fn cancelled(&self, py: Python<'_>, error: &PyErr) -> PyResult<()> {
        match self {
            Self::Http(cycle) => cycle.get().cancelled(py, error),
            Self::WebSocket(cycle) => cycle.get().cancelled(py, error),
        }
    }

    pub(super) fn bind<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        match self {
            Self::Http(cycle) => cycle.bind(py).as_any(),
            Self::WebSocket(cycle) => cycle.bind(py).as_any(),
        }
    }
}

/// `receive` and `send` of one type, found once: to look them up for each request costs more than to bind them.
pub(super) struct Methods {
    receive: Py<PyAny>,
    send: Py<PyAny>,
}

impl Methods {
    pub(super) fn new(cycle_type: &Bound<'_, PyType>) -> PyResult<Self> {
        let py = cycle_type.py();
        Ok(Self {
            receive: cycle_type.getattr(intern!(py, "receive"))?.unbind(),
            send: cycle_type.getattr(intern!(py, "send"))?.unbind(),
        })
    }

    /// Both, bound to an object of that type.
    pub(super) fn of<'py>(
        &self,
        cycle: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        Ok((bind(&self.receive, cycle)?, bind(&self.send, cycle)?))
    }
}

/// What a descriptor of its type gives for an object, as an attribute look-up ends: a method bound to it, or a value.
pub(super) fn bind<'py>(
    method: &Py<PyAny>,
    object: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    // SAFETY: the objects are alive; the type of a descriptor may have `tp_descr_get`, which takes the object and its
    // type, and returns a new reference or NULL with an exception set.
    unsafe {
        let object = object.as_ptr();
        match (*ffi::Py_TYPE(method.as_ptr())).tp_descr_get {
            Some(get) => Bound::from_owned_ptr_or_err(
                py,
                get(method.as_ptr(), object, ffi::Py_TYPE(object).cast()),
            ),
            None => Err(pyo3::exceptions::PyTypeError::new_err("not a method")),
        }
    }
}
