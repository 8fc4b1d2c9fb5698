//! The two ends of a connection.

use core::net::SocketAddr;

/// An end of a connection that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// An IP address and a port; IPv4 in IPv6 form is given as IPv4.
    Ip(SocketAddr),
    /// The path of a unix socket; empty if it has none. An abstract one begins with NUL.
    Unix(&'a [u8]),
}

/// Both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints<'a> {
    /// The client's.
    pub source: Address<'a>,
    /// Where the client connected to.
    pub destination: Address<'a>,
    /// It was a datagram protocol, such as QUIC, between them.
    pub is_datagram: bool,
}

impl Address<'_> {
    pub(super) fn ip(address: impl Into<core::net::IpAddr>, port: u16) -> Self {
        Self::Ip(SocketAddr::new(address.into().to_canonical(), port))
    }
}
