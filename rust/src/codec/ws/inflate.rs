//! Decompression of what a client sends (RFC 7692 7.2.2).
//!
//! # Theory of operation
//!
//! A zlib decompressor is some 46 KiB whatever its window, so a connection has one only while a message arrives. What
//! the next message may refer to is the end of those before it, and is all that is kept between them: never more than
//! the window, and no more than was ever received. Loading it into a fresh decompressor costs about a microsecond.

use zlib_rs::{Inflate, InflateFlush, Status};

use super::close::Fault;

/// Window of the decompressor in bits: the largest, as its size does not depend on it. That a client keeps to a smaller
/// one that was agreed on is seen only in that nothing older is remembered.
const ENGINE_WINDOW_BITS: u8 = 15;

/// Most bytes that one step writes, so that a step fits what zlib counts with on any machine; arbitrary.
const MAX_STEP: usize = 1 << 30;

/// Least room to decompress into: less than this is not worth an allocation; arbitrary.
const MIN_ROOM: usize = 128;

/// Room made for each compressed byte at first: JSON shrinks to a quarter or a fifth.
const USUAL_RATIO: usize = 4;

/// What the sender left away (RFC 7692 7.2.2), then an empty final block. That the final block ends the stream shows
/// that the message ended where a block ends, and was not cut off.
const END: [u8; 6] = [0x00, 0x00, 0xff, 0xff, 0x03, 0x00];

const INVALID: Fault = Fault::data("The compressed data of a message is invalid.");
const INCOMPLETE: Fault = Fault::data("The compressed data of a message is incomplete.");

/// How a client compresses, as agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InflateParams {
    /// Whether a message may refer to those before it.
    pub context_takeover: bool,
    /// How far back, as a power of two; 9 to 15.
    pub window_bits: u8,
}

/// Decompresses the messages of one connection.
pub(super) struct Inflater {
    /// The end of earlier messages, at most a window of it; empty without context takeover.
    history: Vec<u8>,
    /// There while a message is under way.
    engine: Option<Box<Inflate>>,
    /// Whether the message has any compressed data yet.
    has_begun: bool,
    /// Whether the last byte given was the last of a final block.
    has_ended: bool,
    params: InflateParams,
}

impl Inflater {
    pub(super) const fn new(params: InflateParams) -> Self {
        Self {
            history: Vec::new(),
            engine: None,
            has_begun: false,
            has_ended: false,
            params,
        }
    }

    /// Bytes kept for the messages to come.
    pub(super) fn kept(&self) -> usize {
        self.history.capacity()
    }

    /// Appends to `message`, which is all of the message so far, what `input` decompresses to.
    ///
    /// # Errors
    ///
    /// 1007 for invalid data; `too_big` for more than `limit` bytes. `message` then has what came before the fault,
    /// wherever the input was cut.
    pub(super) fn inflate(
        &mut self,
        mut input: &[u8],
        message: &mut Vec<u8>,
        limit: usize,
        too_big: Fault,
    ) -> Result<(), Fault> {
        if input.is_empty() {
            return Ok(());
        }
        self.has_begun = true;
        loop {
            make_room(message, input.len(), limit);
            let before = message.len();
            let (used, status) = self.step(input, message)?;
            let is_stuck = used == 0 && message.len() == before && !input.is_empty();
            input = &input[used..];
            if message.len() > limit {
                message.truncate(limit);
                return Err(too_big);
            }
            let status = status?;
            if is_stuck {
                return Err(INVALID); // zlib promises progress; without it this would not end
            }
            self.has_ended = status == Status::StreamEnd;
            if self.has_ended {
                self.restart();
            }
            // Without room left there may be output that waits for some.
            if input.is_empty() && (self.has_ended || message.len() < message.capacity()) {
                return Ok(());
            }
        }
    }

    /// RFC 7692 7.2.3.4: a final block may stand anywhere; another stream follows. A compressor that ends a stream within
    /// a message forgets what was before, so the window is not loaded again: it would make two bytes cost a microsecond.
    fn restart(&mut self) {
        if let Some(engine) = &mut self.engine {
            engine.reset(false);
        }
    }

    /// Ends the message: all of it is in `message`, and may be referred to by the next.
    ///
    /// # Errors
    ///
    /// As for [`Inflater::inflate`], and 1007 for a message that ends within a block.
    pub(super) fn finish(
        &mut self,
        message: &mut Vec<u8>,
        limit: usize,
        too_big: Fault,
    ) -> Result<(), Fault> {
        // RFC 7692 7.2.3.6 wants one byte for an empty message; senders are known that leave out even that.
        if self.has_begun {
            self.inflate(&END, message, limit, too_big)?;
            if !self.has_ended {
                return Err(INCOMPLETE);
            }
        }
        self.has_begun = false;
        self.has_ended = false;
        self.engine = None;
        if self.params.context_takeover {
            self.remember(message);
        }
        Ok(())
    }

    /// Decompresses into the room that `message` has: the bytes used and how it went.
    fn step(
        &mut self,
        input: &[u8],
        message: &mut Vec<u8>,
    ) -> Result<(usize, Result<Status, Fault>), Fault> {
        if self.engine.is_none() {
            self.engine = Some(Box::new(start_engine(&self.history)?));
        }
        let Some(engine) = &mut self.engine else {
            return Err(INVALID);
        };
        let (used_before, made_before) = (engine.total_in(), engine.total_out());
        let room = message.spare_capacity_mut();
        let step = room.len().min(MAX_STEP);
        let status = engine
            .decompress_uninit(input, &mut room[..step], InflateFlush::NoFlush)
            .map_err(|_| INVALID);
        let used = engine.total_in() - used_before;
        let made = engine.total_out() - made_before;
        let length = message.len() + usize::try_from(made).unwrap_or(0);
        // SAFETY: `made` counts what was written to the spare capacity, from its start.
        unsafe { message.set_len(length) };
        Ok((usize::try_from(used).unwrap_or(0), status))
    }

    /// Keeps the last window of all that was received.
    fn remember(&mut self, message: &[u8]) {
        let window = 1 << self.params.window_bits;
        let message = tail(message, window);
        let length = self.history.len() + message.len();
        self.history.drain(..length.saturating_sub(window));
        if self.history.capacity() < length.min(window) {
            // Twice as much as there is, so that many small messages do not move it each, but no more than a window.
            let goal = (self.history.len() * 2).max(length).min(window);
            self.history.reserve_exact(goal - self.history.len());
        }
        self.history.extend_from_slice(message);
    }
}

fn tail(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(most)..]
}

/// A decompressor for a message that may refer to `history`.
fn start_engine(history: &[u8]) -> Result<Inflate, Fault> {
    let mut engine = Inflate::new(false, ENGINE_WINDOW_BITS);
    if !history.is_empty() {
        engine.set_dictionary(history).map_err(|_| INVALID)?;
    }
    Ok(engine)
}

/// Leaves some room in `message`, but never for more than one byte beyond `limit`, which is enough to notice it.
fn make_room(message: &mut Vec<u8>, input: usize, limit: usize) {
    let length = message.len();
    if length == message.capacity() {
        let wanted = input.saturating_mul(USUAL_RATIO).max(length).max(MIN_ROOM);
        message.reserve_exact(wanted.min(limit.saturating_add(1) - length));
    }
}
