//! What the connections of one worker share: settings, buffers, the queue of complete requests, the access log.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::access_log::AccessLog;
use crate::codec::http1::{DateCache, Limits, Refusal, write_brief, write_redirect, write_refusal};
use crate::codec::ws::{DeflateParams, Deflater};
use crate::net::Peer;
use crate::request_id::{ID_LEN, RequestIds, accept};
use crate::shm::{Board, Seat};
use crate::time::{Millis, Now, coarse_millis, monotonic_nanos, unix_nanos};
use crate::tls::Challenges;
use crate::trust::{Forwarded, Networks, PeerAddr, Precedence, resolve};

use super::{ConnId, Request, Retired, WebSocketSettings};

/// Bytes read from a socket in one call: as much as one connection may take before the others have their turn. A
/// 16 KiB body with its head fits whole.
pub(super) const SCRATCH: usize = 65_536;

/// Requests kept for their next use; more only run at once when many threads are late.
const POOL: usize = 256;

/// How long a closing connection waits for the client to read the last answer; nginx's `lingering_timeout` is 5 s.
const LINGER: Millis = 5_000;

/// How long an idle connection is left open when the worker drains, so that a client that was about to use it can:
/// nginx's `keepalive_min_timeout` is for the same purpose. A compromise between lost requests and a quick stop.
const DRAIN_IDLE: Millis = 500;

impl From<Peer> for PeerAddr {
    fn from(peer: Peer) -> Self {
        peer.ip().map_or(Self::Unix, Self::Ip)
    }
}

/// What connections need to know of the configuration. Timeouts are milliseconds, sizes bytes.
#[derive(Debug)]
pub struct Settings {
    /// Limits of a request.
    pub limits: Limits,
    /// For the handshake of TLS, from the beginning of a connection.
    pub handshake_timeout: Millis,
    /// For a head, from its first byte.
    pub head_timeout: Millis,
    /// Between two reads of a body.
    pub body_timeout: Millis,
    /// For the next request on a connection; 0 closes after each response.
    pub keep_alive_timeout: Millis,
    /// Between two writes of a response.
    pub write_timeout: Millis,
    /// Beyond it a buffered body goes to a file; a streamed one waits.
    pub body_memory: usize,
    /// Beyond it bodies go to files at once, and partial heads are refused.
    pub max_buffered: usize,
    /// Applications read bodies while they arrive.
    pub stream_request_body: bool,
    /// Applications do not wait in threads: they want to be told when something has changed for them.
    pub tells_news: bool,
    /// Connections held at once, as FastCGI is told.
    pub max_connections: u32,
    /// How HTTP/2 is spoken.
    pub http2: super::Http2Settings,
    /// How WebSockets are kept.
    pub websocket: WebSocketSettings,
    /// Where temporary files are made.
    pub temp_dir: PathBuf,
    /// Value of the Server header, or empty.
    pub server_header: String,
    /// Plain requests are sent to this port, where TLS is spoken.
    pub https_port: Option<u16>,
    /// Whose forwarding headers are believed.
    pub trusted: Networks,
    /// Which of their headers are read.
    pub precedence: Precedence,
}

/// The time between two looks at the sockets, in which what arrived was not seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Absence {
    /// Nanoseconds; 0 where they are of no account.
    pub nanos: u64,
    /// Part of it may have been a wait for the sockets, which says nothing.
    pub may_be_wait: bool,
}

impl Absence {
    /// How long bytes have waited that were read just now, in nanoseconds.
    ///
    /// `age` is how long ago the last of them arrived, where the socket tells.
    fn before(self, age: impl FnOnce() -> Option<Millis>) -> u64 {
        if self.nanos == 0 {
            return 0;
        }
        match age() {
            Some(millis) => self.nanos.min(millis.saturating_mul(1_000_000)),
            None if self.may_be_wait => 0,
            // Anywhere in that time.
            None => self.nanos / 2,
        }
    }
}

/// Shared by all connections of a worker; used by one thread at a time.
pub struct Context {
    /// The settings.
    pub settings: Settings,
    /// When this turn began.
    pub now: Now,
    /// For how long nobody had looked at the sockets when this turn began, in nanoseconds; 0 where that is of no account.
    pub absence: Absence,
    /// Complete requests, in the order in which the application should see them.
    pub ready: VecDeque<Box<Request>>,
    /// Connections for whose application something has changed: bytes or a message arrived, there is room for more of
    /// its response, or the client is gone. A name may be there twice, or have no connection any more.
    pub news: Vec<ConnId>,
    /// Connections of HTTP/2 that are to write, and which of their streams have something for it (0 for none of them).
    pub outgoing: Vec<(ConnId, u32)>,
    /// Streams that go on in the next turn.
    pub resumed: Vec<ConnId>,
    /// The names of streams.
    pub names: super::Names,
    /// Payloads that are no longer needed.
    pub retired: Retired,
    /// Bytes held for all connections.
    pub buffered: usize,
    /// The worker takes no new connections.
    pub draining: bool,
    /// Requests finished since the start.
    pub finished: u64,
    /// What others can read of this worker.
    pub board: Board,
    /// The access log, if there is one.
    pub access_log: Option<AccessLog>,
    /// What authorities are answered in place of the application.
    pub challenges: Option<Challenges>,
    /// Lines for the server log, to be taken by whoever can write it.
    pub notices: Vec<String>,
    pub(super) scratch: Vec<u8>,
    /// The data of one read's chunks, or one frame to send.
    pub(super) gathered: Vec<u8>,
    /// Serves all WebSockets whose messages do not refer to each other, with the parameters of the last one.
    deflater: Option<Deflater>,
    #[expect(clippy::vec_box, reason = "requests change hands as boxes")]
    pool: Vec<Box<Request>>,
    ids: RequestIds,
    date: DateCache,
}

impl Context {
    /// A context with empty queues.
    #[must_use]
    pub fn new(settings: Settings, access_log: Option<AccessLog>, board: Board) -> Self {
        Self {
            settings,
            now: Now::read(),
            absence: Absence::default(),
            ready: VecDeque::new(),
            news: Vec::new(),
            outgoing: Vec::new(),
            resumed: Vec::new(),
            names: super::Names::default(),
            retired: Retired::new(),
            buffered: 0,
            draining: false,
            finished: 0,
            board,
            access_log,
            challenges: None,
            notices: Vec::new(),
            scratch: vec![0; SCRATCH],
            gathered: Vec::new(),
            deflater: None,
            pool: Vec::new(),
            ids: RequestIds::new(),
            date: DateCache::new(),
        }
    }

    /// Brings the clock up to date after a call into the application, which may have taken long.
    pub fn refresh(&mut self) {
        self.now.millis = self.now.millis.max(coarse_millis());
    }

    /// Brings the clock up to date to the nanosecond, for what is measured.
    pub fn read_clock(&mut self) {
        self.now = Now::read();
    }

    /// Puts a request in the queue. `age` is how long ago the last bytes from its client arrived, where that is known.
    pub(super) fn offer(
        &mut self,
        mut request: Box<Request>,
        age: impl FnOnce() -> Option<Millis>,
    ) {
        request.offered = self.now.nanos.saturating_sub(self.absence.before(age));
        self.ready.push_back(request);
    }

    /// Shows a request that this thread is about to call the application for.
    pub fn enter(&mut self, request: &mut Request) {
        let now = self.now.nanos;
        request.entered = now;
        request.seat = self.board.enter(now, |thread| request.entry(thread));
        self.board.note_queues(self.ready.len(), self.buffered);
    }

    /// Shows the request no more: the application is done with it. A second time changes nothing.
    pub fn leave(&mut self, request: &mut Request) {
        let seat = std::mem::take(&mut request.seat);
        if seat != Seat::Outside {
            request.application = self.board.leave(seat, self.now.nanos);
        }
    }

    /// Notes that something has changed for the application of a connection.
    pub(super) fn tell(&mut self, id: ConnId) {
        if self.settings.tells_news {
            self.news.push(id);
        }
    }

    /// The compressor of all WebSockets that need none of their own.
    pub(super) fn deflater(&mut self, params: DeflateParams) -> &mut Deflater {
        if self
            .deflater
            .as_ref()
            .is_some_and(|known| known.params() != params)
        {
            self.deflater = None;
        }
        self.deflater.get_or_insert_with(|| Deflater::new(params))
    }

    /// Adds a line for the server log; a flood of them is cut, as it says nothing more.
    pub fn notice(&mut self, line: String) {
        if self.notices.len() < 16 {
            self.notices.push(line);
        }
    }

    /// Ends a request: one line in the access log, and its memory goes to the next one.
    pub fn finish(&mut self, request: Box<Request>) {
        self.finished += 1;
        let now = self.now.nanos;
        self.board
            .finish(request.outcome(), request.started, now, || {
                request.as_slow(now)
            });
        if let Some(log) = &mut self.access_log {
            // The end is read from the clock, as the turn that answers may have begun long before.
            super::log_record::write(log, &request, monotonic_nanos());
        }
        self.give_back(request);
    }

    /// Bodies beyond this many bytes go to a file.
    pub(super) fn body_memory(&self) -> usize {
        if self.is_overloaded() {
            0
        } else {
            self.settings.body_memory
        }
    }

    /// Whether connections together hold as much as they may.
    pub(super) fn is_overloaded(&self) -> bool {
        self.buffered > self.settings.max_buffered
    }

    pub(super) fn keeps_alive(&self) -> bool {
        self.settings.keep_alive_timeout > 0
    }

    /// How long a connection may wait for its next request.
    #[must_use]
    pub fn idle_timeout(&self) -> Millis {
        if self.draining {
            DRAIN_IDLE.min(self.settings.keep_alive_timeout)
        } else {
            self.settings.keep_alive_timeout
        }
    }

    /// How long a closing connection waits for the client to read the last answer.
    pub(super) fn linger_timeout(&self) -> Millis {
        if self.draining { DRAIN_IDLE } else { LINGER }
    }

    pub(super) fn take_request(&mut self) -> Box<Request> {
        self.pool.pop().unwrap_or_default()
    }

    pub(super) fn give_back(&mut self, mut request: Box<Request>) {
        if self.pool.len() < POOL {
            request.recycle();
            self.pool.push(request);
        }
    }

    pub(super) fn write_refusal(&mut self, out: &mut Vec<u8>, refusal: &Refusal, is_head: bool) {
        let date = self.date.get(unix_nanos() / 1_000_000_000);
        write_refusal(
            out,
            refusal,
            date,
            self.settings.server_header.as_bytes(),
            is_head,
        );
    }

    /// Sends a client elsewhere.
    pub(super) fn write_redirect(&mut self, out: &mut Vec<u8>, location: &[u8]) {
        let date = self.date.get(unix_nanos() / 1_000_000_000);
        write_redirect(out, location, date, self.settings.server_header.as_bytes());
    }

    /// Writes the answer to an authority that looks whether we have a name, if that is what is asked for and there is one.
    /// Returns how long its body is.
    pub(super) fn write_challenge(
        &mut self,
        out: &mut Vec<u8>,
        path: &[u8],
        is_head: bool,
    ) -> Option<usize> {
        let date = self.date.get(unix_nanos() / 1_000_000_000);
        match self.challenges.as_mut()?.find(path) {
            Ok(answer) => {
                let answer = answer?;
                let server = self.settings.server_header.as_bytes();
                write_brief(out, answer, date, server, is_head);
                Some(if is_head { 0 } else { answer.len() })
            }
            Err(fault) => {
                self.notice(format!("going on with what there was: {fault}"));
                None
            }
        }
    }

    /// Names the request and notes what trusted proxies say about it.
    pub(super) fn identify(&mut self, request: &mut Request) {
        if let Some(told) = request.gateway.take() {
            request.forwarded = Some(Box::new(Forwarded::from_gateway(&told, &request.bytes)));
            request.gateway = Some(told);
            let given = request.head.fields.iter().find_map(|field| {
                let is_id = field
                    .name
                    .of(&request.bytes)
                    .eq_ignore_ascii_case(b"x-request-id");
                is_id.then(|| accept(field.value.of(&request.bytes)))?
            });
            match given {
                Some(id) => {
                    request.id.clear();
                    request.id.extend_from_slice(id);
                }
                None => self.name(request),
            }
            // What the client itself says of who it is went through the web server unread.
            request.trusted = false;
            return;
        }
        if request.trusted {
            let fields = || {
                request.head.fields.iter().map(|field| {
                    (
                        field.name.of(&request.bytes),
                        field.value.of(&request.bytes),
                    )
                })
            };
            let told = resolve(
                &self.settings.trusted,
                &request.peer.into(),
                self.settings.precedence,
                fields(),
            );
            let given = fields().find(|(name, _)| name.eq_ignore_ascii_case(b"x-request-id"));
            if let Some(id) = given.and_then(|(_, id)| accept(id)) {
                request.id.clear();
                request.id.extend_from_slice(id);
                request.forwarded = told.map(Box::new);
                return;
            }
            request.forwarded = told.map(Box::new);
        }
        self.name(request);
    }

    /// Whether a peer's word about its clients is believed.
    pub(super) fn trusts(&self, peer: Peer) -> bool {
        self.settings.trusted.contains(&peer.into())
    }

    pub(super) fn name(&mut self, request: &mut Request) {
        request.id.resize(ID_LEN, 0);
        if let Some(id) = request.id.first_chunk_mut::<ID_LEN>() {
            self.ids.next(id);
        }
    }
}
