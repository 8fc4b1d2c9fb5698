//! The head of a frame (RFC 6455 5.2).

use super::close::{Fault, MAX_CONTROL};

/// Longest head: two bytes, a length of eight and a key of four.
pub(super) const MAX_HEAD: usize = 14;

const IS_FINAL: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_RSV3: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const IS_MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_IN_TWO: u8 = 126;
const LENGTH_IN_EIGHT: u8 = 127;

const RESERVED_BIT: Fault = Fault::protocol("A frame has a reserved bit set.");
const COMPRESSED: Fault =
    Fault::protocol("A frame that does not begin a message says that it is compressed.");
const RESERVED_OPCODE: Fault = Fault::protocol("A frame has a reserved opcode.");
const FRAGMENTED_CONTROL: Fault = Fault::protocol("A control frame is fragmented.");
const LONG_CONTROL: Fault = Fault::protocol("A control frame has more than 125 bytes.");
const UNMASKED: Fault = Fault::protocol("A frame of a client is not masked.");
const LENGTH_NOT_SHORTEST: Fault =
    Fault::protocol("The length of a frame is not in its shortest form.");
const LENGTH_TOO_LARGE: Fault = Fault::protocol("The length of a frame has its highest bit set.");
const NOTHING_TO_CONTINUE: Fault = Fault::protocol("A frame continues a message that never began.");
const MESSAGE_WITHIN_MESSAGE: Fault =
    Fault::protocol("A message begins before the one before it has ended.");

/// What a frame is (RFC 6455 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// More of a message.
    Continuation = 0,
    /// The beginning of a text message.
    Text = 1,
    /// The beginning of a binary message.
    Binary = 2,
    /// The end of the connection.
    Close = 8,
    /// A question that a [`Opcode::Pong`] answers.
    Ping = 9,
    /// The answer to a [`Opcode::Ping`], or a sign of life.
    Pong = 10,
}

impl Opcode {
    const fn parse(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// What decides which frames may come next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expectation {
    /// A message has begun and not ended.
    pub is_within_message: bool,
    /// `permessage-deflate` was agreed on.
    pub may_be_compressed: bool,
}

/// The head of a frame of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub opcode: Opcode,
    pub is_final: bool,
    pub is_compressed: bool,
    pub key: [u8; 4],
    pub length: u64,
}

/// Reads a head from the start of `bytes` and gives it with its size; nothing if it goes on after them.
///
/// Bytes are judged from left to right, each as soon as it is there.
///
/// # Errors
///
/// 1002.
#[inline]
pub(super) fn parse_head(
    bytes: &[u8],
    expectation: Expectation,
) -> Result<Option<(Head, usize)>, Fault> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    let opcode = judge_first(first, expectation)?;
    let Some(&second) = bytes.get(1) else {
        return Ok(None);
    };
    judge_second(second, opcode)?;
    let Some((length, at)) = parse_length(second & LENGTH, bytes)? else {
        return Ok(None);
    };
    let Some(&key) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
        return Ok(None);
    };
    let head = Head {
        opcode,
        is_final: first & IS_FINAL != 0,
        is_compressed: first & RSV1 != 0,
        key,
        length,
    };
    Ok(Some((head, at + key.len())))
}

#[inline]
fn judge_first(first: u8, expectation: Expectation) -> Result<Opcode, Fault> {
    let opcode = Opcode::parse(first & OPCODE).ok_or(RESERVED_OPCODE)?;
    let is_compressed = first & RSV1 != 0;
    if first & RSV2_AND_RSV3 != 0 || is_compressed && !expectation.may_be_compressed {
        return Err(RESERVED_BIT);
    }
    // RFC 7692 6: only the first frame of a message may say so, and control frames are never compressed.
    if is_compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
        return Err(COMPRESSED);
    }
    match opcode {
        Opcode::Continuation if !expectation.is_within_message => Err(NOTHING_TO_CONTINUE),
        Opcode::Text | Opcode::Binary if expectation.is_within_message => {
            Err(MESSAGE_WITHIN_MESSAGE)
        }
        _ if opcode.is_control() && first & IS_FINAL == 0 => Err(FRAGMENTED_CONTROL),
        _ => Ok(opcode),
    }
}

#[inline]
fn judge_second(second: u8, opcode: Opcode) -> Result<(), Fault> {
    if second & IS_MASKED == 0 {
        return Err(UNMASKED); // RFC 6455 5.1
    }
    if opcode.is_control() && usize::from(second & LENGTH) > MAX_CONTROL {
        return Err(LONG_CONTROL);
    }
    Ok(())
}

/// The payload's length and where in the head the key begins.
#[inline]
fn parse_length(short: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, Fault> {
    let rest = &bytes[2..];
    match short {
        LENGTH_IN_TWO => match rest.first_chunk() {
            Some(&length) => match u16::from_be_bytes(length) {
                0..126 => Err(LENGTH_NOT_SHORTEST),
                length => Ok(Some((u64::from(length), 4))),
            },
            None => Ok(None),
        },
        LENGTH_IN_EIGHT => match rest.first_chunk() {
            Some(&length) => match u64::from_be_bytes(length) {
                0..0x1_0000 => Err(LENGTH_NOT_SHORTEST),
                length if length >> 63 != 0 => Err(LENGTH_TOO_LARGE),
                length => Ok(Some((length, 10))),
            },
            None => Ok(None),
        },
        _ => Ok(Some((u64::from(short), 2))),
    }
}

/// Writes the head of a final, unmasked frame into `room` and gives its size.
#[inline]
pub(super) fn build_head(
    room: &mut [u8; MAX_HEAD],
    opcode: Opcode,
    is_compressed: bool,
    length: usize,
) -> usize {
    room[0] = IS_FINAL | if is_compressed { RSV1 } else { 0 } | opcode as u8;
    if let Ok(short @ 0..LENGTH_IN_TWO) = u8::try_from(length) {
        room[1] = short;
        2
    } else if let Ok(length) = u16::try_from(length) {
        room[1] = LENGTH_IN_TWO;
        room[2..4].copy_from_slice(&length.to_be_bytes());
        4
    } else {
        room[1] = LENGTH_IN_EIGHT;
        room[2..10].copy_from_slice(&(length as u64).to_be_bytes());
        10
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Expectation = Expectation {
        is_within_message: false,
        may_be_compressed: true,
    };

    fn masked_head(opcode: Opcode, is_compressed: bool, length: usize) -> Vec<u8> {
        let mut room = [0; MAX_HEAD];
        let size = build_head(&mut room, opcode, is_compressed, length);
        room[1] |= IS_MASKED;
        [&room[..size], b"\x01\x02\x03\x04"].concat()
    }

    #[test]
    fn heads_that_are_built_are_read_back() {
        for length in [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 1 << 31] {
            for is_compressed in [false, true] {
                let bytes = masked_head(Opcode::Binary, is_compressed, length);
                for end in 0..bytes.len() {
                    assert_eq!(parse_head(&bytes[..end], ANY), Ok(None));
                }
                let head = Head {
                    opcode: Opcode::Binary,
                    is_final: true,
                    is_compressed,
                    key: [1, 2, 3, 4],
                    length: length as u64,
                };
                assert_eq!(parse_head(&bytes, ANY), Ok(Some((head, bytes.len()))));
            }
        }
    }

    #[test]
    fn a_fault_is_noticed_at_the_byte_that_makes_it() {
        for (bytes, fault) in [
            (&b"\x83"[..], RESERVED_OPCODE),
            (b"\x8b", RESERVED_OPCODE),
            (b"\xa1", RESERVED_BIT),
            (b"\x91", RESERVED_BIT),
            (b"\xc8", COMPRESSED),
            (b"\xc0", COMPRESSED),
            (b"\x80", NOTHING_TO_CONTINUE),
            (b"\x09", FRAGMENTED_CONTROL),
            (b"\x81\x00", UNMASKED),
            (b"\x88\xfe", LONG_CONTROL),
            (b"\x81\xfe\x00\x7d", LENGTH_NOT_SHORTEST),
            (
                b"\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff",
                LENGTH_NOT_SHORTEST,
            ),
            (
                b"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00",
                LENGTH_TOO_LARGE,
            ),
        ] {
            for end in 0..bytes.len() {
                assert_eq!(parse_head(&bytes[..end], ANY), Ok(None), "{bytes:x?}");
            }
            assert_eq!(parse_head(bytes, ANY), Err(fault), "{bytes:x?}");
            let more = [bytes, b"\xff\x00\xff\x00\xff"].concat();
            assert_eq!(parse_head(&more, ANY), Err(fault), "{bytes:x?}");
        }
    }

    #[test]
    fn what_may_come_depends_on_what_came() {
        let within = Expectation {
            is_within_message: true,
            ..ANY
        };
        let plain = Expectation {
            may_be_compressed: false,
            ..ANY
        };
        assert_eq!(parse_head(b"\x81", within), Err(MESSAGE_WITHIN_MESSAGE));
        assert_eq!(parse_head(b"\x02", within), Err(MESSAGE_WITHIN_MESSAGE));
        assert_eq!(parse_head(b"\x00", within), Ok(None));
        assert_eq!(parse_head(b"\x89", within), Ok(None));
        assert_eq!(parse_head(b"\xc1", plain), Err(RESERVED_BIT));
        assert_eq!(parse_head(b"\xc1", ANY), Ok(None));
    }
}
