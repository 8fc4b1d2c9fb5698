//! The sending half of a connection: what the application answers, written at once where the socket takes it.

use std::fs::File;
use std::io::IoSlice;
use std::sync::Arc;

use crate::codec::http1::Refusal;
use crate::net::Transfer;
use crate::shm::Board;

use super::outbox::{Flush, PORTION};
use super::{
    BodyFault, Conn, Context, Flow, NEVER, Payload, Phase, Request, Segment, Step, Verdict,
};

/// What follows some copied bytes.
pub enum Part {
    /// Bytes held by reference.
    Shared(Box<dyn Payload>),
    /// A part of a file, which need not be positioned.
    File {
        /// The open file.
        file: Arc<File>,
        /// Where the part begins.
        offset: u64,
        /// How long it is.
        length: u64,
    },
}

impl std::fmt::Debug for Part {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Shared(_) => "Shared",
            Self::File { .. } => "File",
        })
    }
}

/// How many bytes went out, and whether the connection is still there.
fn outcome(transfer: &Transfer) -> (usize, Verdict) {
    match transfer {
        Transfer::Done(count) => (*count, Verdict::Keep),
        Transfer::Blocked => (0, Verdict::Keep),
        Transfer::Broken(_) => (0, Verdict::Close),
    }
}

impl Conn {
    /// Sends `bytes` and then `part`. What the socket does not take now is kept in order.
    pub fn send(&mut self, bytes: &[u8], part: Option<Part>, context: &mut Context) -> Verdict {
        self.answering = true;
        if self.asked != 0 {
            let asked = std::mem::take(&mut self.asked);
            context.board.answer_first(asked, context.now.nanos);
        }
        if self.records.is_some() {
            return self.send_records(bytes, part, context);
        }
        self.transmit(bytes, part, context)
    }

    pub(super) fn transmit(
        &mut self,
        bytes: &[u8],
        part: Option<Part>,
        context: &mut Context,
    ) -> Verdict {
        if self.stream.is_channel() {
            return self.post(bytes, part, context);
        }
        let was_empty = self.output.is_empty();
        let verdict = match (part, was_empty) {
            (None, true) => self.send_first(bytes, &context.board),
            (Some(Part::Shared(payload)), true) => self.send_both(bytes, payload, context),
            (part, _) => {
                self.output.push_copy(bytes);
                if let Some(part) = part {
                    self.queue(part, context);
                }
                self.flush(context)
            }
        };
        // More to send is no progress: only what the client takes moves the deadline of an output that waits.
        if was_empty {
            self.note_progress(context);
        }
        self.report_flow();
        if !(was_empty && self.output.is_empty()) {
            self.charge(context);
        }
        verdict
    }

    fn send_first(&mut self, bytes: &[u8], board: &Board) -> Verdict {
        let (sent, verdict) = outcome(&self.stream.send(bytes));
        board.send(sent as u64);
        self.output.push_copy(&bytes[sent..]);
        verdict
    }

    fn send_both(
        &mut self,
        bytes: &[u8],
        payload: Box<dyn Payload>,
        context: &mut Context,
    ) -> Verdict {
        let body = (*payload).as_ref();
        let runs = [
            IoSlice::new(bytes),
            IoSlice::new(&body[..body.len().min(PORTION)]),
        ];
        let offered = runs[0].len() + runs[1].len();
        let (sent, verdict) = outcome(&self.stream.send_runs(&runs));
        context.board.send(sent as u64);
        self.output.push_copy(&bytes[sent.min(bytes.len())..]);
        let at = sent.saturating_sub(bytes.len());
        self.output
            .push(Segment::Shared(payload, at), &mut context.retired);
        if sent == offered {
            self.flush(context)
        } else {
            verdict
        }
    }

    pub(super) fn queue(&mut self, part: Part, context: &mut Context) {
        let segment = match part {
            Part::Shared(payload) => Segment::Shared(payload, 0),
            Part::File {
                file,
                offset,
                length,
            } => Segment::File {
                file,
                offset,
                remaining: length,
            },
        };
        self.output.push(segment, &mut context.retired);
    }

    /// Writes what waits; called when the socket takes more.
    pub fn flush(&mut self, context: &mut Context) -> Verdict {
        if self.output.is_empty() {
            self.stream.push();
            return Verdict::Keep;
        }
        // A channel's is written by its parent.
        let Some(socket) = self.stream.socket_mut() else {
            return Verdict::Keep;
        };
        let mut written = 0;
        let flush = self
            .output
            .flush(socket, &mut context.retired, &mut written);
        if written > 0 {
            context.board.send(written);
            self.note_progress(context);
            self.report_flow();
            self.report_room(context);
        }
        self.unfinished |= flush == Flush::Paused;
        if flush == Flush::Broken {
            Verdict::Close
        } else {
            Verdict::Keep
        }
    }

    /// The client has taken something: the deadline for the rest counts from now.
    fn note_progress(&mut self, context: &mut Context) {
        if self.output.is_empty() {
            self.stalled = NEVER;
            if self.phase == Phase::App && self.intake.is_some() && self.deadline != NEVER {
                context.refresh();
                self.deadline = context.now.millis + context.settings.body_timeout;
            }
        } else {
            context.refresh();
            self.stalled = context.now.millis + context.settings.write_timeout;
        }
    }

    /// Whether nothing of the present request's answer was sent yet.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.asked != 0
    }

    /// Lets the thread in the application see how much is unsent.
    pub fn attach_flow(&mut self, flow: Arc<Flow>) {
        self.flow = Some(flow);
        self.report_flow();
    }

    pub(super) fn report_flow(&self) {
        if let Some(flow) = &self.flow {
            flow.set_queued(self.output.in_memory());
        }
    }

    /// Bytes that wait to be sent; of a file, what it counts for.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.output.backlog()
    }

    /// Notes that the application waits until no more than `mark` bytes are unsent.
    pub fn want_room(&mut self, mark: usize) {
        self.room_wanted = Some(mark);
    }

    pub(super) fn report_room(&mut self, context: &mut Context) {
        if self
            .room_wanted
            .is_some_and(|mark| self.output.backlog() <= mark)
        {
            self.room_wanted = None;
            context.tell(self.id);
        }
    }

    /// Whether the client has closed its writing side and the application knows.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.end_told
    }

    /// The application's response is complete: all of it was given to `send`.
    pub fn answer(
        &mut self,
        request: Box<Request>,
        keep_alive: bool,
        context: &mut Context,
    ) -> Verdict {
        if self.stream.is_channel() {
            return self.answer_stream(request, keep_alive, context);
        }
        if self.records.is_some() {
            self.finish_records(context);
        }
        self.flow = None;
        if self.room_wanted.take().is_some() {
            // Another task of the application's has ended the response meanwhile.
            context.tell(self.id);
        }
        self.request = Some(request);
        // RFC 9112 9.6: the client does not know yet that this answer is the last, and may be sending its next request.
        self.linger |= self.keep_alive && !keep_alive;
        self.keep_alive &= keep_alive;
        self.lent = 0;
        // The client may still send a body: nobody reads it any more, and whoever waits for it must not wait for ever.
        self.fail_pipe(BodyFault::Abandoned);
        self.phase = Phase::Answered;
        self.deadline = NEVER;
        self.pump(context)
    }

    /// Refuses a request that was dispatched already.
    pub fn refuse_request(
        &mut self,
        request: Box<Request>,
        refusal: &Refusal,
        context: &mut Context,
    ) -> Verdict {
        self.request = Some(request);
        self.refuse(refusal, context);
        self.pump(context)
    }

    /// Bytes that arrive for a streamed body are wanted again, or for the first time. The wish of a request that is over
    /// changes nothing.
    pub fn resume_body(&mut self, send_continue: bool, context: &mut Context) -> Verdict {
        if self.phase == Phase::App && self.intake.is_some() {
            if send_continue {
                self.send_continue(context);
            }
            context.refresh();
            self.deadline = context.now.millis + context.settings.body_timeout;
        }
        self.resume(context)
    }

    pub(super) fn step_answered(&mut self, context: &mut Context) -> Step {
        if self.stream.is_channel() {
            return Step::Wait;
        }
        if !self.output.is_empty() {
            if self.flush(context) == Verdict::Close {
                return Step::Close;
            }
            if !self.output.is_empty() {
                return Step::Wait;
            }
        }
        if let Some(request) = self.request.take() {
            // Where closing is our wish and not the client's, it may have sent on, and closing over unread bytes would
            // take our answer from it (RFC 9112 9.6).
            self.readable |= request.head.keep_alive && !self.keep_alive && self.stream.has_input();
            context.finish(request);
        }
        if self.keep_alive && !self.ended {
            self.phase = Phase::Head;
            self.deadline = context.now.millis + context.idle_timeout();
            return Step::Again;
        }
        if self.keep_alive && (self.unseen || self.readable) {
            // The client has closed its writing side; requests it sent before that are still answered.
            self.phase = Phase::Head;
            return Step::Again;
        }
        if !self.stream.conclude() {
            self.await_conclusion(context);
            return Step::Wait;
        }
        if self.linger || self.unseen || self.readable {
            self.stream.finish_writing();
            self.forget_input();
            self.phase = Phase::Linger;
            self.deadline = context.now.millis + context.linger_timeout();
            return Step::Again;
        }
        Step::Close
    }
}
