//! The server's side: one connection, and what its worker and its application do with it.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};

use hostler_engine::codec::http1::{Limits, Refusal};
use hostler_engine::conn::{
    Body, Conn, Context, Http2Settings, Inbox, Part, Payload, Received, Request, Settings, Verdict,
    WebSocketSettings,
};
use hostler_engine::net::{Peer, Speech, Stream};
use hostler_engine::shm::Board;
use hostler_engine::trust::{Networks, Precedence};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
const EARLY: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
const LATE: Refusal = Refusal::new(503, "The time is over.");

pub const MAX_STREAMS: u32 = 6;

/// What each stream may hold: a body in memory or in its window, the messages of an inbox and one that comes, twice, as a
/// vector may have room for twice its contents; and what the connection holds beside them: its tables, a frame, a block,
/// control frames, a batch.
const HELD: usize = MAX_STREAMS as usize * 2 * (20_000 + 4_096 + 6 * 4_096) + 600_000;

/// What an application sends in one run of the target, before the last answer.
const MOST_SENT: usize = 2 << 20;

/// Names the connection.
const ID: u64 = 5;

struct Bytes(Vec<u8>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Payload for Bytes {}

static FILE: LazyLock<Arc<File>> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("hostler-fuzz-{}", std::process::id()));
    let mut file = File::create_new(&path).unwrap();
    file.write_all(&[b'f'; 10_000]).unwrap();
    let file = Arc::new(File::open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    file
});

/// A request that the application has.
struct Held {
    request: Box<Request>,
    has_head: bool,
    inbox: Option<Arc<Inbox>>,
}

pub struct Server {
    pub conn: Option<Conn>,
    pub context: Context,
    held: Vec<Held>,
    /// Payloads that were handed over.
    shared: usize,
    sent: usize,
    most_sent: usize,
}

impl Server {
    pub fn new(socket: UnixStream, streams_bodies: bool) -> Self {
        let settings = Settings {
            limits: Limits {
                request_line: 200,
                header_count: 20,
                header_size: 400,
                head_size: 2_000,
                body_size: 60_000,
            },
            head_timeout: 1_000,
            handshake_timeout: 1_000,
            body_timeout: 1_000,
            keep_alive_timeout: 2_000,
            write_timeout: 1_500,
            body_memory: 4_096,
            max_buffered: 1 << 30,
            stream_request_body: streams_bodies,
            temp_dir: std::env::temp_dir(),
            server_header: String::new(),
            https_port: None,
            trusted: Networks::default(),
            precedence: Precedence::XForwarded,
            tells_news: streams_bodies,
            max_connections: 8,
            websocket: WebSocketSettings {
                max_message: 4_096,
                max_queue: 4,
                ping_interval: 1_000,
                ping_timeout: 1_000,
                close_timeout: 1_000,
            },
            http2: Http2Settings {
                is_enabled: true,
                max_streams: MAX_STREAMS,
                stream_window: 20_000,
            },
        };
        let context = Context::new(settings, None, Board::open(None).unwrap());
        socket.set_nonblocking(true).unwrap();
        let stream = Stream::new(socket.into());
        let conn = Conn::new(ID, stream, Peer::Unix, 0, Speech::default(), &context);
        Self {
            conn: Some(conn),
            context,
            held: Vec::new(),
            shared: 0,
            sent: 0,
            most_sent: MOST_SENT,
        }
    }

    // What the worker does.

    /// The socket is ready, or may be.
    pub fn turn(&mut self, has_ended: bool) {
        if let Some(conn) = &mut self.conn {
            conn.note_readiness(true, has_ended);
            let verdict = conn.proceed(&mut self.context);
            self.settle(verdict);
        }
        self.check();
    }

    fn settle(&mut self, verdict: Verdict) {
        if verdict == Verdict::Close {
            self.close();
            return;
        }
        // Far more than one event can bring about; it must come to an end.
        for _ in 0..1_000 {
            let Some(conn) = &mut self.conn else {
                return;
            };
            let resumed = std::mem::take(&mut self.context.resumed);
            let outgoing = std::mem::take(&mut self.context.outgoing);
            let is_unfinished = conn.take_unfinished();
            if resumed.is_empty() && outgoing.is_empty() && !is_unfinished {
                return;
            }
            for (_, number) in outgoing {
                conn.enqueue_stream(number);
            }
            if conn.proceed(&mut self.context) == Verdict::Close {
                self.close();
                return;
            }
            for id in resumed {
                self.with_stream(id, Conn::proceed);
            }
        }
        panic!("the connection never comes to rest");
    }

    fn close(&mut self) {
        if let Some(mut conn) = self.conn.take() {
            if let Some(request) = conn.release(&mut self.context) {
                self.context.finish(request);
            }
        }
    }

    /// The connection was broken.
    pub fn lose(&mut self) {
        self.close();
        self.check();
    }

    /// Does something to a stream, if it is there, as the worker settles it.
    fn with_stream(&mut self, id: u64, act: impl FnOnce(&mut Conn, &mut Context) -> Verdict) {
        let Some((_, number)) = self.context.names.find(id) else {
            return;
        };
        let Some(conn) = &mut self.conn else {
            panic!("a stream has outlived its connection");
        };
        let Some(stream) = conn.stream_mut(number) else {
            panic!("a name finds no stream");
        };
        if act(stream, &mut self.context) == Verdict::Close {
            conn.drop_stream(number, &mut self.context);
            return;
        }
        let (due, is_unfinished) = (stream.due(), stream.take_unfinished());
        if is_unfinished {
            self.context.resumed.push(id);
        }
        conn.note_stream_due(due);
    }

    /// So much time passes, in milliseconds.
    pub fn wait(&mut self, millis: u64) {
        self.context.now.millis += millis;
        // Each deadline that is acted on brings the next one at most: the connection's, those of its streams, its end.
        for _ in 0..20 {
            let now = self.context.now.millis;
            let Some(conn) = self.conn.as_mut().filter(|conn| conn.due() <= now) else {
                self.check();
                return;
            };
            let mut verdict = conn.look_again(&mut self.context);
            if verdict == Verdict::Keep && conn.due() <= now {
                verdict = conn.expire(&mut self.context);
            }
            self.settle(verdict);
        }
        panic!("a deadline has passed and nothing comes of it");
    }

    /// The worker ends.
    pub fn drain(&mut self) {
        if !std::mem::replace(&mut self.context.draining, true) {
            if let Some(conn) = &mut self.conn {
                conn.hasten(&self.context);
                if conn.phase() == hostler_engine::conn::Phase::Http2 {
                    let verdict = conn.leave_http2(&mut self.context);
                    self.settle(verdict);
                }
            }
        }
    }

    /// The application gets the next request whose client is still there.
    pub fn take_request(&mut self) -> bool {
        while let Some(request) = self.context.ready.pop_front() {
            if self.context.names.find(request.conn).is_some() {
                self.held.push(Held {
                    request,
                    has_head: false,
                    inbox: None,
                });
                return true;
            }
            self.bury(request.conn);
            self.context.finish(request);
        }
        false
    }

    fn bury(&mut self, id: u64) {
        if self.context.names.bury(id).is_some() {
            if let Some(conn) = &mut self.conn {
                conn.bury_stream(&mut self.context);
            }
        }
    }

    fn check(&self) {
        let bound = HELD + self.sent;
        let held = self.context.buffered;
        assert!(held <= bound, "{held} bytes are held, {bound} expected");
        assert!(self.context.news.len() < 100_000);
    }

    // What the application does.

    /// The place of a request, chosen by a number.
    pub fn pick(&mut self, choice: u8) -> Option<usize> {
        if self.held.is_empty() {
            self.take_request();
        }
        let count = self.held.len();
        (count > 0).then(|| usize::from(choice) % count)
    }

    /// Whether the stream of a request is there, and the application may speak.
    fn is_spoken_to(&mut self, id: u64) -> bool {
        let mut speaks = false;
        self.with_stream(id, |stream, _| {
            speaks = !stream.is_overruled();
            Verdict::Keep
        });
        speaks
    }

    /// Sends a part of an answer: the first one begins with a head.
    pub fn send(&mut self, place: usize, form: u8, size: usize) {
        if self.sent > self.most_sent {
            return;
        }
        let id = self.held[place].request.conn;
        if self.held[place].inbox.is_some() {
            self.sent += size;
            self.with_stream(id, |stream, context| {
                let sent = stream.send_message(form & 1 == 0, &vec![b'm'; size], context);
                sent.unwrap_or(Verdict::Keep)
            });
            self.settle(Verdict::Keep);
            return;
        }
        if !self.is_spoken_to(id) {
            return;
        }
        let mut bytes = Vec::new();
        if !self.held[place].has_head {
            if form & 1 != 0 {
                bytes.extend_from_slice(EARLY);
            }
            if form & 3 != 3 {
                bytes.extend_from_slice(OK);
                self.held[place].has_head = true;
            }
        }
        self.sent += bytes.len() + size;
        let mut part = None;
        if self.held[place].has_head && size > 0 {
            match form >> 2 & 3 {
                0 => bytes.resize(bytes.len() + size, b'c'),
                1 => {
                    self.shared += 1;
                    part = Some(Part::Shared(Box::new(Bytes(vec![b's'; size * 4]))));
                    self.sent += size * 3;
                }
                _ => {
                    part = Some(Part::File {
                        file: Arc::clone(&FILE),
                        offset: u64::from(form >> 4) * 500,
                        // It may be shorter than that.
                        length: size as u64 % 10_500,
                    });
                }
            }
        }
        self.with_stream(id, |stream, context| stream.send(&bytes, part, context));
        self.settle(Verdict::Keep);
        self.check();
    }

    /// Answers the only request there is.
    pub fn answer_last(&mut self) {
        self.most_sent = usize::MAX;
        self.send(0, 0, 100);
        self.answer(0, true, false);
    }

    /// Ends an answer.
    pub fn answer(&mut self, place: usize, is_whole: bool, has_trailers: bool) {
        let held = self.held.swap_remove(place);
        let mut request = held.request;
        let id = request.conn;
        self.bury(id);
        if held.inbox.is_some() {
            self.with_stream(id, |stream, context| {
                stream.close_websocket(1000, "", context)
            });
            self.context.finish(request);
        } else if !self.is_spoken_to(id) {
            self.context.finish(request);
        } else {
            if has_trailers && held.has_head {
                request.trailers = b"Checksum: 7\r\n".to_vec();
            }
            let is_whole = is_whole && held.has_head;
            self.with_stream(id, |stream, context| {
                stream.answer(request, is_whole, context)
            });
        }
        self.settle(Verdict::Keep);
        self.check();
    }

    /// Refuses a request that has not been answered yet.
    pub fn refuse(&mut self, place: usize) {
        if self.held[place].has_head || self.held[place].inbox.is_some() {
            return;
        }
        let request = self.held.swap_remove(place).request;
        let id = request.conn;
        self.bury(id);
        if self.is_spoken_to(id) {
            self.with_stream(id, |stream, context| {
                stream.refuse_request(request, &LATE, context)
            });
        } else {
            self.context.finish(request);
        }
        self.settle(Verdict::Keep);
    }

    /// Breaks an answer off.
    pub fn abort(&mut self, place: usize) {
        let held = self.held.swap_remove(place);
        let id = held.request.conn;
        self.bury(id);
        let is_spoken_to = held.inbox.is_none() && self.is_spoken_to(id);
        self.context.finish(held.request);
        if let (true, Some((_, number))) = (is_spoken_to, self.context.names.find(id)) {
            if let Some(conn) = &mut self.conn {
                conn.abort_stream(number, &mut self.context);
            }
        }
        self.settle(Verdict::Keep);
    }

    /// The time of a request is over, though the application goes on.
    pub fn overrule(&mut self, place: usize) {
        let request = &self.held[place].request;
        let (id, is_head) = (request.conn, request.is_head());
        self.with_stream(id, |stream, context| {
            stream.overrule(&LATE, is_head, context)
        });
        self.settle(Verdict::Keep);
    }

    /// Takes what has come of a body, or of a WebSocket.
    pub fn take(&mut self, place: usize, limit: usize) {
        let held = &self.held[place];
        let id = held.request.conn;
        if let Some(inbox) = &held.inbox {
            if let Received::Message(_, true) = inbox.take() {
                self.with_stream(id, Conn::resume);
            }
        } else if let Body::Pipe(pipe) = &held.request.body {
            let expects = pipe.expects_continue && !held.has_head;
            let _ = pipe.take(limit);
            self.with_stream(id, |stream, context| stream.resume_body(expects, context));
        }
        self.settle(Verdict::Keep);
        self.check();
    }

    /// Accepts a WebSocket, if that is what was asked for.
    pub fn open_websocket(&mut self, place: usize) {
        let held = &self.held[place];
        let (id, is_asked) = (held.request.conn, held.request.head.is_websocket);
        if !is_asked || held.has_head || held.inbox.is_some() || !self.is_spoken_to(id) {
            return;
        }
        let mut opened = None;
        self.with_stream(id, |stream, context| {
            let (inbox, verdict) = stream.open_websocket(SWITCH, None, context);
            opened = Some(inbox);
            verdict
        });
        self.held[place].inbox = opened;
        self.settle(Verdict::Keep);
    }

    /// Ends all that the application has.
    pub fn abort_all(&mut self) {
        while self.take_request() {}
        while !self.held.is_empty() {
            self.abort(0);
        }
    }

    /// Ends everything: nothing is left of it.
    pub fn finish(mut self) {
        self.close();
        self.abort_all();
        assert_eq!(self.context.buffered, 0);
        assert_eq!(self.context.retired.len(), self.shared);
    }
}
