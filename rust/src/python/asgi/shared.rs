//! What all parts of one engine in an event loop share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::exceptions::{PyConnectionResetError, PyRuntimeError};
use pyo3::prelude::*;

use crate::codec::ws::DeflateSettings;
use crate::conn::{ConnId, Request};
use crate::python::settings::EngineSettings;
use crate::python::shared::Handle;
use crate::worker::Worker;

use super::operation::{Attempt, Finished, Kind, Operation};
use super::scope::ScopeBuilder;
use super::tasks::Tasks;
use super::waiter::Waiters;

/// Operations that may be complete at once before one has to wait for a round of the loop. Arbitrary: below a millisecond
/// of small messages, and far more than a turn's requests send.
const AT_ONCE: u32 = 256;

/// How many operations of one exchange were complete at once since the loop has last come round.
#[derive(Default)]
pub(super) struct Pace {
    round: AtomicU32,
    at_once: AtomicU32,
}

/// All parts of one engine in an event loop.
pub(super) struct AsgiShared {
    pub(super) core: Handle,
    pub(super) event_loop: Py<PyAny>,
    pub(super) scopes: Mutex<ScopeBuilder>,
    pub(super) waiters: Waiters,
    pub(super) tasks: Tasks,
    /// What an operation returns that is done already.
    pub(super) finished: Py<Finished>,
    /// A turn is under way: it will see to what comes of an operation.
    in_turn: AtomicBool,
    /// Counts the turns.
    round: AtomicU32,
    /// Applications that have not returned.
    pub(super) running: AtomicUsize,
    /// The most of them at once; 0 for no limit.
    pub(super) max_concurrency: usize,
    pub(super) cancel_on_disconnect: bool,
    /// What to agree on with WebSockets about compression, if anything.
    pub(super) deflate: Option<DeflateSettings>,
}

/// Shared, as every owner holds it.
pub(super) type AsgiHandle = Arc<AsgiShared>;

impl AsgiShared {
    pub(super) fn new(
        core: Handle,
        event_loop: Py<PyAny>,
        scopes: ScopeBuilder,
        tasks: Tasks,
        finished: Py<Finished>,
        settings: &EngineSettings,
    ) -> Self {
        Self {
            core,
            event_loop,
            scopes: Mutex::new(scopes),
            waiters: Waiters::default(),
            tasks,
            finished,
            in_turn: AtomicBool::new(false),
            round: AtomicU32::new(0),
            running: AtomicUsize::new(0),
            max_concurrency: settings.max_concurrency,
            cancel_on_disconnect: settings.cancel_on_disconnect,
            deflate: settings.deflate(),
        }
    }

    /// The engine. Only one thread ever wants it, so that it is free unless that rule is broken.
    pub(super) fn engine(&self) -> PyResult<MutexGuard<'_, Worker>> {
        self.core.loop_engine().ok_or_else(|| {
            PyRuntimeError::new_err(
                "receive() and send() belong to the thread of the event loop; call them from there",
            )
        })
    }

    /// Lets go of the engine after an operation, and sees to it that the loop turns it if there is more to do.
    pub(super) fn leave(&self, mut engine: MutexGuard<'_, Worker>) -> PyResult<()> {
        if !self.in_turn.load(Ordering::Relaxed) {
            engine.rest()?;
        }
        Ok(())
    }

    /// Notes whether a turn is under way. Returns what was noted before.
    pub(super) fn set_in_turn(&self, in_turn: bool) -> bool {
        self.in_turn.swap(in_turn, Ordering::Relaxed)
    }

    /// Makes the loop turn the engine once more.
    pub(super) fn nudge(&self) {
        if !self.in_turn.load(Ordering::Relaxed) {
            self.core.mailbox.nudge();
        }
    }

    /// What `send()` returns when nothing is to be waited for.
    pub(super) fn done(&self, py: Python<'_>) -> Py<PyAny> {
        self.finished.clone_ref(py).into_any()
    }

    /// A turn begins: the loop has come round.
    pub(super) fn come_round(&self) {
        self.round.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether an operation that is complete at once has to let the others have their turn first: an application that only
    /// ever does such things would else keep the loop for itself.
    pub(super) fn is_greedy(&self, pace: &Pace) -> bool {
        let round = self.round.load(Ordering::Relaxed);
        if pace.round.swap(round, Ordering::Relaxed) != round {
            pace.at_once.store(0, Ordering::Relaxed);
        }
        pace.at_once.fetch_add(1, Ordering::Relaxed) >= AT_ONCE
    }

    /// What `send()` returns after it has added to what waits to be sent: a wait, if the client is slow.
    pub(super) fn after_send(
        self: &Arc<Self>,
        py: Python<'_>,
        conn: ConnId,
        unsent: usize,
        pace: &Pace,
    ) -> PyResult<Py<PyAny>> {
        let mark = self.core.response_buffer;
        if unsent <= mark {
            if self.is_greedy(pace) {
                let rest = Operation::new(Arc::clone(self), conn, Kind::Breath(false.into()));
                return Ok(Py::new(py, rest)?.into_any());
            }
            return Ok(self.done(py));
        }
        // Half of it, so that an application that makes small pieces is not woken for each.
        let wait = Operation::new(Arc::clone(self), conn, Kind::Room(mark / 2));
        Ok(Py::new(py, wait)?.into_any())
    }

    /// Looks whether no more than `mark` bytes wait to be sent.
    pub(super) fn look_for_room<'py>(&self, conn: ConnId, mark: usize) -> PyResult<Attempt<'py>> {
        let mut engine = self.engine()?;
        match engine.unsent(conn).filter(|_| engine.takes_more(conn)) {
            None => Err(client_gone()),
            Some(unsent) if unsent <= mark => Ok(Attempt::Finished),
            Some(_) => {
                engine.want_room(conn, mark);
                Ok(Attempt::Wait)
            }
        }
    }

    /// Passes news of a connection on to whoever waits for it.
    pub(super) fn wake(&self, py: Python<'_>, conn: ConnId) -> PyResult<()> {
        self.waiters.wake(py, conn)?;
        if self.cancel_on_disconnect {
            self.cancel_if_ended(py, conn)?;
        }
        Ok(())
    }

    /// Cancels the application that a client who is gone has not been answered by.
    pub(super) fn cancel_if_ended(&self, py: Python<'_>, conn: ConnId) -> PyResult<()> {
        if self.engine()?.has_ended(conn) {
            self.tasks.cancel(py, conn)?;
        }
        Ok(())
    }

    /// Asks for more of a streamed body; the flag is whether the client waits to be asked.
    pub(super) fn resume_body(&self, conn: ConnId, send_continue: bool) -> PyResult<()> {
        let mut engine = self.engine()?;
        engine.resume_body(conn, send_continue);
        self.leave(engine)
    }

    /// Tells those who wait for news of a connection that its response has ended without their doing.
    pub(super) fn tell_others(&self, engine: &mut Worker, conn: ConnId) {
        if self.waiters.has(conn) {
            engine.tell(conn);
        }
    }

    /// Ends a request whose response was broken off, or whose client is gone.
    pub(super) fn abort(&self, request: Box<Request>) -> PyResult<()> {
        let mut engine = self.engine()?;
        let conn = request.conn;
        engine.abort(request);
        self.tell_others(&mut engine, conn);
        self.leave(engine)
    }
}

pyo3::create_exception!(
    hostler._engine,
    ClientGone,
    PyConnectionResetError,
    "The client closed the connection, so that nothing can be sent any more."
);

/// ASGI 3.0, spec version 2.4: `send()` raises an `OSError` once the client is gone.
pub(super) fn client_gone() -> PyErr {
    ClientGone::new_err("the client closed the connection")
}

/// How far back a chain of exceptions is followed. Frameworks wrap once or twice.
const CHAIN: usize = 16;

/// What frameworks raise when they are told that the client is gone: Starlette, FastAPI and Litestar.
const DISCONNECTS: [&str; 2] = ["ClientDisconnect", "WebSocketDisconnect"];

fn is_disconnect(py: Python<'_>, error: &PyErr) -> bool {
    error
        .get_type(py)
        .name()
        .is_ok_and(|name| name.to_str().is_ok_and(|name| DISCONNECTS.contains(&name)))
}

/// Whether an exception comes of `send()` or `receive()` having told that the client is gone.
pub(super) fn is_client_gone(py: Python<'_>, error: &PyErr) -> bool {
    let mut link = Some(error.clone_ref(py));
    for _ in 0..CHAIN {
        let Some(present) = link else {
            return false;
        };
        if present.is_instance_of::<ClientGone>(py) || is_disconnect(py, &present) {
            return true;
        }
        let value = present.value(py);
        let next = |name: &str| {
            let next = value.getattr(name).ok()?;
            (!next.is_none()).then(|| PyErr::from_value(next))
        };
        link = next("__cause__").or_else(|| next("__context__"));
    }
    false
}
