//! A connection after its switch to the WebSocket protocol: frames in, messages to the inbox, frames out.
//!
//! OPEN -> CLOSING (our close frame went first) -> CLOSED (both went, or the peer is failed); then what waits is written
//! out, and the connection lingers as after any last answer.

use std::sync::Arc;

use crate::codec::ws::{
    Agreement, Decoder, DeflateParams, Deflater, Event, Limits, Opcode, write_close, write_header,
    write_message, write_ping, write_pong,
};
use crate::net::Transfer;
use crate::time::Millis;

use super::inbox::{ABNORMAL, NO_STATUS};
use super::{Conn, Context, Inbox, Message, NEVER, Part, Phase, Step, Verdict};

/// Answers to pings that may wait for a client: one that only asks and never reads gets no more of them, as RFC 6455
/// 5.5.3 lets all but the last go unanswered. Arbitrary: some hundred.
const MAX_UNREAD_PONGS: usize = 65_536;

/// Code and reason for clients that are to come again (IANA's WebSocket registry, "Service Restart").
const RESTART: (u16, &str) = (1012, "The server restarts.");

/// What WebSockets are told of the configuration. Times are milliseconds, 0 for never.
#[derive(Debug, Clone, Copy)]
pub struct WebSocketSettings {
    /// Largest message in bytes; 0 for no limit.
    pub max_message: usize,
    /// Messages held for the application before reading pauses.
    pub max_queue: usize,
    /// How long nothing may be heard of a client before it is asked whether it is there.
    pub ping_interval: Millis,
    /// How long its answer may take.
    pub ping_timeout: Millis,
    /// How long a client may take to answer our close frame.
    pub close_timeout: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Closing,
    Closed,
}

/// The WebSocket of a connection.
pub(super) struct Session {
    decoder: Decoder,
    deflate: Option<DeflateParams>,
    /// Its own, if its messages refer to each other.
    deflater: Option<Box<Deflater>>,
    inbox: Arc<Inbox>,
    stage: Stage,
    /// Something was heard of the client since the last look.
    has_spoken: bool,
    /// A ping waits for its answer.
    is_asked: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Session({:?})", self.stage)
    }
}

impl Session {
    pub(super) fn in_memory(&self) -> usize {
        let deflater = self.deflater.as_ref().map_or(0, |own| own.held());
        self.decoder.buffered() + self.inbox.held() + deflater
    }

    /// Tells the application that the connection has gone.
    pub(super) fn lose(&self) {
        self.inbox.close(ABNORMAL, "");
    }
}

/// How decoding some bytes ended.
struct Fed {
    used: usize,
    has_news: bool,
}

impl Conn {
    /// Makes the switch: sends `head`, and treats what follows as frames.
    pub fn open_websocket(
        &mut self,
        head: &[u8],
        agreement: Option<&Agreement>,
        context: &mut Context,
    ) -> (Arc<Inbox>, Verdict) {
        let settings = context.settings.websocket;
        let inbox = Arc::new(Inbox::new(settings.max_queue, settings.max_message));
        let limits = Limits {
            message_size: settings.max_message,
        };
        self.websocket = Some(Box::new(Session {
            decoder: Decoder::new(&limits, agreement.map(|agreed| agreed.inflate)),
            deflate: agreement.map(|agreed| agreed.deflate),
            deflater: None,
            inbox: Arc::clone(&inbox),
            stage: Stage::Open,
            has_spoken: true,
            is_asked: false,
        }));
        self.phase = Phase::WebSocket;
        self.lent = 0;
        self.keep_alive = false;
        self.linger = true;
        self.deadline = after(settings.ping_interval, context);
        let mut verdict = self.send(head, None, context);
        if verdict == Verdict::Keep && context.draining {
            verdict = self.restart_websocket(context);
        }
        if verdict == Verdict::Keep {
            verdict = self.pump(context);
        }
        (inbox, verdict)
    }

    /// Sends a message; the verdict is `None` if none can be sent any more.
    pub fn send_message(
        &mut self,
        is_text: bool,
        payload: &[u8],
        context: &mut Context,
    ) -> Option<Verdict> {
        let session = self.open_session()?;
        let mut frame = std::mem::take(&mut context.gathered);
        frame.clear();
        let deflater = match session.deflate {
            None => None,
            Some(params) if params.context_takeover => Some(
                &mut **session
                    .deflater
                    .get_or_insert_with(|| Box::new(Deflater::new(params))),
            ),
            Some(params) => Some(context.deflater(params)),
        };
        write_message(&mut frame, is_text, payload, deflater);
        let verdict = self.transmit(&frame, None, context);
        frame.shrink_to(super::context::SCRATCH);
        context.gathered = frame;
        Some(verdict)
    }

    /// Whether messages of this size go out as they are, so that they can be sent by reference.
    #[must_use]
    pub fn sends_plain(&self) -> bool {
        self.websocket
            .as_ref()
            .is_some_and(|session| session.deflate.is_none())
    }

    /// Sends a message that is held by reference and not compressed.
    pub fn send_large_message(
        &mut self,
        is_text: bool,
        length: usize,
        payload: Part,
        context: &mut Context,
    ) -> Option<Verdict> {
        self.open_session()?;
        let mut head = Vec::with_capacity(16);
        let opcode = if is_text {
            Opcode::Text
        } else {
            Opcode::Binary
        };
        write_header(&mut head, opcode, false, length);
        Some(self.transmit(&head, Some(payload), context))
    }

    /// Begins to close: sends a close frame, and waits for the client's.
    pub fn close_websocket(&mut self, code: u16, reason: &str, context: &mut Context) -> Verdict {
        let Some(session) = self.open_session() else {
            return Verdict::Keep;
        };
        session.stage = Stage::Closing;
        let is_news = session.inbox.close(code, reason);
        if is_news {
            context.tell(self.id);
        }
        context.refresh();
        // 0 would be no deadline; whoever wants no wait gets the shortest.
        self.deadline = context.now.millis + context.settings.websocket.close_timeout.max(1);
        let mut frame = Vec::new();
        write_close(&mut frame, Some(code), reason);
        match self.transmit(&frame, None, context) {
            // What still waits to be read may hold the client's own close frame.
            Verdict::Keep => self.pump(context),
            Verdict::Close => Verdict::Close,
        }
    }

    /// Asks the client to come again, as this worker ends.
    pub fn restart_websocket(&mut self, context: &mut Context) -> Verdict {
        self.close_websocket(RESTART.0, RESTART.1, context)
    }

    fn open_session(&mut self) -> Option<&mut Session> {
        self.websocket
            .as_deref_mut()
            .filter(|session| session.stage == Stage::Open)
    }

    pub(super) fn step_websocket(&mut self, context: &mut Context) -> Step {
        let Some(mut session) = self.websocket.take() else {
            return Step::Close;
        };
        let step = if session.stage == Stage::Closed {
            self.end_websocket(context)
        } else if session.stage == Stage::Open && session.inbox.is_full() {
            Step::Wait
        } else if self.unseen {
            self.unseen = false;
            let mut held = std::mem::take(&mut self.input);
            let at = std::mem::take(&mut self.at);
            let fed = self.feed_websocket(&mut session, &mut held[at..], context);
            self.keep_rest(&held[at + fed.used..]);
            self.tell_news(fed.has_news, context);
            Step::Again
        } else if self.readable {
            self.read_websocket(&mut session, context)
        } else {
            Step::Wait
        };
        self.websocket = Some(session);
        step
    }

    fn read_websocket(&mut self, session: &mut Session, context: &mut Context) -> Step {
        let mut scratch = std::mem::take(&mut context.scratch);
        let step = match self.receive(&mut scratch) {
            Transfer::Blocked => Step::Wait,
            Transfer::Broken(_) | Transfer::Done(0) => Step::Close,
            Transfer::Done(count) => {
                session.has_spoken = true;
                let fed = self.feed_websocket(session, &mut scratch[..count], context);
                self.keep_rest(&scratch[fed.used..count]);
                self.tell_news(fed.has_news, context);
                Step::Again
            }
        };
        context.scratch = scratch;
        step
    }

    fn tell_news(&mut self, has_news: bool, context: &mut Context) {
        if has_news {
            context.tell(self.id);
        }
    }

    /// Decodes until all bytes are used, the inbox is full, or nothing more is wanted.
    fn feed_websocket(
        &mut self,
        session: &mut Session,
        bytes: &mut [u8],
        context: &mut Context,
    ) -> Fed {
        let mut fed = Fed {
            used: 0,
            has_news: false,
        };
        loop {
            match session.decoder.decode(&mut bytes[fed.used..]) {
                Ok(decoded) => {
                    fed.used += decoded.consumed;
                    let Some(event) = decoded.event else {
                        return fed;
                    };
                    fed.has_news |= self.take_event(session, event, context);
                }
                Err(fault) => {
                    let mut frame = Vec::new();
                    if session.stage == Stage::Open {
                        write_close(&mut frame, Some(fault.code), fault.reason);
                    }
                    fed.has_news |= session.inbox.close(fault.code, fault.reason);
                    self.end_session(session, &frame, context);
                }
            }
            if session.stage == Stage::Closed {
                // RFC 6455 5.5.1: nothing is read behind a close frame.
                fed.used = bytes.len();
                return fed;
            }
            if session.stage == Stage::Open && session.inbox.is_full() {
                return fed;
            }
        }
    }

    /// Acts on one event. Returns whether the application has news.
    fn take_event(&mut self, session: &mut Session, event: Event, context: &mut Context) -> bool {
        match event {
            Event::Message { is_text, data } => {
                // After our close frame the application has no use for it.
                session.stage == Stage::Open && session.inbox.push(Message { is_text, data })
            }
            Event::Ping(payload) => {
                if session.stage == Stage::Open && self.output.in_memory() < MAX_UNREAD_PONGS {
                    let mut frame = Vec::new();
                    write_pong(&mut frame, &payload);
                    // A broken connection shows again when it is read.
                    let _ = self.transmit(&frame, None, context);
                }
                false
            }
            Event::Pong(_) => false,
            Event::Close { code, reason } => {
                let is_news = session.inbox.close(code.unwrap_or(NO_STATUS), &reason);
                let mut frame = Vec::new();
                if session.stage == Stage::Open {
                    // RFC 6455 5.5.1: answered with the code that came.
                    write_close(&mut frame, code, "");
                }
                self.end_session(session, &frame, context);
                is_news
            }
        }
    }

    fn end_session(&mut self, session: &mut Session, frame: &[u8], context: &mut Context) {
        session.stage = Stage::Closed;
        self.deadline = NEVER;
        if !frame.is_empty() {
            // A broken connection shows again when what waits is flushed.
            let _ = self.transmit(frame, None, context);
        }
    }

    /// Writes out what waits, then lingers: the client can read our close frame before the connection is gone.
    fn end_websocket(&mut self, context: &mut Context) -> Step {
        if self.flush(context) == Verdict::Close {
            return Step::Close;
        }
        if !self.output.is_empty() {
            return Step::Wait;
        }
        self.stream.finish_writing();
        self.forget_input();
        self.phase = Phase::Linger;
        self.deadline = context.now.millis + context.linger_timeout();
        Step::Again
    }

    /// A deadline of the WebSocket has passed.
    pub(super) fn expire_websocket(&mut self, context: &mut Context) -> Verdict {
        let settings = context.settings.websocket;
        let Some(session) = self.websocket.as_deref_mut() else {
            return Verdict::Close;
        };
        if session.stage != Stage::Open {
            return Verdict::Close;
        }
        // What waits behind a full inbox cannot be heard.
        let has_spoken = std::mem::take(&mut session.has_spoken) || session.inbox.is_full();
        if has_spoken {
            session.is_asked = false;
            self.deadline = after(settings.ping_interval, context);
            return Verdict::Keep;
        }
        if session.is_asked {
            // RFC 6455 7.1.7; the application sees that no close frame came.
            let mut frame = Vec::new();
            write_close(&mut frame, Some(1011), "No answer to a ping.");
            let _ = self.transmit(&frame, None, context);
            return Verdict::Close;
        }
        session.is_asked = settings.ping_timeout > 0;
        if let Some(deflater) = &mut session.deflater {
            // An idle connection holds no compressor.
            deflater.release();
        }
        self.deadline = if session.is_asked {
            after(settings.ping_timeout, context)
        } else {
            after(settings.ping_interval, context)
        };
        let mut frame = Vec::new();
        write_ping(&mut frame, b"");
        self.transmit(&frame, None, context)
    }
}

fn after(time: Millis, context: &Context) -> Millis {
    if time == 0 {
        NEVER
    } else {
        context.now.millis + time
    }
}
