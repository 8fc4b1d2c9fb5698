//! Where lines go: standard output, a file, syslog, or the journal. No write here waits for a reader.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::net::{SendFlags, send};

use super::journald::Journald;
use super::syslog::Syslog;

/// POSIX promises that up to 512 bytes arrive in a pipe in one piece; on Linux it is 4,096 (pipe(7)), and the systems that have kqueue
/// promise no less than 512. One page also fits into whatever room `poll` reports.
const PIPE_PIECE: usize = if cfg!(target_os = "linux") {
    4_096
} else {
    512
};

/// Read and write for the owner, read for the group: log files name people.
const FILE_MODE: u32 = 0o640;

/// An open destination of lines.
#[derive(Debug)]
pub struct Sink {
    spec: String,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Stdout(Descriptor),
    File(Descriptor),
    Syslog(Box<Syslog>),
    Journald(Box<Journald>),
}

impl Sink {
    /// Opens `-` (standard output), `syslog:...`, or else the file of that path for appending, made with mode 0640 if it is not there.
    ///
    /// `journald:` is the journal of systemd.
    ///
    /// `syslog:[ADDRESS][?facility=NAME&tag=NAME]`: the address is `udp://HOST:PORT` or `unix:PATH` (`unix:/dev/log` without one), the
    /// facility `local0` and the tag `hostler` unless they are given.
    ///
    /// # Errors
    ///
    /// [`SinkError`] if the destination cannot be understood or opened.
    pub fn open(spec: &str) -> Result<Self, SinkError> {
        Target::open(spec)
            .map(|target| Self {
                spec: spec.to_owned(),
                target,
            })
            .map_err(|reason| SinkError::new(spec, reason))
    }

    /// Opens the same destination anew, as after the file was moved away. On failure the old one stays in use.
    ///
    /// # Errors
    ///
    /// [`SinkError`] if the destination cannot be opened.
    pub fn reopen(&mut self) -> Result<(), SinkError> {
        self.target =
            Target::open(&self.spec).map_err(|reason| SinkError::new(&self.spec, reason))?;
        Ok(())
    }

    /// The destination, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        if self.spec == "-" {
            "standard output"
        } else {
            &self.spec
        }
    }

    /// Writes from the start of `lines`, which end with a line feed, as much as fits into one piece; gives how many bytes went.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        match &mut self.target {
            Target::Stdout(descriptor) | Target::File(descriptor) => descriptor.write(lines),
            Target::Syslog(syslog) => syslog.write(lines),
            Target::Journald(journal) => journal.write(lines),
        }
    }

    #[cfg(test)]
    pub(super) fn of_descriptor(fd: OwnedFd) -> Self {
        Self {
            spec: "-".to_owned(),
            target: Target::Stdout(Descriptor::new(fd)),
        }
    }

    #[cfg(test)]
    pub(super) fn of_shared_pipe(fd: OwnedFd) -> Self {
        Self {
            spec: "-".to_owned(),
            target: Target::Stdout(Descriptor { fd, way: Way::Poll }),
        }
    }
}

impl Target {
    fn open(spec: &str) -> Result<Self, String> {
        if spec == "-" {
            let stdout = io::stdout()
                .as_fd()
                .try_clone_to_owned()
                .map_err(|error| error.to_string())?;
            return Ok(Self::Stdout(Descriptor::new(stdout)));
        }
        if let Some(rest) = spec.strip_prefix("syslog:") {
            return Syslog::open(rest).map(|syslog| Self::Syslog(Box::new(syslog)));
        }
        if let Some(rest) = spec.strip_prefix("journald:") {
            return Journald::open(rest).map(|journal| Self::Journald(Box::new(journal)));
        }
        if spec.is_empty() || spec.contains('\0') {
            return Err(
                "not a path; write a path, \"-\" for standard output, or \"syslog:\"".to_owned(),
            );
        }
        let descriptor = Descriptor::open(spec).map_err(|error| error.to_string())?;
        Ok(Self::File(descriptor))
    }
}

/// A descriptor and the way to write to it without waiting.
#[derive(Debug)]
struct Descriptor {
    fd: OwnedFd,
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A regular file: never waits for a reader, and appends any amount in one piece.
    Whole,
    /// Our own non-blocking description of a pipe or a terminal.
    Pieces,
    /// A socket, as the journal of systemd gives: told at each call not to wait.
    Socket,
    /// A description that others share and that must stay blocking: asked before each piece whether there is room.
    Poll,
}

impl Descriptor {
    fn open(path: &str) -> io::Result<Self> {
        // NONBLOCK matters where the path is a named pipe: to open one without a reader is then an error, not a wait.
        let flags = OFlags::WRONLY
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::CLOEXEC
            | OFlags::NOCTTY
            | OFlags::NONBLOCK;
        let fd = open(path, flags, Mode::from_raw_mode(FILE_MODE))?;
        let way = match fstat(&fd).map(|stat| FileType::from_raw_mode(stat.st_mode))? {
            FileType::RegularFile => Way::Whole,
            _ => Way::Pieces,
        };
        Ok(Self { fd, way })
    }

    /// Takes a descriptor that was inherited, and whose blocking mode is not ours to change.
    fn new(fd: OwnedFd) -> Self {
        match fstat(&fd).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::RegularFile) => Self {
                fd,
                way: Way::Whole,
            },
            Ok(FileType::Socket) => Self {
                fd,
                way: Way::Socket,
            },
            _ => match Self::own_description(&fd) {
                Ok(own) => Self {
                    fd: own,
                    way: Way::Pieces,
                },
                Err(_) => Self { fd, way: Way::Poll },
            },
        }
    }

    /// Opens the same pipe or terminal once more. Fails without /proc, and where a change of user took the right away.
    fn own_description(fd: &OwnedFd) -> io::Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(open(path, flags, Mode::empty())?)
    }

    fn write(&self, lines: &[u8]) -> io::Result<usize> {
        let sent = match self.way {
            Way::Whole => rustix::io::write(&self.fd, lines)?,
            Way::Pieces => rustix::io::write(&self.fd, piece(lines))?,
            Way::Socket => send(
                &self.fd,
                piece(lines),
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            )?,
            Way::Poll => {
                self.check_room()?;
                // Beyond one piece a blocking descriptor would wait in the middle of a line.
                let lines = piece(lines);
                rustix::io::write(&self.fd, &lines[..lines.len().min(PIPE_PIECE)])?
            }
        };
        Ok(sent)
    }

    fn check_room(&self) -> io::Result<()> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::OUT)];
        poll(
            &mut fds,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            }),
        )?;
        // An error condition is left to the write, which says which one it is.
        if fds[0].revents().is_empty() {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            Ok(())
        }
    }
}

/// The whole lines that a pipe takes in one piece; the first line alone if it is longer than that.
fn piece(lines: &[u8]) -> &[u8] {
    if lines.len() <= PIPE_PIECE {
        return lines;
    }
    let end = memchr::memrchr(b'\n', &lines[..PIPE_PIECE]).or_else(|| memchr::memchr(b'\n', lines));
    end.map_or(lines, |end| &lines[..=end])
}

/// A destination that cannot be used. Shown as its reason alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkError {
    /// The destination as it was given.
    pub spec: String,
    /// What is wrong.
    pub reason: String,
}

impl SinkError {
    fn new(spec: &str, reason: String) -> Self {
        Self {
            spec: spec.to_owned(),
            reason,
        }
    }
}

impl fmt::Display for SinkError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.spec, self.reason)
    }
}

impl std::error::Error for SinkError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_with_a_line() {
        assert_eq!(piece(b"a\nb\n"), b"a\nb\n");
        let many = b"0123456789\n".repeat(1_000);
        assert_eq!(piece(&many).len(), PIPE_PIECE / 11 * 11);
        let mut long = vec![b'a'; PIPE_PIECE + 5];
        long.extend_from_slice(b"\nb\n");
        assert_eq!(piece(&long).len(), PIPE_PIECE + 6);
    }

    #[test]
    fn a_destination_that_cannot_be_opened_is_an_error() {
        for spec in [
            "",
            "/nonexistent/directory/access.log",
            "/",
            "a\0b",
            "syslog:tcp://x:1",
            "syslog:?facility=nope",
        ] {
            let error = Sink::open(spec).unwrap_err();
            assert_eq!(error.spec, spec);
            assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn a_named_pipe_without_a_reader_is_an_error_not_a_wait() {
        let path = std::env::temp_dir().join(format!("hostler-fifo-{}", std::process::id()));
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let opened = Sink::open(path.to_str().unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(opened.is_err());
    }
}
