//! A connection that speaks HTTP/2: one codec over one socket, and a number of streams.
//!
//! Theory of operation. The connection (`Session`) decodes frames and owns its streams, each of which is a connection of its
//! own on a `Channel` and does for its request what a connection of HTTP/1 does for its one. A stream that has something to
//! send says so in `Context::outgoing`; at the next opportunity the worker has each connection write for all its streams at
//! once (`write_streams`), so that answers that are ready together leave together. Streams take turns by frames; more urgent
//! ones have theirs first.
//!
//! (preface ->) OPEN -> LEAVING (told to open no more streams) -> CLOSING (streams in progress end, later ones are refused)
//! -> the connection lingers. A fault goes straight to the end.
//!
//! Invariants. Nothing is written to the socket but by `transmit` of whole batches, so that frames are never mixed up. Header
//! blocks are encoded when they are written, as their order is that of the table. What waits for a client is bounded: answers
//! by the back-pressure on their applications, frames of the protocol's own by `MAX_CONTROL`. Streams count from their first
//! frame until their application has returned.

mod calm;
mod channel;
mod frames;
mod session;
mod writing;

#[cfg(test)]
mod tests;

pub(super) use channel::Channel;
pub(super) use session::Session;

/// What connections are told of the configuration. Sizes are bytes.
#[derive(Debug, Clone, Copy)]
pub struct Http2Settings {
    /// Whether it is spoken at all.
    pub is_enabled: bool,
    /// Streams of a connection at once.
    pub max_streams: u32,
    /// Bytes of one request's body on their way to an application that does not take them.
    pub stream_window: u32,
}
