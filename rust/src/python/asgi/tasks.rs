//! The tasks in which applications run: made, kept while they wait, spared.
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

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::asyncio::CancelledError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{ffi, intern};

use crate::conn::ConnId;

use super::cycle::Methods;
use super::http::HttpCycle;
use super::runner::{Job, Position, Runner};
use super::shared::AsgiHandle;
use super::spare::{Eyes, Spare};
use super::waiter::{IdMap, Waiter, in_context};
use super::websocket::WebSocketCycle;

/// Tasks of requests that wait for something, so that nothing collects them; and what makes tasks.
pub(super) struct Tasks {
    task_type: Py<PyAny>,
    arguments: Py<PyDict>,
    uses_spares: bool,
    pub(super) http_methods: Methods,
    pub(super) websocket_methods: Methods,
    eyes: Eyes,
    /// What `asyncio.current_task()` looks at, by loop.
    current: Py<PyDict>,
    /// The address of the spare that is there, or 0.
    posing: AtomicUsize,
    spares: Mutex<Vec<Spare>>,
    suspended: Mutex<IdMap<Suspended>>,
    /// By connection, the serial number of what is to be cancelled when it ends.
    watched: Mutex<IdMap<u64>>,
    serial: AtomicU64,
}

/// The task of a request that waits for something.
struct Suspended {
    task: Py<PyAny>,
    conn: ConnId,
    /// The exchange that it is to be cancelled for, if that is wanted.
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
        let task_type = tasks.getattr("Task")?;
        Ok(Self {
            eyes: Eyes::new(&task_type)?,
            task_type: task_type.unbind(),
            arguments: arguments.unbind(),
            // Only 3.11 needs it, and has it in this form.
            current: if starts_eagerly {
                PyDict::new(py).unbind()
            } else {
                tasks.getattr("_current_tasks")?.cast_into()?.unbind()
            },
            http_methods: Methods::new(&py.get_type::<HttpCycle>())?,
            websocket_methods: Methods::new(&py.get_type::<WebSocketCycle>())?,
            posing: AtomicUsize::new(0),
            uses_spares: !starts_eagerly && !in_debug_mode,
            spares: Mutex::default(),
            suspended: Mutex::default(),
            watched: Mutex::default(),
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

    fn watched(&self) -> MutexGuard<'_, IdMap<u64>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
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
        let address = spare.task.as_ptr().addr();
        if self.posing.swap(address, Ordering::Relaxed) != address {
            self.current
                .bind(event_loop.py())
                .set_item(event_loop, &spare.task)?;
        }
        Ok(())
    }

    /// Ends that: before any task is stepped, and before the loop goes on.
    pub(super) fn stop_posing(&self, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.posing.swap(0, Ordering::Relaxed) != 0 {
            self.current.bind(event_loop.py()).del_item(event_loop)?;
        }
        Ok(())
    }

    fn suspend(&self, serial: u64, suspended: Suspended) {
        if suspended.http.is_some() {
            self.watched().insert(suspended.conn, serial);
        }
        self.suspended().insert(serial, suspended);
    }

    /// Lets go of the task of a request whose application has returned.
    pub(super) fn forget(&self, serial: u64) {
        let Some(kept) = self.suspended().remove(&serial) else {
            return;
        };
        if kept.http.is_some() {
            let mut watched = self.watched();
            if watched.get(&kept.conn) == Some(&serial) {
                watched.remove(&kept.conn);
            }
        }
    }

    /// The tasks of all requests whose application has not returned.
    pub(super) fn all(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.suspended()
            .values()
            .map(|suspended| suspended.task.clone_ref(py))
            .collect()
    }

    /// The task with this serial number, if it waits for something.
    pub(super) fn find(&self, py: Python<'_>, serial: u64) -> Option<Py<PyAny>> {
        let suspended = self.suspended();
        suspended.get(&serial).map(|found| found.task.clone_ref(py))
    }

    /// Cancels, once, the application that is to answer an HTTP request of the connection. One that has answered works
    /// for its own sake, and a WebSocket's is told of the end in a message.
    pub(super) fn cancel(&self, py: Python<'_>, conn: ConnId) -> PyResult<()> {
        let Some(serial) = self.watched().remove(&conn) else {
            return Ok(());
        };
        let task = match self.suspended().get(&serial) {
            Some(Suspended {
                task,
                http: Some(http),
                ..
            }) if !http.get().is_over() => task.clone_ref(py),
            _ => return Ok(()),
        };
        task.bind(py).call_method0(intern!(py, "cancel")).map(drop)
    }
}

/// Starts the application for a request, and steps it until it waits for something.
pub(super) fn start(py: Python<'_>, asgi: &AsgiHandle, job: Job, conn: ConnId) -> PyResult<()> {
    let tasks = &asgi.tasks;
    let serial = tasks.serial.fetch_add(1, Ordering::Relaxed) + 1;
    asgi.running.fetch_add(1, Ordering::Relaxed);
    job.cycle.begin(serial, job.patience)?;
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
        Runner::new(asgi, Position::Assigned(job), ticket.serial, None),
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
    let dead = {
        let mut spares = asgi.tasks.spares();
        // Somebody may have cancelled them, as one of all tasks.
        let (alive, dead): (Vec<_>, Vec<_>) = std::mem::take(&mut *spares)
            .into_iter()
            .partition(Spare::is_alive);
        *spares = alive;
        if spares.len() >= SPARES {
            return Ok(());
        }
        dead
    };
    drop(dead);
    let parking = Bound::new(py, Waiter::new(asgi.event_loop.clone_ref(py)))?;
    let runner = Bound::new(
        py,
        Runner::new(asgi, Position::Parked, 0, Some(parking.clone().unbind())),
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
    spare.looks.note(py, &tasks.eyes, &spare.task)?;
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
        Ok(None)
            if cancellation.is_none() && spare.looks.is_same(py, &tasks.eyes, &spare.task)? =>
        {
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

/// A copy of the present context.
fn copy_context(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: returns a new reference, or NULL with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }
}
