//! One connection: the HTTP/1 codec over one socket, from the first byte to the last.
//!
//! Theory of operation. A connection is in one phase at a time and holds one request at a time; pipelined bytes wait in
//! `input`. `pump` moves it as far as it can go and never blocks; the owner calls it when the socket is ready, when the
//! application has answered, or when a deadline has come. All that connections share is in `Context`.
//!
//! (PROXY ->) (HANDSHAKE ->) HEAD -> BODY -> APP -> ANSWERED -> HEAD (or LINGER, or closed). A refused request goes straight to ANSWERED. An accepted
//! WebSocket handshake goes from APP to WEBSOCKET, and from there to LINGER. A client that begins with the preface of HTTP/2
//! goes from HEAD to HTTP2, and from there to LINGER; its streams are connections on channels, which are in BODY, APP,
//! WEBSOCKET or ANSWERED.
//!
//! Invariants: bytes are read from the socket only in PROXY, HANDSHAKE, HEAD, BODY, HTTP2, LINGER, in APP for a streamed body with room, and in
//! WEBSOCKET while its inbox has room;
//! a connection in APP has exactly one request with the application; nothing here knows of Python.

mod body;
mod context;
mod fastcgi;
mod flow;
mod gateway;
mod http2;
mod inbox;
mod log_record;
mod names;
mod outbox;
mod proxied;
mod reading;
mod request;
mod secure;
mod websocket;
mod wire;
mod writing;

use std::sync::Arc;

pub use body::Body;
pub use context::{Absence, Context, Settings};
pub use flow::{BodyFault, BodyPipe, Flow, Poured};
pub use http2::Http2Settings;
pub use inbox::{Closed, Inbox, Message, Received};
pub use names::{Names, STREAM};
pub use outbox::{Outbox, Payload, Retired, Segment};
pub use proxied::{Proxied, ProxiedTls};
pub use request::{ConnId, Request};
pub use websocket::WebSocketSettings;
pub use writing::Part;

use crate::codec::http1::{Refusal, Scanned};
use crate::net::{Peer, Protocol, Speech, Stream, Transfer};
use crate::shm::Board;
use crate::time::Millis;
use fastcgi::Records;
use http2::Session as Http2Session;
use reading::Intake;
use websocket::Session;
use wire::Wire;

/// No deadline.
pub const NEVER: Millis = Millis::MAX;

/// Reads of one connection before others have their turn. Arbitrary: with the buffer's size, 256 KiB.
const READS: u32 = 4;

/// Where a connection is in its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for a header of the PROXY protocol.
    Proxy,
    /// In the handshake of TLS.
    Handshake,
    /// Waiting for a request, or in the middle of its head.
    Head,
    /// Receiving a body that is buffered.
    Body,
    /// The request is with the application, or waits for it.
    App,
    /// Frames of the WebSocket protocol go both ways.
    WebSocket,
    /// Frames of HTTP/2 go both ways, and its streams are connections of their own.
    Http2,
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
    /// When what the present phase waits for must have come.
    pub deadline: Millis,
    /// When the client must have taken some of what waits to be sent.
    stalled: Millis,
    /// When the timer wheel will look at it.
    pub visit: Millis,
    stream: Wire,
    protocol: Protocol,
    /// The load balancer in front says that its client came over TLS.
    is_https: bool,
    /// What the load balancer tells of the connection.
    proxied: Option<Arc<Proxied>>,
    phase: Phase,
    /// Bytes received and not yet used: a partial head, or the requests behind the present one.
    input: Vec<u8>,
    /// Where in `input` the next request begins: what lies before it was used.
    at: usize,
    /// How many bytes behind the request that was just parsed belong to the next one.
    left: usize,
    /// `input` has not been looked at since it was put there.
    unseen: bool,
    scanned: Scanned,
    readable: bool,
    /// Reads that are left before others have their turn.
    budget: u32,
    /// Stopped for the sake of others, with more to do.
    unfinished: bool,
    /// The kernel reported the end of the stream, which is read after the bytes before it.
    ended: bool,
    output: Outbox,
    intake: Option<Box<Intake>>,
    websocket: Option<Box<Session>>,
    records: Option<Box<Records>>,
    session: Option<Box<Http2Session>>,
    /// The request whose body is being received, or whose response is being written out.
    request: Option<Box<Request>>,
    flow: Option<Arc<Flow>>,
    /// The application waits until no more than so many bytes are unsent.
    room_wanted: Option<usize>,
    /// The client has closed its writing side behind all it sent, and the application was told.
    end_told: bool,
    /// Something of the present request's answer was sent.
    answering: bool,
    /// When the request was complete whose answer has not begun; 0 for none.
    asked: u64,
    /// The server has answered in the place of an application that still has the request: what it sends goes nowhere.
    overruled: bool,
    /// Bytes of the request that is with the application.
    lent: usize,
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
    pub fn new(
        id: ConnId,
        stream: Stream,
        peer: Peer,
        listener: usize,
        speech: Speech,
        context: &Context,
    ) -> Self {
        let is_secure = stream.is_secure();
        let mut conn = Self::on(Wire::Socket(stream), id, peer, listener);
        let limit = if is_secure && !speech.proxy {
            context.settings.handshake_timeout
        } else {
            context.settings.head_timeout
        };
        conn.deadline = context.now.millis + limit;
        conn.protocol = speech.protocol;
        if speech.proxy {
            conn.phase = Phase::Proxy;
        } else if is_secure {
            conn.phase = Phase::Handshake;
        }
        if speech.protocol == Protocol::FastCgi {
            conn.records = Some(Box::new(Records::new(context)));
        }
        conn.trusted = context.trusts(peer);
        conn
    }

    /// What carries bytes, and nothing beside it.
    fn on(wire: Wire, id: ConnId, peer: Peer, listener: usize) -> Self {
        Self {
            id,
            peer,
            listener,
            deadline: NEVER,
            stalled: NEVER,
            visit: NEVER,
            stream: wire,
            protocol: Protocol::Http,
            is_https: false,
            proxied: None,
            phase: Phase::Head,
            input: Vec::new(),
            at: 0,
            left: 0,
            unseen: false,
            scanned: Scanned::default(),
            readable: false,
            budget: READS,
            unfinished: false,
            ended: false,
            output: Outbox::default(),
            intake: None,
            websocket: None,
            records: None,
            session: None,
            request: None,
            flow: None,
            room_wanted: None,
            end_told: false,
            answering: false,
            asked: 0,
            overruled: false,
            lent: 0,
            keep_alive: true,
            linger: false,
            served: 0,
            trusted: false,
            charged: 0,
        }
    }

    /// The socket, for registration; a stream of HTTP/2 has none of its own.
    #[must_use]
    pub fn socket(&self) -> Option<&Stream> {
        self.stream.socket()
    }

    /// Whether the handshake of TLS is not over.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.stream.is_handshaking()
    }

    /// Whether the application has nothing to say to this connection any more.
    #[must_use]
    pub fn is_overruled(&self) -> bool {
        self.overruled
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

    /// When something has to be done about it if nothing happens.
    #[must_use]
    pub fn due(&self) -> Millis {
        let due = self.deadline.min(self.stalled);
        match &self.session {
            None => due,
            Some(session) => due.min(session.due()),
        }
    }

    /// Whether it stopped for the sake of others and is to be pumped again; asking takes the mark away.
    pub fn take_unfinished(&mut self) -> bool {
        std::mem::take(&mut self.unfinished)
    }

    /// Moves as far as possible, but no further than is fair to others.
    pub fn pump(&mut self, context: &mut Context) -> Verdict {
        self.budget = READS;
        loop {
            let step = match self.phase {
                Phase::Proxy => self.step_proxy(context),
                Phase::Handshake => self.step_handshake(context),
                Phase::Head => self.step_head(context),
                Phase::Body => self.step_body(context),
                Phase::App => self.step_app(context),
                Phase::WebSocket => self.step_websocket(context),
                Phase::Http2 => self.step_http2(context),
                Phase::Answered => self.step_answered(context),
                Phase::Linger => self.step_linger(context),
            };
            match step {
                Step::Again if self.budget == 0 && self.readable => {
                    self.unfinished = true;
                    break;
                }
                Step::Again => {}
                Step::Wait => break,
                Step::Close => return Verdict::Close,
            }
        }
        self.charge(context);
        Verdict::Keep
    }

    /// Looks whether what was waited for has come by now, unnoticed: events may be older than our look at them.
    pub fn look_again(&mut self, context: &mut Context) -> Verdict {
        self.readable |= self.stream.has_input();
        self.proceed(context)
    }

    /// Goes on after a pause, as the application has made room. In an event loop that is in the next turn: an application
    /// that takes whatever there is must not be given more before others have had their turn.
    pub fn resume(&mut self, context: &mut Context) -> Verdict {
        if !context.settings.tells_news {
            return self.pump(context);
        }
        self.unfinished |= self.readable || self.unseen;
        self.charge(context);
        Verdict::Keep
    }

    /// Writes what waits, then moves as `pump` does.
    pub fn proceed(&mut self, context: &mut Context) -> Verdict {
        match self.flush(context) {
            Verdict::Keep => self.pump(context),
            Verdict::Close => Verdict::Close,
        }
    }

    /// Acts on a deadline that has passed.
    pub fn expire(&mut self, context: &mut Context) -> Verdict {
        if self.stalled <= context.now.millis {
            return Verdict::Close;
        }
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
                self.refuse(&flow::BODY_TIMEOUT, context);
                self.pump(context)
            }
            Phase::App => {
                self.fail_pipe(BodyFault::TimedOut);
                context.tell(self.id);
                self.deadline = NEVER;
                Verdict::Keep
            }
            Phase::WebSocket => self.expire_websocket(context),
            Phase::Http2 => self.expire_http2(context),
            Phase::Proxy | Phase::Handshake | Phase::Answered | Phase::Linger => Verdict::Close,
        }
    }

    /// Whether it waits for a request and none has begun to arrive.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Head
            && self.input.is_empty()
            && self
                .records
                .as_ref()
                .is_none_or(|records| !records.is_within())
    }

    /// Shortens what need not last once the worker drains.
    pub fn hasten(&mut self, context: &Context) {
        let limit = match self.phase {
            Phase::Head if self.input.is_empty() => context.idle_timeout(),
            Phase::Linger => context.linger_timeout(),
            _ => return,
        };
        self.deadline = self.deadline.min(context.now.millis + limit);
    }

    /// Lets go of everything before the connection is dropped. Returns the request that was not finished, if it is here.
    pub fn release(&mut self, context: &mut Context) -> Option<Box<Request>> {
        if self.websocket.is_some() {
            context.board.close_websocket();
        }
        if self.stream.is_secure() {
            self.leave_secure();
        }
        if let Some(mut session) = self.session.take() {
            session.release(context);
        }
        self.output.clear(&mut context.retired);
        if let Some(flow) = self.flow.take() {
            flow.close();
        }
        self.fail_pipe(BodyFault::Disconnected);
        if let Some(session) = &self.websocket {
            session.lose();
        }
        let is_awaited = self.room_wanted.take().is_some();
        if is_awaited || matches!(self.phase, Phase::App | Phase::WebSocket) {
            context.tell(self.id);
        }
        context.buffered -= self.charged;
        self.charged = 0;
        self.request.take()
    }

    fn receive(&mut self, buffer: &mut [u8], board: &Board) -> Transfer {
        self.budget = self.budget.saturating_sub(1);
        let transfer = self.stream.receive(buffer);
        match &transfer {
            // Unless the end of the stream is next.
            Transfer::Done(count) => {
                self.readable = self.stream.may_have_more(*count, buffer.len()) || self.ended;
                board.receive(*count);
            }
            Transfer::Blocked => {
                self.readable = self.stream.is_behind();
                self.unfinished |= self.readable;
            }
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
            + self.stream.in_memory()
            + self.output.in_memory()
            + self.lent
            + self.intake.as_ref().map_or(0, |intake| intake.in_memory())
            + self
                .websocket
                .as_ref()
                .map_or(0, |session| session.in_memory())
            + self
                .records
                .as_ref()
                .map_or(0, |records| records.in_memory())
            + self
                .session
                .as_ref()
                .map_or(0, |session| session.in_memory());
        let held = match self.stream.channel() {
            None => held,
            Some(channel) => {
                let held = held + channel.in_memory();
                self.grant(context);
                held
            }
        };
        context.buffered = context.buffered - self.charged + held;
        self.charged = held;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use crate::codec::http1::Limits;
    use crate::trust::{Networks, Precedence};

    pub(super) fn context() -> Context {
        let settings = Settings {
            limits: Limits::default(),
            head_timeout: 1_000,
            handshake_timeout: 1_000,
            body_timeout: 1_000,
            keep_alive_timeout: 1_000,
            write_timeout: 1_000,
            body_memory: 65_536,
            max_buffered: 1 << 20,
            stream_request_body: false,
            temp_dir: std::env::temp_dir(),
            server_header: String::new(),
            https_port: None,
            trusted: Networks::default(),
            precedence: Precedence::XForwarded,
            tells_news: true,
            max_connections: 8,
            websocket: WebSocketSettings {
                max_message: 1 << 20,
                max_queue: 4,
                ping_interval: 1_000,
                ping_timeout: 1_000,
                close_timeout: 1_000,
            },
            http2: Http2Settings {
                is_enabled: true,
                max_streams: 8,
                stream_window: 65_535,
            },
        };
        Context::new(settings, None, Board::open(None).unwrap())
    }

    pub(super) fn conn(context: &Context) -> (Conn, UnixStream) {
        conn_speaking(Speech::default(), context)
    }

    pub(super) fn conn_speaking(speech: Speech, context: &Context) -> (Conn, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let conn = Conn::new(1, Stream::new(ours.into()), Peer::Unix, 0, speech, context);
        (conn, theirs)
    }

    #[test]
    fn more_to_send_does_not_move_the_deadline_of_a_client_that_takes_nothing() {
        let mut context = context();
        let (mut conn, mut theirs) = conn(&context);
        theirs
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        conn.note_readiness(true, false);
        assert_eq!(conn.pump(&mut context), Verdict::Keep);
        assert_eq!((conn.phase(), conn.due()), (Phase::App, NEVER));
        conn.send(&vec![0; 4 << 20], None, &mut context);
        let due = conn.due();
        assert_ne!(due, NEVER);
        context.now.millis += 900;
        conn.send(b"more", None, &mut context);
        assert_eq!(conn.due(), due);
        context.now.millis = due;
        assert_eq!(conn.expire(&mut context), Verdict::Close);
    }

    #[test]
    fn request_with_the_application_is_accounted_for_until_it_is_answered() {
        let mut context = context();
        let (mut conn, mut theirs) = conn(&context);
        theirs
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n")
            .unwrap();
        theirs.write_all(&vec![b'x'; 30_000]).unwrap();
        conn.note_readiness(true, false);
        assert_eq!(conn.pump(&mut context), Verdict::Keep);
        let request = context.ready.pop_front().unwrap();
        assert!(context.buffered >= 30_000);
        conn.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            None,
            &mut context,
        );
        assert_eq!(conn.answer(request, true, &mut context), Verdict::Keep);
        assert_eq!(context.buffered, 0);
    }

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// A connection whose request is with the application, and whose client has not taken what was sent so far.
    fn congested(context: &mut Context) -> (Conn, UnixStream, Box<Request>) {
        let (mut conn, mut theirs) = conn(context);
        theirs.write_all(GET).unwrap();
        conn.note_readiness(true, false);
        assert_eq!(conn.pump(context), Verdict::Keep);
        let request = context.ready.pop_front().unwrap();
        conn.send(&vec![0; 4 << 20], None, context);
        conn.want_room(1_000);
        assert!(context.news.is_empty());
        (conn, theirs, request)
    }

    #[test]
    fn who_waits_for_room_is_told_when_the_response_ends_without_it() {
        let mut context = context();
        let (mut conn, _theirs, request) = congested(&mut context);
        assert_eq!(conn.answer(request, true, &mut context), Verdict::Keep);
        assert_eq!(context.news, [1]);
    }

    #[test]
    fn who_waits_for_room_behind_the_end_is_told_when_the_connection_goes() {
        let mut context = context();
        let (mut conn, _theirs, request) = congested(&mut context);
        assert_eq!(conn.answer(request, true, &mut context), Verdict::Keep);
        context.news.clear();
        conn.want_room(1_000);
        conn.release(&mut context);
        assert_eq!((context.news.as_slice(), context.buffered), (&[1][..], 0));
    }

    #[test]
    fn unsent_bytes_are_accounted_for_as_they_come_and_go() {
        let mut context = context();
        let (mut conn, mut theirs, request) = congested(&mut context);
        assert!(context.buffered >= conn.unsent() && conn.unsent() > 3 << 20);
        assert_eq!(conn.answer(request, true, &mut context), Verdict::Keep);
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; 4 << 20];
            std::io::Read::read_exact(&mut theirs, &mut all).unwrap();
            theirs
        });
        while conn.unsent() > 0 {
            assert_eq!(conn.proceed(&mut context), Verdict::Keep);
            std::thread::yield_now();
        }
        reader.join().unwrap();
        assert_eq!(context.buffered, 0);
    }

    #[test]
    fn application_is_told_of_the_end_of_a_client_with_more_requests_behind() {
        for behind in [&b""[..], GET, b"\x81", &[b'x'; 9_000]] {
            let mut context = context();
            let (mut conn, mut theirs) = conn(&context);
            let sender = std::thread::spawn({
                let bytes = [GET, behind].concat();
                move || {
                    let _ = theirs.write_all(&bytes);
                    theirs.shutdown(std::net::Shutdown::Write).unwrap();
                    theirs
                }
            });
            conn.note_readiness(true, false);
            while conn.phase() == Phase::Head {
                conn.note_readiness(true, false);
                assert_eq!(conn.pump(&mut context), Verdict::Keep);
            }
            assert!(!conn.has_ended());
            conn.note_readiness(true, true);
            assert_eq!(conn.pump(&mut context), Verdict::Keep);
            assert!(conn.has_ended());
            assert_eq!(context.news, [1]);
            drop(conn);
            sender.join().unwrap();
        }
    }

    #[test]
    fn file_that_waits_counts_until_it_is_sent() {
        let mut context = context();
        let (mut conn, _theirs, _request) = congested(&mut context);
        let before = conn.unsent();
        let file = std::fs::File::open("/dev/null").unwrap();
        let part = Part::File {
            file: Arc::new(file),
            offset: 0,
            length: 5,
        };
        conn.send(b"", Some(part), &mut context);
        assert!(conn.unsent() > before);
    }

    #[test]
    fn draining_shortens_the_wait_for_a_request_and_for_a_client_that_lingers() {
        let mut context = context();
        context.settings.keep_alive_timeout = 60_000;
        let (mut idle, _idle_client) = conn(&context);
        idle.deadline = context.now.millis + 60_000;
        let (mut lingers, mut client) = conn(&context);
        client.write_all(b"nonsense\r\n\r\n").unwrap();
        lingers.note_readiness(true, false);
        assert_eq!(lingers.pump(&mut context), Verdict::Keep);
        assert_eq!(lingers.phase(), Phase::Linger);
        let (mut begun, mut slow) = conn(&context);
        slow.write_all(b"GET / HT").unwrap();
        begun.note_readiness(true, false);
        assert_eq!(begun.pump(&mut context), Verdict::Keep);
        context.draining = true;
        let due = begun.due();
        for conn in [&mut idle, &mut lingers, &mut begun] {
            conn.hasten(&context);
        }
        assert!(idle.due() <= context.now.millis + 500);
        assert!(lingers.due() <= context.now.millis + 500);
        assert_eq!(begun.due(), due);
    }

    #[test]
    fn pipelined_requests_are_taken_one_after_the_other_and_whole() {
        let mut context = context();
        let (mut conn, mut theirs) = conn(&context);
        // In one write, as the kernel charges a small message far more than its size.
        let mut requests = Vec::new();
        for number in 0..300 {
            write!(requests, "GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        }
        theirs.write_all(&requests).unwrap();
        theirs.write_all(b"GET /partial HT").unwrap();
        conn.note_readiness(true, false);
        assert_eq!(conn.pump(&mut context), Verdict::Keep);
        for number in 0..300 {
            let request = context.ready.pop_front().unwrap();
            let path = request.head.path.of(&request.bytes);
            assert_eq!(path, format!("/{number}").as_bytes());
            assert!(context.ready.is_empty());
            assert_eq!(conn.answer(request, true, &mut context), Verdict::Keep);
        }
        assert_eq!((conn.phase(), conn.is_idle()), (Phase::Head, false));
        theirs.write_all(b"TP/1.1\r\nHost: a\r\n\r\n").unwrap();
        conn.note_readiness(true, false);
        assert_eq!(conn.pump(&mut context), Verdict::Keep);
        assert_eq!(conn.phase(), Phase::App);
    }

    #[test]
    fn application_that_takes_at_once_what_a_client_sends_without_end_leaves_others_their_turn() {
        let mut context = context();
        context.settings.stream_request_body = true;
        let (mut conn, mut theirs) = conn(&context);
        theirs
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
            .unwrap();
        theirs.write_all(&vec![0; 100_000]).unwrap();
        conn.note_readiness(true, false);
        assert_eq!(conn.pump(&mut context), Verdict::Keep);
        let request = context.ready.pop_front().unwrap();
        let Body::Pipe(pipe) = &request.body else {
            panic!("not streamed")
        };
        assert!(!pipe.has_room());
        while !pipe.is_waiting() {
            let _ = pipe.take(usize::MAX);
        }
        theirs.write_all(b"more").unwrap();
        conn.note_readiness(true, false);
        assert_eq!(conn.resume_body(false, &mut context), Verdict::Keep);
        assert!(pipe.is_waiting() && conn.take_unfinished());
        assert_eq!(conn.proceed(&mut context), Verdict::Keep);
        assert!(!pipe.is_waiting());
    }

    /// Answers to authorities with one for the token "abc".
    fn challenges() -> crate::tls::Challenges {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let file = rustix::fs::memfd_create("challenges", flags).unwrap();
        let record = [&b"H"[..], &5_u32.to_le_bytes(), b"abc.x"].concat();
        let length = record.len() as u64;
        let whole = [&2_u64.to_le_bytes()[..], &length.to_le_bytes(), &record].concat();
        rustix::io::write(&file, &whole).unwrap();
        crate::tls::Challenges::open(file).unwrap()
    }

    #[test]
    fn authority_is_answered_in_place_of_the_application_and_nobody_else_is() {
        const PATH: &str = "/.well-known/acme-challenge/abc";
        let ask = |line: &str, more: &str| {
            let mut context = context();
            context.settings.https_port = Some(443);
            context.challenges = Some(challenges());
            let (mut conn, mut theirs) = conn(&context);
            write!(theirs, "{line} HTTP/1.1\r\nHost: a\r\n{more}").unwrap();
            conn.note_readiness(true, false);
            assert_eq!(conn.pump(&mut context), Verdict::Keep);
            assert!(context.ready.is_empty());
            let mut answer = vec![0; 4_096];
            let count = std::io::Read::read(&mut theirs, &mut answer).unwrap();
            String::from_utf8(answer[..count].to_vec()).unwrap()
        };
        let answer = ask(&format!("GET {PATH}?a=b"), "\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nabc.x"), "{answer}");
        let head = ask(&format!("HEAD {PATH}"), "\r\n");
        assert!(head.contains("\r\nContent-Length: 5\r\n"), "{head}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        for (line, more) in [
            (format!("GET {PATH}d"), "\r\n"),
            (format!("GET {PATH}/"), "\r\n"),
            (format!("POST {PATH}"), "\r\n"),
            (format!("GET {PATH}"), "Content-Length: 2\r\n\r\nxy"),
            (format!("GET {PATH}"), "Transfer-Encoding: chunked\r\n\r\n"),
        ] {
            let other = ask(&line, more);
            assert!(other.starts_with("HTTP/1.1 308 "), "{line}: {other}");
        }
    }

    #[test]
    fn client_that_sends_without_end_leaves_others_their_turn() {
        let mut context = context();
        let (mut conn, mut theirs) = conn(&context);
        theirs
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n")
            .unwrap();
        let sender = std::thread::spawn(move || {
            let _ = theirs.write_all(&vec![0; 50_000_000]);
        });
        let mut rests = 0;
        while conn.phase() != Phase::App {
            conn.note_readiness(true, false);
            assert_eq!(conn.pump(&mut context), Verdict::Keep);
            rests += 1;
        }
        assert!(rests >= 50_000_000 / 65_536 / READS, "{rests}");
        sender.join().unwrap();
    }
}
