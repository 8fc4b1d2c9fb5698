//! Waiting for readiness and time: one poller per worker, epoll on Linux and kqueue elsewhere, behind one small interface.
//!
//! Theory of operation. A `Poller` is one descriptor that is itself readable whenever anything in it is ready: streams,
//! listeners, a timer and a wake-up event are all in the same kernel set. So a worker can either block in `wait`, or
//! hand the descriptor to another event loop and call in when it is told that something is ready.
//! Streams are edge-triggered and registered once; listeners and plain sources are level-triggered.

#[cfg(target_os = "linux")]
mod epoll;
#[cfg(target_os = "linux")]
pub use epoll::{Poller, Waker};

#[cfg(any(
    target_os = "macos",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
mod kqueue;
#[cfg(any(
    target_os = "macos",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
pub use kqueue::{Poller, Waker};

mod wheel;
pub use wheel::Wheel;

/// What one registered descriptor reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the kernel reports them independently"
)]
pub struct Readiness {
    /// The value given at registration.
    pub token: u64,
    /// Bytes (or a connection, or an end of file) can be read.
    pub readable: bool,
    /// Bytes can be written again.
    pub writable: bool,
    /// The peer closed its writing side, or the connection broke; reading on gives the remaining bytes, then the end.
    pub ended: bool,
    /// The connection is gone in both directions.
    pub broken: bool,
}

/// Tokens at and above this value belong to the poller itself; users give smaller ones.
pub const RESERVED_TOKENS: u64 = u64::MAX - 1;
