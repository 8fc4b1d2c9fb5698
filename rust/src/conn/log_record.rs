//! A finished request as the access log sees it.

use std::sync::OnceLock;

use crate::access_log::{AccessLog, Fields, OwnField, Record, header_in};
use crate::codec::http1::Version;
use crate::net::Peer;
use crate::time::unix_nanos;

use super::Request;

struct RequestFields<'request>(&'request Request);

impl Fields for RequestFields<'_> {
    fn request_header(&self, name: &[u8]) -> Option<&[u8]> {
        let request = self.0;
        let field = request
            .head
            .fields
            .iter()
            .find(|field| field.name.of(&request.bytes).eq_ignore_ascii_case(name))?;
        Some(field.value.of(&request.bytes))
    }

    fn response_header(&self, name: &[u8]) -> Option<&[u8]> {
        header_in(&self.0.response_head, name)
    }

    fn environ(&self, name: &[u8]) -> Option<&[u8]> {
        let (_, value) = self
            .0
            .environ
            .iter()
            .find(|(known, _)| known.as_bytes() == name)?;
        Some(value)
    }

    fn own(&self) -> &[OwnField] {
        &self.0.own_fields
    }
}

/// Writes the line of `request`, which ended at `now` (monotonic nanoseconds).
pub(super) fn write(log: &mut AccessLog, request: &Request, now: u64) {
    let mut address = AddressText::default();
    let duration = now.saturating_sub(request.started);
    let bytes = &request.bytes;
    let record = Record {
        client: address.of(request),
        started_unix_nanos: unix_nanos().saturating_sub(duration),
        duration_nanos: duration,
        method: request.method(),
        target: request.head.target.of(bytes),
        path: request.head.path.of(bytes),
        query: request.head.query.of(bytes),
        protocol: protocol(request),
        status: request.status,
        body_bytes: request.body_sent,
        request_id: &request.id,
        scheme: if request.is_https() { "https" } else { "http" },
        pid: own_pid(),
        fields: &RequestFields(request),
    };
    log.write(&record);
}

/// What the client spoke, as far as it could be read.
fn protocol(request: &Request) -> &'static [u8] {
    match request.head.version {
        _ if request.bytes.is_empty() => b"",
        Version::Http10 => b"HTTP/1.0",
        Version::Http11 => b"HTTP/1.1",
        Version::Http2 => b"HTTP/2.0",
    }
}

/// Room for an address in text, so that a line allocates nothing.
struct AddressText {
    bytes: [u8; 48],
    length: usize,
}

impl Default for AddressText {
    fn default() -> Self {
        Self {
            bytes: [0; 48],
            length: 0,
        }
    }
}

impl AddressText {
    fn of(&mut self, request: &Request) -> &[u8] {
        use std::io::Write;
        let client = request
            .forwarded
            .as_deref()
            .and_then(|told| told.client.as_ref())
            .map(|client| client.address);
        let address = match (client, request.peer) {
            (Some(address), _) => address,
            (None, Peer::Tcp(peer)) => peer.ip(),
            (None, Peer::Unix) => return b"unix:",
        };
        let mut room = &mut self.bytes[..];
        let size = room.len();
        // The longest IPv6 text has 45 characters.
        self.length = if write!(room, "{address}").is_ok() {
            size - room.len()
        } else {
            0
        };
        &self.bytes[..self.length]
    }
}

/// Asked of the system once; an engine is made after the fork.
fn own_pid() -> u32 {
    static PID: OnceLock<u32> = OnceLock::new();
    *PID.get_or_init(std::process::id)
}
