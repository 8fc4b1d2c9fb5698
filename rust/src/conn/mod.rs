//! One connection: the HTTP/1 codec over one socket, from the first byte to the last.
//!
//! Theory of operation. A connection is in one phase at a time and holds one request at a time; pipelined bytes wait in
//! `input`. `pump` moves it as far as it can go and never blocks; the owner calls it when the socket is ready, when the
//! application has answered, or when a deadline has come. All that connections share is in `Context`.
//!
//! HEAD -> BODY -> APP -> ANSWERED -> HEAD (or LINGER, or closed). A refused request goes straight to ANSWERED.
//!
//! Invariants: bytes are read from the socket only in HEAD, BODY, LINGER, and in APP for a streamed body with room;
//! a connection in APP has exactly one request with the application; nothing here knows of Python.

mod body;
mod context;
mod flow;
mod log_record;
mod outbox;
mod reading;
mod request;
mod writing;

use std::sync::Arc;

pub use body::Body;
pub use context::{Context, Settings};
pub use flow::{BodyFault, BodyPipe, Flow, Poured};
pub use outbox::{Outbox, Payload, Retired, Segment};
pub use request::{ConnId, Request};
pub use writing::Part;

use crate::codec::http1::{Refusal, Scanned};
use crate::net::{Peer, Stream, Transfer};
use crate::time::Millis;
use reading::Intake;

/// No deadline.
pub const NEVER: Millis = Millis::MAX;

/// Where a connection is in its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for a request, or in the middle of its head.
    Head,
    /// Receiving a body that is buffered.
    Body,
    /// The request is with the application, or waits for it.
    App,
    /// The response is complete and being written out.
    Answered,
    /// Closing: what the client still sends is thrown away, so that it can read our last answer.
    Linger,
}

/// What `pump` asks of the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Wait for the socket, the application or the deadline.
    Keep,
    /// Close it.
    Close,
}

/// One step inside `pump`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Again,
    Wait,
    Close,
}

/// A connection.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own beside the phase"
)]
pub struct Conn {
    /// Its name.
    pub id: ConnId,
    /// Who is at the other end.
    pub peer: Peer,
    /// The index of the listener it came through.
    pub listener: usize,
    /// When the present phase must have made progress.
    pub deadline: Millis,
    /// When the timer wheel will look at it.
    pub visit: Millis,
    stream: Stream,
    phase: Phase,
    /// Bytes received and not yet used: a partial head, or the requests behind the present one.
    input: Vec<u8>,
    /// `input` has not been looked at since it was put there.
    unseen: bool,
    scanned: Scanned,
    readable: bool,
    /// The kernel reported the end of the stream, which is read after the bytes before it.
    ended: bool,
    output: Outbox,
    intake: Option<Box<Intake>>,
    /// The request whose body is being received, or whose response is being written out.
    request: Option<Box<Request>>,
    flow: Option<Arc<Flow>>,
    keep_alive: bool,
    /// After the response the client may still be sending: linger rather than close.
    linger: bool,
    served: u64,
    trusted: bool,
    charged: usize,
}

impl Conn {
    /// A fresh connection.
    #[must_use]
    pub fn new(id: ConnId, stream: Stream, peer: Peer, listener: usize, context: &Context) -> Self {
        Self {
            id,
            peer,
            listener,
            deadline: context.now.millis + context.settings.head_timeout,
            visit: NEVER,
            stream,
            phase: Phase::Head,
            input: Vec::new(),
            unseen: false,
            scanned: Scanned::default(),
            readable: false,
            ended: false,
            output: Outbox::default(),
            intake: None,
            request: None,
            flow: None,
            keep_alive: true,
            linger: false,
            served: 0,
            trusted: context.trusts(peer),
            charged: 0,
        }
    }

    /// The socket, for registration.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Where the connection is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Notes what the poller reported; `pump` acts on it.
    pub fn note_readiness(&mut self, readable: bool, ended: bool) {
        self.readable |= readable;
        self.ended |= ended;
    }

    /// Moves as far as possible.
    pub fn pump(&mut self, context: &mut Context) -> Verdict {
        loop {
            let step = match self.phase {
                Phase::Head => self.step_head(context),
                Phase::Body => self.step_body(context),
                Phase::App => self.step_app(context),
                Phase::Answered => self.step_answered(context),
                Phase::Linger => self.step_linger(context),
            };
            match step {
                Step::Again => {}
                Step::Wait => break,
                Step::Close => return Verdict::Close,
            }
        }
        self.charge(context);
        Verdict::Keep
    }

    /// Acts on a deadline that has passed.
    pub fn expire(&mut self, context: &mut Context) -> Verdict {
        match self.phase {
            Phase::Head if self.input.is_empty() => Verdict::Close,
            Phase::Head => {
                self.refuse(
                    &Refusal::new(408, "The request head did not arrive in time."),
                    context,
                );
                self.pump(context)
            }
            Phase::Body => {
                self.refuse(
                    &Refusal::new(408, "The request body did not arrive in time."),
                    context,
                );
                self.pump(context)
            }
            Phase::App if self.output.is_empty() => {
                self.fail_pipe(BodyFault::TimedOut);
                self.deadline = NEVER;
                Verdict::Keep
            }
            Phase::App | Phase::Answered | Phase::Linger => Verdict::Close,
        }
    }

    /// Whether it waits for a request and none has begun to arrive.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Head && self.input.is_empty()
    }

    /// Whether an idle connection may be closed without losing a request that has arrived already.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.is_idle() && !self.readable && !self.stream.has_input()
    }

    /// Lets go of everything before the connection is dropped. Returns the request that was not finished, if it is here.
    pub fn release(&mut self, context: &mut Context) -> Option<Box<Request>> {
        self.output.clear(&mut context.retired);
        if let Some(flow) = self.flow.take() {
            flow.close();
        }
        self.fail_pipe(BodyFault::Disconnected);
        context.buffered -= self.charged;
        self.charged = 0;
        self.request.take()
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Transfer {
        let transfer = self.stream.receive(buffer);
        match &transfer {
            // A short read means that the socket is empty (epoll(7)), unless the end of the stream is next.
            Transfer::Done(count) => self.readable = *count == buffer.len() || self.ended,
            Transfer::Blocked => self.readable = false,
            Transfer::Broken(_) => {}
        }
        transfer
    }

    fn fail_pipe(&mut self, fault: BodyFault) {
        if let Some(Intake {
            pipe: Some(pipe), ..
        }) = self.intake.as_deref()
        {
            pipe.fail(fault);
            self.intake = None;
            self.keep_alive = false;
            self.linger = true;
        }
    }

    /// Keeps the worker's account of buffered bytes.
    fn charge(&mut self, context: &mut Context) {
        let held = self.input.capacity()
            + self.output.in_memory()
            + self.intake.as_ref().map_or(0, |intake| intake.in_memory());
        context.buffered = context.buffered - self.charged + held;
        self.charged = held;
    }
}
