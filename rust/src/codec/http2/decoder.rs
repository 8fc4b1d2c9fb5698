//! What a client sends, cut into events.

use super::frame::{
    ACK, CONTINUATION, Code, DATA, ENABLE_CONNECT_PROTOCOL, ENABLE_PUSH, END_HEADERS, END_STREAM,
    FrameHeader, GOAWAY, HAS_PRIORITY, HEADER, HEADER_TABLE_SIZE, HEADERS, INITIAL_WINDOW_SIZE,
    MAX_FRAME, MAX_FRAME_SIZE, MAX_WINDOW, PADDED, PING, PREFACE, PRIORITY, PRIORITY_UPDATE,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};
use super::hpack::TABLE_SIZE;

/// Frames that one header block may take. A client that fills its frames needs five for the largest that is taken by
/// default; the rest is for those that do not.
const MAX_CONTINUATIONS: u32 = 32;

/// An error that the connection ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What the client is told.
    pub code: Code,
    /// One sentence for people.
    pub reason: &'static str,
}

impl Fault {
    /// A fault.
    #[must_use]
    pub const fn new(code: Code, reason: &'static str) -> Self {
        Self { code, reason }
    }
}

/// What a client says of itself; each is there if it was in the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerSettings {
    /// Bytes of the dynamic table that it decodes with.
    pub header_table: Option<usize>,
    /// The window that streams begin with.
    pub window: Option<i64>,
    /// The largest payload that it takes.
    pub max_frame: Option<usize>,
}

/// What a client has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Its settings, which are to be acknowledged.
    Settings(PeerSettings),
    /// It has ours.
    SettingsAck,
    /// It asks whether we are there.
    Ping([u8; 8]),
    /// It has answered such a question.
    Pong([u8; 8]),
    /// A whole header block.
    Headers {
        /// The stream, an odd number.
        stream: u32,
        /// Nothing follows it.
        end_stream: bool,
        /// The block.
        block: &'a [u8],
    },
    /// A part of a DATA frame.
    Data {
        /// The stream.
        stream: u32,
        /// Bytes of the body.
        data: &'a [u8],
        /// What they count for in windows, padding included.
        counted: u32,
        /// With them ends a frame that had not even one byte of body.
        is_empty: bool,
        /// Nothing follows them.
        end_stream: bool,
    },
    /// A stream is given up.
    Reset {
        /// The stream.
        stream: u32,
    },
    /// More may be sent.
    Window {
        /// The stream, or 0 for all of them.
        stream: u32,
        /// So many more bytes.
        increment: u32,
    },
    /// How urgent a stream is (RFC 9218).
    Urgency {
        /// The stream.
        stream: u32,
        /// The value of its priority field.
        value: &'a [u8],
    },
    /// The client will open no more streams.
    GoAway,
    /// A frame of no use: an old priority, or of a kind that is not known.
    Other,
    /// A frame that the stream cannot go on after.
    StreamFault {
        /// The stream.
        stream: u32,
        /// Why.
        code: Code,
    },
}

/// How far decoding has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// Bytes used.
    pub consumed: usize,
    /// What they were; nothing if more bytes are needed. Then all were used.
    pub event: Option<Event<'a>>,
}

/// A DATA frame that is under way.
#[derive(Clone, Copy, Debug)]
struct Running {
    stream: u32,
    /// Bytes of the payload that are still to come, padding included.
    left: usize,
    padding: usize,
    /// The byte that says how much padding there is was not counted yet.
    is_padded: bool,
    /// There is not one byte of body in it.
    is_empty: bool,
    end_stream: bool,
}

/// A header block that is under way.
#[derive(Clone, Copy, Debug)]
struct Block {
    stream: u32,
    end_stream: bool,
    frames: u32,
    /// The priority names the stream itself.
    is_own_parent: bool,
}

/// What a frame was found to be, before it borrows anything.
enum Found {
    /// A fragment: there is more to come.
    Nothing,
    Plain(Event<'static>),
    /// A whole header block: that part of the payload, or what was gathered.
    Block {
        stream: u32,
        end_stream: bool,
        part: Option<(usize, usize)>,
    },
    Urgency {
        stream: u32,
    },
}

/// The decoder of one connection.
#[derive(Debug)]
pub struct Decoder {
    /// Bytes of the preface that have come.
    preface: usize,
    /// A frame's header, and its payload, as far as they have come.
    held: Vec<u8>,
    /// The last frame that came in pieces.
    joined: Vec<u8>,
    running: Option<Running>,
    rules: Rules,
}

/// What is known of the frames so far.
#[derive(Debug)]
struct Rules {
    has_settings: bool,
    block: Option<Block>,
    /// The fragments of that block.
    fragments: Vec<u8>,
    max_block: usize,
}

impl Decoder {
    /// A decoder that takes header blocks of up to `max_block` bytes.
    #[must_use]
    pub fn new(max_block: usize) -> Self {
        Self {
            preface: 0,
            held: Vec::new(),
            joined: Vec::new(),
            running: None,
            rules: Rules {
                has_settings: false,
                block: None,
                fragments: Vec::new(),
                max_block,
            },
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.capacity() + self.joined.capacity() + self.rules.fragments.capacity()
    }

    /// Whether a header block, or a frame that is not data, has begun and not ended.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.rules.block.is_some() || !self.held.is_empty()
    }

    /// Whether the client has sent its preface, settings included.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.rules.has_settings
    }

    /// Looks for the next event. To be called again with the bytes behind those used, until there is none.
    ///
    /// # Errors
    ///
    /// A fault that nothing can be decoded after.
    pub fn decode<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Decoded<'a>, Fault> {
        let mut at = self.take_preface(bytes)?;
        loop {
            if let Some(running) = self.running {
                return Ok(self.take_data(running, bytes, at));
            }
            let Some(header) = self.header(&bytes[at..]) else {
                return Ok(self.keep(&bytes[at..], bytes.len()));
            };
            self.rules.check_order(header)?;
            if header.kind == DATA {
                match self.begin_data(header, &bytes[at..])? {
                    None => return Ok(self.keep(&bytes[at..], bytes.len())),
                    Some(used) => at += used,
                }
                continue;
            }
            let missing = HEADER + header.length - self.held.len();
            let Some(rest) = bytes.get(at..at + missing) else {
                return Ok(self.keep(&bytes[at..], bytes.len()));
            };
            at += missing;
            let is_joined = !self.held.is_empty();
            if is_joined {
                self.joined.clear();
                self.joined.append(&mut self.held);
                self.joined.extend_from_slice(rest);
                self.held = Vec::new();
            }
            let whole = if is_joined { &self.joined } else { rest };
            let found = self.rules.read(header, &whole[HEADER..])?;
            if !matches!(found, Found::Nothing) {
                let payload = if is_joined {
                    &self.joined[HEADER..]
                } else {
                    &rest[HEADER..]
                };
                return Ok(Decoded {
                    consumed: at,
                    event: Some(self.rules.event(&found, payload)),
                });
            }
        }
    }

    /// RFC 9113 3.4. Returns the bytes used.
    fn take_preface(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let wanted = &PREFACE[self.preface..];
        let count = wanted.len().min(bytes.len());
        if wanted[..count] != bytes[..count] {
            return Err(Fault::new(
                Code::Protocol,
                "The connection does not begin with the preface of HTTP/2.",
            ));
        }
        self.preface += count;
        Ok(count)
    }

    /// Keeps what there is of a frame until more comes.
    fn keep(&mut self, rest: &[u8], consumed: usize) -> Decoded<'static> {
        self.held.extend_from_slice(rest);
        Decoded {
            consumed,
            event: None,
        }
    }

    fn header(&self, rest: &[u8]) -> Option<FrameHeader> {
        if self.preface < PREFACE.len() {
            return None;
        }
        if self.held.is_empty() {
            return rest.first_chunk().copied().map(FrameHeader::parse);
        }
        let mut bytes = [0; HEADER];
        let had = self.held.len().min(HEADER);
        bytes[..had].copy_from_slice(&self.held[..had]);
        bytes[had..].copy_from_slice(rest.get(..HEADER - had)?);
        Some(FrameHeader::parse(bytes))
    }

    /// Looks at the beginning of a DATA frame. Returns the bytes used, or nothing if more are needed.
    fn begin_data(&mut self, header: FrameHeader, rest: &[u8]) -> Result<Option<usize>, Fault> {
        let is_padded = header.has(PADDED);
        if header.length < usize::from(is_padded) {
            return Err(PADDING);
        }
        let needed = HEADER + usize::from(is_padded);
        let missing = needed - self.held.len();
        let Some(next) = rest.get(..missing) else {
            return Ok(None);
        };
        let padding = if is_padded {
            usize::from(next[missing - 1])
        } else {
            0
        };
        if header.length < usize::from(is_padded) + padding {
            return Err(PADDING);
        }
        self.held = Vec::new();
        self.running = Some(Running {
            stream: header.stream,
            left: header.length - usize::from(is_padded),
            padding,
            is_padded,
            is_empty: header.length == usize::from(is_padded) + padding,
            end_stream: header.has(END_STREAM),
        });
        Ok(Some(missing))
    }

    /// Passes on what there is of a DATA frame.
    fn take_data<'a>(&mut self, running: Running, bytes: &'a [u8], at: usize) -> Decoded<'a> {
        let rest = &bytes[at..];
        let count = running.left.min(rest.len());
        if count == 0 && running.left > 0 {
            return Decoded {
                consumed: at,
                event: None,
            };
        }
        let body = (running.left - running.padding.min(running.left)).min(count);
        let left = running.left - count;
        self.running = (left > 0).then_some(Running {
            left,
            padding: running.padding.min(left),
            is_padded: false,
            ..running
        });
        Decoded {
            consumed: at + count,
            event: Some(Event::Data {
                stream: running.stream,
                data: &rest[..body],
                counted: u32::try_from(count).unwrap_or(u32::MAX) + u32::from(running.is_padded),
                is_empty: running.is_empty && left == 0,
                end_stream: running.end_stream && left == 0,
            }),
        }
    }
}

const PADDING: Fault = Fault::new(Code::Protocol, "A frame has more padding than payload.");
const SIZE: Fault = Fault::new(
    Code::FrameSize,
    "A frame has a size that its kind cannot have.",
);
const STREAM: Fault = Fault::new(
    Code::Protocol,
    "A frame names a stream that it cannot be for.",
);
const UNASKED: Fault = Fault::new(
    Code::Protocol,
    "A frame is of a kind that a client does not send.",
);
const INTERRUPTED: Fault = Fault::new(
    Code::Protocol,
    "A header block is interrupted by another frame.",
);

impl Rules {
    /// What holds for a frame before its payload is there.
    fn check_order(&self, header: FrameHeader) -> Result<(), Fault> {
        if header.length > MAX_FRAME {
            return Err(Fault::new(
                Code::FrameSize,
                "A frame is larger than this server takes.",
            ));
        }
        if let Some(block) = self.block {
            // RFC 9113 6.10.
            if header.kind != CONTINUATION || header.stream != block.stream {
                return Err(INTERRUPTED);
            }
        } else if header.kind == CONTINUATION {
            return Err(Fault::new(
                Code::Protocol,
                "A CONTINUATION frame continues nothing.",
            ));
        }
        if !self.has_settings && (header.kind != SETTINGS || header.has(ACK)) {
            return Err(Fault::new(
                Code::Protocol,
                "The first frame is not the client's SETTINGS.",
            ));
        }
        let is_for_stream = match header.kind {
            DATA | HEADERS | PRIORITY | RST_STREAM | CONTINUATION => true,
            SETTINGS | PING | GOAWAY | PRIORITY_UPDATE => false,
            _ => return Ok(()),
        };
        if is_for_stream == (header.stream == 0) {
            return Err(STREAM);
        }
        Ok(())
    }

    fn read(&mut self, header: FrameHeader, payload: &[u8]) -> Result<Found, Fault> {
        let stream = header.stream;
        Ok(Found::Plain(match header.kind {
            HEADERS => return self.begin_block(header, payload),
            CONTINUATION => return self.go_on(header, payload),
            PRIORITY => match payload {
                [a, b, c, d, _] if parse_stream([*a, *b, *c, *d]) != stream => Event::Other,
                [_, _, _, _, _] => Event::StreamFault {
                    stream,
                    code: Code::Protocol,
                },
                _ => Event::StreamFault {
                    stream,
                    code: Code::FrameSize,
                },
            },
            RST_STREAM if payload.len() == 4 => Event::Reset { stream },
            SETTINGS if header.has(ACK) && payload.is_empty() => Event::SettingsAck,
            SETTINGS if !header.has(ACK) && payload.len() % 6 == 0 => {
                self.has_settings = true;
                Event::Settings(read_settings(payload)?)
            }
            PING => match <[u8; 8]>::try_from(payload) {
                Ok(octets) if header.has(ACK) => Event::Pong(octets),
                Ok(octets) => Event::Ping(octets),
                Err(_) => return Err(SIZE),
            },
            GOAWAY if payload.len() >= 8 => Event::GoAway,
            WINDOW_UPDATE => match <[u8; 4]>::try_from(payload).map(parse_stream) {
                Ok(0) if stream == 0 => {
                    return Err(Fault::new(
                        Code::Protocol,
                        "A WINDOW_UPDATE frame grants nothing.",
                    ));
                }
                Ok(0) => Event::StreamFault {
                    stream,
                    code: Code::Protocol,
                },
                Ok(increment) => Event::Window { stream, increment },
                Err(_) => return Err(SIZE),
            },
            PRIORITY_UPDATE => match payload.first_chunk().copied().map(parse_stream) {
                Some(0) => return Err(STREAM),
                Some(stream) => return Ok(Found::Urgency { stream }),
                None => return Err(SIZE),
            },
            RST_STREAM | SETTINGS | GOAWAY => return Err(SIZE),
            PUSH_PROMISE => return Err(UNASKED),
            // RFC 9113 4.1: what is not known is ignored.
            _ => Event::Other,
        }))
    }

    fn begin_block(&mut self, header: FrameHeader, payload: &[u8]) -> Result<Found, Fault> {
        let mut from = 0;
        let mut to = payload.len();
        if header.has(PADDED) {
            let padding = usize::from(*payload.first().ok_or(SIZE)?);
            from = 1;
            to = to
                .checked_sub(padding)
                .filter(|&to| to >= from)
                .ok_or(PADDING)?;
        }
        let mut is_own_parent = false;
        if header.has(HAS_PRIORITY) {
            let parent = payload[from..to].first_chunk().copied().ok_or(SIZE)?;
            is_own_parent = parse_stream(parent) == header.stream;
            from += 5;
            if from > to {
                return Err(SIZE);
            }
        }
        // RFC 9113 5.1.1: streams that clients open have odd numbers.
        if header.stream % 2 == 0 {
            return Err(STREAM);
        }
        let block = Block {
            stream: header.stream,
            end_stream: header.has(END_STREAM),
            frames: 0,
            is_own_parent,
        };
        if header.has(END_HEADERS) && !is_own_parent {
            return Ok(Found::Block {
                stream: block.stream,
                end_stream: block.end_stream,
                part: Some((from, to)),
            });
        }
        self.block = Some(block);
        self.fragments.clear();
        self.gather(header, &payload[from..to])
    }

    fn go_on(&mut self, header: FrameHeader, payload: &[u8]) -> Result<Found, Fault> {
        if let Some(block) = &mut self.block {
            block.frames += 1;
            if block.frames > MAX_CONTINUATIONS {
                return Err(Fault::new(
                    Code::EnhanceYourCalm,
                    "A header block comes in more frames than this server takes.",
                ));
            }
        }
        self.gather(header, payload)
    }

    fn gather(&mut self, header: FrameHeader, fragment: &[u8]) -> Result<Found, Fault> {
        if self.fragments.len() + fragment.len() > self.max_block {
            return Err(Fault::new(
                Code::EnhanceYourCalm,
                "A header block is larger than this server takes.",
            ));
        }
        self.fragments.extend_from_slice(fragment);
        if !header.has(END_HEADERS) {
            return Ok(Found::Nothing);
        }
        let Some(block) = self.block.take() else {
            return Ok(Found::Nothing);
        };
        if block.is_own_parent {
            // RFC 7540 5.3.1, which is deprecated. The table would lack what the block says, so it costs the connection.
            return Err(Fault::new(Code::Protocol, "A stream depends on itself."));
        }
        Ok(Found::Block {
            stream: block.stream,
            end_stream: block.end_stream,
            part: None,
        })
    }

    /// The event for what was found.
    fn event<'a>(&'a self, found: &Found, payload: &'a [u8]) -> Event<'a> {
        match *found {
            Found::Nothing => Event::Other,
            Found::Plain(event) => event,
            Found::Block {
                stream,
                end_stream,
                part,
            } => Event::Headers {
                stream,
                end_stream,
                block: match part {
                    Some((from, to)) => &payload[from..to],
                    None => &self.fragments,
                },
            },
            Found::Urgency { stream } => Event::Urgency {
                stream,
                value: &payload[4..],
            },
        }
    }
}

fn parse_stream(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & 0x7fff_ffff
}

/// RFC 9113 6.5.2.
fn read_settings(payload: &[u8]) -> Result<PeerSettings, Fault> {
    let mut settings = PeerSettings::default();
    for pair in payload.chunks_exact(6) {
        let name = u16::from_be_bytes([pair[0], pair[1]]);
        let value = u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]);
        match name {
            HEADER_TABLE_SIZE => settings.header_table = Some((value as usize).min(TABLE_SIZE)),
            ENABLE_PUSH | ENABLE_CONNECT_PROTOCOL if value > 1 => {
                return Err(Fault::new(
                    Code::Protocol,
                    "A setting that is 0 or 1 has another value.",
                ));
            }
            INITIAL_WINDOW_SIZE if i64::from(value) > MAX_WINDOW => {
                return Err(Fault::new(
                    Code::FlowControl,
                    "The initial window is larger than any may be.",
                ));
            }
            INITIAL_WINDOW_SIZE => settings.window = Some(i64::from(value)),
            MAX_FRAME_SIZE if !(16_384..=16_777_215).contains(&value) => {
                return Err(Fault::new(
                    Code::Protocol,
                    "The maximum frame size is out of range.",
                ));
            }
            MAX_FRAME_SIZE => settings.max_frame = Some(value as usize),
            _ => {}
        }
    }
    Ok(settings)
}
