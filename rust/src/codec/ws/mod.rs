//! WebSocket (RFC 6455) on the server's side, with compression of messages (RFC 7692).
//!
//! # Theory of operation
//!
//! [`check_upgrade`] judges a request's head. To accept it, the caller writes [`write_switch`], its own fields and the
//! empty line; from then on the connection's bytes belong to a [`Decoder`], which makes [`Event`]s of them one by one,
//! so that a caller whose queue is full just does not ask for the next. What goes out is written by the `write_`
//! functions into a buffer of the caller.
//!
//! # Invariants
//!
//! - How bytes were split over reads never changes the events, nor the fault that ends them.
//! - Every byte is judged as soon as it is there: a peer that breaks the protocol, sends text that is no text or a
//!   message over the limit is failed at the first byte that makes it so.
//! - Memory follows what was received, never what was announced, and decompression stops at the limit. A message's
//!   buffer leaves with the message; a connection between messages holds its [`Decoder`] (96 bytes) and, only if
//!   context takeover was agreed on, as much of earlier messages as the window reaches back.
//! - Nothing is read after a close frame or a fault.
//!
//! # Decisions where the specifications leave room
//!
//! | subject | decision |
//! |---|---|
//! | which requests | `GET` of HTTP/1.1 with `upgrade` and `websocket`; in HTTP/1.0 `Upgrade` is ignored (RFC 9110 7.8); a body is 400 |
//! | version | 426 for another than 13, 400 for none or several (RFC 6455 4.2.2, 4.4) |
//! | key | one, 16 bytes in base64; padding bits may be anything |
//! | subprotocols | tokens, as they come; a malformed list is 400 |
//! | extensions | a malformed field is 400 (RFC 6455 9.1); an offer with unknown, invalid or repeated parameters is passed over (RFC 7692 7.1) |
//! | windows | 9 to 15 bits; an offer that wants 8 of the server is passed over, as no zlib can make that; it is said only where asked for or allowed |
//! | lengths | only in their shortest form (RFC 6455 5.2) |
//! | close codes | those of the IANA registry that may be sent, and 3000 to 4999 ([`is_valid_close_code`]) |
//! | invalid compression | 1007, as data that is not what it claims; a message that ends within a block is that too, but for an empty one |
//! | final blocks | may stand anywhere in a message (RFC 7692 7.2.3.4); what follows cannot refer to what was before |
//! | too large | 1009 when a frame's head announces it, or when decompression reaches the limit |
//! | fragments | never handed on singly: applications know only messages |
//! | outgoing messages | one frame each; compressed from [`MIN_IN_CONTEXT`] or [`MIN_ALONE`] bytes on |

mod accept;
mod close;
mod decoder;
mod deflate;
mod encoder;
mod event;
mod extension;
mod field;
mod frame;
mod handshake;
mod inflate;
mod mask;
mod utf8;

#[cfg(test)]
mod tests;

pub use accept::accept_key;
pub use close::{Fault, MAX_CONTROL, MAX_REASON, is_valid_close_code};
pub use decoder::Decoder;
pub use deflate::{DeflateParams, Deflater, MIN_ALONE, MIN_IN_CONTEXT};
pub use encoder::{write_close, write_header, write_message, write_ping, write_pong};
pub use event::{Decoded, Event, Limits};
pub use extension::{Agreement, DeflateSettings};
pub use frame::Opcode;
pub use handshake::{Upgrade, WANTED_VERSION, check_connect, check_upgrade, write_switch};
pub use inflate::InflateParams;
