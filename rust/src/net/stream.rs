//! One connected, non-blocking socket, plain or with TLS over it.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use std::sync::Arc;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};

use super::session::{Session, Wire};
use crate::time::Millis;
use crate::tls::{Facts, Profile};

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

/// A connected stream socket. With TLS over it all bytes are plain ones.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    session: Option<Box<Session>>,
}

#[derive(Debug)]
struct Socket(OwnedFd);

impl Socket {
    fn receive(&self, buffer: &mut [u8]) -> Transfer {
        Transfer::of(
            retry_on_intr(|| recv(&self.0, &mut *buffer, RecvFlags::empty()))
                .map(|(_, count)| count),
        )
    }

    fn send(&self, bytes: &[u8]) -> Transfer {
        Transfer::of(retry_on_intr(|| send(&self.0, bytes, SendFlags::NOSIGNAL)))
    }
}

/// `tcpi_last_data_recv` of tcp(7): as fine as the kernel's timer, some milliseconds.
#[cfg(target_os = "linux")]
fn last_data(socket: BorrowedFd<'_>) -> Option<Millis> {
    /// Its place in `struct tcp_info`, whose beginning has been the same since Linux 2.4: 8 bytes and 11 words before it.
    const PLACE: usize = 13;
    let mut info = [0_u32; PLACE + 1];
    let mut size = libc::socklen_t::try_from(size_of_val(&info)).ok()?;
    let expected = size;
    // SAFETY: the kernel writes `size` bytes at most to `info`, which is as large, and the length to `size`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut size,
        )
    };
    (result == 0 && size >= expected).then(|| Millis::from(info[PLACE]))
}

#[cfg(not(target_os = "linux"))]
fn last_data(_socket: BorrowedFd<'_>) -> Option<Millis> {
    None
}

impl Wire for Socket {
    fn read(&self, buffer: &mut [u8]) -> Transfer {
        self.receive(buffer)
    }

    fn write(&self, bytes: &[u8]) -> Transfer {
        self.send(bytes)
    }
}

impl Stream {
    /// Takes over a connected, non-blocking descriptor.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self {
            socket: Socket(fd),
            session: None,
        }
    }

    /// Expects the client to begin with a handshake.
    ///
    /// # Errors
    /// When the profile cannot be used, which does not happen with one that was built.
    pub fn secure(&mut self, profile: &Profile, speaks_http2: bool) -> io::Result<()> {
        let session = Session::new(profile.config(speaks_http2)).map_err(io::Error::other)?;
        self.session = Some(Box::new(session));
        Ok(())
    }

    /// How long ago the last bytes arrived here, read or not, in milliseconds; `None` where the kernel does not tell.
    #[must_use]
    pub fn data_age(&self) -> Option<Millis> {
        last_data(self.socket.0.as_fd())
    }

    /// Whether there is TLS over it.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.session.is_some()
    }

    /// Whether the handshake is not over.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.is_handshaking())
    }

    /// What is known of TLS, once the handshake is over.
    #[must_use]
    pub fn facts(&self) -> Option<&Arc<Facts>> {
        self.session.as_ref()?.facts()
    }

    /// The protocol that was agreed on in the handshake (RFC 7301).
    #[must_use]
    pub fn protocol(&self) -> Option<&[u8]> {
        self.session.as_ref()?.protocol()
    }

    /// Bytes that TLS keeps.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.session
            .as_ref()
            .map_or(0, |session| session.in_memory())
    }

    /// Gives TLS what was read from the socket before it began.
    pub fn feed(&mut self, bytes: &[u8]) {
        if let Some(session) = &mut self.session {
            session.feed(bytes);
        }
    }

    /// Whether the client does not speak TLS, which was expected, but plain HTTP.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.is_plain())
    }

    /// Goes on without TLS.
    pub fn lay_bare(&mut self) {
        self.session = None;
    }

    /// Reads what is there, up to the buffer's length.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Transfer {
        match &mut self.session {
            None => self.socket.receive(buffer),
            Some(session) => session.receive(&self.socket, buffer),
        }
    }

    /// Reads from the socket itself, whatever is over it.
    pub fn receive_bare(&mut self, buffer: &mut [u8]) -> Transfer {
        self.socket.receive(buffer)
    }

    /// Whether a read of `count` bytes into a buffer of `room` may have left some: a short read means that a socket is
    /// empty (epoll(7)).
    #[must_use]
    pub fn may_have_more(&self, count: usize, room: usize) -> bool {
        match &self.session {
            None => count == room,
            Some(session) => session.is_behind(),
        }
    }

    /// Whether there may be more to read, though the last read brought nothing.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.is_behind())
    }

    /// Whether bytes, or the end of the stream, wait to be read.
    #[must_use]
    pub fn has_input(&self) -> bool {
        self.is_behind()
            || !matches!(
                recv(&self.socket.0, &mut [0_u8; 1], RecvFlags::PEEK),
                Err(Errno::AGAIN)
            )
    }

    /// Writes one run of bytes.
    #[must_use]
    pub fn send(&mut self, bytes: &[u8]) -> Transfer {
        match &mut self.session {
            None => self.socket.send(bytes),
            Some(session) => session.send(&self.socket, &[IoSlice::new(bytes)]),
        }
    }

    /// Writes several runs of bytes in one call. The caller's process ignores SIGPIPE.
    #[must_use]
    pub fn send_runs(&mut self, runs: &[IoSlice<'_>]) -> Transfer {
        match &mut self.session {
            None => Transfer::of(retry_on_intr(|| rustix::io::writev(&self.socket.0, runs))),
            Some(session) => session.send(&self.socket, runs),
        }
    }

    /// Sends up to `count` bytes of a file from `offset`, without passing them through this process where the system can.
    #[must_use]
    pub fn send_file(&mut self, file: &File, offset: u64, count: u64) -> Transfer {
        if self.session.is_some() {
            return self.send_read(file, offset, count);
        }
        self.send_unread(file, offset, count)
    }

    #[cfg(target_os = "linux")]
    fn send_unread(&mut self, file: &File, offset: u64, count: u64) -> Transfer {
        /// The most that one call moves, so that one fast reader cannot keep the worker for itself.
        const PORTION: u64 = 1 << 20;
        let mut at = offset;
        let count = usize::try_from(count.min(PORTION)).unwrap_or(0);
        // An interruption must not look like a full socket, which would tell us when it has room again.
        Transfer::of(retry_on_intr(|| {
            rustix::fs::sendfile(&self.socket.0, file, Some(&mut at), count)
        }))
    }

    #[cfg(not(target_os = "linux"))]
    fn send_unread(&mut self, file: &File, offset: u64, count: u64) -> Transfer {
        self.send_read(file, offset, count)
    }

    fn send_read(&mut self, file: &File, offset: u64, count: u64) -> Transfer {
        use std::os::unix::fs::FileExt;
        if let Some(session) = &mut self.session {
            // What is encrypted already need not be read again.
            match session.push(&self.socket) {
                Transfer::Done(0) => {}
                other => return other,
            }
        }
        let mut portion = vec![0_u8; usize::try_from(count.min(65_536)).unwrap_or(0)];
        match file.read_at(&mut portion, offset) {
            Ok(0) => Transfer::Done(0),
            Ok(length) => self.send(&portion[..length]),
            Err(error) => Transfer::Broken(error),
        }
    }

    /// Writes what TLS has to say beside what it was given.
    pub fn push(&mut self) {
        if let Some(session) = &mut self.session {
            session.push_own(&self.socket);
        }
    }

    /// Makes the end of the connection an error for the peer rather than an end of file.
    pub fn reset_on_close(&self) {
        // A peer that is gone already needs no telling.
        let _ = sockopt::set_socket_linger(&self.socket.0, Some(Duration::ZERO));
    }

    /// Says, where there is TLS, that nothing more will be written: an end without that looks like one that somebody in
    /// between has made. Returns whether it is out, as far as it can be.
    pub fn conclude(&mut self) -> bool {
        match &mut self.session {
            None => true,
            Some(session) => session.close(&self.socket),
        }
    }

    /// Tells the peer that nothing more will be written; what it still sends can be read.
    pub fn finish_writing(&mut self) {
        self.conclude();
        // A peer that is gone already needs no telling.
        let _ = shutdown(&self.socket.0, Shutdown::Write);
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.0.as_fd()
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
