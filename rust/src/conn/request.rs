//! One request from its head to the line in the access log. Requests are recycled, so that a steady state allocates nothing.

use std::sync::Arc;

use crate::access_log::OwnField;
use crate::codec::gateway::{Dialect, Told};
use crate::codec::http1::{Head, Version};
use crate::net::{Peer, Protocol};
use crate::shm::{Entry, Seat, Slow};
use crate::tls::Facts;
use crate::trust::{Forwarded, Scheme};

use super::{Body, Proxied};

/// Names one connection of one worker: its place and the generation of that place.
pub type ConnId = u64;

/// A request and what became of it.
#[derive(Debug)]
pub struct Request {
    /// The connection it came on.
    pub conn: ConnId,
    /// Who sent it.
    pub peer: Peer,
    /// The index of the listener it came through.
    pub listener: usize,
    /// The raw bytes of the head, which `head` points into.
    pub bytes: Vec<u8>,
    /// Where the parts of the head are.
    pub head: Head,
    /// The body.
    pub body: Body,
    /// What it came in.
    pub protocol: Protocol,
    /// What the web server in front tells of it, where it speaks for its client.
    pub gateway: Option<Box<Told>>,
    /// What trusted proxies say about the client.
    pub forwarded: Option<Box<Forwarded>>,
    /// What a load balancer tells of its connection.
    pub proxied: Option<Arc<Proxied>>,
    /// What is known of TLS, if it came over that.
    pub tls: Option<Arc<Facts>>,
    /// The peer is one of the trusted networks.
    pub trusted: bool,
    /// Names the request in logs and on error pages: made here, or taken over from a trusted peer.
    pub id: Vec<u8>,
    /// Its place on the scoreboard while it is in the application.
    pub seat: Seat,
    /// When its head was complete, in monotonic nanoseconds.
    pub started: u64,
    /// Since when the application could have had it, in monotonic nanoseconds, as far as that is known: its bytes may have
    /// lain in the socket for a while before they were read.
    pub offered: u64,
    /// When the application was called, in monotonic nanoseconds; 0 before.
    pub entered: u64,
    /// How long the application had it, in nanoseconds.
    pub application: u64,
    /// Status of the response, 0 while there is none.
    pub status: u16,
    /// Bytes of the response body that were handed over for sending.
    pub body_sent: u64,
    /// Field lines behind the response's body, on their way to a stream of HTTP/2.
    pub trailers: Vec<u8>,
    /// The response's head, kept only if the access log asks for response headers.
    pub response_head: Vec<u8>,
    /// Values from the environ that the access log asks for.
    pub environ: Vec<(String, Vec<u8>)>,
    /// Fields that the application has set for the access log.
    pub own_fields: Vec<OwnField>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            conn: 0,
            peer: Peer::Unix,
            listener: 0,
            bytes: Vec::with_capacity(512),
            head: Head::default(),
            body: Body::Empty,
            protocol: Protocol::Http,
            gateway: None,
            forwarded: None,
            proxied: None,
            tls: None,
            trusted: false,
            id: Vec::with_capacity(32),
            seat: Seat::Outside,
            started: 0,
            offered: 0,
            entered: 0,
            application: 0,
            status: 0,
            body_sent: 0,
            trailers: Vec::new(),
            response_head: Vec::new(),
            environ: Vec::new(),
            own_fields: Vec::new(),
        }
    }
}

impl Request {
    /// The method, as it was sent.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.head.method.of(&self.bytes)
    }

    /// What the scoreboard shows of it while `thread` calls the application.
    pub(super) fn entry(&self, thread: u64) -> Entry<'_> {
        let told = self.forwarded.as_deref();
        let client = told.and_then(|told| told.client.as_ref());
        Entry {
            id: &self.id,
            method: self.method(),
            path: self.head.path.of(&self.bytes),
            client: client
                .map(|client| client.address)
                .or_else(|| self.peer.ip()),
            thread,
        }
    }

    /// The status that it counts with: 101 for a WebSocket, also on a stream, where nothing is switched (RFC 8441 5).
    pub(super) fn outcome(&self) -> u16 {
        if self.head.is_websocket && self.status == 200 {
            101
        } else {
            self.status
        }
    }

    /// What is told of it, as it ends, if it is one of the slowest.
    ///
    /// Those that the application could not have had do not count: who sends half a request could fill the list. Nor do
    /// WebSockets, which last as long as somebody wants them.
    pub(super) fn as_slow(&self, now: u64) -> Option<Slow<'_>> {
        if self.offered == 0 || self.outcome() == 101 {
            return None;
        }
        let called = if self.entered == 0 { now } else { self.entered };
        Some(Slow {
            entry: self.entry(0),
            waited: called.saturating_sub(self.started),
            application: self.application,
            body_sent: self.body_sent,
            version: match self.head.version {
                Version::Http10 => 10,
                Version::Http11 => 11,
                Version::Http2 => 20,
            },
        })
    }

    /// Whether the response must come without a body.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method() == b"HEAD"
    }

    /// Whether the client has used `https`: trusted proxies know better than the connection.
    #[must_use]
    pub fn is_https(&self) -> bool {
        let told = self.forwarded.as_deref().and_then(|told| told.scheme);
        told.map_or(self.tls.is_some(), |scheme| scheme == Scheme::Https)
    }

    /// In what form its response is written, where that is not HTTP's.
    #[must_use]
    pub fn dialect(&self) -> Option<Dialect> {
        dialect_of(self.protocol)
    }

    /// Makes the request ready for its next use.
    pub fn recycle(&mut self) {
        self.bytes.clear();
        self.body = Body::Empty;
        // Parsers of other protocols than HTTP/2 know nothing of it.
        self.head.is_websocket = false;
        self.forwarded = None;
        self.gateway = None;
        self.proxied = None;
        self.tls = None;
        self.offered = 0;
        self.entered = 0;
        self.application = 0;
        self.status = 0;
        self.body_sent = 0;
        self.trailers.clear();
        self.response_head.clear();
        self.environ.clear();
        self.own_fields.clear();
        // An unusually large request must not keep its memory for ever.
        self.bytes.shrink_to(4_096);
    }
}

/// In what form responses are written, where that is not HTTP's.
pub(super) fn dialect_of(protocol: Protocol) -> Option<Dialect> {
    match protocol {
        Protocol::Http => None,
        Protocol::Uwsgi => Some(Dialect::Uwsgi),
        Protocol::Scgi => Some(Dialect::Scgi),
        Protocol::FastCgi => Some(Dialect::FastCgi),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request whose head was complete at 100, which the application was called for at 130 and had for 50.
    fn served() -> Request {
        Request {
            started: 100,
            offered: 120,
            entered: 130,
            application: 50,
            status: 200,
            body_sent: 7,
            ..Request::default()
        }
    }

    #[test]
    fn time_of_a_slow_request_is_told_in_parts() {
        let request = served();
        let slow = request.as_slow(190).unwrap();
        assert_eq!((slow.waited, slow.application, slow.body_sent), (30, 50, 7));
        assert_eq!(slow.version, 11);
    }

    #[test]
    fn request_that_was_turned_away_has_waited_until_its_end() {
        let request = Request {
            entered: 0,
            application: 0,
            status: 503,
            ..served()
        };
        let slow = request.as_slow(190).unwrap();
        assert_eq!((slow.waited, slow.application), (90, 0));
    }

    #[test]
    fn request_that_the_application_could_not_have_is_none_of_the_slowest() {
        let mut request = served();
        request.recycle();
        request.status = 408;
        assert!(request.as_slow(190).is_none());
    }

    #[test]
    fn websocket_is_none_of_the_slowest_and_counts_as_a_switch() {
        let mut request = served();
        request.status = 101;
        assert!(request.as_slow(190).is_none());
        request.head.is_websocket = true;
        for (status, outcome) in [(200, 101), (403, 403), (0, 0)] {
            request.status = status;
            assert_eq!(request.outcome(), outcome);
            assert_eq!(request.as_slow(190).is_none(), status == 200);
        }
    }
}
