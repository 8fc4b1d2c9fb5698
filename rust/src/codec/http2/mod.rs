//! HTTP/2 (RFC 9113) without I/O: frames and header compression (HPACK, RFC 7541) in both directions.
//!
//! # Theory of operation
//!
//! [`Decoder`] cuts what a client sends into [`Event`]s; it judges each frame by itself and by the order of header
//! blocks, and knows nothing of streams. A header block is turned into the [`Head`](super::http1::Head) that HTTP/1
//! would have given by a [`RequestBuilder`], which the fields come to one by one out of the [`HeaderDecoder`], so that
//! nothing passes here that would not pass there. The answer comes as the text of an HTTP/1 head, which
//! [`write_head`] turns into a header block.
//!
//! Which streams there are, their windows, and what a client may ask for in what time are the connection's to know
//! (`conn/http2`).
//!
//! # Invariants
//!
//! - Memory is bounded: a frame that comes in pieces is held up to [`MAX_FRAME`] bytes, but data, of which nothing is
//!   held; a header block up to what its owner allows; each dynamic table up to [`TABLE_SIZE`].
//! - A header block is decoded to its end whatever is wrong with the request in it, as the table must stay that of the
//!   client.
//! - Each error says what it costs: a [`Fault`] the connection, [`Event::StreamFault`] the stream.
//!
//! # Decisions where RFC 9113 leaves room
//!
//! | subject | decision |
//! |---|---|
//! | `HTTP2-Settings` and `Upgrade: h2c` | not looked at (RFC 9113 3.1 has dropped them); prior knowledge and ALPN only |
//! | a malformed request (8.1.1) | the stream is reset; what is merely more than this server takes is answered (414, 431, 413, 501) |
//! | `:authority` and `Host` that differ | malformed (8.3.1) |
//! | `:scheme` | `http` or `https`; which of them is not believed |
//! | the old priorities (5.3) | checked for self-dependency as RFC 7540 asks, else ignored; RFC 9218 urgencies count |
//! | Huffman coding of answers | not used: what repeats is in the table, and what does not is short |

mod decoder;
mod encoder;
mod frame;
mod hpack;
mod huffman;
mod request;
mod response;
mod table;

#[cfg(test)]
mod tests;

pub use decoder::{Decoded, Decoder, Event, Fault, PeerSettings};
pub use encoder::HeaderEncoder;
pub use frame::{
    Code, MAX_FRAME, MAX_WINDOW, OwnSettings, PREFACE, PREFACE_LINE, write_data_header,
    write_goaway, write_headers, write_ping, write_ping_ack, write_reset, write_settings,
    write_settings_ack, write_window,
};
pub use hpack::{CompressionError, HeaderDecoder, TABLE_SIZE};
pub use request::{RequestBuilder, RequestFault, RequestFields, check_trailer, parse_urgency};
pub use response::{write_head, write_trailers};
