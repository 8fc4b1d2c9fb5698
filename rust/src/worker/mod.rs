//! One worker's data plane, wired: poller, listeners, timers and connections, turned by one thread at a time.
//!
//! Theory of operation. `turn` waits for readiness and moves connections; complete requests appear in a queue. Whoever
//! calls the application takes them with `next_request` and gives the responses to `send` and `answer`. Names of
//! connections that are gone are ignored, so that a late answer does no harm. Nothing here knows of Python.

mod crew;
mod deadline;
mod mailbox;
mod overload;
mod slab;

pub use crew::{Crew, Followed};
pub use deadline::{Ended, Finding, Late, Routes, Stint, Subject, Warden, check_pattern};
pub use mailbox::{Command, Mailbox};
pub use overload::{Decision, Overload};

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::read;

use crate::access_log::AccessLog;
use crate::codec::http1::{Refusal, Version};
use crate::codec::ws::Agreement;
use crate::conn::{
    Absence, Conn, ConnId, Context, Flow, Inbox, NEVER, Names, Part, Phase, Request, STREAM,
    Verdict,
};
use crate::net::{Accepted, Listener, Peer, Stream};
use crate::reactor::{Poller, Readiness, Waker, Wheel};
use crate::shm::{Crowd, Gate, State, is_clearly_busier, load};
use crate::time::{Millis, Now, monotonic_nanos, unix_nanos};
use crate::tls::Store;
use overload::Looks;
use slab::{FIRST_ID, Slab};

const SIGNALS: u64 = FIRST_ID - 1;
const LIFELINE: u64 = FIRST_ID - 2;

/// Connections accepted from one listener before the others have their turn. Arbitrary.
const ACCEPT_BATCH: usize = 64;

/// How often connections of HTTP/2 write for what writing has brought about, before others have their turn. Arbitrary.
const ROUNDS: u32 = 2;

/// How long accepting pauses when descriptors run out; nginx's `accept_mutex_delay` is as long.
const ACCEPT_PAUSE: Millis = 500;

/// How long a worker that has more to do than others leaves accepting to them before it looks up, at first and in the end.
/// Arbitrary: what a connection waits at worst if all others have become busy in the same moment, against waking up for nothing.
const SHORTEST_REST: Millis = 5;
const LONGEST_REST: Millis = 50;

/// How long others have to come for what waits, before a worker that has stepped back takes twice as much of it as before.
/// Arbitrary: a process that has been woken runs within a fraction of it, if there is a processor free.
const HANDOVER: Millis = 1;

/// How often a worker that turns compares itself with the others. Arbitrary; a comparison costs some loads for each worker.
const COMPARE_EVERY: Millis = 5;

/// How often a worker that is to take no requests looks whether it may again. Arbitrary: what a client waits for longer at
/// worst, against waking up for nothing.
const GATE_EVERY: Millis = 50;

/// Lines of the access log reach their file after this long at the latest.
const LOG_DELAY: Millis = 1_000;

/// While requests are in the application the reactor turns at least this often, so that whoever reads the scoreboard can
/// tell a worker that waits from one that hangs.
const BEAT: Millis = 1_000;

const SHED: Refusal = Refusal::new(503, "The server has more requests than it can serve.");

/// What the descriptors that the worker watches have told it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    /// Signals arrived, for which the interpreter may have handlers.
    pub signals: bool,
}

/// Whether a turn may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Only look.
    Never,
    /// Wait for the sockets, whatever else there is to do.
    ForSockets,
    /// Wait for the sockets unless there is work for the interpreter's side.
    ForRequests,
}

/// Limits and descriptors of a worker, beside what its connections need.
#[derive(Debug)]
pub struct WorkerSettings {
    /// Connections held at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// The other workers that share the listeners, if there may be any.
    pub crowd: Option<Crowd>,
    /// Tells when no requests are to be taken, if anybody can say so.
    pub gate: Option<Gate>,
    /// How long a drain may take.
    pub graceful_timeout: Millis,
    /// When requests are turned away.
    pub overload: Overload,
    /// Where TLS listeners have their certificates from.
    pub tls: Option<Store>,
    /// Handshakes of TLS at once; beyond it the oldest is given up.
    pub max_handshakes: usize,
    /// Yields numbers of signals that arrived, a byte each.
    pub signals: Option<OwnedFd>,
    /// Ends when the supervisor is gone.
    pub lifeline: Option<OwnedFd>,
}

/// A worker.
pub struct Worker {
    /// What connections share.
    pub context: Context,
    settings: WorkerSettings,
    poller: Poller,
    listeners: Vec<Listener>,
    listening: bool,
    accept_again: Millis,
    /// Until when accepting is left to workers with less to do; `NEVER` for not at all.
    rests_until: Millis,
    /// How long the present rest is.
    pause: Millis,
    /// How many connections of each listener are taken at the next look, should others not have come for them.
    bite: usize,
    /// When to compare with the others again.
    compare_at: Millis,
    /// No request is taken: connections wait in the kernel, and complete requests in our queue.
    is_paused: bool,
    /// When to look at the gate again; `NEVER` while it was open.
    gate_due: Millis,
    /// When requests were taken again, in nanoseconds: until then nobody could have served them.
    resumed_at: u64,
    conns: Slab,
    wheel: Wheel<ConnId>,
    /// Connections in the handshake of TLS, the oldest first; those that are done are among them for a while.
    handshakes: VecDeque<ConnId>,
    /// Connections that stopped for the sake of others and go on in the next turn.
    unfinished: Vec<ConnId>,
    due: Vec<ConnId>,
    /// When the poller's timer fires.
    armed: Millis,
    /// When it has to fire.
    wanted: Millis,
    log_due: Millis,
    beat_due: Millis,
    /// When requests have not been turned away for so long that it is worth a line in the log.
    calm_due: Millis,
    looks: Looks,
    drain_deadline: Millis,
    in_flight: usize,
    /// How many of them were answered without the application, which nobody waits for.
    left_behind: isize,
    stopped: bool,
    orders: Orders,
}

impl Worker {
    /// Wires a worker and starts to listen.
    ///
    /// # Errors
    /// When the poller cannot be made or a descriptor cannot be watched.
    pub fn new(
        context: Context,
        settings: WorkerSettings,
        listeners: Vec<Listener>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        if let Some(signals) = &settings.signals {
            poller.add_source(signals, SIGNALS)?;
        }
        if let Some(lifeline) = &settings.lifeline {
            poller.add_source(lifeline, LIFELINE)?;
        }
        let now = context.now.millis;
        let looked_at = context.now.nanos;
        let mut worker = Self {
            context,
            settings,
            poller,
            listeners,
            listening: false,
            accept_again: NEVER,
            rests_until: NEVER,
            pause: 0,
            bite: 1,
            compare_at: 0,
            is_paused: false,
            gate_due: NEVER,
            resumed_at: 0,
            conns: Slab::default(),
            wheel: Wheel::new(now),
            handshakes: VecDeque::new(),
            unfinished: Vec::new(),
            due: Vec::new(),
            armed: NEVER,
            wanted: NEVER,
            log_due: NEVER,
            beat_due: NEVER,
            calm_due: NEVER,
            looks: Looks::new(looked_at),
            drain_deadline: NEVER,
            in_flight: 0,
            left_behind: 0,
            stopped: false,
            orders: Orders::default(),
        };
        worker.listen()?;
        worker.look_at_gate();
        Ok(worker)
    }

    /// A handle that ends a blocking turn.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.poller.waker()
    }

    /// The listeners, by index.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Whether the worker is done: stopped, or drained.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let is_idle = self.conns.len() == 0
            && isize::try_from(self.in_flight).unwrap_or(isize::MAX) <= self.left_behind;
        self.stopped || (self.context.draining && is_idle)
    }

    /// Whether everything was closed at once: by order, or as the graceful timeout was over.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.stopped
    }

    /// Notes news of a connection, for somebody who waits for it.
    pub fn tell(&mut self, id: ConnId) {
        self.context.news.push(id);
    }

    /// What arrived for others since the last call.
    pub fn take_orders(&mut self) -> Orders {
        std::mem::take(&mut self.orders)
    }

    /// Waits as `pause` says, and moves every connection that is ready.
    ///
    /// # Errors
    /// When the poller fails, which does not happen while its descriptors are open.
    pub fn turn(&mut self, pause: Pause) -> io::Result<()> {
        let block = match pause {
            Pause::Never => false,
            Pause::ForSockets => !self.stopped,
            Pause::ForRequests => !self.has_work() && !self.is_finished(),
        };
        self.write_streams();
        // Before a wait: who has just begun to lead, as a call is late, must not wait for connections that others could take.
        // Nor must who has just become free wait until a rest is over.
        if self.settings.crowd.is_some() {
            self.context.refresh();
            if self.rests_until != NEVER || self.context.now.millis >= self.compare_at {
                self.compare();
            }
        }
        self.arm()?;
        let is_done = self.unfinished.is_empty()
            && self.context.resumed.is_empty()
            && self.context.outgoing.is_empty();
        let blocks = block && is_done;
        if blocks {
            self.context.board.wait();
        }
        let before = if self.settings.overload.is_on() {
            monotonic_nanos()
        } else {
            0
        };
        self.poller.wait(blocks)?;
        self.context.now = Now::read();
        if before > 0 {
            self.note_look(before);
        }
        self.context.board.turn(self.context.now.nanos);
        // Before anything is accepted that has woken us.
        self.look_at_gate();
        let unfinished = std::mem::take(&mut self.unfinished);
        self.unfinished.append(&mut self.context.resumed);
        for index in 0..self.poller.reports().len() {
            self.react(self.poller.reports()[index]);
        }
        for id in unfinished {
            self.go_on(id);
        }
        if self.context.now.millis >= self.armed {
            self.expire();
        }
        let context = &self.context;
        context
            .board
            .note_queues(context.ready.len(), context.buffered);
        Ok(())
    }

    /// Notes for how long nobody has looked at the sockets, up to a poll that began at `before`.
    fn note_look(&mut self, before: u64) {
        let nanos = self.looks.look(before, self.context.now.nanos);
        let counts = nanos >= self.settings.overload.grain();
        self.context.absence = Absence {
            nanos: if counts { nanos } else { 0 },
            // An event loop waits on its own, and nobody knows for how long it did.
            may_be_wait: self.context.settings.tells_news,
        };
    }

    /// Whether the interpreter's side has something to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        let context = &self.context;
        let has_requests = !context.ready.is_empty() && !self.is_paused;
        has_requests
            || !(context.news.is_empty()
                && context.retired.is_empty()
                && context.notices.is_empty())
            || self.orders != Orders::default()
    }

    /// The next complete request whose client is still there, and that has not waited for too long.
    pub fn next_request(&mut self) -> Option<Box<Request>> {
        if self.is_paused {
            return None;
        }
        while let Some(mut request) = self.context.ready.pop_front() {
            if find(&mut self.conns, &self.context.names, request.conn).is_some() {
                self.in_flight += 1;
                if self.settings.overload.is_on() && self.is_late(&request) {
                    self.context.board.shed();
                    self.refuse(request, &SHED);
                    continue;
                }
                self.context.enter(&mut request);
                return Some(request);
            }
            self.bury(request.conn);
            self.context.board.abandon();
            self.context.finish(request);
        }
        None
    }

    /// Whether a request has waited for too long to be served.
    fn is_late(&mut self, request: &Request) -> bool {
        self.context.read_clock();
        let now = self.context.now;
        let wait = (now.nanos).saturating_sub(request.offered.max(self.resumed_at));
        let decision = self.settings.overload.decide(now.nanos, wait);
        if decision == Decision::ShedFirst {
            self.context.notice(format!(
                "overloaded: requests have waited for up to {} ms, and are answered 503 if that is more than \
                 overload.target",
                wait / 1_000_000
            ));
        }
        if decision != Decision::Admit {
            self.note_calm();
        }
        decision != Decision::Admit
    }

    /// Sets when to look whether the overload is over.
    fn note_calm(&mut self) {
        if self.calm_due == NEVER {
            if let Some(end) = self.settings.overload.ends_at() {
                self.calm_due = end / 1_000_000 + 1;
                self.wanted = self.wanted.min(self.calm_due);
            }
        }
    }

    /// Says so if the overload is over, or looks again later.
    fn look_for_calm(&mut self) {
        self.calm_due = NEVER;
        if let Some(shed) = self.settings.overload.conclude(self.context.now.nanos) {
            self.context.notice(format!(
                "no longer overloaded: {shed} requests were answered 503"
            ));
        }
        self.note_calm();
    }

    /// The connection of a request that an application has, if it may say anything there.
    fn spoken_to(&mut self, id: ConnId) -> Option<&mut Conn> {
        find(&mut self.conns, &self.context.names, id).filter(|conn| !conn.is_overruled())
    }

    /// Sends a part of a response.
    pub fn send(&mut self, id: ConnId, bytes: &[u8], part: Option<Part>) {
        if let Some(conn) =
            find(&mut self.conns, &self.context.names, id).filter(|conn| !conn.is_overruled())
        {
            if conn.is_unanswered() {
                self.context.read_clock();
            }
            let verdict = conn.send(bytes, part, &mut self.context);
            self.settle(id, verdict);
            self.write_streams();
        } else if let Some(Part::Shared(payload)) = part {
            self.context.retired.push(payload);
        }
    }

    /// Ends a response, all of which was sent. The connection goes on if both sides allow.
    pub fn answer(&mut self, mut request: Box<Request>, keep_alive: bool) {
        self.take_back(&mut request);
        let id = request.conn;
        if let Some(conn) =
            find(&mut self.conns, &self.context.names, id).filter(|conn| !conn.is_overruled())
        {
            let verdict = conn.answer(request, keep_alive, &mut self.context);
            self.settle(id, verdict);
        } else {
            self.abandon(request);
        }
    }

    /// Sends the last part of a response and ends it, as `send` and `answer` do. Returns whether the client was there.
    pub fn respond(
        &mut self,
        mut request: Box<Request>,
        bytes: &[u8],
        part: Option<Part>,
        keep_alive: bool,
    ) -> bool {
        let id = request.conn;
        if self.spoken_to(id).is_none() {
            self.send(id, bytes, part);
            self.answer(request, keep_alive);
            return false;
        }
        self.take_back(&mut request);
        let Some(conn) = find(&mut self.conns, &self.context.names, id) else {
            return false;
        };
        let sent = if bytes.is_empty() && part.is_none() {
            Verdict::Keep
        } else {
            conn.send(bytes, part, &mut self.context)
        };
        let verdict = match sent {
            Verdict::Keep => conn.answer(request, keep_alive, &mut self.context),
            Verdict::Close => {
                self.context.board.abandon();
                self.context.finish(request);
                Verdict::Close
            }
        };
        self.settle(id, verdict);
        true
    }

    /// Ends a response that cannot be completed: the client must see that it is not whole.
    pub fn abort(&mut self, mut request: Box<Request>) {
        let id = request.conn;
        if self.spoken_to(id).is_none() {
            self.conclude(request);
            return;
        }
        self.take_back(&mut request);
        self.context.board.abort();
        if id & STREAM != 0 {
            self.context.finish(request);
            self.abort_stream(id);
            return;
        }
        if request.head.version == Version::Http10 || request.dialect().is_some() {
            // RFC 9112 8: a body that the end of the connection delimits would look whole. nginx and Apache, too, notice
            // nothing but a reset in every case.
            if let Some(socket) = self.conns.get_mut(id).and_then(|conn| conn.socket()) {
                socket.reset_on_close();
            }
        }
        self.context.finish(request);
        self.close(id);
    }

    /// Answers a request with a refusal in place of the application.
    pub fn refuse(&mut self, mut request: Box<Request>, refusal: &Refusal) {
        self.take_back(&mut request);
        let id = request.conn;
        if let Some(conn) =
            find(&mut self.conns, &self.context.names, id).filter(|conn| !conn.is_overruled())
        {
            let verdict = conn.refuse_request(request, refusal, &mut self.context);
            self.settle(id, verdict);
        } else {
            self.abandon(request);
        }
    }

    /// Answers a request in the place of the application that has it and does not come to an end, or breaks off what it
    /// has begun to answer. The request itself comes back with `conclude` or in any other way, and goes nowhere then.
    pub fn overrule(&mut self, id: ConnId, refusal: &Refusal, is_head: bool) {
        self.context.refresh();
        self.left_behind += 1;
        let Some(conn) = find(&mut self.conns, &self.context.names, id) else {
            return;
        };
        let verdict = conn.overrule(refusal, is_head, &mut self.context);
        if let Some(socket) = conn.socket().filter(|_| verdict == Verdict::Close) {
            socket.reset_on_close();
        }
        self.settle(id, verdict);
    }

    /// Lets a thread follow how much of a response is unsent.
    pub fn attach_flow(&mut self, id: ConnId, flow: Arc<Flow>) {
        match self.spoken_to(id) {
            Some(conn) => conn.attach_flow(flow),
            None => flow.close(),
        }
    }

    /// Bytes of a response that wait to be sent; `None` if the connection is gone.
    #[must_use]
    pub fn unsent(&mut self, id: ConnId) -> Option<usize> {
        self.spoken_to(id).map(|conn| conn.unsent())
    }

    /// Whether the application may still send to the connection.
    #[must_use]
    pub fn takes_more(&mut self, id: ConnId) -> bool {
        self.spoken_to(id).is_some_and(|conn| conn.takes_more())
    }

    /// Asks for news of the connection once no more than `mark` bytes wait to be sent.
    pub fn want_room(&mut self, id: ConnId, mark: usize) {
        if let Some(conn) = find(&mut self.conns, &self.context.names, id) {
            conn.want_room(mark);
        }
    }

    /// Whether nobody reads on at the other end, or nobody writes there any more.
    #[must_use]
    pub fn has_ended(&mut self, id: ConnId) -> bool {
        self.spoken_to(id).is_none_or(|conn| conn.has_ended())
    }

    /// Switches the connection of a handshake to the WebSocket protocol; nothing if the client is gone.
    pub fn open_websocket(
        &mut self,
        id: ConnId,
        head: &[u8],
        agreement: Option<&Agreement>,
    ) -> Option<Arc<Inbox>> {
        self.context.refresh();
        let conn =
            find(&mut self.conns, &self.context.names, id).filter(|conn| !conn.is_overruled())?;
        let (inbox, verdict) = conn.open_websocket(head, agreement, &mut self.context);
        self.settle(id, verdict);
        Some(inbox)
    }

    /// Sends a message. Returns the bytes that wait to be sent, or nothing if no message can be sent any more.
    pub fn send_message(&mut self, id: ConnId, is_text: bool, payload: &[u8]) -> Option<usize> {
        let conn = find(&mut self.conns, &self.context.names, id)?;
        let verdict = conn.send_message(is_text, payload, &mut self.context)?;
        self.settle(id, verdict);
        self.unsent(id)
    }

    /// Whether messages to this connection are not compressed, so that large ones can be sent by reference.
    #[must_use]
    pub fn sends_plain(&mut self, id: ConnId) -> bool {
        find(&mut self.conns, &self.context.names, id).is_some_and(|conn| conn.sends_plain())
    }

    /// Sends a message of so many bytes that is held by reference, as `send_message` does.
    pub fn send_large_message(
        &mut self,
        id: ConnId,
        is_text: bool,
        length: usize,
        payload: Part,
    ) -> Option<usize> {
        let conn = find(&mut self.conns, &self.context.names, id)?;
        let verdict = conn.send_large_message(is_text, length, payload, &mut self.context)?;
        self.settle(id, verdict);
        self.unsent(id)
    }

    /// Begins to close a WebSocket.
    pub fn close_websocket(&mut self, id: ConnId, code: u16, reason: &str) {
        self.context.refresh();
        if let Some(conn) = find(&mut self.conns, &self.context.names, id) {
            let verdict = conn.close_websocket(code, reason, &mut self.context);
            self.settle(id, verdict);
        }
    }

    /// The application has made room in the inbox of a WebSocket.
    pub fn resume_websocket(&mut self, id: ConnId) {
        if let Some(conn) = find(&mut self.conns, &self.context.names, id) {
            let verdict = conn.resume(&mut self.context);
            self.settle(id, verdict);
        }
    }

    /// Ends a request without a word to its connection, which serves another purpose now, or is gone.
    pub fn conclude(&mut self, mut request: Box<Request>) {
        self.take_back(&mut request);
        self.context.finish(request);
    }

    /// The application is done with a request.
    fn take_back(&mut self, request: &mut Request) {
        self.in_flight -= 1;
        self.bury(request.conn);
        self.context.read_clock();
        self.context.leave(request);
    }

    /// Ends a request that nobody waits for any more.
    fn abandon(&mut self, request: Box<Request>) {
        self.context.board.abandon();
        self.context.finish(request);
    }

    /// Ends a request that was answered without its application. The order to `overrule` may come after this.
    pub fn conclude_overruled(&mut self, request: Box<Request>) {
        self.left_behind -= 1;
        self.conclude(request);
    }

    /// What was overruled is over, and had no request any more.
    pub fn forget_overruled(&mut self) {
        self.left_behind -= 1;
    }

    /// Makes ready for a wait by somebody else on this worker's descriptor: it will be readable when there is work.
    ///
    /// # Errors
    /// When the poller fails, which does not happen while its descriptors are open.
    pub fn rest(&mut self) -> io::Result<()> {
        self.write_streams();
        self.arm()?;
        let is_done = self.unfinished.is_empty()
            && self.context.resumed.is_empty()
            && self.context.outgoing.is_empty();
        if !is_done || self.has_work() {
            self.poller.waker().wake();
        } else {
            self.context.board.wait();
        }
        Ok(())
    }

    /// The application has made room for more of a streamed body, or wants its first bytes.
    pub fn resume_body(&mut self, id: ConnId, send_continue: bool) {
        if let Some(conn) = find(&mut self.conns, &self.context.names, id) {
            let verdict = conn.resume_body(send_continue, &mut self.context);
            self.settle(id, verdict);
        }
    }

    /// Takes no new connections, finishes what has begun, then is finished; after the graceful timeout in any case.
    pub fn drain(&mut self) {
        if self.context.draining {
            return;
        }
        // Connections that the kernel has accepted for us already would be reset if nobody took them. During a pause they are left
        // to who comes after us; a server that ends is not paused any more.
        self.settings.crowd = None;
        self.listening |= self.rests_until != NEVER;
        self.rests_until = NEVER;
        for index in 0..self.listeners.len() {
            while self.accept(index) {}
        }
        self.context.refresh();
        self.context.draining = true;
        // Whom we have taken a request from can go to nobody else with it.
        self.look_at_gate();
        self.context.board.set_state(State::Draining);
        self.unlisten();
        // Once the last owner has closed a listener, clients are refused at once and can go elsewhere.
        self.listeners.clear();
        self.drain_deadline = self
            .context
            .now
            .millis
            .saturating_add(self.settings.graceful_timeout);
        for id in self.conns.ids() {
            if let Some(conn) = self.conns.get_mut(id) {
                conn.hasten(&self.context);
            }
            match self.conns.get_mut(id).map(|conn| conn.phase()) {
                Some(Phase::WebSocket) => self.restart_websocket(id),
                Some(Phase::Http2) => self.leave_http2(id),
                _ => self.schedule(id),
            }
        }
        self.wanted = self.wanted.min(self.drain_deadline);
    }

    fn leave_http2(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            let verdict = conn.leave_http2(&mut self.context);
            self.settle(id, verdict);
        }
    }

    fn restart_websocket(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            let verdict = conn.restart_websocket(&mut self.context);
            self.settle(id, verdict);
        }
    }

    /// Closes everything at once.
    pub fn stop(&mut self) {
        self.stopped = true;
        self.context.board.set_state(State::Stopped);
        // It must not come again and again while applications that were left behind keep the process.
        self.drain_deadline = NEVER;
        self.rests_until = NEVER;
        self.settings.crowd = None;
        self.unlisten();
        self.listeners.clear();
        for id in self.conns.ids() {
            self.close(id);
        }
        self.flush_log();
    }

    /// Closes and opens the access log's file anew.
    pub fn reopen_logs(&mut self) {
        let reopened = self
            .context
            .access_log
            .as_mut()
            .map_or(Ok(()), AccessLog::reopen);
        if let Err(error) = reopened {
            self.context.notice(format!(
                "cannot reopen the access log, going on with the old one: {error}"
            ));
        }
    }

    /// Writes out the buffered lines of the access log.
    pub fn flush_log(&mut self) {
        self.log_due = NEVER;
        if let Some(notice) = self.context.access_log.as_mut().and_then(AccessLog::flush) {
            self.context.notice(notice.to_string());
        }
    }

    fn react(&mut self, readiness: Readiness) {
        match readiness.token {
            SIGNALS => self.read_signals(),
            LIFELINE => self.read_lifeline(),
            token if token < FIRST_ID => {
                self.accept(usize::try_from(token).unwrap_or(usize::MAX));
            }
            id => {
                let Some(conn) = self.conns.get_mut(id) else {
                    return;
                };
                conn.note_readiness(readiness.readable, readiness.ended);
                if readiness.broken
                    && matches!(conn.phase(), Phase::App | Phase::WebSocket | Phase::Http2)
                {
                    if conn.phase() == Phase::WebSocket {
                        // Messages that arrived before the end are passed on, as far as there is room for them.
                        conn.pump(&mut self.context);
                    }
                    // Nobody is left to answer.
                    self.close(id);
                    return;
                }
                let verdict = if readiness.writable {
                    conn.proceed(&mut self.context)
                } else {
                    conn.pump(&mut self.context)
                };
                self.settle(id, verdict);
            }
        }
    }

    /// Gives a connection that stopped for the sake of others its next turn.
    fn go_on(&mut self, id: ConnId) {
        if let Some(conn) = find(&mut self.conns, &self.context.names, id) {
            let verdict = conn.proceed(&mut self.context);
            self.settle(id, verdict);
        }
    }

    /// Has the connections write whose streams have something to send: once for all that is ready.
    pub fn write_streams(&mut self) {
        for _ in 0..ROUNDS {
            if self.context.outgoing.is_empty() {
                return;
            }
            let mut outgoing = std::mem::take(&mut self.context.outgoing);
            outgoing.retain(|(parent, number)| {
                (self.conns.get_mut(*parent)).is_some_and(|conn| conn.enqueue_stream(*number))
            });
            for (parent, _) in &outgoing {
                if let Some(conn) = self.conns.get_mut(*parent) {
                    let verdict = conn.proceed(&mut self.context);
                    self.settle(*parent, verdict);
                }
            }
            if self.context.outgoing.is_empty() {
                outgoing.clear();
                self.context.outgoing = outgoing;
            }
        }
    }

    /// The application is done with a stream that may have gone before.
    fn bury(&mut self, id: ConnId) {
        if id & STREAM == 0 {
            return;
        }
        if let Some(parent) = self.context.names.bury(id) {
            if let Some(conn) = self.conns.get_mut(parent) {
                conn.bury_stream(&mut self.context);
                self.schedule(parent);
            }
        }
    }

    fn abort_stream(&mut self, id: ConnId) {
        let Some((parent, number)) = self.context.names.find(id) else {
            self.bury(id);
            return;
        };
        if let Some(conn) = self.conns.get_mut(parent) {
            conn.abort_stream(number, &mut self.context);
            self.schedule(parent);
        }
    }

    fn read_signals(&mut self) {
        let mut numbers = [0_u8; 64];
        let count = match &self.settings.signals {
            Some(signals) => read(signals, &mut numbers).unwrap_or(0),
            None => 0,
        };
        // The interpreter may have a handler for any of them.
        self.orders.signals |= count > 0;
        for number in &numbers[..count] {
            match rustix::process::Signal::from_named_raw(i32::from(*number)) {
                Some(rustix::process::Signal::TERM | rustix::process::Signal::INT) => self.drain(),
                Some(rustix::process::Signal::QUIT) => self.stop(),
                Some(rustix::process::Signal::USR1) => self.reopen_logs(),
                _ => {}
            }
        }
    }

    fn read_lifeline(&mut self) {
        let ended = match &self.settings.lifeline {
            Some(lifeline) => matches!(read(lifeline, &mut [0_u8; 64]), Ok(0)),
            None => false,
        };
        if ended {
            if let Some(lifeline) = self.settings.lifeline.take() {
                // The descriptor is dropped right after; a failure to forget it changes nothing.
                let _ = self.poller.remove(&lifeline);
            }
            self.drain();
        }
    }

    /// Takes waiting connections. Returns whether more may be waiting.
    fn accept(&mut self, index: usize) -> bool {
        for _ in 0..ACCEPT_BATCH {
            let accepted = match self.listeners.get(index) {
                Some(listener) if self.listening => listener.accept(),
                _ => return false,
            };
            match accepted {
                Accepted::Connection(stream, peer) => {
                    self.welcome(stream, peer, index);
                    if self.is_clearly_busier() {
                        self.step_back();
                        return false;
                    }
                }
                Accepted::Failed => {}
                Accepted::Empty => return false,
                Accepted::Exhausted(error) | Accepted::Broken(error) => {
                    self.pause_accepting(&error);
                    return false;
                }
            }
        }
        true
    }

    fn welcome(&mut self, stream: Stream, peer: Peer, listener: usize) {
        let speech = self
            .listeners
            .get(listener)
            .map(|known| known.speech)
            .unwrap_or_default();
        let mut stream = stream;
        if let Some(profile) = speech.tls {
            if let Err(error) = self.secure(&mut stream, profile) {
                self.context
                    .notice(format!("a connection was closed: {error}"));
                return;
            }
        }
        let context = &self.context;
        let id = self
            .conns
            .insert(|id| Conn::new(id, stream, peer, listener, speech, context));
        self.context.board.open_connection(self.conns.len());
        self.looks.has_accepted = true;
        let watched = match self.conns.get_mut(id) {
            Some(conn) => match conn.socket() {
                Some(socket) => self.poller.add_stream(socket, id),
                None => Ok(()),
            },
            None => Ok(()),
        };
        if let Err(error) = watched {
            self.close(id);
            self.pause_accepting(&error);
            return;
        }
        self.schedule(id);
        if speech.tls.is_some() {
            self.note_handshake(id);
        }
        if self.conns.len() >= self.settings.max_connections {
            self.unlisten();
        }
    }

    /// Prepares for a handshake, with the certificates that are the newest now.
    fn secure(&mut self, stream: &mut Stream, profile: usize) -> io::Result<()> {
        let Some(store) = &mut self.settings.tls else {
            return Err(io::Error::other("there are no certificates"));
        };
        if let Err(fault) = store.refresh(unix_seconds()) {
            self.context.notice(format!(
                "going on with the certificates there were: {fault}"
            ));
        }
        match store.contents.profile(profile) {
            Some(profile) => stream.secure(profile, self.context.settings.http2.is_enabled),
            None => Err(io::Error::other("its listener has no certificate any more")),
        }
    }

    /// Keeps the number of handshakes within bounds: clients that are really there are through in an instant, so the oldest
    /// is the least promising.
    fn note_handshake(&mut self, id: ConnId) {
        self.handshakes.push_back(id);
        if self.handshakes.len() <= self.settings.max_handshakes {
            return;
        }
        let conns = &mut self.conns;
        self.handshakes
            .retain(|id| conns.get_mut(*id).is_some_and(|conn| conn.is_handshaking()));
        if self.handshakes.len() > self.settings.max_handshakes {
            if let Some(oldest) = self.handshakes.pop_front() {
                self.close(oldest);
            }
        }
    }

    fn pause_accepting(&mut self, error: &io::Error) {
        self.context.notice(format!(
            "cannot accept connections, trying again shortly: {error}"
        ));
        self.unlisten();
        self.accept_again = self.context.now.millis + ACCEPT_PAUSE;
        self.wanted = self.wanted.min(self.accept_again);
    }

    /// Whether another worker that can take connections has clearly less to do.
    fn is_clearly_busier(&self) -> bool {
        let Some(crowd) = self
            .settings
            .crowd
            .as_ref()
            .filter(|_| !self.context.draining)
        else {
            return false;
        };
        let own = load(self.conns.len() as u64, self.context.board.in_flight());
        // With nothing to do there is nobody to be compared with.
        own > 1
            && crowd
                .least(self.context.now.nanos)
                .is_some_and(|least| is_clearly_busier(own, least))
    }

    /// Leaves accepting to others for a short time: the kernel wakes those that wait.
    ///
    /// What waits at this moment is not left alone: the kernel may have told us alone of it (EPOLLEXCLUSIVE), and tells nobody
    /// else when we look away. One connection is taken at once; as long as more wait, others have a moment to come for them,
    /// and after each moment twice as many are taken. A burst is so shared with all that have been woken, and `n` connections
    /// that nobody else comes for are taken within log2(n) moments.
    fn step_back(&mut self) {
        self.pause = SHORTEST_REST;
        self.bite = 1;
        self.unlisten();
        self.leave_to_others();
    }

    /// Takes a bite of what waits, and rests: for a moment if there may be more, or else for a while.
    fn leave_to_others(&mut self) {
        if self.take_waiting(self.bite) {
            self.bite = self.bite.saturating_mul(2);
            self.rest_for(HANDOVER);
        } else {
            self.bite = 1;
            self.rest_for(self.pause);
            self.pause = (self.pause * 2).min(LONGEST_REST);
        }
    }

    /// Takes up to so many connections from each listener; returns whether more may wait.
    fn take_waiting(&mut self, most: usize) -> bool {
        let mut may_wait = false;
        for index in 0..self.listeners.len() {
            let mut taken = 0;
            while taken < most && self.conns.len() < self.settings.max_connections {
                let Some(Accepted::Connection(stream, peer)) =
                    self.listeners.get(index).map(Listener::accept)
                else {
                    break;
                };
                self.welcome(stream, peer, index);
                taken += 1;
            }
            may_wait |= taken == most;
        }
        may_wait
    }

    fn rest_for(&mut self, time: Millis) {
        self.rests_until = self.context.now.millis + time;
        self.wanted = self.wanted.min(self.rests_until);
    }

    /// Compares with the others, now and then.
    fn compare(&mut self) {
        self.compare_at = self.context.now.millis + COMPARE_EVERY;
        if self.listening && self.is_clearly_busier() {
            self.step_back();
        } else if self.rests_until != NEVER && !self.is_clearly_busier() {
            self.end_rest();
        }
    }

    fn end_rest(&mut self) {
        self.rests_until = NEVER;
        self.relisten();
    }

    /// A rest is over. Where it goes on, something is taken all the same from each listener that has anything: so none waits
    /// for ever, should those that it was left to have become busy in the same moment.
    fn look_up(&mut self) {
        if self.is_clearly_busier() {
            self.leave_to_others();
        } else {
            self.end_rest();
        }
    }

    /// Begins or ends a pause, in which neither connections nor requests are taken; what the application has goes on.
    fn look_at_gate(&mut self) {
        let is_closed = !self.context.draining
            && !self.stopped
            && self.settings.gate.as_ref().is_some_and(Gate::is_closed);
        if !is_closed {
            if self.is_paused {
                self.is_paused = false;
                self.gate_due = NEVER;
                self.resumed_at = self.context.now.nanos;
                self.relisten();
            }
            return;
        }
        if !self.is_paused {
            self.is_paused = true;
            self.rests_until = NEVER;
            self.unlisten();
        }
        if self.gate_due == NEVER || self.context.now.millis >= self.gate_due {
            self.gate_due = self.context.now.millis + GATE_EVERY;
            self.wanted = self.wanted.min(self.gate_due);
        }
    }

    fn listen(&mut self) -> io::Result<()> {
        if !self.listening {
            for (token, listener) in (0_u64..).zip(&self.listeners) {
                self.poller.add_listener(listener, token)?;
            }
            self.listening = true;
        }
        Ok(())
    }

    fn unlisten(&mut self) {
        // All of them in any case, as some are watched when `listen` has failed half-way.
        for listener in &self.listeners {
            // One that is not watched is what we want.
            let _ = self.poller.remove(listener);
        }
        self.listening = false;
    }

    /// Listens again if there is room and no reason to wait.
    fn relisten(&mut self) {
        let has_room = self.conns.len() < self.settings.max_connections;
        if self.listening
            || self.context.draining
            || self.stopped
            || !has_room
            || self.is_paused
            || self.accept_again != NEVER
            || self.rests_until != NEVER
        {
            return;
        }
        if let Err(error) = self.listen() {
            self.unlisten();
            self.pause_accepting(&error);
        }
    }

    fn settle(&mut self, id: ConnId, verdict: Verdict) {
        match verdict {
            Verdict::Keep => self.schedule(id),
            Verdict::Close => self.close(id),
        }
    }

    /// Puts the connection's deadline into the timer wheel if no visit comes soon enough, and its name down for the next
    /// turn if it is not done.
    fn schedule(&mut self, id: ConnId) {
        if id & STREAM != 0 {
            self.schedule_stream(id);
            return;
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.take_unfinished() {
            self.unfinished.push(id);
        }
        if conn.due() < conn.visit {
            conn.visit = self.wheel.schedule(id, conn.due());
            self.wanted = self.wanted.min(conn.visit);
        }
    }

    /// A stream's deadlines are those of its connection.
    fn schedule_stream(&mut self, id: ConnId) {
        let Some((parent, number)) = self.context.names.find(id) else {
            return;
        };
        let Some(conn) = self.conns.get_mut(parent) else {
            return;
        };
        let Some(stream) = conn.stream_mut(number) else {
            return;
        };
        let due = stream.due();
        if stream.take_unfinished() {
            self.unfinished.push(id);
        }
        conn.note_stream_due(due);
        self.schedule(parent);
    }

    fn close(&mut self, id: ConnId) {
        if id & STREAM != 0 {
            if let Some((parent, number)) = self.context.names.find(id) {
                if let Some(conn) = self.conns.get_mut(parent) {
                    conn.drop_stream(number, &mut self.context);
                    self.schedule(parent);
                }
            }
            return;
        }
        if let Some(mut conn) = self.conns.remove(id) {
            self.context.board.close_connection(self.conns.len());
            if let Some(request) = conn.release(&mut self.context) {
                self.context.finish(request);
            }
            self.relisten();
        }
    }

    /// Sets the timer to the next thing that has to happen.
    fn arm(&mut self) -> io::Result<()> {
        if self.log_due == NEVER
            && self
                .context
                .access_log
                .as_ref()
                .is_some_and(AccessLog::has_buffered)
        {
            self.log_due = self.context.now.millis + LOG_DELAY;
            self.wanted = self.wanted.min(self.log_due);
        }
        if self.beat_due == NEVER && self.context.board.in_flight() > 0 {
            self.beat_due = self.context.now.millis + BEAT;
            self.wanted = self.wanted.min(self.beat_due);
        }
        if self.wanted < self.armed {
            self.context.refresh();
            self.armed = self.wanted;
            self.poller.arm(Duration::from_millis(
                self.wanted.saturating_sub(self.context.now.millis) + 1,
            ))?;
        }
        Ok(())
    }

    /// Acts on everything whose time has come.
    fn expire(&mut self) {
        let now = self.context.now.millis;
        let mut due = std::mem::take(&mut self.due);
        self.wheel.advance(now, &mut due);
        for id in due.drain(..) {
            self.visit(id, now);
        }
        self.due = due;
        if now >= self.log_due {
            self.flush_log();
        }
        if now >= self.beat_due {
            self.beat_due = NEVER;
        }
        if now >= self.calm_due {
            self.look_for_calm();
        }
        if now >= self.accept_again {
            self.accept_again = NEVER;
            self.relisten();
        }
        if now >= self.rests_until {
            self.look_up();
        }
        if now >= self.drain_deadline {
            let left = self.conns.len().max(self.in_flight);
            self.context.notice(format!(
                "the graceful timeout is over: {left} connections are closed unfinished"
            ));
            self.stop();
        }
        self.armed = NEVER;
        let visit = self.wheel.next_visit().unwrap_or(NEVER);
        self.wanted = visit
            .min(self.log_due)
            .min(self.beat_due)
            .min(self.calm_due)
            .min(self.accept_again)
            .min(self.rests_until)
            .min(self.gate_due)
            .min(self.drain_deadline);
    }

    fn visit(&mut self, id: ConnId, now: Millis) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.visit <= now {
            conn.visit = NEVER;
        }
        if conn.due() > now {
            self.schedule(id);
            return;
        }
        let mut verdict = conn.look_again(&mut self.context);
        if verdict == Verdict::Keep && conn.due() <= now {
            verdict = conn.expire(&mut self.context);
        }
        self.settle(id, verdict);
    }
}

/// Now, as certificates have it.
fn unix_seconds() -> i64 {
    i64::try_from(unix_nanos() / 1_000_000_000).unwrap_or(i64::MAX)
}

/// The connection, or the stream of one, of that name.
#[inline]
fn find<'conns>(conns: &'conns mut Slab, names: &Names, id: ConnId) -> Option<&'conns mut Conn> {
    if id & STREAM == 0 {
        conns.get_mut(id)
    } else {
        find_stream(conns, names, id)
    }
}

fn find_stream<'conns>(
    conns: &'conns mut Slab,
    names: &Names,
    id: ConnId,
) -> Option<&'conns mut Conn> {
    let (parent, number) = names.find(id)?;
    conns.get_mut(parent)?.stream_mut(number)
}

impl AsFd for Worker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}
