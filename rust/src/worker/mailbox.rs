//! What threads that do not hold the engine want done by the one that does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::codec::http1::Refusal;
use crate::conn::{ConnId, Flow, Part, Request};
use crate::reactor::Waker;

use super::Worker;

/// One thing to do; each is the method of [`Worker`] of the same name.
#[derive(Debug)]
pub enum Command {
    /// Send bytes, then a part.
    Send(ConnId, Vec<u8>, Option<Part>),
    /// The response is complete; the flag is whether the connection may go on.
    Answer(Box<Request>, bool),
    /// The response cannot be completed.
    Abort(Box<Request>),
    /// The request is refused in place of the application.
    Refuse(Box<Request>, Refusal),
    /// The server answers while the application still has the request; the flag is whether it was a HEAD.
    Overrule(ConnId, Refusal, bool),
    /// The request that was answered so comes back.
    ConcludeOverruled(Box<Request>),
    /// Let a thread follow what is unsent.
    AttachFlow(ConnId, Arc<Flow>),
    /// More of a streamed body is wanted; the flag asks for "100 Continue".
    ResumeBody(ConnId, bool),
    /// Drain the worker.
    Drain,
    /// Stop the worker.
    Stop,
    /// Reopen the access log.
    ReopenLogs,
}

/// Commands in the order in which they were left.
#[derive(Debug)]
pub struct Mailbox {
    commands: Mutex<Vec<Command>>,
    is_filled: AtomicBool,
    waker: Waker,
}

impl Mailbox {
    /// An empty mailbox whose letters wake the engine.
    #[must_use]
    pub fn new(waker: Waker) -> Self {
        Self {
            commands: Mutex::default(),
            is_filled: AtomicBool::new(false),
            waker,
        }
    }

    /// Leaves a command and wakes whoever polls. Any thread.
    pub fn leave(&self, command: Command) {
        self.commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(command);
        self.is_filled.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    /// Wakes whoever polls, without a command. Any thread.
    pub fn nudge(&self) {
        self.waker.wake();
    }

    /// Whether something was left. Costs one load.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.is_filled.load(Ordering::SeqCst)
    }

    /// Carries out what was left.
    pub fn empty_into(&self, worker: &mut Worker) {
        if !self.is_filled.swap(false, Ordering::SeqCst) {
            return;
        }
        let commands =
            std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner));
        for command in commands {
            worker.apply(command);
        }
        worker.write_streams();
    }
}

impl Worker {
    fn apply(&mut self, command: Command) {
        match command {
            Command::Send(id, bytes, part) => self.send(id, &bytes, part),
            Command::Answer(request, keep_alive) => self.answer(request, keep_alive),
            Command::Abort(request) => self.abort(request),
            Command::Refuse(request, refusal) => self.refuse(request, &refusal),
            Command::Overrule(id, refusal, is_head) => self.overrule(id, &refusal, is_head),
            Command::ConcludeOverruled(request) => self.conclude_overruled(request),
            Command::AttachFlow(id, flow) => self.attach_flow(id, flow),
            Command::ResumeBody(id, send_continue) => self.resume_body(id, send_continue),
            Command::Drain => self.drain(),
            Command::Stop => self.stop(),
            Command::ReopenLogs => self.reopen_logs(),
        }
    }
}
