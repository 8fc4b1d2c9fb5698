//! The codec as a whole, in every split: frames, messages, compression.

mod cases;
mod closing;
mod compression;
mod frames;
mod property;

use super::*;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A frame as clients send it; `first` is its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_header(&mut out, Opcode::Text, false, payload.len());
    out[0] = first;
    out[1] |= 0x80;
    out.extend(KEY);
    out.extend((payload.iter().zip(KEY.iter().cycle())).map(|(octet, key)| octet ^ key));
    out
}

fn frames(list: &[(u8, &[u8])]) -> Vec<u8> {
    (list
        .iter()
        .flat_map(|(first, payload)| frame(*first, payload)))
    .collect()
}

/// What a connection's bytes amount to.
type Outcome = (Vec<Event>, Option<Fault>);

/// Decodes pieces one after the other, each in a buffer of its own, and checks what holds between any two of them.
fn decode_pieces<'a>(decoder: &mut Decoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut events = Vec::new();
    for piece in pieces {
        let mut buffer = piece.to_vec();
        let mut rest = buffer.as_mut_slice();
        loop {
            match decoder.decode(rest) {
                Err(fault) => {
                    assert!(decoder.is_finished() && decoder.buffered() == 0);
                    return (events, Some(fault));
                }
                Ok(Decoded { consumed, event }) => {
                    rest = &mut rest[consumed..];
                    let Some(event) = event else {
                        assert!(rest.is_empty());
                        break;
                    };
                    events.push(event);
                }
            }
        }
    }
    (events, None)
}

/// Decodes `bytes` whole, byte by byte and cut in two at every place, all of which must amount to the same.
fn decode_everyhow(bytes: &[u8], limits: Limits, params: Option<InflateParams>) -> Outcome {
    let new = || Decoder::new(&limits, params);
    let whole = decode_pieces(&mut new(), [bytes]);
    assert_eq!(
        decode_pieces(&mut new(), bytes.chunks(1)),
        whole,
        "byte by byte"
    );
    // Every place for what is short; for what is long those around which lengths and buffers change.
    let step = bytes.len() / 400 + 1;
    for place in (0..=bytes.len()).step_by(step) {
        let (left, right) = bytes.split_at(place);
        assert_eq!(
            decode_pieces(&mut new(), [left, right]),
            whole,
            "cut at {place}"
        );
    }
    whole
}

fn message(is_text: bool, data: &[u8]) -> Event {
    Event::Message {
        is_text,
        data: data.to_vec(),
    }
}

fn text(data: &str) -> Event {
    message(true, data.as_bytes())
}

fn ping(payload: &[u8]) -> Event {
    Event::Ping(payload.into())
}

fn pong(payload: &[u8]) -> Event {
    Event::Pong(payload.into())
}

fn close(code: Option<u16>, reason: &str) -> Event {
    Event::Close {
        code,
        reason: reason.into(),
    }
}

/// A generator of numbers that are the same in every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % sides
    }

    fn octet(&mut self) -> u8 {
        u8::try_from(self.roll(256)).unwrap()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.roll(most + 1)).map(|_| self.octet()).collect()
    }

    /// Something that compresses like JSON does.
    fn prose(&mut self, most: usize) -> Vec<u8> {
        let words = [
            "{\"id\": ",
            "\"name\": ",
            "null, ",
            "17",
            "\u{20ac}uro",
            "]}, ",
            "true",
            "x",
        ];
        let mut out = String::new();
        let length = self.roll(most + 1);
        while out.len() < length {
            out += words[self.roll(words.len())];
        }
        out.into_bytes()
    }

    /// Cuts `bytes` into pieces of random sizes.
    fn cut<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        let most = 1 + self.roll(60);
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(1 + self.roll(bytes.len().min(most)));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

/// The decoder is what an idle connection costs; the event is what is queued.
#[test]
fn what_every_connection_holds_is_small() {
    assert!(size_of::<Decoder>() <= 100, "{}", size_of::<Decoder>());
    assert!(size_of::<Deflater>() <= 16, "{}", size_of::<Deflater>());
    assert!(size_of::<Event>() <= 32, "{}", size_of::<Event>());
}
