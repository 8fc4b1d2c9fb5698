//! The coroutine that a request's task runs: it calls the application, steps it, and sees to its end.
//!
//! Theory of operation. From Python 3.12 on each request has a task that starts eagerly: its constructor takes the first
//! step, and a request that never waits is over when it returns. On 3.11 a task can only start in the next round of its
//! loop, and making one costs as much as half the rest of the request. There, some spare tasks wait parked. The first step
//! of a request is taken here, while a spare poses as the loop's current task, as it would be in its own step. If the
//! application then waits, the spare is woken, finds its coroutine waiting for just that, and goes on as any task does.
//! If the request is over within its first step and nobody has touched the spare meanwhile (no reference, callback,
//! cancellation, attribute or name is left behind), it serves the next request; else it ends with this one.
//!
//! Invariants. A request's context is its own in either way. No lock is held while the application runs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::asyncio::CancelledError;
use pyo3::exceptions::{PyGeneratorExit, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use pyo3::{ffi, intern};

use crate::conn::ConnId;

use super::http::HttpCycle;
use super::shared::AsgiHandle;
use super::spare::Spare;
use super::waiter::{IdMap, Waiter, in_context, thrown};
use super::websocket::WebSocketCycle;

/// Tasks of requests that wait for something, so that nothing collects them; and what makes tasks.
pub(super) struct Tasks {
    task_type: Py<PyAny>,
    arguments: Py<PyDict>,
    uses_spares: bool,
    http_methods: Methods,
    websocket_methods: Methods,
    /// What `asyncio.current_task()` looks at, by loop.
    current: Py<PyDict>,
    /// Whether a spare is there.
    is_posing: AtomicBool,
    spares: Mutex<Vec<Spare>>,
    suspended: Mutex<IdMap<Suspended>>,
    serial: AtomicU64,
}

/// The task of a request that waits for something.
struct Suspended {
    task: Py<PyAny>,
    conn: ConnId,
    /// The exchange that it is to be cancelled for, if that is wanted and was not done yet.
    http: Option<Py<HttpCycle>>,
}

impl Tasks {
    pub(super) fn new(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        let arguments = PyDict::new(py);
        arguments.set_item(intern!(py, "loop"), event_loop)?;
        let starts_eagerly = py.version_info() >= (3, 12);
        if starts_eagerly {
            arguments.set_item(intern!(py, "eager_start"), true)?;
        }
        let in_debug_mode: bool = event_loop
            .call_method0(intern!(py, "get_debug"))?
            .is_truthy()?;
        let tasks = py.import("asyncio.tasks")?;
        Ok(Self {
            task_type: tasks.getattr("Task")?.unbind(),
            arguments: arguments.unbind(),
            // Only 3.11 needs it, and has it in this form.
            current: if starts_eagerly {
                PyDict::new(py).unbind()
            } else {
                tasks.getattr("_current_tasks")?.cast_into()?.unbind()
            },
            http_methods: Methods::new(&py.get_type::<HttpCycle>())?,
            websocket_methods: Methods::new(&py.get_type::<WebSocketCycle>())?,
            is_posing: AtomicBool::new(false),
            uses_spares: !starts_eagerly && !in_debug_mode,
            spares: Mutex::default(),
            suspended: Mutex::default(),
            serial: AtomicU64::new(0),
        })
    }

    /// Makes a task, which starts at once if tasks can.
    pub(super) fn make<'py>(&self, runner: &Bound<'py, Runner>) -> PyResult<Bound<'py, PyAny>> {
        let py = runner.py();
        self.task_type
            .bind(py)
            .call((runner,), Some(self.arguments.bind(py)))
    }

    fn suspended(&self) -> MutexGuard<'_, IdMap<Suspended>> {
        self.suspended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn spares(&self) -> MutexGuard<'_, Vec<Spare>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A spare that is parked, if there is one.
    fn take_spare(&self) -> Option<Spare> {
        if !self.uses_spares {
            return None;
        }
        let mut spares = self.spares();
        let at = spares.iter().rposition(Spare::is_parked)?;
        Some(spares.swap_remove(at))
    }

    /// Makes a spare the loop's current task, if it is not already.
    fn pose(&self, event_loop: &Bound<'_, PyAny>, spare: &Spare) -> PyResult<()> {
        if !self.is_posing.swap(true, Ordering::Relaxed) {
            self.current
                .bind(event_loop.py())
                .set_item(event_loop, &spare.task)?;
        }
        Ok(())
    }

    /// Ends that: before any task is stepped, and before the loop goes on.
    pub(super) fn stop_posing(&self, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.is_posing.swap(false, Ordering::Relaxed) {
            self.current.bind(event_loop.py()).del_item(event_loop)?;
        }
        Ok(())
    }

    fn suspend(&self, serial: u64, suspended: Suspended) {
        self.suspended().insert(serial, suspended);
    }

    /// The tasks of all requests whose application has not returned.
    pub(super) fn all(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.suspended()
            .values()
            .map(|suspended| suspended.task.clone_ref(py))
            .collect()
    }

    /// Cancels, once, the application that is to answer an HTTP request of the connection. One that has answered works
    /// for its own sake, and a WebSocket's is told of the end in a message.
    pub(super) fn cancel(&self, py: Python<'_>, conn: ConnId) -> PyResult<()> {
        let mut tasks = Vec::new();
        for suspended in self.suspended().values_mut() {
            let is_unanswered = suspended
                .http
                .as_ref()
                .is_some_and(|http| suspended.conn == conn && !http.get().is_over());
            if is_unanswered {
                suspended.http = None;
                tasks.push(suspended.task.clone_ref(py));
            }
        }
        for task in tasks {
            task.bind(py).call_method0(intern!(py, "cancel"))?;
        }
        Ok(())
    }
}

/// `receive` and `send` of one type, found once: to look them up for each request costs more than to bind them.
struct Methods {
    receive: Py<PyAny>,
    send: Py<PyAny>,
}

impl Methods {
    fn new(cycle_type: &Bound<'_, PyType>) -> PyResult<Self> {
        let py = cycle_type.py();
        Ok(Self {
            receive: cycle_type.getattr(intern!(py, "receive"))?.unbind(),
            send: cycle_type.getattr(intern!(py, "send"))?.unbind(),
        })
    }

    /// Both, bound to an object of that type.
    fn of<'py>(
        &self,
        cycle: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        Ok((bind(&self.receive, cycle)?, bind(&self.send, cycle)?))
    }
}

/// Binds a method descriptor, as an attribute look-up ends.
fn bind<'py>(method: &Py<PyAny>, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
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

/// An exchange, of either kind.
pub(super) enum Cycle {
    Http(Py<HttpCycle>),
    WebSocket(Py<WebSocketCycle>),
}

impl Cycle {
    /// The HTTP exchange, if it is one.
    fn http(&self, py: Python<'_>) -> Option<Py<HttpCycle>> {
        match self {
            Self::Http(cycle) => Some(cycle.clone_ref(py)),
            Self::WebSocket(_) => None,
        }
    }

    fn returned(&self, py: Python<'_>) -> PyResult<()> {
        match self {
            Self::Http(cycle) => cycle.get().returned(py, ""),
            Self::WebSocket(cycle) => cycle.get().returned(py),
        }
    }

    fn failed(&self, py: Python<'_>, error: &PyErr) -> PyResult<()> {
        match self {
            Self::Http(cycle) => cycle.get().failed(py, error),
            Self::WebSocket(cycle) => cycle.get().failed(py, error),
        }
    }

    fn cancelled(&self, py: Python<'_>, error: &PyErr) -> PyResult<()> {
        match self {
            Self::Http(cycle) => cycle.get().cancelled(py, error),
            Self::WebSocket(cycle) => cycle.get().cancelled(py, error),
        }
    }

    fn bind<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        match self {
            Self::Http(cycle) => cycle.bind(py).as_any(),
            Self::WebSocket(cycle) => cycle.bind(py).as_any(),
        }
    }
}

/// A request that an application is to be called for.
pub(super) struct Job {
    pub(super) application: Py<PyAny>,
    pub(super) scope: Py<PyDict>,
    pub(super) cycle: Cycle,
}

/// The application at work.
struct Call {
    coroutine: Py<PyAny>,
    cycle: Cycle,
    /// Entered around each step by a spare, whose own context is another.
    context: Option<Py<PyAny>>,
}

enum Position {
    /// A spare: it waits for a job.
    Parked,
    Assigned(Job),
    Running(Call),
    /// In the application, or in the midst of a change.
    Busy,
    Over,
}

struct State {
    position: Position,
    serial: u64,
    /// The application has waited for something, so that its task is among those that do.
    has_waited: bool,
    /// The waiter at which a spare is parked.
    parking: Option<Py<Waiter>>,
    /// What the application waits for since its first step, which a spare is yet to be told.
    handed_over: Option<Py<PyAny>>,
    /// What has left the application in its first step, which a spare is yet to raise.
    failure: Option<PyErr>,
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

/// Starts the application for a request, and steps it until it waits for something.
pub(super) fn start(py: Python<'_>, asgi: &AsgiHandle, job: Job, conn: ConnId) -> PyResult<()> {
    let tasks = &asgi.tasks;
    let serial = tasks.serial.fetch_add(1, Ordering::Relaxed) + 1;
    asgi.running.fetch_add(1, Ordering::Relaxed);
    let http = if asgi.cancel_on_disconnect {
        job.cycle.http(py)
    } else {
        None
    };
    let is_watched = http.is_some();
    let ticket = Ticket { serial, conn, http };
    let spare = tasks.take_spare();
    match spare {
        Some(spare) => start_spare(py, asgi, spare, job, ticket)?,
        None => start_task(py, asgi, job, ticket)?,
    }
    if is_watched {
        // The end may have come before anybody waited to hear of it.
        asgi.cancel_if_ended(py, conn)?;
    }
    Ok(())
}

/// What is kept of a request that waits, beside its task.
struct Ticket {
    serial: u64,
    conn: ConnId,
    http: Option<Py<HttpCycle>>,
}

impl Ticket {
    fn with(self, task: Py<PyAny>) -> (u64, Suspended) {
        let suspended = Suspended {
            task,
            conn: self.conn,
            http: self.http,
        };
        (self.serial, suspended)
    }
}

/// Gives a request a task of its own.
fn start_task(py: Python<'_>, asgi: &AsgiHandle, job: Job, ticket: Ticket) -> PyResult<()> {
    if asgi.tasks.uses_spares {
        refill(py, asgi)?;
    }
    let runner = Bound::new(
        py,
        Runner {
            asgi: Arc::clone(asgi),
            state: Mutex::new(State {
                position: Position::Assigned(job),
                serial: ticket.serial,
                has_waited: false,
                parking: None,
                handed_over: None,
                failure: None,
            }),
        },
    )?;
    let task = asgi.tasks.make(&runner)?;
    if !runner.get().is_over() {
        runner.get().state().has_waited = true;
        let (serial, suspended) = ticket.with(task.unbind());
        asgi.tasks.suspend(serial, suspended);
    }
    Ok(())
}

/// Spare tasks that wait for a request, at the most. One serves all requests that never wait; each that waits uses one up.
const SPARES: usize = 4;

/// Makes one more spare task, which parks in the loop's next round.
fn refill(py: Python<'_>, asgi: &AsgiHandle) -> PyResult<()> {
    if asgi.tasks.spares().len() >= SPARES {
        return Ok(());
    }
    let parking = Bound::new(py, Waiter::new(asgi.event_loop.clone_ref(py)))?;
    let runner = Bound::new(
        py,
        Runner {
            asgi: Arc::clone(asgi),
            state: Mutex::new(State {
                position: Position::Parked,
                serial: 0,
                has_waited: false,
                parking: Some(parking.clone().unbind()),
                handed_over: None,
                failure: None,
            }),
        },
    )?;
    let task = asgi.tasks.make(&runner)?;
    asgi.tasks
        .spares()
        .push(Spare::new(&task, runner.unbind(), parking.unbind()));
    Ok(())
}

/// Takes the first step of a request while a parked task is current.
fn start_spare(
    py: Python<'_>,
    asgi: &AsgiHandle,
    spare: Spare,
    job: Job,
    ticket: Ticket,
) -> PyResult<()> {
    let mut spare = spare;
    let tasks = &asgi.tasks;
    let parking = spare.parking.bind(py);
    let runner = spare.runner.bind(py).get();
    runner.state().serial = ticket.serial;
    let context = copy_context(py)?;
    let event_loop = asgi.event_loop.bind(py);
    parking.get().hold_cancellation();
    tasks.pose(event_loop, &spare)?;
    // Behind that, as the loop's own reference counts.
    spare.looks.note(py, &spare.task)?;
    let stepped = in_context(&context, || {
        runner.begin(py, job, Some(context.clone().unbind()))
    });
    let cancellation = parking.get().release_cancellation();
    let failure = match stepped? {
        Ok(Some(awaited)) => {
            tasks.stop_posing(event_loop)?;
            runner.state().handed_over = Some(awaited.unbind());
            let (serial, suspended) = ticket.with(spare.task.clone_ref(py));
            tasks.suspend(serial, suspended);
            Waiter::wake(parking)?;
            if let Some(message) = cancellation {
                // It cancelled itself before it waited; the count of cancellations has that already.
                let task = spare.task.bind(py);
                task.call_method1(intern!(py, "cancel"), (message,))?;
                task.call_method0(intern!(py, "uncancel"))?;
            }
            return refill(py, asgi);
        }
        Ok(None) if cancellation.is_none() && spare.looks.is_same(py, &spare.task)? => {
            runner.state().position = Position::Parked;
            tasks.spares().push(spare);
            return Ok(());
        }
        Ok(None) => cancellation.map(|message| CancelledError::new_err((message,))),
        // It leaves the task as it would have, had the task taken this step.
        Err(error) => Some(error),
    };
    tasks.stop_posing(event_loop)?;
    // Somebody knows the task: it ends with its request.
    {
        let mut state = runner.state();
        state.position = Position::Over;
        state.failure = failure;
    }
    Waiter::wake(parking)?;
    refill(py, asgi)
}

impl Runner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
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
    fn begin<'py>(
        &self,
        py: Python<'py>,
        job: Job,
        context: Option<Py<PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let methods = match &job.cycle {
            Cycle::Http(_) => &self.asgi.tasks.http_methods,
            Cycle::WebSocket(_) => &self.asgi.tasks.websocket_methods,
        };
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
        let step = take_step(&coroutine, Input::Next);
        self.settle(py, step)
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
        let step = match context {
            Some(context) => in_context(&context, || take_step(&coroutine, input))?,
            None => take_step(&coroutine, input),
        };
        self.settle(py, step)
    }

    fn settle<'py>(&self, py: Python<'py>, step: Step<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let error = match step {
            Step::Yielded(value) => {
                self.state().has_waited = true;
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
        let outcome = match error {
            None => {
                cycle.returned(py)?;
                Ok(())
            }
            Some(error) if error.is_instance_of::<CancelledError>(py) => {
                cycle.cancelled(py, &error)?;
                Err(error)
            }
            Some(error) => {
                // `SystemExit` is an error of the application like others: it is not for a request to end the worker.
                cycle.failed(py, &error)?;
                if error.is_instance_of::<PyGeneratorExit>(py) {
                    Err(error)
                } else {
                    Ok(())
                }
            }
        };
        if has_waited {
            let kept = self.asgi.tasks.suspended().remove(&serial);
            drop(kept);
        }
        if self.asgi.running.fetch_sub(1, Ordering::Relaxed) == 1 && self.asgi.core.is_draining() {
            self.asgi.nudge();
        }
        self.state().position = Position::Over;
        outcome.map(|()| None)
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

/// A copy of the present context.
fn copy_context(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: returns a new reference, or NULL with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }
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
