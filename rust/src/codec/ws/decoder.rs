//! Frames of a client become messages and control events.

use super::close::{Fault, parse_close};
use super::event::{Decoded, Event, Limits};
use super::frame::{Expectation, Head, MAX_HEAD, Opcode, parse_head};
use super::inflate::{InflateParams, Inflater};
use super::mask::{advance_key, apply_mask};
use super::utf8::Utf8;

const TOO_BIG: Fault = Fault::too_big("A message is larger than this server accepts.");
const TEXT: Fault = Fault::data("A text message is not valid UTF-8.");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before or within the head of a frame.
    Head,
    /// Within the payload of a frame.
    Payload,
    /// After a close frame or a fault: whatever comes is dropped (RFC 6455 5.5.1, 7.1.7).
    Finished,
}

/// The message under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    None,
    Binary,
    Text,
}

/// Decodes what one client sends.
pub struct Decoder {
    /// The message so far.
    message: Vec<u8>,
    /// The payload of a control frame that did not arrive in one piece.
    control: Box<[u8]>,
    /// There if compressed messages came, and only while one comes if they do not refer to each other.
    inflater: Option<Box<Inflater>>,
    message_size: usize,
    /// Bytes of the frame's payload to come.
    remaining: u64,
    key: [u8; 4],
    /// A head that did not arrive in one piece.
    stash: [u8; MAX_HEAD],
    stashed: u8,
    text: Utf8,
    opcode: Opcode,
    is_final: bool,
    kind: Kind,
    is_compressed: bool,
    phase: Phase,
    params: Option<InflateParams>,
}

impl Decoder {
    /// A decoder for a connection just upgraded. `params` are those of the agreement on `permessage-deflate`, if there
    /// is one.
    #[must_use]
    pub fn new(limits: &Limits, params: Option<InflateParams>) -> Self {
        Self {
            message: Vec::new(),
            control: Box::default(),
            inflater: None,
            message_size: match limits.message_size {
                0 => usize::MAX,
                size => size,
            },
            remaining: 0,
            key: [0; 4],
            stash: [0; MAX_HEAD],
            stashed: 0,
            text: Utf8::default(),
            opcode: Opcode::Continuation,
            is_final: false,
            kind: Kind::None,
            is_compressed: false,
            phase: Phase::Head,
            params,
        }
    }

    /// Whether a close frame or a fault was seen; whatever else comes is dropped.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished)
    }

    /// Bytes held for a message that is not complete and for the window of the next; the decompressor's own, which are
    /// there while a compressed message arrives, are left out.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let kept = self.inflater.as_ref().map_or(0, |inflater| inflater.kept());
        self.message.capacity() + self.control.len() + kept
    }

    /// Decodes up to the end of the next event, unmasking in place what it uses of `bytes`. Call it again with the rest
    /// until there is no event; to pause, just do not call it, and keep the rest.
    ///
    /// # Errors
    ///
    /// 1002 for what is no WebSocket traffic, 1007 for text that is not UTF-8 and invalid compression, 1009 for a
    /// message over the limit; each as soon as the first byte that makes it so is seen. The decoder is finished then,
    /// and the connection to be failed: our close frame, if it was not sent, and the end.
    #[inline]
    pub fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, Fault> {
        let decoded = self.decode_event(bytes);
        if decoded.is_err() {
            self.finish();
        }
        decoded
    }

    fn decode_event(&mut self, bytes: &mut [u8]) -> Result<Decoded, Fault> {
        let mut at = 0;
        loop {
            let rest = &mut bytes[at..];
            match self.phase {
                Phase::Finished => {
                    at = bytes.len();
                    break;
                }
                Phase::Head => {
                    at += self.take_head(rest)?;
                    if self.phase == Phase::Head {
                        break;
                    }
                }
                Phase::Payload => {
                    let length = clip(self.remaining, rest.len());
                    at += length;
                    let event = self.take_payload(&mut rest[..length])?;
                    if event.is_some() {
                        return Ok(Decoded {
                            consumed: at,
                            event,
                        });
                    }
                    if self.phase == Phase::Payload {
                        break;
                    }
                }
            }
        }
        Ok(Decoded {
            consumed: at,
            event: None,
        })
    }

    /// Reads a head, or stashes what there is of it. Gives the bytes used.
    #[inline]
    fn take_head(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        if self.stashed == 0 {
            if let Some((head, size)) = parse_head(bytes, self.expectation())? {
                self.begin_frame(&head)?;
                return Ok(size);
            }
        }
        self.stash_head(bytes)
    }

    /// Byte by byte, as a head has its end in itself.
    #[cold]
    fn stash_head(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        for (index, octet) in bytes.iter().enumerate() {
            let length = usize::from(self.stashed) + 1;
            self.stash[length - 1] = *octet;
            self.stashed += 1;
            if let Some((head, _)) = parse_head(&self.stash[..length], self.expectation())? {
                self.stashed = 0;
                self.begin_frame(&head)?;
                return Ok(index + 1);
            }
        }
        Ok(bytes.len())
    }

    const fn expectation(&self) -> Expectation {
        Expectation {
            is_within_message: !matches!(self.kind, Kind::None),
            may_be_compressed: self.params.is_some(),
        }
    }

    #[inline]
    fn begin_frame(&mut self, head: &Head) -> Result<(), Fault> {
        self.opcode = head.opcode;
        self.is_final = head.is_final;
        self.remaining = head.length;
        self.key = head.key;
        self.phase = Phase::Payload;
        match head.opcode {
            Opcode::Text => self.kind = Kind::Text,
            Opcode::Binary => self.kind = Kind::Binary,
            Opcode::Continuation => return self.admit(),
            Opcode::Close | Opcode::Ping | Opcode::Pong => return Ok(()),
        }
        self.is_compressed = head.is_compressed;
        self.admit()
    }

    /// A declared length is refused before anything of it is received. How large compressed data becomes is seen later.
    #[inline]
    fn admit(&self) -> Result<(), Fault> {
        let room = self.message_size - self.message.len();
        if !self.is_compressed && self.remaining > room as u64 {
            Err(TOO_BIG)
        } else {
            Ok(())
        }
    }

    /// Takes all or a part of what remains of a frame.
    #[inline]
    fn take_payload(&mut self, piece: &mut [u8]) -> Result<Option<Event>, Fault> {
        apply_mask(piece, self.key);
        if self.opcode.is_control() {
            return self.take_control(piece);
        }
        if self.is_compressed {
            self.inflate(piece)?;
        } else {
            self.append(piece)?;
        }
        self.count(piece.len());
        if self.remaining != 0 {
            return Ok(None);
        }
        self.phase = Phase::Head;
        if self.is_final {
            self.finish_message().map(Some)
        } else {
            Ok(None)
        }
    }

    #[inline]
    fn count(&mut self, length: usize) {
        self.remaining -= length as u64;
        self.key = advance_key(self.key, length);
    }

    #[inline]
    fn append(&mut self, piece: &[u8]) -> Result<(), Fault> {
        if self.kind == Kind::Text && !self.text.accept(piece) {
            return Err(TEXT);
        }
        let length = self.message.len();
        if self.message.capacity() - length < piece.len() {
            // At least as much again as is there, but nothing that the client only promises, and no more than follows.
            let wanted = if self.is_final {
                clip(self.remaining, length.max(piece.len()))
            } else {
                length.max(piece.len())
            };
            self.message.reserve_exact(wanted);
        }
        self.message.extend_from_slice(piece);
        Ok(())
    }

    fn inflate(&mut self, piece: &[u8]) -> Result<(), Fault> {
        self.with_inflater(|inflater, message, limit| {
            inflater.inflate(piece, message, limit, TOO_BIG)
        })
    }

    /// Runs a step of decompression, then checks the text that it made, up to the fault if it found one: what is wrong
    /// first counts, wherever the input was cut.
    fn with_inflater(
        &mut self,
        step: impl FnOnce(&mut Inflater, &mut Vec<u8>, usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Some(params) = self.params else {
            return Ok(()); // a compressed frame was refused without them
        };
        let inflater = self
            .inflater
            .get_or_insert_with(|| Box::new(Inflater::new(params)));
        let before = self.message.len();
        let outcome = step(inflater, &mut self.message, self.message_size);
        if self.kind == Kind::Text && !self.text.accept(&self.message[before..]) {
            return Err(TEXT);
        }
        outcome
    }

    #[inline]
    fn finish_message(&mut self) -> Result<Event, Fault> {
        if self.is_compressed {
            self.finish_inflation()?;
        }
        let is_text = self.kind == Kind::Text;
        if is_text && !self.text.is_complete() {
            return Err(TEXT);
        }
        self.kind = Kind::None;
        Ok(Event::Message {
            is_text,
            data: core::mem::take(&mut self.message),
        })
    }

    fn finish_inflation(&mut self) -> Result<(), Fault> {
        self.with_inflater(|inflater, message, limit| inflater.finish(message, limit, TOO_BIG))?;
        if self.params.is_some_and(|params| !params.context_takeover) {
            self.inflater = None;
        }
        Ok(())
    }

    /// Control frames may stand between the frames of a message, and so have their own buffer.
    fn take_control(&mut self, piece: &[u8]) -> Result<Option<Event>, Fault> {
        let left = clip(self.remaining, usize::MAX);
        let payload = if piece.len() == left && self.control.is_empty() {
            Box::from(piece)
        } else {
            if self.control.is_empty() {
                self.control = vec![0; left].into_boxed_slice();
            }
            let start = self.control.len() - left;
            self.control[start..start + piece.len()].copy_from_slice(piece);
            self.count(piece.len());
            if self.remaining != 0 {
                return Ok(None);
            }
            core::mem::take(&mut self.control)
        };
        self.phase = Phase::Head;
        self.finish_control(payload).map(Some)
    }

    fn finish_control(&mut self, payload: Box<[u8]>) -> Result<Event, Fault> {
        match self.opcode {
            Opcode::Ping => Ok(Event::Ping(payload)),
            Opcode::Pong => Ok(Event::Pong(payload)),
            _ => {
                let (code, reason) = parse_close(&payload)?;
                self.finish();
                Ok(Event::Close {
                    code,
                    reason: Box::from(reason),
                })
            }
        }
    }

    /// `HEAD`, `PAYLOAD` -> `FINISHED`
    fn finish(&mut self) {
        self.phase = Phase::Finished;
        self.message = Vec::new();
        self.control = Box::default();
        self.inflater = None;
    }
}

/// The lesser of the two.
#[inline]
fn clip(length: u64, most: usize) -> usize {
    usize::try_from(length).map_or(most, |length| length.min(most))
}
