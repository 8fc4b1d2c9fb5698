//! `hostler._engine.AsgiEngine`: one worker's engine inside of an event loop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::codec::http1::{Refusal, Version};
use crate::codec::ws::{check_connect, check_upgrade};
use crate::conn::Request;
use crate::python::mounts::MountSettings;
use crate::python::settings::{EngineSettings, ListenerSettings};
use crate::python::shared::{Driver, Shared};
use crate::python::wsgi::submit;
use crate::time::Millis;
use crate::worker::{Command, Pause};

use super::cycle::Cycle;
use super::deadline::cancel_late;
use super::http::HttpCycle;
use super::operation::make_finished;
use super::runner::Job;
use super::scope::{ScopeBuilder, ScopeKind};
use super::shared::{AsgiHandle, AsgiShared};
use super::tasks::{Tasks, start};
use super::websocket::{Handshake, WebSocketCycle};

/// Looks at the sockets in one turn, before the rest of the loop has its turn: an idle look costs half a microsecond, a
/// round of asyncio's loop five or more. Measured at 8 connections.
const LOOKS: usize = 4;

/// Requests and news in one turn after which it looks no more: by then a round of the loop costs little for each.
const ENOUGH: usize = 32;

/// Milliseconds after which a turn looks no more, however little it has done: the applications take their time.
const LONG: Millis = 2;

const OVERLOADED: Refusal = Refusal::new(503, "The server has too many requests at work.");

/// An engine, to be turned by an event loop whenever its descriptor is readable.
#[pyclass(frozen, module = "hostler._engine")]
pub struct AsgiEngine {
    asgi: AsgiHandle,
    is_finished: AtomicBool,
}

#[pymethods]
impl AsgiEngine {
    #[new]
    fn new(
        py: Python<'_>,
        settings: EngineSettings,
        listeners: Vec<ListenerSettings>,
        mounts: Vec<MountSettings>,
        hooks: Py<PyAny>,
        event_loop: &Bound<'_, PyAny>,
        state: Option<Py<PyDict>>,
    ) -> PyResult<Self> {
        let tasks = Tasks::new(py, event_loop)?;
        let facts = settings.clone();
        let core = Shared::build(py, settings, listeners, mounts, hooks, Driver::Loop)?;
        let scopes = {
            let engine = core.crew.try_engine();
            let listeners = engine.as_ref().map_or(&[][..], |engine| engine.listeners());
            ScopeBuilder::new(py, &facts, listeners, state)?
        };
        let asgi = AsgiShared::new(
            core,
            event_loop.clone().unbind(),
            scopes,
            tasks,
            make_finished(py)?,
            &facts,
        );
        Ok(Self {
            asgi: Arc::new(asgi),
            is_finished: AtomicBool::new(false),
        })
    }

    /// The descriptor that is readable whenever a turn has something to do.
    fn fileno(&self) -> PyResult<i32> {
        use std::os::fd::{AsFd, AsRawFd};
        Ok(self.asgi.engine()?.as_fd().as_raw_fd())
    }

    /// Does what there is to do, and returns. The loop's thread, and not from inside of a task.
    fn turn(&self, py: Python<'_>) -> PyResult<()> {
        let was_in_turn = self.asgi.set_in_turn(true);
        self.asgi.come_round();
        let turned = self.turn_some(py);
        self.asgi.set_in_turn(was_in_turn);
        turned?;
        self.asgi.engine()?.rest()?;
        self.tell_if_finished(py)
    }

    /// Takes no new connections, finishes what has begun, then tells the hooks. Any thread.
    fn drain(&self) {
        self.asgi.core.mailbox.leave(Command::Drain);
    }

    /// Closes all connections, then tells the hooks. Any thread.
    fn stop(&self) {
        self.asgi.core.mailbox.leave(Command::Stop);
    }

    /// The tasks of requests whose application has not returned, for whoever ends the loop.
    fn requests(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.asgi.tasks.all(py)
    }

    /// Closes and opens the access log's file anew. Any thread.
    fn reopen_logs(&self) {
        self.asgi.core.mailbox.leave(Command::ReopenLogs);
    }
}

impl AsgiEngine {
    fn turn_some(&self, py: Python<'_>) -> PyResult<()> {
        cancel_late(py, &self.asgi)?;
        let core = &self.asgi.core;
        let mut handled = 0;
        let mut began = None;
        for _ in 0..LOOKS {
            let mut engine = self.asgi.engine()?;
            engine.turn(Pause::Never)?;
            core.mailbox.empty_into(&mut engine);
            core.draining
                .store(engine.context.draining, Ordering::Relaxed);
            if !engine.has_work() {
                break;
            }
            let now = engine.context.now.millis;
            let is_late = now >= *began.get_or_insert(now) + LONG;
            drop(engine);
            handled += self.work(py)?;
            if is_late || handled >= ENOUGH {
                break;
            }
        }
        Ok(())
    }

    /// Passes on what the sockets brought. Returns how many things that were.
    fn work(&self, py: Python<'_>) -> PyResult<usize> {
        let mut engine = self.asgi.engine()?;
        let core = &self.asgi.core;
        core.tidy(py, &mut engine);
        // The loop runs the handlers of signals itself.
        engine.take_orders();
        let news = std::mem::take(&mut engine.context.news);
        let ready = engine.context.ready.len();
        let handled = news.len() + ready;
        drop(engine);
        for conn in news {
            self.asgi.wake(py, conn)?;
        }
        let served = self.serve_some(py, ready);
        self.asgi.tasks.stop_posing(self.asgi.event_loop.bind(py))?;
        served.map(|()| handled)
    }

    /// Serves what was ready when the turn began: requests that appear meanwhile, as their clients pipeline, come after the
    /// sockets of others.
    fn serve_some(&self, py: Python<'_>, ready: usize) -> PyResult<()> {
        for _ in 0..ready {
            let Some(request) = self.asgi.engine()?.next_request() else {
                break;
            };
            self.asgi.core.count(py);
            self.serve(py, request)?;
        }
        Ok(())
    }

    fn serve(&self, py: Python<'_>, request: Box<Request>) -> PyResult<()> {
        let asgi = &self.asgi;
        let limit = asgi.max_concurrency;
        if limit > 0 && asgi.running.load(Ordering::Relaxed) + asgi.core.in_threads() >= limit {
            asgi.engine()?.refuse(request, &OVERLOADED);
            return Ok(());
        }
        let mut scopes = asgi.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        let (mount, root) = match scopes.find(&asgi.core.mounts, &request) {
            Ok(found) => found,
            Err(refusal) => {
                asgi.engine()?.refuse(request, &refusal);
                return Ok(());
            }
        };
        if !mount.is_asgi {
            drop(scopes);
            submit(py, &asgi.core, request);
            return Ok(());
        }
        let handshake = match self.handshake(&request) {
            None => None,
            Some(Ok(handshake)) => Some(handshake),
            Some(Err(refusal)) => {
                drop(scopes);
                asgi.engine()?.refuse(request, &refusal);
                return Ok(());
            }
        };
        let kind = if handshake.is_some() {
            ScopeKind::WebSocket
        } else {
            ScopeKind::Http
        };
        let patience = asgi.core.deadlines.patience(|| scopes.path());
        let built = scopes.build(py, &request, kind, mount, root)?;
        drop(scopes);
        let scope = match built {
            Ok(scope) => {
                asgi.core.logged.offer(py, &scope)?;
                scope
            }
            Err(refusal) => {
                asgi.engine()?.refuse(request, &refusal);
                return Ok(());
            }
        };
        let conn = request.conn;
        let patience = match handshake {
            None => patience,
            // A WebSocket lasts for as long as it is wanted, unless its application says so.
            Some(_) => 0,
        };
        let cycle = match handshake {
            None => {
                let cycle = HttpCycle::new(Arc::clone(asgi), request, &scope);
                Cycle::Http(Py::new(py, cycle)?)
            }
            Some(handshake) => {
                scope.set_item(intern!(py, "subprotocols"), handshake.subprotocols())?;
                let cycle = WebSocketCycle::new(py, asgi, request, handshake, &scope)?;
                Cycle::WebSocket(Py::new(py, cycle)?)
            }
        };
        let job = Job {
            application: mount.application.clone_ref(py),
            scope: scope.unbind(),
            cycle,
            patience,
        };
        start(py, asgi, job, conn)
    }

    /// What a request asks for, if it asks for the WebSocket protocol.
    fn handshake(&self, request: &Request) -> Option<Result<Handshake, Refusal>> {
        let bytes = &request.bytes;
        let fields = request
            .head
            .fields
            .iter()
            .map(|field| (field.name.of(bytes), field.value.of(bytes)));
        if request.head.is_websocket {
            return Some(check_connect(fields, self.asgi.deflate).map(Handshake::new));
        }
        check_upgrade(
            request.method(),
            request.head.version == Version::Http11,
            fields,
            self.asgi.deflate,
        )
        .map(|judged| judged.map(Handshake::new))
    }

    fn tell_if_finished(&self, py: Python<'_>) -> PyResult<()> {
        let asgi = &self.asgi;
        {
            let engine = asgi.engine()?;
            // A stop does not wait for applications: the control plane cancels those that are left.
            let is_left = asgi.running.load(Ordering::Relaxed) > 0 && !engine.has_stopped();
            if !engine.is_finished() || is_left {
                return Ok(());
            }
        }
        if !self.is_finished.swap(true, Ordering::Relaxed) {
            asgi.engine()?.flush_log();
            asgi.core
                .hooks
                .bind(py)
                .call_method0(intern!(py, "finished"))?;
        }
        Ok(())
    }
}
