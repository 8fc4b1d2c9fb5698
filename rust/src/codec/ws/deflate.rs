//! Compression of what the server sends (RFC 7692 7.2.1).
//!
//! # Memory
//!
//! A zlib compressor is large, whatever the messages are: [`DeflateParams::engine_size`] says how large. With the
//! defaults of [`super::DeflateSettings`] it is 161 KiB, of which the hash table alone is 128 KiB. Hence:
//!
//! - a [`Deflater`] without context takeover keeps nothing from one message to the next, so that one serves all
//!   connections of a thread that agreed on the same window;
//! - one with context takeover belongs to one connection, and [`Deflater::release`] gives its memory back at any time,
//!   such as when the connection falls idle: the next message just refers to nothing before it, which no receiver can
//!   tell from a compressor that found no likeness.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

/// Smallest message that is worth compressing when it may refer to those before it: JSON of this size shrinks to 40%
/// (`benches/ws.rs`); what is smaller is lost among the headers of a packet.
pub const MIN_IN_CONTEXT: usize = 64;

/// Smallest message that is worth compressing by itself: JSON of this size shrinks to 80%, of half the size not at all,
/// and to prepare the compressor takes some microseconds whatever the size.
pub const MIN_ALONE: usize = 128;

/// What a flush ends with, which is left away on the wire (RFC 7692 7.2.1).
const FLUSH_TAIL: &[u8; 4] = &[0x00, 0x00, 0xff, 0xff];

/// Room that holds nearly any result in one step: with the fixed codes a byte has nine bits at most (RFC 1951 3.2.6), and
/// a flush adds a few bytes.
const fn usual_bound(payload: usize) -> usize {
    payload + payload / 8 + 64
}

/// The part of a compressor that does not depend on its parameters: its hash table and its state, as measured with
/// zlib-rs 0.6.
const FIXED_SIZE: usize = 128 * 1024 + 3328;

/// How the server compresses, as agreed on and configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {
    /// Whether a message may refer to those before it.
    pub context_takeover: bool,
    /// How far back, as a power of two; 9 to 15.
    pub window_bits: u8,
    /// Effort, 1 to 9.
    pub level: u8,
    /// How much is collected before it is coded, 1 to 9.
    pub mem_level: u8,
}

impl DeflateParams {
    /// About how many bytes a compressor has: two windows and their links, the hash table, and seven bytes for each
    /// symbol that is collected.
    #[must_use]
    pub const fn engine_size(&self) -> usize {
        (4 << self.window_bits) + FIXED_SIZE + (7 << (self.mem_level + 6))
    }
}

/// Compresses messages. Holds no memory until the first one is large enough to be compressed.
pub struct Deflater {
    /// Boxed, as most connections have none.
    engine: Option<Box<Deflate>>,
    params: DeflateParams,
}

impl Deflater {
    /// A compressor; its parameters are brought within their bounds.
    #[must_use]
    pub fn new(params: DeflateParams) -> Self {
        let params = DeflateParams {
            window_bits: params.window_bits.clamp(9, 15),
            level: params.level.clamp(1, 9),
            mem_level: params.mem_level.clamp(1, 9),
            ..params
        };
        Self {
            engine: None,
            params,
        }
    }

    /// How it compresses.
    #[must_use]
    pub const fn params(&self) -> DeflateParams {
        self.params
    }

    /// Whether a message of `length` bytes is to be compressed.
    #[inline]
    pub(super) const fn is_worth(&self, length: usize) -> bool {
        let least = if self.params.context_takeover {
            MIN_IN_CONTEXT
        } else {
            MIN_ALONE
        };
        length >= least
    }

    /// Bytes held at the moment, about.
    #[must_use]
    pub fn held(&self) -> usize {
        self.engine
            .as_ref()
            .map_or(0, |_| self.params.engine_size())
    }

    /// Gives the memory back until the next message.
    pub fn release(&mut self) {
        self.engine = None;
    }

    /// Appends `payload`, compressed as one message, to `out`. If that fails or, as far as the peer need not see the
    /// message to understand the next, does not make it smaller, appends nothing and says no.
    pub(super) fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let params = self.params;
        let engine = self
            .engine
            .get_or_insert_with(|| Box::new(start_engine(params)));
        let is_done = flush(engine, payload, out) && out.ends_with(FLUSH_TAIL);
        if is_done {
            out.truncate(out.len() - FLUSH_TAIL.len());
        } else {
            self.engine = None;
        }
        let is_taken = is_done && (params.context_takeover || out.len() - start < payload.len());
        if !params.context_takeover {
            if let Some(engine) = &mut self.engine {
                engine.reset();
            }
        }
        if !is_taken {
            out.truncate(start);
        }
        is_taken
    }
}

fn start_engine(params: DeflateParams) -> Deflate {
    Deflate::new_with_config(DeflateConfig {
        level: i32::from(params.level),
        window_bits: -i32::from(params.window_bits), // negative: without a header
        mem_level: i32::from(params.mem_level),
        ..DeflateConfig::default()
    })
}

/// Compresses all of `payload` up to a byte's end. Whether that went well.
fn flush(engine: &mut Deflate, mut payload: &[u8], out: &mut Vec<u8>) -> bool {
    loop {
        out.reserve(usual_bound(payload.len()));
        let (used_before, made_before) = (engine.total_in(), engine.total_out());
        let room = out.spare_capacity_mut();
        if engine
            .compress_uninit(payload, room, DeflateFlush::SyncFlush)
            .is_err()
        {
            return false;
        }
        let used = usize::try_from(engine.total_in() - used_before).unwrap_or(0);
        let made = usize::try_from(engine.total_out() - made_before).unwrap_or(0);
        let is_full = made == room.len();
        let length = out.len() + made;
        // SAFETY: `made` counts what was written to the spare capacity, from its start.
        unsafe { out.set_len(length) };
        payload = &payload[used..];
        if payload.is_empty() && !is_full {
            return true;
        }
        if used == 0 && made == 0 {
            return false;
        }
    }
}
