//! What the threads of one engine share, and the way to the engine for a thread that is in the application.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::intern;
use pyo3::prelude::*;

use crate::codec::http1::write_field;
use crate::conn::{ConnId, Context, Part, Request};
use crate::shm::BoardHandle;
use crate::time::monotonic_nanos;
use crate::worker::{Command, Crew, Mailbox, Worker};

use super::deadline::Deadlines;
use super::logged::Logged;
use super::mounts::{MountSettings, Mounts};
use super::report::log_error;
use super::response::with_date;
use super::settings::{EngineSettings, ListenerSettings};
use super::wsgi::EnvironBuilder;

/// All parts of one engine.
pub(super) struct Shared {
    pub(super) crew: Crew<Worker>,
    pub(super) mailbox: Mailbox,
    pub(super) scoreboard: BoardHandle,
    pub(super) mounts: Mounts,
    pub(super) hooks: Py<PyAny>,
    /// An event loop turns the engine, and only its thread touches it: all others leave commands.
    is_nested: bool,
    /// Used by the thread that holds the engine, so never contended.
    pub(super) environ: Mutex<EnvironBuilder>,
    pub(super) response_buffer: usize,
    pub(super) server_header: Vec<u8>,
    /// Value of the Strict-Transport-Security header, or empty. Where it is set, nobody is answered without TLS.
    pub(super) hsts: Vec<u8>,
    /// Responses tell clients that the connection closes.
    pub(super) draining: AtomicBool,
    /// Requests until a replacement is asked for; 0 is never.
    pub(super) max_requests: u64,
    pub(super) requests: AtomicU64,
    /// Requests that threads of the control plane have, or are to have.
    pub(super) submitted: AtomicUsize,
    /// What the access log asks of environs and scopes.
    pub(super) logged: Logged,
    pub(super) logs_response_headers: bool,
    pub(super) deadlines: Deadlines,
    /// The warden has the engine of an event loop for a moment.
    is_visited: AtomicBool,
}

/// How an engine is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driver {
    /// Its own threads poll and call the application.
    Threads,
    /// An event loop, in its one thread.
    Loop,
}

impl Shared {
    /// Wires an engine.
    pub(super) fn build(
        py: Python<'_>,
        settings: EngineSettings,
        listeners: Vec<ListenerSettings>,
        mounts: Vec<MountSettings>,
        hooks: Py<PyAny>,
        driver: Driver,
    ) -> PyResult<Handle> {
        let listeners = listeners
            .into_iter()
            .map(ListenerSettings::build)
            .collect::<PyResult<Vec<_>>>()?;
        let environ = EnvironBuilder::new(py, &settings, &listeners)?;
        let access_log = settings.open_access_log()?;
        let needs = access_log
            .as_ref()
            .map(|log| log.format().needs().clone())
            .unwrap_or_default();
        let deadlines = settings.for_deadlines()?;
        let threads = match driver {
            Driver::Threads => settings.threads.max(1),
            Driver::Loop => 1,
        };
        let board = settings.open_board()?;
        board.begin(monotonic_nanos(), threads);
        let scoreboard = board.handle();
        let mut context = Context::new(settings.for_connections(driver)?, access_log, board);
        context.challenges = settings.open_challenges()?;
        let worker = Worker::new(context, settings.for_worker()?, listeners)?;
        let mailbox = Mailbox::new(worker.waker());
        Ok(Arc::new(Self {
            mailbox,
            scoreboard,
            crew: Crew::new(worker, threads),
            mounts: Mounts::new(mounts, &settings.script_name),
            hooks,
            is_nested: driver == Driver::Loop,
            environ: Mutex::new(environ),
            response_buffer: settings.response_buffer,
            server_header: settings.server_header.into_bytes(),
            hsts: settings.hsts.into_bytes(),
            draining: AtomicBool::new(false),
            max_requests: settings.max_requests,
            requests: AtomicU64::new(0),
            submitted: AtomicUsize::new(0),
            logged: Logged::new(&needs),
            logs_response_headers: needs.response_headers,
            deadlines,
            is_visited: AtomicBool::new(false),
        }))
    }

    /// Does something with the engine if nobody else has it, or leaves the command that does it for whoever has.
    ///
    /// The interpreter is held, so the engine's lock is tried and never waited for.
    pub(super) fn order(&self, command: Command) {
        self.mailbox.leave(command);
        self.serve_mailbox();
    }

    /// Empties the mailbox if nobody holds the engine who would do it.
    ///
    /// Called after each release of the engine and after each letter, so that one of the two sides sees the other.
    pub(super) fn serve_mailbox(&self) {
        while !self.is_nested && self.mailbox.is_filled() {
            let Some(mut worker) = self.crew.try_engine() else {
                return;
            };
            self.mailbox.empty_into(&mut worker);
            self.crew.resume_call(worker);
        }
    }

    /// Empties the mailbox in the place of an event loop that does not come round. Without the interpreter, for a moment.
    pub(super) fn visit_engine(&self) {
        self.is_visited.store(true, Ordering::SeqCst);
        if let Some(mut worker) = self.crew.try_engine() {
            self.mailbox.empty_into(&mut worker);
        }
        self.is_visited.store(false, Ordering::SeqCst);
    }

    /// The engine, for the thread of an event loop: nobody else wants it, but for visits.
    pub(super) fn loop_engine(&self) -> Option<MutexGuard<'_, Worker>> {
        self.crew.try_engine().or_else(|| {
            if self.is_visited.load(Ordering::SeqCst) {
                Some(self.crew.wait_engine())
            } else {
                // The visit may just be over.
                self.crew.try_engine()
            }
        })
    }

    /// Sends a part of a response.
    pub(super) fn send(&self, id: ConnId, bytes: &[u8], part: Option<Part>) {
        match self.crew.try_engine() {
            Some(mut worker) if !self.is_nested => {
                self.mailbox.empty_into(&mut worker);
                worker.send(id, bytes, part);
                self.crew.resume_call(worker);
            }
            _ => self.mailbox.leave(Command::Send(id, bytes.to_vec(), part)),
        }
        self.serve_mailbox();
    }

    /// Whether threads of the application may poll while they wait for their clients.
    pub(super) fn is_nested(&self) -> bool {
        self.is_nested
    }

    /// Does what the engine has for the interpreter beside requests: lets go of objects, writes to the server log.
    pub(super) fn tidy(&self, py: Python<'_>, engine: &mut Worker) {
        engine.context.retired.clear();
        for line in std::mem::take(&mut engine.context.notices) {
            log_error(py, self, &line);
        }
    }

    /// Requests that threads of the control plane have, or are to have.
    pub(super) fn in_threads(&self) -> usize {
        self.submitted.load(Ordering::Relaxed)
    }

    /// Counts a request; asks for a replacement when this worker has served its number.
    pub(super) fn count(&self, py: Python<'_>) {
        let limit = self.max_requests;
        if limit > 0 && self.requests.fetch_add(1, Ordering::Relaxed) + 1 == limit {
            if let Err(error) = self.hooks.bind(py).call_method0(intern!(py, "recycle")) {
                error.write_unraisable(py, None);
            }
        }
    }

    /// Appends the fields that are the server's in each response.
    pub(super) fn write_common_fields(&self, head: &mut Vec<u8>) {
        with_date(|date| write_field(head, b"Date", date));
        if !self.server_header.is_empty() {
            write_field(head, b"Server", &self.server_header);
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// How one exchange ended, as the engine has to be told.
pub(super) enum Ending {
    /// The last bytes of the response, and whether the connection may go on.
    Answered {
        bytes: Vec<u8>,
        part: Option<Part>,
        keep_alive: bool,
    },
    /// The response is broken off.
    Aborted,
    /// The client was answered without the application.
    Overruled,
}

impl Ending {
    pub(super) fn tell(self, request: Box<Request>, worker: &mut Worker) {
        match self {
            Self::Answered {
                bytes,
                part,
                keep_alive,
            } => {
                worker.respond(request, &bytes, part, keep_alive);
            }
            Self::Aborted => worker.abort(request),
            Self::Overruled => worker.conclude_overruled(request),
        }
    }

    pub(super) fn leave(self, request: Box<Request>, mailbox: &Mailbox) {
        match self {
            Self::Answered {
                bytes,
                part,
                keep_alive,
            } => {
                mailbox.leave(Command::Send(request.conn, bytes, part));
                mailbox.leave(Command::Answer(request, keep_alive));
            }
            Self::Aborted => mailbox.leave(Command::Abort(request)),
            Self::Overruled => mailbox.leave(Command::ConcludeOverruled(request)),
        }
    }
}

/// Shared, as every owner holds it.
pub(super) type Handle = Arc<Shared>;
