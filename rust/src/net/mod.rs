//! Sockets: accepting from listeners, and non-blocking bytes in and out of connections.

mod listener;
mod session;
mod stream;

pub use listener::{Accepted, Listener, ListenerKind, Protocol, Speech};
pub use stream::{Peer, Stream, Transfer};
