//! Frames: their header, their kinds, and how those that a server sends are written (RFC 9113 4 and 6).

/// What a client's connection begins with (RFC 9113 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// As much of the preface as tells it apart from a request in HTTP/1.
pub const PREFACE_LINE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// The largest payload of a frame that is taken: the initial value, and the least there is. Larger ones would only
/// keep streams from taking turns.
pub const MAX_FRAME: usize = 16_384;

/// The largest window (RFC 9113 6.9.1).
pub const MAX_WINDOW: i64 = 0x7fff_ffff;

/// Bytes of a frame's header.
pub(super) const HEADER: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
/// RFC 9218 7.1.
pub(super) const PRIORITY_UPDATE: u8 = 16;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const HAS_PRIORITY: u8 = 32;

pub(super) const HEADER_TABLE_SIZE: u16 = 1;
pub(super) const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(super) const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;
/// RFC 8441 3.
pub(super) const ENABLE_CONNECT_PROTOCOL: u16 = 8;
/// RFC 9218 2.1.
const NO_RFC7540_PRIORITIES: u16 = 9;

/// Why a stream or a connection ends (RFC 9113 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Code {
    /// Nothing is wrong.
    NoError = 0,
    /// The protocol was broken.
    Protocol = 1,
    /// This side has failed.
    Internal = 2,
    /// More was sent than the window allows.
    FlowControl = 3,
    /// A frame came for a stream that is closed.
    StreamClosed = 5,
    /// A frame has a size that it cannot have.
    FrameSize = 6,
    /// The request was not looked at and can be tried again.
    Refused = 7,
    /// The stream is not wanted any more.
    Cancel = 8,
    /// A header block cannot be decoded.
    Compression = 9,
    /// The client asks too much.
    EnhanceYourCalm = 11,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl FrameHeader {
    pub(super) fn parse(bytes: [u8; HEADER]) -> Self {
        let [high, middle, low, kind, flags, stream @ ..] = bytes;
        Self {
            length: u32::from_be_bytes([0, high, middle, low]) as usize,
            kind,
            flags,
            // The first bit is reserved, and ignored.
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

#[inline]
fn write_header(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let [_, length @ ..] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let mut header = [0; HEADER];
    header[..3].copy_from_slice(&length);
    header[3] = kind;
    header[4] = flags;
    header[5..].copy_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(&header);
}

/// What a server tells its clients of itself at the start. Sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnSettings {
    /// Streams that a client may have open at once.
    pub max_streams: u32,
    /// Bytes of a request's body that may be on their way.
    pub stream_window: u32,
    /// The same for all streams of a connection together.
    pub connection_window: u32,
    /// The largest header list.
    pub max_header_list: u32,
    /// WebSockets can be opened on streams (RFC 8441).
    pub connect_protocol: bool,
}

/// The window that a connection has before it is told of another (RFC 9113 6.9.2).
pub(super) const DEFAULT_WINDOW: u32 = 65_535;

/// Appends the server's preface: its settings, and the window of the connection.
pub fn write_settings(out: &mut Vec<u8>, own: &OwnSettings) {
    let pairs = [
        (MAX_CONCURRENT_STREAMS, own.max_streams),
        (INITIAL_WINDOW_SIZE, own.stream_window),
        (MAX_HEADER_LIST_SIZE, own.max_header_list),
        (NO_RFC7540_PRIORITIES, 1),
        (ENABLE_CONNECT_PROTOCOL, 1),
    ];
    let count = if own.connect_protocol { 5 } else { 4 };
    write_header(out, count * 6, SETTINGS, 0, 0);
    for (name, value) in &pairs[..count] {
        out.extend_from_slice(&name.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
    let more = own.connection_window.saturating_sub(DEFAULT_WINDOW);
    if more > 0 {
        write_window(out, 0, more);
    }
}

/// Appends the answer to a client's settings.
pub fn write_settings_ack(out: &mut Vec<u8>) {
    write_header(out, 0, SETTINGS, ACK, 0);
}

/// Appends a question whether the client is there.
pub fn write_ping(out: &mut Vec<u8>, payload: [u8; 8]) {
    write_header(out, 8, PING, 0, 0);
    out.extend_from_slice(&payload);
}

/// Appends the answer to such a question.
pub fn write_ping_ack(out: &mut Vec<u8>, payload: [u8; 8]) {
    write_header(out, 8, PING, ACK, 0);
    out.extend_from_slice(&payload);
}

/// Appends the end of a stream in both directions.
pub fn write_reset(out: &mut Vec<u8>, stream: u32, code: Code) {
    write_header(out, 4, RST_STREAM, 0, stream);
    out.extend_from_slice(&(code as u32).to_be_bytes());
}

/// Appends leave to send `increment` more bytes on a stream, or on all of them (0).
pub fn write_window(out: &mut Vec<u8>, stream: u32, increment: u32) {
    write_header(out, 4, WINDOW_UPDATE, 0, stream);
    out.extend_from_slice(&increment.to_be_bytes());
}

/// Appends the end of the connection: streams above `last` were not looked at. `reason` is for people.
pub fn write_goaway(out: &mut Vec<u8>, last: u32, code: Code, reason: &str) {
    write_header(out, 8 + reason.len(), GOAWAY, 0, 0);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&(code as u32).to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// Appends the header of a DATA frame whose `length` bytes are to follow.
pub fn write_data_header(out: &mut Vec<u8>, stream: u32, length: usize, end_stream: bool) {
    write_header(out, length, DATA, u8::from(end_stream) * END_STREAM, stream);
}

/// Appends a header block in frames of up to `max_frame` bytes.
pub fn write_headers(
    out: &mut Vec<u8>,
    stream: u32,
    block: &[u8],
    max_frame: usize,
    end_stream: bool,
) {
    let mut kind = HEADERS;
    let mut flags = u8::from(end_stream) * END_STREAM;
    let mut rest = block;
    loop {
        let (piece, tail) = rest.split_at(rest.len().min(max_frame));
        if tail.is_empty() {
            flags |= END_HEADERS;
        }
        write_header(out, piece.len(), kind, flags, stream);
        out.extend_from_slice(piece);
        if tail.is_empty() {
            return;
        }
        (kind, flags, rest) = (CONTINUATION, 0, tail);
    }
}
