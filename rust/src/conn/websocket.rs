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

use super::http2::Channel;
use super::inbox::{ABNORMAL, NO_STATUS};
use super::{Conn, Context, Inbox, Message, NEVER, Part, Phase, Step, Verdict};

/// Answers to pings that may wait for a client: one that only asks and never reads gets no more of them, as RFC 6455
/// 5.5.3 lets all but the last go unanswered. Arbitrary: some hundred.
const MAX_UNREAD_PONGS: usize = 65_536;

/// What a client that the worker has no memory left for is told (IANA's WebSocket registry, "Try Again Later").
const OVERLOADED: (u16, &str) = (1013, "The server has no memory left for this message.");

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

    /// Decodes until all bytes are used, the inbox is full, or nothing more is wanted. `unsent` bytes wait for the client.
    fn decode(&mut self, bytes: &mut [u8], unsent: usize, fed: &mut Fed) {
        loop {
            match self.decoder.decode(&mut bytes[fed.used..]) {
                Ok(decoded) => {
                    fed.used += decoded.consumed;
                    let Some(event) = decoded.event else {
                        return;
                    };
                    self.take_event(event, unsent, fed);
                }
                Err(fault) => self.fail((fault.code, fault.reason), fed),
            }
            let is_full = self.stage == Stage::Open && self.inbox.is_full();
            if is_full || self.stage == Stage::Closed {
                return;
            }
        }
    }

    fn take_event(&mut self, event: Event, unsent: usize, fed: &mut Fed) {
        match event {
            Event::Message { is_text, data } => {
                // After our close frame the application has no use for it.
                fed.has_news |=
                    self.stage == Stage::Open && self.inbox.push(Message { is_text, data });
            }
            Event::Ping(payload) => {
                let waits = unsent + fed.answers.len();
                if self.stage == Stage::Open && waits < MAX_UNREAD_PONGS {
                    write_pong(&mut fed.answers, &payload);
                }
            }
            Event::Pong(_) => {}
            Event::Close { code, reason } => {
                fed.has_news |= self.inbox.close(code.unwrap_or(NO_STATUS), &reason);
                if self.stage == Stage::Open {
                    // RFC 6455 5.5.1: answered with the code that came.
                    write_close(&mut fed.answers, code, "");
                }
                self.stage = Stage::Closed;
            }
        }
    }

    /// RFC 6455 7.1.7: our close frame, if it did not go before, and the end.
    fn fail(&mut self, (code, reason): (u16, &str), fed: &mut Fed) {
        if self.stage == Stage::Open {
            write_close(&mut fed.answers, Some(code), reason);
        }
        fed.has_news |= self.inbox.close(code, reason);
        self.stage = Stage::Closed;
    }
}

/// How decoding some bytes ended.
#[derive(Default)]
struct Fed {
    used: usize,
    has_news: bool,
    /// Frames in answer, which go out together: a client may send a ping with each six bytes.
    answers: Vec<u8>,
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
        context.board.open_websocket();
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

    /// Whether the application may still send: always, but to a WebSocket that one side has closed.
    #[must_use]
    pub fn takes_more(&self) -> bool {
        self.websocket
            .as_deref()
            .is_none_or(|session| session.stage == Stage::Open)
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
            let used = self.feed_websocket(&mut session, &mut held[at..], context);
            // Not copied, as the application may make room for one message at a time.
            self.keep_from(held, at + used);
            Step::Again
        } else if self.readable {
            self.read_websocket(&mut session, context)
        } else if self.stream.channel().is_some_and(Channel::is_half_closed) {
            // RFC 8441 5: the end of the stream is that of the connection.
            Step::Close
        } else {
            Step::Wait
        };
        self.websocket = Some(session);
        step
    }

    /// Something has arrived on a stream's channel.
    pub(super) fn note_heard(&mut self, context: &Context) {
        let Some(session) = self.websocket.as_deref_mut() else {
            return;
        };
        session.has_spoken = true;
        if std::mem::take(&mut session.is_asked) && session.stage == Stage::Open {
            self.deadline = after(context.settings.websocket.ping_interval, context);
        }
    }

    fn read_websocket(&mut self, session: &mut Session, context: &mut Context) -> Step {
        let mut scratch = std::mem::take(&mut context.scratch);
        let step = match self.receive(&mut scratch, &context.board) {
            Transfer::Blocked => Step::Wait,
            Transfer::Broken(_) | Transfer::Done(0) => Step::Close,
            Transfer::Done(count) => {
                session.has_spoken = true;
                if std::mem::take(&mut session.is_asked) && session.stage == Stage::Open {
                    self.deadline = after(context.settings.websocket.ping_interval, context);
                }
                let used = self.feed_websocket(session, &mut scratch[..count], context);
                self.keep_rest(&scratch[used..count]);
                Step::Again
            }
        };
        context.scratch = scratch;
        step
    }

    /// Decodes until all bytes are used, the inbox is full, or nothing more is wanted; answers and tells what came of it.
    /// Returns the bytes used.
    fn feed_websocket(
        &mut self,
        session: &mut Session,
        bytes: &mut [u8],
        context: &mut Context,
    ) -> usize {
        let mut fed = Fed::default();
        session.decode(bytes, self.output.in_memory(), &mut fed);
        if session.stage == Stage::Open
            && context.is_overloaded()
            && session.decoder.buffered() > super::context::SCRATCH
        {
            session.fail(OVERLOADED, &mut fed);
        }
        if session.stage == Stage::Closed {
            // RFC 6455 5.5.1: nothing is read behind a close frame.
            fed.used = bytes.len();
            // What waits may never leave: a client that has ended need not read on.
            self.deadline = context.now.millis + context.settings.websocket.close_timeout.max(1);
        }
        if !fed.answers.is_empty() {
            // A broken connection shows again when it is read, or when what waits is flushed.
            let _ = self.transmit(&fed.answers, None, context);
        }
        if fed.has_news {
            context.tell(self.id);
        }
        fed.used
    }

    /// Writes out what waits, then lingers: the client can read our close frame before the connection is gone.
    fn end_websocket(&mut self, context: &mut Context) -> Step {
        if self.stream.is_channel() {
            self.finish_stream(context);
            return Step::Wait;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read, Write};
    use std::os::unix::net::UnixStream;

    use crate::conn::tests::{conn, context};
    use crate::conn::{Closed, Received};

    const HANDSHAKE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
    const UNMASKED: &[u8] = b"\x81\x01a";

    /// Our side of a WebSocket, and the client's.
    struct Pair {
        conn: Conn,
        theirs: UnixStream,
        context: Context,
        inbox: Arc<Inbox>,
    }

    impl Pair {
        fn open() -> Self {
            Self::open_with(context(), b"")
        }

        /// Opens it; `early` comes in one write with the handshake.
        fn open_with(mut context: Context, early: &[u8]) -> Self {
            let (mut conn, mut theirs) = conn(&context);
            theirs.write_all(&[HANDSHAKE, early].concat()).unwrap();
            conn.note_readiness(true, false);
            assert_eq!(conn.pump(&mut context), Verdict::Keep);
            assert!(context.ready.pop_front().is_some());
            let (inbox, verdict) = conn.open_websocket(SWITCH, None, &mut context);
            assert_eq!(verdict, Verdict::Keep);
            let mut head = vec![0; SWITCH.len()];
            theirs.read_exact(&mut head).unwrap();
            assert_eq!(head, SWITCH);
            theirs.set_nonblocking(true).unwrap();
            Self {
                conn,
                theirs,
                context,
                inbox,
            }
        }

        fn receive(&mut self, bytes: &[u8]) -> Verdict {
            self.theirs.write_all(bytes).unwrap();
            self.conn.note_readiness(true, false);
            self.conn.pump(&mut self.context)
        }

        fn close(&mut self, code: u16) -> Verdict {
            self.conn.close_websocket(code, "", &mut self.context)
        }

        fn wait(&mut self, millis: Millis) -> Verdict {
            self.context.now.millis += millis;
            assert!(self.conn.due() <= self.context.now.millis, "nothing is due");
            self.conn.expire(&mut self.context)
        }

        /// What the client got since the last look.
        fn sent(&mut self) -> Vec<u8> {
            let mut all = Vec::new();
            match self.theirs.read_to_end(&mut all) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                ended => drop(ended.unwrap()),
            }
            all
        }

        fn news(&mut self) -> usize {
            std::mem::take(&mut self.context.news).len()
        }

        fn take(&self) -> Option<String> {
            match self.inbox.take() {
                Received::Message(message, _) => Some(String::from_utf8(message.data).unwrap()),
                Received::Closed(_) | Received::Nothing => None,
            }
        }

        fn end(&self) -> Option<u16> {
            match self.inbox.take() {
                Received::Closed(Closed { code, .. }) => Some(code),
                Received::Message(..) | Received::Nothing => None,
            }
        }
    }

    /// A client's frame, masked with zeros.
    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match u16::try_from(payload.len()) {
            Ok(length @ 0..126) => frame.push(0x80 | length.to_be_bytes()[1]),
            Ok(length) => {
                frame.push(0x80 | 0x7E);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 0x7F);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        frame
    }

    fn text(payload: &str) -> Vec<u8> {
        frame(1, payload.as_bytes())
    }

    fn closing(code: u16) -> Vec<u8> {
        frame(8, &code.to_be_bytes())
    }

    /// The beginning of our close frame with that code and a reason of so many bytes.
    fn our_close(code: u16, reason: u8) -> Vec<u8> {
        [&[0x88, 2 + reason][..], &code.to_be_bytes()].concat()
    }

    #[test]
    fn either_side_may_close_at_any_time_and_there_is_one_close_frame_of_ours() {
        struct Case {
            name: &'static str,
            /// We close after so many of the client's writes.
            ours: Option<usize>,
            writes: Vec<Vec<u8>>,
            sent: Vec<u8>,
            told: u16,
        }
        let case = |name, ours, writes: &[&[u8]], sent: &[u8], told| Case {
            name,
            ours,
            writes: writes.iter().map(|write| write.to_vec()).collect(),
            sent: sent.to_vec(),
            told,
        };
        let cases = [
            case("client", None, &[&closing(1001)], &our_close(1001, 0), 1001),
            case(
                "client without a code",
                None,
                &[&frame(8, b"")],
                &[0x88, 0],
                1005,
            ),
            case(
                "we, and the client answers",
                Some(0),
                &[&closing(3000)],
                &our_close(3000, 0),
                3000,
            ),
            case(
                "we, and the client sends on before it answers",
                Some(0),
                &[&text("late"), &frame(9, b"?"), &closing(3000)],
                &our_close(3000, 0),
                3000,
            ),
            case(
                "the client sends on",
                None,
                &[&[closing(1000), text("late"), closing(1001)].concat()],
                &our_close(1000, 0),
                1000,
            ),
            case(
                "we, and the client breaks the protocol",
                Some(0),
                &[UNMASKED],
                &our_close(3000, 0),
                3000,
            ),
            case(
                "we after the client",
                Some(1),
                &[&closing(1000)],
                &our_close(1000, 0),
                1000,
            ),
        ];
        for case in cases {
            let mut pair = Pair::open();
            for (index, write) in case.writes.iter().enumerate() {
                if case.ours == Some(index) {
                    assert_eq!(pair.close(3000), Verdict::Keep, "{}", case.name);
                }
                assert_eq!(pair.receive(write), Verdict::Keep, "{}", case.name);
            }
            if case.ours == Some(case.writes.len()) {
                assert_eq!(pair.close(3000), Verdict::Keep, "{}", case.name);
            }
            assert_eq!(pair.sent(), case.sent, "{}", case.name);
            assert_eq!(pair.conn.phase(), Phase::Linger, "{}", case.name);
            assert_eq!(pair.end(), Some(case.told), "{}", case.name);
            assert_eq!(pair.news(), 1, "{}", case.name);
            drop(pair.theirs);
            pair.conn.note_readiness(true, true);
            assert_eq!(pair.conn.pump(&mut pair.context), Verdict::Close);
            pair.conn.release(&mut pair.context);
            assert_eq!(pair.context.buffered, 0, "{}", case.name);
        }
    }

    #[test]
    fn both_may_close_at_once() {
        let mut pair = Pair::open();
        pair.theirs.write_all(&closing(1000)).unwrap();
        pair.conn.note_readiness(true, false);
        assert_eq!(pair.close(3000), Verdict::Keep);
        assert_eq!(pair.sent(), our_close(3000, 0));
        assert_eq!((pair.conn.phase(), pair.end()), (Phase::Linger, Some(3000)));
    }

    #[test]
    fn client_that_breaks_the_protocol_is_told_why() {
        let mut pair = Pair::open();
        assert_eq!(
            pair.receive(&[&text("good")[..], UNMASKED].concat()),
            Verdict::Keep
        );
        let sent = pair.sent();
        assert_eq!((sent[0], &sent[2..4]), (0x88, &1002_u16.to_be_bytes()[..]));
        assert_eq!(pair.take().as_deref(), Some("good"));
        assert_eq!((pair.end(), pair.news()), (Some(1002), 1));
    }

    #[test]
    fn end_without_a_close_frame_is_abnormal() {
        let mut pair = Pair::open();
        pair.theirs.write_all(&text("last")).unwrap();
        drop(pair.theirs);
        pair.conn.note_readiness(true, true);
        assert_eq!(pair.conn.pump(&mut pair.context), Verdict::Close);
        pair.conn.release(&mut pair.context);
        assert!(!pair.context.news.is_empty());
        let Received::Message(last, _) = pair.inbox.take() else {
            panic!("the last message is lost")
        };
        assert_eq!(last.data, b"last");
        let Received::Closed(closed) = pair.inbox.take() else {
            panic!("no end")
        };
        assert_eq!(closed.code, ABNORMAL);
    }

    #[test]
    fn client_that_does_not_answer_our_close_frame_is_dropped_in_time() {
        let mut pair = Pair::open();
        assert_eq!(pair.close(1000), Verdict::Keep);
        let due = pair.conn.due();
        // What it sends instead moves nothing.
        assert_eq!(pair.receive(&text("never mind")), Verdict::Keep);
        assert_eq!(pair.conn.due(), due);
        pair.context.now.millis = due;
        assert_eq!(pair.conn.expire(&mut pair.context), Verdict::Close);
    }

    #[test]
    fn frames_that_come_with_the_handshake_are_not_lost() {
        let early: Vec<u8> = (0..6).flat_map(|n| text(&n.to_string())).collect();
        let mut pair = Pair::open_with(context(), &early);
        let mut taken = Vec::new();
        while let Some(message) = pair.take() {
            taken.push(message);
            assert_eq!(pair.conn.pump(&mut pair.context), Verdict::Keep);
        }
        assert_eq!(taken, ["0", "1", "2", "3", "4", "5"]);
    }

    #[test]
    fn full_inbox_stops_reading_and_the_end_comes_after_all_messages() {
        let mut pair = Pair::open();
        let mut bytes: Vec<u8> = (0..50).flat_map(|n| text(&n.to_string())).collect();
        bytes.extend(closing(1000));
        assert_eq!(pair.receive(&bytes), Verdict::Keep);
        assert_eq!((pair.inbox.is_full(), pair.news()), (true, 1));
        assert_eq!(pair.sent(), b"");
        for number in 0..50 {
            assert_eq!(pair.take(), Some(number.to_string()));
            assert_eq!(pair.conn.pump(&mut pair.context), Verdict::Keep);
        }
        assert_eq!(pair.end(), Some(1000));
        assert_eq!(pair.sent(), our_close(1000, 0));
    }

    #[test]
    fn close_of_ours_does_not_wait_for_a_full_inbox() {
        let mut pair = Pair::open();
        let mut bytes: Vec<u8> = (0..50).flat_map(|n| text(&n.to_string())).collect();
        bytes.extend(closing(1000));
        assert_eq!(pair.receive(&bytes), Verdict::Keep);
        assert_eq!(pair.close(3000), Verdict::Keep);
        assert_eq!(pair.conn.phase(), Phase::Linger);
        assert_eq!(pair.sent(), our_close(3000, 0));
    }

    #[test]
    fn pings_of_one_read_are_answered_each_and_in_order() {
        let mut pair = Pair::open();
        let pings: Vec<u8> = (0..100_u8).flat_map(|n| frame(9, &[n])).collect();
        assert_eq!(pair.receive(&pings), Verdict::Keep);
        let answers: Vec<u8> = (0..100_u8).flat_map(|n| [0x8A, 1, n]).collect();
        assert_eq!(pair.sent(), answers);
        assert_eq!(pair.news(), 0);
    }

    #[test]
    fn pongs_that_nobody_reads_are_bounded() {
        let mut pair = Pair::open();
        let pings: Vec<u8> = (0..400).flat_map(|_| frame(9, &[b'p'; 120])).collect();
        for _ in 0..200 {
            assert_eq!(pair.receive(&pings), Verdict::Keep);
        }
        assert!(pair.conn.unsent() > 0);
        assert!(pair.conn.unsent() < MAX_UNREAD_PONGS + 65_536);
        // It takes nothing, which has an end.
        assert_eq!(pair.wait(1_000), Verdict::Close);
    }

    #[test]
    fn silent_client_is_asked_once_and_then_dropped() {
        let mut pair = Pair::open();
        assert_eq!(pair.wait(1_000), Verdict::Keep);
        assert_eq!(pair.sent(), b"", "it was heard of when it connected");
        assert_eq!(pair.wait(1_000), Verdict::Keep);
        assert_eq!(pair.sent(), b"\x89\x00");
        assert_eq!(pair.wait(1_000), Verdict::Close);
        pair.conn.release(&mut pair.context);
        assert_eq!(pair.end(), Some(ABNORMAL));
    }

    #[test]
    fn client_that_answers_pings_stays() {
        let mut pair = Pair::open();
        pair.wait(1_000);
        for _ in 0..5 {
            assert_eq!(pair.wait(1_000), Verdict::Keep);
            assert_eq!(pair.sent(), b"\x89\x00");
            assert_eq!(pair.receive(&frame(10, b"")), Verdict::Keep);
            assert_eq!(pair.wait(1_000), Verdict::Keep);
            assert_eq!(pair.sent(), b"");
        }
    }

    #[test]
    fn client_whose_answer_waits_behind_a_full_inbox_is_not_dropped() {
        let mut pair = Pair::open();
        let bytes: Vec<u8> = (0..9).flat_map(|n| text(&n.to_string())).collect();
        assert_eq!(pair.receive(&bytes), Verdict::Keep);
        for _ in 0..5 {
            assert_eq!(pair.wait(1_000), Verdict::Keep);
        }
        assert_eq!(pair.sent(), b"");
    }

    #[test]
    fn handshake_that_ends_after_the_drain_began_is_asked_to_come_again() {
        let mut draining = context();
        draining.draining = true;
        let mut pair = Pair::open_with(draining, b"");
        let sent = pair.sent();
        assert_eq!((sent[0], &sent[2..4]), (0x88, &1012_u16.to_be_bytes()[..]));
        assert_eq!(pair.end(), Some(1012));
        // A second order changes nothing.
        let due = pair.conn.due();
        assert_eq!(
            pair.conn.restart_websocket(&mut pair.context),
            Verdict::Keep
        );
        assert_eq!((pair.sent(), pair.conn.due()), (Vec::new(), due));
        assert_eq!(
            pair.conn.send_message(true, b"late", &mut pair.context),
            None
        );
    }

    #[test]
    fn room_is_told_of_once_it_is_there() {
        let mut pair = Pair::open();
        let large = vec![b'x'; 1 << 20];
        let sent = pair.conn.send_message(false, &large, &mut pair.context);
        assert_eq!(sent, Some(Verdict::Keep));
        assert!(pair.context.buffered >= pair.conn.unsent() && pair.conn.unsent() > 1_000);
        pair.conn.want_room(1_000);
        assert_eq!(pair.news(), 0);
        let mut received = 0;
        while pair.conn.unsent() > 0 {
            received += pair.sent().len();
            assert_eq!(pair.conn.proceed(&mut pair.context), Verdict::Keep);
        }
        received += pair.sent().len();
        assert_eq!((received, pair.news()), (large.len() + 10, 1));
    }

    #[test]
    fn closing_waits_for_what_was_sent_before_it() {
        let mut pair = Pair::open();
        let large = vec![b'x'; 1 << 20];
        pair.conn.send_message(false, &large, &mut pair.context);
        assert_eq!(pair.receive(&closing(1000)), Verdict::Keep);
        assert_eq!(
            (pair.conn.phase(), pair.end()),
            (Phase::WebSocket, Some(1000))
        );
        let mut received = Vec::new();
        while pair.conn.phase() == Phase::WebSocket {
            received.extend(pair.sent());
            assert_eq!(pair.conn.proceed(&mut pair.context), Verdict::Keep);
        }
        received.extend(pair.sent());
        assert_eq!(received.len(), large.len() + 10 + 4);
        assert!(received.ends_with(&our_close(1000, 0)));
    }

    #[test]
    fn messages_are_accounted_for_until_the_application_has_them() {
        let mut pair = Pair::open();
        assert_eq!(pair.receive(&text(&"a".repeat(50_000))), Verdict::Keep);
        assert!(pair.context.buffered >= 50_000);
        let Received::Message(_, is_to_be_told) = pair.inbox.take() else {
            panic!("no message")
        };
        assert!(is_to_be_told);
        assert_eq!(pair.conn.pump(&mut pair.context), Verdict::Keep);
        assert_eq!(pair.context.buffered, 0);
    }

    #[test]
    fn worker_without_memory_refuses_large_messages_and_takes_small_ones() {
        let mut pair = Pair::open();
        pair.context.settings.max_buffered = 1;
        pair.context.buffered = 2;
        assert_eq!(pair.receive(&text("small")), Verdict::Keep);
        assert_eq!(pair.take().as_deref(), Some("small"));
        let large = frame(2, &vec![0; 200_000]);
        let mut verdict = Verdict::Keep;
        for piece in large[..190_000].chunks(10_000) {
            verdict = pair.receive(piece);
        }
        assert_eq!((verdict, pair.end()), (Verdict::Keep, Some(1013)));
        let sent = pair.sent();
        assert_eq!((sent[0], &sent[2..4]), (0x88, &1013_u16.to_be_bytes()[..]));
    }
}
