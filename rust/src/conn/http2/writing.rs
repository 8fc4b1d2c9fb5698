//! Frames to the client: streams in their turns, whole batches at once.

use crate::codec::http2::{
    Code, write_data_header, write_head, write_headers, write_reset, write_trailers, write_window,
};
use crate::conn::{Conn, Context, NEVER, Phase, Verdict};

use super::session::{Hub, Past};

/// Bytes gathered for one write. As many as one read takes.
const BATCH: usize = 65_536;

/// Bytes of body in one turn of a stream. The largest frame that every client takes.
const TURN: i64 = 16_384;

/// Bytes written for one connection before others have their turn. Measured for HTTP/1, where it is larger as nothing is
/// copied there.
const ENOUGH: usize = 1 << 20;

/// A frame's header.
const HEADER: usize = 9;

/// What a stream has to write after its turn.
enum Turn {
    /// More, which it may write.
    More,
    /// Nothing, or nothing that its window allows.
    Waiting,
    /// Something that the connection's window does not allow.
    Starved,
    /// All is written. The code resets what the client still sends.
    Over(Option<Code>),
}

impl Conn {
    /// Writes for the streams that have something to send, as far as the socket takes it.
    pub fn write_streams(&mut self, context: &mut Context) -> Verdict {
        let mut written = 0;
        loop {
            if !self.output.is_empty() && self.flush(context) == Verdict::Close {
                return Verdict::Close;
            }
            let Some(session) = self.session.as_deref_mut() else {
                return Verdict::Keep;
            };
            session.hub.is_listed = false;
            if !self.output.is_empty() || session.hub.has_nothing_to_write() {
                break;
            }
            if written >= ENOUGH {
                self.unfinished = true;
                break;
            }
            let mut batch = std::mem::take(&mut context.gathered);
            batch.clear();
            session.hub.fill(&mut batch, context);
            written += batch.len();
            let is_empty = batch.is_empty();
            let verdict = if is_empty {
                Verdict::Keep
            } else {
                self.transmit(&batch, None, context)
            };
            batch.shrink_to(2 * BATCH);
            context.gathered = batch;
            if verdict == Verdict::Close {
                return Verdict::Close;
            }
        }
        self.tend_http2(context);
        Verdict::Keep
    }
}

impl Hub {
    fn has_nothing_to_write(&self) -> bool {
        self.control.is_empty() && self.queue.is_empty()
    }

    /// Gathers frames.
    fn fill(&mut self, batch: &mut Vec<u8>, context: &mut Context) {
        batch.append(&mut self.control);
        self.control.shrink_to(1_024);
        while batch.len() < BATCH {
            let Some(number) = self.next_in_turn() else {
                break;
            };
            let Some(place) = self.place(number) else {
                continue;
            };
            match self.write_stream(place, batch, context) {
                Turn::More => self.queue.push_back(number),
                Turn::Waiting => self.set_queued(place, false),
                Turn::Starved => self.starved.push(number),
                Turn::Over(code) => self.complete(number, code, batch, context),
            }
        }
        batch.append(&mut self.control);
    }

    fn set_queued(&mut self, place: usize, is_queued: bool) {
        if let Some(channel) = self.streams[place].1.channel() {
            channel.is_queued = is_queued;
        }
    }

    /// The stream whose turn it is: the first of the most urgent ones.
    fn next_in_turn(&mut self) -> Option<u32> {
        if !self.has_urgencies {
            return self.queue.pop_front();
        }
        let mut best = None;
        for at in 0..self.queue.len() {
            let urgency = self
                .place(self.queue[at])
                .and_then(|place| self.streams[place].1.stream.channel())
                .map_or(0, |channel| channel.urgency);
            if best.is_none_or(|(least, _)| urgency < least) {
                best = Some((urgency, at));
            }
        }
        self.queue.remove(best?.1)
    }

    fn write_stream(&mut self, place: usize, batch: &mut Vec<u8>, context: &mut Context) -> Turn {
        let (number, stream) = &mut self.streams[place];
        let number = *number;
        let stream = &mut **stream;
        let has_body = !stream.output.is_empty();
        let Some(channel) = stream.stream.channel_mut() else {
            return Turn::Over(None);
        };
        if let Some(code) = channel.fault.take() {
            return Turn::Over(Some(code));
        }
        if channel.grant > 0 {
            write_window(batch, number, std::mem::take(&mut channel.grant));
        }
        let mut is_ended = false;
        if !channel.heads.is_empty() {
            let heads = std::mem::take(&mut channel.heads);
            let ends = channel.is_finished && !has_body && channel.trailers.is_empty();
            let mut block = Vec::with_capacity(256);
            let mut at = 0;
            while at < heads.len() {
                block.clear();
                at += write_head(&mut block, &heads[at..], &mut self.encoder);
                is_ended = ends && at >= heads.len();
                write_headers(batch, number, &block, self.max_frame, is_ended);
            }
        }
        if has_body {
            let limit = channel.send_window.min(self.send_window).min(TURN);
            if limit <= 0 {
                let is_starved = channel.send_window > 0;
                stream.note_stalled(context);
                self.earliest = self.earliest.min(stream.due());
                return if is_starved {
                    Turn::Starved
                } else {
                    Turn::Waiting
                };
            }
            let at = batch.len();
            write_data_header(batch, number, 0, false);
            let limit = usize::try_from(limit).unwrap_or(0).min(self.max_frame);
            let Ok(count) = stream.output.take(limit, batch, &mut context.retired) else {
                // A file became shorter than announced.
                batch.truncate(at);
                return Turn::Over(Some(Code::Internal));
            };
            let left = !stream.output.is_empty();
            stream.note_taken(context);
            let due = stream.due();
            self.earliest = self.earliest.min(due);
            self.send_window -= i64::try_from(count).unwrap_or(0);
            self.calm.moved();
            let Some(channel) = stream.stream.channel_mut() else {
                return Turn::Over(None);
            };
            channel.send_window -= i64::try_from(count).unwrap_or(0);
            is_ended = channel.is_finished && !left && channel.trailers.is_empty();
            let mut header = Vec::with_capacity(HEADER);
            write_data_header(&mut header, number, count, is_ended);
            batch[at..at + HEADER].copy_from_slice(&header);
            if left {
                return Turn::More;
            }
        }
        self.end_stream(place, is_ended, batch)
    }

    /// Ends the stream if all of its answer is written.
    fn end_stream(&mut self, place: usize, is_ended: bool, batch: &mut Vec<u8>) -> Turn {
        let (number, stream) = &mut self.streams[place];
        let Some(channel) = stream.stream.channel_mut() else {
            return Turn::Over(None);
        };
        if !channel.is_finished {
            return Turn::Waiting;
        }
        if !is_ended {
            if channel.trailers.is_empty() {
                write_data_header(batch, *number, 0, true);
            } else {
                let mut block = Vec::with_capacity(256);
                write_trailers(&mut block, &channel.trailers, &mut self.encoder);
                write_headers(batch, *number, &block, self.max_frame, true);
            }
        }
        // RFC 9113 8.1: the rest of a request that was answered early is not wanted.
        Turn::Over((!channel.is_half_closed).then_some(Code::NoError))
    }

    fn complete(
        &mut self,
        number: u32,
        code: Option<Code>,
        batch: &mut Vec<u8>,
        context: &mut Context,
    ) {
        self.remove_stream(number, None, context);
        if let Some(code) = code {
            write_reset(batch, number, code);
            if let Some(past) = self.past.back_mut() {
                past.1 = Past::Reset;
            }
        }
    }
}

impl Conn {
    /// Something was written of what the stream sends.
    fn note_taken(&mut self, context: &mut Context) {
        if self.output.is_empty() {
            self.stalled = NEVER;
            if self.phase == Phase::App && self.intake.is_some() && self.deadline != NEVER {
                self.deadline = context.now.millis + context.settings.body_timeout;
            }
        } else {
            self.stalled = context.now.millis + context.settings.write_timeout;
        }
        self.report_flow();
        self.report_room(context);
        self.charge(context);
    }

    /// The client's window allows nothing more.
    fn note_stalled(&mut self, context: &Context) {
        if self.stalled == NEVER {
            self.stalled = context.now.millis + context.settings.write_timeout;
        }
    }
}
