//! The coroutine that a request's task runs: it calls the application, steps it, and sees to its end. No lock is held while
//! the application runs.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::asyncio::CancelledError;
use pyo3::exceptions::{PyGeneratorExit, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{ffi, intern};

use crate::python::deadline::{StepMark, request_variable};
use crate::time::Millis;

use super::cycle::Cycle;
use super::shared::AsgiHandle;
use super::waiter::{Waiter, in_context, thrown};

/// A request that an application is to be called for.
pub(super) struct Job {
    pub(super) application: Py<PyAny>,
    pub(super) scope: Py<PyDict>,
    pub(super) cycle: Cycle,
    /// How long it may take; 0 for as long as it likes.
    pub(super) patience: Millis,
}

/// The application at work.
pub(super) struct Call {
    coroutine: Py<PyAny>,
    cycle: Cycle,
    /// Entered around each step by a spare, whose own context is another.
    context: Option<Py<PyAny>>,
}

pub(super) enum Position {
    /// A spare: it waits for a job.
    Parked,
    Assigned(Job),
    Running(Call),
    /// In the application, or in the midst of a change.
    Busy,
    Over,
}

pub(super) struct State {
    pub(super) position: Position,
    pub(super) serial: u64,
    /// The application has waited for something, so that its task is among those that do.
    pub(super) has_waited: bool,
    /// The waiter at which a spare is parked.
    pub(super) parking: Option<Py<Waiter>>,
    /// What the application waits for since its first step, which a spare is yet to be told.
    pub(super) handed_over: Option<Py<PyAny>>,
    /// What has left the application in its first step, which a spare is yet to raise.
    pub(super) failure: Option<PyErr>,
}

/// The coroutine of one task.
#[pyclass(frozen, weakref, module = "hostler._engine")]
pub struct Runner {
    asgi: AsgiHandle,
    state: Mutex<State>,
}

/// How a step of the application's coroutine ended.
enum Step<'py> {
    Yielded(Bound<'py, PyAny>),
    Returned,
    Raised(PyErr),
}

/// What a step begins with.
enum Input {
    Next,
    Throw(PyErr),
}

impl Runner {
    /// A coroutine in its first position; a spare has a waiter to park at.
    pub(super) fn new(
        asgi: &AsgiHandle,
        position: Position,
        serial: u64,
        parking: Option<Py<Waiter>>,
    ) -> Self {
        Self {
            asgi: Arc::clone(asgi),
            state: Mutex::new(State {
                position,
                serial,
                has_waited: false,
                parking,
                handed_over: None,
                failure: None,
            }),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state().position, Position::Over)
    }

    /// Goes on until the application waits for something: then that is what the task gets.
    fn advance<'py>(&self, py: Python<'py>, input: Input) -> PyResult<Option<Bound<'py, PyAny>>> {
        let position = {
            let mut state = self.state();
            if matches!(input, Input::Next) {
                if let Some(awaited) = state.handed_over.take() {
                    return Ok(Some(awaited.into_bound(py)));
                }
                if let Some(error) = state.failure.take() {
                    return Err(error);
                }
            }
            std::mem::replace(&mut state.position, Position::Busy)
        };
        match (position, input) {
            (Position::Parked, Input::Next) => {
                let mut state = self.state();
                state.position = Position::Parked;
                Ok(state
                    .parking
                    .as_ref()
                    .map(|parking| parking.bind(py).clone().into_any()))
            }
            (Position::Assigned(job), Input::Next) => self.begin(py, job, None),
            (Position::Running(call), input) => self.go_on(py, call, input),
            (Position::Assigned(job), Input::Throw(error)) => {
                // Cancelled before it began.
                self.conclude(py, &job.cycle, Some(error))
            }
            (_, Input::Throw(error)) => {
                self.state().position = Position::Over;
                Err(error)
            }
            (Position::Over | Position::Busy, Input::Next) => {
                self.state().position = Position::Over;
                Ok(None)
            }
        }
    }

    /// Calls the application and takes its first step. Where a `context` is given, it is entered already.
    pub(super) fn begin<'py>(
        &self,
        py: Python<'py>,
        job: Job,
        context: Option<Py<PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let methods = match &job.cycle {
            Cycle::Http(_) => &self.asgi.tasks.http_methods,
            Cycle::WebSocket(_) => &self.asgi.tasks.websocket_methods,
        };
        if self.asgi.core.deadlines.is_used() {
            request_variable(py)?.call_method1(intern!(py, "set"), (job.cycle.bind(py),))?;
        }
        let called = methods
            .of(job.cycle.bind(py))
            .and_then(|(receive, send)| {
                let application = job.application.bind(py);
                application.call1((&job.scope, receive, send))
            })
            .and_then(steppable);
        let coroutine = match called {
            Ok(coroutine) => coroutine,
            Err(error) => return self.conclude(py, &job.cycle, Some(error)),
        };
        // Others may ask the task for its coroutine while it runs.
        self.state().position = Position::Running(Call {
            coroutine: coroutine.clone().unbind(),
            cycle: job.cycle,
            context,
        });
        self.enter();
        let mark = StepMark::new(self);
        let step = take_step(&coroutine, Input::Next);
        drop(mark);
        self.settle(py, step)
    }

    /// A step of an application that has a deadline begins.
    fn enter(&self) {
        if let Position::Running(call) = &self.state().position {
            call.cycle.deadline().enter();
        }
    }

    /// Sets the deadline of the request that this is a step of.
    pub(in crate::python) fn set_deadline(&self, due: Millis) -> PyResult<()> {
        match &self.state().position {
            Position::Running(call) => {
                call.cycle.set_deadline(due)?;
                call.cycle.deadline().enter();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes one more step.
    fn go_on<'py>(
        &self,
        py: Python<'py>,
        call: Call,
        input: Input,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let coroutine = call.coroutine.bind(py).clone();
        let context = call
            .context
            .as_ref()
            .map(|context| context.bind(py).clone());
        self.state().position = Position::Running(call);
        self.enter();
        let mark = StepMark::new(self);
        let step = match context {
            Some(context) => in_context(&context, || take_step(&coroutine, input))?,
            None => take_step(&coroutine, input),
        };
        drop(mark);
        self.settle(py, step)
    }

    fn settle<'py>(&self, py: Python<'py>, step: Step<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let error = match step {
            Step::Yielded(value) => {
                let mut state = self.state();
                state.has_waited = true;
                if let Position::Running(call) = &state.position {
                    call.cycle.deadline().leave();
                }
                return Ok(Some(value));
            }
            Step::Returned => None,
            Step::Raised(error) => Some(error),
        };
        let position = std::mem::replace(&mut self.state().position, Position::Busy);
        match position {
            Position::Running(call) => self.conclude(py, &call.cycle, error),
            _ => Ok(None),
        }
    }

    /// The application has returned, or an exception has left it.
    fn conclude<'py>(
        &self,
        py: Python<'py>,
        cycle: &Cycle,
        error: Option<PyErr>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (serial, has_waited) = {
            let state = self.state();
            (state.serial, state.has_waited)
        };
        let is_overruled = cycle.deadline().end(&self.asgi.core, true);
        let (told, raised) = match error {
            error if is_overruled => {
                // Asked to end: with what it does so is of no interest.
                let leaves = |error: &PyErr| {
                    error.is_instance_of::<CancelledError>(py)
                        || error.is_instance_of::<PyGeneratorExit>(py)
                };
                (cycle.overruled(), error.filter(leaves))
            }
            None => (cycle.returned(py), None),
            Some(error) if error.is_instance_of::<CancelledError>(py) => {
                (cycle.cancelled(py, &error), Some(error))
            }
            Some(error) => {
                let told = cycle.failed(py, &error);
                // `SystemExit` is an error of the application like others: it is not for a request to end the worker.
                let leaves = error.is_instance_of::<PyGeneratorExit>(py);
                (told, leaves.then_some(error))
            }
        };
        if has_waited {
            self.asgi.tasks.forget(serial);
        }
        if self.asgi.running.fetch_sub(1, Ordering::Relaxed) == 1 && self.asgi.core.is_draining() {
            self.asgi.nudge();
        }
        self.state().position = Position::Over;
        told?;
        raised.map_or(Ok(None), Err)
    }

    /// An attribute of the application's coroutine, as tools ask the task's coroutine for it.
    fn attribute(&self, py: Python<'_>, name: &str) -> Option<Py<PyAny>> {
        let coroutine = match &self.state().position {
            Position::Running(call) => call.coroutine.clone_ref(py),
            _ => return None,
        };
        coroutine.getattr(py, name).ok()
    }
}

/// What can be stepped: the coroutine itself, or the iterator of another awaitable.
fn steppable(called: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: the pointer is valid.
    if unsafe { ffi::PyCoro_CheckExact(called.as_ptr()) } != 0 {
        return Ok(called);
    }
    let py = called.py();
    match called.getattr_opt(intern!(py, "__await__"))? {
        Some(method) => method.call0(),
        None => Err(pyo3::exceptions::PyTypeError::new_err(format!(
            "an ASGI application must return an awaitable, and this returned {}",
            crate::python::values::shown(&called)
        ))),
    }
}

fn take_step<'py>(coroutine: &Bound<'py, PyAny>, input: Input) -> Step<'py> {
    let py = coroutine.py();
    match input {
        Input::Next => {
            let mut result = std::ptr::null_mut();
            // SAFETY: both arguments are valid, and `result` takes a new reference unless an exception is set.
            let sent =
                unsafe { ffi::PyIter_Send(coroutine.as_ptr(), ffi::Py_None(), &raw mut result) };
            if sent == ffi::PySendResult::PYGEN_ERROR {
                return Step::Raised(PyErr::fetch(py));
            }
            // SAFETY: a new reference, as there was no error.
            let value = unsafe { Bound::from_owned_ptr(py, result) };
            if sent == ffi::PySendResult::PYGEN_NEXT {
                Step::Yielded(value)
            } else {
                Step::Returned
            }
        }
        Input::Throw(error) => {
            match coroutine.call_method1(intern!(py, "throw"), (error.into_value(py),)) {
                Ok(value) => Step::Yielded(value),
                Err(error) if error.is_instance_of::<PyStopIteration>(py) => Step::Returned,
                Err(error) => Step::Raised(error),
            }
        }
    }
}

#[pymethods]
impl Runner {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.advance(py, Input::Next)
    }

    fn send<'py>(&self, py: Python<'py>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let _ = value;
        self.advance(py, Input::Next)?
            .ok_or_else(|| PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (kind, value=None, traceback=None, /))]
    fn throw<'py>(
        &self,
        py: Python<'py>,
        kind: &Bound<'py, PyAny>,
        value: Option<&Bound<'py, PyAny>>,
        traceback: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.advance(py, Input::Throw(thrown(kind, value, traceback)))?
            .ok_or_else(|| PyStopIteration::new_err(()))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let position = std::mem::replace(&mut self.state().position, Position::Over);
        match position {
            Position::Running(call) => call
                .coroutine
                .bind(py)
                .call_method0(intern!(py, "close"))
                .map(drop),
            _ => Ok(()),
        }
    }

    #[getter]
    fn __name__(&self, py: Python<'_>) -> Py<PyAny> {
        self.attribute(py, "__name__")
            .unwrap_or_else(|| intern!(py, "Runner").clone().into_any().unbind())
    }

    #[getter]
    fn __qualname__(&self, py: Python<'_>) -> Py<PyAny> {
        self.attribute(py, "__qualname__")
            .unwrap_or_else(|| intern!(py, "Runner").clone().into_any().unbind())
    }

    #[getter]
    fn cr_running(&self, py: Python<'_>) -> bool {
        self.attribute(py, "cr_running")
            .is_some_and(|value| value.is_truthy(py).unwrap_or(false))
    }

    #[getter]
    fn cr_suspended(&self, py: Python<'_>) -> bool {
        self.attribute(py, "cr_suspended")
            .is_some_and(|value| value.is_truthy(py).unwrap_or(false))
    }

    #[getter]
    fn cr_frame(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.attribute(py, "cr_frame")
    }

    #[getter]
    fn cr_await(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.attribute(py, "cr_await")
    }

    #[getter]
    fn cr_code(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.attribute(py, "cr_code")
    }

    #[getter]
    fn cr_origin(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.attribute(py, "cr_origin")
    }
}
