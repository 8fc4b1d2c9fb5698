//! Requests as gateways tell them, as a whole: what nginx and Apache were seen to send, hostile variables, properties.
//! The tests of the protocols share what is here.

mod captures;
mod variables;

use super::*;
use crate::codec::http1::{Framing, Head, Limits, Refusal, Span, Version};

/// The buffers that a connection would have.
#[derive(Debug, Default)]
pub(in crate::codec) struct Room {
    pub bytes: Vec<u8>,
    pub head: Head,
    pub told: Told,
}

impl Room {
    pub fn text(&self, span: Span) -> String {
        span.of(&self.bytes).escape_ascii().to_string()
    }

    pub fn fields(&self) -> Vec<(String, String)> {
        (self.head.fields.iter())
            .map(|field| (self.text(field.name), self.text(field.value)))
            .collect()
    }

    /// Everything that is known of a request, one thing a line.
    pub fn describe(&self, body: &[u8]) -> String {
        let (head, told) = (&self.head, &self.told);
        let version = match head.version {
            Version::Http10 => "1.0",
            Version::Http11 => "1.1",
            Version::Http2 => "2",
        };
        let framing = match head.framing {
            Framing::None => "none".to_owned(),
            Framing::Length(length) => length.to_string(),
            Framing::Chunked => "unknown".to_owned(),
        };
        let mut lines = vec![
            format!("{} {}", self.text(head.method), self.text(head.target)),
            format!("version {version} ({})", self.text(told.protocol)),
            format!(
                "path [{}] {}",
                self.text(told.script_name),
                self.text(head.path)
            ),
            format!("whole path {}", self.text(told.whole_path)),
            format!("query {}", self.text(head.query)),
            format!("host {}", self.text(head.host.unwrap_or_default())),
            format!(
                "authority {}",
                self.text(head.authority.unwrap_or_default())
            ),
            format!("client {:?} scheme {:?}", told.client, told.scheme),
            format!(
                "server {} {:?}",
                self.text(told.server_name),
                told.server_port
            ),
            format!("user {}", self.text(told.remote_user)),
            format!("keep-alive {}", head.keep_alive),
            format!("length {framing} body {}", body.escape_ascii()),
        ];
        lines.extend(
            self.fields()
                .iter()
                .map(|(name, value)| format!("field {name}: {value}")),
        );
        lines.extend(
            (told.variables.iter()).map(|(name, value)| {
                format!("variable {}={}", self.text(*name), self.text(*value))
            }),
        );
        // Lines that end in nothing would not survive an editor.
        lines
            .iter()
            .map(|line| line.trim_end().to_owned() + "\n")
            .collect()
    }

    /// What holds for every request that is accepted.
    pub fn check(&self) {
        let (bytes, head) = (&self.bytes, &self.head);
        let text = &bytes[..head.len];
        assert!(text.ends_with(b"\r\n\r\n"));
        let lines = memchr::memchr_iter(b'\n', text).count();
        assert_eq!(lines, head.fields.len() + 2);
        assert!(!text.contains(&0) && !head.expect_continue);
        let encoded = [head.path, head.query, self.told.whole_path];
        for span in encoded {
            assert!(span.end as usize <= bytes.len());
            assert!(
                span.of(bytes).iter().all(u8::is_ascii_graphic),
                "{}",
                self.text(span)
            );
        }
        assert!(
            self.told
                .whole_path
                .of(bytes)
                .ends_with(head.path.of(bytes))
        );
        assert!(!head.path.is_empty() || !self.told.script_name.is_empty());
        for field in &head.fields {
            let name = field.name.of(bytes).to_ascii_lowercase();
            assert!(
                ![
                    b"connection".as_slice(),
                    b"transfer-encoding",
                    b"upgrade",
                    b"te",
                    b"expect",
                    b"keep-alive",
                    b"trailer",
                    b"proxy-connection",
                ]
                .contains(&name.as_slice())
            );
        }
        for (name, _) in &self.told.variables {
            assert!(!name.of(bytes).starts_with(b"UWSGI_") && !name.of(bytes).contains(&b'.'));
        }
    }
}

/// A generator of numbers that are the same in every run (xorshift64*).
pub(in crate::codec) struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % sides
    }

    pub fn octet(&mut self) -> u8 {
        u8::try_from(self.roll(256)).unwrap()
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }

    /// Changes, removes or adds a few bytes.
    pub fn spoil(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.roll(4) {
            if bytes.is_empty() {
                return;
            }
            let place = self.roll(bytes.len());
            match self.roll(4) {
                0 => bytes.truncate(place),
                1 => drop(bytes.remove(place)),
                2 => bytes.insert(place, self.octet()),
                _ => bytes[place] = self.octet(),
            }
        }
    }

    /// Cuts `bytes` into pieces of random sizes.
    pub fn cut<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        let most = 1 + self.roll(60);
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(1 + self.roll(bytes.len().min(most)));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }

    /// Variables such as a web server might send, some of them wrong.
    pub fn variables(&mut self) -> Vec<(&'static str, &'static str)> {
        const SOUND: [(&str, &str); 20] = [
            ("REQUEST_URI", "/a%20b/c?x=1"),
            ("REQUEST_URI", "/"),
            ("REQUEST_URI", "http://b.example/c?d"),
            ("SCRIPT_NAME", "/a b"),
            ("SCRIPT_NAME", ""),
            ("PATH_INFO", "/c"),
            ("PATH_INFO", "/\r\nX: y"),
            ("PATH_INFO", ""),
            ("DOCUMENT_URI", "/a b/c"),
            ("QUERY_STRING", "x=1"),
            ("HTTP_X_FOO", "one"),
            ("HTTP_COOKIE", "a=1"),
            ("HTTP_CONTENT_LENGTH", "9"),
            ("HTTP_CONNECTION", "close"),
            ("CONTENT_TYPE", "text/plain"),
            ("REMOTE_ADDR", "192.0.2.1"),
            ("HTTPS", "on"),
            ("UWSGI_FILE", "/etc/passwd"),
            ("SSL_CLIENT_CERT", "-----BEGIN\n"),
            ("X_PLAIN", "y"),
        ];
        const WRONG: [(&str, &str); 14] = [
            ("CONTENT_LENGTH", "3"),
            ("CONTENT_LENGTH", "x"),
            ("REQUEST_METHOD", "G T"),
            ("REQUEST_METHOD", ""),
            ("SERVER_PROTOCOL", "x"),
            ("HTTP_HOST", "a\r\nb: c"),
            ("REQUEST_URI", "/%zz"),
            ("REQUEST_URI", "/a b"),
            ("QUERY_STRING", "y= 2"),
            ("HTTP_X_FOO", "two\nX: y"),
            ("HTTP_", "x"),
            ("HTTP_A B", "x"),
            ("HTTP_TRANSFER_ENCODING", "chunked"),
            ("X_PLAIN", "y\n"),
        ];
        let mut all = vec![
            ("CONTENT_LENGTH", *self.pick(&["0", "3", "3"])),
            ("SCGI", "1"),
            ("REQUEST_METHOD", *self.pick(&["GET", "POST", "HEAD"])),
            (
                "SERVER_PROTOCOL",
                *self.pick(&["HTTP/1.1", "HTTP/2.0", "HTTP/1.0"]),
            ),
            ("HTTP_HOST", *self.pick(&["a.example", "a.example:80"])),
            ("REQUEST_URI", "/c"),
        ];
        for _ in 0..self.roll(8) {
            all.push(*self.pick(&SOUND));
        }
        if self.roll(3) == 0 {
            all.push(*self.pick(&WRONG));
        }
        all
    }
}

pub(in crate::codec) fn as_bytes<'a>(
    variables: &'a [(&'a str, &'a str)],
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone {
    variables
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

/// Variables as a uwsgi packet, an SCGI netstring and a FastCGI stream have them.
pub(in crate::codec) fn uwsgi_packet(modifier: u8, variables: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for text in as_bytes(variables).flat_map(|(name, value)| [name, value]) {
        block.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        block.extend(text);
    }
    let mut out = vec![modifier];
    out.extend(u16::try_from(block.len()).unwrap().to_le_bytes());
    out.push(0);
    out.extend(block);
    out
}

pub(in crate::codec) fn scgi_netstring(variables: &[(&str, &str)]) -> Vec<u8> {
    let text: Vec<u8> = (as_bytes(variables))
        .flat_map(|(name, value)| [name, b"\0", value, b"\0"].concat())
        .collect();
    [format!("{}:", text.len()).as_bytes(), &text, b","].concat()
}

pub(in crate::codec) fn fastcgi_pairs(variables: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in variables {
        for length in [name.len(), value.len()] {
            match u8::try_from(length) {
                Ok(short) if short < 0x80 => out.push(short),
                _ => out.extend((u32::try_from(length).unwrap() | 0x8000_0000).to_be_bytes()),
            }
        }
        out.extend(name.bytes().chain(value.bytes()));
    }
    out
}

/// What a protocol's parser of one request comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::codec) enum Outcome {
    Partial,
    Request(String),
    Ping,
    Refused(Refusal),
}

/// A protocol's parser: what the bytes received so far come to, and how many of them that takes.
pub(in crate::codec) type Parse = fn(&[u8], &Limits, &mut Room) -> (Outcome, usize);

/// Gives more and more bytes, until there is an outcome.
pub(in crate::codec) fn parse_pieces<'a>(
    parse: Parse,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limits: &Limits,
) -> (Outcome, usize) {
    let mut room = Room::default();
    let mut received = Vec::new();
    let mut outcome = (Outcome::Partial, 0);
    for piece in pieces {
        received.extend_from_slice(piece);
        outcome = parse(&received, limits, &mut room);
        if outcome.0 != Outcome::Partial {
            break;
        }
    }
    outcome
}

/// Gives the bytes whole, one by one, in every two parts, and with more behind them; all must come to the same.
pub(in crate::codec) fn parse_everyhow(parse: Parse, bytes: &[u8]) -> (Outcome, usize) {
    let limits = Limits::default();
    let whole = parse_pieces(parse, [bytes], &limits);
    assert_eq!(parse_pieces(parse, bytes.chunks(1), &limits), whole);
    for place in 0..bytes.len() {
        let (left, right) = bytes.split_at(place);
        assert_eq!(
            parse_pieces(parse, [left, right], &limits),
            whole,
            "cut at {place}"
        );
    }
    if whole.0 != Outcome::Partial {
        let trailing = [bytes, b"trailing"].concat();
        assert_eq!(parse_pieces(parse, [&trailing[..]], &limits), whole);
    }
    whole
}

/// The description of a request that is expected to be good; its body is all that follows its head.
pub(in crate::codec) fn receive_with(parse: Parse, bytes: &[u8]) -> String {
    let (outcome, len) = parse_everyhow(parse, bytes);
    assert!(matches!(outcome, Outcome::Request(_)), "{outcome:?}");
    let mut room = Room::default();
    parse(bytes, &Limits::default(), &mut room);
    room.describe(&bytes[len..])
}
