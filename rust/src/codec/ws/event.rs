//! What a decoder is allowed, and what it says.

/// What one message may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message in bytes, after decompression; 0 is no limit; beyond it 1009.
    pub message_size: usize,
}

impl Default for Limits {
    /// 16 MiB, as uvicorn has it.
    fn default() -> Self {
        Self {
            message_size: 16 * 1024 * 1024,
        }
    }
}

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message.
    Message {
        /// Whether it is text; `data` is valid UTF-8 then.
        is_text: bool,
        /// The payload, unmasked and decompressed.
        data: Vec<u8>,
    },
    /// A ping with up to 125 bytes, to be answered by [`super::write_pong`] with the same.
    Ping(Box<[u8]>),
    /// A pong with up to 125 bytes.
    Pong(Box<[u8]>),
    /// The client's close frame. Nothing follows it; it is to be answered by one of ours, unless that was first (RFC
    /// 6455 5.5.1).
    Close {
        /// The code, if there is one.
        code: Option<u16>,
        /// Up to 123 bytes.
        reason: Box<str>,
    },
}

/// What one call of [`super::Decoder::decode`] did.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input that were used.
    pub consumed: usize,
    /// The event that they complete. Without one, all of the input was used.
    pub event: Option<Event>,
}
