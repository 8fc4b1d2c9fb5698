//! Records: types and headers (FastCGI 3.3, 8).

/// Size of a record's header.
pub const HEADER_SIZE: usize = 8;

/// Most content of a record that is written: the largest multiple of 8 within 16 bits, so that it needs no padding.
pub const MAX_CONTENT: usize = 65_528;

/// The only version of the protocol.
pub(super) const VERSION: u8 = 1;

/// The types of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request begins: role and flags.
    BeginRequest = 1,
    /// The web server has lost its client.
    AbortRequest = 2,
    /// A request is over: its statuses.
    EndRequest = 3,
    /// A stream of variables.
    Params = 4,
    /// The stream of the request's body.
    Stdin = 5,
    /// The stream of the answer.
    Stdout = 6,
    /// A stream of messages for the web server's log.
    Stderr = 7,
    /// A second stream of input, which only filters have.
    Data = 8,
    /// The web server asks about capacities.
    GetValues = 9,
    /// The answer to that.
    GetValuesResult = 10,
    /// The answer to a type that is not known.
    UnknownType = 11,
}

impl Kind {
    /// The type of a number.
    pub(super) const fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::BeginRequest,
            2 => Self::AbortRequest,
            3 => Self::EndRequest,
            4 => Self::Params,
            5 => Self::Stdin,
            6 => Self::Stdout,
            7 => Self::Stderr,
            8 => Self::Data,
            9 => Self::GetValues,
            10 => Self::GetValuesResult,
            11 => Self::UnknownType,
            _ => return None,
        })
    }
}

/// A record's header as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: u8,
    pub id: u16,
    pub content: u16,
    pub padding: u8,
}

impl Header {
    /// Takes a header apart. Its version has been checked; the reserved byte means nothing.
    pub(super) const fn parse(bytes: [u8; HEADER_SIZE]) -> Self {
        let [
            _,
            kind,
            id_high,
            id_low,
            content_high,
            content_low,
            padding,
            _,
        ] = bytes;
        Self {
            kind,
            id: u16::from_be_bytes([id_high, id_low]),
            content: u16::from_be_bytes([content_high, content_low]),
            padding,
        }
    }
}
