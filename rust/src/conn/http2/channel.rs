//! A stream of HTTP/2: a connection whose socket is a part of another connection.
//!
//! Everything that a connection does for one request, a stream does by the same code. In place of a socket it has a channel:
//! what it sends waits there and in its outbox until its parent has a turn for it, and what arrives is delivered by the
//! parent.

use std::sync::Arc;

use crate::codec::http1::Refusal;
use crate::codec::http2::Code;
use crate::conn::reading::{Ended, Fed};
use crate::conn::wire::Wire;
use crate::conn::{
    BodyFault, Conn, ConnId, Context, NEVER, Part, Phase, Proxied, Request, Verdict,
};
use crate::net::Peer;
use crate::tls::{Challenges, Facts};

/// How urgent a stream is whose client does not say (RFC 9218 4.1).
const URGENCY: u8 = 3;

/// What streams have of their connection.
#[derive(Debug, Clone)]
pub(in crate::conn) struct Origin {
    pub(in crate::conn) id: ConnId,
    pub(in crate::conn) peer: Peer,
    pub(in crate::conn) listener: usize,
    pub(in crate::conn) trusted: bool,
    pub(in crate::conn) is_https: bool,
    pub(in crate::conn) proxied: Option<Arc<Proxied>>,
    pub(in crate::conn) tls: Option<Arc<Facts>>,
}

/// The stream's side of its parent.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(in crate::conn) struct Channel {
    pub(super) parent: ConnId,
    pub(super) number: u32,
    /// Heads that wait to be sent, in the text of HTTP/1: interim ones and the final one.
    pub(super) heads: Vec<u8>,
    /// What is sent next begins with a head.
    expects_head: bool,
    /// Field lines for the end.
    pub(super) trailers: Vec<u8>,
    /// Bytes that the client takes.
    pub(super) send_window: i64,
    /// Bytes that the client may send.
    pub(super) receive_window: i64,
    /// Bytes that arrived and that the client has not been given leave to replace.
    received: usize,
    /// Leave that the parent is to pass on.
    pub(super) grant: u32,
    /// The client has sent all it has to send.
    pub(super) is_half_closed: bool,
    /// All of the answer is here.
    pub(super) is_finished: bool,
    /// The parent has been told that something waits here.
    pub(super) is_queued: bool,
    pub(super) urgency: u8,
    /// It was opened for a WebSocket, whose bytes wait for its acceptance.
    is_for_websocket: bool,
    /// Why the stream is to be reset, if it is.
    pub(super) fault: Option<Code>,
    tls: Option<Arc<Facts>>,
}

impl Channel {
    pub(super) fn new(origin: &Origin, number: u32, send_window: i64, receive_window: i64) -> Self {
        Self {
            parent: origin.id,
            number,
            heads: Vec::new(),
            expects_head: true,
            trailers: Vec::new(),
            send_window,
            receive_window,
            received: 0,
            grant: 0,
            is_half_closed: false,
            is_finished: false,
            is_queued: false,
            urgency: URGENCY,
            is_for_websocket: false,
            fault: None,
            tls: origin.tls.clone(),
        }
    }

    pub(in crate::conn) fn in_memory(&self) -> usize {
        self.heads.capacity() + self.trailers.capacity()
    }

    /// What is known of the connection's TLS.
    pub(in crate::conn) fn facts(&self) -> Option<&Arc<Facts>> {
        self.tls.as_ref()
    }

    /// The client sends no more.
    pub(in crate::conn) fn is_half_closed(&self) -> bool {
        self.is_half_closed
    }

    /// Tells the parent that something waits.
    fn mark(&mut self, context: &mut Context) {
        if !self.is_queued {
            self.is_queued = true;
            context.outgoing.push((self.parent, self.number));
        }
    }

    /// Takes the heads off what is sent. Returns the rest.
    fn take_heads<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut rest = bytes;
        while self.expects_head && !rest.is_empty() {
            let end = head_end(rest);
            // "HTTP/1.1 103 ..."; the switch to WebSocket is final here.
            self.expects_head = rest.get(9) == Some(&b'1') && rest.get(9..12) != Some(b"101");
            self.heads.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
        }
        rest
    }
}

/// The length of the head that `text` begins with, which this server has written.
fn head_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(end) = memchr::memchr(b'\n', &text[at..]) {
        at += end + 1;
        if text[at..].starts_with(b"\r\n") {
            return at + 2;
        }
    }
    text.len()
}

impl Conn {
    /// A stream that a client has opened.
    pub(super) fn on_channel(id: ConnId, origin: &Origin, channel: Channel) -> Self {
        let wire = Wire::Channel(Box::new(channel));
        let mut conn = Self::on(wire, id, origin.peer, origin.listener);
        conn.trusted = origin.trusted;
        conn.is_https = origin.is_https;
        conn.proxied.clone_from(&origin.proxied);
        conn
    }

    pub(super) fn channel(&mut self) -> Option<&mut Channel> {
        self.stream.channel_mut()
    }

    /// Tells the parent that something waits.
    pub(in crate::conn) fn mark(&mut self, context: &mut Context) {
        if let Some(channel) = self.stream.channel_mut() {
            channel.mark(context);
        }
    }

    /// Takes a request whose head is complete.
    pub(super) fn admit_stream(
        &mut self,
        mut request: Box<Request>,
        end_stream: bool,
        context: &mut Context,
    ) {
        self.prepare(&mut request, context);
        if Challenges::concerns(request.head.path.of(&request.bytes)) {
            match self.answer_authority(request, context) {
                Some(others) => request = others,
                None => return,
            }
        }
        if let Some(port) = context.settings.https_port {
            if !request.is_https() {
                self.redirect(request, port, context);
                return;
            }
        }
        let is_for_websocket = request.head.is_websocket;
        if let Some(channel) = self.stream.channel_mut() {
            channel.is_for_websocket = is_for_websocket;
        }
        if end_stream || is_for_websocket {
            self.dispatch(request, context);
        } else {
            self.receive_body(request, &[], context);
        }
        self.charge(context);
    }

    /// Refuses a request whose head was understood far enough for an answer.
    pub(super) fn refuse_stream(
        &mut self,
        mut request: Box<Request>,
        refusal: &Refusal,
        context: &mut Context,
    ) {
        self.prepare(&mut request, context);
        self.request = Some(request);
        self.refuse(refusal, context);
    }

    /// Keeps what is sent until the parent writes it.
    pub(in crate::conn) fn post(
        &mut self,
        bytes: &[u8],
        part: Option<Part>,
        context: &mut Context,
    ) -> Verdict {
        let Some(channel) = self.stream.channel_mut() else {
            return Verdict::Close;
        };
        let rest = channel.take_heads(bytes);
        self.output.push_copy(rest);
        if let Some(part) = part {
            self.queue(part, context);
        }
        self.mark(context);
        self.report_flow();
        self.charge(context);
        Verdict::Keep
    }

    /// All of the answer was given to `post`. One that is not whole must not look so.
    pub(in crate::conn) fn answer_stream(
        &mut self,
        mut request: Box<Request>,
        is_whole: bool,
        context: &mut Context,
    ) -> Verdict {
        if let Some(channel) = self.stream.channel_mut() {
            channel.trailers = std::mem::take(&mut request.trailers);
            if !is_whole {
                channel.fault = Some(Code::Internal);
            }
        }
        self.flow = None;
        if self.room_wanted.take().is_some() {
            context.tell(self.id);
        }
        self.request = Some(request);
        self.lent = 0;
        self.fail_pipe(BodyFault::Abandoned);
        self.finish_stream(context);
        Verdict::Keep
    }

    /// Nothing more will be sent.
    pub(in crate::conn) fn finish_stream(&mut self, context: &mut Context) {
        self.phase = Phase::Answered;
        self.deadline = NEVER;
        self.forget_input();
        if let Some(channel) = self.stream.channel_mut() {
            channel.is_finished = true;
        }
        self.mark(context);
        self.charge(context);
    }

    /// Takes bytes of the body, or of a WebSocket. Returns why the stream cannot go on, if so.
    pub(super) fn deliver(
        &mut self,
        data: &[u8],
        counted: u32,
        end_stream: bool,
        context: &mut Context,
    ) -> Result<(), Code> {
        let Some(channel) = self.stream.channel_mut() else {
            return Ok(());
        };
        channel.receive_window -= i64::from(counted);
        if channel.receive_window < 0 {
            return Err(Code::FlowControl);
        }
        channel.received += counted as usize;
        channel.is_half_closed = end_stream;
        let is_for_websocket = channel.is_for_websocket;
        match self.phase {
            Phase::App if is_for_websocket => self.keep_input(data),
            Phase::Body | Phase::App => self.take_body(data, end_stream, context)?,
            Phase::WebSocket => {
                self.keep_input(data);
                self.note_heard(context);
                if self.pump(context) == Verdict::Close {
                    return Err(Code::Cancel);
                }
            }
            _ => {}
        }
        self.charge(context);
        Ok(())
    }

    /// Keeps bytes for a WebSocket.
    fn keep_input(&mut self, data: &[u8]) {
        self.input.drain(..self.at);
        self.at = 0;
        self.input.extend_from_slice(data);
        self.unseen |= !self.input.is_empty();
    }

    fn take_body(
        &mut self,
        data: &[u8],
        end_stream: bool,
        context: &mut Context,
    ) -> Result<(), Code> {
        let Some(mut intake) = self.intake.take() else {
            return Ok(());
        };
        let pipe = intake.pipe.clone();
        self.deadline = context.now.millis + context.settings.body_timeout;
        let taken = intake
            .feed(data, context)
            .and_then(|_: Fed| intake.check_size(&context.settings.limits));
        let ended = match taken {
            Ok(()) => intake.judge(end_stream),
            Err(refusal) => Ended::Refused(refusal),
        };
        if pipe.is_some() {
            context.tell(self.id);
        }
        match (ended, pipe) {
            (Ended::Malformed, pipe) => {
                if let Some(pipe) = pipe {
                    pipe.fail(BodyFault::Disconnected);
                }
                return Err(Code::Protocol);
            }
            (Ended::Not, _) => self.intake = Some(intake),
            (Ended::Whole, Some(pipe)) => {
                pipe.finish();
                self.deadline = NEVER;
            }
            (Ended::Whole, None) => {
                if let Some(mut request) = self.request.take() {
                    request.body = intake.into_body();
                    self.dispatch(request, context);
                }
            }
            (Ended::Refused(refusal), Some(_)) => {
                self.intake = Some(intake);
                self.fail_pipe(BodyFault::Invalid(refusal));
                self.deadline = NEVER;
            }
            (Ended::Refused(refusal), None) => self.refuse(&refusal, context),
        }
        Ok(())
    }

    /// Gives the client leave to replace what was used of what it sent.
    pub(in crate::conn) fn grant(&mut self, context: &mut Context) {
        let held = match &self.intake {
            Some(intake) => intake.pipe.as_ref().map_or(0, |pipe: &Arc<_>| pipe.held()),
            None => self.input.len() - self.at,
        };
        let window = context.settings.http2.stream_window as usize;
        let is_over = self.phase == Phase::Answered;
        let Some(channel) = self.stream.channel_mut() else {
            return;
        };
        let free = channel.received.saturating_sub(held);
        if free < window.div_ceil(2) || channel.is_half_closed || is_over {
            return;
        }
        let more = u32::try_from(free).unwrap_or(u32::MAX);
        channel.received -= free;
        channel.grant = channel.grant.saturating_add(more);
        channel.receive_window += i64::from(more);
        channel.mark(context);
    }
}
