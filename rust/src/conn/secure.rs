//! The beginning and the end of a connection with TLS over it.

use crate::codec::http1::Refusal;
use crate::net::Transfer;

use super::{Conn, Context, Phase, Step};

const PLAIN: Refusal =
    Refusal::bad_request("This port speaks TLS (https), and the client speaks plain HTTP.");

impl Conn {
    /// Begins the handshake; `received` was read together with what came before it.
    pub(super) fn begin_handshake(&mut self, received: &[u8], context: &Context) {
        self.stream.feed(received);
        self.readable |= !received.is_empty();
        self.phase = Phase::Handshake;
        self.deadline = context.now.millis + context.settings.handshake_timeout;
    }

    pub(super) fn step_handshake(&mut self, context: &mut Context) -> Step {
        if !self.readable {
            return Step::Wait;
        }
        let mut scratch = std::mem::take(&mut context.scratch);
        let transfer = self.receive(&mut scratch, &context.board);
        let is_over = !self.stream.is_handshaking();
        let step = match transfer {
            Transfer::Done(0) => Step::Close,
            Transfer::Done(count) => {
                self.keep_rest(&scratch[..count]);
                self.finish_handshake(context)
            }
            Transfer::Blocked if is_over => self.finish_handshake(context),
            Transfer::Blocked => Step::Wait,
            Transfer::Broken(_) => self.fail_handshake(context),
        };
        context.scratch = scratch;
        step
    }

    /// HANDSHAKE -> HEAD, or HTTP2.
    fn finish_handshake(&mut self, context: &mut Context) -> Step {
        if self.stream.protocol() == Some(b"h2") {
            self.deadline = context.now.millis + context.settings.head_timeout;
            self.begin_http2(&[], context);
            return Step::Again;
        }
        self.phase = Phase::Head;
        let limit = if context.draining {
            context.idle_timeout()
        } else {
            context.settings.head_timeout
        };
        self.deadline = context.now.millis + limit;
        Step::Again
    }

    /// An alert has told the client already, unless it speaks something else.
    fn fail_handshake(&mut self, context: &mut Context) -> Step {
        if !self.stream.is_plain() {
            return Step::Close;
        }
        self.stream.lay_bare();
        self.refuse(&PLAIN, context);
        Step::Again
    }

    /// The farewell of TLS does not go out yet: waits as for a client that takes nothing.
    pub(super) fn await_conclusion(&mut self, context: &mut Context) {
        if self.deadline == super::NEVER {
            context.refresh();
            self.deadline = context.now.millis + context.settings.write_timeout;
        }
    }

    /// Before the connection is dropped: where an answer is not complete, its end must not look like one.
    pub(super) fn leave_secure(&mut self) {
        if !matches!(self.phase, Phase::App | Phase::Handshake) && self.output.is_empty() {
            // Whether it is out is no more our concern.
            let _ = self.stream.conclude();
        }
    }
}
