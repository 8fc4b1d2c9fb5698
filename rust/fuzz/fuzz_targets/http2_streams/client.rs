//! The client: says what the script says, and judges every frame that comes back by what it has sent itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use hostler_engine::codec::http2::{HeaderDecoder, MAX_WINDOW};

const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// What the server begins with for the connection (RFC 9113 6.9.2), and adds to at once.
const FIRST_WINDOW: i64 = 65_535;

/// A frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// Cuts bytes into frames.
#[derive(Default)]
struct Cutter {
    bytes: Vec<u8>,
    at: usize,
}

impl Cutter {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn next(&mut self) -> Option<Frame> {
        let rest = &self.bytes[self.at..];
        let header: [u8; HEADER] = *rest.first_chunk()?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let payload = rest.get(HEADER..HEADER + length)?.to_vec();
        self.at += HEADER + length;
        Some(Frame {
            kind: header[3],
            flags: header[4],
            stream: u32::from_be_bytes(header[5..].try_into().unwrap()) & 0x7fff_ffff,
            payload,
        })
    }
}

/// A stream as its client sees it.
#[derive(Default)]
struct Side {
    /// Bytes that the server may send.
    window: i64,
    /// Bytes sent to the server, and leave given for more.
    sent: u64,
    granted: u64,
    /// The final head has come.
    has_head: bool,
    /// The server has sent all.
    is_ended: bool,
    /// It may not say anything more here, but that it is reset.
    is_over: bool,
}

/// Settings on their way to the server.
struct Sent {
    window: Option<i64>,
    max_frame: Option<usize>,
    /// The difference that `window` makes, to streams up to this number.
    difference: i64,
    last: u32,
}

pub struct Client {
    socket: Option<UnixStream>,
    /// What the socket has not taken.
    unsent: Vec<u8>,
    buffer: Vec<u8>,
    /// The script or the server has ended the client's side.
    pub has_ended: bool,
    own: Cutter,
    theirs: Cutter,
    /// A header block of ours is not at its end.
    is_within_block: bool,
    block: Option<(u32, bool, Vec<u8>)>,
    decoder: HeaderDecoder,
    streams: BTreeMap<u32, Side>,
    pub last: u32,
    window: i64,
    sent: u64,
    granted: u64,
    initial_window: i64,
    max_frame: usize,
    settings: VecDeque<Sent>,
    /// Pings on their way, and the streams that were reset before each.
    pings: VecDeque<([u8; 8], BTreeSet<u32>)>,
    resets: BTreeSet<u32>,
    has_settings: bool,
    /// The last stream and the code of the latest GOAWAY frame.
    pub goaway: Option<(u32, u32)>,
    /// The server has closed the connection.
    pub is_closed: bool,
}

impl Client {
    pub fn new(socket: UnixStream) -> Self {
        Self {
            socket: Some(socket),
            unsent: Vec::new(),
            buffer: vec![0; 65_536],
            has_ended: false,
            own: Cutter::default(),
            theirs: Cutter::default(),
            is_within_block: false,
            block: None,
            decoder: HeaderDecoder::default(),
            streams: BTreeMap::new(),
            last: 0,
            window: FIRST_WINDOW,
            sent: 0,
            granted: 0,
            initial_window: FIRST_WINDOW,
            max_frame: 16_384,
            settings: VecDeque::new(),
            pings: VecDeque::new(),
            resets: BTreeSet::new(),
            has_settings: false,
            goaway: None,
            is_closed: false,
        }
    }

    /// Sends what is no frame.
    pub fn send_preface(&mut self, preface: &[u8]) {
        self.unsent.extend_from_slice(preface);
        self.push();
    }

    /// Sends frames, or something like them.
    pub fn send(&mut self, bytes: &[u8]) {
        if self.has_ended {
            return;
        }
        self.unsent.extend_from_slice(bytes);
        self.own.add(bytes);
        while let Some(frame) = self.own.next() {
            self.note(&frame);
        }
        self.push();
    }

    /// Offers the socket what it has not taken.
    pub fn push(&mut self) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        while !self.unsent.is_empty() {
            match socket.write(&self.unsent) {
                Ok(count) => {
                    self.unsent.drain(..count);
                }
                Err(_) => break,
            }
        }
    }

    /// Sends nothing more.
    pub fn end(&mut self) {
        self.has_ended = true;
        if let Some(socket) = &self.socket {
            let _ = socket.shutdown(std::net::Shutdown::Write);
        }
    }

    /// Is gone.
    pub fn leave(&mut self) {
        self.has_ended = true;
        self.socket = None;
    }

    /// Whether whole frames were sent, all of them, and nothing but a frame is expected.
    pub fn is_between_frames(&self) -> bool {
        self.own.is_empty() && self.unsent.is_empty() && !self.is_within_block
    }

    /// Takes note of a frame of its own.
    fn note(&mut self, frame: &Frame) {
        match frame.kind {
            HEADERS | CONTINUATION => self.is_within_block = !frame.has(END_HEADERS),
            _ => {}
        }
        match frame.kind {
            HEADERS if frame.stream > self.last => {
                self.last = frame.stream;
                let side = Side {
                    window: self.initial_window,
                    ..Side::default()
                };
                self.streams.insert(frame.stream, side);
            }
            DATA => {
                self.sent += frame.payload.len() as u64;
                if let Some(side) = self.streams.get_mut(&frame.stream) {
                    side.sent += frame.payload.len() as u64;
                }
            }
            RST_STREAM => {
                self.resets.insert(frame.stream);
            }
            SETTINGS if !frame.has(ACK) => self.note_settings(frame),
            PING if !frame.has(ACK) && frame.payload.len() == 8 => {
                let payload = frame.payload[..].try_into().unwrap();
                self.pings.push_back((payload, self.resets.clone()));
            }
            WINDOW_UPDATE if frame.payload.len() == 4 => {
                let increment = i64::from(frame.number(0) & 0x7fff_ffff);
                if frame.stream == 0 {
                    self.window += increment;
                } else if let Some(side) = self.streams.get_mut(&frame.stream) {
                    side.window += increment;
                }
            }
            _ => {}
        }
    }

    fn note_settings(&mut self, frame: &Frame) {
        let mut sent = Sent {
            window: None,
            max_frame: None,
            difference: 0,
            last: self.last,
        };
        for entry in frame.payload.chunks_exact(6) {
            let value = u32::from_be_bytes(entry[2..].try_into().unwrap());
            match u16::from_be_bytes([entry[0], entry[1]]) {
                4 => sent.window = Some(i64::from(value)),
                5 => sent.max_frame = Some(value as usize),
                _ => {}
            }
        }
        if let Some(window) = sent.window {
            sent.difference = window - self.initial_window;
            self.initial_window = window;
        }
        self.settings.push_back(sent);
    }

    /// Reads so many bytes, and judges the frames that are complete. Returns whether there were any.
    pub fn read(&mut self, limit: usize) -> bool {
        let Some(socket) = &mut self.socket else {
            return false;
        };
        let mut left = limit;
        while left > 0 {
            let room = left.min(self.buffer.len());
            match socket.read(&mut self.buffer[..room]) {
                Ok(0) => {
                    self.is_closed = true;
                    break;
                }
                Ok(count) => {
                    self.theirs.add(&self.buffer[..count]);
                    left -= count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.is_closed = true;
                    break;
                }
            }
        }
        while let Some(frame) = self.theirs.next() {
            self.judge(frame);
        }
        left < limit
    }

    fn judge(&mut self, frame: Frame) {
        assert!(frame.payload.len() <= self.max_frame, "{frame:?}");
        if let Some((_, code)) = self.goaway {
            assert_eq!(code, 0, "a frame behind the end: {frame:?}");
        }
        if let Some((stream, _, _)) = &self.block {
            assert_eq!((frame.kind, frame.stream), (CONTINUATION, *stream));
        }
        if !self.has_settings {
            assert_eq!((frame.kind, frame.flags), (SETTINGS, 0));
            self.has_settings = true;
        }
        match frame.kind {
            DATA => self.judge_data(&frame),
            HEADERS => {
                let stream = frame.stream;
                assert_eq!(frame.flags & !(END_STREAM | END_HEADERS), 0);
                self.block = Some((stream, frame.has(END_STREAM), Vec::new()));
                self.judge_block(frame);
            }
            CONTINUATION => {
                assert!(self.block.is_some(), "{frame:?}");
                self.judge_block(frame);
            }
            RST_STREAM => {
                assert_eq!(frame.payload.len(), 4);
                // RFC 9113 5.1.1: one that was left out is closed.
                let is_idle = frame.stream > self.last || frame.stream % 2 == 0;
                assert!(!is_idle, "an idle stream is reset: {frame:?}");
                if let Some(side) = self.streams.get_mut(&frame.stream) {
                    side.is_over = true;
                }
            }
            SETTINGS if frame.has(ACK) => {
                let sent = self.settings.pop_front();
                self.apply(&sent.expect("settings are acknowledged that were not sent"));
            }
            SETTINGS => assert_eq!(frame.payload.len() % 6, 0),
            PING if frame.has(ACK) => {
                let (payload, resets) = self.pings.pop_front().expect("a pong without a ping");
                assert_eq!(frame.payload, payload);
                // What was sent before the ping was taken note of before the pong was written.
                for stream in resets {
                    if let Some(side) = self.streams.get_mut(&stream) {
                        side.is_over = true;
                    }
                }
            }
            PING => assert_eq!(frame.payload.len(), 8),
            GOAWAY => {
                let told = (frame.number(0), frame.number(4));
                if let Some((last, _)) = self.goaway {
                    assert!(told.0 <= last, "{told:?} after {last}");
                }
                self.goaway = Some(told);
            }
            WINDOW_UPDATE => self.judge_window(&frame),
            _ => panic!("{frame:?}"),
        }
    }

    fn apply(&mut self, sent: &Sent) {
        if let Some(size) = sent.max_frame {
            self.max_frame = size;
        }
        if sent.window.is_some() {
            for side in self.streams.range_mut(..=sent.last) {
                side.1.window += sent.difference;
            }
        }
    }

    /// The stream of a frame that may only come while the server has not ended it.
    fn open_side(&mut self, frame: &Frame) -> &mut Side {
        let side = self.streams.get_mut(&frame.stream);
        let side = side.unwrap_or_else(|| panic!("a frame for an idle stream: {frame:?}"));
        assert!(
            !side.is_ended && !side.is_over,
            "a frame for a closed stream: {frame:?}"
        );
        side
    }

    fn judge_data(&mut self, frame: &Frame) {
        assert_eq!(frame.flags & !END_STREAM, 0);
        let length = i64::try_from(frame.payload.len()).unwrap();
        self.window -= length;
        let window = self.window;
        let side = self.open_side(frame);
        assert!(side.has_head, "a body without a head: {frame:?}");
        side.window -= length;
        side.is_ended = frame.has(END_STREAM);
        if length > 0 {
            assert!(window >= 0, "the connection's window is exceeded");
            assert!(side.window >= 0, "a stream's window is exceeded");
        }
    }

    fn judge_block(&mut self, frame: Frame) {
        let Some((stream, ends, mut block)) = self.block.take() else {
            return;
        };
        block.extend_from_slice(&frame.payload);
        if !frame.has(END_HEADERS) {
            self.block = Some((stream, ends, block));
            return;
        }
        let mut status = Vec::new();
        let mut fields = 0;
        let decoded = self.decoder.decode(&block, |name, value| {
            if name == b":status" && fields == 0 {
                status = value.to_vec();
            } else {
                assert!(!name.starts_with(b":"), "{}", name.escape_ascii());
            }
            fields += 1;
        });
        assert!(decoded.is_ok(), "a header block cannot be decoded");
        let side = self.open_side(&Frame { stream, ..frame });
        if side.has_head {
            assert!(status.is_empty() && ends, "trailers that are none");
        } else if status.starts_with(b"1") {
            assert!(!ends, "an interim head ends the stream");
        } else {
            assert_eq!(status.len(), 3);
            side.has_head = true;
        }
        side.is_ended = ends;
    }

    fn judge_window(&mut self, frame: &Frame) {
        let increment = u64::from(frame.number(0));
        assert!(increment > 0 && increment <= MAX_WINDOW as u64);
        if frame.stream == 0 {
            // The first one is no answer to anything.
            if self.granted > 0 || self.sent > 0 {
                self.granted += increment;
            }
            return;
        }
        let side = self.open_side(frame);
        side.granted += increment;
        assert!(
            side.granted <= side.sent,
            "leave is given for more than came: {frame:?}"
        );
    }

    /// Streams that the server has not ended.
    pub fn open_streams(&self) -> Vec<u32> {
        let open = self.streams.iter();
        open.filter(|(_, side)| !side.is_ended && !side.is_over)
            .map(|(number, _)| *number)
            .collect()
    }

    /// Whether the answer on a stream has come whole.
    pub fn is_answered(&self, stream: u32) -> bool {
        self.streams
            .get(&stream)
            .is_some_and(|side| side.has_head && side.is_ended)
    }

    /// Bytes that the connection lets the server send.
    pub fn window(&self) -> i64 {
        self.window
    }
}
