//! The PROXY protocol, versions 1 and 2, on the receiving side: what a load balancer says about a connection that it
//! passes on, before the first byte of that connection's own protocol.
//!
//! # Theory of operation
//!
//! A connection hands its first bytes to [`parse`] until that says [`Progress::Complete`], drops the `len` bytes of the
//! header, and knows by [`Told`] who is at the other end. What follows is of any protocol.
//!
//! Whether a peer is believed must be decided before: whoever can send a header can claim any address. Whoever is to
//! send one must do so, as the specification wants it; guessing by the first bytes whether there is one is how a client
//! would smuggle its own.
//!
//! # Invariants
//!
//! - The bytes are judged from left to right, and a fault is found on the earliest byte that makes it one, but for the
//!   addresses of version 1 and what version 2 has behind its fixed part, which are judged when they are complete. So
//!   how bytes were split over reads never changes the outcome.
//! - What is waited for is bounded: 107 bytes in version 1, [`Limits::size`] in version 2.
//! - Nothing is allocated; [`Told`] points into the header.
//!
//! # Decisions where the specification leaves room
//!
//! | subject | decision |
//! |---|---|
//! | `PROXY UNKNOWN`, `AF_UNSPEC`, `LOCAL` | no addresses: the connection's own stand. Whatever version 1 says behind `UNKNOWN` is skipped |
//! | `LOCAL` | nothing behind the fixed part is read (a health check of the load balancer itself) |
//! | version 1 | one space between parts; addresses and ports as they are usually written, without zeros in front; `TCP4` and `TCP6` take addresses of their own family |
//! | version 2: families and transports | the seven combinations that the specification lists; a datagram one speaks of the connection that the load balancer received |
//! | unix addresses | up to the first NUL; an abstract one begins with NUL, and what is behind it counts without the NULs at its end |
//! | bytes behind the addresses | extensions, each of which must fit |
//! | unknown extensions, `NOOP`, `NETNS` | ignored |
//! | a repeated ALPN, AUTHORITY, CRC32C, UNIQUE_ID or SSL | a fault |
//! | a checksum | is verified; none is needed |
//! | ALPN, AUTHORITY, texts of SSL | not empty, without control characters; texts are UTF-8 |
//! | UNIQUE_ID | up to 128 bytes, as the specification says |

mod address;
mod checksum;
mod extension;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

use core::fmt;

pub use address::{Address, Endpoints};
pub use extension::Ssl;

/// Limits on a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest header of version 2 in bytes, the fixed part included. Version 1 has a limit of its own.
    pub size: usize,
}

impl Default for Limits {
    /// 4 KiB: addresses, names and a client's certificate in DER, which is about 2 KiB with a long key.
    fn default() -> Self {
        Self { size: 4_096 }
    }
}

/// Why a connection is closed without an answer: nobody knows what protocol it would be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One sentence for the log, ASCII.
    pub reason: &'static str,
}

impl Fault {
    pub(super) const fn new(reason: &'static str) -> Self {
        Self { reason }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.reason)
    }
}

impl core::error::Error for Fault {}

/// Whether more bytes are needed.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for a call, once per connection"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The header has not ended yet.
    Partial,
    /// The header is complete.
    Complete {
        /// Its size: the connection's own protocol begins here.
        len: usize,
        /// What it says.
        told: Told<'a>,
    },
}

/// What a header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told<'a> {
    /// The load balancer speaks for itself (`LOCAL`), as in a health check.
    pub is_local: bool,
    /// Both ends of the connection that is passed on, if they are told.
    pub endpoints: Option<Endpoints<'a>>,
    /// The protocol that was agreed on in the TLS handshake (`PP2_TYPE_ALPN`), such as `h2`.
    pub alpn: Option<&'a [u8]>,
    /// The host name that the client named (`PP2_TYPE_AUTHORITY`), usually the SNI. Not known to be a valid one.
    pub authority: Option<&'a str>,
    /// What the load balancer calls the connection (`PP2_TYPE_UNIQUE_ID`): any bytes.
    pub unique_id: Option<&'a [u8]>,
    /// About the client's TLS connection (`PP2_TYPE_SSL`).
    pub ssl: Option<Ssl<'a>>,
}

const NO_HEADER: Fault =
    Fault::new("the connection does not begin with a header of the PROXY protocol");

/// Parses the header at the start of `bytes`. Call it again with the same bytes and more while it says `Partial`.
///
/// # Errors
///
/// A fault, as soon as no further byte can mend the header.
pub fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Progress<'a>, Fault> {
    match bytes.first() {
        None => Ok(Progress::Partial),
        Some(b'P') => v1::parse(bytes),
        Some(b'\r') => v2::parse(bytes, *limits),
        Some(_) => Err(NO_HEADER),
    }
}

/// Whether `bytes` begin with `wanted`; nothing if they are too short to tell.
fn begins_with(bytes: &[u8], wanted: &[u8]) -> Result<Option<()>, Fault> {
    if bytes
        .iter()
        .zip(wanted)
        .any(|(octet, wanted)| octet != wanted)
    {
        return Err(NO_HEADER);
    }
    Ok((bytes.len() >= wanted.len()).then_some(()))
}
