//! The journal of systemd, in its native protocol: one datagram for each line, a field on each line of it.
//!
//! <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

/// Where the daemon listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// A longer line is cut; a datagram of any unix socket takes as much (`net.core.wmem_default` is 208 KiB).
const MAX_LINE: usize = 64 * 1_024;

/// A connection to the journal.
#[derive(Debug)]
pub(super) struct Journald {
    path: PathBuf,
    socket: UnixDatagram,
    packet: Vec<u8>,
}

impl Journald {
    /// Opens what follows `journald:` in a destination: nothing, or the path of another socket.
    pub(super) fn open(path: &str) -> Result<Self, String> {
        let path = PathBuf::from(if path.is_empty() { SOCKET } else { path });
        if !path.is_absolute() {
            return Err(format!(
                "{} is not the path of a socket; write journald: alone for the system's",
                path.display()
            ));
        }
        let socket = connect(&path).map_err(|error| error.to_string())?;
        Ok(Self {
            path,
            socket,
            packet: Vec::new(),
        })
    }

    /// Sends the first line as one datagram; gives its length with the line feed.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let end = memchr::memchr(b'\n', lines).unwrap_or(lines.len());
        let line = &lines[..end.min(MAX_LINE)];
        self.packet.clear();
        // A line has no line feed, so that the simple form of a field will do. Priority 6 is informational.
        for part in [
            &b"MESSAGE="[..],
            line,
            b"\nPRIORITY=6\nSYSLOG_IDENTIFIER=hostler\nHOSTLER_LOG=access\n",
        ] {
            self.packet.extend_from_slice(part);
        }
        if let Err(error) = self.socket.send(&self.packet) {
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ) {
                return Err(error);
            }
            // The daemon was restarted.
            self.socket = connect(&self.path)?;
            self.socket.send(&self.packet)?;
        }
        Ok((end + 1).min(lines.len()))
    }
}

fn connect(path: &PathBuf) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_datagram_with_its_fields() {
        let path = std::env::temp_dir().join(format!("hostler-journal-{}", std::process::id()));
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journald::open(path.to_str().unwrap()).unwrap();
        let lines = b"first=1\nsecond\n";
        assert_eq!(journal.write(lines).unwrap(), 8);
        assert_eq!(journal.write(&lines[8..]).unwrap(), 7);
        let mut packet = [0; 1_024];
        let length = daemon.recv(&mut packet).unwrap();
        assert_eq!(
            &packet[..length],
            b"MESSAGE=first=1\nPRIORITY=6\nSYSLOG_IDENTIFIER=hostler\nHOSTLER_LOG=access\n"
        );
        // The daemon comes back at the same place.
        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        assert!(journal.write(lines).is_err());
        let daemon = UnixDatagram::bind(&path).unwrap();
        assert_eq!(journal.write(lines).unwrap(), 8);
        daemon.recv(&mut packet).unwrap();
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn long_line_is_cut_and_counts_whole() {
        let path = std::env::temp_dir().join(format!("hostler-journal-l{}", std::process::id()));
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journald::open(path.to_str().unwrap()).unwrap();
        let lines = [vec![b'x'; MAX_LINE + 10], b"\n".to_vec()].concat();
        assert_eq!(journal.write(&lines).unwrap(), lines.len());
        let mut packet = vec![0; 2 * MAX_LINE];
        let length = daemon.recv(&mut packet).unwrap();
        assert!(length < MAX_LINE + 100);
        std::fs::remove_file(&path).unwrap();
    }
}
