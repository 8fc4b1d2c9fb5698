//! The connection: where it stands, which streams it has, how it begins and ends.

use std::collections::VecDeque;

use crate::codec::http2::{
    Code, Decoder, Fault, HeaderDecoder, HeaderEncoder, OwnSettings, write_goaway, write_ping,
    write_settings,
};
use crate::conn::{Conn, Context, NEVER, Phase, Step, Verdict};
use crate::net::Transfer;
use crate::time::Millis;

use super::calm::Calm;
use super::channel::Origin;

/// Frames of the protocol's own that may wait for a client that does not read; then nothing more is read of it either.
const MAX_CONTROL: usize = 65_536;

/// The window of a connection. Bytes are taken over into the windows of streams at once, so that one stream whose body
/// nobody takes does not hold up the others.
pub(super) const CONNECTION_WINDOW: u32 = 1 << 20;

/// How long a client that was told to open no more streams may go on to: about a round trip, for those that do not answer.
const LEAVE: Millis = 500;

/// The number that stands for all streams in the first of two GOAWAY frames (RFC 9113 6.8).
const ALL_STREAMS: u32 = 0x7fff_ffff;

/// Numbers of streams remembered after their end.
const REMEMBERED: usize = 128;

/// Header blocks up to twice the size of what they may stand for are decoded, so that a head that is too large can be
/// answered; beyond that the connection ends.
const BLOCK_FACTOR: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Stage {
    Open,
    Leaving,
    Closing,
    Failed,
}

/// What the connection itself waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Preface,
    Frame,
    Request,
    Streams,
}

/// How a stream ended, for frames that come late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    /// Both sides have ended it, or the client has given it up.
    Closed,
    /// It was reset from here, and the client may not have known.
    Reset,
}

/// One connection's HTTP/2.
pub(in crate::conn) struct Session {
    pub(super) decoder: Decoder,
    pub(super) hub: Hub,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "Session({:?}, {} streams)",
            self.hub.stage,
            self.hub.streams.len()
        )
    }
}

/// All of it but the decoder, which events borrow from.
pub(super) struct Hub {
    pub(super) origin: Origin,
    pub(super) header_decoder: HeaderDecoder,
    pub(super) encoder: HeaderEncoder,
    /// By number.
    pub(super) streams: Vec<(u32, Box<Conn>)>,
    /// Streams that are gone while the application works for them.
    pub(super) ghosts: usize,
    /// The highest number of a stream so far.
    pub(super) last: u32,
    pub(super) past: VecDeque<(u32, Past)>,
    pub(super) stage: Stage,
    /// Streams that may be begun by a client that was told to go.
    pub(super) limit: u32,
    /// Frames of the protocol's own that wait to be written.
    pub(super) control: Vec<u8>,
    /// Streams with something to write, in the order of their turns.
    pub(super) queue: VecDeque<u32>,
    /// Some stream is not as urgent as the others.
    pub(super) has_urgencies: bool,
    /// Streams that the connection's window holds up.
    pub(super) starved: Vec<u32>,
    pub(super) send_window: i64,
    pub(super) initial_window: i64,
    pub(super) max_frame: usize,
    /// Bytes that arrived since the connection's window was last renewed.
    pub(super) received: u32,
    pub(super) calm: Calm,
    /// No stream has to be looked at before.
    pub(super) earliest: Millis,
    /// When the client that was told to go is told from where on.
    leave_at: Millis,
    wait: Wait,
    has_ended: bool,
    /// The worker has it on its list of those that are to write.
    pub(super) is_listed: bool,
}

impl Session {
    pub(in crate::conn) fn in_memory(&self) -> usize {
        let hub = &self.hub;
        self.decoder.held()
            + hub.header_decoder.held()
            + hub.encoder.held()
            + hub.control.capacity()
            + hub.streams.capacity() * size_of::<(u32, Box<Conn>)>()
            + hub.streams.len() * size_of::<Conn>()
    }

    /// Lets go of all streams, as the connection is gone.
    pub(in crate::conn) fn release(&mut self, context: &mut Context) {
        for (_, mut stream) in self.hub.streams.drain(..) {
            let request = stream.release(context);
            context.names.remove(stream.id, false);
            if let Some(request) = request {
                context.finish(request);
            }
        }
    }

    /// When something has to be done if nothing happens.
    pub(in crate::conn) fn due(&self) -> Millis {
        self.hub.earliest.min(self.hub.leave_at)
    }
}

impl Hub {
    fn new(origin: Origin, context: &Context) -> Self {
        let settings = context.settings.http2;
        let mut control = Vec::new();
        let own = OwnSettings {
            max_streams: settings.max_streams,
            stream_window: settings.stream_window,
            connection_window: CONNECTION_WINDOW,
            max_header_list: u32::try_from(context.settings.limits.head_size).unwrap_or(u32::MAX),
            connect_protocol: context.settings.tells_news,
        };
        write_settings(&mut control, &own);
        Self {
            origin,
            header_decoder: HeaderDecoder::default(),
            encoder: HeaderEncoder::default(),
            streams: Vec::new(),
            ghosts: 0,
            last: 0,
            past: VecDeque::new(),
            stage: Stage::Open,
            limit: ALL_STREAMS,
            control,
            queue: VecDeque::new(),
            has_urgencies: false,
            starved: Vec::new(),
            send_window: 65_535,
            initial_window: 65_535,
            max_frame: 16_384,
            received: 0,
            calm: Calm::new(settings.max_streams, context.now.millis),
            earliest: NEVER,
            leave_at: NEVER,
            wait: Wait::Preface,
            has_ended: false,
            is_listed: false,
        }
    }

    pub(super) fn place(&self, number: u32) -> Option<usize> {
        self.streams
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok()
    }

    pub(super) fn stream_mut(&mut self, number: u32) -> Option<&mut Conn> {
        let place = self.place(number)?;
        self.streams.get_mut(place).map(|(_, stream)| &mut **stream)
    }

    /// Puts a stream in line for writing.
    pub(super) fn enqueue(&mut self, number: u32) {
        self.queue.push_back(number);
    }

    /// Lets a stream go: its request ends, and the client is told with `code` if it does not know.
    pub(super) fn drop_stream(&mut self, number: u32, code: Option<Code>, context: &mut Context) {
        // While the client takes nothing, nobody would find out that it has no turn any more.
        self.queue.retain(|queued| *queued != number);
        self.starved.retain(|waiting| *waiting != number);
        self.remove_stream(number, code, context);
    }

    /// Lets a stream go that is not in line for writing; see `drop_stream`.
    pub(super) fn remove_stream(&mut self, number: u32, code: Option<Code>, context: &mut Context) {
        let Some(place) = self.place(number) else {
            return;
        };
        let (_, mut stream) = self.streams.remove(place);
        let is_at_work = stream.phase() == Phase::App || stream.is_overruled();
        let request = stream.release(context);
        context.names.remove(stream.id, is_at_work);
        self.ghosts += usize::from(is_at_work);
        if let Some(request) = request {
            context.finish(request);
        }
        let past = if code.is_some() {
            Past::Reset
        } else {
            Past::Closed
        };
        self.remember(number, past);
        if let Some(code) = code {
            crate::codec::http2::write_reset(&mut self.control, number, code);
        }
    }

    pub(super) fn remember(&mut self, number: u32, past: Past) {
        if self.past.len() >= REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back((number, past));
    }

    pub(super) fn past(&self, number: u32) -> Option<Past> {
        self.past
            .iter()
            .rev()
            .find(|(known, _)| *known == number)
            .map(|(_, past)| *past)
    }

    /// Ends the connection over what the client did.
    pub(super) fn fail(&mut self, fault: Fault, context: &mut Context) {
        if self.stage == Stage::Failed {
            return;
        }
        self.control.clear();
        // RFC 9113 6.8: never more than was told before, as the client may have tried those again elsewhere.
        let last = self.last.min(self.limit);
        write_goaway(&mut self.control, last, fault.code, fault.reason);
        self.stage = Stage::Failed;
        self.drop_all(context);
    }

    fn drop_all(&mut self, context: &mut Context) {
        while let Some((number, _)) = self.streams.last() {
            let number = *number;
            self.remove_stream(number, None, context);
        }
        self.queue.clear();
        self.starved.clear();
    }

    fn is_idle(&self) -> bool {
        self.streams.is_empty() && self.ghosts == 0
    }

    /// Whether nothing is left to be done but to close.
    fn is_over(&self) -> bool {
        match self.stage {
            Stage::Failed => true,
            Stage::Closing => self.streams.is_empty(),
            _ => self.has_ended && self.streams.is_empty(),
        }
    }

    /// Tells the client to open no more streams.
    fn leave(&mut self, context: &Context) {
        if self.stage == Stage::Open {
            self.stage = Stage::Leaving;
            write_goaway(&mut self.control, ALL_STREAMS, Code::NoError, "");
            if !self.streams.is_empty() {
                // The answer to it says that the client has read that. Without streams there is no hurry, and some clients
                // take nothing more.
                write_ping(&mut self.control, LEAVING);
            }
            self.leave_at = context.now.millis + LEAVE;
        }
    }

    /// Refuses all streams that are begun from now on.
    pub(super) fn close(&mut self) {
        if self.stage < Stage::Closing {
            self.stage = Stage::Closing;
            self.leave_at = NEVER;
            self.limit = self.last;
            write_goaway(&mut self.control, self.last, Code::NoError, "");
        }
    }
}

/// What the ping behind the first GOAWAY frame has in it.
pub(super) const LEAVING: [u8; 8] = *b"leaving\0";

impl Conn {
    /// Goes over to HTTP/2; `bytes` are those that have come.
    pub(in crate::conn) fn begin_http2(&mut self, bytes: &[u8], context: &mut Context) {
        let origin = Origin {
            id: self.id,
            peer: self.peer,
            listener: self.listener,
            trusted: self.trusted,
            is_https: self.is_https,
            proxied: self.proxied.clone(),
            tls: self.stream.facts().cloned(),
        };
        let max_block = context
            .settings
            .limits
            .head_size
            .saturating_mul(BLOCK_FACTOR);
        let mut session = Box::new(Session {
            decoder: Decoder::new(max_block),
            hub: Hub::new(origin, context),
        });
        if context.draining {
            session.hub.leave(context);
        }
        self.session = Some(session);
        self.phase = Phase::Http2;
        self.scanned = crate::codec::http1::Scanned::default();
        self.left = 0;
        self.feed_http2(bytes, context);
    }

    pub(in crate::conn) fn step_http2(&mut self, context: &mut Context) -> Step {
        if self.unseen {
            self.unseen = false;
            let held = std::mem::take(&mut self.input);
            let at = std::mem::take(&mut self.at);
            self.feed_http2(&held[at..], context);
            return Step::Again;
        }
        if self.write_streams(context) == Verdict::Close {
            return Step::Close;
        }
        let Some(session) = self.session.as_deref_mut() else {
            return Step::Close;
        };
        if session.hub.is_over() {
            return self.end_http2(context);
        }
        if !self.readable || session.hub.has_ended || session.hub.control.len() > MAX_CONTROL {
            return Step::Wait;
        }
        let mut scratch = std::mem::take(&mut context.scratch);
        let step = match self.receive(&mut scratch, &context.board) {
            Transfer::Blocked => Step::Wait,
            Transfer::Broken(_) => Step::Close,
            Transfer::Done(0) => {
                self.end_of_input(context);
                Step::Again
            }
            Transfer::Done(count) => {
                self.feed_http2(&scratch[..count], context);
                Step::Again
            }
        };
        context.scratch = scratch;
        step
    }

    /// The client sends nothing more. What it asked for is still answered.
    fn end_of_input(&mut self, context: &mut Context) {
        let Some(session) = self.session.as_deref_mut() else {
            return;
        };
        session.hub.has_ended = true;
        let unfinished: Vec<u32> = session
            .hub
            .streams
            .iter_mut()
            .filter_map(|(number, stream)| {
                stream.end_told = true;
                context.tell(stream.id);
                let is_open = stream
                    .channel()
                    .is_some_and(|channel| !channel.is_half_closed());
                is_open.then_some(*number)
            })
            .collect();
        for number in unfinished {
            session.hub.drop_stream(number, None, context);
        }
    }

    /// Writes out what waits, then lingers: the client can read why before the connection is gone.
    fn end_http2(&mut self, context: &mut Context) -> Step {
        if !self.output.is_empty() {
            return Step::Wait;
        }
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.hub.has_ended)
        {
            return Step::Close;
        }
        self.stream.finish_writing();
        self.forget_input();
        self.phase = Phase::Linger;
        self.deadline = context.now.millis + context.linger_timeout();
        Step::Again
    }

    /// Sets the deadline of what the connection itself waits for.
    pub(super) fn tend_http2(&mut self, context: &Context) {
        let Some(session) = self.session.as_deref_mut() else {
            return;
        };
        let settings = &context.settings;
        let wait = if !session.decoder.has_begun() {
            Wait::Preface
        } else if session.decoder.is_within() {
            Wait::Frame
        } else if session.hub.is_idle() {
            Wait::Request
        } else {
            Wait::Streams
        };
        if wait == session.hub.wait {
            return;
        }
        session.hub.wait = wait;
        self.deadline = match wait {
            // It counts from the beginning of the connection.
            Wait::Preface => self.deadline,
            Wait::Frame => context.now.millis + settings.head_timeout,
            Wait::Request => context.now.millis + context.idle_timeout(),
            Wait::Streams => NEVER,
        };
    }

    pub(in crate::conn) fn expire_http2(&mut self, context: &mut Context) -> Verdict {
        let now = context.now.millis;
        let Some(session) = self.session.as_deref_mut() else {
            return Verdict::Close;
        };
        let hub = &mut session.hub;
        if hub.leave_at <= now {
            hub.close();
        }
        if hub.earliest <= now {
            hub.expire_streams(context);
        }
        if self.deadline <= now {
            self.deadline = NEVER;
            match hub.wait {
                Wait::Preface | Wait::Frame => {
                    let fault = Fault::new(Code::NoError, "A frame did not arrive in time.");
                    hub.fail(fault, context);
                }
                Wait::Request => hub.close(),
                Wait::Streams => {}
            }
        }
        self.proceed(context)
    }

    /// Tells the client that the worker ends.
    pub fn leave_http2(&mut self, context: &mut Context) -> Verdict {
        let Some(session) = self.session.as_deref_mut() else {
            return Verdict::Keep;
        };
        session.hub.leave(context);
        let numbers: Vec<u32> = session
            .hub
            .streams
            .iter()
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            let Some(stream) = session.hub.stream_mut(number) else {
                continue;
            };
            if stream.phase() == Phase::WebSocket
                && stream.restart_websocket(context) == Verdict::Close
            {
                session.hub.drop_stream(number, Some(Code::Cancel), context);
            }
        }
        self.proceed(context)
    }

    /// One of the connection's streams.
    pub fn stream_mut(&mut self, number: u32) -> Option<&mut Self> {
        self.session.as_deref_mut()?.hub.stream_mut(number)
    }

    /// Lets a stream go that cannot go on.
    pub fn drop_stream(&mut self, number: u32, context: &mut Context) {
        if let Some(session) = self.session.as_deref_mut() {
            session.hub.drop_stream(number, Some(Code::Cancel), context);
            context.outgoing.push((self.id, 0));
        }
    }

    /// Breaks a stream off whose answer cannot be completed.
    pub fn abort_stream(&mut self, number: u32, context: &mut Context) {
        if let Some(session) = self.session.as_deref_mut() {
            if let Some(stream) = session.hub.stream_mut(number) {
                // The application is done with it.
                stream.phase = Phase::Answered;
            }
            session
                .hub
                .drop_stream(number, Some(Code::Internal), context);
            context.outgoing.push((self.id, 0));
        }
    }

    /// The application is done with a stream that was gone.
    pub fn bury_stream(&mut self, context: &mut Context) {
        if let Some(session) = self.session.as_deref_mut() {
            session.hub.ghosts = session.hub.ghosts.saturating_sub(1);
        }
        self.tend_http2(context);
    }

    /// A stream has something to write (or none, for 0, but the connection has). Returns whether the worker is to have this
    /// connection write, which it is not yet.
    pub fn enqueue_stream(&mut self, number: u32) -> bool {
        let Some(session) = self.session.as_deref_mut() else {
            return false;
        };
        if number != 0 {
            session.hub.enqueue(number);
        }
        !std::mem::replace(&mut session.hub.is_listed, true)
    }

    /// Notes that a stream has to be looked at by then.
    pub fn note_stream_due(&mut self, due: Millis) {
        if let Some(session) = self.session.as_deref_mut() {
            session.hub.earliest = session.hub.earliest.min(due);
        }
    }
}
