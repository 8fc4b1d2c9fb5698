//! Syslog in the classic framing (RFC 3164) over datagrams: to the machine's own daemon, or over UDP.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use super::date::Civil;

/// Severity 6, informational (RFC 3164 4.1.1).
const INFORMATIONAL: u8 = 6;

/// A longer message is cut: what rsyslog accepts by default. RFC 3164 4.1 has 1,024, which URLs exceed.
const MAX_MESSAGE: usize = 8_192;

/// RFC 3164 4.1.1; 13 to 15 have no names that all systems share.
const FACILITIES: [(&str, u8); 20] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// A connection to a syslog daemon.
#[derive(Debug)]
pub(super) struct Syslog {
    address: Address,
    socket: Socket,
    priority: u8,
    tag: String,
    /// With a space after it; empty for the machine's own daemon, which knows it.
    host: String,
    packet: Vec<u8>,
}

#[derive(Debug)]
enum Address {
    Unix(PathBuf),
    Udp(SocketAddr),
}

#[derive(Debug)]
enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    /// Opens what follows `syslog:` in a destination.
    pub(super) fn open(spec: &str) -> Result<Self, String> {
        let (address, query) = spec.split_once('?').unwrap_or((spec, ""));
        let address = Address::parse(address)?;
        let (facility, tag) = parse_query(query)?;
        let host = match address {
            Address::Unix(_) => String::new(),
            Address::Udp(_) => host_name() + " ",
        };
        let socket = address.connect().map_err(|error| error.to_string())?;
        Ok(Self {
            address,
            socket,
            priority: facility * 8 + INFORMATIONAL,
            tag,
            host,
            packet: Vec::new(),
        })
    }

    /// Sends the first line as one datagram; gives its length with the line feed.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let end = memchr::memchr(b'\n', lines).unwrap_or(lines.len());
        self.frame(&lines[..end])?;
        match self.socket.send(&self.packet) {
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                return Err(error);
            }
            // The daemon was restarted, or an earlier datagram was refused: a fresh socket tells whether it still is.
            Err(_) => {
                self.socket = self.address.connect()?;
                self.socket.send(&self.packet)?;
            }
        }
        Ok((end + 1).min(lines.len()))
    }

    /// `<priority>Mmm dd hh:mm:ss host tag[pid]: message`, with the day padded by a space (RFC 3164 4.1.2).
    fn frame(&mut self, line: &[u8]) -> io::Result<()> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let date = Civil::of(now.as_secs());
        self.packet.clear();
        write!(self.packet, "<{}>", self.priority)?;
        self.packet.extend_from_slice(date.month_name());
        write!(self.packet, " {:2} ", date.day)?;
        self.packet.extend_from_slice(&date.time());
        write!(
            self.packet,
            " {}{}[{}]: ",
            self.host,
            self.tag,
            std::process::id()
        )?;
        self.packet.extend_from_slice(line);
        self.packet.truncate(MAX_MESSAGE);
        Ok(())
    }
}

impl Address {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::Unix(PathBuf::from("/dev/log")));
        }
        if let Some(path) = text
            .strip_prefix("unix:")
            .filter(|path| path.starts_with('/'))
        {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let Some(host) = text.strip_prefix("udp://") else {
            return Err(format!(
                "{text:?} is not an address of syslog; write udp://host:port or unix:/path"
            ));
        };
        let found = host
            .to_socket_addrs()
            .map_err(|error| format!("{host:?} is not a host and port: {error}"))?
            .next();
        found
            .map(Self::Udp)
            .ok_or_else(|| format!("{host:?} has no address"))
    }

    fn connect(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_nonblocking(true)?;
                Ok(Socket::Unix(socket))
            }
            Self::Udp(address) => {
                let any: SocketAddr = match address {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                socket.set_nonblocking(true)?;
                Ok(Socket::Udp(socket))
            }
        }
    }
}

impl Socket {
    fn send(&self, packet: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.send(packet),
            Self::Udp(socket) => socket.send(packet),
        }
    }
}

/// Parses `facility=NAME&tag=NAME`, either of which may be left out.
fn parse_query(query: &str) -> Result<(u8, String), String> {
    let (mut facility, mut tag) = (16, "hostler".to_owned());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("facility", name)) => facility = parse_facility(name)?,
            Some(("tag", name)) if is_tag(name) => name.clone_into(&mut tag),
            Some(("tag", name)) => {
                return Err(format!(
                    "{name:?} is not a tag; use 1 to 32 letters, digits and -._/"
                ));
            }
            _ => {
                return Err(format!(
                    "{pair:?} is not known; write facility=NAME or tag=NAME"
                ));
            }
        }
    }
    Ok((facility, tag))
}

fn parse_facility(name: &str) -> Result<u8, String> {
    let known = FACILITIES.iter().find(|(known, _)| *known == name);
    known.map(|(_, code)| *code).ok_or_else(|| {
        let names: Vec<&str> = FACILITIES.iter().map(|(known, _)| *known).collect();
        format!("{name:?} is not a facility; there are {}", names.join(", "))
    })
}

/// RFC 3164 4.1.3: at most 32 characters; a few more kinds of them than the letters and digits it has, none with a meaning.
fn is_tag(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte))
}

/// The machine's name without its domain (RFC 3164 4.1.2).
fn host_name() -> String {
    let name = ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok());
    let name = name.unwrap_or_default();
    let short = name.trim().split('.').next().unwrap_or_default();
    if short.is_empty() {
        "localhost".to_owned()
    } else {
        short.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn received(receiver: impl Fn(&mut [u8]) -> io::Result<usize>) -> String {
        let mut packet = vec![0; 20_000];
        let len = receiver(&mut packet).unwrap();
        packet.truncate(len);
        String::from_utf8(packet).unwrap()
    }

    fn socket_path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("hostler-syslog-{name}-{}", std::process::id()))
    }

    #[test]
    fn each_line_is_a_datagram_to_the_local_daemon() {
        let path = socket_path("local");
        let daemon = UnixDatagram::bind(&path).unwrap();
        daemon
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let mut syslog =
            Syslog::open(&format!("unix:{}?facility=local3&tag=shop", path.display())).unwrap();
        assert_eq!(syslog.write(b"one\ntwo\n").unwrap(), 4);
        assert_eq!(syslog.write(b"two\n").unwrap(), 4);
        let packet = received(|packet| daemon.recv(packet));
        // local3 is 19; 19 * 8 + 6 = 158
        assert!(packet.starts_with("<158>"), "{packet}");
        assert_eq!(&packet[20..], format!(" shop[{}]: one", std::process::id()));
        assert!(received(|packet| daemon.recv(packet)).ends_with(": two"));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn datagrams_over_udp_name_the_host_and_are_cut() {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        daemon
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let mut syslog = Syslog::open(&format!("udp://{}", daemon.local_addr().unwrap())).unwrap();
        let mut long = vec![b'a'; 10_000];
        long.push(b'\n');
        assert_eq!(syslog.write(&long).unwrap(), long.len());
        let packet = received(|packet| daemon.recv(packet));
        assert_eq!(packet.len(), MAX_MESSAGE);
        assert!(packet.starts_with("<134>"), "{}", &packet[..60]);
        assert!(
            packet.contains(&format!(" {} hostler[", host_name())),
            "{}",
            &packet[..60]
        );
    }

    #[test]
    fn a_restarted_daemon_is_found_again() {
        let path = socket_path("restart");
        let first = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::open(&format!("unix:{}", path.display())).unwrap();
        drop(first);
        std::fs::remove_file(&path).unwrap();
        assert!(syslog.write(b"lost\n").is_err());
        let second = UnixDatagram::bind(&path).unwrap();
        second
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        syslog.write(b"found\n").unwrap();
        assert!(received(|packet| second.recv(packet)).ends_with(": found"));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (spec, part) in [
            ("tcp://a:1", "udp://host:port"),
            ("udp://localhost", "not a host and port"),
            ("unix:relative", "unix:/path"),
            ("?facility=local8", "local7"),
            ("?tag=", "not a tag"),
            ("?tag=a b", "not a tag"),
            ("?level=info", "facility=NAME"),
        ] {
            let error = Syslog::open(spec).unwrap_err();
            assert!(error.contains(part), "{spec}: {error}");
        }
    }
}
