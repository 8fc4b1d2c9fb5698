//! The receiving half of a connection: heads, bodies, and the refusal of what is wrong with them.

use std::sync::Arc;

use crate::codec::gateway;
use crate::codec::http1::{
    ChunkedDecoder, Framing, Head, Limits, Progress, Refusal, Scanned, Version, parse_head,
};
use crate::codec::http2::PREFACE_LINE;
use crate::net::{Protocol, Transfer};
use crate::tls::Challenges;
use crate::trust::Scheme;

use super::body::Store;
use super::request::dialect_of;
use super::{Body, BodyFault, BodyPipe, Conn, Context, Phase, Poured, Request, Step, Verdict};

const TRUNCATED_HEAD: Refusal = Refusal::new(400, "The request head was cut short.");
const TRUNCATED_BODY: Refusal = Refusal::new(400, "The request body was cut short.");
const OVERLOADED: Refusal = Refusal::new(503, "The server has no memory left for this request.");
/// RFC 6455 7.4.1: the server cannot go on with what the connection was for.
const OVERRULED: (u16, &str) = (1011, "The time for this connection is over.");
const BODY_TOO_LARGE: Refusal =
    Refusal::new(413, "The request body is larger than this server accepts.");
const NO_ROOM: Refusal = Refusal::new(503, "The server has no room to store the request body.");

const TLS: Refusal =
    Refusal::bad_request("This port speaks plain HTTP, and the client speaks TLS (https).");

const HOSTLESS: Refusal =
    Refusal::bad_request("This site speaks https only, and the request names no host.");

/// The port that `https` means where none is named (RFC 9110 4.2.2).
const HTTPS_PORT: u16 = 443;

/// A host that may have a port behind it, without that.
fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| *byte == b':') {
        Some(at) if host[at + 1..].iter().all(u8::is_ascii_digit) => &host[..at],
        _ => host,
    }
}

/// Whether the bytes begin like a TLS handshake (RFC 8446 5.1): record type 22, major version 3.
fn is_tls(bytes: &[u8]) -> bool {
    bytes.starts_with(&[22, 3])
}

/// A body being received.
#[derive(Debug)]
pub(super) struct Intake {
    decoder: Decoder,
    store: Store,
    /// Where the bytes go instead when the application reads while they arrive.
    pub(super) pipe: Option<Arc<BodyPipe>>,
}

#[derive(Debug)]
enum Decoder {
    Length(u64),
    Chunked(Box<ChunkedDecoder>),
    /// The connection's own decoder of records.
    Records,
    /// DATA frames of HTTP/2: bytes so far, and as many as were declared.
    Stream(u64, Option<u64>),
}

/// How a body ended that came in frames.
pub(super) enum Ended {
    /// It has not.
    Not,
    Whole,
    /// Its length is not the one declared (RFC 9113 8.1.1).
    Malformed,
    Refused(Refusal),
}

/// How feeding some bytes to an intake ended.
pub(super) enum Fed {
    /// All bytes are used and more are needed.
    Hungry,
    /// The body is complete, after so many bytes.
    Complete(usize),
}

impl Intake {
    fn new(request: &Request, context: &Context) -> Self {
        let (decoder, expected) = match request.head.framing {
            Framing::Length(length) if request.protocol == Protocol::FastCgi => {
                (Decoder::Records, length)
            }
            _ if request.protocol == Protocol::FastCgi => (Decoder::Records, 0),
            Framing::Length(length) if request.head.version == Version::Http2 => {
                (Decoder::Stream(0, Some(length)), length)
            }
            _ if request.head.version == Version::Http2 => (Decoder::Stream(0, None), 0),
            Framing::Length(length) => (Decoder::Length(length), length),
            _ => (
                Decoder::Chunked(Box::new(ChunkedDecoder::new(&context.settings.limits))),
                0,
            ),
        };
        Self {
            decoder,
            store: Store::new(expected, context.body_memory().min(65_536)),
            pipe: None,
        }
    }

    pub(super) fn in_memory(&self) -> usize {
        self.store.in_memory() + self.pipe.as_ref().map_or(0, |pipe| pipe.held())
    }

    pub(super) fn feed(&mut self, bytes: &[u8], context: &mut Context) -> Result<Fed, Refusal> {
        match &mut self.decoder {
            Decoder::Stream(received, _) => {
                *received += bytes.len() as u64;
                self.take(bytes, context)?;
                Ok(Fed::Hungry)
            }
            Decoder::Length(left) => {
                let count = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= count as u64;
                let fed = if *left == 0 {
                    Fed::Complete(count)
                } else {
                    Fed::Hungry
                };
                self.take(&bytes[..count], context)?;
                Ok(fed)
            }
            Decoder::Chunked(decoder) => {
                // Gathered first, as a client may send a chunk for each byte, and each run may cost a system call.
                let mut gathered = std::mem::take(&mut context.gathered);
                gathered.clear();
                let outcome = decoder.decode(bytes, |data| gathered.extend_from_slice(data));
                let taken = match &outcome {
                    Ok(_) if !gathered.is_empty() => self.take(&gathered, context),
                    _ => Ok(()),
                };
                context.gathered = gathered;
                let progress = outcome?;
                taken?;
                Ok(if progress.finished {
                    Fed::Complete(progress.consumed)
                } else {
                    Fed::Hungry
                })
            }
            // The connection decodes them, and calls `take`.
            Decoder::Records => Ok(Fed::Hungry),
        }
    }

    /// Whether what came in frames is still less than is taken.
    pub(super) fn check_size(&self, limits: &Limits) -> Result<(), Refusal> {
        match self.decoder {
            Decoder::Stream(received, _) if limits.is_body_too_large(received) => {
                Err(BODY_TOO_LARGE)
            }
            _ => Ok(()),
        }
    }

    /// Judges whether more came than was declared, or, at the end, less.
    pub(super) fn judge(&self, is_end: bool) -> Ended {
        match self.decoder {
            Decoder::Stream(received, Some(declared)) if received > declared => Ended::Malformed,
            Decoder::Stream(received, Some(declared)) if is_end && received < declared => {
                Ended::Malformed
            }
            _ if is_end => Ended::Whole,
            _ => Ended::Not,
        }
    }

    pub(super) fn into_body(self) -> Body {
        self.store.into_body()
    }

    /// Adds bytes of the body itself.
    pub(super) fn take(&mut self, data: &[u8], context: &mut Context) -> Result<(), Refusal> {
        if let Some(pipe) = &self.pipe {
            pipe.push(data);
            return Ok(());
        }
        let bound = context.body_memory();
        let stored = self.store.append(data, bound, &context.settings.temp_dir);
        stored.map_err(|error| {
            context.notice(format!(
                "cannot store a request body in {}: {error}",
                context.settings.temp_dir.display()
            ));
            NO_ROOM
        })
    }
}

impl Conn {
    pub(super) fn step_head(&mut self, context: &mut Context) -> Step {
        if self.records.is_some() {
            return self.step_records(context);
        }
        if self.unseen {
            self.unseen = false;
            let held = std::mem::take(&mut self.input);
            let at = std::mem::take(&mut self.at);
            return match self.parse(&held[at..], context) {
                Step::Wait => {
                    self.start_head_deadline(context);
                    self.keep_partial(held[at..].to_vec(), context)
                }
                step => {
                    self.keep_left(held);
                    step
                }
            };
        }
        if !self.readable {
            return Step::Wait;
        }
        let mut scratch = std::mem::take(&mut context.scratch);
        let step = match self.receive(&mut scratch, &context.board) {
            Transfer::Blocked => Step::Wait,
            Transfer::Broken(_) => Step::Close,
            Transfer::Done(0) if self.input.is_empty() => Step::Close,
            Transfer::Done(0) => {
                self.refuse(&TRUNCATED_HEAD, context);
                Step::Again
            }
            Transfer::Done(count) if self.input.is_empty() => {
                let bytes = &scratch[..count];
                match self.parse(bytes, context) {
                    Step::Wait => {
                        self.start_head_deadline(context);
                        self.keep_partial(bytes.to_vec(), context)
                    }
                    step => {
                        self.keep_rest(&bytes[count - self.left..]);
                        step
                    }
                }
            }
            Transfer::Done(count) => {
                let mut held = std::mem::take(&mut self.input);
                held.extend_from_slice(&scratch[..count]);
                match self.parse(&held, context) {
                    Step::Wait => self.keep_partial(held, context),
                    step => {
                        self.keep_left(held);
                        step
                    }
                }
            }
        };
        context.scratch = scratch;
        step
    }

    /// The deadline counts from the first byte of a head, and is not moved by later ones.
    pub(super) fn start_head_deadline(&mut self, context: &Context) {
        let limit = context.now.millis + context.settings.head_timeout;
        self.deadline = if self.served == 0 {
            self.deadline.min(limit)
        } else {
            limit
        };
    }

    /// Keeps the beginning of a head until more arrives.
    fn keep_partial(&mut self, bytes: Vec<u8>, context: &mut Context) -> Step {
        if context.is_overloaded() {
            self.refuse(&OVERLOADED, context);
            return Step::Again;
        }
        self.input = bytes;
        if self.readable {
            Step::Again
        } else {
            Step::Wait
        }
    }

    /// Looks for a complete head in `bytes`. `Wait` means that more are needed, and that the caller keeps them.
    fn parse(&mut self, bytes: &[u8], context: &mut Context) -> Step {
        if self.protocol != Protocol::Http {
            return self.parse_gateway(bytes, context);
        }
        let mut request = context.take_request();
        self.left = 0;
        match parse_head(
            bytes,
            &mut self.scanned,
            &context.settings.limits,
            &mut request.head,
        ) {
            Ok(Progress::Partial) => {
                context.give_back(request);
                Step::Wait
            }
            Ok(Progress::Complete) => {
                self.scanned = Scanned::default();
                let (head, rest) = bytes.split_at(request.head.len);
                request.bytes.extend_from_slice(head);
                self.admit(request, rest, context);
                Step::Again
            }
            Err(_) if self.is_http2(bytes, context) => {
                context.give_back(request);
                self.begin_http2(bytes, context);
                Step::Again
            }
            Err(refusal) => {
                self.scanned = Scanned::default();
                context.give_back(request);
                let refusal = if is_tls(bytes) { TLS } else { refusal };
                self.refuse(&refusal, context);
                Step::Again
            }
        }
    }

    /// Whether the connection begins with HTTP/2 (RFC 9113 3.4), of which the parser for HTTP/1 has seen enough to be at a
    /// loss.
    fn is_http2(&self, bytes: &[u8], context: &Context) -> bool {
        self.served == 0
            && context.settings.http2.is_enabled
            && (bytes.starts_with(PREFACE_LINE) || PREFACE_LINE.starts_with(bytes))
    }

    /// Takes a request whose head is complete; `rest` is what arrived behind the head, and the caller of `parse` keeps
    /// those `left` bytes at its end that belong to the next request.
    pub(super) fn admit(&mut self, mut request: Box<Request>, rest: &[u8], context: &mut Context) {
        self.prepare(&mut request, context);
        if Challenges::concerns(request.head.path.of(&request.bytes)) {
            match self.answer_authority(request, context) {
                Some(others) => request = others,
                None => return,
            }
        }
        if let Some(port) = context.settings.https_port {
            if self.protocol == Protocol::Http && !request.is_https() {
                self.redirect(request, port, context);
                return;
            }
        }
        // The answer must say what will happen to the connection.
        self.linger = request.head.keep_alive && !context.keeps_alive();
        request.head.keep_alive &= context.keeps_alive();
        self.keep_alive = request.head.keep_alive;
        self.answering = false;
        self.served += 1;
        let has_no_body = matches!(request.head.framing, Framing::None | Framing::Length(0));
        // In FastCGI the end of the body that is none is still to come.
        if has_no_body && self.records.is_none() {
            self.left = rest.len();
            self.dispatch(request, context);
        } else {
            self.receive_body(request, rest, context);
        }
    }

    /// Notes in a request what is known of it beside its head.
    pub(super) fn prepare(&mut self, request: &mut Request, context: &mut Context) {
        request.conn = self.id;
        request.peer = self.peer;
        request.listener = self.listener;
        request.protocol = self.protocol;
        request.trusted = self.trusted;
        request.proxied.clone_from(&self.proxied);
        request.tls = self.stream.facts().cloned();
        request.started = context.now.nanos;
        context.identify(request);
        if self.is_https {
            // Unless a proxy behind the load balancer knows better.
            let told = request.forwarded.get_or_insert_default();
            told.scheme = told.scheme.or(Some(Scheme::Https));
        }
    }

    pub(super) fn receive_body(
        &mut self,
        request: Box<Request>,
        rest: &[u8],
        context: &mut Context,
    ) {
        if context.settings.stream_request_body {
            self.open_pipe(request, rest, context);
        } else {
            self.buffer_body(request, rest, context);
        }
    }

    /// Answers an authority that looks whether we have a name (RFC 8555 8.3), whichever the name is. Gives other requests
    /// back.
    ///
    /// It comes without TLS at first, but goes where a proxy redirects it to. A web server in front that speaks a gateway
    /// protocol answers by itself.
    pub(super) fn answer_authority(
        &mut self,
        request: Box<Request>,
        context: &mut Context,
    ) -> Option<Box<Request>> {
        let head = &request.head;
        let method = head.method.of(&request.bytes);
        let is_head = method == b"HEAD";
        let has_body = !matches!(head.framing, Framing::None | Framing::Length(0));
        if self.protocol != Protocol::Http || has_body || !(is_head || method == b"GET") {
            return Some(request);
        }
        let mut answer = Vec::new();
        let path = head.path.of(&request.bytes);
        let Some(length) = context.write_challenge(&mut answer, path, is_head) else {
            return Some(request);
        };
        self.left = 0;
        self.conclude_unasked(request, 200, length as u64, &answer, context);
        None
    }

    /// Sends a client that came without TLS to the port that speaks it.
    pub(super) fn redirect(&mut self, request: Box<Request>, port: u16, context: &mut Context) {
        self.left = 0;
        let Some(host) = request.head.authority.or(request.head.host) else {
            self.request = Some(request);
            self.refuse(&HOSTLESS, context);
            return;
        };
        let mut location = b"https://".to_vec();
        location.extend_from_slice(without_port(host.of(&request.bytes)));
        if port != HTTPS_PORT {
            location.extend_from_slice(format!(":{port}").as_bytes());
        }
        location.extend_from_slice(request.head.path.of(&request.bytes));
        let query = request.head.query.of(&request.bytes);
        if !query.is_empty() {
            location.push(b'?');
            location.extend_from_slice(query);
        }
        let mut answer = Vec::new();
        context.write_redirect(&mut answer, &location);
        self.conclude_unasked(request, 308, 0, &answer, context);
    }

    fn feed_intake(
        &mut self,
        intake: &mut Intake,
        bytes: &[u8],
        context: &mut Context,
    ) -> Result<Fed, Refusal> {
        if self.records.is_some() {
            self.feed_records(intake, bytes, context)
        } else {
            intake.feed(bytes, context)
        }
    }

    fn buffer_body(&mut self, request: Box<Request>, rest: &[u8], context: &mut Context) {
        let mut intake = Box::new(Intake::new(&request, context));
        match self.feed_intake(&mut intake, rest, context) {
            Ok(Fed::Complete(used)) => {
                let mut request = request;
                request.body = intake.store.into_body();
                self.left = rest.len() - used;
                self.dispatch(request, context);
            }
            Ok(Fed::Hungry) => {
                if request.head.expect_continue && rest.is_empty() {
                    self.send_continue(context);
                }
                self.intake = Some(intake);
                self.request = Some(request);
                self.phase = Phase::Body;
                self.deadline = context.now.millis + context.settings.body_timeout;
            }
            Err(refusal) => {
                self.request = Some(request);
                self.refuse(&refusal, context);
            }
        }
    }

    fn open_pipe(&mut self, mut request: Box<Request>, rest: &[u8], context: &mut Context) {
        let mut intake = Box::new(Intake::new(&request, context));
        let expects = request.head.expect_continue
            && rest.is_empty()
            && request.head.version != Version::Http10;
        let mut capacity = context.settings.body_memory.max(1);
        if self.stream.is_channel() {
            // No more than half of the window: else a client that has used it up would wait for an application that takes
            // what there is and has nothing to tell, as the pipe was never full.
            capacity = capacity.min(context.settings.http2.stream_window as usize / 2);
        }
        let pipe = Arc::new(BodyPipe::new(capacity, expects));
        intake.pipe = Some(Arc::clone(&pipe));
        match self.feed_intake(&mut intake, rest, context) {
            Ok(Fed::Complete(used)) => {
                // It came with the head, and needs no pipe.
                request.body = match pipe.take(usize::MAX).0 {
                    Poured::Bytes(bytes) => Body::Memory(bytes),
                    _ => Body::Empty,
                };
                self.left = rest.len() - used;
            }
            Ok(Fed::Hungry) => {
                self.intake = Some(intake);
                request.body = Body::Pipe(pipe);
            }
            Err(refusal) => {
                self.request = Some(request);
                self.refuse(&refusal, context);
                return;
            }
        }
        self.dispatch(request, context);
        if self.intake.is_some() {
            self.deadline = context.now.millis + context.settings.body_timeout;
        }
    }

    pub(super) fn dispatch(&mut self, request: Box<Request>, context: &mut Context) {
        self.phase = Phase::App;
        self.deadline = super::NEVER;
        self.end_told = false;
        self.lent = request.bytes.len() + request.body.in_memory();
        self.asked = request.started;
        context.offer(request, || self.stream.socket()?.data_age());
    }

    pub(super) fn step_body(&mut self, context: &mut Context) -> Step {
        let Some(mut intake) = self.intake.take() else {
            return Step::Close;
        };
        if !self.readable {
            self.intake = Some(intake);
            return Step::Wait;
        }
        let mut scratch = std::mem::take(&mut context.scratch);
        let step = match self.receive(&mut scratch, &context.board) {
            Transfer::Blocked => {
                self.intake = Some(intake);
                Step::Wait
            }
            Transfer::Broken(_) => Step::Close,
            Transfer::Done(0) => {
                self.refuse(&TRUNCATED_BODY, context);
                Step::Again
            }
            Transfer::Done(count) => {
                self.deadline = context.now.millis + context.settings.body_timeout;
                match self.feed_intake(&mut intake, &scratch[..count], context) {
                    Ok(Fed::Hungry) => self.intake = Some(intake),
                    Ok(Fed::Complete(used)) => {
                        self.keep_rest(&scratch[used..count]);
                        if let Some(mut request) = self.request.take() {
                            request.body = intake.store.into_body();
                            self.dispatch(request, context);
                        }
                    }
                    Err(refusal) => self.refuse(&refusal, context),
                }
                Step::Again
            }
        };
        context.scratch = scratch;
        step
    }

    /// Receives a streamed body while the application runs, as long as there is room for it.
    pub(super) fn step_app(&mut self, context: &mut Context) -> Step {
        let Some(mut intake) = self.intake.take() else {
            self.look_for_end(context);
            return Step::Wait;
        };
        let Some(pipe) = intake.pipe.clone() else {
            return Step::Wait;
        };
        if !self.readable || !pipe.has_room() {
            self.intake = Some(intake);
            // A full pipe waits for the application, not for the client.
            if !pipe.has_room() {
                self.deadline = super::NEVER;
            }
            return Step::Wait;
        }
        let mut scratch = std::mem::take(&mut context.scratch);
        let step = match self.receive(&mut scratch, &context.board) {
            Transfer::Blocked => {
                self.intake = Some(intake);
                Step::Wait
            }
            Transfer::Done(0) | Transfer::Broken(_) => {
                self.intake = Some(intake);
                self.fail_pipe(BodyFault::Disconnected);
                self.end_told = true;
                context.tell(self.id);
                Step::Wait
            }
            Transfer::Done(count) => {
                self.deadline = context.now.millis + context.settings.body_timeout;
                context.tell(self.id);
                match self.feed_intake(&mut intake, &scratch[..count], context) {
                    Ok(Fed::Hungry) => self.intake = Some(intake),
                    Ok(Fed::Complete(used)) => {
                        pipe.finish();
                        self.deadline = super::NEVER;
                        self.keep_rest(&scratch[used..count]);
                    }
                    Err(refusal) => {
                        self.intake = Some(intake);
                        self.fail_pipe(BodyFault::Invalid(refusal));
                    }
                }
                Step::Again
            }
        };
        context.scratch = scratch;
        step
    }

    /// Tells the application when the client has closed its writing side: most clients that do are gone, though an answer
    /// is still sent to those that only said that they have nothing more to ask. What they asked before, and we have not
    /// read yet, changes nothing: an application that waits for their end would wait for ever.
    fn look_for_end(&mut self, context: &mut Context) {
        if self.ended && !self.end_told {
            self.end_told = true;
            context.tell(self.id);
        }
    }

    pub(super) fn step_linger(&mut self, context: &mut Context) -> Step {
        if !self.readable {
            return Step::Wait;
        }
        // Nobody looks at it, so it need not be decrypted either.
        self.budget = self.budget.saturating_sub(1);
        match self.stream.receive_bare(&mut context.scratch) {
            Transfer::Blocked => {
                self.readable = false;
                Step::Wait
            }
            Transfer::Broken(_) | Transfer::Done(0) => Step::Close,
            Transfer::Done(_) => Step::Again,
        }
    }

    /// Answers a request that never reaches the application. RFC 9112 9.6: the answer is the last on this connection.
    pub(super) fn refuse(&mut self, refusal: &Refusal, context: &mut Context) {
        context.board.refuse();
        let mut request = self
            .request
            .take()
            .unwrap_or_else(|| self.unread_request(context));
        self.send_refusal(refusal, request.is_head(), context);
        request.status = refusal.status;
        request.body_sent = if request.is_head() {
            0
        } else {
            refusal.body_length()
        };
        self.end_unasked(request, context);
    }

    /// Answers in place of the application, and ends the connection.
    fn conclude_unasked(
        &mut self,
        mut request: Box<Request>,
        status: u16,
        body_sent: u64,
        answer: &[u8],
        context: &mut Context,
    ) {
        // A broken connection shows again when the answer is flushed, or read.
        let _ = self.send(answer, None, context);
        request.status = status;
        request.body_sent = body_sent;
        self.end_unasked(request, context);
    }

    fn end_unasked(&mut self, request: Box<Request>, context: &mut Context) {
        self.request = Some(request);
        self.intake = None;
        self.end_with_refusal(context);
    }

    /// Answers in the place of the application, which keeps the request and may go on with it, to no end. Where it has
    /// begun its answer the client must see that the answer is not whole.
    pub fn overrule(&mut self, refusal: &Refusal, is_head: bool, context: &mut Context) -> Verdict {
        if self.overruled {
            return Verdict::Keep;
        }
        if self.phase == Phase::WebSocket {
            return self.close_websocket(OVERRULED.0, OVERRULED.1, context);
        }
        if self.phase != Phase::App {
            return Verdict::Keep;
        }
        if self.answering {
            return Verdict::Close;
        }
        self.send_refusal(refusal, is_head, context);
        self.overruled = true;
        if let Some(flow) = self.flow.take() {
            flow.close();
        }
        // Whoever waits for the body, or for room, must not wait for ever.
        self.fail_pipe(BodyFault::Abandoned);
        if self.room_wanted.take().is_some() {
            context.tell(self.id);
        }
        self.end_with_refusal(context);
        self.pump(context)
    }

    fn send_refusal(&mut self, refusal: &Refusal, is_head: bool, context: &mut Context) {
        if self.records.is_some() {
            self.refuse_records(refusal, is_head, context);
            return;
        }
        let mut answer = Vec::new();
        match dialect_of(self.protocol) {
            None => context.write_refusal(&mut answer, refusal, is_head),
            Some(dialect) => gateway::write_refusal(&mut answer, dialect, refusal, is_head),
        }
        // A broken connection shows again when the answer is flushed, or read.
        let _ = self.send(&answer, None, context);
    }

    fn end_with_refusal(&mut self, context: &mut Context) {
        self.forget_input();
        self.lent = 0;
        self.keep_alive = false;
        self.linger = true;
        self.phase = Phase::Answered;
        self.deadline = super::NEVER;
        if self.stream.is_channel() {
            self.finish_stream(context);
        }
    }

    /// What the log can say of a request whose head could not be read.
    fn unread_request(&self, context: &mut Context) -> Box<Request> {
        let mut request = context.take_request();
        request.head = Head::default();
        request.peer = self.peer;
        request.listener = self.listener;
        request.protocol = self.protocol;
        request.conn = self.id;
        request.started = context.now.nanos;
        context.name(&mut request);
        request
    }

    /// RFC 9110 10.1.1: sent when the body is first wanted, but never into a response that has begun (15.2).
    pub(super) fn send_continue(&mut self, context: &mut Context) {
        if !self.answering {
            // A broken connection shows again when the body is read.
            let _ = self.transmit(b"HTTP/1.1 100 Continue\r\n\r\n", None, context);
        }
    }

    pub(super) fn keep_rest(&mut self, rest: &[u8]) {
        if !rest.is_empty() {
            self.input = rest.to_vec();
            self.unseen = true;
        }
    }

    /// Keeps the last `left` bytes of `held` where they are: copied for each of many pipelined requests they would cost
    /// quadratic time.
    fn keep_left(&mut self, held: Vec<u8>) {
        let at = held.len() - self.left;
        self.keep_from(held, at);
    }

    /// Keeps what `held` has from `at` on, where it is.
    pub(super) fn keep_from(&mut self, held: Vec<u8>, at: usize) {
        if at < held.len() {
            self.at = at;
            self.input = held;
            self.unseen = true;
        }
    }

    /// Throws away what has arrived behind the present request.
    pub(super) fn forget_input(&mut self) {
        self.input = Vec::new();
        self.at = 0;
        self.left = 0;
        self.unseen = false;
    }
}
