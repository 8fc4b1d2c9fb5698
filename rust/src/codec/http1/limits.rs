//! What one request may cost in bytes.

/// Limits on one request. Sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest request line, without its line end; beyond it 414.
    pub request_line: usize,
    /// Most fields of a head, and of trailers; beyond it 431.
    pub header_count: usize,
    /// Longest field line (name, colon and value), without its line end; beyond it 431.
    pub header_size: usize,
    /// Largest head, all line ends included, and largest trailers; beyond it 431. At most `u32::MAX` counts.
    pub head_size: usize,
    /// Largest body after decoding; 0 is no limit; beyond it 413.
    pub body_size: u64,
}

impl Limits {
    /// Whether a body of `length` bytes is more than is taken.
    #[must_use]
    pub const fn is_body_too_large(&self, length: u64) -> bool {
        self.body_size != 0 && length > self.body_size
    }
}

impl Default for Limits {
    /// The defaults of the configuration: Apache's 8190 bytes for a line and 100 fields, the rest arbitrary.
    fn default() -> Self {
        Self {
            request_line: 8_190,
            header_count: 100,
            header_size: 16_384,
            head_size: 65_536,
            body_size: 104_857_600,
        }
    }
}
