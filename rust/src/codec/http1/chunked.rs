//! The chunked transfer coding (RFC 9112 7.1), decoded in place and byte by byte where it must be.

use super::grammar::{hex_value, is_blank, is_control, is_token_byte};
use super::limits::Limits;
use super::refusal::Refusal;

/// Bytes of chunk extensions taken per body; they mean nothing to us, so this only bounds the waste (as Go's net/http
/// does).
pub const MAX_EXTENSIONS: u32 = 16_384;

/// Hexadecimal digits of a chunk size: as many as 64 bits have.
const MAX_SIZE_DIGITS: u8 = 16;

const SIZE: Refusal = Refusal::bad_request("A chunk size is not a hexadecimal number.");
const SIZE_TOO_LONG: Refusal = Refusal::bad_request("A chunk size has too many digits.");
const SIZE_END: Refusal =
    Refusal::bad_request("A chunk size is not followed by CR LF or an extension.");
const EXTENSION: Refusal = Refusal::bad_request("A chunk extension is malformed.");
const EXTENSIONS_TOO_LARGE: Refusal =
    Refusal::bad_request("The chunk extensions are larger than this server accepts.");
const DATA_END: Refusal = Refusal::bad_request("The data of a chunk is not followed by CR LF.");
const TRAILER: Refusal = Refusal::bad_request("A trailer field is malformed.");
const TRAILERS_TOO_LARGE: Refusal = Refusal::new(
    431,
    "The trailer fields are larger than this server accepts.",
);
const BODY_TOO_LARGE: Refusal =
    Refusal::new(413, "The request body is larger than this server accepts.");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before or within the digits of a chunk size.
    Size,
    /// In white space after the size.
    SizeBlank,
    /// After the semicolon, before an extension's name.
    ExtensionStart,
    /// Within an extension.
    Extension,
    /// After the CR of the size line.
    SizeLf,
    /// Within the data of a chunk.
    Data,
    /// After the data of a chunk.
    DataCr,
    /// After the CR that follows the data.
    DataLf,
    /// At the start of a trailer field or of the empty line.
    TrailerStart,
    /// Within a trailer field's name.
    TrailerName,
    /// Within a trailer field's value.
    TrailerValue,
    /// After the CR of a trailer field.
    TrailerLf,
    /// After the CR of the empty line.
    EndLf,
    /// The body has ended.
    Finished,
}

/// What one call of [`ChunkedDecoder::decode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkedProgress {
    /// Bytes of the input that belong to the body and were used.
    pub consumed: usize,
    /// Whether the body has ended; what follows `consumed` is the next request.
    pub finished: bool,
}

/// Decodes one chunked body. A decoder that refused must not be used again.
#[derive(Clone, Debug)]
pub struct ChunkedDecoder {
    state: State,
    digits: u8,
    remaining: u64,
    total: u64,
    extensions: u32,
    trailer_line: usize,
    trailer_size: usize,
    trailer_count: usize,
    limits: Limits,
}

impl ChunkedDecoder {
    /// A decoder for one body. Of the limits, `body_size` bounds the data, and the three header limits the trailers.
    #[must_use]
    pub const fn new(limits: &Limits) -> Self {
        Self {
            state: State::Size,
            digits: 0,
            remaining: 0,
            total: 0,
            extensions: 0,
            trailer_line: 0,
            trailer_size: 0,
            trailer_count: 0,
            limits: *limits,
        }
    }

    /// Whether the body has ended.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    /// Decodes what is there, handing each run of data to `sink`; never an empty one.
    ///
    /// # Errors
    ///
    /// 400 for malformed coding, 413 as soon as a chunk size takes the body over its limit, 431 for too much in
    /// trailers.
    pub fn decode(
        &mut self,
        input: &[u8],
        mut sink: impl FnMut(&[u8]),
    ) -> Result<ChunkedProgress, Refusal> {
        let mut at = 0;
        while let Some(&octet) = input.get(at) {
            match self.state {
                State::Finished => break,
                State::Data => at += self.take_data(&input[at..], &mut sink),
                _ => {
                    self.state = self.step(octet)?;
                    at += 1;
                }
            }
        }
        Ok(ChunkedProgress {
            consumed: at,
            finished: self.is_finished(),
        })
    }

    #[inline]
    fn take_data(&mut self, input: &[u8], sink: &mut impl FnMut(&[u8])) -> usize {
        let length = usize::try_from(self.remaining)
            .unwrap_or(usize::MAX)
            .min(input.len());
        sink(&input[..length]);
        self.remaining -= length as u64;
        if self.remaining == 0 {
            self.state = State::DataCr;
        }
        length
    }

    /// The state after one byte that is not data.
    #[inline]
    fn step(&mut self, octet: u8) -> Result<State, Refusal> {
        match (self.state, octet) {
            (State::Size, _) => self.step_size(octet),
            (State::SizeBlank, _) => self.step_blank(octet),
            (State::ExtensionStart | State::Extension, _) => self.step_extension(octet),
            (State::SizeLf, b'\n') => Ok(self.begin_chunk()),
            (State::SizeLf, _) => Err(SIZE_END),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size),
            (State::DataCr | State::DataLf, _) => Err(DATA_END),
            (State::EndLf, b'\n') => Ok(State::Finished),
            _ => self.step_trailer(octet),
        }
    }

    fn step_size(&mut self, octet: u8) -> Result<State, Refusal> {
        match (hex_value(octet), octet) {
            (Some(_), _) if self.digits == MAX_SIZE_DIGITS => Err(SIZE_TOO_LONG),
            (Some(digit), _) => {
                self.digits += 1;
                self.remaining = self.remaining << 4 | u64::from(digit);
                Ok(State::Size)
            }
            (None, _) if self.digits == 0 => Err(SIZE),
            (None, b'\r') => self.admit_chunk().map(|()| State::SizeLf),
            (None, b';') => {
                self.admit_chunk()?;
                self.count_extension()?;
                Ok(State::ExtensionStart)
            }
            (None, _) if is_blank(octet) => {
                self.count_extension()?;
                Ok(State::SizeBlank)
            }
            (None, _) => Err(SIZE_END),
        }
    }

    /// RFC 9110 5.6.3: the "bad" white space before an extension is read over; before the line's end it is refused.
    fn step_blank(&mut self, octet: u8) -> Result<State, Refusal> {
        match octet {
            b';' => {
                self.admit_chunk()?;
                self.count_extension()?;
                Ok(State::ExtensionStart)
            }
            _ if is_blank(octet) => {
                self.count_extension()?;
                Ok(State::SizeBlank)
            }
            _ => Err(SIZE_END),
        }
    }

    /// The size is known: does the body stay within its limit?
    fn admit_chunk(&mut self) -> Result<(), Refusal> {
        self.total = self
            .total
            .checked_add(self.remaining)
            .ok_or(BODY_TOO_LARGE)?;
        if self.limits.is_body_too_large(self.total) {
            Err(BODY_TOO_LARGE)
        } else {
            Ok(())
        }
    }

    fn begin_chunk(&mut self) -> State {
        self.digits = 0;
        if self.remaining == 0 {
            State::TrailerStart
        } else {
            State::Data
        }
    }

    /// RFC 9112 7.1.1. The extension's inner grammar does not matter to us; that it cannot hide a line end does.
    fn step_extension(&mut self, octet: u8) -> Result<State, Refusal> {
        self.count_extension()?;
        match (self.state, octet) {
            (State::ExtensionStart, b' ' | b'\t') => Ok(State::ExtensionStart),
            (State::ExtensionStart, _) if is_token_byte(octet) => Ok(State::Extension),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, _) if is_blank(octet) || !is_control(octet) => Ok(State::Extension),
            _ => Err(EXTENSION),
        }
    }

    fn count_extension(&mut self) -> Result<(), Refusal> {
        self.extensions += 1;
        if self.extensions > MAX_EXTENSIONS {
            Err(EXTENSIONS_TOO_LARGE)
        } else {
            Ok(())
        }
    }

    /// RFC 9112 7.1.2: checked as field lines are, then dropped.
    fn step_trailer(&mut self, octet: u8) -> Result<State, Refusal> {
        self.count_trailer(octet)?;
        match (self.state, octet) {
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::TrailerStart, _) if is_token_byte(octet) => {
                self.trailer_count += 1;
                if self.trailer_count > self.limits.header_count {
                    Err(TRAILERS_TOO_LARGE)
                } else {
                    Ok(State::TrailerName)
                }
            }
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerName, _) if is_token_byte(octet) => Ok(State::TrailerName),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, _) if is_blank(octet) || !is_control(octet) => {
                Ok(State::TrailerValue)
            }
            (State::TrailerLf, b'\n') => {
                self.trailer_line = 0;
                Ok(State::TrailerStart)
            }
            _ => Err(TRAILER),
        }
    }

    fn count_trailer(&mut self, octet: u8) -> Result<(), Refusal> {
        self.trailer_size += 1;
        self.trailer_line += usize::from(!matches!(octet, b'\r' | b'\n'));
        let is_too_large = self.trailer_size > self.limits.head_size
            || self.trailer_line > self.limits.header_size;
        if is_too_large {
            Err(TRAILERS_TOO_LARGE)
        } else {
            Ok(())
        }
    }
}
