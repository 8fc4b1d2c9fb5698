//! The uwsgi protocol on the server's side, for requests to WSGI and ASGI applications.
//!
//! # Theory of operation
//!
//! A packet is four bytes (`modifier1`, the size of the block in little endian, `modifier2`) and a block of variables,
//! each a 16-bit length and bytes for the name and for the value. The request's body follows as it is, and the answer
//! is an HTTP response whose body lasts until the connection closes. One connection carries one request.
//!
//! A connection hands its unread bytes to [`parse_request`] until that says [`Progress::Request`], then reads the body
//! as [`Head::framing`] says. What is common to all gateways is in [`gateway`](super::gateway).
//!
//! # Invariants
//!
//! - The outcome is decided by the first four bytes, or when the block is complete, so how bytes were split over reads
//!   never changes it. While a block is awaited, nothing is looked at but the length of what is there.
//! - A packet is a request or a ping. All that uWSGI does for other modifiers (running code, signals, the cache, the
//!   spooler, ...) is refused, and so is a variable that would make it load code: see
//!   [`gateway`](super::gateway).
//!
//! # Decisions
//!
//! | subject | decision |
//! |---|---|
//! | `modifier1` 0 | a request |
//! | `modifier1` 30 | a request whose `PATH_INFO` is the whole path; `SCRIPT_NAME` is taken off it if it is there. uWSGI takes as many bytes off, whatever they are |
//! | `modifier1` 100 | a ping, which has no block; [`write_pong`] answers it |
//! | other modifiers | 400 |
//! | `modifier2` | 0 only |
//! | an empty name, a length beyond the block | 400 |
//! | an empty block | 400: there is no method |
//! | the block's size | up to [`Limits::head_size`], beyond it 431 before the block is there. uWSGI takes 4 KiB unless told otherwise |
//! | persistent connections (`puwsgi`) | not spoken |

mod block;

#[cfg(test)]
pub(in crate::codec) mod tests;

use block::Block;

use super::gateway::{Body, Shape, Told, assemble};
use super::http1::{Head, Limits, Refusal, Span};

/// Size of a packet's header.
pub const HEADER_SIZE: usize = 4;

const REQUEST: u8 = 0;
const REQUEST_WITH_WHOLE_PATH: u8 = 30;
const PING: u8 = 100;

const MODIFIER: Refusal = Refusal::bad_request(
    "The only uwsgi packets that this server answers are requests (modifiers 0 and 30) and pings (100).",
);
const HTTP: Refusal = Refusal::bad_request(
    "This port speaks the uwsgi protocol, and the client seems to speak HTTP.",
);
const TLS: Refusal = Refusal::bad_request(
    "This port speaks the uwsgi protocol without encryption, and the client speaks TLS.",
);
const SECOND_MODIFIER: Refusal =
    Refusal::bad_request("The second modifier of a uwsgi request must be 0.");
const PING_SIZE: Refusal = Refusal::bad_request("A uwsgi ping cannot have a block.");
const BLOCK: Refusal =
    Refusal::bad_request("The variables of the uwsgi packet are not names and values.");
const BLOCK_TOO_LARGE: Refusal = Refusal::new(
    431,
    "The block of the uwsgi packet is larger than this server accepts.",
);

/// How far a packet has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Partial,
    /// A request; its body, if it has one, starts after so many bytes.
    Request {
        /// Size of the packet.
        len: usize,
    },
    /// A ping, to be answered with [`write_pong`] and the end of the connection.
    Ping {
        /// Size of the packet.
        len: usize,
    },
}

/// Parses the packet at the start of `received`. Call it again with the same bytes and more while it says `Partial`.
///
/// After `Request`, `bytes` holds what `head` and `told` point to; see [`assemble`].
///
/// # Errors
///
/// 400, 411, 413, 414, 431 or 501, to be answered with
/// [`gateway::write_refusal`](super::gateway::write_refusal).
pub fn parse_request(
    received: &[u8],
    limits: &Limits,
    bytes: &mut Vec<u8>,
    head: &mut Head,
    told: &mut Told,
) -> Result<Progress, Refusal> {
    // After a refusal that comes before the variables, no method is known.
    head.method = Span::default();
    let Some(header) = parse_header(received, limits)? else {
        return Ok(Progress::Partial);
    };
    if header.is_ping {
        return Ok(Progress::Ping { len: HEADER_SIZE });
    }
    let len = HEADER_SIZE + header.size;
    let Some(block) = received.get(HEADER_SIZE..len) else {
        return Ok(Progress::Partial);
    };
    let block = Block::check(block).ok_or(BLOCK)?;
    let shape = Shape {
        strip_script_name: header.strip_script_name,
        body: Body::Declared,
        keep_alive: false,
    };
    assemble(block, shape, limits, bytes, head, told)?;
    Ok(Progress::Request { len })
}

struct Header {
    is_ping: bool,
    strip_script_name: bool,
    size: usize,
}

/// The header, judged byte by byte.
fn parse_header(received: &[u8], limits: &Limits) -> Result<Option<Header>, Refusal> {
    let Some(&modifier) = received.first() else {
        return Ok(None);
    };
    match modifier {
        REQUEST | REQUEST_WITH_WHOLE_PATH | PING => {}
        b'A'..=b'Z' => return Err(HTTP),
        22 => return Err(TLS), // RFC 8446 5.1: a handshake; in uWSGI, code to be run.
        _ => return Err(MODIFIER),
    }
    let Some(&[low, high]) = received.get(1..).and_then(|rest| rest.first_chunk::<2>()) else {
        return Ok(None);
    };
    let is_ping = modifier == PING;
    let size = usize::from(u16::from_le_bytes([low, high]));
    if is_ping && size != 0 {
        return Err(PING_SIZE);
    }
    if size > limits.head_size {
        return Err(BLOCK_TOO_LARGE);
    }
    match received.get(3) {
        None => Ok(None),
        Some(0) => Ok(Some(Header {
            is_ping,
            strip_script_name: modifier == REQUEST_WITH_WHOLE_PATH,
            size,
        })),
        Some(_) => Err(SECOND_MODIFIER),
    }
}

/// Appends the answer to a ping: all is well. uWSGI has a warning text for a block here.
pub fn write_pong(out: &mut Vec<u8>) {
    out.extend_from_slice(&[PING, 0, 0, 1]);
}
