//! What the threads of one engine share, and the way to the engine for a thread that is in the application.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use pyo3::prelude::*;

use crate::conn::{ConnId, Part, Request};
use crate::worker::{Command, Crew, Mailbox, Worker};

use super::wsgi::EnvironBuilder;

/// All parts of one engine.
pub(super) struct Shared {
    pub(super) crew: Crew<Worker>,
    pub(super) mailbox: Mailbox,
    pub(super) application: Py<PyAny>,
    pub(super) hooks: Py<PyAny>,
    /// Used by the thread that holds the engine, so never contended.
    pub(super) environ: Mutex<EnvironBuilder>,
    pub(super) response_buffer: usize,
    pub(super) server_header: Vec<u8>,
    /// Responses tell clients that the connection closes.
    pub(super) draining: AtomicBool,
    /// Requests until a replacement is asked for; 0 is never.
    pub(super) max_requests: u64,
    pub(super) requests: AtomicU64,
    /// Names in the environ that the access log asks for.
    pub(super) logged_environ: Vec<String>,
    pub(super) logs_response_headers: bool,
}

impl Shared {
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
        while self.mailbox.is_filled() {
            let Some(mut worker) = self.crew.try_engine() else {
                return;
            };
            self.mailbox.empty_into(&mut worker);
            self.crew.resume_call(worker);
        }
    }

    /// Sends a part of a response.
    pub(super) fn send(&self, id: ConnId, bytes: &[u8], part: Option<Part>) {
        if let Some(mut worker) = self.crew.try_engine() {
            self.mailbox.empty_into(&mut worker);
            worker.send(id, bytes, part);
            self.crew.resume_call(worker);
        } else {
            self.mailbox.leave(Command::Send(id, bytes.to_vec(), part));
        }
        self.serve_mailbox();
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
}

impl Ending {
    pub(super) fn tell(self, request: Box<Request>, worker: &mut Worker) {
        match self {
            Self::Answered {
                bytes,
                part,
                keep_alive,
            } => {
                worker.send(request.conn, &bytes, part);
                worker.answer(request, keep_alive);
            }
            Self::Aborted => worker.abort(request),
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
        }
    }
}

/// Shared, as every owner holds it.
pub(super) type Handle = Arc<Shared>;
