//! What a client's frames do to the connection and its streams.

use crate::codec::http1::Refusal;
use crate::codec::http2::{
    Code, Event, Fault, MAX_WINDOW, PeerSettings, RequestBuilder, RequestFault, check_trailer,
    parse_urgency, write_ping_ack, write_settings_ack, write_window,
};
use crate::conn::{Conn, Context, NEVER, Verdict};

use super::channel::Channel;
use super::session::{CONNECTION_WINDOW, Hub, LEAVING, Past, Stage};

const COMPRESSION: Fault = Fault::new(Code::Compression, "A header block cannot be decoded.");
const CLOSED: Fault = Fault::new(
    Code::StreamClosed,
    "A frame came for a stream that is closed.",
);
const IDLE: Fault = Fault::new(
    Code::Protocol,
    "A frame came for a stream that was not opened.",
);
const NUMBER: Fault = Fault::new(
    Code::Protocol,
    "A stream has a number below that of an earlier one.",
);
const WINDOW: Fault = Fault::new(Code::FlowControl, "A window became larger than any may be.");
const OVERSENT: Fault = Fault::new(
    Code::FlowControl,
    "More data came than the connection's window allows.",
);
const FRAMES: Fault = Fault::new(
    Code::EnhanceYourCalm,
    "Too many frames came that move nothing.",
);
const RESETS: Fault = Fault::new(Code::EnhanceYourCalm, "Too many streams were given up.");
const OVERLOADED: Refusal = Refusal::new(503, "The server has no memory left for this request.");

impl Conn {
    /// Acts on what has arrived.
    pub(super) fn feed_http2(&mut self, bytes: &[u8], context: &mut Context) {
        let Some(mut session) = self.session.take() else {
            return;
        };
        let mut at = 0;
        let mut outcome = Ok(());
        while outcome.is_ok() && session.hub.stage != Stage::Failed {
            match session.decoder.decode(&bytes[at..]) {
                Ok(decoded) => {
                    at += decoded.consumed;
                    match decoded.event {
                        Some(event) => outcome = session.hub.take_event(event, context),
                        None => break,
                    }
                }
                Err(fault) => outcome = Err(fault),
            }
        }
        if let Err(fault) = outcome {
            session.hub.fail(fault, context);
        }
        self.session = Some(session);
        self.tend_http2(context);
    }
}

impl Hub {
    fn take_event(&mut self, event: Event<'_>, context: &mut Context) -> Result<(), Fault> {
        match event {
            Event::Headers {
                stream,
                end_stream,
                block,
            } => self.take_headers(stream, end_stream, block, context),
            Event::Data {
                stream,
                data,
                counted,
                is_empty,
                end_stream,
            } => {
                if is_empty && !end_stream {
                    self.spend_frame(context)?;
                } else if !data.is_empty() {
                    self.calm.moved();
                }
                self.take_data(stream, data, counted, end_stream, context)
            }
            Event::Window { stream, increment } => {
                self.spend_frame(context)?;
                self.widen(stream, i64::from(increment), context)
            }
            Event::Settings(settings) => {
                self.spend_frame(context)?;
                write_settings_ack(&mut self.control);
                self.take_settings(settings)
            }
            Event::Ping(payload) => {
                self.spend_frame(context)?;
                write_ping_ack(&mut self.control, payload);
                Ok(())
            }
            Event::Pong(payload) => {
                if payload == LEAVING && self.stage == Stage::Leaving {
                    self.close();
                    return Ok(());
                }
                self.spend_frame(context)
            }
            Event::Reset { stream } => self.take_reset(stream, context),
            Event::Urgency { stream, value } => {
                self.spend_frame(context)?;
                self.set_urgency(stream, parse_urgency(value));
                Ok(())
            }
            Event::StreamFault { stream, code } => {
                // RFC 9113 6.4: what was never opened cannot be reset.
                if self.is_unopened(stream) {
                    return Err(Fault { code, ..IDLE });
                }
                self.spend_frame(context)?;
                self.reset(stream, code, context)
            }
            Event::SettingsAck | Event::GoAway | Event::Other => self.spend_frame(context),
        }
    }

    /// Whether a stream is idle (RFC 9113 5.1.1): not opened yet, or one that only the server could open.
    fn is_unopened(&self, number: u32) -> bool {
        number > self.last || number % 2 == 0
    }

    fn spend_frame(&mut self, context: &Context) -> Result<(), Fault> {
        if self.calm.frame(context.now.millis) {
            Ok(())
        } else {
            Err(FRAMES)
        }
    }

    fn spend_reset(&mut self, context: &Context) -> Result<(), Fault> {
        if self.calm.reset(context.now.millis) {
            Ok(())
        } else {
            Err(RESETS)
        }
    }

    /// Ends a stream over what the client did to it.
    fn reset(&mut self, stream: u32, code: Code, context: &mut Context) -> Result<(), Fault> {
        self.spend_reset(context)?;
        if self.place(stream).is_some() {
            self.drop_stream(stream, Some(code), context);
        } else {
            crate::codec::http2::write_reset(&mut self.control, stream, code);
            self.remember(stream, Past::Reset);
        }
        Ok(())
    }

    fn take_headers(
        &mut self,
        number: u32,
        end_stream: bool,
        block: &[u8],
        context: &mut Context,
    ) -> Result<(), Fault> {
        if number <= self.last {
            return self.take_trailers(number, end_stream, block, context);
        }
        self.last = number;
        self.calm.moved();
        let is_refused = number > self.limit
            || self.streams.len() + self.ghosts >= context.settings.http2.max_streams as usize;
        if is_refused {
            self.pass_over(block)?;
            // RFC 9113 8.7: it can be tried again.
            return self.reset(number, Code::Refused, context);
        }
        let mut request = context.take_request();
        let mut builder = RequestBuilder::new(
            &mut request.bytes,
            &mut request.head,
            &context.settings.limits,
        );
        let decoded = self
            .header_decoder
            .decode(block, |name, value| builder.field(name, value));
        let judged = builder.finish(end_stream);
        if decoded.is_err() {
            context.give_back(request);
            return Err(COMPRESSION);
        }
        let refusal = match judged {
            Ok(_)
                if context.is_overloaded()
                    && !end_stream
                    && context.settings.stream_request_body =>
            {
                Some(OVERLOADED)
            }
            Ok(_) => None,
            Err(RequestFault::Refused(refusal)) => Some(refusal),
            Err(RequestFault::Malformed) => {
                context.give_back(request);
                return self.reset(number, Code::Protocol, context);
            }
        };
        let window = i64::from(context.settings.http2.stream_window);
        let mut channel = Channel::new(&self.origin, number, self.initial_window, window);
        channel.is_half_closed = end_stream;
        let id = context.names.insert(self.origin.id, number);
        let mut stream = Box::new(Conn::on_channel(id, &self.origin, channel));
        match refusal {
            None => stream.admit_stream(request, end_stream, context),
            Some(refusal) => stream.refuse_stream(request, &refusal, context),
        }
        self.earliest = self.earliest.min(stream.due());
        self.streams.push((number, stream));
        if let Ok(fields) = judged {
            self.set_urgency(number, fields.urgency);
        }
        Ok(())
    }

    /// Decodes a block that is of no use, as the table has to follow.
    fn pass_over(&mut self, block: &[u8]) -> Result<(), Fault> {
        self.header_decoder
            .decode(block, |_, _| {})
            .map_err(|_| COMPRESSION)
    }

    fn take_trailers(
        &mut self,
        number: u32,
        end_stream: bool,
        block: &[u8],
        context: &mut Context,
    ) -> Result<(), Fault> {
        let mut is_sound = end_stream;
        self.header_decoder
            .decode(block, |name, value| is_sound &= check_trailer(name, value))
            .map_err(|_| COMPRESSION)?;
        let Some(stream) = self.stream_mut(number) else {
            return match self.past(number) {
                Some(Past::Reset) => self.spend_frame(context),
                Some(Past::Closed) => Err(CLOSED),
                None => Err(NUMBER),
            };
        };
        if stream
            .channel()
            .is_some_and(|channel| channel.is_half_closed())
        {
            return self.reset(number, Code::StreamClosed, context);
        }
        if !is_sound {
            return self.reset(number, Code::Protocol, context);
        }
        // As in HTTP/1, trailers are checked and not passed on.
        self.deliver(number, &[], 0, true, context)
    }

    fn take_data(
        &mut self,
        number: u32,
        data: &[u8],
        counted: u32,
        end_stream: bool,
        context: &mut Context,
    ) -> Result<(), Fault> {
        self.received += counted;
        if self.received > CONNECTION_WINDOW {
            return Err(OVERSENT);
        }
        if self.received >= CONNECTION_WINDOW / 2 {
            write_window(&mut self.control, 0, self.received);
            self.received = 0;
        }
        let Some(stream) = self.stream_mut(number) else {
            return match self.past(number) {
                _ if self.is_unopened(number) => Err(IDLE),
                // Sent before the client knew.
                Some(Past::Reset) => Ok(()),
                _ => Err(CLOSED),
            };
        };
        if stream
            .channel()
            .is_some_and(|channel| channel.is_half_closed())
        {
            return self.reset(number, Code::StreamClosed, context);
        }
        self.deliver(number, data, counted, end_stream, context)
    }

    fn deliver(
        &mut self,
        number: u32,
        data: &[u8],
        counted: u32,
        end_stream: bool,
        context: &mut Context,
    ) -> Result<(), Fault> {
        let Some(stream) = self.stream_mut(number) else {
            return Ok(());
        };
        let outcome = stream.deliver(data, counted, end_stream, context);
        let due = stream.due();
        if stream.take_unfinished() {
            context.resumed.push(stream.id);
        }
        self.earliest = self.earliest.min(due);
        match outcome {
            Ok(()) => Ok(()),
            Err(code) => self.reset(number, code, context),
        }
    }

    fn take_reset(&mut self, number: u32, context: &mut Context) -> Result<(), Fault> {
        if self.is_unopened(number) {
            return Err(IDLE);
        }
        self.spend_reset(context)?;
        self.drop_stream(number, None, context);
        Ok(())
    }

    /// RFC 9113 6.9.
    fn widen(&mut self, number: u32, increment: i64, context: &mut Context) -> Result<(), Fault> {
        if number == 0 {
            self.send_window += increment;
            if self.send_window > MAX_WINDOW {
                return Err(WINDOW);
            }
            if self.send_window > 0 {
                for number in std::mem::take(&mut self.starved) {
                    self.enqueue(number);
                }
            }
            return Ok(());
        }
        if self.is_unopened(number) {
            return Err(IDLE);
        }
        let Some(stream) = self.stream_mut(number) else {
            return Ok(());
        };
        let Some(channel) = stream.channel() else {
            return Ok(());
        };
        channel.send_window += increment;
        if channel.send_window > MAX_WINDOW {
            return self.reset(number, Code::FlowControl, context);
        }
        self.wake(number);
        Ok(())
    }

    /// Puts a stream in line that a window has held up.
    fn wake(&mut self, number: u32) {
        let Some(stream) = self.stream_mut(number) else {
            return;
        };
        let waits = !stream.output.is_empty();
        if let Some(channel) = stream.channel() {
            if waits && channel.send_window > 0 && !channel.is_queued {
                channel.is_queued = true;
                self.enqueue(number);
            }
        }
    }

    fn take_settings(&mut self, settings: PeerSettings) -> Result<(), Fault> {
        if let Some(limit) = settings.header_table {
            self.encoder.set_limit(limit);
        }
        if let Some(size) = settings.max_frame {
            self.max_frame = size;
        }
        let Some(window) = settings.window else {
            return Ok(());
        };
        // RFC 9113 6.9.2: the difference counts for the streams that are there; a window may become negative.
        let difference = window - self.initial_window;
        self.initial_window = window;
        for place in 0..self.streams.len() {
            let (number, stream) = &mut self.streams[place];
            let number = *number;
            if let Some(channel) = stream.channel() {
                channel.send_window += difference;
                if channel.send_window > MAX_WINDOW {
                    return Err(WINDOW);
                }
            }
            self.wake(number);
        }
        Ok(())
    }

    fn set_urgency(&mut self, number: u32, urgency: Option<u8>) {
        let Some(urgency) = urgency else {
            return;
        };
        if let Some(channel) = self.stream_mut(number).and_then(Conn::channel) {
            let differs = channel.urgency != urgency;
            channel.urgency = urgency;
            self.has_urgencies |= differs;
        }
    }

    /// Acts on the deadlines of streams that have passed.
    pub(super) fn expire_streams(&mut self, context: &mut Context) {
        let now = context.now.millis;
        let due: Vec<u32> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.due() <= now)
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            let Some(stream) = self.stream_mut(number) else {
                continue;
            };
            if stream.expire(context) == Verdict::Close {
                self.drop_stream(number, Some(Code::Cancel), context);
            }
        }
        let earliest = self.streams.iter().map(|(_, stream)| stream.due()).min();
        self.earliest = earliest.unwrap_or(NEVER);
    }
}
