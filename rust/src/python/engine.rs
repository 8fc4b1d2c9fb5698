//! `hostler._engine.Engine`: one worker's engine with WSGI applications, in threads of its own.

use std::io;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::worker::{Command, Followed, Mailbox, Pause, Worker};

use super::mounts::MountSettings;
use super::report::warn;
use super::settings::{EngineSettings, ListenerSettings};
use super::shared::{Driver, Handle, Shared};
use super::wsgi::serve;

/// Calls between two looks at the sockets, if so many requests are ready, at the least. Arbitrary.
const FEWEST_CALLS: usize = 16;

/// An engine, ready to run.
#[pyclass(frozen, module = "hostler._engine")]
pub struct Engine {
    shared: Handle,
}

#[pymethods]
impl Engine {
    #[new]
    fn new(
        py: Python<'_>,
        settings: EngineSettings,
        listeners: Vec<ListenerSettings>,
        mounts: Vec<MountSettings>,
        hooks: Py<PyAny>,
    ) -> PyResult<Self> {
        Ok(Self {
            shared: Shared::build(py, settings, listeners, mounts, hooks, Driver::Threads)?,
        })
    }

    /// Serves until the worker is drained or stopped. To be called once, from the main thread.
    fn run(&self, py: Python<'_>) -> PyResult<()> {
        let Some(engine) = self.shared.crew.try_engine() else {
            return Err(PyRuntimeError::new_err("this engine is running already"));
        };
        self.grow(py);
        self.lead(py, engine, true)?;
        self.serve_until_finished(py, true)
    }

    /// Serves beside the main thread; to be called from a thread that `start_thread` of the hooks has started.
    fn follow(&self, py: Python<'_>) -> PyResult<()> {
        self.serve_until_finished(py, false)
    }

    /// Takes no new connections, finishes what has begun, then makes `run` return. Any thread.
    fn drain(&self) {
        self.shared.order(Command::Drain);
    }

    /// Closes all connections and makes `run` return. Any thread.
    fn stop(&self) {
        self.shared.order(Command::Stop);
    }

    /// Closes and opens the access log's file anew. Any thread.
    fn reopen_logs(&self) {
        self.shared.order(Command::ReopenLogs);
    }
}

impl Engine {
    fn serve_until_finished(&self, py: Python<'_>, is_main: bool) -> PyResult<()> {
        let crew = &self.shared.crew;
        loop {
            match py.detach(|| crew.follow(is_main, || self.shared.mailbox.nudge())) {
                Followed::Finished => return Ok(()),
                Followed::HandleSignals => py.check_signals()?,
                Followed::Lead => {
                    if let Some(engine) = crew.try_engine() {
                        self.grow(py);
                        self.lead(py, engine, is_main)?;
                    }
                }
            }
        }
    }

    /// Leads until the work is over or a call ran late.
    fn lead<'crew>(
        &'crew self,
        py: Python<'_>,
        engine: MutexGuard<'crew, Worker>,
        is_main: bool,
    ) -> PyResult<()> {
        let shared = &self.shared;
        let mut engine = engine;
        let mut calls = FEWEST_CALLS;
        loop {
            shared.mailbox.empty_into(&mut engine);
            if engine.has_work() {
                self.see_to_work(py, &mut engine, is_main)?;
            }
            let next = if calls > 0 {
                engine.next_request()
            } else {
                None
            };
            if let Some(request) = next {
                calls -= 1;
                shared.count(py);
                match serve(py, shared, engine, request) {
                    Some(retaken) => engine = retaken,
                    None => return Ok(()),
                }
                continue;
            }
            if engine.is_finished() {
                engine.flush_log();
                drop(engine);
                shared.crew.finish();
                return Ok(());
            }
            engine = match self.wait_for_work(py, engine)? {
                Some(engine) => engine,
                None => return Ok(()),
            };
            // A client that pipelines has its next request ready after each answer; the others must be heard in between.
            calls = engine.context.ready.len().max(FEWEST_CALLS);
            shared
                .draining
                .store(engine.context.draining, Ordering::Relaxed);
        }
    }

    /// Turns the engine until there is something to do; gives nothing if somebody else has begun to lead meanwhile.
    fn wait_for_work<'crew>(
        &'crew self,
        py: Python<'_>,
        mut engine: MutexGuard<'crew, Worker>,
    ) -> PyResult<Option<MutexGuard<'crew, Worker>>> {
        let shared = &self.shared;
        if !shared.deadlines.is_used() {
            let worker: &mut Worker = &mut engine;
            py.detach(|| poll(worker, &shared.mailbox))?;
            return Ok(Some(engine));
        }
        let held = SameThread(engine);
        py.detach(move || {
            let mut engine = held.into_inner();
            let polled = poll(&mut engine, &shared.mailbox);
            // An application that holds the interpreter for ever must not hold the engine as well.
            shared.crew.begin_return(engine);
            polled
        })?;
        Ok(shared.crew.end_return())
    }

    /// What has to be done with the interpreter beside requests.
    fn see_to_work(&self, py: Python<'_>, engine: &mut Worker, is_main: bool) -> PyResult<()> {
        self.shared.tidy(py, engine);
        if engine.take_orders().signals {
            if is_main {
                py.check_signals()?;
            } else {
                self.shared.crew.signal_main();
            }
        }
        Ok(())
    }

    /// Starts one more thread if none is idle and more are allowed.
    fn grow(&self, py: Python<'_>) {
        if self.shared.crew.claim_thread() {
            if let Err(error) = self
                .shared
                .hooks
                .bind(py)
                .call_method0(intern!(py, "start_thread"))
            {
                self.shared.crew.return_claim();
                warn(
                    py,
                    &self.shared,
                    &format!("cannot start a thread, going on with those there are: {error}"),
                );
            }
        }
    }
}

/// What may be used without the interpreter, by the thread that it belongs to.
struct SameThread<T>(T);

// SAFETY: `Python::detach` runs its closure on the thread that calls it, so that nothing changes threads.
unsafe impl<T> Send for SameThread<T> {}

impl<T> SameThread<T> {
    /// As a method, so that a closure takes the whole and not the part.
    fn into_inner(self) -> T {
        self.0
    }
}

/// Turns the engine until there is something for the interpreter to do. Without the GIL.
fn poll(worker: &mut Worker, mailbox: &Mailbox) -> io::Result<()> {
    loop {
        worker.turn(Pause::ForRequests)?;
        mailbox.empty_into(worker);
        if worker.has_work() || worker.is_finished() {
            return Ok(());
        }
    }
}
