//! Parts of a head, and the version it names: what its parsers tell each other.

/// A part of the bytes that were parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Index of the first byte.
    pub start: u32,
    /// Index after the last byte.
    pub end: u32,
}

impl Span {
    /// The span's bytes; empty if `bytes` are not those that were parsed.
    #[must_use]
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    /// The number of bytes.
    #[must_use]
    #[inline]
    pub const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether there is no byte.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Bytes `from` to `to` of this span.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "parse_head looks at no more than u32::MAX bytes"
    )]
    #[inline]
    pub(in crate::codec) const fn part(self, from: usize, to: usize) -> Self {
        Self {
            start: self.start + from as u32,
            end: self.start + to as u32,
        }
    }

    #[inline]
    pub(in crate::codec) const fn between(from: usize, to: usize) -> Self {
        Self { start: 0, end: 0 }.part(from, to)
    }
}

/// The protocol version of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2
    Http2,
}
