//! One connected, non-blocking socket.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A TCP address; IPv4 addresses that arrive on an IPv6 socket are given as IPv4.
    Tcp(SocketAddr),
    /// A process on this machine, through a unix socket.
    Unix,
}

impl Peer {
    /// The IP address, if there is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }
}

/// The outcome of one non-blocking read or write.
#[derive(Debug)]
pub enum Transfer {
    /// So many bytes went through; for a read, zero is the end of the stream.
    Done(usize),
    /// Nothing can be transferred now.
    Blocked,
    /// The connection is broken.
    Broken(io::Error),
}

impl Transfer {
    fn of(result: Result<usize, Errno>) -> Self {
        match result {
            Ok(count) => Self::Done(count),
            Err(Errno::AGAIN) => Self::Blocked,
            Err(error) => Self::Broken(error.into()),
        }
    }
}

/// A connected stream socket.
#[derive(Debug)]
pub struct Stream {
    fd: OwnedFd,
}

impl Stream {
    /// Takes over a connected, non-blocking descriptor.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Reads what is there, up to the buffer's length.
    pub fn receive(&self, buffer: &mut [u8]) -> Transfer {
        Transfer::of(
            retry_on_intr(|| recv(&self.fd, &mut *buffer, RecvFlags::empty()))
                .map(|(_, count)| count),
        )
    }

    /// Whether bytes, or the end of the stream, wait to be read.
    #[must_use]
    pub fn has_input(&self) -> bool {
        !matches!(
            recv(&self.fd, &mut [0_u8; 1], RecvFlags::PEEK),
            Err(Errno::AGAIN)
        )
    }

    /// Writes one run of bytes.
    #[must_use]
    pub fn send(&self, bytes: &[u8]) -> Transfer {
        Transfer::of(retry_on_intr(|| send(&self.fd, bytes, SendFlags::NOSIGNAL)))
    }

    /// Writes several runs of bytes in one call. The caller's process ignores SIGPIPE.
    #[must_use]
    pub fn send_runs(&self, runs: &[IoSlice<'_>]) -> Transfer {
        Transfer::of(retry_on_intr(|| rustix::io::writev(&self.fd, runs)))
    }

    /// Sends up to `count` bytes of a file from `offset`, without passing them through this process where the system can.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn send_file(&self, file: &File, offset: u64, count: u64) -> Transfer {
        /// The most that one call moves, so that one fast reader cannot keep the worker for itself.
        const PORTION: u64 = 1 << 20;
        let mut at = offset;
        let count = usize::try_from(count.min(PORTION)).unwrap_or(0);
        // An interruption must not look like a full socket, which would tell us when it has room again.
        Transfer::of(retry_on_intr(|| {
            rustix::fs::sendfile(&self.fd, file, Some(&mut at), count)
        }))
    }

    /// Sends up to `count` bytes of a file from `offset`.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    pub fn send_file(&self, file: &File, offset: u64, count: u64) -> Transfer {
        use std::os::unix::fs::FileExt;
        let mut portion = vec![0_u8; usize::try_from(count.min(65_536)).unwrap_or(0)];
        match file.read_at(&mut portion, offset) {
            Ok(0) => Transfer::Done(0),
            Ok(length) => self.send(&portion[..length]),
            Err(error) => Transfer::Broken(error),
        }
    }

    /// Makes the end of the connection an error for the peer rather than an end of file.
    pub fn reset_on_close(&self) {
        // A peer that is gone already needs no telling.
        let _ = sockopt::set_socket_linger(&self.fd, Some(Duration::ZERO));
    }

    /// Tells the peer that nothing more will be written; what it still sends can be read.
    pub fn finish_writing(&self) {
        // A peer that is gone already needs no telling.
        let _ = shutdown(&self.fd, Shutdown::Write);
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Gives an IPv4 address that came through an IPv6 socket its own form back.
pub(super) fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => match Ipv6Addr::to_ipv4_mapped(&ip) {
            Some(v4) => SocketAddr::new(IpAddr::V4(v4), address.port()),
            None => address,
        },
        IpAddr::V4(_) => address,
    }
}
