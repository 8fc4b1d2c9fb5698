//! A listening socket, bound by the supervisor and shared with other workers.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};

use super::stream::unmapped;
use super::{Peer, Stream};

/// What kind of address a listener has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerKind {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// A unix stream socket.
    Unix,
}

/// What clients speak to a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.
    #[default]
    Http,
    /// The protocol of uWSGI, from a web server in front.
    Uwsgi,
    /// The Simple Common Gateway Interface, from a web server in front.
    Scgi,
    /// FastCGI, from a web server in front.
    FastCgi,
}

/// How the connections of a listener begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Speech {
    /// What is spoken.
    pub protocol: Protocol,
    /// A header of the PROXY protocol comes first.
    pub proxy: bool,
    /// TLS comes first, or behind that header: the number of its profile.
    pub tls: Option<usize>,
}

/// The outcome of one accept.
#[derive(Debug)]
pub enum Accepted {
    /// A new connection.
    Connection(Stream, Peer),
    /// No connection is waiting.
    Empty,
    /// This connection failed before we took it; the next may be fine.
    Failed,
    /// The process or the system is out of descriptors or memory: wait before the next try.
    Exhausted(io::Error),
    /// The listener itself is unusable.
    Broken(io::Error),
}

/// One listener.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    /// TCP or unix.
    pub kind: ListenerKind,
    /// The host that applications are told.
    pub host: String,
    /// The port that applications are told.
    pub port: u16,
    /// The path of a unix socket, or its name behind an `@`; empty for TCP.
    pub path: String,
    /// What clients speak.
    pub speech: Speech,
}

impl Listener {
    /// Takes over a bound, listening descriptor, which must be non-blocking.
    #[must_use]
    pub fn new(fd: OwnedFd, kind: ListenerKind, host: String, port: u16) -> Self {
        Self {
            fd,
            kind,
            host,
            port,
            path: String::new(),
            speech: Speech::default(),
        }
    }

    /// Takes one waiting connection.
    #[must_use]
    pub fn accept(&self) -> Accepted {
        match acceptfrom_with(&self.fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok((fd, address)) => {
                let address = address.and_then(|any| SocketAddr::try_from(any).ok());
                Accepted::Connection(
                    Stream::new(fd),
                    address.map_or(Peer::Unix, |tcp| Peer::Tcp(unmapped(tcp))),
                )
            }
            Err(Errno::AGAIN) => Accepted::Empty,
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS)) => {
                Accepted::Exhausted(error.into())
            }
            Err(error @ (Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP)) => {
                Accepted::Broken(error.into())
            }
            // accept(2): errors of the new connection are reported here and mean "try again".
            Err(_) => Accepted::Failed,
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
