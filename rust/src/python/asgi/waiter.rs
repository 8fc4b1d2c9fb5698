//! What a task waits on while the engine has nothing for it: a future in the task's eyes, completed in place.
//!
//! Theory of operation. A task that is given an object with `_asyncio_future_blocking` leaves its wake-up callback there
//! (`asyncio.Future`, "duck-typed" futures). When news comes, a turn of the engine calls that callback itself, in its
//! context, instead of asking the event loop to call it in its next round: turns run at the top of the loop, where no
//! task is current, so the task is stepped as the loop would step it. Only a cancellation goes through the loop, as it
//! comes from the midst of another task.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::asyncio::{CancelledError, InvalidStateError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{ffi, intern};

use crate::conn::ConnId;

/// A callback and the context that it runs in.
struct Callback {
    function: Py<PyAny>,
    context: Option<Py<PyAny>>,
}

impl Callback {
    /// Calls it in its context, at the top of the loop.
    fn call(self, waiter: &Bound<'_, Waiter>) -> PyResult<()> {
        let py = waiter.py();
        let function = self.function.bind(py);
        match self.context {
            Some(context) => in_context(context.bind(py), || function.call1((waiter,)))?,
            None => function.call1((waiter,)),
        }
        .map(drop)
    }

    /// Asks the loop to call it.
    fn schedule(self, waiter: &Bound<'_, Waiter>) -> PyResult<()> {
        let py = waiter.py();
        let keywords = PyDict::new(py);
        if let Some(context) = self.context {
            keywords.set_item(intern!(py, "context"), context)?;
        }
        waiter
            .get()
            .event_loop
            .bind(py)
            .call_method(
                intern!(py, "call_soon"),
                (self.function, waiter),
                Some(&keywords),
            )
            .map(drop)
    }
}

/// Runs `call` inside of a `contextvars.Context`. The outer error is that it cannot be entered.
pub(super) fn in_context<T>(context: &Bound<'_, PyAny>, call: impl FnOnce() -> T) -> PyResult<T> {
    // SAFETY: the object is a context, which `PyContext_Enter` checks, and is left again on the same thread.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } != 0 {
        return Err(PyErr::fetch(context.py()));
    }
    let result = call();
    // SAFETY: it was entered above, and whatever `call` entered it has left.
    if unsafe { ffi::PyContext_Exit(context.as_ptr()) } != 0 {
        return Err(PyErr::fetch(context.py()));
    }
    Ok(result)
}

enum Outcome {
    Pending,
    Done,
    Cancelled(Option<Py<PyAny>>),
}

struct State {
    is_blocking: bool,
    outcome: Outcome,
    callbacks: Vec<Callback>,
    /// What a cancellation comes to that happens in the midst of a step which only looks like its task's.
    held: Held,
}

enum Held {
    /// It is carried out.
    Nothing,
    /// It is noted, and there was none.
    Waiting,
    /// It is noted, and there was one, with this message.
    Cancelled(Py<PyAny>),
}

/// A future that has no result but that something has happened.
#[pyclass(frozen, weakref, module = "hostler._engine")]
pub struct Waiter {
    event_loop: Py<PyAny>,
    state: Mutex<State>,
}

impl Waiter {
    pub(super) fn new(event_loop: Py<PyAny>) -> Self {
        Self {
            event_loop,
            state: Mutex::new(State {
                is_blocking: true,
                outcome: Outcome::Pending,
                callbacks: Vec::new(),
                held: Held::Nothing,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state().outcome, Outcome::Pending)
    }

    /// Whether a task waits on it now.
    pub(super) fn is_awaited(&self) -> bool {
        let state = self.state();
        matches!(state.outcome, Outcome::Pending) && !state.callbacks.is_empty()
    }

    /// From now on a cancellation is noted only.
    pub(super) fn hold_cancellation(&self) {
        self.state().held = Held::Waiting;
    }

    /// Ends that. Returns the message of the cancellation, if there was one.
    pub(super) fn release_cancellation(&self) -> Option<Py<PyAny>> {
        match std::mem::replace(&mut self.state().held, Held::Nothing) {
            Held::Cancelled(message) => Some(message),
            Held::Nothing | Held::Waiting => None,
        }
    }

    /// Completes it and steps whoever waits, at once. Only at the top of the loop.
    pub(super) fn wake(slf: &Bound<'_, Self>) -> PyResult<()> {
        let callbacks = {
            let mut state = slf.get().state();
            if !matches!(state.outcome, Outcome::Pending) {
                return Ok(());
            }
            state.outcome = Outcome::Done;
            std::mem::take(&mut state.callbacks)
        };
        for callback in callbacks {
            callback.call(slf)?;
        }
        Ok(())
    }
}

#[pymethods]
impl Waiter {
    #[getter(_asyncio_future_blocking)]
    fn is_blocking(&self) -> bool {
        self.state().is_blocking
    }

    #[setter(_asyncio_future_blocking)]
    fn set_blocking(&self, blocking: bool) {
        self.state().is_blocking = blocking;
    }

    fn get_loop(&self, py: Python<'_>) -> Py<PyAny> {
        self.event_loop.clone_ref(py)
    }

    #[pyo3(signature = (function, /, *, context=None))]
    fn add_done_callback(
        slf: &Bound<'_, Self>,
        function: Py<PyAny>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let callback = Callback { function, context };
        let mut state = slf.get().state();
        if matches!(state.outcome, Outcome::Pending) {
            state.callbacks.push(callback);
            return Ok(());
        }
        drop(state);
        callback.schedule(slf)
    }

    fn remove_done_callback(&self, py: Python<'_>, function: &Bound<'_, PyAny>) -> PyResult<usize> {
        let callbacks = std::mem::take(&mut self.state().callbacks);
        let before = callbacks.len();
        let mut kept = Vec::new();
        for callback in callbacks {
            if !callback.function.bind(py).eq(function)? {
                kept.push(callback);
            }
        }
        let removed = before - kept.len();
        self.state().callbacks = kept;
        Ok(removed)
    }

    #[pyo3(signature = (msg=None))]
    fn cancel(slf: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        let callbacks = {
            let mut state = slf.get().state();
            if !matches!(state.held, Held::Nothing) {
                state.held = Held::Cancelled(msg.unwrap_or_else(|| slf.py().None()));
                return Ok(true);
            }
            if !matches!(state.outcome, Outcome::Pending) {
                return Ok(false);
            }
            state.outcome = Outcome::Cancelled(msg);
            std::mem::take(&mut state.callbacks)
        };
        for callback in callbacks {
            callback.schedule(slf)?;
        }
        Ok(true)
    }

    fn cancelled(&self) -> bool {
        matches!(self.state().outcome, Outcome::Cancelled(_))
    }

    fn done(&self) -> bool {
        !self.is_pending()
    }

    fn result(&self, py: Python<'_>) -> PyResult<()> {
        match &self.state().outcome {
            Outcome::Done => Ok(()),
            Outcome::Pending => Err(InvalidStateError::new_err("Result is not set.")),
            Outcome::Cancelled(None) => Err(CancelledError::new_err(())),
            Outcome::Cancelled(Some(message)) => {
                Err(CancelledError::new_err((message.clone_ref(py),)))
            }
        }
    }

    fn exception(&self, py: Python<'_>) -> PyResult<()> {
        self.result(py)
    }

    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Option<Py<Self>>> {
        if slf.get().is_pending() {
            slf.get().state().is_blocking = true;
            return Ok(Some(slf.clone().unbind()));
        }
        slf.get().result(slf.py())?;
        Ok(None)
    }
}

/// Connections' names are places in a table: their low bits are spread already.
#[derive(Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        // Fibonacci hashing (Knuth, volume 3, 6.4): the table looks at the highest bits as well.
        self.0 = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// By connection or serial number.
pub(super) type IdMap<Value> = HashMap<u64, Value, BuildHasherDefault<IdHasher>>;

/// Who waits for news of which connection.
#[derive(Default)]
pub(super) struct Waiters {
    by_conn: Mutex<IdMap<Vec<Py<Waiter>>>>,
}

impl Waiters {
    fn by_conn(&self) -> MutexGuard<'_, IdMap<Vec<Py<Waiter>>>> {
        self.by_conn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one who waits.
    pub(super) fn add(&self, conn: ConnId, waiter: &Bound<'_, Waiter>) {
        let mut by_conn = self.by_conn();
        let waiting = by_conn.entry(conn).or_default();
        // Waits that were cancelled are nobody's any more.
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(waiting)
            .into_iter()
            .partition(|each| each.get().is_pending());
        *waiting = kept;
        waiting.push(waiter.clone().unbind());
        drop(by_conn);
        drop(gone);
    }

    /// Whether anybody waits for news of the connection.
    pub(super) fn has(&self, conn: ConnId) -> bool {
        self.by_conn().contains_key(&conn)
    }

    /// Forgets waits that were cancelled.
    pub(super) fn forget(&self, conn: ConnId) {
        let mut by_conn = self.by_conn();
        let Some(waiting) = by_conn.remove(&conn) else {
            return;
        };
        let (kept, gone): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|each| each.get().is_pending());
        if !kept.is_empty() {
            by_conn.insert(conn, kept);
        }
        drop(by_conn);
        drop(gone);
    }

    /// Steps all who wait for news of the connection, in the order in which they came.
    pub(super) fn wake(&self, py: Python<'_>, conn: ConnId) -> PyResult<()> {
        let waiting = self.by_conn().remove(&conn);
        for waiter in waiting.into_iter().flatten() {
            Waiter::wake(waiter.bind(py))?;
        }
        Ok(())
    }
}

/// The exception that `throw(typ, val, tb)` of a coroutine is to raise.
pub(super) fn thrown(
    kind: &Bound<'_, PyAny>,
    value: Option<&Bound<'_, PyAny>>,
    traceback: Option<&Bound<'_, PyAny>>,
) -> PyErr {
    let py = kind.py();
    let raised = match value.filter(|value| !value.is_none()) {
        Some(value) if value.is_instance_of::<pyo3::exceptions::PyBaseException>() => value.clone(),
        Some(value) => match kind.call1((value,)) {
            Ok(raised) => raised,
            Err(error) => return error,
        },
        None if kind.is_instance_of::<pyo3::types::PyType>() => match kind.call0() {
            Ok(raised) => raised,
            Err(error) => return error,
        },
        None => kind.clone(),
    };
    if let Some(traceback) = traceback.filter(|traceback| !traceback.is_none()) {
        if let Err(error) = raised.call_method1(
            intern!(py, "with_traceback"),
            PyTuple::new(py, [traceback]).unwrap_or_else(|_| PyTuple::empty(py)),
        ) {
            return error;
        }
    }
    PyErr::from_value(raised)
}
