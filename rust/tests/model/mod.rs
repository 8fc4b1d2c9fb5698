//! A model of a server: the codec driven as a connection drives it, answering nothing, recording all.

#![allow(dead_code, reason = "each test crate uses its part")]

use hostler_engine::codec::http1::path::decode_path;
use hostler_engine::codec::http1::{
    ChunkedDecoder, Framing, Head, Limits, Progress, Refusal, Scanned, Version, parse_head,
};

/// A request as the application would see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    pub path: Vec<u8>,
    pub query: Vec<u8>,
    pub authority: Option<Vec<u8>>,
    pub host: Option<Vec<u8>>,
    pub version: &'static str,
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
    pub keep_alive: bool,
    pub expect_continue: bool,
}

impl Request {
    /// The values of all fields of that name, joined as RFC 9110 5.3 says.
    pub fn field(&self, name: &[u8]) -> Option<Vec<u8>> {
        let values: Vec<_> = self
            .fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
            .collect();
        if values.is_empty() {
            None
        } else {
            Some(values.join(&b","[..]))
        }
    }
}

/// How a connection stands when the client has sent all it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing is left over; the connection persists.
    Idle,
    /// Part of a request is there.
    Waiting,
    /// The last request closed the connection.
    Closed,
    /// A request was refused with this status.
    Refused(u16),
}

/// All that a connection came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub requests: Vec<Request>,
    pub ending: Ending,
    pub reason: Option<Refusal>,
}

enum Body {
    Length(u64),
    Chunked(ChunkedDecoder),
}

struct Connection {
    limits: Limits,
    buffer: Vec<u8>,
    scanned: Scanned,
    head: Head,
    current: Option<(Request, Body)>,
    requests: Vec<Request>,
}

/// Serves the pieces, each as one read, with the default limits.
pub fn serve<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    serve_within(Limits::default(), pieces)
}

/// Serves the pieces, each as one read.
pub fn serve_within<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut connection = Connection {
        limits,
        buffer: Vec::new(),
        scanned: Scanned::default(),
        head: Head::new(),
        current: None,
        requests: Vec::new(),
    };
    for piece in pieces {
        connection.buffer.extend_from_slice(piece);
        match connection.advance() {
            Ok(true) => {}
            Ok(false) => return connection.end(Ending::Closed, None),
            Err(refusal) => return connection.end(Ending::Refused(refusal.status), Some(refusal)),
        }
    }
    let is_idle = connection.buffer.is_empty() && connection.current.is_none();
    connection.end(
        if is_idle {
            Ending::Idle
        } else {
            Ending::Waiting
        },
        None,
    )
}

impl Connection {
    fn end(self, ending: Ending, reason: Option<Refusal>) -> Outcome {
        Outcome {
            requests: self.requests,
            ending,
            reason,
        }
    }

    /// Whether the connection goes on.
    fn advance(&mut self) -> Result<bool, Refusal> {
        loop {
            if self.current.is_none() && !self.read_head()? {
                return Ok(true);
            }
            if !self.read_body()? {
                return Ok(true);
            }
            let Some((request, _)) = self.current.take() else {
                return Ok(true);
            };
            let goes_on = request.keep_alive;
            self.requests.push(request);
            if !goes_on {
                return Ok(false);
            }
        }
    }

    fn read_head(&mut self) -> Result<bool, Refusal> {
        if parse_head(
            &self.buffer,
            &mut self.scanned,
            &self.limits,
            &mut self.head,
        )? == Progress::Partial
        {
            return Ok(false);
        }
        let (head, bytes) = (&self.head, self.buffer.as_slice());
        let mut path = Vec::new();
        decode_path(head.path.of(bytes), &mut path)?;
        let request = Request {
            method: head.method.of(bytes).to_vec(),
            target: head.target.of(bytes).to_vec(),
            path,
            query: head.query.of(bytes).to_vec(),
            authority: head.authority.map(|span| span.of(bytes).to_vec()),
            host: head.host.map(|span| span.of(bytes).to_vec()),
            version: if head.version == Version::Http10 {
                "1.0"
            } else {
                "1.1"
            },
            fields: head
                .fields
                .iter()
                .map(|field| {
                    (
                        field.name.of(bytes).to_vec(),
                        field.value.of(bytes).to_vec(),
                    )
                })
                .collect(),
            body: Vec::new(),
            keep_alive: head.keep_alive,
            expect_continue: head.expect_continue,
        };
        let body = match head.framing {
            Framing::None => Body::Length(0),
            Framing::Length(length) => Body::Length(length),
            Framing::Chunked => Body::Chunked(ChunkedDecoder::new(&self.limits)),
        };
        self.buffer.drain(..head.len);
        self.current = Some((request, body));
        Ok(true)
    }

    /// Whether the body is complete.
    fn read_body(&mut self) -> Result<bool, Refusal> {
        let Some((request, body)) = &mut self.current else {
            return Ok(false);
        };
        match body {
            Body::Length(left) => {
                let taken = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(self.buffer.len());
                request.body.extend(self.buffer.drain(..taken));
                *left -= taken as u64;
                Ok(*left == 0)
            }
            Body::Chunked(decoder) => {
                let progress =
                    decoder.decode(&self.buffer, |data| request.body.extend_from_slice(data))?;
                self.buffer.drain(..progress.consumed);
                Ok(progress.finished)
            }
        }
    }
}
