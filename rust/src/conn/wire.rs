//! What carries a connection's bytes: a socket, or a channel of another connection.

use std::io::IoSlice;
use std::sync::Arc;

use crate::net::{Stream, Transfer};
use crate::tls::Facts;

use super::http2::Channel;

/// A socket, or what a stream of HTTP/2 has in its place. A channel takes part in no reading and writing: its parent
/// delivers and collects.
#[derive(Debug)]
pub(super) enum Wire {
    Socket(Stream),
    Channel(Box<Channel>),
}

impl Wire {
    #[inline]
    pub(super) fn socket(&self) -> Option<&Stream> {
        match self {
            Self::Socket(stream) => Some(stream),
            Self::Channel(_) => None,
        }
    }

    #[inline]
    pub(super) fn channel(&self) -> Option<&Channel> {
        match self {
            Self::Socket(_) => None,
            Self::Channel(channel) => Some(channel),
        }
    }

    #[inline]
    pub(super) fn channel_mut(&mut self) -> Option<&mut Channel> {
        match self {
            Self::Socket(_) => None,
            Self::Channel(channel) => Some(channel),
        }
    }

    #[inline]
    pub(super) fn is_channel(&self) -> bool {
        matches!(self, Self::Channel(_))
    }

    #[inline]
    pub(super) fn socket_mut(&mut self) -> Option<&mut Stream> {
        match self {
            Self::Socket(stream) => Some(stream),
            Self::Channel(_) => None,
        }
    }

    #[inline]
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Transfer {
        self.socket_mut()
            .map_or(Transfer::Blocked, |stream| stream.receive(buffer))
    }

    #[inline]
    pub(super) fn receive_bare(&mut self, buffer: &mut [u8]) -> Transfer {
        self.socket_mut()
            .map_or(Transfer::Blocked, |stream| stream.receive_bare(buffer))
    }

    #[inline]
    pub(super) fn may_have_more(&self, count: usize, room: usize) -> bool {
        self.socket()
            .is_some_and(|stream| stream.may_have_more(count, room))
    }

    #[inline]
    pub(super) fn is_behind(&self) -> bool {
        self.socket().is_some_and(Stream::is_behind)
    }

    #[inline]
    pub(super) fn send(&mut self, bytes: &[u8]) -> Transfer {
        self.socket_mut()
            .map_or(Transfer::Blocked, |stream| stream.send(bytes))
    }

    #[inline]
    pub(super) fn send_runs(&mut self, runs: &[IoSlice<'_>]) -> Transfer {
        self.socket_mut()
            .map_or(Transfer::Blocked, |stream| stream.send_runs(runs))
    }

    #[inline]
    pub(super) fn push(&mut self) {
        if let Some(stream) = self.socket_mut() {
            stream.push();
        }
    }

    pub(super) fn has_input(&self) -> bool {
        self.socket().is_some_and(Stream::has_input)
    }

    pub(super) fn finish_writing(&mut self) {
        if let Some(stream) = self.socket_mut() {
            stream.finish_writing();
        }
    }

    pub(super) fn conclude(&mut self) -> bool {
        self.socket_mut().is_none_or(Stream::conclude)
    }

    #[inline]
    pub(super) fn is_secure(&self) -> bool {
        self.socket().is_some_and(Stream::is_secure)
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.socket().is_some_and(Stream::is_handshaking)
    }

    pub(super) fn is_plain(&self) -> bool {
        self.socket().is_some_and(Stream::is_plain)
    }

    pub(super) fn lay_bare(&mut self) {
        if let Some(stream) = self.socket_mut() {
            stream.lay_bare();
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if let Some(stream) = self.socket_mut() {
            stream.feed(bytes);
        }
    }

    #[inline]
    pub(super) fn in_memory(&self) -> usize {
        self.socket().map_or(0, Stream::in_memory)
    }

    /// What is known of TLS: a stream has it of its connection.
    #[inline]
    pub(super) fn facts(&self) -> Option<&Arc<Facts>> {
        match self {
            Self::Socket(stream) => stream.facts(),
            Self::Channel(channel) => channel.facts(),
        }
    }

    /// The protocol that was agreed on in a handshake of TLS.
    pub(super) fn protocol(&self) -> Option<&[u8]> {
        self.socket()?.protocol()
    }
}
