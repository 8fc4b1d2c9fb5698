//! The beginnings of connections that come from a server in front: requests by uwsgi and SCGI, and headers of the PROXY
//! protocol.
//!
//! Both are the word of the server in front about its client. It is believed only of the networks in `trust.networks`;
//! whoever else speaks so is refused, as nothing that it says could be used.

use std::sync::Arc;

use crate::codec::http1::Refusal;
use crate::codec::proxy::{self, Address};
use crate::codec::{scgi, uwsgi};
use crate::net::{Peer, Protocol, Transfer};

use super::{Conn, Context, NEVER, Phase, Proxied, Step};

pub(super) const STRANGER: Refusal = Refusal::new(
    403,
    "This address is not among the networks that are trusted to speak for their clients.",
);

/// How far the request of a web server has come.
enum Came {
    Partly,
    /// The request, whose body begins behind so many bytes.
    Whole(usize),
    Ping,
}

impl Conn {
    /// Looks for a complete request in `bytes`; see `parse`.
    pub(super) fn parse_gateway(&mut self, bytes: &[u8], context: &mut Context) -> Step {
        if !self.trusted {
            self.refuse(&STRANGER, context);
            return Step::Again;
        }
        self.left = 0;
        let mut request = context.take_request();
        let mut told = request.gateway.take().unwrap_or_default();
        told.clear();
        let limits = &context.settings.limits;
        let (into, head) = (&mut request.bytes, &mut request.head);
        let parsed = match self.protocol {
            Protocol::Scgi => {
                scgi::parse_request(bytes, limits, into, head, &mut told).map(|progress| {
                    match progress {
                        scgi::Progress::Partial => Came::Partly,
                        scgi::Progress::Request { len } => Came::Whole(len),
                    }
                })
            }
            Protocol::Http | Protocol::FastCgi | Protocol::Uwsgi => {
                uwsgi::parse_request(bytes, limits, into, head, &mut told).map(|progress| {
                    match progress {
                        uwsgi::Progress::Partial => Came::Partly,
                        uwsgi::Progress::Request { len } => Came::Whole(len),
                        uwsgi::Progress::Ping { .. } => Came::Ping,
                    }
                })
            }
        };
        match parsed {
            Ok(Came::Partly) => {
                context.give_back(request);
                Step::Wait
            }
            Ok(Came::Whole(length)) => {
                request.gateway = Some(told);
                self.admit(request, &bytes[length..], context);
                Step::Again
            }
            Ok(Came::Ping) => {
                context.give_back(request);
                self.answer_ping(context)
            }
            Err(refusal) => {
                context.give_back(request);
                self.refuse(&refusal, context);
                Step::Again
            }
        }
    }

    fn answer_ping(&mut self, context: &mut Context) -> Step {
        let mut answer = Vec::new();
        uwsgi::write_pong(&mut answer);
        // A broken connection shows again when the answer is flushed.
        let _ = self.send(&answer, None, context);
        self.forget_input();
        self.keep_alive = false;
        self.phase = Phase::Answered;
        self.deadline = NEVER;
        Step::Again
    }

    /// Reads the header of the PROXY protocol, and takes its word for who the client is.
    pub(super) fn step_proxy(&mut self, context: &mut Context) -> Step {
        if !self.readable {
            return Step::Wait;
        }
        if !self.trusted {
            context.notice(format!(
                "a connection with the PROXY protocol was closed: {} is not among trust.networks",
                self.peer
                    .ip()
                    .map_or_else(|| "a unix socket".to_owned(), |ip| ip.to_string())
            ));
            return Step::Close;
        }
        let mut scratch = std::mem::take(&mut context.scratch);
        let transfer = self.stream.receive_bare(&mut scratch);
        self.readable = match &transfer {
            Transfer::Done(count) => {
                context.board.receive(*count);
                *count == scratch.len() || self.ended
            }
            _ => false,
        };
        let step = match transfer {
            Transfer::Blocked => Step::Wait,
            Transfer::Broken(_) | Transfer::Done(0) => Step::Close,
            Transfer::Done(count) => {
                let mut held = std::mem::take(&mut self.input);
                held.extend_from_slice(&scratch[..count]);
                self.take_proxy_header(held, context)
            }
        };
        context.scratch = scratch;
        step
    }

    fn take_proxy_header(&mut self, held: Vec<u8>, context: &mut Context) -> Step {
        match proxy::parse(&held, &proxy::Limits::default()) {
            Ok(proxy::Progress::Partial) => {
                self.input = held;
                Step::Again
            }
            Ok(proxy::Progress::Complete { len, told }) => {
                if let Some(Address::Ip(source)) = told.endpoints.map(|ends| ends.source) {
                    self.peer = Peer::Tcp(source);
                    // From here on it is the client who speaks.
                    self.trusted = context.trusts(self.peer);
                }
                self.proxied = Proxied::keep(&told).map(Arc::new);
                self.is_https = told.ssl.is_some_and(|ssl| ssl.is_tls);
                if self.stream.is_secure() {
                    self.begin_handshake(&held[len..], context);
                } else {
                    self.phase = Phase::Head;
                    self.keep_rest(&held[len..]);
                }
                Step::Again
            }
            Err(fault) => {
                context.notice(format!(
                    "a connection was closed where the PROXY protocol is spoken: {fault}"
                ));
                Step::Close
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::IpAddr;
    use std::os::unix::net::UnixStream;

    use crate::conn::tests::{conn_speaking, context};
    use crate::conn::{Request, Verdict};
    use crate::net::Speech;
    use crate::trust::{Networks, Scheme};

    const CLIENT: &str = "203.0.113.7";

    fn speech(protocol: Protocol) -> Speech {
        Speech {
            protocol,
            proxy: false,
            ..Speech::default()
        }
    }

    fn believing() -> Context {
        let mut context = context();
        context.settings.trusted = Networks::parse(&["unix"]).unwrap();
        context
    }

    fn uwsgi_packet(variables: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut block = Vec::new();
        for text in variables.iter().flat_map(|(name, value)| [name, value]) {
            block.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
            block.extend(text.as_bytes());
        }
        let size = u16::try_from(block.len()).unwrap().to_le_bytes();
        [&[0, size[0], size[1], 0], &block[..], body].concat()
    }

    fn post() -> Vec<u8> {
        let variables = [
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_URI", "/shop/a?b=c"),
            ("SCRIPT_NAME", "/shop"),
            ("PATH_INFO", "/a"),
            ("QUERY_STRING", "b=c"),
            ("CONTENT_LENGTH", "4"),
            ("REMOTE_ADDR", CLIENT),
            ("HTTPS", "on"),
            ("HTTP_X_FORWARDED_FOR", "198.51.100.9"),
        ];
        uwsgi_packet(&variables, b"body")
    }

    /// Feeds `pieces`; gives the request that came of them.
    fn feed<'a>(
        speech: Speech,
        pieces: impl IntoIterator<Item = &'a [u8]>,
        context: &mut Context,
    ) -> (Conn, UnixStream, Option<Box<Request>>) {
        let (mut conn, mut theirs) = conn_speaking(speech, context);
        for piece in pieces {
            theirs.write_all(piece).unwrap();
            conn.note_readiness(true, false);
            if conn.pump(context) == Verdict::Close {
                break;
            }
        }
        let request = context.ready.pop_front();
        (conn, theirs, request)
    }

    fn answer_of(theirs: &mut UnixStream) -> String {
        theirs.set_nonblocking(true).unwrap();
        let mut answer = Vec::new();
        // It ends where nothing more was sent.
        let _ = theirs.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn the_web_server_says_who_its_client_is_and_the_client_does_not() {
        let packet = post();
        for pieces in [packet.chunks(packet.len()), packet.chunks(1)] {
            let mut context = believing();
            let (_conn, _theirs, request) = feed(speech(Protocol::Uwsgi), pieces, &mut context);
            let request = request.unwrap();
            let told = request.forwarded.as_deref().unwrap();
            assert_eq!(
                told.client.map(|client| client.address),
                Some(CLIENT.parse::<IpAddr>().unwrap())
            );
            assert_eq!(told.scheme, Some(Scheme::Https));
            assert_eq!(told.prefix(), Some("/shop"));
            assert_eq!(request.head.path.of(&request.bytes), b"/a");
            assert_eq!(request.body.in_memory(), 4);
            assert!(!request.trusted);
        }
    }

    #[test]
    fn stranger_is_refused_and_never_reaches_the_application() {
        let mut context = context();
        let packet = post();
        let (_conn, mut theirs, request) =
            feed(speech(Protocol::Uwsgi), [&packet[..]], &mut context);
        assert!(request.is_none());
        assert!(answer_of(&mut theirs).starts_with("HTTP/1.1 403 Forbidden\r\n"));
    }

    #[test]
    fn ping_is_answered_and_the_connection_ends() {
        let mut context = believing();
        let (mut conn, mut theirs) = conn_speaking(speech(Protocol::Uwsgi), &context);
        theirs.write_all(&[100, 0, 0, 0]).unwrap();
        conn.note_readiness(true, false);
        assert_eq!(conn.pump(&mut context), Verdict::Close);
        assert_eq!(answer_of(&mut theirs).as_bytes(), [100, 0, 0, 1]);
    }

    #[test]
    fn proxy_header_names_the_client_however_it_is_split() {
        let speech = Speech {
            protocol: Protocol::Http,
            proxy: true,
            ..Speech::default()
        };
        let bytes =
            b"PROXY TCP4 203.0.113.7 192.0.2.1 5555 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for pieces in [bytes.chunks(bytes.len()), bytes.chunks(1)] {
            let mut context = believing();
            let (conn, _theirs, request) = feed(speech, pieces, &mut context);
            assert_eq!(conn.peer.ip(), Some(CLIENT.parse().unwrap()));
            assert!(!request.unwrap().trusted);
        }
    }

    #[test]
    fn connection_without_the_proxy_header_is_closed_and_told_of() {
        let speech = Speech {
            protocol: Protocol::Http,
            proxy: true,
            ..Speech::default()
        };
        for (mut context, reason) in [
            (believing(), "does not begin with a header"),
            (context(), "is not among trust.networks"),
        ] {
            let (_conn, _theirs, request) = feed(
                speech,
                [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..]],
                &mut context,
            );
            assert!(request.is_none());
            assert!(context.notices[0].contains(reason), "{:?}", context.notices);
        }
    }
}
